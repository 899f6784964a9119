/**
 * The server's answers: one function for each call, and the shapes of what comes back.
 *
 * Every change carries the X-CSRF token. An answer that is no success becomes an `ApiError` with the server's own words.
 */

/**
 * @typedef {{name: string, role: string, csrf?: string, blind?: boolean, research_use?: string}} Me
 * @typedef {{name: string, identity: string, networks: string[], roi_side: number, roi_mm: number|null, spacing_mm: number|null, cutoff: number|null,
 *   prevalence: number|null, research_use: string, version: string, calibrated: boolean}} Study
 * @typedef {{id: string, patient_id: string, patient_name?: string, date: string, status: string, images: number, description: string}} ExamRow
 * @typedef {{code: string, message: string}} Note
 * @typedef {{id: string, laterality: string, view: string, view_modifiers: string[], rows: number, columns: number,
 *   spacing_mm: number|null, magnification: number|null, accepted: boolean, code: string, message: string, notes: Note[], date: string}} ImageInfo
 * @typedef {Omit<ExamRow, "images"> & {images: ImageInfo[], done?: boolean}} ExamInfo
 * @typedef {{row: number, col: number, side: number, lesion: string, pathology: string, birads: string, morphology: string,
 *   distribution: string, note: string}} Labels
 * @typedef {Labels & {id: string, image_id: string, reader: string, mine: boolean, revision: number, updated: string, reading_id?: string|null}} Annotation
 * @typedef {{value: number|null, low: number|null, high: number|null}} Estimate
 * @typedef {{id: string, revision: number, study: string, study_identity: string, networks: Record<string, number>, ensemble: number, calibrated: number|null, called: boolean, cutoff: number|null, chosen_on: string,
 *   meaning: {prevalence: number, images: number, patients: number, confidence: number, sensitivity: Estimate, specificity: Estimate, ppv: Estimate, npv: Estimate},
 *   roi: {row: number, col: number, side: number, padded: boolean}, warnings: Note[],
 *   heatmaps?: Record<string, {grid: [number, number]|null, empty: boolean}>, runtime: string, milliseconds: number}} Reading
 * @typedef {{file: string, code: string, message: string, at: string}} RefusedFile
 * @typedef {{id: string, kind: string, state: string, tries: number, next_try: string|null, last_error: string, reading_id?: string, created: string}} OutboxEntry
 */

export class ApiError extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    super(body?.error || (status ? `The server answered ${status}.` : "The server cannot be reached."));
    this.status = status;
    this.wayOut = body?.way_out ?? "";
    this.body = body;
  }
}

/** Token that changes carry; "" when nobody is logged in. */
let csrf = "";
/** Whose page this is. */
let person = "";

/** Where a session has ended, the next one is asked for its token. @returns {Promise<Record<string, string>>} */
async function tokenHeader() {
  if (!csrf) await api.me();
  return { "X-CSRF": csrf };
}

/** @param {ApiError} error why this page cannot go on before somebody logs in */
function signedOut(error) {
  csrf = "";
  window.dispatchEvent(new CustomEvent("signed-out", { detail: error }));
}

/**
 * @param {string} method
 * @param {string} path below api/
 * @param {any} [body] sent as JSON, or as it is where it is FormData
 * @param {boolean} [background] the page asks by itself: that does not keep the session alive
 * @returns {Promise<Response>}
 */
async function request(method, path, body, background = false) {
  const before = csrf;
  const headers = method === "GET" || path === "login" ? {} : await tokenHeader();
  if (body !== undefined && !(body instanceof FormData)) headers["Content-Type"] = "application/json";
  if (background) headers["X-Background"] = "1";
  let answer;
  try {
    answer = await fetch(`api/${path}`, {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined || body instanceof FormData ? body : JSON.stringify(body),
    });
  } catch {
    throw new ApiError(0, null);
  }
  if (!answer.ok) {
    const error = new ApiError(answer.status, await answer.json().catch(() => null));
    if (answer.status === 401 && path !== "login") signedOut(error);
    if (answer.status === 403 && method !== "GET" && before && csrf === before) {
      csrf = ""; // the token may be that of an earlier session: once more with the one of now
      return request(method, path, body, background);
    }
    throw error;
  }
  return answer;
}

/** @param {string} method @param {string} path @param {any} [body] @param {boolean} [background] @returns {Promise<any>} */
async function json(method, path, body, background) {
  const answer = await request(method, path, body, background);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} part of an address */
const safe = (part) => encodeURIComponent(part);

/** @param {Record<string, string|number|undefined>} values */
function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given.map(([k, v]) => [k, String(v)]))}` : "";
}

/** @param {Me} me */
function remember(me) {
  if (person && me.name !== person) {
    const error = new ApiError(401, { error: `this page is ${person}'s, but ${me.name} is logged in now`, way_out: "reload the page" });
    signedOut(error);
    throw error;
  }
  person = me.name;
  csrf = me.csrf ?? csrf;
  window.dispatchEvent(new CustomEvent("signed-in"));
  return me;
}

export const api = {
  /** @returns {Promise<Me>} */
  me: async () => remember(await json("GET", "me")),
  /** @param {string} name @param {string} password @returns {Promise<Me>} */
  login: async (name, password) => remember(await json("POST", "login", { name, password })),
  logout: () => json("POST", "logout"),
  /** @returns {Promise<Study>} */
  study: () => json("GET", "study"),
  /** The words may name a patient: not in the address. @param {string} search @param {string} status @param {boolean} [background] @returns {Promise<ExamRow[]>} */
  exams: (search, status, background) => json("POST", "exams/search", { search, status: status || undefined }, background),
  /** @param {string} id @returns {Promise<ExamInfo>} */
  exam: (id) => json("GET", `exams/${safe(id)}`),
  /** @param {string} id */
  pixels: (id) => request("GET", `images/${safe(id)}/pixels`),
  /** @param {string} id */
  thumbnail: (id) => `api/images/${safe(id)}/thumbnail`,
  /** @param {string} exam @returns {Promise<Annotation[]>} */
  annotations: (exam) => json("GET", `exams/${safe(exam)}/annotations`),
  /** @param {string} image @param {Partial<Labels>} labels @returns {Promise<Annotation>} */
  annotate: (image, labels) => json("POST", `images/${safe(image)}/annotations`, labels),
  /** @param {string} id @param {Partial<Labels> & {revision: number}} labels @returns {Promise<Annotation>} */
  change: (id, labels) => json("PUT", `annotations/${safe(id)}`, labels),
  /** @param {string} id */
  remove: (id) => json("DELETE", `annotations/${safe(id)}`),
  /** @param {string} exam @param {boolean} done @returns {Promise<{done: boolean, since: string|null}>} */
  done: (exam, done) => json("POST", `exams/${safe(exam)}/done`, { done }),
  /** @param {string} id @returns {Promise<any[]>} */
  history: (id) => json("GET", `annotations/${safe(id)}/history`),
  /** @param {string} exam @returns {Promise<any>} */
  agreement: (exam) => json("GET", `exams/${safe(exam)}/agreement`),
  /** @param {string} annotation @param {number} [prevalence] @returns {Promise<Reading>} */
  read: (annotation, prevalence) => json("POST", `annotations/${safe(annotation)}/reading`, { prevalence }),
  /** @param {string} id @param {number} [prevalence] @returns {Promise<Reading>} */
  reading: (id, prevalence) => json("GET", `readings/${safe(id)}${query({ prevalence })}`),
  /** @param {string} id @returns {Promise<Map<string, Uint8Array>>} (512, 512) of each network and of the ensemble */
  heatmaps: async (id) => {
    const answer = await request("GET", `readings/${safe(id)}/heatmaps`);
    const names = (answer.headers.get("X-Names") ?? "").split(",");
    const all = new Uint8Array(await answer.arrayBuffer());
    const size = all.length / names.length;
    return new Map(names.map((name, index) => [name, all.subarray(index * size, (index + 1) * size)]));
  },
  /** @param {string} id @param {number} revision of the square, as it is shown @returns {Promise<OutboxEntry[]>} */
  send: (id, revision) => json("POST", `readings/${safe(id)}/send`, { revision }),
  /** Asked again and again while something waits. @returns {Promise<OutboxEntry[]>} */
  outbox: () => json("GET", "outbox", undefined, true),
  /** Asked with each refresh of the worklist. @returns {Promise<RefusedFile[]>} of the watched folder, the newest first */
  refusedFiles: () => json("GET", "watched/refused", undefined, true),
  /** @returns {Promise<{configured: boolean}>} */
  pacs: () => json("GET", "pacs"),
  /** @param {Record<string, string>} terms @returns {Promise<{studies: any[], more: boolean}>} */
  pacsQuery: (terms) => json("POST", "pacs/query", terms),
  /** @param {string} uid */
  pacsFetch: (uid) => json("POST", "pacs/fetch", { study_uid: uid }),
  /**
   * Upload files; fetch cannot tell how far an upload is, so XMLHttpRequest does it.
   * @param {Iterable<File>} files
   * @param {(share: number) => void} progress from 0 to 1
   * @returns {Promise<Array<{file: string, accepted: boolean, code: string, message: string, exam_id: string|null}>>}
   */
  upload: async (files, progress) => {
    const token = await tokenHeader();
    return new Promise((resolve, reject) => {
      const form = new FormData();
      for (const file of files) form.append("files", file, file.name);
      const call = new XMLHttpRequest();
      call.open("POST", "api/uploads");
      for (const [name, value] of Object.entries(token)) call.setRequestHeader(name, value);
      call.responseType = "json";
      call.upload.onprogress = (event) => progress(event.loaded / Math.max(1, event.total));
      call.onload = () => (call.status < 300 ? resolve(call.response) : reject(new ApiError(call.status, call.response)));
      call.onerror = () => reject(new ApiError(0, null));
      call.send(form);
    });
  },
};
