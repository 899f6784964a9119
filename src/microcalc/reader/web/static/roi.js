/**
 * Squares: where they lie, how they are drawn, where they are taken hold of; and the heatmap inside them.
 *
 * A square's row and column name the pixel that becomes pixel [N // 2, N // 2] of the ROI of N pixels (`intake/crop.py`), so what is
 * drawn here is exactly what is cut out there.
 */

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./viewer.js").Pane} Pane
 * @typedef {{top: number, left: number, side: number}} Square in image pixels; pixel i reaches from i to i + 1
 */

/** Pixels of a ROI where no study says so. */
const ROI_SIDE = 512;

/**
 * Side of a study's square on an image, in the image's pixels.
 * @param {import("./api.js").Study} study @param {import("./api.js").ImageInfo} image
 */
export function sideOn(study, image) {
  const pixels = study.roi_side ?? ROI_SIDE;
  return study.spacing_mm && image.spacing_mm ? (pixels * study.spacing_mm) / image.spacing_mm : pixels;
}

/** Pixels of the image by which two sides may differ: a square is drawn on whole ones. */
const SAME_SIDE = 0.5;

/** @param {number} one @param {number} other sides of squares, in image pixels */
export const sameSide = (one, other) => Math.abs(one - other) < SAME_SIDE;

/**
 * Whether a square, as it is drawn now, is the one that was read.
 * @param {{row: number, col: number, side: number}} square @param {{row: number, col: number, side: number}} roi
 */
export const wasReadAt = (square, roi) =>
  Math.floor(square.row + 0.5) === roi.row && Math.floor(square.col + 0.5) === roi.col && sameSide(square.side, roi.side);

/** @param {number} side of a square in image pixels @param {import("./api.js").ImageInfo} image @returns {string} */
export function sizeText(side, image) {
  return image.spacing_mm ? `${(side * image.spacing_mm).toFixed(1)} mm` : `${Math.round(side)} px`;
}

/** @param {{row: number, col: number, side: number}} place @returns {Square} */
export function squareOf({ row, col, side }, pixels = ROI_SIDE) {
  const before = (Math.floor(pixels / 2) + 0.5) * (side / pixels);
  return { top: Math.floor(row + 0.5) + 0.5 - before, left: Math.floor(col + 0.5) + 0.5 - before, side };
}

/** The square on the screen, its lines on whole pixels. @param {Square} square @param {import("./draw.js").View} view */
function onScreen({ top, left, side }, view) {
  const x = Math.round(view.x + left * view.scale),
    y = Math.round(view.y + top * view.scale);
  return { x, y, side: Math.round(view.x + (left + side) * view.scale) - x };
}

/**
 * The square whose line lies under a screen pixel.
 * @param {Pane} pane @param {Annotation[]} annotations the chosen one first @param {number} x @param {number} y @param {number} reach screen pixels
 */
export function gripAt(pane, annotations, x, y, reach) {
  return (
    annotations.find((annotation) => {
      const box = onScreen(squareOf(annotation), pane.view),
        dx = x - box.x,
        dy = y - box.y;
      const near = (/** @type {number} */ at) => Math.abs(at) <= reach || Math.abs(at - box.side) <= reach;
      const within = (/** @type {number} */ at) => at >= -reach && at <= box.side + reach;
      return (near(dx) && within(dy)) || (near(dy) && within(dx));
    }) ?? null
  );
}

/** The square around a pixel, the chosen one first. @param {Annotation[]} annotations @param {number} row @param {number} col */
export function squareAround(annotations, row, col) {
  return (
    annotations.find((annotation) => {
      const { top, left, side } = squareOf(annotation);
      return row >= top && row < top + side && col >= left && col < left + side;
    }) ?? null
  );
}

const INK = { chosen: "#8fd0e6", mine: "#d9dde2", other: "#c3a6e0", halo: "rgba(0,0,0,0.65)" };

/**
 * Draw a square with its lesion's letter.
 * @param {CanvasRenderingContext2D} context @param {Pane} pane @param {Annotation} annotation @param {boolean} chosen
 */
export function drawSquare(context, pane, annotation, chosen) {
  const { x, y, side } = onScreen(squareOf(annotation), pane.view),
    ratio = pane.ratio,
    line = Math.max(1, Math.round((chosen ? 2 : 1) * ratio));
  const ink = !annotation.mine ? INK.other : chosen ? INK.chosen : INK.mine,
    half = (line % 2) / 2;
  const path = new Path2D();
  path.rect(x + half, y + half, side, side);
  stroke(context, path, line, ink);
  context.font = `600 ${Math.round(12 * ratio)}px "Microcalc UI", "Segoe UI", Arial, sans-serif`;
  context.textBaseline = "bottom";
  const text = !annotation.mine ? `${annotation.lesion} · ${annotation.reader}` : annotation.lesion;
  context.lineWidth = 3 * ratio;
  context.strokeStyle = INK.halo;
  context.strokeText(text, x + 2 * ratio, y - 3 * ratio);
  context.fillStyle = ink;
  context.fillText(text, x + 2 * ratio, y - 3 * ratio);
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} path @param {number} line @param {string} ink */
function stroke(context, path, line, ink) {
  context.lineWidth = line + 2;
  context.strokeStyle = INK.halo;
  context.stroke(path);
  context.lineWidth = line;
  context.strokeStyle = ink;
  context.stroke(path);
}

/**
 * The corners of the square that a click would place.
 * @param {CanvasRenderingContext2D} context @param {Pane} pane @param {number} row @param {number} col @param {number} side image pixels
 */
export function drawGhost(context, pane, row, col, side) {
  const box = onScreen(squareOf({ row, col, side }), pane.view),
    arm = Math.max(4, Math.min(18 * pane.ratio, box.side / 4)),
    path = new Path2D();
  for (const [cx, cy, sx, sy] of [
    [0, 0, 1, 1],
    [1, 0, -1, 1],
    [0, 1, 1, -1],
    [1, 1, -1, -1],
  ]) {
    const x = box.x + cx * box.side + 0.5,
      y = box.y + cy * box.side + 0.5;
    path.moveTo(x + sx * arm, y);
    path.lineTo(x, y);
    path.lineTo(x, y + sy * arm);
  }
  context.globalAlpha = 0.75;
  stroke(context, path, Math.max(1, Math.round(pane.ratio)), INK.chosen);
  context.globalAlpha = 1;
}

/**
 * Colours of a heatmap: strong is red, weak is blue, nothing is clear.
 * @param {Uint8Array} values (N, N) @returns {HTMLCanvasElement}
 */
export function heatPicture(values) {
  const side = Math.round(Math.sqrt(values.length)),
    canvas = document.createElement("canvas");
  Object.assign(canvas, { width: side, height: side });
  const picture = new ImageData(side, side),
    { data } = picture;
  const ramp = (/** @type {number} */ at, /** @type {number} */ middle) =>
    255 * Math.min(1, Math.max(0, 1.5 - Math.abs(4 * at - middle)));
  for (let i = 0; i < values.length; i++) {
    const heat = values[i] / 255;
    data.set([ramp(heat, 3), ramp(heat, 2), ramp(heat, 1), 255 * Math.min(1, heat * 1.6)], 4 * i);
  }
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(picture, 0, 0);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context @param {Pane} pane @param {{row: number, col: number, side: number}} place
 * @param {HTMLCanvasElement} picture @param {number} opacity from 0 to 1
 */
export function drawHeat(context, pane, place, picture, opacity) {
  const { top, left, side } = squareOf(place),
    { scale, x, y } = pane.view;
  context.save();
  context.beginPath();
  if (pane.plane) context.rect(x, y, pane.plane.columns * scale, pane.plane.rows * scale);
  context.clip();
  context.globalAlpha = opacity;
  context.imageSmoothingEnabled = true;
  context.drawImage(picture, x + left * scale, y + top * scale, side * scale, side * scale);
  context.restore();
}

/** The first letter that no lesion has: A to Z, then AA, AB, ... @param {Iterable<string>} used */
export function nextLesion(used) {
  const taken = new Set(used);
  for (let n = 0; ; n++) {
    const letter = String.fromCharCode(65 + (n % 26)),
      name = n < 26 ? letter : String.fromCharCode(64 + Math.floor(n / 26)) + letter;
    if (!taken.has(name)) return name;
  }
}
