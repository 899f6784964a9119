/**
 * Building elements, icons, announcements and dialogs.
 *
 * Texts are only ever set as text, never as markup, so that no name or note can bring in a script.
 */

/**
 * An element. Properties that begin with "on" are listeners, "dataset" is a map; others are properties, or attributes where no such property exists.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|number|null|undefined|false|Array<any>)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.startsWith("aria")) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(
    ...children
      .flat()
      .filter((c) => c !== null && c !== undefined && c !== false && c !== "")
      .map(nodeOrText),
  );
  return element;
}

/** @param {any} child */
const nodeOrText = (child) => (child instanceof Node ? child : String(child));

/**
 * A drawing out of the sheet icons.svg; it says nothing to a screen reader, its button does.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", new URL(`icons/icons.svg#${name}`, import.meta.url).href);
  svg.append(use);
  return svg;
}

/**
 * A button with an icon; its label and key are shown as a tip.
 * @param {string} name of the icon
 * @param {string} label
 * @param {string} key
 * @param {(event: Event) => void} action
 * @param {Record<string, any>} [props]
 */
export function iconButton(name, label, key, action, props = {}) {
  const tip = key ? `${label} (${key})` : label;
  return h(
    "button",
    { type: "button", class: "icon-button", "aria-label": label, title: tip, onclick: action, ...props },
    icon(name),
  );
}

/**
 * Say something to a screen reader, and show it for a while at the foot of the page.
 * @param {string} text
 * @param {"polite"|"assertive"} [manner]
 */
export function announce(text, manner = "polite") {
  const place = /** @type {HTMLElement} */ (document.getElementById(manner === "polite" ? "said" : "warned"));
  place.textContent = "";
  requestAnimationFrame(() => {
    place.textContent = text;
  });
  clearTimeout(announce.timer);
  announce.timer = setTimeout(
    () => {
      place.textContent = "";
    },
    manner === "polite" ? 3500 : 9000,
  );
}
/** @type {ReturnType<typeof setTimeout>|undefined} */
announce.timer = undefined;

/**
 * A dialog over the page; Escape or the cross closes it, unless it is fixed, and the focus goes back to where it was.
 * @param {string} title
 * @param {Node[]} content
 * @param {{wide?: boolean, fixed?: boolean}} [options]
 * @returns {HTMLDialogElement}
 */
export function dialog(title, content, { wide = false, fixed = false } = {}) {
  const close = fixed ? null : iconButton("close", "Close", "Esc", () => box.close());
  const box = h(
    "dialog",
    { class: wide ? "dialog wide" : "dialog", "aria-labelledby": "dialog-title" },
    h("header", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title), close),
    h("div", { class: "dialog-body" }, content),
  );
  box.addEventListener("close", () => box.remove());
  box.addEventListener("cancel", (/** @type {Event} */ event) => {
    if (fixed) event.preventDefault();
  });
  box.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === box && !fixed) box.close();
  });
  document.body.append(box);
  box.showModal();
  return box;
}

/** @param {string} word of a vocabulary, as the files have it @returns {string} as people read it */
export function plain(word) {
  const known = /** @type {Record<string, string>} */ ({
    dcis: "DCIS",
    birads: "BI-RADS",
    high_risk: "high risk",
    resnet101: "ResNet-101",
    xception: "Xception",
    inception_v3: "Inception-v3",
    inception_resnet_v2: "Inception-ResNet-v2",
    densenet201: "DenseNet-201",
    ensemble: "Ensemble",
  });
  return known[word] ?? word.replaceAll("_", " ");
}

/** A probability with two digits, never rounded to 0 or 1. @param {number|null|undefined} value @returns {string} */
export function probability(value) {
  if (value === null || value === undefined) return "–";
  if (value > 0 && value < 0.005) return "< 0.01";
  if (value < 1 && value >= 0.995) return "> 0.99";
  return value.toFixed(2);
}

/** @param {string} moment ISO 8601 @returns {string} day and minute, in the reader's own time */
export function clock(moment) {
  const date = new Date(moment);
  if (Number.isNaN(date.getTime())) return moment ?? "";
  const today = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  return today ? time : `${date.toLocaleDateString()} ${time}`;
}
