/**
 * Files of the watched folder that are in no exam: how many there are, and each with the reason.
 */
import { api } from "./api.js";
import { clock, h, icon } from "./dom.js";

/** The newest that was put away; what came before it is not told again until the page is loaded anew. */
let putAway = "";

export class Refusals {
  constructor() {
    this.title = h("p", {});
    this.list = h("ul");
    this.element = h(
      "section",
      { class: "uploads", hidden: true, "aria-label": "Refused files of the watched folder" },
      h("header", {}, this.title, h("button", { type: "button", class: "quiet", onclick: () => this.close() }, "Close")),
      this.list,
    );
    /** @type {import("./api.js").RefusedFile[]} */
    this.files = [];
  }

  async load() {
    this.fill(await api.refusedFiles());
  }

  /** @param {import("./api.js").RefusedFile[]} all the newest first */
  fill(all) {
    this.files = all.filter((file) => file.at > putAway);
    const count = this.files.length;
    this.element.hidden = !count;
    this.title.textContent = count ? `${count} ${count === 1 ? "file" : "files"} of the watched folder refused` : "";
    this.list.replaceChildren(
      ...this.files.map(({ file, code, message, at }) =>
        h("li", {}, icon("refused"), h("span", { class: "dim" }, clock(at)), h("strong", {}, file), " ", message || code),
      ),
    );
  }

  close() {
    putAway = this.files[0]?.at ?? putAway;
    this.element.hidden = true;
  }
}
