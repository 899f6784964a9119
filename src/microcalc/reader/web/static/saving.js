/**
 * Saving by itself: every change of an annotation goes to the server, one at a time, and is tried again until it is there.
 *
 * Changes made while one is on its way are put together and sent next. A conflict (somebody, or another window, saved in between) stops
 * the saving until the reader has decided.
 */
import { api } from "./api.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").Labels} Labels
 * @typedef {"saved"|"saving"|"waiting"|"refused"|"conflict"} SaveState
 */

const FIELDS = /** @type {const} */ (["row", "col", "side", "lesion", "pathology", "birads", "morphology", "distribution", "note"]);
const RETRY_MS = 3000;

/** Answers after which the same change may well be taken later. @param {number} status */
const passing = (status) => status === 0 || status === 401 || status === 429 || status >= 500;

/** @type {Set<Saver>} those with something that the server does not have yet */
const unsaved = new Set();

/** Whether anything is not saved yet. */
export function anyUnsaved() {
  return unsaved.size > 0;
}

export class Saver {
  /**
   * @param {Annotation} annotation changed in place
   * @param {(saver: Saver) => void} told of every new state
   */
  constructor(annotation, told) {
    this.annotation = annotation;
    this.told = told;
    /** @type {SaveState} */
    this.state = "saved";
    this.message = "";
    /** @type {Partial<Labels>} */
    this.pending = {};
    /** What was saved in between, after a conflict. @type {Annotation|null} */
    this.theirs = null;
    /** @type {Promise<void>|null} */
    this.sending = null;
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
  }

  /** @param {Partial<Labels>} change @param {number} [delay] milliseconds in which more may follow */
  change(change, delay = 0) {
    Object.assign(this.annotation, change);
    Object.assign(this.pending, change);
    unsaved.add(this);
    if (this.state !== "conflict") this.set("saving");
    this.later(delay);
  }

  /** @param {number} delay milliseconds */
  later(delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), delay);
  }

  /** @param {SaveState} state @param {string} [message] */
  set(state, message = "") {
    this.state = state;
    this.message = message;
    if (state === "saved") unsaved.delete(this);
    this.told(this);
  }

  /** Send what is not yet saved. @returns {Promise<void>} when the answer is there */
  async flush() {
    clearTimeout(this.timer);
    if (this.sending) return this.sending;
    if (this.state === "conflict" || !Object.keys(this.pending).length) return undefined;
    this.sending = this.send();
    await this.sending;
    this.sending = null;
    if (this.state === "saving") return this.flush();
    if (this.state === "waiting") this.later(RETRY_MS);
    return undefined;
  }

  async send() {
    const sent = this.pending;
    this.pending = {};
    const labels = Object.fromEntries(FIELDS.map((field) => [field, this.annotation[field]]));
    try {
      const saved = await api.change(this.annotation.id, { ...labels, revision: this.annotation.revision });
      Object.assign(this.annotation, { revision: saved.revision, updated: saved.updated });
      this.set(Object.keys(this.pending).length ? "saving" : "saved");
    } catch (error) {
      this.pending = { ...sent, ...this.pending };
      this.failed(/** @type {import("./api.js").ApiError} */ (error));
    }
  }

  /** @param {import("./api.js").ApiError} error */
  failed(error) {
    const words = [error.message, error.wayOut].filter(Boolean).join("; ");
    this.theirs = error.status === 409 ? (error.body?.current ?? null) : null;
    const { theirs } = this;
    if (theirs && FIELDS.every((field) => theirs[field] === this.annotation[field])) return this.takeTheirs(); // the same was saved
    return this.set(this.theirs ? "conflict" : passing(error.status) ? "waiting" : "refused", words);
  }

  /** Send everything now, also what is changed meanwhile. @returns {Promise<boolean>} whether the server has it */
  async settled() {
    do await this.flush();
    while (this.sending || (this.state === "saving" && Object.keys(this.pending).length));
    return this.state === "saved";
  }

  /** Send nothing more. @returns {Promise<Partial<Labels>>} what the server does not have */
  async stop() {
    const kept = this.pending;
    this.pending = {};
    clearTimeout(this.timer);
    await this.sending;
    const unsent = { ...this.pending, ...kept };
    this.pending = {};
    clearTimeout(this.timer);
    unsaved.delete(this);
    return unsent;
  }

  /** After a conflict: mine goes over what was saved in between. */
  keepMine() {
    if (!this.theirs) return;
    this.annotation.revision = this.theirs.revision;
    this.set("saving");
    this.flush();
  }

  /** After a conflict: what was saved in between stays. */
  takeTheirs() {
    if (!this.theirs) return;
    this.pending = {};
    Object.assign(this.annotation, this.theirs);
    this.set("saved");
  }
}
