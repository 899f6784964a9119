/**
 * One exam: its images on the light box, and beside them its squares, their labels and readings. Puts the other modules together.
 */
import { agreementDialog } from "./agreement.js";
import { api } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { nameOf } from "./hanging.js";
import { labelForm, showHistory } from "./labels.js";
import { Lightbox } from "./lightbox.js";
import { lightRail, rail, showCount } from "./rail.js";
import { readingCard } from "./reading.js";
import { Readings } from "./readings.js";
import { drawGhost, drawHeat, drawSquare, gripAt, sideOn, squareAround, wasReadAt } from "./roi.js";
import { squareList } from "./squarelist.js";
import { Squares } from "./squares.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./api.js").ImageInfo} ImageInfo
 * @typedef {import("./viewer.js").Pane} Pane
 * @typedef {{me: import("./api.js").Me, study: import("./api.js").Study, pacs: boolean, over: (text: string) => void}} Room
 */

export class ExamPage {
  /** @param {Room} room @param {import("./api.js").ExamInfo} exam */
  constructor(room, exam) {
    this.room = room;
    this.exam = exam;
    /** Told when tools or the active image change. */
    this.changed = () => {};
    /** Which square is dragged, and where it was. @type {{id: string, row: number, col: number}|null} */
    this.dragged = null;
    /** @type {(() => void)|null} */
    this.refreshForm = null;
    this.squares = new Squares(exam, room.study, {
      listed: () => this.redraw(),
      moved: () => this.moved(),
      saving: (saver) => {
        if (saver.state === "saved") this.saved(saver.annotation);
        this.refreshForm?.();
      },
    });
    this.freeze();
    /** Finishing or reopening is under way. */
    this.finishing = false;
    this.readings = new Readings(room.pacs, () => {
      this.drawList();
      this.drawResult();
      this.light.repaint();
    });
    /** @type {Lightbox} */
    this.light = new Lightbox(exam.images, {
      click: (pane, row, col, force) => this.click(pane, row, col, force),
      grip: (pane, x, y, reach) => this.grip(pane, x, y, reach),
      drag: (_, id, rows, cols, done) => this.drag(id, rows, cols, done),
      marks: (pane, context) => this.marks(pane, context),
      changed: () => this.lit(),
      over: room.over,
    });
    this.rail = rail(this.light.images, (image) => this.light.show(image));
    this.list = h("section", { class: "card", "aria-label": "Squares" });
    this.form = h("div");
    this.result = h("div");
    this.notes = h("section", { class: "card notes", "aria-label": "Remarks on the image", hidden: true });
    this.panel = h(
      "aside",
      { class: "panel", "aria-label": "Squares, labels and reading" },
      this.list,
      this.form,
      this.result,
      this.notes,
    );
    this.element = h("main", { class: "exam" }, this.rail, this.light.element, this.panel);
  }

  async open() {
    const first = this.light.images.find((image) => image.accepted) ?? this.light.images[0];
    const several = this.exam.images.filter((image) => image.accepted).length > 1;
    if (first) this.light.show(first, several ? "views" : "one");
    await this.squares.load();
    await this.readings.load(this.squares.all);
  }

  close() {
    for (const saver of this.squares.savers.values()) saver.flush();
    this.readings.close();
    this.light.close();
  }

  /** @param {Pane} pane @param {CanvasRenderingContext2D} context */
  marks(pane, context) {
    const { chosen } = this.squares;
    const here = this.squares.on(pane.image);
    const reading = this.readings.of(chosen);
    const picture = chosen && here.includes(chosen) ? this.readings.picture(chosen) : null;
    if (reading && picture?.width) drawHeat(context, pane, reading.roi, picture, this.readings.opacity);
    if (!this.light.squares) return;
    for (const annotation of here.reverse()) drawSquare(context, pane, annotation, annotation === chosen);
    this.ghost(pane, context, here);
  }

  /** What a click would place. @param {Pane} pane @param {CanvasRenderingContext2D} context @param {Annotation[]} here */
  ghost(pane, context, here) {
    const { pointer, image } = pane;
    if (pane.tool !== "mark" || !pointer || !image || this.squares.fixed || pane.lensOn || pane.gestures.gesture?.moved) return;
    const { row, col } = pane.pixelAt(pointer.x, pointer.y);
    if (pane.greyAt(row, col) !== null && !squareAround(here, row, col))
      drawGhost(context, pane, row, col, sideOn(this.room.study, image));
  }

  /** @param {Pane} pane @param {number} x @param {number} y @param {number} reach */
  grip(pane, x, y, reach) {
    const own = this.squares.fixed ? [] : this.squares.on(pane.image).filter((each) => each.mine);
    return this.light.squares ? (gripAt(pane, own, x, y, reach)?.id ?? null) : null;
  }

  /** @param {Pane} pane @param {number} row @param {number} col @param {boolean} force */
  click(pane, row, col, force) {
    const found = force || !this.light.squares ? null : squareAround(this.squares.on(pane.image), row, col);
    if (found || pane.tool !== "mark") this.squares.choose(found);
    else this.place(pane, row, col);
  }

  /** @param {Pane} pane @param {number} row @param {number} col */
  place(pane, row, col) {
    if (!pane.image || pane.greyAt(row, col) === null) return;
    this.light.squares = true;
    this.squares.place(pane.image, row, col);
  }

  /** A square at the middle of the active pane, for those who use no mouse. */
  placeInMiddle() {
    this.light.act((pane) => this.place(pane, pane.middle.row, pane.middle.col));
  }

  /** One image pixel on one screen pixel, around the pointer; without one around the chosen square. */
  actualSize() {
    const { chosen } = this.squares;
    this.light.act((pane) => {
      const around = !pane.pointer && chosen?.image_id === pane.image?.id ? chosen : null;
      pane.actualSize();
      if (around) pane.centre(around.row, around.col);
    });
  }

  /** @param {string} id @param {number} rows @param {number} cols since the press @param {boolean} done */
  drag(id, rows, cols, done) {
    const annotation = this.squares.all.find((each) => each.id === id);
    if (!annotation) return;
    if (this.squares.chosen !== annotation) this.squares.choose(annotation);
    const from = this.dragged?.id === id ? this.dragged : { id, row: annotation.row, col: annotation.col };
    this.squares.moveTo(annotation, from.row + rows, from.col + cols, done);
    this.dragged = done ? null : from;
  }

  /** A square was moved: only what shows its place is drawn anew. */
  moved() {
    this.refreshForm?.();
    const { chosen } = this.squares;
    const reading = this.readings.of(chosen);
    const told = Boolean(this.result.querySelector(".moved"));
    if (chosen && reading && told === wasReadAt(chosen, reading.roi)) this.drawResult();
    this.light.repaint();
  }

  /** The server has a change of a square; what was sent to the PACS may say otherwise. @param {Annotation} annotation */
  saved(annotation) {
    this.drawList();
    const reading = this.readings.of(annotation);
    if (annotation !== this.squares.chosen || !reading || this.result.querySelector(".outdated")) return;
    if (this.readings.outdated(annotation, reading)) this.drawResult();
  }

  /** Choose a square and bring it into view. @param {Annotation|null} annotation */
  goTo(annotation) {
    if (!annotation) return;
    const pane = this.light.panes.find((each) => each.image?.id === annotation.image_id);
    if (pane) this.light.activate(pane);
    else this.light.show(this.squares.imageOf(annotation));
    this.squares.choose(annotation);
    this.light.act((each) => {
      if (!each.fitted) each.centre(annotation.row, annotation.col);
    });
  }

  /** Read the chosen square; one that has just been placed may still be on its way to the server. */
  async read() {
    if (!this.room.study.networks.length) return;
    await this.squares.placing;
    const { chosen } = this.squares;
    if (!chosen) {
      announce("Place a square first");
      return;
    }
    this.squares.fit(chosen);
    const same = await this.readings.read(chosen, this.squares.saver(chosen), this.squares.nameOf(chosen));
    const { study_identity: identity } = this.readings.of(chosen) ?? {};
    if (!same || (identity !== undefined && identity !== this.room.study.identity)) await this.renewStudy();
    this.result.querySelector(".reading")?.scrollIntoView({ block: "nearest" });
  }

  /** The server was started with another study since the page was opened. */
  async renewStudy() {
    const found = await api.study().catch(() => null);
    if (!found) return;
    Object.assign(this.room.study, found);
    this.redraw();
  }

  /** Send the reading of the chosen square; where the server has another square, that is shown first. */
  async send() {
    const { chosen } = this.squares;
    if (!chosen || (await this.readings.send(chosen, this.squares.saver(chosen)))) return;
    await this.squares.load().catch((error) => announce(error.message, "assertive"));
  }

  showHistory() {
    if (this.squares.chosen) showHistory(this.squares.chosen);
  }

  showAgreement() {
    agreementDialog(this.exam.id);
  }

  /** Where readers are blind to each other, their squares stay as they are once they have finished. */
  freeze() {
    const done = this.room.me.blind && this.exam.done;
    this.squares.fixed = done ? "You have finished this exam; reopen it to change your squares" : "";
  }

  /**
   * Say that one has finished the exam, where readers are blind to each other; then others' squares may appear. Everything is saved
   * before that, and nothing is changed meanwhile.
   */
  async finish() {
    if (this.finishing) return;
    this.finishing = true;
    if (!this.exam.done) {
      this.squares.fixed = "The exam is being finished";
      this.drawForm();
    }
    this.drawList();
    await this.finished();
    this.finishing = false;
    this.freeze();
    this.redraw();
  }

  async finished() {
    const unsaved = this.exam.done ? "" : await this.squares.settled();
    if (unsaved) {
      announce(`Not finished: ${unsaved}`, "assertive");
      return;
    }
    try {
      const answer = await api.done(this.exam.id, !this.exam.done);
      this.exam.done = answer.done;
      announce(answer.done ? "Exam finished" : "Exam open again");
      await this.squares.load();
      await this.readings.load(this.squares.all);
    } catch (error) {
      announce(/** @type {Error} */ (error).message, "assertive");
    }
  }

  /** Which image is lit in the rail, and the remarks on it. */
  lit() {
    const { image } = this.light;
    lightRail(
      this.rail,
      image,
      this.light.panes.map((pane) => pane.image),
    );
    const notes = image?.notes ?? [];
    this.notes.hidden = !notes.length;
    if (image)
      this.notes.replaceChildren(
        h("h3", {}, "Remarks on ", nameOf(image)),
        h(
          "ul",
          { class: "notes-list" },
          notes.map((note) => h("li", {}, note.message)),
        ),
      );
    this.changed();
  }

  drawList() {
    const { activeElement: active } = document;
    const focused = this.list.contains(active) ? active?.getAttribute("data-focus") : null;
    this.list.replaceChildren(...squareList(this));
    if (focused) this.list.querySelector(`[data-focus="${focused}"]`)?.focus({ preventScroll: true });
    for (const image of this.exam.images) showCount(this.rail, image, this.squares.on(image).length);
  }

  drawForm() {
    const { chosen, mine } = this.squares;
    this.refreshForm = null;
    if (!chosen) return this.form.replaceChildren();
    const image = this.squares.imageOf(chosen);
    const { element, refresh } = labelForm(chosen, image, this.squares.saver(chosen), {
      fixed: !chosen.mine || Boolean(this.squares.fixed),
      otherSide: () => this.squares.otherSide(chosen),
      lesions: mine.map((each) => each.lesion),
      remove: () => this.squares.remove(),
      link: (lesion) => this.squares.link(lesion),
      renew: () => this.redraw(),
    });
    this.refreshForm = refresh;
    return this.form.replaceChildren(element);
  }

  drawResult() {
    const { chosen } = this.squares;
    if (!chosen) return this.result.replaceChildren();
    const active = document.activeElement;
    if (active instanceof HTMLElement && active.dataset.focus === "prevalence" && !active.dataset.asked) {
      active.onblur = () => this.drawResult(); // not under somebody's fingers
      return undefined;
    }
    const focused = this.result.contains(document.activeElement) ? document.activeElement?.getAttribute("data-focus") : null;
    const reading = this.readings.of(chosen);
    const card =
      reading &&
      readingCard(reading, {
        network: this.readings.network,
        opacity: this.readings.opacity,
        pacs: this.room.pacs,
        study: this.room.study,
        stale: !wasReadAt(chosen, reading.roi),
        sent: this.readings.sent(reading),
        outdated: this.readings.outdated(chosen, reading),
        show: (network) => this.readings.show(network),
        fade: (opacity) => this.fade(opacity),
        explain: (prevalence) => this.readings.explain(chosen, prevalence),
        send: () => this.send(),
      });
    this.result.replaceChildren(this.readButton(chosen, Boolean(reading)), ...(card ? [card] : []));
    const next = focused && this.result.querySelector(`[data-focus="${focused}"]`);
    if (!next) return undefined;
    if (/** @type {HTMLElement} */ (active).dataset.asked) next.dataset.asked = "true"; // the answer may still be on its way
    next.focus({ preventScroll: true });
    return undefined;
  }

  /** @param {Annotation} annotation @param {boolean} again */
  readButton(annotation, again) {
    const busy = this.readings.underWay.has(annotation.id);
    const none = !this.room.study.networks.length;
    return h(
      "button",
      {
        type: "button",
        class: again ? "read again" : "read primary",
        disabled: none,
        "aria-disabled": String(busy), // a disabled button would lose the focus
        title: none ? "the server has no study" : "",
        dataset: { focus: "read" },
        onclick: () => this.read(),
      },
      icon("read"),
      busy ? "Reading…" : again ? "Read again" : "Read",
      h("kbd", {}, "R"),
    );
  }

  /** The slider's own change: nothing but the picture is drawn anew. @param {number} opacity */
  fade(opacity) {
    this.readings.opacity = opacity;
    this.light.repaint();
  }

  redraw() {
    this.drawList();
    this.drawForm();
    this.drawResult();
    this.light.repaint();
  }
}
