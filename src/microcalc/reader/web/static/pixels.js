/**
 * The pixels of one mammogram: 16-bit greys as the server sends them, and smaller copies of them by averaging.
 *
 * Level 0 is the image; each further level has half its rows and columns, each pixel the mean of two by two, so a fine
 * calcification fades when the image is made small, but never falls between two samples.
 */
import { api } from "./api.js";

/** @typedef {{data: Uint16Array, columns: number, rows: number}} Level */

/** Images kept in memory; each needs about 36 MB. */
const KEPT = 8;

/** Grey value of white. */
export const WHITE = 65535;

export class Plane {
  /** @param {Level} full */
  constructor(full) {
    this.levels = [full];
    this.rows = full.rows;
    this.columns = full.columns;
  }

  /** @param {number} index @returns {Level} made when it is first asked for */
  level(index) {
    while (this.levels.length <= index) this.levels.push(halved(/** @type {Level} */ (this.levels.at(-1))));
    return this.levels[index];
  }

  /**
   * The level to draw from: the smallest whose pixels are not larger than those of the screen.
   * @param {number} scale screen pixels for each pixel of the image
   */
  levelFor(scale) {
    const wanted = scale >= 1 ? 0 : Math.floor(Math.log2(1 / scale) + 1e-9);
    return Math.min(wanted, Math.floor(Math.log2(Math.max(1, Math.min(this.rows, this.columns)))));
  }
}

/** @param {Level} level @returns {Level} */
function halved({ data, columns, rows }) {
  const width = (columns + 1) >> 1,
    height = (rows + 1) >> 1;
  const half = new Uint16Array(width * height);
  for (let y = 0, to = 0; y < height; y++) {
    const upper = 2 * y * columns,
      lower = Math.min(2 * y + 1, rows - 1) * columns;
    for (let x = 0; x < width; x++, to++) {
      const left = 2 * x,
        right = Math.min(left + 1, columns - 1);
      half[to] = (data[upper + left] + data[upper + right] + data[lower + left] + data[lower + right] + 2) >> 2;
    }
  }
  return { data: half, columns: width, rows: height };
}

/** @type {Map<string, Promise<Plane>>} in the order of use */
const planes = new Map();

/**
 * The plane of an image, fetched once.
 * @param {import("./api.js").ImageInfo} image
 * @param {(share: number) => void} [progress] from 0 to 1
 * @returns {Promise<Plane>}
 */
export function planeOf(image, progress = () => {}) {
  const known = planes.get(image.id);
  planes.delete(image.id);
  const plane = known ?? fetchPlane(image, progress);
  planes.set(image.id, plane);
  if (!known) plane.catch(() => planes.delete(image.id));
  while (planes.size > KEPT) planes.delete(/** @type {string} */ (planes.keys().next().value));
  return plane;
}

/** @param {import("./api.js").ImageInfo} image @param {(share: number) => void} progress */
async function fetchPlane(image, progress) {
  const answer = await api.pixels(image.id);
  const rows = Number(answer.headers.get("X-Rows") ?? image.rows);
  const columns = Number(answer.headers.get("X-Columns") ?? image.columns);
  const bytes = new Uint8Array(rows * columns * 2);
  const stream = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  let got = 0;
  for (let part = await stream.read(); !part.done; part = await stream.read()) {
    if (got + part.value.length > bytes.length) throw new Error(`more bytes than ${rows} rows of ${columns} pixels have`);
    bytes.set(part.value, got);
    got += part.value.length;
    progress(got / bytes.length);
  }
  if (got !== bytes.length) throw new Error(`the image broke off after ${got} of ${bytes.length} bytes; open it again`);
  return new Plane({ data: littleEndian(bytes), columns, rows });
}

/** @param {Uint8Array} bytes @returns {Uint16Array} */
function littleEndian(bytes) {
  const here = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  if (!here) for (let i = 0; i < bytes.length; i += 2) [bytes[i], bytes[i + 1]] = [bytes[i + 1], bytes[i]];
  return new Uint16Array(bytes.buffer);
}
