/**
 * Beginning: who is here, which page is shown, the bars at the head and the foot, and what each key does.
 */
import { api } from "./api.js";
import { announce, dialog, h, icon, iconButton } from "./dom.js";
import { ExamPage } from "./exam.js";
import { listen, showKeys } from "./keys.js";
import { Worklist } from "./worklist.js";

/** @typedef {import("./keys.js").Key} Key */

const head = /** @type {HTMLElement} */ (document.getElementById("head"));
const stage = /** @type {HTMLElement} */ (document.getElementById("stage"));
const place = /** @type {HTMLElement} */ (document.getElementById("place"));

/** @type {{me: any, study: any, pacs: boolean, over: (text: string) => void}} */
const room = { me: null, study: null, pacs: false, over: (text) => { place.textContent = text; } };
/** @type {Worklist|ExamPage|null} */
let page = null;
/** @type {Key[]} */
let table = [];
let deaf = () => {};

/** @param {string} group @param {string|string[]} keys @param {string} shown @param {string} what @param {(event: KeyboardEvent) => void} action @returns {Key} */
const key = (group, keys, shown, what, action) => ({ group, keys: [keys].flat(), shown, what, action });

const help = () => key("Page", "?", "?", "These keys", () => showKeys(table));

/** @param {Worklist} list @returns {Key[]} */
function worklistKeys(list) {
  return [
    key("Worklist", "/", "/", "Search", () => list.search.focus()),
    key("Worklist", "ArrowDown", "↓", "Next exam", () => list.step(1)),
    key("Worklist", "ArrowUp", "↑", "Exam before", () => list.step(-1)),
    key("Worklist", [], "Enter", "Open the exam", () => {}),
    key("Worklist", "u", "U", "Upload files", () => list.picker.click()),
    key("Worklist", "p", "P", "Query the PACS", () => { if (room.pacs) list.query(); }),
    help(),
  ];
}

/** @param {ExamPage} exam @returns {Key[]} */
function examKeys(exam) {
  const { light } = exam, step = 60;
  /** @param {number} x @param {number} y @param {KeyboardEvent} event */
  const arrow = (x, y, event) => {
    if (exam.chosen && !event.altKey) exam.nudge(y * (event.shiftKey ? 20 : 1), x * (event.shiftKey ? 20 : 1));
    else light.act((pane) => pane.move(-x * step, -y * step));
  };
  const arrows = (/** @type {string} */ name) => [`Arrow${name}`, `Shift+Arrow${name}`, `Alt+Arrow${name}`];
  const greys = 1600;
  return [
    key("Images", "1", "1", "One image", () => light.show(light.image, "one")),
    key("Images", "2", "2", "CC and MLO of this breast", () => light.show(light.image, "views")),
    key("Images", "3", "3", "Both breasts, back to back", () => light.show(light.image, "breasts")),
    key("Images", "4", "4", "Four images", () => light.show(light.image, "four")),
    key("Images", ["n", "PageDown"], "N", "Next image", () => light.turn(1)),
    key("Images", ["b", "PageUp"], "B", "Image before", () => light.turn(-1)),
    key("View", "0", "0", "One to one: each image pixel on one screen pixel", () => light.act((pane) => pane.actualSize())),
    key("View", "f", "F", "Fit", () => light.fit()),
    key("View", ["+", "="], "+", "Larger", () => light.act((pane) => pane.zoom(1.25))),
    key("View", "-", "-", "Smaller", () => light.act((pane) => pane.zoom(0.8))),
    key("View", [], "Alt ↑ ↓ ← →", "Move the image (without Alt where no square is chosen)", () => {}),
    key("View", "m", "M", "Magnifier", () => light.toggleLens()),
    key("Greys", "i", "I", "Invert", () => light.invert()),
    key("Greys", ",", ",", "Narrower window", () => light.act((pane) => pane.shiftWindow(-greys, 0))),
    key("Greys", ".", ".", "Wider window", () => light.act((pane) => pane.shiftWindow(greys, 0))),
    key("Greys", "j", "J", "Brighter", () => light.act((pane) => pane.shiftWindow(0, -greys))),
    key("Greys", "k", "K", "Darker", () => light.act((pane) => pane.shiftWindow(0, greys))),
    key("Greys", "a", "A", "All greys", () => light.resetWindow()),
    key("Greys", "w", "W", "One window for all images, or each its own", () => { light.linked = !light.linked; exam.lit(); }),
    key("Squares", "s", "S", "Tool: mark with a click", () => light.setTool("mark")),
    key("Squares", "h", "H", "Tool: move the image only", () => light.setTool("pan")),
    key("Squares", "d", "D", "Tool: drag the window", () => light.setTool("window")),
    key("Squares", "Enter", "Enter", "Square in the middle of the view", () => exam.placeInMiddle()),
    key("Squares", arrows("Left"), "↑ ↓ ← →", "Move the chosen square by a pixel, with Shift by 20", (event) => arrow(-1, 0, event)),
    ...["Right", "Up", "Down"].map((name) => key("", arrows(name), "", "", (event) => arrow(name === "Right" ? 1 : 0, name === "Up" ? -1 : name === "Down" ? 1 : 0, event))),
    key("Squares", "x", "X", "Next square", () => exam.stepSquare(1)),
    key("Squares", "z", "Z", "Square before", () => exam.stepSquare(-1)),
    key("Squares", "Delete", "Del", "Remove the chosen square", () => exam.remove()),
    key("Squares", "Escape", "Esc", "Choose none", () => exam.choose(null)),
    key("Squares", "l", "L", "Same lesion as in the other view", () => exam.linkPartner()),
    key("Squares", "e", "E", "To the labels", () => exam.form.querySelector("input:checked, select, textarea")?.focus()),
    key("Squares", "o", "O", "Hide or show the squares", () => { light.squares = !light.squares; light.repaint(); exam.lit(); }),
    key("Squares", "y", "Y", "History of the chosen square", () => exam.showHistory()),
    key("Squares", "g", "G", "Agreement of the readers", () => exam.showAgreement()),
    key("Reading", "r", "R", "Read the chosen square", () => exam.read()),
    key("Reading", "c", "C", "Next heatmap", () => exam.stepHeat(1)),
    key("Reading", "v", "V", "Heatmap before", () => exam.stepHeat(-1)),
    key("Reading", "[", "[", "Heatmap fainter", () => { exam.fade(exam.heat.opacity - 0.1); exam.drawResult(); }),
    key("Reading", "]", "]", "Heatmap stronger", () => { exam.fade(exam.heat.opacity + 0.1); exam.drawResult(); }),
    key("Reading", "t", "T", "Send to the PACS", () => exam.send()),
    key("Page", "q", "Q", "Back to the worklist", () => { location.hash = "#/"; }),
    help(),
  ].filter((each) => each.group || each.keys.length);
}

/** The tools of the light box. @param {ExamPage} exam */
function toolbar(exam) {
  const { light } = exam;
  /** @type {Array<[HTMLButtonElement, () => boolean]>} */
  const states = [];
  const button = (/** @type {string} */ name, /** @type {string} */ label, /** @type {string} */ shortcut, /** @type {() => void} */ action, /** @type {(() => boolean)|undefined} */ on = undefined) => {
    const element = iconButton(name, label, shortcut, action);
    if (on) states.push([element, on]);
    return element;
  };
  const group = (/** @type {string} */ label, /** @type {Node[]} */ ...buttons) => h("div", { class: "tools", role: "group", "aria-label": label }, buttons);
  const layout = (/** @type {any} */ name, /** @type {string} */ label, /** @type {string} */ shortcut) => button(`layout-${name}`, label, shortcut, () => light.show(light.image, name), () => light.layout === name);
  const tools = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Tools" },
    group("Layout", layout("one", "One image", "1"), layout("views", "CC and MLO", "2"), layout("breasts", "Both breasts", "3"), layout("four", "Four images", "4")),
    group("Tool", button("mark", "Mark", "S", () => light.setTool("mark"), () => light.tool === "mark"), button("pan", "Move", "H", () => light.setTool("pan"), () => light.tool === "pan"), button("window", "Window", "D", () => light.setTool("window"), () => light.tool === "window")),
    group("View", button("fit", "Fit", "F", () => light.fit()), button("actual", "One to one", "0", () => light.act((pane) => pane.actualSize())), button("magnifier", "Magnifier", "M", () => light.toggleLens(), () => light.lens)),
    group("Greys", button("invert", "Invert", "I", () => light.invert(), () => Boolean(light.active?.window.invert)), button("sync", "One window for all", "W", () => { light.linked = !light.linked; exam.lit(); }, () => light.linked),
      button("squares", "Squares", "O", () => { light.squares = !light.squares; light.repaint(); exam.lit(); }, () => light.squares)));
  exam.changed = () => { for (const [element, on] of states) element.setAttribute("aria-pressed", String(on())); };
  exam.changed();
  return tools;
}

function account() {
  return h("div", { class: "account" }, h("span", { class: "dim" }, room.me?.name ?? ""),
    iconButton("keys", "Keys", "?", () => showKeys(table)),
    room.me && iconButton("leave", "Log out", "", async () => { await api.logout().catch(() => {}); location.hash = "#/"; location.reload(); }));
}

/** @param {Worklist|ExamPage} next @param {Key[]} keys @param {Node[]} bar */
function turnTo(next, keys, bar) {
  page?.close();
  page = next;
  deaf();
  table = keys;
  deaf = listen(keys);
  head.replaceChildren(...bar, account());
  stage.replaceChildren(next.element);
  place.textContent = "";
}

function brand() {
  return h("a", { class: "brand", href: "#/", "aria-label": "microcalc, worklist" }, icon("mark-calc"), h("span", {}, "microcalc"), room.study?.name ? h("span", { class: "dim" }, room.study.name) : null);
}

async function showWorklist() {
  const list = new Worklist(room, (id) => { location.hash = `#/exam/${id}`; });
  turnTo(list, worklistKeys(list), [brand(), h("span", { class: "spacer" })]);
  document.title = "Worklist · microcalc";
  await list.load();
}

/** @param {string} id */
async function showExam(id) {
  const info = await api.exam(id), exam = new ExamPage(room, info);
  const who = h("div", { class: "who" }, h("a", { class: "back", href: "#/", "aria-label": "Back to the worklist", title: "Worklist (Q)" }, icon("back")),
    h("h1", {}, info.patient_id || "no patient ID"), h("span", {}, info.patient_name ?? ""), h("span", { class: "dim" }, [info.date, info.description].filter(Boolean).join(" · ")));
  turnTo(exam, examKeys(exam), [who, toolbar(exam)]);
  document.title = "Exam · microcalc";
  await exam.open();
}

async function route() {
  const [, kind, id] = location.hash.split("/");
  try {
    if (kind === "exam" && id) await showExam(decodeURIComponent(id));
    else await showWorklist();
  } catch (error) {
    const { message, wayOut, status } = /** @type {any} */ (error);
    if (status === 401) return;
    announce([message, wayOut].filter(Boolean).join("; "), "assertive");
    if (kind === "exam") location.hash = "#/";
  }
}

/** Ask for name and password; the page behind stays as it is. */
function askLogin() {
  if (document.querySelector(".login")) return;
  const trouble = h("p", { class: "trouble", role: "alert" });
  const name = h("input", { name: "name", autocomplete: "username", required: true }), password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const form = h("form", { class: "login", onsubmit: async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await api.login(name.value, password.value);
      box.close();
      await begin();
    } catch (error) {
      trouble.textContent = /** @type {Error} */ (error).message;
      password.select();
    }
  } }, h("label", { class: "field" }, h("span", {}, "Name"), name), h("label", { class: "field" }, h("span", {}, "Password"), password), trouble, h("button", { type: "submit", class: "primary" }, "Log in"));
  const box = dialog("Log in", [form]);
  box.addEventListener("cancel", (/** @type {Event} */ event) => event.preventDefault());
}

async function begin() {
  try {
    room.me = await api.me();
  } catch (error) {
    if (/** @type {any} */ (error).status !== 401) announce(/** @type {Error} */ (error).message, "assertive");
    return;
  }
  [room.study, room.pacs] = await Promise.all([api.study().catch(() => ({ networks: [] })), api.pacs().then((answer) => answer.configured).catch(() => false)]);
  if (room.study.research_use) /** @type {HTMLElement} */ (document.getElementById("research")).textContent = room.study.research_use;
  if (!page) await route();
}

window.addEventListener("hashchange", route);
window.addEventListener("signed-out", askLogin);
window.addEventListener("beforeunload", (event) => { if (page instanceof ExamPage && page.unsaved) event.preventDefault(); });
window.addEventListener("dragover", (event) => event.preventDefault());
window.addEventListener("drop", (event) => event.preventDefault());
begin();
