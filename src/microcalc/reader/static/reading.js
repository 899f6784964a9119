/**
 * What the networks say of a square: probabilities against the cut-off, what the cut-off means, the heatmap, warnings, and sending.
 */
import { api } from "./api.js";
import { h, icon, plain } from "./dom.js";

/**
 * @typedef {import("./api.js").Reading} Reading
 * @typedef {import("./api.js").Estimate} Estimate
 * @typedef {{network: string|null, opacity: number}} HeatChoice which heatmap is shown; null: none
 * @typedef {{study: import("./api.js").Study, heat: HeatChoice, stale: boolean, showHeat: (network: string|null) => void, fade: (opacity: number) => void,
 *   prevalence: (value: number) => void, send: () => void, sent: import("./api.js").OutboxEntry[], pacs: boolean}} ReadingRoom
 */

/** @param {number|null|undefined} value @param {number} [digits] */
const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
/** @param {number|null|undefined} value */
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)} %`);

/** One probability on the line from 0 to 1, with the cut-off. @param {string} name @param {number} value @param {Reading} reading @param {ReadingRoom} room */
function scoreRow(name, value, reading, room) {
  const dot = h("span", { class: "dot" }), mark = h("span", { class: "cutoff" }), chosen = room.heat.network === name;
  dot.style.left = `${100 * value}%`;
  if (reading.cutoff === null) mark.hidden = true;
  else mark.style.left = `${100 * reading.cutoff}%`;
  return h("button", { type: "button", class: name === "ensemble" ? "score whole" : "score", "aria-pressed": String(chosen), title: `Heatmap of ${plain(name)}`,
    "aria-label": `${plain(name)}: probability ${number(value)}; ${chosen ? "hide" : "show"} its heatmap`, onclick: () => room.showHeat(chosen ? null : name) },
  h("span", { class: "score-name" }, plain(name)), h("span", { class: "track", "aria-hidden": "true" }, mark, dot), h("span", { class: "value" }, number(value)));
}

/** @param {string} name @param {Estimate} estimate */
function meaningRow(name, estimate) {
  const bar = h("span", { class: "interval" }), dot = h("span", { class: "dot" });
  const low = estimate.low ?? estimate.value ?? 0, high = estimate.high ?? estimate.value ?? 0;
  bar.style.left = `${100 * low}%`;
  bar.style.width = `${100 * (high - low)}%`;
  dot.style.left = `${100 * (estimate.value ?? 0)}%`;
  return h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, h("span", { class: "track", "aria-hidden": "true" }, bar, dot)),
    h("td", { class: "value" }, percent(estimate.value)), h("td", { class: "limits dim" }, `${percent(estimate.low).replace(" %", "")}–${percent(estimate.high)}`));
}

/** What a call at the cut-off means in this study, at the chosen prevalence. @param {Reading} reading @param {ReadingRoom} room */
function meaning(reading, room) {
  const { sensitivity, specificity, ppv, npv, prevalence } = reading.meaning;
  const input = h("input", { type: "number", min: "0.1", max: "99.9", step: "any", value: String(Number((100 * prevalence).toFixed(1))), "aria-label": "Prevalence of malignant lesions in percent",
    onchange: () => { if (input.reportValidity()) room.prevalence(Number(input.value) / 100); } });
  return h("section", { class: "meaning" },
    h("h4", {}, `Cut-off ${number(reading.cutoff)} in this study`, reading.chosen_on ? h("span", { class: "dim" }, ` chosen on ${plain(reading.chosen_on)}`) : null),
    h("table", {}, h("tbody", {}, meaningRow("Sensitivity", sensitivity), meaningRow("Specificity", specificity), meaningRow("PPV", ppv), meaningRow("NPV", npv))),
    h("label", { class: "prevalence" }, h("span", {}, "PPV and NPV at a prevalence of"), input, h("span", {}, "%")));
}

/** @param {ReadingRoom} room @param {string[]} names */
function heatControls(room, names) {
  const slider = h("input", { type: "range", min: 0, max: 100, value: Math.round(100 * room.heat.opacity), "aria-label": "Opacity of the heatmap", "aria-valuetext": `${Math.round(100 * room.heat.opacity)} %`,
    oninput: () => { room.fade(slider.valueAsNumber / 100); slider.setAttribute("aria-valuetext", `${slider.value} %`); } });
  const pick = h("select", { "aria-label": "Heatmap of", onchange: () => room.showHeat(pick.value || null) },
    h("option", { value: "", selected: !room.heat.network }, "none"), names.map((name) => h("option", { value: name, selected: room.heat.network === name }, plain(name))));
  return h("div", { class: "heat" }, h("span", {}, "Heatmap"), pick, h("span", { class: "ramp", "aria-hidden": "true" }), slider);
}

/** @param {Reading} reading */
function verdict(reading) {
  const called = reading.called ? "above the cut-off" : "not above the cut-off";
  return h("div", { class: reading.called ? "verdict called" : "verdict", role: "status" },
    h("strong", {}, number(reading.ensemble)),
    h("div", {}, h("span", {}, "probability of the ensemble, ", called),
      h("span", { class: "dim" }, reading.calibrated === null || reading.calibrated === undefined ? "not calibrated" : `calibrated ${number(reading.calibrated)}`)));
}

/** @param {Reading["warnings"]} warnings */
function warningList(warnings) {
  return h("ul", { class: "warnings", "aria-label": "Warnings" }, warnings.map((warning) => h("li", { dataset: { code: warning.code } }, icon("warning"), h("span", {}, warning.message))));
}

/** @param {ReadingRoom} room */
function sending(room) {
  const words = /** @type {Record<string, string>} */ ({ waiting: "waiting", sending: "on its way", sent: "in the PACS", failed: "not sent" });
  return h("section", { class: "sending" },
    h("button", { type: "button", onclick: room.send, disabled: !room.pacs, title: room.pacs ? "" : "no PACS is set up" }, icon("send"), "Send to PACS"),
    h("ul", { "aria-label": "Objects for the PACS", "aria-live": "polite" }, room.sent.map((entry) => h("li", { dataset: { state: entry.state } },
      h("span", {}, plain(entry.kind)), h("span", { class: "dim", title: entry.last_error ?? "" }, `${words[entry.state] ?? entry.state}${entry.state !== "sent" && entry.tries ? `, tried ${entry.tries} times: ${entry.last_error}` : ""}`)))));
}

/**
 * @param {Reading} reading @param {ReadingRoom} room
 * @returns {HTMLElement}
 */
export function readingCard(reading, room) {
  const names = Object.keys(reading.networks), all = names.length > 1 || !names.length ? ["ensemble", ...names] : names;
  return h("section", { class: "card reading", "aria-label": "Reading" },
    verdict(reading),
    room.stale && h("p", { class: "stale" }, icon("warning"), "The square was moved after this reading. Read it again."),
    h("div", { class: "scores" }, all.map((name) => scoreRow(name, name === "ensemble" ? reading.ensemble : reading.networks[name], reading, room))),
    heatControls(room, all),
    warningList(reading.warnings),
    meaning(reading, room),
    sending(room));
}

/** @type {Map<string, Promise<Uint8Array>>} */
const heatmaps = new Map();

/** Heatmap of a network, fetched once. @param {string} id of the reading @param {string} network */
export function heatmapOf(id, network) {
  const key = `${id}/${network}`, known = heatmaps.get(key) ?? api.heatmap(id, network);
  heatmaps.set(key, known);
  known.catch(() => heatmaps.delete(key));
  return known;
}
