/**
 * One pane of the light box: an image on a canvas, moved, zoomed and windowed by mouse, pen, fingers and keys.
 *
 * The canvas has exactly the screen's own pixels; the image's corner always lies on a whole one. Squares and heatmaps are drawn
 * on a second canvas above it, by `roi.js`.
 */
import { h } from "./dom.js";
import { FULL, Painter, covered, drawer, sample } from "./draw.js";
import { WHITE, planeOf } from "./pixels.js";

/**
 * @typedef {import("./draw.js").View} View
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 * @typedef {{
 *   active: (pane: Pane) => void, window: (pane: Pane) => void, view: (pane: Pane) => void, over: (pane: Pane, row: number, col: number) => void,
 *   click: (pane: Pane, row: number, col: number, force: boolean) => void, grip: (pane: Pane, x: number, y: number, reach: number) => string|null,
 *   drag: (pane: Pane, id: string, rows: number, cols: number, done: boolean) => void,
 *   fitScale: () => (pane: Pane) => number,
 *   marks: (pane: Pane, context: CanvasRenderingContext2D) => void }} PaneEvents
 */

/** Screen pixels that a pointer may move and still be a click. */
const STILL = 4;
const LARGEST_SCALE = 16;
/** Side of the magnifier in CSS pixels. */
const LENS = 300;

export class Pane {
  /** @param {PaneEvents} events */
  constructor(events) {
    this.events = events;
    /** @type {ImageInfo|null} */
    this.image = null;
    /** @type {import("./pixels.js").Plane|null} */
    this.plane = null;
    this.view = { scale: 1, x: 0, y: 0 };
    this.window = { ...FULL };
    this.tool = "mark";
    this.lensOn = false;
    /** Which edge the chest wall is on when the image is fitted: -1 left, 0 unknown, 1 right. */
    this.wall = 0;
    /** Scale of the fitted image; nothing once it was zoomed by hand. */
    this.fitted = true;
    /** Called with the plane before it is first fitted. @type {(plane: import("./pixels.js").Plane) => void} */
    this.place = () => {};
    /** @type {{x: number, y: number}|null} */
    this.pointer = null;
    /** @type {Map<number, {x: number, y: number}>} */
    this.fingers = new Map();
    this.build();
  }

  build() {
    this.grey = h("canvas", { class: "grey", "aria-hidden": "true" });
    this.marks = h("canvas", { class: "marks", tabIndex: 0, role: "application", "aria-roledescription": "mammogram", "aria-label": "no image" });
    this.lens = h("canvas", { class: "lens", hidden: true, "aria-hidden": "true" });
    this.title = h("div", { class: "pane-title", "aria-hidden": "true" });
    this.foot = h("div", { class: "pane-foot", "aria-hidden": "true" });
    this.bar = h("progress", { class: "pane-progress", max: 1, value: 0, hidden: true, "aria-label": "image is loading" });
    this.refused = h("div", { class: "pane-refused", hidden: true });
    this.element = h("div", { class: "pane" }, this.grey, this.marks, this.title, this.foot, this.bar, this.refused, this.lens);
    this.listen();
    this.observer = new ResizeObserver(([entry]) => this.resize(entry));
    this.observer.observe(this.grey);
  }

  /** Let go of everything that outlives the element. */
  close() {
    this.observer?.disconnect();
    this.art?.show(null);
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
    this.marks.setAttribute("aria-label", image ? `${label}, mammogram; press question mark for the keys` : "no image");
    this.marks.tabIndex = image ? 0 : -1;
    this.refused.hidden = !image || image.accepted;
    this.art?.show(null);
    this.repaint();
    if (!image) return;
    if (!image.accepted) {
      this.refused.replaceChildren(h("strong", {}, "Not shown"), h("p", {}, image.message || image.code));
      return;
    }
    await this.load(image);
  }

  /** @param {ImageInfo} image */
  async load(image) {
    this.bar.hidden = false;
    this.bar.value = 0;
    try {
      const plane = await planeOf(image, (share) => { if (this.image === image) this.bar.value = share; });
      if (this.image !== image) return;
      this.plane = plane;
      this.art ??= this.makeArt(Math.max(plane.rows, plane.columns));
      this.art.show(plane);
      this.place(plane);
      this.fit();
      this.paint();
      performance.mark("image-visible", { detail: image.id });
    } catch (error) {
      if (this.image !== image) return;
      this.refused.hidden = false;
      this.refused.replaceChildren(h("strong", {}, "The image did not come"), h("p", {}, /** @type {Error} */ (error).message));
    } finally {
      if (this.image === image) this.bar.hidden = true;
    }
  }

  /** @param {number} largest side of the image */
  makeArt(largest) {
    this.grey.addEventListener("webglcontextlost", () => this.fallBack(), { once: true });
    return drawer(this.grey, Math.max(largest, 8192));
  }

  /** The graphics processor was taken away: go on with a 2D canvas. */
  fallBack() {
    const fresh = h("canvas", { class: "grey", "aria-hidden": "true", width: this.grey.width, height: this.grey.height });
    this.observer?.unobserve(this.grey);
    this.grey.replaceWith(fresh);
    this.grey = fresh;
    this.observer?.observe(fresh);
    this.art = new Painter(fresh);
    this.art.show(this.plane);
    this.repaint();
  }

  /** @param {ResizeObserverEntry} entry */
  resize(entry) {
    const ratio = window.devicePixelRatio, box = entry.devicePixelContentBoxSize?.[0];
    const width = box ? box.inlineSize : Math.round(entry.contentRect.width * ratio);
    const height = box ? box.blockSize : Math.round(entry.contentRect.height * ratio);
    if (!width || !height || (width === this.grey.width && height === this.grey.height)) return;
    const dx = Math.round((width - this.grey.width) / 2), dy = Math.round((height - this.grey.height) / 2);
    for (const canvas of [this.grey, this.marks]) Object.assign(canvas, { width, height });
    if (this.fitted) this.fit();
    else this.move(dx, dy);
    if (this.art instanceof Painter) this.art.key = "";
    this.paint();
  }

  /** Screen pixels for each CSS pixel. */
  get ratio() {
    return this.grey.width / Math.max(1, this.grey.clientWidth);
  }

  /** Scale at which the whole image is seen. */
  get fitScale() {
    if (!this.plane) return 1;
    return Math.min(this.grey.width / this.plane.columns, this.grey.height / this.plane.rows);
  }

  /** See the whole image, its chest wall at the pane's edge where that is known. @param {number} [scale] */
  fit(scale = this.events.fitScale()(this)) {
    if (!this.plane) return;
    const room = this.grey.width - this.plane.columns * scale;
    this.view = { scale, x: Math.round(this.wall < 0 ? 0 : this.wall > 0 ? room : room / 2), y: Math.round((this.grey.height - this.plane.rows * scale) / 2) };
    this.fitted = true;
    this.changed();
  }

  /**
   * Zoom so that the point under the pointer stays where it is.
   * @param {number} factor
   * @param {{x: number, y: number}} [at] screen pixels; the middle where nothing is given
   */
  zoom(factor, at = { x: this.grey.width / 2, y: this.grey.height / 2 }) {
    if (!this.plane) return;
    const { scale, x, y } = this.view, wanted = scale * factor;
    const passed = (scale - 1) * (wanted - 1) < 0 && Math.abs(factor - 1) < 0.5;
    const next = passed ? 1 : Math.min(LARGEST_SCALE, Math.max(Math.min(this.fitScale / 2, 1), wanted));
    this.view = { scale: next, x: Math.round(at.x - ((at.x - x) * next) / scale), y: Math.round(at.y - ((at.y - y) * next) / scale) };
    this.fitted = false;
    this.changed();
  }

  /** One image pixel on one screen pixel. */
  actualSize() {
    this.zoom(1 / this.view.scale, this.pointer ?? undefined);
  }

  /** @param {number} dx @param {number} dy screen pixels */
  move(dx, dy) {
    this.view = { ...this.view, x: this.view.x + Math.round(dx), y: this.view.y + Math.round(dy) };
    this.fitted = false;
    this.changed();
  }

  /** Bring a point of the image to the middle. @param {number} row @param {number} col */
  centre(row, col) {
    const { scale } = this.view;
    this.view = { scale, x: Math.round(this.grey.width / 2 - (col + 0.5) * scale), y: Math.round(this.grey.height / 2 - (row + 0.5) * scale) };
    this.fitted = false;
    this.changed();
  }

  /** The pixel of the image in the middle of the pane. */
  get middle() {
    return this.pixelAt(this.grey.width / 2, this.grey.height / 2);
  }

  /** The image's pixel under a screen pixel. @param {number} x @param {number} y */
  pixelAt(x, y) {
    return { row: Math.floor((y - this.view.y) / this.view.scale), col: Math.floor((x - this.view.x) / this.view.scale) };
  }

  /** Grey of a pixel, 0 to 65535, or nothing outside the image. @param {number} row @param {number} col */
  greyAt(row, col) {
    if (!this.plane || row < 0 || col < 0 || row >= this.plane.rows || col >= this.plane.columns) return null;
    return this.plane.level(0).data[row * this.plane.columns + col];
  }

  changed() {
    this.events.view(this);
    this.repaint();
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
    this.lens.hidden = !(this.lensOn && this.plane && this.pointer);
    if (this.lens.hidden || !this.plane || !this.pointer) return;
    const side = Math.round(LENS * this.ratio), { x, y } = this.pointer, scale = Math.max(1, this.view.scale * 2);
    if (this.lens.width !== side) Object.assign(this.lens, { width: side, height: side });
    this.lens.style.transform = `translate(${x / this.ratio - LENS / 2}px, ${y / this.ratio - LENS / 2}px)`;
    this.lensArt ??= new Painter(this.lens);
    if (this.lensArt.plane !== this.plane) this.lensArt.show(this.plane);
    const along = (/** @type {number} */ at, /** @type {number} */ origin) => Math.round(side / 2 - ((at - origin) / this.view.scale) * scale);
    this.lensArt.draw({ scale, x: along(x, this.view.x), y: along(y, this.view.y) }, this.window);
  }

  /** @param {Partial<import("./draw.js").Window>} change */
  setWindow(change) {
    this.window = { ...this.window, ...change };
    this.window.width = Math.min(2 * WHITE, Math.max(64, this.window.width));
    this.window.low = Math.min(WHITE - 1, Math.max(1 - this.window.width, this.window.low));
    this.repaint();
  }

  /** Widen and shift the window. @param {number} wider @param {number} up greys */
  shiftWindow(wider, up, from = this.window) {
    const middle = from.low + from.width / 2 + up, width = Math.max(64, from.width + wider);
    this.setWindow({ width, low: middle - width / 2 });
    this.events.window(this);
  }

  listen() {
    const on = (/** @type {string} */ name, /** @type {(event: any) => void} */ action, /** @type {object} */ options = {}) => this.marks.addEventListener(name, action, options);
    on("pointerdown", (event) => this.press(event));
    on("pointermove", (event) => this.slide(event));
    on("pointerup", (event) => this.lift(event, true));
    on("pointercancel", (event) => this.lift(event, false));
    on("pointerleave", () => { if (!this.fingers.size) { this.pointer = null; this.repaint(); } });
    on("contextmenu", (event) => event.preventDefault());
    on("focus", () => this.events.active(this));
    on("wheel", (event) => {
      event.preventDefault();
      const step = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      this.zoom(Math.exp(-Math.max(-240, Math.min(240, step)) * (event.ctrlKey ? 0.01 : 0.0016)), this.screen(event));
    }, { passive: false });
  }

  /** @param {{clientX: number, clientY: number}} event @returns {{x: number, y: number}} in screen pixels */
  screen(event) {
    const box = this.marks.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.ratio, y: (event.clientY - box.top) * this.ratio };
  }

  /** @param {PointerEvent} event */
  press(event) {
    if (!this.plane) return;
    const at = this.screen(event);
    this.marks.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, at);
    this.pointer = at;
    if (this.fingers.size === 2) {
      this.gesture = null;
      return;
    }
    const grip = event.button === 0 ? this.events.grip(this, at.x, at.y, (event.pointerType === "touch" ? 18 : 7) * this.ratio) : null;
    const kind = grip ? "square" : event.button === 2 || (event.button === 0 && this.tool === "window") ? "window" : "pan";
    this.gesture = { kind, grip, start: at, last: at, window: this.window, moved: false, button: event.button };
  }

  /** @param {PointerEvent} event */
  slide(event) {
    const at = this.screen(event), before = this.fingers.get(event.pointerId);
    this.pointer = at;
    const { row, col } = this.pixelAt(at.x, at.y);
    this.events.over(this, row, col);
    if (this.fingers.size === 2 && before) this.pinch(event.pointerId, before, at);
    if (before) this.fingers.set(event.pointerId, at);
    if (this.gesture && before) this.follow(this.gesture, at);
    else this.hint(at);
    if (this.lensOn || this.tool === "mark") this.repaint();
  }

  /** Show what a press here would take hold of. @param {{x: number, y: number}} at */
  hint(at) {
    const grip = this.plane && this.events.grip(this, at.x, at.y, 7 * this.ratio);
    this.marks.dataset.over = grip ? "grip" : this.tool;
  }

  /** @param {any} gesture @param {{x: number, y: number}} at */
  follow(gesture, at) {
    const { start, last } = gesture;
    if (!gesture.moved && Math.hypot(at.x - start.x, at.y - start.y) <= STILL * this.ratio) return;
    gesture.moved = true;
    const greys = WHITE / (600 * this.ratio);
    if (gesture.kind === "window") this.shiftWindow((at.x - start.x) * greys, (at.y - start.y) * greys, gesture.window);
    else if (gesture.kind === "square") this.drag(gesture, at, false);
    else this.move(at.x - last.x, at.y - last.y);
    gesture.last = at;
  }

  /** @param {any} gesture @param {{x: number, y: number}} at @param {boolean} done */
  drag(gesture, at, done) {
    const { scale } = this.view;
    this.events.drag(this, gesture.grip, (at.y - gesture.start.y) / scale, (at.x - gesture.start.x) / scale, done);
  }

  /** @param {number} id @param {{x: number, y: number}} before @param {{x: number, y: number}} at */
  pinch(id, before, at) {
    const other = [...this.fingers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const apart = (/** @type {{x: number, y: number}} */ a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    this.move((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.zoom(apart(at) / apart(before), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event @param {boolean} meant */
  lift(event, meant) {
    const gesture = this.gesture, at = this.screen(event);
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) return;
    this.gesture = null;
    if (event.pointerType === "touch") this.pointer = null;
    if (!gesture) return;
    if (gesture.kind === "square" && gesture.moved) this.drag(gesture, at, true);
    else if (meant && !gesture.moved && gesture.button === 0) {
      const { row, col } = this.pixelAt(at.x, at.y);
      this.events.click(this, row, col, event.shiftKey);
    }
    this.repaint();
  }
}

/**
 * Which edge the chest wall is on: the brighter of the two, since the breast lies there.
 * @param {import("./pixels.js").Plane} plane
 * @returns {-1|1}
 */
export function wallOf(plane) {
  const side = 64, view = { scale: side / Math.max(plane.rows, plane.columns), x: 0, y: 0 };
  const part = covered(plane, view, side, side), greys = sample(plane, view, part), edge = Math.max(1, Math.round(part.width / 8));
  let left = 0, right = 0;
  for (let y = 0; y < part.height; y++) for (let x = 0; x < edge; x++) {
    left += greys[y * part.width + x];
    right += greys[(y + 1) * part.width - 1 - x];
  }
  return left >= right ? -1 : 1;
}
