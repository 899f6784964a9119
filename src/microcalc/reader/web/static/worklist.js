/**
 * The worklist: exams with search and status; files come in by drag and drop, by the picker, or from the PACS.
 */
import { api } from "./api.js";
import { announce, h, icon } from "./dom.js";
import { pacsDialog } from "./pacs.js";
import { Refusals } from "./refusals.js";
import { upload } from "./uploads.js";

const STATUSES = ["", "new", "annotated", "read", "sent"];
const SEARCH_DELAY_MS = 200;
const REFRESH_MS = 15000;

export class Worklist {
  /** @param {{pacs: boolean}} room @param {(id: string) => void} open */
  constructor(room, open) {
    this.room = room;
    this.open = open;
    this.status = "";
    this.body = h("tbody");
    this.empty = h("p", { class: "hint", hidden: true });
    this.search = h("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search patient, date or description",
      oninput: () => this.soon(),
    });
    this.picker = h("input", {
      type: "file",
      multiple: true,
      hidden: true,
      tabIndex: -1,
      "aria-hidden": "true",
      accept: ".dcm,.zip,application/dicom,application/zip",
      onchange: () => this.upload(this.picker.files),
    });
    this.report = h("section", { class: "uploads", hidden: true, "aria-label": "Uploads", "aria-live": "polite" });
    this.refusals = new Refusals();
    const filters = STATUSES.map((word) =>
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: "radio",
          name: "status",
          value: word,
          checked: !word,
          onchange: () => {
            this.status = word;
            this.load();
          },
        }),
        h("span", {}, word || "all"),
      ),
    );
    this.element = h(
      "main",
      { class: "worklist" },
      h(
        "header",
        { class: "list-head" },
        h("h1", {}, "Worklist"),
        this.search,
        h("fieldset", { class: "choices" }, h("legend", { class: "hidden" }, "Status"), h("div", { class: "segments" }, filters)),
        h("span", { class: "spacer" }),
        h("button", { type: "button", onclick: () => this.picker.click() }, icon("upload"), "Upload"),
        room.pacs && h("button", { type: "button", onclick: () => this.query() }, icon("pacs"), "Query PACS"),
        this.picker,
      ),
      this.report,
      this.refusals.element,
      h(
        "div",
        { class: "list-scroll" },
        h(
          "table",
          { class: "exams" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              ["Patient", "Name", "Date", "Description", "Images", "Status"].map((name) => h("th", { scope: "col" }, name)),
            ),
          ),
          this.body,
        ),
        this.empty,
      ),
      h("div", { class: "drop", "aria-hidden": "true" }, icon("upload"), "Drop DICOM files or a zip"),
    );
    this.listen();
  }

  listen() {
    const over = (/** @type {boolean} */ on) => this.element.classList.toggle("dropping", on);
    this.element.addEventListener("dragover", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      over(true);
    });
    this.element.addEventListener("dragleave", (/** @type {DragEvent} */ event) => {
      if (!this.element.contains(/** @type {Node} */ (event.relatedTarget))) over(false);
    });
    this.element.addEventListener("drop", (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      over(false);
      this.upload(event.dataTransfer?.files);
    });
    this.interval = setInterval(() => {
      if (!document.hidden) this.load(true);
    }, REFRESH_MS);
  }

  close() {
    clearInterval(this.interval);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), SEARCH_DELAY_MS);
  }

  /** @param {boolean} [background] nobody asked for it */
  async load(background = false) {
    const asked = (this.asked = Symbol("load"));
    try {
      const exams = await api.exams(this.search.value.trim(), this.status, background);
      if (asked === this.asked) this.fill(exams);
      await this.refusals.load();
    } catch (error) {
      announce(/** @type {Error} */ (error).message, "assertive");
    }
  }

  /** @param {import("./api.js").ExamRow[]} exams */
  fill(exams) {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset?.exam;
    this.body.replaceChildren(
      ...exams.map((exam) =>
        h(
          "tr",
          { onclick: () => this.open(exam.id) },
          h(
            "th",
            { scope: "row" },
            h(
              "a",
              {
                href: `#/exam/${exam.id}`,
                dataset: { exam: exam.id },
                onclick: (/** @type {Event} */ event) => event.stopPropagation(),
              },
              exam.patient_id || "no patient ID",
            ),
          ),
          h("td", {}, exam.patient_name ?? ""),
          h("td", { class: "figures" }, exam.date),
          h("td", {}, exam.description),
          h("td", { class: "figures" }, exam.images),
          h("td", {}, h("span", { class: `status ${exam.status}` }, exam.status)),
        ),
      ),
    );
    this.empty.hidden = exams.length > 0;
    this.empty.textContent =
      this.search.value || this.status ? "No exam fits." : "No exams yet. Drop DICOM files here, or press U.";
    if (focused) this.body.querySelector(`[data-exam="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Move the focus along the list. @param {1|-1} step */
  step(step) {
    const links = [...this.body.querySelectorAll("a")],
      at = links.indexOf(/** @type {any} */ (document.activeElement));
    links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + step))]?.focus();
  }

  /** @param {FileList|null|undefined} files */
  async upload(files) {
    if (!files?.length) return;
    await upload([...files], this.report);
    this.picker.value = "";
    this.load();
  }

  query() {
    if (this.room.pacs) pacsDialog(() => this.load());
  }
}
