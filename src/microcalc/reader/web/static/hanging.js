/**
 * Hanging: which images lie side by side. Right breast on the left side of the screen, back to back; CC before MLO.
 */

import { covered, sample } from "./draw.js";

/**
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 * @typedef {"one"|"views"|"breasts"|"four"} Layout
 */

/** @param {ImageInfo} image @returns {string} for instance "R CC" */
export function nameOf(image) {
  const words = [image.laterality, image.view, ...(image.view_modifiers ?? [])]
    .filter(Boolean)
    .map((word) => word.replaceAll("_", " "));
  return words.join(" ") || "image";
}

const SIDES = ["R", "L"],
  VIEWS = ["CC", "MLO", "ML", "LM"];

/** In the order of a light box: R CC, L CC, R MLO, L MLO, then the others, those that cannot be shown last. @param {ImageInfo[]} images */
export function inOrder(images) {
  const rank = (/** @type {string[]} */ list, /** @type {string} */ word) =>
    list.includes(word) ? list.indexOf(word) : list.length;
  const key = (/** @type {ImageInfo} */ image) =>
    100 * rank(VIEWS, image.view) +
    10 * rank(SIDES, image.laterality) +
    (image.view_modifiers?.length ? 5 : 0) +
    (image.accepted ? 0 : 1000);
  return [...images].sort((a, b) => key(a) - key(b));
}

/**
 * The image of a side and view; the given one where it is of that kind, else a plain one rather than a magnification.
 * @param {ImageInfo[]} images @param {string} side @param {string} view @param {ImageInfo} first
 */
function find(images, side, view, first) {
  const fits = inOrder(images.filter((image) => image.accepted && image.laterality === side && image.view === view));
  return fits.includes(first) ? first : (fits[0] ?? null);
}

/**
 * The images of a layout, null where there is none.
 * @param {Layout} layout @param {ImageInfo[]} images @param {ImageInfo} active
 * @returns {Array<ImageInfo|null>}
 */
export function hang(layout, images, active) {
  const side = active.laterality,
    view = active.view;
  const get = (/** @type {string} */ s, /** @type {string} */ v) => find(images, s, v, active);
  const other = view === "CC" ? "MLO" : view === "MLO" ? "CC" : "CC";
  const wanted = {
    one: [active],
    views: view === "CC" ? [active, get(side, "MLO")] : [get(side, other), active],
    breasts: side === "L" ? [get("R", view), active] : [active, get("L", view)],
    four: [get("R", "CC"), get("L", "CC"), get("R", "MLO"), get("L", "MLO")],
  }[layout];
  return layout === "four" && !wanted.includes(active) ? [active, ...wanted.slice(1)] : wanted;
}

/**
 * The edge of its pane that an image's chest wall belongs to: -1 left, 1 right, 0 the middle.
 * @param {Layout} layout @param {number} column of the pane
 * @param {-1|1} wall where the chest wall lies in the image
 */
export function edgeFor(layout, column, wall) {
  if (layout === "one") return 0;
  if (layout === "views") return wall;
  return column === 0 ? (wall > 0 ? 1 : 0) : wall < 0 ? -1 : 0;
}

/**
 * Which edge the chest wall is on: the brighter of the two, since the breast lies there.
 * @param {import("./pixels.js").Plane} plane
 * @returns {-1|1}
 */
export function wallOf(plane) {
  const side = 64;
  const view = { scale: side / Math.max(plane.rows, plane.columns), x: 0, y: 0 };
  const part = covered(plane, view, side, side);
  const greys = sample(plane, view, part);
  const edge = Math.max(1, Math.round(part.width / 8));
  let balance = 0;
  for (let row = 0; row < part.height; row++) {
    for (let i = 0; i < edge; i++) balance += greys[row * part.width + i] - greys[(row + 1) * part.width - 1 - i];
  }
  return balance >= 0 ? -1 : 1;
}
