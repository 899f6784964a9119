/**
 * The label form of one square, its history, and the choice after a conflict.
 */
import { api } from "./api.js";
import { announce, clock, dialog, h, icon, iconButton, plain } from "./dom.js";
import { nameOf } from "./hanging.js";
import { sizeText } from "./roi.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./saving.js").Saver} Saver
 *
 * @typedef {object} Room
 * @property {boolean} fixed nothing may be changed
 * @property {() => number|null} otherSide that the study reads, if it is not the square's
 * @property {string[]} lesions of this reader
 * @property {() => void} remove
 * @property {(lesion: string) => void} link the square to a lesion; "": one of its own
 * @property {() => void} renew draw everything anew, since the labels are others now
 */

/** Words of the cohort's contract (microcalc.vocabulary); empty: not stated. */
const PATHOLOGY = ["", "benign", "high_risk", "dcis", "invasive"];
const BIRADS = ["", "0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6"];
const MORPHOLOGY = ["", "round", "punctate", "coarse", "amorphous", "fine_pleomorphic", "fine_linear_branching"];
const DISTRIBUTION = ["", "diffuse", "regional", "grouped", "linear", "segmental"];

/** A note is saved when nothing was typed for so long. */
const NOTE_MS = 700;
const LONGEST_NOTE = 4000;

const STATES = {
  saved: "Saved",
  saving: "Saving…",
  waiting: "Not saved yet, trying again",
  refused: "Not saved",
  conflict: "Changed elsewhere",
};

/**
 * @param {Annotation} annotation @param {import("./api.js").ImageInfo} image @param {Saver} saver @param {Room} room
 * @returns {{element: HTMLElement, refresh: () => void}}
 */
export function labelForm(annotation, image, saver, room) {
  const state = h("span", { class: "save-state", role: "status" });
  const place = h("p", { class: "dim" });
  const size = h("p", { class: "stale" });
  const trouble = h("div", { class: "conflict", role: "alert", hidden: true });
  const element = h(
    "section",
    { class: "card labels", "aria-label": "Labels of the square" },
    h(
      "header",
      { class: "card-head" },
      h("h2", {}, `Lesion ${annotation.lesion} `, h("span", { class: "dim" }, nameOf(image))),
      state,
      iconButton("history", "History of this square", "Y", () => showHistory(annotation)),
      room.fixed ? null : iconButton("trash", "Remove this square", "Del", room.remove),
    ),
    place,
    size,
    trouble,
    h(
      "fieldset",
      { class: "fields", disabled: room.fixed },
      h("legend", { class: "hidden" }, "Labels"),
      fields(annotation, saver, room),
    ),
  );
  const refresh = () => {
    place.textContent = [
      `row ${Math.round(annotation.row)}, column ${Math.round(annotation.col)}`,
      sizeText(annotation.side, image),
      annotation.mine ? "" : `marked by ${annotation.reader}`,
    ]
      .filter(Boolean)
      .join(" · ");
    showSize(size, annotation, image, room);
    showState(state, annotation, saver);
    showTrouble(trouble, annotation, saver, room);
  };
  refresh();
  return { element, refresh };
}

/** @param {Annotation} annotation @param {Saver} saver @param {Room} room */
function fields(annotation, saver, room) {
  const note = h("textarea", {
    rows: 2,
    value: annotation.note,
    maxLength: LONGEST_NOTE,
    oninput: () => saver.change({ note: note.value }, NOTE_MS),
    onblur: () => saver.flush(),
  });
  const lesions = [...new Set([...room.lesions, annotation.lesion])].sort();
  const lesion = h(
    "select",
    { onchange: () => room.link(lesion.value) },
    lesions.map((name) => h("option", { value: name, selected: name === annotation.lesion }, name)),
    h("option", { value: "" }, "one of its own"),
  );
  return [
    choices("pathology", "Pathology", PATHOLOGY, annotation.pathology, (word) => saver.change({ pathology: word })),
    choices("birads", "BI-RADS", BIRADS, annotation.birads, (word) => saver.change({ birads: word })),
    select("Morphology", MORPHOLOGY, annotation.morphology, (word) => saver.change({ morphology: word })),
    select("Distribution", DISTRIBUTION, annotation.distribution, (word) => saver.change({ distribution: word })),
    h("label", { class: "field" }, h("span", {}, "Lesion"), lesion),
    h("label", { class: "field note" }, h("span", {}, "Note"), note),
  ];
}

/** Few words in a row, one of them chosen. @param {string} name @param {string} label @param {string[]} words @param {string} value @param {(word: string) => void} choose */
function choices(name, label, words, value, choose) {
  const choice = (/** @type {string} */ word) =>
    h(
      "label",
      { class: "choice", title: word ? "" : "not stated" },
      h("input", {
        type: "radio",
        name,
        value: word,
        checked: word === value,
        "aria-label": word ? plain(word) : "not stated",
        onchange: () => choose(word),
      }),
      h("span", { "aria-hidden": "true" }, word ? plain(word) : "–"),
    );
  return h(
    "fieldset",
    { class: `field choices ${name}` },
    h("legend", {}, label),
    h("div", { class: "segments" }, words.map(choice)),
  );
}

/** @param {string} label @param {string[]} words @param {string} value @param {(word: string) => void} choose */
function select(label, words, value, choose) {
  const option = (/** @type {string} */ word) =>
    h("option", { value: word, selected: word === value }, word ? plain(word) : "not stated");
  const box = h("select", { onchange: () => choose(box.value) }, words.map(option));
  return h("label", { class: "field" }, h("span", {}, label), box);
}

/** That the study reads squares of another size. @param {HTMLElement} place @param {Annotation} annotation @param {import("./api.js").ImageInfo} image @param {Room} room */
function showSize(place, annotation, image, room) {
  const side = room.otherSide();
  place.hidden = side === null;
  if (side === null) return;
  const then = room.fixed ? "It cannot be read as it is." : "Reading resizes it.";
  const words = `Placed ${sizeText(annotation.side, image)} wide; this study reads ${sizeText(side, image)}. ${then}`;
  place.replaceChildren(icon("warning"), words);
}

/** @param {HTMLElement} place @param {Annotation} annotation @param {Saver} saver */
function showState(place, annotation, saver) {
  place.dataset.state = annotation.mine ? saver.state : "fixed";
  place.title = saver.message;
  place.textContent = !annotation.mine ? "" : saver.state === "saved" ? `Saved ${clock(annotation.updated)}` : STATES[saver.state];
}

/** What is wrong, and after a conflict both sides and the two ways out. @param {HTMLElement} place @param {Annotation} annotation @param {Saver} saver @param {Room} room */
function showTrouble(place, annotation, saver, room) {
  const { theirs, state } = saver;
  place.hidden = state !== "conflict" && state !== "refused";
  if (place.dataset.state === state && place.hasChildNodes()) return;
  place.dataset.state = state;
  if (place.hidden) return place.replaceChildren();
  if (!theirs) return place.replaceChildren(h("p", {}, saver.message));
  const said = (/** @type {any} */ values, /** @type {string} */ field) => plain(String(values[field] || "not stated"));
  const differing = Object.keys(saver.pending).filter((field) => said(theirs, field) !== said(annotation, field));
  return place.replaceChildren(
    h("p", {}, "This square was saved from another window in the meantime."),
    h(
      "ul",
      {},
      differing.map((field) => h("li", {}, `${field}: there ${said(theirs, field)}, here ${said(annotation, field)}`)),
    ),
    h(
      "div",
      { class: "row" },
      h("button", { type: "button", onclick: () => saver.keepMine() }, "Keep this one"),
      h(
        "button",
        {
          type: "button",
          onclick: () => {
            saver.takeTheirs();
            room.renew();
          },
        },
        "Take the other",
      ),
    ),
  );
}

const SHOWN = ["row", "col", "side", "lesion", "pathology", "birads", "morphology", "distribution", "note"];

/** Who changed what, when; the newest first. @param {Annotation} annotation */
export async function showHistory(annotation) {
  /** @type {any[]} */
  let versions = [];
  try {
    versions = await api.history(annotation.id);
  } catch (error) {
    announce(/** @type {Error} */ (error).message, "assertive");
    return;
  }
  const row = (/** @type {any} */ version, /** @type {number} */ index) => {
    const before = versions[index - 1] ?? {};
    const changed = SHOWN.filter((field) => version[field] !== (before[field] ?? ""));
    const said = (/** @type {string} */ field) =>
      `${field} ${typeof version[field] === "number" ? Math.round(version[field]) : plain(version[field] || "not stated")}`;
    return h(
      "tr",
      {},
      [clock(version.at), version.reader, version.action, changed.map(said).join(", ")].map((text) => h("td", {}, text)),
    );
  };
  const head = h(
    "tr",
    {},
    ["When", "Who", "What", "Values"].map((name) => h("th", { scope: "col" }, name)),
  );
  dialog(
    `History of lesion ${annotation.lesion}`,
    [h("table", { class: "plain" }, h("thead", {}, head), h("tbody", {}, versions.map(row).reverse()))],
    { wide: true },
  );
}
