/**
 * The rail of an exam's images: small pictures, which of them are on the light box, and how many squares each has.
 */
import { api } from "./api.js";
import { h, icon } from "./dom.js";
import { nameOf } from "./hanging.js";

/** @typedef {import("./api.js").ImageInfo} ImageInfo */

/** @param {ImageInfo[]} images @param {(image: ImageInfo) => void} show @returns {HTMLElement} */
export function rail(images, show) {
  return h(
    "nav",
    { class: "rail", "aria-label": "Images of the exam" },
    images.map((image) => thumb(image, show)),
  );
}

/** @param {ImageInfo} image @param {(image: ImageInfo) => void} show */
function thumb(image, show) {
  const { accepted, id, message } = image;
  const name = nameOf(image);
  const picture = accepted
    ? h("img", { src: api.thumbnail(id), alt: "", loading: "lazy", draggable: false })
    : h("span", { class: "no-image" }, icon("refused"));
  const labels = accepted
    ? { title: name, "aria-label": name }
    : { title: message, "aria-label": `${name}, not shown: ${message}` };
  return h(
    "button",
    { type: "button", class: accepted ? "thumb" : "thumb refused", dataset: { id }, ...labels, onclick: () => show(image) },
    picture,
    h("span", {}, name),
    h("span", { class: "count" }),
  );
}

/** @param {HTMLElement} element @param {ImageInfo|null} active @param {Array<ImageInfo|null>} shown */
export function lightRail(element, active, shown) {
  for (const button of element.querySelectorAll("button")) {
    button.setAttribute("aria-current", String(active?.id === button.dataset.id));
    button.classList.toggle(
      "shown",
      shown.some((image) => image?.id === button.dataset.id),
    );
  }
}

/** @param {HTMLElement} element @param {ImageInfo} image @param {number} squares */
export function showCount(element, image, squares) {
  const place = element.querySelector(`[data-id="${CSS.escape(image.id)}"] .count`);
  if (place) place.textContent = squares ? String(squares) : "";
}
