/**
 * Mouse, pen and fingers on a pane: what a press takes hold of, and what following it does.
 *
 * Left: a click marks or chooses, a drag moves the image, or a square by its line. Right: the window. Wheel and two fingers: zoom to
 * where they are.
 */
import { WHITE } from "./pixels.js";

/**
 * @typedef {import("./viewer.js").Pane} Pane
 * @typedef {{x: number, y: number}} Point in screen pixels of the pane
 * @typedef {"pan"|"window"|"square"} Kind
 * @typedef {{kind: Kind, grip: string|null, start: Point, last: Point, window: import("./draw.js").Window, moved: boolean, button: number}} Gesture
 */

/** CSS pixels that a pointer may move and still be a click. */
const STILL = 4;

/** CSS pixels across which a drag changes the window by all greys. */
const WINDOW_TRAVEL = 600;

/** Reach of a mouse and of a finger around a square's line, in CSS pixels. */
const REACH = { mouse: 7, touch: 18 };

export class Gestures {
  /** @param {Pane} pane */
  constructor(pane) {
    this.pane = pane;
    /** @type {Map<number, Point>} */
    this.fingers = new Map();
    /** @type {Gesture|null} */
    this.gesture = null;
    this.listen(pane.marks);
  }

  /** @param {HTMLCanvasElement} canvas */
  listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.slide(event));
    canvas.addEventListener("pointerup", (event) => this.lift(event, true));
    canvas.addEventListener("pointercancel", (event) => this.lift(event, false));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** @param {{clientX: number, clientY: number}} event @returns {Point} */
  point(event) {
    const box = this.pane.marks.getBoundingClientRect();
    return { x: (event.clientX - box.left) * this.pane.ratio, y: (event.clientY - box.top) * this.pane.ratio };
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const step = Math.max(-240, Math.min(240, event.deltaY * lines));
    this.pane.zoom(Math.exp(-step * (event.ctrlKey ? 0.01 : 0.0016)), this.point(event));
  }

  /** @param {PointerEvent} event */
  press(event) {
    const { pane } = this;
    if (!pane.plane) return;
    const at = this.point(event);
    pane.marks.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, at);
    pane.pointer = at;
    if (this.fingers.size > 1) {
      if (this.gesture) this.endDrag(this.gesture, this.gesture.last);
      this.gesture = null;
      return;
    }
    const grip = event.button === 0 ? this.gripAt(at, event.pointerType) : null;
    const windowing = event.button === 2 || (event.button === 0 && pane.tool === "window");
    const kind = grip ? "square" : windowing ? "window" : "pan";
    this.gesture = { kind, grip, start: at, last: at, window: pane.window, moved: false, button: event.button };
  }

  /** @param {Point} at @param {string} pointer */
  gripAt(at, pointer) {
    const reach = (pointer === "touch" ? REACH.touch : REACH.mouse) * this.pane.ratio;
    return this.pane.events.grip(this.pane, at.x, at.y, reach);
  }

  /** @param {PointerEvent} event */
  slide(event) {
    const { pane } = this;
    const at = this.point(event);
    const before = this.fingers.get(event.pointerId);
    pane.pointer = at;
    const { row, col } = pane.pixelAt(at.x, at.y);
    pane.events.over(pane, row, col);
    if (before) {
      if (this.fingers.size === 2) this.pinch(event.pointerId, before, at);
      this.fingers.set(event.pointerId, at);
      if (this.gesture) this.follow(this.gesture, at);
    } else {
      pane.marks.dataset.over = pane.plane && this.gripAt(at, event.pointerType) ? "grip" : pane.tool;
    }
    if (pane.lensOn || pane.tool === "mark") pane.repaint();
  }

  /** @param {Gesture} gesture @param {Point} at */
  follow(gesture, at) {
    const { start, last } = gesture;
    if (!gesture.moved && Math.hypot(at.x - start.x, at.y - start.y) <= STILL * this.pane.ratio) return;
    gesture.moved = true;
    const greys = WHITE / (WINDOW_TRAVEL * this.pane.ratio);
    if (gesture.kind === "window") this.pane.shiftWindow((at.x - start.x) * greys, (at.y - start.y) * greys, gesture.window);
    else if (gesture.kind === "square") this.dragSquare(gesture, at, false);
    else this.pane.move(at.x - last.x, at.y - last.y);
    gesture.last = at;
  }

  /** @param {Gesture} gesture @param {Point} at @param {boolean} done */
  dragSquare({ grip, start }, at, done) {
    const { scale } = this.pane.view;
    if (grip) this.pane.events.drag(this.pane, grip, (at.y - start.y) / scale, (at.x - start.x) / scale, done);
  }

  /** A square that was moved stays where it is now, and is saved. @param {Gesture} gesture @param {Point} at */
  endDrag(gesture, at) {
    if (gesture.kind === "square" && gesture.moved) this.dragSquare(gesture, at, true);
  }

  /** @param {number} id of the finger that moved @param {Point} before @param {Point} at */
  pinch(id, before, at) {
    const other = [...this.fingers].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const apart = (/** @type {Point} */ a) => Math.max(1, Math.hypot(a.x - other.x, a.y - other.y));
    this.pane.move((at.x - before.x) / 2, (at.y - before.y) / 2);
    this.pane.zoom(apart(at) / apart(before), { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 });
  }

  /** @param {PointerEvent} event @param {boolean} meant rather than broken off */
  lift(event, meant) {
    const { pane, gesture } = this;
    const at = this.point(event);
    this.fingers.delete(event.pointerId);
    if (this.fingers.size) return;
    this.gesture = null;
    if (event.pointerType === "touch") pane.pointer = null;
    if (gesture) this.endDrag(gesture, meant ? at : gesture.last);
    if (gesture && meant && !gesture.moved && gesture.button === 0) {
      const { row, col } = pane.pixelAt(gesture.start.x, gesture.start.y);
      pane.events.click(pane, row, col, event.shiftKey);
    }
    pane.repaint();
  }

  leave() {
    if (this.fingers.size) return;
    this.pane.pointer = null;
    this.pane.repaint();
  }
}
