/**
 * The readings of an exam's squares: asking for them, their heatmaps, and their way to the PACS. No elements.
 */
import { api } from "./api.js";
import { announce, plain, probability } from "./dom.js";
import { heatPicture } from "./roi.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").Reading} Reading
 */

const OUTBOX_MS = 2000;

/** For which PPV and NPV are told, until the page is loaded anew; the study's own at first. @type {number|undefined} */
let chosenPrevalence;

/** @param {unknown} error */
const words = (error) => [/** @type {any} */ (error).message, /** @type {any} */ (error).wayOut].filter(Boolean).join("; ");

/** A reading at the chosen prevalence; one of another study, which this server cannot explain, as it was made. @param {string} id */
async function explained(id) {
  try {
    return await api.reading(id, chosenPrevalence);
  } catch (error) {
    if (/** @type {any} */ (error).status !== 409) throw error;
    return api.reading(id);
  }
}

export class Readings {
  /** @param {boolean} pacs is set up @param {() => void} changed */
  constructor(pacs, changed) {
    this.pacs = pacs;
    this.changed = changed;
    /** @type {Map<string, Reading>} by annotation */
    this.all = new Map();
    /** @type {Set<string>} annotations that are being read */
    this.underWay = new Set();
    /** @type {Set<string>} readings that are being given to the outbox */
    this.beingSent = new Set();
    /** @type {Map<string, Map<string, Uint8Array>>} by reading, then by network; empty while they are on their way */
    this.heat = new Map();
    /** @type {Map<string, HTMLCanvasElement>} by reading and network */
    this.pictures = new Map();
    /** Which heatmap is shown, if any. @type {string|null} */
    this.network = null;
    this.opacity = 0.45;
    /** @type {import("./api.js").OutboxEntry[]} */
    this.outbox = [];
    /** @type {ReturnType<typeof setTimeout>|undefined} */
    this.timer = undefined;
    /** The exam was left. */
    this.closed = false;
  }

  /** @param {Annotation|null} annotation */
  of(annotation) {
    return annotation ? (this.all.get(annotation.id) ?? null) : null;
  }

  /** Readings made earlier. @param {Annotation[]} annotations */
  async load(annotations) {
    const read = annotations.filter((each) => each.reading_id);
    await Promise.all(
      read.map(async ({ id, reading_id: reading }) => this.all.set(id, await explained(/** @type {string} */ (reading)))),
    );
    await this.lookAtOutbox();
    this.changed();
  }

  /**
   * Have a square read; where the exam was left meanwhile, nothing is said, since another patient may be shown by then.
   * @param {Annotation} annotation @param {import("./saving.js").Saver} saver @param {string} name of the square
   * @returns {Promise<boolean>} false: the server reads other squares than the page knows
   */
  async read(annotation, saver, name) {
    if (this.underWay.has(annotation.id)) return true;
    let same = true;
    this.underWay.add(annotation.id);
    this.changed();
    try {
      if (!(await saver.settled())) throw new Error(`the square must be saved first; ${saver.message}`);
      const reading = await api.read(annotation.id, chosenPrevalence);
      this.all.set(annotation.id, reading);
      this.network ??= "ensemble";
      const verdict = `${probability(reading.ensemble)}, ${reading.called ? "above" : "not above"} the cut-off`;
      if (!this.closed) announce(`Square ${name}: ensemble ${verdict}`);
    } catch (error) {
      same = /** @type {any} */ (error).status !== 409;
      if (!this.closed) announce(`Square ${name} not read: ${words(error)}`, "assertive");
    }
    this.underWay.delete(annotation.id);
    this.changed();
    return same;
  }

  /** The heatmap to draw; those of a reading are fetched together when the first is asked for. @param {Annotation|null} annotation */
  picture(annotation) {
    const reading = this.of(annotation);
    if (!reading || !this.network) return null;
    const key = `${reading.id}/${this.network}`;
    const known = this.pictures.get(key);
    if (known) return known;
    const values = this.heat.get(reading.id);
    if (!values) this.fetchHeat(reading.id);
    const found = values?.get(this.network);
    if (!found) return null;
    const picture = heatPicture(found);
    this.pictures.set(key, picture);
    return picture;
  }

  /** @param {string} id of the reading */
  async fetchHeat(id) {
    this.heat.set(id, new Map());
    try {
      this.heat.set(id, await api.heatmaps(id));
    } catch (error) {
      this.heat.delete(id);
      this.network = null;
      announce(words(error), "assertive");
    }
    this.changed();
  }

  /** @param {string|null} network */
  show(network) {
    this.network = network;
    this.changed();
  }

  /** The next heatmap: none, ensemble, each network. @param {Annotation|null} annotation @param {1|-1} step */
  step(annotation, step) {
    const reading = this.of(annotation);
    if (!reading) return;
    const all = [null, "ensemble", ...Object.keys(reading.networks)];
    this.show(all[(all.indexOf(this.network) + step + all.length) % all.length]);
    announce(this.network ? `Heatmap of ${plain(this.network)}` : "No heatmap");
  }

  /** @param {number} opacity from 0 to 1 */
  fade(opacity) {
    this.opacity = Math.min(1, Math.max(0, opacity));
    this.changed();
  }

  /** @param {Annotation} annotation @param {number} prevalence from 0 to 1 */
  async explain(annotation, prevalence) {
    const reading = this.of(annotation);
    if (!reading) return;
    try {
      this.all.set(annotation.id, await api.reading(reading.id, prevalence));
      chosenPrevalence = prevalence;
      const others = [...this.all].filter(([id]) => id !== annotation.id);
      await Promise.all(others.map(async ([id, other]) => this.all.set(id, await explained(other.id))));
    } catch (error) {
      announce(words(error), "assertive");
    }
    this.changed();
  }

  /**
   * Send a reading with the labels of its square as they are shown.
   * @param {Annotation} annotation @param {import("./saving.js").Saver} saver
   * @returns {Promise<boolean>} false: the server has another square than the page shows
   */
  async send(annotation, saver) {
    const reading = this.of(annotation);
    if (!reading || !this.pacs || this.beingSent.has(reading.id)) return true;
    let same = true;
    this.beingSent.add(reading.id);
    try {
      if (!(await saver.settled())) throw new Error(`the square must be saved first; ${saver.message}`);
      await api.send(reading.id, annotation.revision);
      announce("On its way to the PACS");
    } catch (error) {
      same = /** @type {any} */ (error).status !== 409;
      announce(`Not sent: ${words(error)}`, "assertive");
    }
    this.beingSent.delete(reading.id);
    await this.lookAtOutbox();
    this.changed();
    return same;
  }

  /** The last object of each kind that was sent of a reading. @param {Reading} reading */
  sent(reading) {
    const entries = this.outbox.filter((entry) => entry.reading_id === reading.id);
    return entries.filter((entry, index) => entries.findIndex(({ kind }) => kind === entry.kind) === index);
  }

  /** Whether a square's labels were changed after its reading was sent. @param {Annotation} annotation @param {Reading} reading */
  outdated(annotation, reading) {
    const changed = new Date(annotation.updated);
    return annotation.revision > reading.revision && this.sent(reading).some(({ created }) => new Date(created) < changed);
  }

  /** Look at what is on its way, and again until it has arrived. */
  async lookAtOutbox() {
    clearTimeout(this.timer);
    if (!this.pacs || this.closed) return;
    this.outbox = await api.outbox().catch(() => this.outbox);
    if (this.outbox.every((entry) => entry.state === "sent")) return;
    this.timer = setTimeout(async () => {
      await this.lookAtOutbox();
      this.changed();
    }, OUTBOX_MS);
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
  }
}
