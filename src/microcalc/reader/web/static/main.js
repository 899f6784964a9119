/**
 * Beginning: who is here, which page is shown, and the bars at the head and the foot.
 */
import { api } from "./api.js";
import { announce, dialog, h, icon, iconButton } from "./dom.js";
import { ExamPage } from "./exam.js";
import { examKeys, worklistKeys } from "./keymap.js";
import { listen, showKeys } from "./keys.js";
import { anyUnsaved } from "./saving.js";
import { toolbar } from "./toolbar.js";
import { Worklist } from "./worklist.js";

/** @param {string} id @returns {HTMLElement} */
const byId = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @type {any} what every page needs to know; see `Room` in exam.js */
const room = {
  me: null,
  study: { name: "", identity: "", networks: [] },
  pacs: false,
  over: (/** @type {string} */ text) => {
    byId("place").textContent = text;
  },
};
/** @type {Worklist|ExamPage|null} */
let page = null;
/** @type {import("./keys.js").Key[]} */
let table = [];
let stopListening = () => {};

const help = () => showKeys(table);
const toWorklist = () => {
  location.hash = "#/";
};

/** @param {Worklist|ExamPage} next @param {import("./keys.js").Key[]} keys @param {Node[]} bar */
function turnTo(next, keys, bar) {
  page?.close();
  stopListening();
  page = next;
  table = keys;
  stopListening = listen(keys);
  byId("head").replaceChildren(...bar, account());
  byId("stage").replaceChildren(next.element);
  room.over("");
}

function account() {
  return h(
    "div",
    { class: "account" },
    h("span", { class: "dim" }, room.me.name),
    iconButton("keys", "Keys", "?", help),
    iconButton("leave", "Log out", "", logOut),
  );
}

async function logOut() {
  await api.logout().catch(() => {});
  location.replace("./");
}

async function showWorklist() {
  const list = new Worklist(room, (id) => {
    location.hash = `#/exam/${id}`;
  });
  const brand = h("div", { class: "brand" }, icon("mark-calc"), "microcalc", h("span", { class: "dim" }, room.study.name));
  turnTo(list, worklistKeys(list, help), [brand]);
  document.title = "Worklist · microcalc";
  await list.load();
}

/** @param {string} id */
async function showExam(id) {
  const asked = location.hash;
  const info = await api.exam(id);
  if (location.hash !== asked) return;
  const exam = new ExamPage(room, info);
  const who = h(
    "div",
    { class: "who" },
    h("a", { class: "back", href: "#/", "aria-label": "Back to the worklist", title: "Back to the worklist (Q)" }, icon("back")),
    h(
      "div",
      { class: "patient" },
      h("h1", {}, info.patient_id || info.patient_name || "no patient ID"),
      h("span", { class: "name" }, info.patient_id ? info.patient_name : ""),
      h("span", { class: "dim date" }, info.date),
      h("span", { class: "dim description" }, info.description),
    ),
  );
  turnTo(exam, examKeys(exam, { help, leave: toWorklist }), [who, toolbar(exam)]);
  document.title = "Exam · microcalc";
  await exam.open();
}

async function route() {
  const [, kind, id] = location.hash.split("/");
  try {
    await (kind === "exam" && id ? showExam(decodeURIComponent(id)) : showWorklist());
  } catch (error) {
    if (/** @type {any} */ (error).status === 401) return;
    announce(wordsOf(error), "assertive");
    if (!page) toWorklist();
  }
}

/** @param {any} error of the server */
const wordsOf = (error) => [error.message, error.wayOut].filter(Boolean).join("; ");

/** Ask for name and password; the page behind stays as it is, and goes on for the same person. @param {any} event why */
function askLogin({ detail }) {
  const open = document.querySelector(".login .trouble");
  if (open) {
    open.textContent = wordsOf(detail);
    return;
  }
  const trouble = h("p", { class: "trouble", role: "alert" }, room.me ? wordsOf(detail) : "");
  const name = h("input", { autocomplete: "username", required: true, autofocus: true });
  const password = h("input", { type: "password", autocomplete: "current-password", required: true });
  const logIn = async (/** @type {Event} */ event) => {
    event.preventDefault();
    try {
      await api.login(name.value, password.value);
    } catch (error) {
      trouble.textContent = wordsOf(error);
      password.select();
      return;
    }
    await begin();
  };
  const box = dialog(
    "Log in",
    [
      h(
        "form",
        { class: "login", onsubmit: logIn },
        h("label", { class: "field" }, h("span", {}, "Name"), name),
        h("label", { class: "field" }, h("span", {}, "Password"), password),
        trouble,
        h("button", { type: "submit", class: "primary" }, "Log in"),
      ),
    ],
    { fixed: true },
  );
  window.addEventListener("signed-in", () => box.close(), { once: true });
}

async function begin() {
  try {
    room.me = await api.me();
    const before = room.study.identity;
    const [study, pacs] = await Promise.all([
      api.study().catch((error) => announce(error.message, "assertive")),
      api.pacs().then(
        (answer) => answer.configured,
        () => false,
      ),
    ]);
    room.pacs = pacs;
    Object.assign(room.study, study); // an open exam has this very object
    if (page instanceof ExamPage && room.study.identity !== before) page.redraw();
  } catch (error) {
    if (/** @type {any} */ (error).status !== 401) announce(/** @type {Error} */ (error).message, "assertive");
    return;
  }
  byId("research").textContent = room.me.research_use;
  if (!page) await route();
}

window.addEventListener("hashchange", route);
window.addEventListener("signed-out", askLogin);
// The printed address may have been opened in another window.
window.addEventListener("focus", () => document.querySelector(".login") && begin());
window.addEventListener("beforeunload", (event) => {
  if (anyUnsaved()) event.preventDefault();
});
for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
begin();
