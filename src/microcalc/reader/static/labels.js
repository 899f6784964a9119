/**
 * The label form of one square, its history, and the choice after a conflict.
 */
import { api } from "./api.js";
import { clock, dialog, h, iconButton, plain } from "./dom.js";
import { sizeText } from "./roi.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./saving.js").Saver} Saver
 */

/** Words of the cohort's contract (microcalc.vocabulary); empty: not stated. */
const PATHOLOGY = ["", "benign", "high_risk", "dcis", "invasive"];
const BIRADS = ["", "0", "1", "2", "3", "4", "4A", "4B", "4C", "5", "6"];
const MORPHOLOGY = ["", "round", "punctate", "coarse", "amorphous", "fine_pleomorphic", "fine_linear_branching"];
const DISTRIBUTION = ["", "diffuse", "regional", "grouped", "linear", "segmental"];
const NOTE_DELAY_MS = 700;

const STATES = { saved: "Saved", saving: "Saving…", waiting: "Not saved yet, trying again", refused: "Not saved", conflict: "Changed elsewhere" };

/**
 * @param {string} name @param {string} label @param {string[]} words @param {string} value @param {(word: string) => void} choose
 * @param {boolean} disabled
 */
function choices(name, label, words, value, choose, disabled) {
  const options = words.map((word) => h("label", { class: "choice", title: word ? "" : "not stated" },
    h("input", { type: "radio", name, value: word, checked: word === (value ?? ""), disabled, "aria-label": word ? plain(word) : "not stated", onchange: () => choose(word) }),
    h("span", {}, word ? plain(word) : "–")));
  return h("fieldset", { class: `field choices ${name}` }, h("legend", {}, label), h("div", { class: "segments" }, options));
}

/**
 * @param {string} label @param {string[]} words @param {string} value @param {(word: string) => void} choose @param {boolean} disabled
 */
function select(label, words, value, choose, disabled) {
  const box = h("select", { disabled, onchange: () => choose(box.value) }, words.map((word) => h("option", { value: word, selected: word === (value ?? "") }, word ? plain(word) : "not stated")));
  return h("label", { class: "field" }, h("span", {}, label), box);
}

/**
 * @param {Annotation} annotation @param {import("./api.js").ImageInfo} image @param {string} imageName @param {Saver} saver
 * @param {{lesions: string[], remove: () => void, linked: (lesion: string) => void}} room
 * @returns {{element: HTMLElement, refresh: () => void}}
 */
export function labelForm(annotation, image, imageName, saver, room) {
  const fixed = annotation.mine === false;
  const save = (/** @type {Partial<import("./api.js").Labels>} */ change, delay = 0) => saver.change(change, delay);
  const state = h("span", { class: "save-state", role: "status" });
  const place = h("span", { class: "dim" });
  const trouble = h("div", { class: "conflict", hidden: true });
  const note = h("textarea", { rows: 2, value: annotation.note ?? "", disabled: fixed, maxLength: 4000, oninput: () => save({ note: note.value }, NOTE_DELAY_MS), onblur: () => saver.flush() });
  const lesions = [...new Set([...room.lesions, annotation.lesion])].sort();
  const lesion = h("select", { disabled: fixed, onchange: () => room.linked(lesion.value) }, lesions.map((name) => h("option", { value: name, selected: name === annotation.lesion }, name)), h("option", { value: "" }, "a lesion of its own"));
  const element = h("section", { class: "card labels", "aria-label": "Labels of the square" },
    h("header", { class: "card-head" }, h("h3", {}, `Lesion ${annotation.lesion}`, h("span", { class: "dim" }, ` ${imageName}`)), state,
      iconButton("history", "History of this square", "Y", () => showHistory(annotation)),
      fixed ? null : iconButton("trash", "Remove this square", "Del", room.remove)),
    place, trouble,
    choices("pathology", "Pathology", PATHOLOGY, annotation.pathology, (word) => save({ pathology: word }), fixed),
    choices("birads", "BI-RADS", BIRADS, annotation.birads, (word) => save({ birads: word }), fixed),
    select("Morphology", MORPHOLOGY, annotation.morphology, (word) => save({ morphology: word }), fixed),
    select("Distribution", DISTRIBUTION, annotation.distribution, (word) => save({ distribution: word }), fixed),
    h("label", { class: "field" }, h("span", {}, "Same lesion as"), lesion),
    h("label", { class: "field note" }, h("span", {}, "Note"), note));
  const refresh = () => {
    place.textContent = `row ${Math.round(annotation.row)}, column ${Math.round(annotation.col)} · ${sizeText(annotation.side, image)}${fixed ? ` · ${annotation.reader}` : ""}`;
    state.dataset.state = fixed ? "fixed" : saver.state;
    state.textContent = fixed ? "read only" : saver.state === "saved" && annotation.updated ? `Saved ${clock(annotation.updated)}` : STATES[saver.state];
    state.title = saver.message;
    trouble.hidden = saver.state !== "conflict" && saver.state !== "refused";
    if (saver.state === "refused") trouble.replaceChildren(h("p", {}, saver.message));
    if (saver.state === "conflict" && !trouble.hasChildNodes()) showConflict(trouble, annotation, saver);
    if (saver.state === "saved") trouble.replaceChildren();
  };
  refresh();
  return { element, refresh };
}

/** Both sides of a conflict, and the two ways out. @param {HTMLElement} place @param {Annotation} annotation @param {Saver} saver */
function showConflict(place, annotation, saver) {
  const theirs = saver.theirs;
  const differing = theirs ? Object.keys(saver.pending).filter((field) => /** @type {any} */ (theirs)[field] !== /** @type {any} */ (annotation)[field]) : [];
  place.replaceChildren(
    h("p", {}, saver.message),
    h("ul", {}, differing.map((field) => h("li", {}, `${field}: there ${plain(String(/** @type {any} */ (theirs)[field] || "–"))}, here ${plain(String(/** @type {any} */ (annotation)[field] || "–"))}`))),
    ...(theirs ? [h("div", { class: "row" },
      h("button", { type: "button", onclick: () => saver.keepMine(theirs) }, "Keep mine"),
      h("button", { type: "button", onclick: () => saver.takeTheirs(theirs) }, "Take the saved one"))] : []));
}

/** Who changed what, when. @param {Annotation} annotation */
export async function showHistory(annotation) {
  const versions = await api.history(annotation.id), body = h("tbody");
  const shown = ["row", "col", "lesion", "pathology", "birads", "morphology", "distribution", "note"];
  versions.forEach((version, index) => {
    const before = versions[index - 1];
    const changes = shown.filter((field) => (before ? version[field] !== before[field] : version[field] !== "" && version[field] !== null));
    body.prepend(h("tr", {}, h("td", {}, clock(version.at)), h("td", {}, version.reader), h("td", {}, version.action),
      h("td", {}, changes.map((field) => `${field} ${typeof version[field] === "number" ? Math.round(version[field]) : plain(String(version[field] || "–"))}`).join(", "))));
  });
  dialog(`History of lesion ${annotation.lesion}`, [h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["When", "Who", "What", "Values"].map((name) => h("th", { scope: "col" }, name)))), body)], { wide: true });
}
