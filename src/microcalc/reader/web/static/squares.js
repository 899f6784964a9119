/**
 * The squares of one exam: placing, moving, linking and removing them. No drawing, no elements.
 */
import { api } from "./api.js";
import { announce } from "./dom.js";
import { nameOf } from "./hanging.js";
import { nextLesion, sameSide, sideOn } from "./roi.js";
import { Saver } from "./saving.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 */

/** Labels that a square takes over from the lesion that it is linked to. */
const SHARED = /** @type {const} */ (["pathology", "birads", "morphology", "distribution"]);

/** A moved square is saved when it has rested so long. */
const REST_MS = 400;

/** @param {unknown} error */
const tell = (error) =>
  announce([/** @type {any} */ (error).message, /** @type {any} */ (error).wayOut].filter(Boolean).join("; "), "assertive");

export class Squares {
  /**
   * @param {import("./api.js").ExamInfo} exam
   * @param {import("./api.js").Study} study
   * @param {{listed: () => void, moved: (annotation: Annotation) => void, saving: (saver: Saver) => void}} told
   */
  constructor(exam, study, told) {
    this.exam = exam;
    this.study = study;
    this.told = told;
    /** @type {Annotation[]} */
    this.all = [];
    /** @type {Annotation|null} */
    this.chosen = null;
    /** @type {Map<string, Saver>} */
    this.savers = new Map();
    /** The last removed one, which can be put back. @type {Annotation|null} */
    this.removed = null;
    /** The square that is on its way to the server. @type {Promise<void>|null} */
    this.placing = null;
    /** Why nothing may be changed; "" where it may. */
    this.fixed = "";
  }

  /** Whether squares may be changed; if not, it is said why. */
  get open() {
    if (this.fixed) announce(this.fixed, "assertive");
    return !this.fixed;
  }

  /** Send everything that is not saved yet. @returns {Promise<string>} what the server does not have, in words; "" where it has all */
  async settled() {
    await this.placing;
    const savers = [...this.savers.values()];
    const done = await Promise.all(savers.map((saver) => saver.settled()));
    const { annotation, message } = savers[done.indexOf(false)] ?? {};
    if (!annotation) return "";
    return [`square ${this.nameOf(annotation)} is not saved yet`, message].filter(Boolean).join("; ");
  }

  /** Those that the server has. One that was placed while they were on their way stays, and what is not saved yet stays as it is. */
  async load() {
    const before = new Set(this.all.map((each) => each.id));
    const found = await api.annotations(this.exam.id);
    const placed = this.all.filter((each) => !before.has(each.id) && !found.some((other) => other.id === each.id));
    this.all = [...found.map((each) => this.renewed(each)), ...placed];
    if (this.chosen && !this.all.includes(this.chosen)) this.chosen = null;
    this.told.listed();
  }

  /** The object that the page has of a square, brought to what the server says. @param {Annotation} found */
  renewed(found) {
    const known = this.all.find((each) => each.id === found.id);
    if (known && (this.savers.get(known.id)?.state ?? "saved") === "saved") Object.assign(known, found);
    return known ?? found;
  }

  /** @param {Annotation} annotation @returns {ImageInfo} */
  imageOf(annotation) {
    return /** @type {ImageInfo} */ (this.exam.images.find((image) => image.id === annotation.image_id));
  }

  /** Its lesion and its view. @param {Annotation} annotation */
  nameOf(annotation) {
    return `${annotation.lesion} on ${nameOf(this.imageOf(annotation))}`;
  }

  /** Squares of an image, the chosen one first. @param {ImageInfo|null} image */
  on(image) {
    const here = this.all.filter((each) => each.image_id === image?.id);
    return here.sort((a, b) => Number(b === this.chosen) - Number(a === this.chosen));
  }

  /** The reader's own. */
  get mine() {
    return this.all.filter((each) => each.mine);
  }

  /** @param {Annotation} annotation */
  saver(annotation) {
    const saver = this.savers.get(annotation.id) ?? new Saver(annotation, (each) => this.told.saving(each));
    this.savers.set(annotation.id, saver);
    return saver;
  }

  /** @param {Annotation|null} annotation */
  choose(annotation) {
    if (this.chosen && this.chosen !== annotation) this.savers.get(this.chosen.id)?.flush();
    this.chosen = annotation;
    this.told.listed();
  }

  /** A new square around a pixel. @param {ImageInfo} image @param {number} row @param {number} col */
  async place(image, row, col) {
    if (!this.open) return;
    const lesion = nextLesion(this.mine.map((each) => each.lesion));
    await this.add(
      image,
      { row, col, side: sideOn(this.study, image), lesion, pathology: "", birads: "", morphology: "", distribution: "", note: "" },
      "placed",
    );
  }

  /** The last removed square once more, as a new one. */
  async putBack() {
    if (!this.removed || !this.open) return;
    const { row, col, side, lesion, pathology, birads, morphology, distribution, note } = this.removed;
    const image = this.imageOf(this.removed);
    this.removed = null;
    await this.add(image, { row, col, side, lesion, pathology, birads, morphology, distribution, note }, "put back");
  }

  /** @param {ImageInfo} image @param {import("./api.js").Labels} labels @param {string} what */
  add(image, labels, what) {
    this.placing = this.sent(image, labels, what);
    return this.placing;
  }

  /** @param {ImageInfo} image @param {import("./api.js").Labels} labels @param {string} what */
  async sent(image, labels, what) {
    try {
      const annotation = await api.annotate(image.id, labels);
      this.all.push(annotation);
      this.choose(annotation);
      announce(`Square ${annotation.lesion} ${what} on ${nameOf(image)}`);
    } catch (error) {
      tell(error);
    }
  }

  /** @param {Annotation} annotation @param {number} row @param {number} col @param {boolean} save */
  moveTo(annotation, row, col, save) {
    const image = this.imageOf(annotation);
    const within = (/** @type {number} */ at, /** @type {number} */ size) => Math.min(size - 1, Math.max(0, Math.round(at)));
    const place = { row: within(row, image.rows), col: within(col, image.columns) };
    if (save) this.saver(annotation).change(place, REST_MS);
    else Object.assign(annotation, place);
    this.told.moved(annotation);
  }

  /** Side that the study reads on a square's image, where that is not the square's own; null where it is. @param {Annotation} annotation */
  otherSide(annotation) {
    const image = this.imageOf(annotation);
    const side = sideOn(this.study, image);
    return this.study.networks.length && !sameSide(side, annotation.side) ? side : null;
  }

  /** Give one's own square the side that the study reads: what is drawn is what is read. @param {Annotation} annotation */
  fit(annotation) {
    const side = this.otherSide(annotation);
    if (side === null || !annotation.mine || this.fixed) return;
    this.saver(annotation).change({ side });
    this.told.moved(annotation);
  }

  /** Move the chosen square by image pixels. @param {number} rows @param {number} cols */
  nudge(rows, cols) {
    if (this.chosen?.mine && this.open) this.moveTo(this.chosen, this.chosen.row + rows, this.chosen.col + cols, true);
  }

  /** The square after or before the chosen one. @param {1|-1} step */
  next(step) {
    if (!this.all.length) return null;
    const at = this.chosen ? this.all.indexOf(this.chosen) + step : step > 0 ? 0 : -1;
    return this.all[(at + this.all.length) % this.all.length];
  }

  async remove() {
    const annotation = this.chosen;
    if (!annotation?.mine || !this.open) return;
    const saver = this.saver(annotation);
    const unsent = await saver.stop();
    try {
      await api.remove(annotation.id);
    } catch (error) {
      tell(error);
      if (Object.keys(unsent).length) saver.change(unsent);
      return;
    }
    this.savers.delete(annotation.id);
    this.all = this.all.filter((each) => each !== annotation);
    this.removed = annotation;
    this.choose(null);
    announce(`Square ${annotation.lesion} removed; Ctrl+Z puts it back`);
  }

  /** A lesion of the same breast in another view that the chosen square may show too. */
  get partner() {
    const { chosen, mine } = this;
    if (!chosen?.mine || mine.some((each) => each !== chosen && each.lesion === chosen.lesion)) return null;
    const side = this.imageOf(chosen).laterality;
    const here = new Set(mine.filter((each) => each.image_id === chosen.image_id).map((each) => each.lesion));
    const fits = (/** @type {Annotation} */ each) =>
      each.image_id !== chosen.image_id && this.imageOf(each).laterality === side && !here.has(each.lesion);
    return mine.filter(fits).at(-1) ?? null;
  }

  /** Join the chosen square to a lesion, or make it one of its own; empty labels are taken over. @param {string} lesion or "" */
  link(lesion) {
    const { chosen, mine } = this;
    if (!chosen?.mine || !this.open) return;
    const others = mine.filter((each) => each !== chosen);
    const model = others.find((each) => each.lesion === lesion);
    /** @type {Partial<import("./api.js").Labels>} */
    const change = { lesion: lesion || nextLesion(others.map((each) => each.lesion)) };
    for (const field of SHARED) if (model?.[field] && !chosen[field]) change[field] = model[field];
    this.saver(chosen).change(change);
    this.told.listed();
    announce(model ? `Linked to lesion ${lesion}` : `Lesion ${change.lesion}, of its own`);
  }

  linkPartner() {
    if (this.partner) this.link(this.partner.lesion);
  }
}
