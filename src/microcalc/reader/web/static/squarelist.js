/**
 * The list of an exam's squares: by reader, by lesion, one chip for each view.
 */
import { h, icon, iconButton, probability } from "./dom.js";
import { nameOf } from "./hanging.js";
import { isForeign } from "./reading.js";
import { wasReadAt } from "./roi.js";

/**
 * @typedef {import("./api.js").Annotation} Annotation
 * @typedef {import("./exam.js").ExamPage} ExamPage
 */

const HINT = "Click on the calcifications. Enter places a square in the middle of the view.";

/** @param {ExamPage} exam @returns {Node[]} */
export function squareList(exam) {
  const { all } = exam.squares;
  const owners = [...new Set(all.map(ownerOf))].sort();
  const agreement = iconButton("agreement", "Agreement of the readers", "G", () => exam.showAgreement());
  return [
    h("header", { class: "card-head" }, h("h2", {}, "Squares"), exam.room.me.blind && finishButton(exam), agreement),
    ...owners.map((owner) => lesions(exam, owner)),
    ...(all.length ? [] : [h("p", { class: "hint" }, HINT)]),
    ...partnerButton(exam),
  ];
}

/** @param {Annotation} annotation @returns {string} empty: one's own */
const ownerOf = (annotation) => (annotation.mine ? "" : annotation.reader);

/** @param {ExamPage} exam */
function finishButton(exam) {
  return h(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-disabled": String(exam.finishing),
      dataset: { focus: "finish" },
      onclick: () => exam.finish(),
    },
    exam.exam.done ? "Reopen the exam" : "Finish the exam",
  );
}

/** The lesions of one reader, each with its squares. @param {ExamPage} exam @param {string} owner */
function lesions(exam, owner) {
  const squares = exam.squares.all.filter((each) => ownerOf(each) === owner);
  const names = [...new Set(squares.map((each) => each.lesion))].sort();
  const row = (/** @type {string} */ name) => {
    const chips = squares.filter((each) => each.lesion === name).map((each) => chip(exam, each));
    return h("li", {}, h("span", { class: "letter" }, name), h("div", { class: "chips" }, chips));
  };
  const label = owner ? `Squares of ${owner}` : "Your squares";
  return h(
    "ul",
    { class: owner ? "lesions others" : "lesions", "aria-label": label },
    owner && h("li", { class: "owner" }, owner),
    names.map(row),
  );
}

/** @param {ExamPage} exam @param {Annotation} annotation */
function chip(exam, annotation) {
  const reading = exam.readings.of(annotation);
  const name = nameOf(exam.squares.imageOf(annotation));
  const score = reading && probability(reading.ensemble);
  const old = reading && (!wasReadAt(annotation, reading.roi) || isForeign(reading, exam.room.study));
  const label = [
    `Square ${annotation.lesion} on ${name}`,
    annotation.mine ? "" : `of ${annotation.reader}`,
    score ? `read ${score}` : "",
    old ? "to be read again" : "",
  ];
  return h(
    "button",
    {
      type: "button",
      class: "chip",
      "aria-pressed": String(annotation === exam.squares.chosen),
      "aria-label": label.filter(Boolean).join(", "),
      dataset: { focus: `square-${annotation.id}` },
      onclick: () => exam.goTo(annotation),
    },
    name,
    reading && h("span", { class: `score-chip${reading.called ? " called" : ""}${old ? " old" : ""}` }, score),
  );
}

/** The offer to link the chosen square to the lesion in the other view. @param {ExamPage} exam */
function partnerButton({ squares }) {
  const { partner } = squares;
  if (!partner) return [];
  const words = `Same lesion as ${partner.lesion} in ${nameOf(squares.imageOf(partner))}?`;
  return [
    h("button", { type: "button", class: "link", onclick: () => squares.linkPartner() }, icon("link"), words, h("kbd", {}, "L")),
  ];
}
