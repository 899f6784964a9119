/**
 * Uploading files: how far it is, and the verdict on each that was not taken in.
 */
import { api } from "./api.js";
import { h, icon } from "./dom.js";

/**
 * @param {File[]} files
 * @param {HTMLElement} report where it is told
 */
export async function upload(files, report) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": "Upload" });
  const list = h("ul");
  const title = h("p", {}, `${files.length} ${files.length === 1 ? "file" : "files"} on the way`);
  const close = h(
    "button",
    {
      type: "button",
      class: "quiet",
      onclick: () => {
        report.hidden = true;
      },
    },
    "Close",
  );
  report.hidden = false;
  report.replaceChildren(h("header", {}, title, close), bar, list);
  const progress = (/** @type {number} */ share) => {
    bar.value = share;
    if (share === 1) title.textContent = "Reading the files";
  };
  try {
    const results = await api.upload(files, progress);
    const refused = results.filter((result) => !result.accepted);
    title.textContent = `${results.length - refused.length} of ${results.length} images taken in`;
    list.replaceChildren(
      ...refused.map((result) => h("li", {}, icon("refused"), h("strong", {}, result.file), " ", result.message || result.code)),
    );
  } catch (error) {
    title.textContent = [/** @type {Error} */ (error).message, /** @type {any} */ (error).wayOut].filter(Boolean).join("; ");
  }
  bar.remove();
}
