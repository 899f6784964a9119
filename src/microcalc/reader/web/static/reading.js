/**
 * What the networks say of a square, as a card: probabilities against the cut-off, what the cut-off means, heatmap, warnings, sending.
 */
import { clock, h, icon, plain, probability } from "./dom.js";

/**
 * @typedef {import("./api.js").Reading} Reading
 * @typedef {import("./api.js").Estimate} Estimate
 *
 * @typedef {object} Shown
 * @property {string|null} network whose heatmap is shown
 * @property {number} opacity of it
 * @property {boolean} pacs is set up
 * @property {import("./api.js").Study} study that the server has
 * @property {boolean} stale the square was moved since
 * @property {import("./api.js").OutboxEntry[]} sent
 * @property {boolean} outdated the labels were changed after that
 * @property {(network: string|null) => void} show
 * @property {(opacity: number) => void} fade
 * @property {(prevalence: number) => void} explain
 * @property {() => void} send
 */

/** @param {number|null|undefined} value @returns {string} */
const percent = (value) => (value === null || value === undefined ? "–" : (100 * value).toFixed(0));

/** @param {HTMLElement} element @param {number} value from 0 to 1 */
function at(element, value) {
  element.style.left = `${100 * value}%`;
  return element;
}

/** @param {Reading} reading @param {Shown} shown @returns {HTMLElement} */
export function readingCard(reading, shown) {
  const names = Object.keys(reading.networks);
  const all = names.length > 1 ? ["ensemble", ...names] : names;
  return h(
    "section",
    { class: "card reading", "aria-label": "Reading" },
    verdict(reading),
    isForeign(reading, shown.study) && h("p", { class: "stale" }, icon("warning"), foreignWords(reading, shown.study)),
    shown.stale && h("p", { class: "stale moved" }, icon("warning"), "This reading is of another place or size than the square has now. Read it again."),
    shown.outdated && h("p", { class: "stale outdated" }, icon("warning"), "The labels were changed after this was sent. Send it again."),
    h(
      "div",
      { class: "scores" },
      all.map((name) => scoreRow(name, reading, shown)),
    ),
    heatControls(all, shown),
    heatNote(reading, shown),
    warningList(reading),
    meaning(reading, shown),
    sending(shown),
  );
}

/** Whether another study read than the one that the server has now. @param {Reading} reading @param {import("./api.js").Study} study */
export const isForeign = (reading, study) => study.networks.length > 0 && reading.study_identity !== study.identity;

/** @param {Reading} reading @param {import("./api.js").Study} study */
function foreignWords(reading, study) {
  const has = reading.study === study.name ? "another of that name" : study.name;
  return `Read by the study ${reading.study}; this server has ${has}. Read it again.`;
}

/** @param {Reading} reading */
function verdict(reading) {
  const called = reading.called ? "above the cut-off" : "not above the cut-off";
  const calibrated = reading.calibrated === null ? "not calibrated" : `calibrated ${probability(reading.calibrated)}`;
  return h(
    "div",
    { class: reading.called ? "verdict called" : "verdict" },
    h("strong", {}, probability(reading.ensemble)),
    h(
      "div",
      {},
      h("span", {}, `probability of malignancy, ${called}`),
      h("span", { class: "dim" }, h("span", {}, calibrated), " · ", h("span", {}, `study ${reading.study}`)),
    ),
  );
}

/** One probability on the line from 0 to 1, with the cut-off. @param {string} name @param {Reading} reading @param {Shown} shown */
function scoreRow(name, reading, shown) {
  const value = name === "ensemble" ? reading.ensemble : reading.networks[name];
  const chosen = shown.network === name;
  const cutoff = reading.cutoff === null ? null : at(h("span", { class: "cutoff" }), reading.cutoff);
  return h(
    "button",
    {
      type: "button",
      class: name === "ensemble" ? "score whole" : "score",
      "aria-pressed": String(chosen),
      title: `Heatmap of ${plain(name)}`,
      dataset: { focus: name },
      "aria-label": `${plain(name)} ${probability(value)}, heatmap`,
      onclick: () => shown.show(chosen ? null : name),
    },
    h("span", { class: "score-name" }, plain(name)),
    h("span", { class: "track", "aria-hidden": "true" }, cutoff, at(h("span", { class: "dot" }), value)),
    h("span", { class: "value" }, probability(value)),
  );
}

/** @param {string[]} names @param {Shown} shown */
function heatControls(names, shown) {
  const value = Math.round(100 * shown.opacity);
  const slider = h("input", {
    type: "range",
    min: 0,
    max: 100,
    value,
    "aria-label": "Opacity of the heatmap",
    "aria-valuetext": `${value} %`,
    dataset: { focus: "opacity" },
    oninput: () => {
      slider.setAttribute("aria-valuetext", `${slider.value} %`);
      shown.fade(slider.valueAsNumber / 100);
    },
  });
  const pick = h(
    "select",
    { "aria-label": "Heatmap of", dataset: { focus: "heatmap" }, onchange: () => shown.show(pick.value || null) },
    h("option", { value: "", selected: !shown.network }, "none"),
    names.map((name) => h("option", { value: name, selected: shown.network === name }, plain(name))),
  );
  return h("div", { class: "heat" }, h("span", {}, "Heatmap"), pick, h("span", { class: "ramp", "aria-hidden": "true" }), slider);
}

/** How fine the chosen heatmap can be, or that it shows nothing. @param {Reading} reading @param {Shown} shown */
function heatNote(reading, shown) {
  const about = shown.network ? reading.heatmaps?.[shown.network] : undefined;
  if (!about) return null; // none is shown, or the reading was made by a version that did not say
  const fineness = about.grid ? gridWords(about.grid) : "Mean of the networks' heatmaps.";
  return h("p", { class: "heat-note dim" }, about.empty ? "0 everywhere: no place speaks for malignancy." : fineness);
}

/** @param {[number, number]} grid */
function gridWords([rows, columns]) {
  const shows = rows * columns === 1 ? "no place" : "a region, no single calcification";
  return `Enlarged from ${rows} × ${columns} values: it shows ${shows}.`;
}

/** @param {Reading} reading */
function warningList(reading) {
  return h(
    "ul",
    { class: "warnings", "aria-label": "Warnings" },
    reading.warnings.map((warning) =>
      h("li", { dataset: { code: warning.code } }, icon("warning"), h("span", {}, warning.message)),
    ),
  );
}

/** What the cut-off means in this study, at the chosen prevalence. @param {Reading} reading @param {Shown} shown */
function meaning(reading, shown) {
  const { sensitivity, specificity, ppv, npv, prevalence, images, patients, confidence } = reading.meaning;
  const percents = String(Number((100 * prevalence).toFixed(1)));
  const input = h("input", {
    type: "number",
    min: "0.1",
    max: "99.9",
    step: "any",
    value: percents,
    disabled: reading.study_identity !== shown.study.identity,
    title: reading.study_identity !== shown.study.identity ? "only the study that read can tell others" : "",
    "aria-label": "Prevalence of malignancy in percent",
    dataset: { focus: "prevalence" },
    oninput: () => delete input.dataset.asked,
    onchange: () => {
      if (!input.reportValidity()) return;
      input.dataset.asked = "true"; // nothing is being typed any more
      shown.explain(input.valueAsNumber / 100);
    },
  });
  const chosenOn = reading.chosen_on ? `chosen on ${plain(reading.chosen_on)}` : "";
  return h(
    "section",
    { class: "meaning" },
    h("h3", {}, `Cut-off ${probability(reading.cutoff)} `, h("span", { class: "dim" }, chosenOn)),
    h(
      "table",
      {},
      h("caption", { class: "hidden" }, "What the cut-off means in this study"),
      h(
        "tbody",
        {},
        meaningRow("Sensitivity", sensitivity),
        meaningRow("Specificity", specificity),
        meaningRow("PPV", ppv),
        meaningRow("NPV", npv),
      ),
    ),
    h("label", { class: "prevalence" }, h("span", {}, "PPV and NPV at a prevalence of"), input, h("span", {}, "%")),
    h("p", { class: "dim" }, `Test set: ${images} images of ${patients} patients; ${percent(confidence)} % intervals`),
  );
}

/** @param {string} name @param {Estimate} estimate */
function meaningRow(name, { value, low, high }) {
  const track = h("span", { class: "track", "aria-hidden": "true" });
  if (low !== null && high !== null) {
    const bar = at(h("span", { class: "interval" }), low);
    bar.style.width = `${100 * (high - low)}%`;
    track.append(bar);
  }
  if (value !== null) track.append(at(h("span", { class: "dot" }), value));
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, name),
    h("td", {}, track),
    h("td", { class: "value" }, value === null ? "undefined" : `${percent(value)} %`),
    h("td", { class: "limits dim" }, low === null || high === null ? "no limits" : `${percent(low)}–${percent(high)} %`),
  );
}

const STATES = /** @type {Record<string, string>} */ ({ waiting: "waiting", sending: "on its way", sent: "in the PACS" });

/** Modalities of what is sent, in words. */
const KINDS = /** @type {Record<string, string>} */ ({
  SR: "Structured report",
  PR: "Presentation state with the square",
  SEG: "Heatmap",
  OT: "Heatmap",
});

/** @param {Shown} shown */
function sending(shown) {
  const entry = (/** @type {import("./api.js").OutboxEntry} */ { kind, state, tries, next_try: next, last_error: error }) => {
    const again = state === "waiting" && tries ? `, again ${clock(next ?? "")}` : "";
    return h(
      "li",
      { dataset: { state } },
      h("span", {}, KINDS[kind] ?? plain(kind)),
      h("span", { class: "state", title: error ?? "" }, `${STATES[state] ?? state}${again}`),
      again && error ? h("span", { class: "trouble" }, error) : null,
    );
  };
  return h(
    "section",
    { class: "sending" },
    h(
      "button",
      {
        type: "button",
        onclick: shown.send,
        disabled: !shown.pacs || shown.stale,
        title: !shown.pacs ? "no PACS is set up" : shown.stale ? "read the square again first" : "",
        dataset: { focus: "send" },
      },
      icon("send"),
      "Send to PACS",
      h("kbd", {}, "T"),
    ),
    h("ul", { "aria-label": "Objects for the PACS" }, shown.sent.map(entry)),
  );
}
