/**
 * The tools of the light box, as buttons in the head of the page.
 */
import { h, iconButton } from "./dom.js";

/** @param {import("./exam.js").ExamPage} exam */
export function toolbar(exam) {
  const { light } = exam;
  /** Buttons that are pressed or not. @type {Array<[HTMLElement, () => boolean]>} */
  const states = [];
  const button = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {string} */ key,
    /** @type {() => void} */ action,
    /** @type {(() => boolean)|null} */ on = null,
  ) => {
    const element = iconButton(name, label, key, action);
    if (on) states.push([element, on]);
    return element;
  };
  const layout = (/** @type {import("./hanging.js").Layout} */ name, /** @type {string} */ label, /** @type {string} */ key) =>
    button(
      `layout-${name}`,
      label,
      key,
      () => light.layOut(name),
      () => light.layout === name,
    );
  const tool = (/** @type {"mark"|"pan"|"window"} */ name, /** @type {string} */ label, /** @type {string} */ key) =>
    button(
      name,
      label,
      key,
      () => light.setTool(name),
      () => light.tool === name,
    );
  const group = (/** @type {string} */ label, /** @type {Node[]} */ ...buttons) =>
    h("div", { class: "tools", role: "group", "aria-label": label }, buttons);
  const bar = h(
    "div",
    { class: "toolbar" },
    group(
      "Layout",
      layout("one", "One image", "1"),
      layout("views", "CC and MLO", "2"),
      layout("breasts", "Both breasts", "3"),
      layout("four", "Four images", "4"),
    ),
    group("Left button", tool("mark", "Mark", "S"), tool("pan", "Move", "H"), tool("window", "Window", "D")),
    group(
      "Size",
      button("fit", "Fit", "F", () => light.fit()),
      button("actual", "One to one", "0", () => exam.actualSize()),
      button(
        "magnifier",
        "Magnifier",
        "M",
        () => light.toggleLens(),
        () => light.lens,
      ),
    ),
    group(
      "Greys and squares",
      button(
        "invert",
        "Invert",
        "I",
        () => light.invert(),
        () => Boolean(light.active?.window.invert),
      ),
      button(
        "sync",
        "One window for all images",
        "W",
        () => light.toggleLinked(),
        () => light.linked,
      ),
      button(
        "squares",
        "Squares",
        "O",
        () => light.toggleSquares(),
        () => light.squares,
      ),
    ),
  );
  exam.changed = () => {
    for (const [element, on] of states) element.setAttribute("aria-pressed", String(on()));
  };
  exam.changed();
  return bar;
}
