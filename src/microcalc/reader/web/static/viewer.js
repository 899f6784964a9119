/**
 * One pane of the light box: an image on a canvas, with its place, its scale and its window.
 *
 * The canvas has exactly the screen's own pixels, and the image's corner always lies on a whole one. Squares and heatmaps are drawn on a
 * second canvas above it, by `roi.js`; mouse and fingers are read by `gestures.js`.
 */
import { h } from "./dom.js";
import { drawer, FULL, Painter, Shader } from "./draw.js";
import { Gestures } from "./gestures.js";
import { planeOf, WHITE } from "./pixels.js";

/**
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 * @typedef {import("./draw.js").View} View
 * @typedef {import("./draw.js").Window} Window
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {import("./gestures.js").Point} Point
 *
 * @typedef {object} PaneEvents what a pane tells and asks
 * @property {(pane: Pane) => void} active it has the focus
 * @property {(pane: Pane) => void} view place or scale changed
 * @property {(pane: Pane) => void} window its window changed by hand
 * @property {(pane: Pane, row: number, col: number) => void} over the pointer is on this pixel
 * @property {(pane: Pane, row: number, col: number, force: boolean) => void} click force: a new square even inside another
 * @property {(pane: Pane, x: number, y: number, reach: number) => string|null} grip id of the square whose line is there
 * @property {(pane: Pane, id: string, rows: number, cols: number, done: boolean) => void} drag a square was pulled so far
 * @property {(pane: Pane) => number} fitScale at which the image is fitted beside the others
 * @property {(pane: Pane) => -1|0|1} edge that a fitted image lies at: left, middle, right
 * @property {(pane: Pane, context: CanvasRenderingContext2D) => void} marks draw what lies over the image
 */

const LARGEST_SCALE = 16;

/** Narrowest window, in greys of 65,536. */
const NARROWEST = 64;

/** Side of the magnifier in CSS pixels. */
const LENS = 300;

export class Pane {
  /** @param {PaneEvents} events */
  constructor(events) {
    this.events = events;
    /** @type {ImageInfo|null} */
    this.image = null;
    /** @type {Plane|null} */
    this.plane = null;
    /** @type {View} */
    this.view = { scale: 1, x: 0, y: 0 };
    /** @type {Window} */
    this.window = { ...FULL };
    this.tool = "mark";
    this.lensOn = false;
    /** Whether the image is fitted, rather than zoomed by hand. */
    this.fitted = true;
    /** @type {Point|null} */
    this.pointer = null;
    /** @type {Painter|Shader|null} */
    this.art = null;
    /** @type {Painter|null} */
    this.lensArt = null;
    /** @type {number|undefined} */
    this.frame = undefined;

    /** @type {HTMLCanvasElement} */
    this.grey = h("canvas", { class: "grey", "aria-hidden": "true" });
    /** @type {HTMLCanvasElement} */
    this.marks = h("canvas", { class: "marks", tabIndex: -1, role: "application", "aria-roledescription": "mammogram" });
    /** @type {HTMLCanvasElement} */
    this.lens = h("canvas", { class: "lens", hidden: true, "aria-hidden": "true" });
    this.title = h("div", { class: "pane-title", "aria-hidden": "true" });
    this.foot = h("div", { class: "pane-foot", "aria-hidden": "true" });
    this.bar = h("progress", { class: "pane-progress", max: 1, value: 0, hidden: true, "aria-label": "Image is loading" });
    this.refused = h("div", { class: "pane-refused", hidden: true, role: "status" });
    this.element = h("div", { class: "pane" }, this.grey, this.marks, this.title, this.foot, this.bar, this.refused, this.lens);
    this.gestures = new Gestures(this);
    this.marks.addEventListener("focus", () => events.active(this));
    this.observer = new ResizeObserver(([entry]) => this.resize(entry));
    this.observe();
  }

  /** A change of the screen's density alone counts too, where the browser tells it. */
  observe() {
    try {
      this.observer.observe(this.grey, { box: "device-pixel-content-box" });
    } catch {
      this.observer.observe(this.grey);
    }
  }

  /** Let go of everything that outlives the element. */
  close() {
    this.observer.disconnect();
    this.art?.close();
  }

  /**
   * Show an image, or nothing.
   * @param {ImageInfo|null} image
   * @param {string} label
   */
  async show(image, label) {
    if (image?.id === this.image?.id) return;
    this.image = image;
    this.plane = null;
    this.fitted = true;
    this.title.textContent = image ? label : "";
    this.marks.setAttribute("aria-label", image ? `${label}; press question mark for the keys` : "No image");
    this.marks.tabIndex = image ? 0 : -1;
    this.refused.hidden = true;
    this.bar.hidden = true;
    this.art?.show(null);
    this.repaint();
    if (image?.accepted) await this.load(image);
    else if (image) this.refuse("Not shown", image.message || image.code);
  }

  /** @param {string} title @param {string} why */
  refuse(title, why) {
    this.refused.hidden = false;
    this.refused.replaceChildren(h("strong", {}, title), h("p", {}, why));
  }

  /** @param {ImageInfo} image */
  async load(image) {
    this.bar.hidden = false;
    this.bar.value = 0;
    try {
      const plane = await planeOf(image, (share) => {
        if (this.image === image) this.bar.value = share;
      });
      if (this.image === image) this.take(plane);
    } catch (error) {
      if (this.image === image) this.refuse("The image did not come", /** @type {Error} */ (error).message);
    }
    if (this.image === image) this.bar.hidden = true;
  }

  /** @param {Plane} plane */
  take(plane) {
    this.plane = plane;
    if (!this.art) {
      this.art = drawer(this.grey);
      this.grey.addEventListener("webglcontextlost", () => this.fallBack(), { once: true });
    }
    if (this.art.fits(plane)) this.art.show(plane);
    else this.fallBack();
    this.fit();
    this.paint();
    performance.mark("image-visible", { detail: this.image?.id });
  }

  /** The graphics processor is gone, or the image too large for it: go on with a 2D canvas. */
  fallBack() {
    if (!this.element.isConnected) return;
    const { width, height } = this.grey;
    const fresh = h("canvas", { class: "grey", "aria-hidden": "true", width, height });
    this.observer.unobserve(this.grey);
    this.grey.replaceWith(fresh);
    this.grey = fresh;
    this.observe();
    this.art = new Painter(fresh);
    this.art.show(this.plane);
    this.repaint();
  }

  /** @param {ResizeObserverEntry} entry */
  resize(entry) {
    const { width, height } = screenSize(entry);
    if (!width || !height || (width === this.grey.width && height === this.grey.height)) return;
    const dx = (width - this.grey.width) / 2;
    const dy = (height - this.grey.height) / 2;
    for (const canvas of [this.grey, this.marks]) Object.assign(canvas, { width, height });
    this.art?.changed();
    if (this.fitted) this.fit();
    else this.move(dx, dy);
    this.paint();
  }

  /** Screen pixels for each CSS pixel. */
  get ratio() {
    return this.grey.width / Math.max(1, this.grey.clientWidth);
  }

  /** Scale at which the whole image is seen. */
  get wholeScale() {
    if (!this.plane) return 1;
    return Math.min(this.grey.width / this.plane.columns, this.grey.height / this.plane.rows);
  }

  /** See the whole image. */
  fit() {
    if (!this.plane) return;
    const scale = this.events.fitScale(this);
    const room = this.grey.width - this.plane.columns * scale;
    const x = (room * (this.events.edge(this) + 1)) / 2;
    this.place(scale, x, (this.grey.height - this.plane.rows * scale) / 2);
    this.fitted = true;
  }

  /**
   * Zoom by a step; one that goes across one to one stops there.
   * @param {number} factor
   * @param {Point} [at] stays where it is; the middle where nothing is given
   */
  zoom(factor, at) {
    const { scale } = this.view;
    const wanted = scale * factor;
    const passes = (scale - 1) * (wanted - 1) < 0;
    this.zoomTo(passes ? 1 : Math.min(LARGEST_SCALE, Math.max(Math.min(1, this.wholeScale / 2), wanted)), at);
  }

  /** @param {number} scale @param {Point} [at] */
  zoomTo(scale, at = { x: this.grey.width / 2, y: this.grey.height / 2 }) {
    const { scale: before, x, y } = this.view;
    this.place(scale, at.x - ((at.x - x) * scale) / before, at.y - ((at.y - y) * scale) / before);
  }

  /** One image pixel on one screen pixel. */
  actualSize() {
    this.zoomTo(1, this.pointer ?? undefined);
  }

  /** @param {number} dx @param {number} dy screen pixels */
  move(dx, dy) {
    this.place(this.view.scale, this.view.x + dx, this.view.y + dy);
  }

  /** Bring a pixel of the image to the middle. @param {number} row @param {number} col */
  centre(row, col) {
    const { scale } = this.view;
    this.place(scale, this.grey.width / 2 - (col + 0.5) * scale, this.grey.height / 2 - (row + 0.5) * scale);
  }

  /** @param {number} scale @param {number} x of the image's corner @param {number} y */
  place(scale, x, y) {
    if (!this.plane) return;
    this.view = { scale, x: Math.round(x), y: Math.round(y) };
    this.fitted = false;
    this.events.view(this);
    this.repaint();
  }

  /** The image's pixel under a screen pixel. @param {number} x @param {number} y */
  pixelAt(x, y) {
    return { row: Math.floor((y - this.view.y) / this.view.scale), col: Math.floor((x - this.view.x) / this.view.scale) };
  }

  /** The image's pixel in the middle of the pane. */
  get middle() {
    return this.pixelAt(this.grey.width / 2, this.grey.height / 2);
  }

  /** Grey of a pixel, 0 to 65535; nothing outside the image. @param {number} row @param {number} col */
  greyAt(row, col) {
    if (!this.plane || row < 0 || col < 0 || row >= this.plane.rows || col >= this.plane.columns) return null;
    return this.plane.level(0).data[row * this.plane.columns + col];
  }

  /** @param {Partial<Window>} change */
  setWindow(change) {
    const { low, width, invert } = { ...this.window, ...change };
    const span = Math.min(2 * WHITE, Math.max(NARROWEST, width));
    this.window = { low: Math.min(WHITE - 1, Math.max(1 - span, low)), width: span, invert };
    this.repaint();
  }

  /** Widen the window and shift its middle. @param {number} wider @param {number} up greys */
  shiftWindow(wider, up, from = this.window) {
    const width = Math.max(NARROWEST, from.width + wider);
    this.setWindow({ width, low: from.low + from.width / 2 + up - width / 2 });
    this.events.window(this);
  }

  /** Paint at the screen's next frame, once however often it is asked for. */
  repaint() {
    this.frame ??= requestAnimationFrame(() => this.paint());
  }

  paint() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = undefined;
    this.art?.draw(this.view, this.window);
    const context = /** @type {CanvasRenderingContext2D} */ (this.marks.getContext("2d"));
    context.clearRect(0, 0, this.marks.width, this.marks.height);
    if (this.plane) this.events.marks(this, context);
    this.paintLens();
  }

  /** The lens shows one image pixel on one screen pixel, or twice the scale where that is more. */
  paintLens() {
    const { plane, pointer, lens } = this;
    lens.hidden = !(this.lensOn && plane && pointer);
    if (!this.lensOn || !plane || !pointer) return;
    const side = Math.round(LENS * this.ratio);
    const scale = Math.max(1, this.view.scale * 2);
    if (lens.width !== side) Object.assign(lens, { width: side, height: side });
    lens.style.transform = `translate(${pointer.x / this.ratio - LENS / 2}px, ${pointer.y / this.ratio - LENS / 2}px)`;
    this.lensArt ??= new Painter(lens);
    if (this.lensArt.plane !== plane) this.lensArt.show(plane);
    const along = (/** @type {number} */ at, /** @type {number} */ origin) =>
      Math.round(side / 2 - ((at - origin) / this.view.scale) * scale);
    this.lensArt.draw({ scale, x: along(pointer.x, this.view.x), y: along(pointer.y, this.view.y) }, this.window);
  }
}

/**
 * Screen pixels that an element covers: as the browser says, which knows how it rounds, unless it says something else than the
 * density does (some remote screens).
 * @param {ResizeObserverEntry} entry
 */
function screenSize({ contentRect, devicePixelContentBoxSize }) {
  const width = contentRect.width * devicePixelRatio;
  const height = contentRect.height * devicePixelRatio;
  const said = devicePixelContentBoxSize?.[0];
  const fits = said && Math.abs(said.inlineSize - width) <= 1 && Math.abs(said.blockSize - height) <= 1;
  return fits ? { width: said.inlineSize, height: said.blockSize } : { width: Math.round(width), height: Math.round(height) };
}
