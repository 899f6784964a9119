/**
 * Asking the PACS for exams, and fetching them.
 */
import { api } from "./api.js";
import { announce, dialog, h } from "./dom.js";

const NONE_YET = "Too many exams for the PACS to look through; none of the first fits. Narrow the query.";
const MORE = (/** @type {number} */ count) => `The first ${count}; the PACS may have more. Narrow the query.`;
const COLUMNS = ["Patient", "Name", "Date", "Description", "Objects", ""];

/** @param {() => void} fetched told when an exam has come */
export function pacsDialog(fetched) {
  const answer = h("div", { "aria-live": "polite" });
  const field = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ type) =>
    h("label", { class: "field" }, h("span", {}, label), h("input", { name, type, autocomplete: "off" }));
  const ask = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    query(new FormData(form), answer, fetched);
  };
  const form = h(
    "form",
    { class: "query", onsubmit: ask },
    field("patient", "Patient ID", "search"),
    field("name", "Name", "search"),
    field("accession", "Accession", "search"),
    field("date", "Date", "date"),
    h("button", { type: "submit", class: "primary" }, "Query"),
  );
  dialog("Query the PACS", [form, answer], { wide: true });
}

/** @param {FormData} asked @param {HTMLElement} answer @param {() => void} fetched */
async function query(asked, answer, fetched) {
  answer.replaceChildren(h("p", { class: "dim" }, "Asking…"));
  const terms = Object.fromEntries([...asked].filter(([, value]) => value).map(([name, value]) => [name, String(value)]));
  try {
    const { studies, more } = await api.pacsQuery(terms);
    const [none, some] = more ? [NONE_YET, MORE(studies.length)] : ["The PACS has no such exam.", ""];
    const said = studies.length ? some : none;
    answer.replaceChildren(...(said ? [h("p", {}, said)] : []), ...(studies.length ? [table(studies, fetched)] : []));
  } catch (error) {
    answer.replaceChildren(h("p", {}, /** @type {Error} */ (error).message));
  }
}

/** @param {any[]} found @param {() => void} fetched */
function table(found, fetched) {
  const head = h(
    "tr",
    {},
    COLUMNS.map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "table",
    { class: "plain" },
    h("thead", {}, head),
    h(
      "tbody",
      {},
      found.map((study) => row(study, fetched)),
    ),
  );
}

/** @param {any} study @param {() => void} fetched */
function row(study, fetched) {
  const fetch = async () => {
    Object.assign(button, { disabled: true, textContent: "Fetching…" });
    try {
      const taken = await api.pacsFetch(study.study_uid);
      button.textContent = "Fetched";
      announce(`${taken.filter((/** @type {any} */ each) => each.accepted).length} of ${taken.length} images taken in`);
      fetched();
    } catch (error) {
      Object.assign(button, { disabled: false, textContent: "Fetch" });
      announce(/** @type {Error} */ (error).message, "assertive");
    }
  };
  const button = h("button", { type: "button", onclick: fetch }, "Fetch");
  const { patient_id: id, patient_name: name, date, description, images } = study;
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, id),
    [name, date, description, images].map((text) => h("td", {}, text ?? "")),
    h("td", {}, button),
  );
}
