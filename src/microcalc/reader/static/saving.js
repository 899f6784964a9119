/**
 * Saving by itself: every change of an annotation goes to the server, one at a time, and is tried again until it is there.
 *
 * Changes made while one is on its way are put together and sent next. A conflict (somebody or another window saved in
 * between) stops the saving until the reader has decided.
 */
import { api, ApiError } from "./api.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").Labels} Labels
 * @typedef {"saved"|"saving"|"waiting"|"refused"|"conflict"} SaveState
 */

const FIELDS = /** @type {const} */ (["row", "col", "side", "lesion", "pathology", "birads", "morphology", "distribution", "note"]);
const RETRY_MS = 3000;

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
    /** @type {Annotation|null} */
    this.theirs = null;
    this.busy = false;
  }

  get unsaved() {
    return this.busy || Object.keys(this.pending).length > 0;
  }

  /** @param {Partial<Labels>} change @param {number} [delay] milliseconds */
  change(change, delay = 0) {
    Object.assign(this.annotation, change);
    Object.assign(this.pending, change);
    if (this.state !== "conflict") this.set("saving");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.flush(), delay);
  }

  /** @param {SaveState} state @param {string} [message] */
  set(state, message = "") {
    this.state = state;
    this.message = message;
    this.told(this);
  }

  /** Send what is not yet saved. */
  async flush() {
    clearTimeout(this.timer);
    if (this.busy || this.state === "conflict" || !Object.keys(this.pending).length) return;
    const sent = this.pending;
    this.pending = {};
    this.busy = true;
    try {
      const labels = Object.fromEntries(FIELDS.map((field) => [field, this.annotation[field]]));
      const saved = await api.change(this.annotation.id, { ...labels, revision: this.annotation.revision });
      Object.assign(this.annotation, { revision: saved.revision, updated: saved.updated });
      this.busy = false;
      this.set(Object.keys(this.pending).length ? "saving" : "saved");
    } catch (error) {
      this.busy = false;
      this.pending = { ...sent, ...this.pending };
      await this.failed(/** @type {ApiError} */ (error));
    }
    if (this.state === "saving" || this.state === "waiting") this.timer = setTimeout(() => this.flush(), this.state === "waiting" ? RETRY_MS : 0);
  }

  /** @param {ApiError} error */
  async failed(error) {
    if (error.status === 409) {
      this.theirs = error.body?.current ?? null;
      this.set("conflict", error.message);
    } else if (error.status === 0 || error.status >= 500 || error.status === 401 || error.status === 429) {
      this.set("waiting", error.message);
    } else {
      this.set("refused", [error.message, error.wayOut].filter(Boolean).join("; "));
    }
  }

  /** Mine goes over what was saved in between. @param {Annotation} theirs */
  keepMine(theirs) {
    this.annotation.revision = theirs.revision;
    this.set("saving");
    return this.flush();
  }

  /** What was saved in between stays. @param {Annotation} theirs */
  takeTheirs(theirs) {
    this.pending = {};
    Object.assign(this.annotation, theirs);
    this.set("saved");
  }
}
