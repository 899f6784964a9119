/**
 * The keys of the page, in one table: it serves the keyboard and the list that `?` shows.
 */
import { dialog, h } from "./dom.js";

/**
 * @typedef {{keys: string[], shown: string, what: string, group: string, action: (event: KeyboardEvent) => void}} Key
 */

const SETTING = "microcalc.keys";

/** Whether single keys act; somebody who dictates turns them off (WCAG 2.1.4). */
function lettersOn() {
  return localStorage.getItem(SETTING) !== "off";
}

/** @param {KeyboardEvent} event */
function typing(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.matches?.("textarea, input:not([type=radio]):not([type=range]):not([type=checkbox])")) return true;
  return target.matches?.("select, input[type=radio], input[type=range]") && /^(Arrow|Home|End|Page| |Enter)/.test(event.key);
}

/** @param {KeyboardEvent} event @returns {string} for instance "Shift+ArrowLeft" or "?" */
function nameOf(event) {
  const single = event.key.length === 1;
  return (
    (event.ctrlKey ? "Ctrl+" : "") +
    (event.altKey ? "Alt+" : "") +
    (event.shiftKey && !single ? "Shift+" : "") +
    (single ? event.key.toLowerCase() : event.key)
  );
}

/**
 * Listen to keys until the returned function is called.
 * @param {Key[]} table
 */
export function listen(table) {
  const act = (/** @type {KeyboardEvent} */ event) => {
    if (event.metaKey || document.querySelector("dialog[open]") || typing(event)) return;
    const name = nameOf(event),
      key = table.find((each) => each.keys.includes(name));
    if (!key || (name.length === 1 && name !== "?" && !lettersOn())) return;
    if (
      (name === "Enter" || name === " ") &&
      /** @type {HTMLElement} */ (event.target).matches("button, a, summary, input, select")
    )
      return;
    event.preventDefault();
    key.action(event);
  };
  document.addEventListener("keydown", act);
  return () => document.removeEventListener("keydown", act);
}

/** @param {Key[]} table */
export function showKeys(table) {
  const groups = [...new Set(table.map((key) => key.group))].filter(Boolean);
  const letters = h("input", {
    type: "checkbox",
    checked: lettersOn(),
    onchange: () => localStorage.setItem(SETTING, letters.checked ? "on" : "off"),
  });
  const rows = (/** @type {string} */ group) =>
    table
      .filter((key) => key.group === group)
      .map((key) =>
        h(
          "div",
          {},
          h(
            "dt",
            {},
            key.shown.split(" ").map((part) => (part === "+" && key.shown !== "+" ? "+" : h("kbd", {}, part))),
          ),
          h("dd", {}, key.what),
        ),
      );
  dialog(
    "Keys",
    [
      h(
        "div",
        { class: "key-groups" },
        groups.map((group) => h("section", {}, h("h3", {}, group), h("dl", { class: "keys" }, rows(group)))),
      ),
      h("label", { class: "check" }, letters, "Single letters and numbers act as keys"),
    ],
    { wide: true },
  );
}
