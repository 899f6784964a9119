/**
 * The light box: panes side by side, the one that keys act on, tools, and the window that they share.
 */
import { h } from "./dom.js";
import { FULL } from "./draw.js";
import { edgeFor, hang, inOrder, nameOf, wallOf } from "./hanging.js";
import { Pane } from "./viewer.js";

/**
 * @typedef {import("./hanging.js").Layout} Layout
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 * @typedef {Pick<import("./viewer.js").PaneEvents, "click"|"grip"|"drag"|"marks"> & {changed: () => void, over: (text: string) => void}} LightboxEvents
 */

/** Columns and rows of each layout. @type {Record<Layout, [number, number]>} */
const GRID = { one: [1, 1], views: [2, 1], breasts: [2, 1], four: [2, 2] };

export class Lightbox {
  /** @param {ImageInfo[]} images @param {LightboxEvents} events */
  constructor(images, events) {
    this.images = inOrder(images);
    this.events = events;
    /** @type {Layout} */
    this.layout = "one";
    this.linked = true;
    this.tool = "mark";
    this.lens = false;
    this.squares = true;
    /** @type {Pane[]} */
    this.panes = [];
    this.element = h("section", { class: "lightbox", "aria-label": "Images" });
    /** @type {Pane|null} */
    this.active = null;
  }

  /** The image that keys act on. */
  get image() {
    return this.active?.image ?? this.images[0] ?? null;
  }

  /** @param {ImageInfo} image @param {Layout} [layout] */
  show(image, layout = this.layout) {
    this.layout = layout;
    const wanted = hang(layout, this.images, image);
    this.element.dataset.layout = layout;
    while (this.panes.length > wanted.length) {
      const pane = /** @type {Pane} */ (this.panes.pop());
      pane.close();
      pane.element.remove();
    }
    while (this.panes.length < wanted.length) this.add();
    wanted.forEach((each, index) => this.fill(this.panes[index], each));
    const pane = this.panes[Math.max(0, wanted.indexOf(image))];
    if (this.element.contains(document.activeElement)) pane.marks.focus({ preventScroll: true });
    this.activate(pane);
  }

  add() {
    const pane = new Pane({
      ...this.events,
      active: (each) => this.activate(each),
      view: (each) => this.tell(each),
      window: (each) => this.share(each),
      over: (each, row, col) => this.over(each, row, col),
      fitScale: (each) => this.commonScale(each),
      edge: (each) => this.edge(each),
    });
    pane.tool = this.tool;
    pane.lensOn = this.lens;
    if (this.active) pane.window = { ...this.active.window };
    this.panes.push(pane);
    this.element.append(pane.element);
  }

  /** @param {Pane} pane @param {ImageInfo|null} image */
  async fill(pane, image) {
    await pane.show(image, image ? nameOf(image) : "");
    this.refit();
    this.events.changed();
  }

  /** Where a fitted image lies in its pane, by the side of its chest wall. @param {Pane} pane */
  edge(pane) {
    return pane.plane ? edgeFor(this.layout, this.panes.indexOf(pane) % GRID[this.layout][0], wallOf(pane.plane)) : 0;
  }

  /**
   * Scale of a fitted image: the same for all, so that both breasts are seen equally large; in mm where all spacings are known.
   * @param {Pane} wanted
   */
  commonScale(wanted) {
    const shown = this.panes.filter((pane) => pane.plane && pane.image),
      known = shown.every((pane) => pane.image?.spacing_mm);
    const mm = (/** @type {Pane} */ pane) => (known ? /** @type {number} */ (pane.image?.spacing_mm) : 1);
    return Math.min(...shown.map((pane) => pane.wholeScale / mm(pane))) * mm(wanted);
  }

  /** Fit again every pane that was not zoomed by hand. */
  refit() {
    for (const pane of this.panes) if (pane.fitted) pane.fit();
  }

  /** @param {Layout} layout */
  layOut(layout) {
    if (this.image) this.show(this.image, layout);
  }

  toggleLinked() {
    this.linked = !this.linked;
    this.events.changed();
  }

  toggleSquares() {
    this.squares = !this.squares;
    this.repaint();
    this.events.changed();
  }

  /** @param {Pane} pane */
  activate(pane) {
    this.active = pane;
    for (const each of this.panes) each.element.classList.toggle("active", each === pane && this.panes.length > 1);
    this.events.changed();
  }

  /** @param {Pane} pane */
  share(pane) {
    for (const each of this.panes) {
      if (each !== pane && this.linked) each.setWindow(pane.window);
      this.tell(each);
    }
  }

  /** Scale and window at the foot of a pane. @param {Pane} pane */
  tell(pane) {
    const { low, width, invert } = pane.window,
      percent = (/** @type {number} */ grey) => Math.round((100 * grey) / 65535);
    const zoom = pane.view.scale === 1 ? "1:1" : `${(100 * pane.view.scale).toFixed(pane.view.scale < 0.1 ? 1 : 0)} %`;
    pane.foot.textContent = pane.plane
      ? `${zoom}   W ${percent(width)}  L ${percent(low + width / 2)}${invert ? "  inverted" : ""}`
      : "";
    pane.element.dataset.scale = String(pane.view.scale);
    if (!pane.pointer) return;
    const { row, col } = pane.pixelAt(pane.pointer.x, pane.pointer.y);
    this.over(pane, row, col);
  }

  /** @param {Pane} pane @param {number} row @param {number} col */
  over(pane, row, col) {
    for (const each of this.panes) {
      if (each === pane || !each.pointer) continue;
      each.pointer = null;
      each.repaint();
    }
    const grey = pane.greyAt(row, col);
    this.events.over(grey === null ? "" : `${pane.title.textContent}   row ${row}  col ${col}   grey ${(grey / 65535).toFixed(3)}`);
  }

  /** @param {"mark"|"pan"|"window"} tool */
  setTool(tool) {
    this.tool = tool;
    for (const pane of this.panes) {
      pane.tool = tool;
      pane.marks.dataset.over = tool;
      pane.repaint();
    }
    this.events.changed();
  }

  toggleLens() {
    this.lens = !this.lens;
    for (const pane of this.panes) {
      pane.lensOn = this.lens;
      pane.pointer ??= this.lens && pane === this.active ? { x: pane.grey.width / 2, y: pane.grey.height / 2 } : null;
      pane.repaint();
    }
    this.events.changed();
  }

  invert() {
    if (!this.active) return;
    this.active.setWindow({ invert: !this.active.window.invert });
    this.share(this.active);
  }

  resetWindow() {
    if (!this.active) return;
    this.active.setWindow(FULL);
    this.share(this.active);
  }

  /** @param {(pane: Pane) => void} action on the active pane */
  act(action) {
    if (this.active?.plane) action(this.active);
  }

  fit() {
    this.act((pane) => {
      pane.fitted = true;
    });
    this.refit();
  }

  /** The image before or after the active one. @param {1|-1} step */
  turn(step) {
    const image = this.image;
    if (!image) return;
    const at = this.images.indexOf(image);
    this.show(this.images[(at + step + this.images.length) % this.images.length]);
  }

  repaint() {
    for (const pane of this.panes) pane.repaint();
  }

  close() {
    for (const pane of this.panes) pane.close();
  }
}
