/**
 * How far two readers agree on an exam: kappa of each label, overlap of their squares.
 */
import { api } from "./api.js";
import { dialog, h, plain } from "./dom.js";

/** @param {string} exam */
export async function agreementDialog(exam) {
  const body = h("div", { class: "agreement" }, h("p", { class: "dim" }, "…"));
  dialog("Agreement of the readers", [body], { wide: true });
  try {
    const pairs = pairsOf(await api.agreement(exam));
    body.replaceChildren(
      ...(pairs.length
        ? pairs.map(pairTable)
        : [
            h(
              "p",
              {},
              "Two readers must have marked this exam; so far fewer have, or their marks are still hidden from each other.",
            ),
          ]),
    );
  } catch (error) {
    body.replaceChildren(h("p", {}, /** @type {Error} */ (error).message));
  }
}

/** @param {any} answer */
const pairsOf = (answer) => (Array.isArray(answer) ? answer : (answer.pairs ?? []));

/** @param {number|null|undefined} value */
const number = (value) => (value === null || value === undefined ? "–" : value.toFixed(2));

/** @param {any} pair */
function pairTable(pair) {
  return h(
    "section",
    {},
    h("h3", {}, (pair.readers ?? []).join(" and ")),
    h(
      "p",
      {},
      `${pair.matched} ${pair.matched === 1 ? "square" : "squares"} of both, ${(pair.only ?? []).join(" and ")} of one alone; mean overlap (intersection over union) ${number(pair.overlap)}`,
    ),
    h(
      "table",
      { class: "plain" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Label", "Kappa", "95 % limits", "Same word", "Squares"].map((name) => h("th", { scope: "col" }, name)),
        ),
      ),
      h(
        "tbody",
        {},
        Object.entries(pair.kappa ?? {}).map(([field, kappa]) =>
          h(
            "tr",
            {},
            h("th", { scope: "row" }, plain(field)),
            h("td", { title: kappa.reason ?? "" }, kappa.value === null ? kappa.reason || "–" : number(kappa.value)),
            h("td", {}, kappa.low === null ? "–" : `${number(kappa.low)} to ${number(kappa.high)}`),
            h("td", {}, kappa.observed === null ? "–" : `${Math.round(100 * kappa.observed)} %`),
            h("td", {}, kappa.n),
          ),
        ),
      ),
    ),
  );
}
