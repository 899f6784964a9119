/**
 * What each key does, on the worklist and on an exam.
 */

/**
 * @typedef {import("./keys.js").Key} Key
 * @typedef {import("./exam.js").ExamPage} ExamPage
 * @typedef {import("./worklist.js").Worklist} Worklist
 */

/** Screen pixels that an arrow moves the image. */
const STEP = 60;

/** Image pixels that Shift and an arrow move a square. */
const LEAP = 20;

/** Greys, of 65,536, that a key changes the window by. */
const GREYS = 1600;

/**
 * @param {string} group
 * @param {Array<[string|string[], string, string, (event: KeyboardEvent) => void]>} rows keys, as they are shown, what they do
 * @returns {Key[]}
 */
const keys = (group, rows) => rows.map(([names, shown, what, action]) => ({ group, keys: [names].flat(), shown, what, action }));

const nothing = () => {};

/** @param {Worklist} list @param {() => void} help @returns {Key[]} */
export function worklistKeys(list, help) {
  return keys("Worklist", [
    ["/", "/", "Search", () => list.search.focus()],
    ["ArrowDown", "↓", "Next exam", () => list.step(1)],
    ["ArrowUp", "↑", "Exam before", () => list.step(-1)],
    [[], "Enter", "Open the exam", nothing],
    ["u", "U", "Upload files", () => list.picker.click()],
    ["p", "P", "Query the PACS", () => list.query()],
    ["?", "?", "These keys", help],
  ]);
}

/** @param {ExamPage} exam @param {{help: () => void, leave: () => void}} page @returns {Key[]} */
export function examKeys(exam, { help, leave }) {
  return [
    ...imageKeys(exam),
    ...greyKeys(exam),
    ...squareKeys(exam),
    ...readingKeys(exam),
    ...keys("Page", [
      ["q", "Q", "Back to the worklist", leave],
      ["?", "?", "These keys", help],
    ]),
  ];
}

/** @param {ExamPage} exam */
function imageKeys(exam) {
  const { light } = exam;
  return keys("Images", [
    ["1", "1", "One image", () => light.layOut("one")],
    ["2", "2", "CC and MLO of this breast", () => light.layOut("views")],
    ["3", "3", "Both breasts, back to back", () => light.layOut("breasts")],
    ["4", "4", "Four images", () => light.layOut("four")],
    [["n", "PageDown"], "N", "Next image", () => light.turn(1)],
    [["b", "PageUp"], "B", "Image before", () => light.turn(-1)],
    ["0", "0", "One image pixel on one screen pixel", () => exam.actualSize()],
    ["f", "F", "Fit", () => light.fit()],
    [["+", "="], "+", "Larger", () => light.act((pane) => pane.zoom(1.25))],
    ["-", "-", "Smaller", () => light.act((pane) => pane.zoom(0.8))],
    ["m", "M", "Magnifier", () => light.toggleLens()],
  ]);
}

/** @param {ExamPage} exam */
function greyKeys({ light }) {
  return keys("Greys", [
    ["i", "I", "Invert", () => light.invert()],
    [",", ",", "Narrower window", () => light.act((pane) => pane.shiftWindow(-GREYS, 0))],
    [".", ".", "Wider window", () => light.act((pane) => pane.shiftWindow(GREYS, 0))],
    ["j", "J", "Brighter", () => light.act((pane) => pane.shiftWindow(0, -GREYS))],
    ["k", "K", "Darker", () => light.act((pane) => pane.shiftWindow(0, GREYS))],
    ["a", "A", "All greys", () => light.resetWindow()],
    ["w", "W", "One window for all images, or each its own", () => light.toggleLinked()],
  ]);
}

/** @param {ExamPage} exam */
function squareKeys(exam) {
  const { light, squares } = exam;
  const arrow = (/** @type {KeyboardEvent} */ event) => {
    const x = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const y = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    const far = event.shiftKey ? LEAP : 1;
    if (squares.chosen && !event.altKey) squares.nudge(y * far, x * far);
    else light.act((pane) => pane.move(-x * STEP, -y * STEP));
  };
  const arrows = ["Left", "Right", "Up", "Down"].flatMap((name) => ["", "Shift+", "Alt+"].map((held) => `${held}Arrow${name}`));
  return keys("Squares", [
    ["s", "S", "Mark with a click", () => light.setTool("mark")],
    ["h", "H", "Only move the image", () => light.setTool("pan")],
    ["d", "D", "Drag the window", () => light.setTool("window")],
    ["Enter", "Enter", "Square in the middle of the view", () => exam.placeInMiddle()],
    [arrows, "Arrows", "Move the chosen square by a pixel, with Shift by 20; else the image, as with Alt", arrow],
    ["x", "X", "Next square", () => exam.goTo(squares.next(1))],
    ["z", "Z", "Square before", () => exam.goTo(squares.next(-1))],
    ["Escape", "Esc", "Choose none", () => squares.choose(null)],
    ["Delete", "Del", "Remove the chosen square", () => squares.remove()],
    ["Ctrl+z", "Ctrl Z", "Put the removed square back", () => squares.putBack()],
    ["l", "L", "Same lesion as in the other view", () => squares.linkPartner()],
    ["e", "E", "To the labels", () => exam.form.querySelector("input:checked")?.focus()],
    ["y", "Y", "History of the chosen square", () => exam.showHistory()],
    ["o", "O", "Hide or show the squares", () => light.toggleSquares()],
    ["g", "G", "Agreement of the readers", () => exam.showAgreement()],
  ]);
}

/** @param {ExamPage} exam */
function readingKeys(exam) {
  const { squares, readings } = exam;
  return keys("Reading", [
    ["r", "R", "Read the chosen square", () => exam.read()],
    ["c", "C", "Next heatmap", () => readings.step(squares.chosen, 1)],
    ["v", "V", "Heatmap before", () => readings.step(squares.chosen, -1)],
    ["[", "[", "Heatmap fainter", () => readings.fade(readings.opacity - 0.1)],
    ["]", "]", "Heatmap stronger", () => readings.fade(readings.opacity + 0.1)],
    ["t", "T", "Send to the PACS", () => exam.send()],
  ]);
}
