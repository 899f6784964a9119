/**
 * One exam: its images on the light box, its squares, their labels and readings. Puts the other modules together.
 */
import { agreementDialog } from "./agreement.js";
import { api } from "./api.js";
import { announce, h, icon, iconButton } from "./dom.js";
import { nameOf } from "./hanging.js";
import { labelForm, showHistory } from "./labels.js";
import { Lightbox } from "./lightbox.js";
import { heatmapOf, readingCard } from "./reading.js";
import { drawGhost, drawHeat, drawSquare, gripAt, heatPicture, nextLesion, sideOn, squareAround } from "./roi.js";
import { Saver } from "./saving.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").Reading} Reading
 * @typedef {import("./viewer.js").Pane} Pane
 */

const OUTBOX_MS = 2000;

export class ExamPage {
  /** @param {{me: import("./api.js").Me, study: import("./api.js").Study, pacs: boolean, over: (text: string) => void}} room @param {import("./api.js").ExamInfo} exam */
  constructor(room, exam) {
    this.room = room;
    this.exam = exam;
    /** @type {Annotation[]} */
    this.annotations = [];
    /** @type {Annotation|null} */
    this.chosen = null;
    /** @type {Map<string, Saver>} */
    this.savers = new Map();
    /** @type {Map<string, Reading>} by annotation */
    this.readings = new Map();
    /** @type {Map<string, HTMLCanvasElement>} by reading and network */
    this.pictures = new Map();
    /** @type {{network: string|null, opacity: number}} */
    this.heat = { network: null, opacity: 0.45 };
    /** @type {import("./api.js").OutboxEntry[]} */
    this.outbox = [];
    /** @type {{start: Annotation, row: number, col: number}|null} */
    this.dragged = null;
    /** @type {Set<string>} annotations being read */
    this.underWay = new Set();
    this.light = new Lightbox(exam.images, {
      click: (pane, row, col, force) => this.click(pane, row, col, force),
      grip: (pane, x, y, reach) => (this.light.squares ? gripAt(pane, this.on(pane).filter((a) => a.mine !== false), x, y, reach)?.id ?? null : null),
      drag: (pane, id, rows, cols, done) => this.drag(id, rows, cols, done),
      marks: (pane, context) => this.marks(pane, context),
      changed: () => this.lit(),
      over: room.over,
    });
    this.rail = h("nav", { class: "rail", "aria-label": "Images of the exam" });
    this.list = h("section", { class: "card", "aria-label": "Squares" });
    this.form = h("div");
    this.result = h("div");
    this.notes = h("section", { class: "card notes", "aria-label": "Notes on the image" });
    this.panel = h("aside", { class: "panel", "aria-label": "Squares, labels and reading" }, this.list, this.form, this.result, this.notes);
    this.element = h("main", { class: "exam" }, this.rail, this.light.element, this.panel);
  }

  async open() {
    const first = this.light.images.find((image) => image.accepted) ?? this.light.images[0];
    this.drawRail();
    if (first) this.light.show(first, this.exam.images.filter((image) => image.accepted).length > 1 ? "views" : "one");
    this.annotations = await api.annotations(this.exam.id);
    this.redraw();
    await Promise.all(this.annotations.map((annotation) => annotation.reading_id && api.reading(annotation.reading_id).then((reading) => this.readings.set(annotation.id, reading))));
    await this.lookAtOutbox();
    this.redraw();
  }

  close() {
    clearTimeout(this.timer);
    for (const saver of this.savers.values()) saver.flush();
    this.light.close();
  }

  get unsaved() {
    return [...this.savers.values()].some((saver) => saver.unsaved);
  }

  /** Squares of a pane's image, the chosen one first. @param {Pane} pane */
  on(pane) {
    const here = this.annotations.filter((annotation) => annotation.image_id === pane.image?.id);
    return here.sort((a, b) => Number(b === this.chosen) - Number(a === this.chosen));
  }

  /** @param {Annotation} annotation */
  imageOf(annotation) {
    return /** @type {import("./api.js").ImageInfo} */ (this.exam.images.find((image) => image.id === annotation.image_id));
  }

  /** @param {Annotation} annotation */
  saver(annotation) {
    const saver = this.savers.get(annotation.id) ?? new Saver(annotation, () => { this.formRefresh?.(); this.light.repaint(); if (saver.state === "saved") this.drawList(); });
    this.savers.set(annotation.id, saver);
    return saver;
  }

  /** @param {Pane} pane @param {CanvasRenderingContext2D} context */
  marks(pane, context) {
    for (const annotation of this.on(pane)) {
      const reading = this.readings.get(annotation.id), picture = reading && this.heat.network && this.pictures.get(`${reading.id}/${this.heat.network}`);
      if (reading && picture && annotation === this.chosen) drawHeat(context, pane, { ...reading.roi }, picture, this.heat.opacity);
    }
    if (!this.light.squares) return;
    for (const annotation of this.on(pane).reverse()) drawSquare(context, pane, annotation, annotation === this.chosen);
    const { pointer } = pane;
    if (pane.tool !== "mark" || !pointer || pane.gesture || !pane.image || pane.lensOn) return;
    const { row, col } = pane.pixelAt(pointer.x, pointer.y);
    if (pane.greyAt(row, col) !== null && !squareAround(this.on(pane), row, col)) drawGhost(context, pane, row, col, sideOn(this.room.study, pane.image));
  }

  /** @param {Pane} pane @param {number} row @param {number} col @param {boolean} force */
  click(pane, row, col, force) {
    const found = force || !this.light.squares ? null : squareAround(this.on(pane), row, col);
    if (found) this.choose(found);
    else if (pane.tool === "mark") this.place(pane, row, col);
    else this.choose(null);
  }

  /** A new square. @param {Pane} pane @param {number} row @param {number} col */
  async place(pane, row, col) {
    const image = pane.image;
    if (!image || pane.greyAt(row, col) === null) return;
    const labels = { row, col, side: sideOn(this.room.study, image), lesion: nextLesion(this.annotations.map((a) => a.lesion)), pathology: "", birads: "", morphology: "", distribution: "", note: "" };
    this.light.squares = true;
    try {
      const annotation = { ...labels, mine: true, ...(await api.annotate(image.id, labels)), image_id: image.id };
      this.annotations.push(annotation);
      this.choose(annotation);
      announce(`Square ${annotation.lesion} placed on ${nameOf(image)} and saved`);
    } catch (error) {
      announce(`The square was not saved. ${/** @type {Error} */ (error).message}`, "assertive");
    }
  }

  /** A square at the middle of the active pane, for those who use no mouse. */
  placeInMiddle() {
    this.light.act((pane) => this.place(pane, pane.middle.row, pane.middle.col));
  }

  /** @param {string} id @param {number} rows @param {number} cols since the press @param {boolean} done */
  drag(id, rows, cols, done) {
    const annotation = this.annotations.find((each) => each.id === id);
    if (!annotation) return;
    if (this.chosen !== annotation) this.choose(annotation);
    this.dragged ??= { start: annotation, row: annotation.row, col: annotation.col };
    this.moveTo(annotation, this.dragged.row + rows, this.dragged.col + cols, done);
    if (done) this.dragged = null;
  }

  /** @param {Annotation} annotation @param {number} row @param {number} col @param {boolean} save */
  moveTo(annotation, row, col, save) {
    const image = this.imageOf(annotation), within = (/** @type {number} */ at, /** @type {number} */ size) => Math.min(size - 1, Math.max(0, Math.round(at)));
    const place = { row: within(row, image.rows), col: within(col, image.columns) };
    if (save) this.saver(annotation).change(place, 300);
    else Object.assign(annotation, place);
    this.formRefresh?.();
    if (save) this.drawResult();
    this.light.repaint();
  }

  /** Move the chosen square by image pixels. @param {number} rows @param {number} cols */
  nudge(rows, cols) {
    if (this.chosen && this.chosen.mine !== false) this.moveTo(this.chosen, this.chosen.row + rows, this.chosen.col + cols, true);
  }

  /** @param {Annotation|null} annotation @param {boolean} [look] bring it into view */
  choose(annotation, look = false) {
    if (this.chosen && this.chosen !== annotation) this.savers.get(this.chosen.id)?.flush();
    this.chosen = annotation;
    if (annotation && look) this.lookAt(annotation);
    this.redraw();
    if (annotation && this.heat.network) this.loadHeat();
  }

  /** @param {Annotation} annotation */
  lookAt(annotation) {
    const pane = this.light.panes.find((each) => each.image?.id === annotation.image_id);
    if (!pane) this.light.show(this.imageOf(annotation));
    else this.light.activate(pane);
    this.light.act((each) => { if (!each.fitted) each.centre(annotation.row, annotation.col); });
  }

  /** The next or previous square of the exam. @param {1|-1} step */
  stepSquare(step) {
    if (!this.annotations.length) return;
    const at = this.chosen ? this.annotations.indexOf(this.chosen) + step : step > 0 ? 0 : -1;
    this.choose(this.annotations[(at + this.annotations.length) % this.annotations.length], true);
  }

  async remove() {
    const annotation = this.chosen;
    if (!annotation || annotation.mine === false) return;
    try {
      await api.remove(annotation.id);
      this.annotations = this.annotations.filter((each) => each !== annotation);
      this.savers.delete(annotation.id);
      this.choose(null);
      announce(`Square ${annotation.lesion} removed; its history is kept`);
    } catch (error) {
      announce(/** @type {Error} */ (error).message, "assertive");
    }
  }

  /** The same breast's lesion in another view that the chosen square may show too. */
  get partner() {
    const chosen = this.chosen;
    if (!chosen || chosen.mine === false || this.annotations.some((each) => each !== chosen && each.lesion === chosen.lesion)) return null;
    const side = this.imageOf(chosen).laterality;
    const others = this.annotations.filter((each) => each.mine !== false && each.image_id !== chosen.image_id && this.imageOf(each).laterality === side
      && !this.annotations.some((third) => third.lesion === each.lesion && third.image_id === chosen.image_id));
    return others.at(-1) ?? null;
  }

  /** Join the chosen square to a lesion, or make it one of its own; empty labels are taken over. @param {string} lesion */
  link(lesion) {
    const chosen = this.chosen;
    if (!chosen || chosen.mine === false) return;
    const model = this.annotations.find((each) => each !== chosen && each.lesion === lesion);
    /** @type {any} */
    const change = { lesion: lesion || nextLesion(this.annotations.filter((each) => each !== chosen).map((each) => each.lesion)) };
    for (const field of /** @type {const} */ (["pathology", "birads", "morphology", "distribution"])) if (model?.[field] && !chosen[field]) change[field] = model[field];
    this.saver(chosen).change(change);
    this.redraw();
    announce(model ? `Linked to lesion ${lesion}` : `Lesion ${change.lesion} of its own`);
  }

  linkPartner() {
    if (this.partner) this.link(this.partner.lesion);
  }

  async read() {
    const annotation = this.chosen;
    if (!annotation || this.underWay.has(annotation.id)) return;
    this.underWay.add(annotation.id);
    this.drawResult();
    try {
      await this.savers.get(annotation.id)?.flush();
      const reading = await api.read(annotation.id);
      this.readings.set(annotation.id, reading);
      announce(`Ensemble ${reading.ensemble.toFixed(2)}, ${reading.called ? "above" : "not above"} the cut-off`);
      this.showHeat(this.heat.network ?? "ensemble");
    } catch (error) {
      announce(`Not read. ${/** @type {Error} */ (error).message}`, "assertive");
    } finally {
      this.underWay.delete(annotation.id);
      this.redraw();
      this.result.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {string|null} network */
  showHeat(network) {
    this.heat.network = network;
    this.loadHeat();
    this.drawResult();
  }

  async loadHeat() {
    const reading = this.chosen && this.readings.get(this.chosen.id), { network } = this.heat;
    if (reading && network && !this.pictures.has(`${reading.id}/${network}`)) {
      try {
        this.pictures.set(`${reading.id}/${network}`, heatPicture(await heatmapOf(reading.id, network)));
      } catch (error) {
        announce(/** @type {Error} */ (error).message, "assertive");
      }
    }
    this.light.repaint();
  }

  /** The next heatmap: none, ensemble, each network. @param {1|-1} step */
  stepHeat(step) {
    const reading = this.chosen && this.readings.get(this.chosen.id);
    if (!reading) return;
    const all = [null, "ensemble", ...Object.keys(reading.networks)];
    this.showHeat(all[(all.indexOf(this.heat.network) + step + all.length) % all.length]);
    announce(this.heat.network ? `Heatmap of ${this.heat.network}` : "No heatmap");
  }

  /** @param {number} opacity */
  fade(opacity) {
    this.heat.opacity = Math.min(1, Math.max(0, opacity));
    this.light.repaint();
  }

  /** @param {number} value */
  async setPrevalence(value) {
    const annotation = this.chosen, reading = annotation && this.readings.get(annotation.id);
    if (!annotation || !reading) return;
    this.readings.set(annotation.id, await api.reading(reading.id, value));
    this.drawResult();
  }

  async send() {
    const reading = this.chosen && this.readings.get(this.chosen.id);
    if (!reading) return;
    try {
      await api.send(reading.id);
      await this.lookAtOutbox();
    } catch (error) {
      announce(/** @type {Error} */ (error).message, "assertive");
    }
    this.drawResult();
  }

  async lookAtOutbox() {
    clearTimeout(this.timer);
    if (!this.room.pacs) return;
    this.outbox = await api.outbox().catch(() => this.outbox);
    if (this.outbox.some((entry) => entry.state !== "sent" && entry.state !== "failed")) this.timer = setTimeout(() => this.lookAtOutbox().then(() => this.drawResult()), OUTBOX_MS);
  }

  showHistory() {
    if (this.chosen) showHistory(this.chosen);
  }

  showAgreement() {
    agreementDialog(this.exam.id);
  }

  /** Which image is lit in the rail, and its notes. */
  lit() {
    for (const button of this.rail.querySelectorAll("button")) {
      const shown = this.light.panes.some((pane) => pane.image?.id === button.dataset.id);
      button.setAttribute("aria-current", String(this.light.image?.id === button.dataset.id));
      button.classList.toggle("shown", shown);
    }
    const image = this.light.image;
    this.notes.hidden = !image?.notes?.length;
    if (image) this.notes.replaceChildren(h("h3", {}, "Notes on ", nameOf(image)), h("ul", { class: "notes-list" }, (image.notes ?? []).map((note) => h("li", {}, note.message))));
    this.changed?.();
  }

  drawRail() {
    this.rail.replaceChildren(...this.light.images.map((image) => h("button", { type: "button", class: image.accepted ? "thumb" : "thumb refused", dataset: { id: image.id }, title: image.accepted ? nameOf(image) : image.message,
      "aria-label": image.accepted ? nameOf(image) : `${nameOf(image)}, refused: ${image.message}`, onclick: () => this.light.show(image) },
    image.accepted ? h("img", { src: api.thumbnail(image.id), alt: "", loading: "lazy", draggable: false }) : h("span", { class: "no-image" }, icon("refused")),
    h("span", { class: "thumb-name" }, nameOf(image)), h("span", { class: "count", dataset: { image: image.id } }))));
  }

  drawList() {
    const groups = new Map();
    for (const annotation of this.annotations) groups.set(annotation.lesion, [...(groups.get(annotation.lesion) ?? []), annotation]);
    const rows = [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([lesion, squares]) => h("li", {}, h("span", { class: "letter" }, lesion), h("div", { class: "chips" }, squares.map((/** @type {Annotation} */ each) => this.chip(each)))));
    const { partner } = this;
    this.list.replaceChildren(
      h("header", { class: "card-head" }, h("h2", {}, "Squares"), iconButton("agreement", "Agreement of the readers", "G", () => this.showAgreement())),
      rows.length ? h("ul", { class: "lesions" }, rows) : h("p", { class: "hint" }, "Click on the calcifications, or press Enter for a square in the middle of the view."),
      ...(partner ? [h("button", { type: "button", class: "link", onclick: () => this.linkPartner() }, icon("link"), `Same lesion as ${partner.lesion} in ${nameOf(this.imageOf(partner))}?`, h("kbd", {}, "L"))] : []));
    for (const place of this.rail.querySelectorAll(".count")) {
      const count = this.annotations.filter((each) => each.image_id === /** @type {HTMLElement} */ (place).dataset.image).length;
      place.textContent = count ? String(count) : "";
    }
  }

  /** @param {Annotation} annotation */
  chip(annotation) {
    const reading = this.readings.get(annotation.id), name = nameOf(this.imageOf(annotation)), other = annotation.mine === false;
    return h("button", { type: "button", class: other ? "chip other" : "chip", "aria-pressed": String(annotation === this.chosen), "aria-label": `Square ${annotation.lesion} on ${name}${other ? ` of ${annotation.reader}` : ""}${reading ? `, read ${reading.ensemble.toFixed(2)}` : ""}`,
      onclick: () => this.choose(annotation, true) }, other ? `${name} · ${annotation.reader}` : name, reading && h("span", { class: reading.called ? "score-chip called" : "score-chip" }, reading.ensemble.toFixed(2)));
  }

  drawForm() {
    const annotation = this.chosen;
    this.formRefresh = null;
    if (!annotation) return this.form.replaceChildren();
    const image = this.imageOf(annotation), lesions = this.annotations.filter((each) => each.mine !== false).map((each) => each.lesion);
    const { element, refresh } = labelForm(annotation, image, nameOf(image), this.saver(annotation), { lesions, remove: () => this.remove(), linked: (lesion) => this.link(lesion) });
    this.formRefresh = refresh;
    return this.form.replaceChildren(element);
  }

  drawResult() {
    const annotation = this.chosen, reading = annotation && this.readings.get(annotation.id);
    if (!annotation) return this.result.replaceChildren();
    const busy = this.underWay.has(annotation.id), label = busy ? "Reading…" : reading ? "Read again" : "Read";
    const button = h("button", { type: "button", class: reading ? "read again" : "read primary", disabled: busy || !this.room.study.networks?.length, onclick: () => this.read() }, icon("read"), label, h("kbd", {}, "R"));
    if (!reading) return this.result.replaceChildren(button);
    const stale = Math.round(reading.roi.row) !== Math.round(annotation.row) || Math.round(reading.roi.col) !== Math.round(annotation.col);
    const card = readingCard(reading, { study: this.room.study, heat: this.heat, stale, showHeat: (network) => this.showHeat(network), fade: (opacity) => this.fade(opacity),
      prevalence: (value) => this.setPrevalence(value), send: () => this.send(), sent: this.outbox.filter((entry) => entry.reading_id === reading.id), pacs: this.room.pacs });
    return this.result.replaceChildren(button, card);
  }

  redraw() {
    this.drawList();
    this.drawForm();
    this.drawResult();
    this.light.repaint();
  }
}
