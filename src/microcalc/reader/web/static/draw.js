/**
 * Drawing a plane on a canvas: on the graphics processor where there is one, else on a 2D canvas.
 *
 * Both use one rule. A screen pixel shows the mean of the image over a box around its middle; the box is one screen pixel
 * wide where the image is made smaller, and one image pixel where it is enlarged (which is bilinear interpolation). At
 * one to one the box is exactly one pixel, so the screen shows the source's own grey.
 */
import { WHITE } from "./pixels.js";

/**
 * @typedef {{scale: number, x: number, y: number}} View screen pixels for each image pixel; screen position of the image's upper left corner
 * @typedef {{low: number, width: number, invert: boolean}} Window greys up to `low` are black, from `low + width` on white
 */

/** Window that shows every grey. */
/** @type {Readonly<Window>} */
export const FULL = Object.freeze({ low: 0, width: WHITE, invert: false });

/**
 * For each screen pixel the first of three image pixels, and their shares.
 * @param {number} from first screen pixel
 * @param {number} count
 * @param {number} origin screen position of the image's edge
 * @param {number} scale screen pixels for each pixel of the level
 * @param {number} size pixels of the level
 */
function shares(from, count, origin, scale, size) {
  const first = new Int32Array(count * 3),
    share = new Float32Array(count * 3);
  const box = Math.max(1, 1 / scale);
  for (let i = 0; i < count; i++) {
    const edge = (from + i + 0.5 - origin) / scale - box / 2;
    const pixel = Math.floor(edge),
      begin = Math.min(box, pixel + 1 - edge),
      middle = Math.min(1, box - begin);
    for (let k = 0; k < 3; k++) first[3 * i + k] = Math.min(size - 1, Math.max(0, pixel + k));
    share[3 * i] = begin / box;
    share[3 * i + 1] = middle / box;
    share[3 * i + 2] = (box - begin - middle) / box;
  }
  return { first, share };
}

/**
 * The part of the screen that the image covers.
 * @param {import("./pixels.js").Plane} plane @param {View} view @param {number} width @param {number} height
 */
export function covered(plane, view, width, height) {
  const left = Math.max(0, Math.ceil(view.x - 0.5)),
    top = Math.max(0, Math.ceil(view.y - 0.5));
  const right = Math.min(width, Math.ceil(view.x + plane.columns * view.scale - 0.5));
  const bottom = Math.min(height, Math.ceil(view.y + plane.rows * view.scale - 0.5));
  return { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
}

/**
 * Greys of the covered part of the screen.
 * @param {import("./pixels.js").Plane} plane @param {View} view
 * @param {{left: number, top: number, width: number, height: number}} part
 * @returns {Uint16Array} (height, width)
 */
export function sample(plane, view, part) {
  const index = plane.levelFor(view.scale);
  const { data, columns, rows } = plane.level(index);
  const scale = view.scale * 2 ** index;
  const { width, height } = part;
  if (scale === 1) return copied(data, columns, part, part.left - view.x, part.top - view.y);
  const out = new Uint16Array(width * height);
  if (!out.length) return out;
  const across = shares(part.left, width, view.x, scale, columns);
  const down = shares(part.top, height, view.y, scale, rows);
  const begin = across.first[0],
    span = across.first[3 * width - 1] - begin + 1,
    line = new Float32Array(span);
  const f = across.first,
    s = across.share;
  for (let y = 0, to = 0; y < height; y++) {
    const a = down.first[3 * y] * columns + begin,
      b = down.first[3 * y + 1] * columns + begin,
      c = down.first[3 * y + 2] * columns + begin;
    const wa = down.share[3 * y],
      wb = down.share[3 * y + 1],
      wc = down.share[3 * y + 2];
    for (let i = 0; i < span; i++) line[i] = wa * data[a + i] + wb * data[b + i] + wc * data[c + i];
    for (let x = 0, k = 0; x < width; x++, k += 3, to++) {
      out[to] = s[k] * line[f[k] - begin] + s[k + 1] * line[f[k + 1] - begin] + s[k + 2] * line[f[k + 2] - begin] + 0.5;
    }
  }
  return out;
}

/**
 * A part of the image as it is.
 * @param {Uint16Array} data @param {number} columns @param {{width: number, height: number}} size @param {number} left @param {number} top
 */
function copied(data, columns, { width, height }, left, top) {
  const out = new Uint16Array(width * height);
  for (let y = 0; y < height; y++)
    out.set(data.subarray((top + y) * columns + left, (top + y) * columns + left + width), y * width);
  return out;
}

/**
 * Screen colour of every grey.
 * @param {Window} window
 * @returns {Uint32Array} 65,536 packed colours
 */
function colours({ low, width, invert }) {
  const table = new Uint32Array(WHITE + 1);
  for (let grey = 0; grey <= WHITE; grey++) {
    const share = Math.min(1, Math.max(0, (grey - low) / width)),
      level = Math.floor(255 * (invert ? 1 - share : share) + 0.5);
    table[grey] = 0xff000000 | (level << 16) | (level << 8) | level;
  }
  return table;
}

/** Drawing on a 2D canvas: the sampled greys are kept, so a new window costs one look-up for each screen pixel. */
export class Painter {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.kind = "2d";
    this.canvas = canvas;
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    this.key = "";
    /** @type {import("./pixels.js").Plane|null} */
    this.plane = null;
  }

  /** Whether an image can be drawn in this way. */
  fits() {
    return true;
  }

  /** @param {import("./pixels.js").Plane|null} plane */
  show(plane) {
    this.plane = plane;
    this.key = "";
  }

  /** The canvas has another size, and so is empty. */
  changed() {
    this.key = "";
  }

  close() {
    this.show(null);
  }

  /** @param {View} view @param {Window} window */
  draw(view, window) {
    const { width, height } = this.canvas,
      key = [view.scale, view.x, view.y, width, height].join();
    if (key !== this.key && this.plane) {
      this.part = covered(this.plane, view, width, height);
      this.greys = sample(this.plane, view, this.part);
      this.picture = this.part.width && this.part.height ? new ImageData(this.part.width, this.part.height) : null;
      this.clean = false;
      this.key = key;
    }
    if (!this.clean || !this.plane) this.context.fillRect(0, 0, width, height);
    this.clean = true;
    if (!this.plane || !this.picture || !this.part || !this.greys) return;
    const table = colours(window),
      greys = this.greys,
      out = new Uint32Array(this.picture.data.buffer);
    for (let i = 0; i < greys.length; i++) out[i] = table[greys[i]];
    this.context.putImageData(this.picture, this.part.left, this.part.top);
  }
}

const VERTEX = `#version 300 es
void main() { gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0); }`;

const FRAGMENT = `#version 300 es
precision highp float; precision highp int; precision highp usampler2D;
uniform usampler2D level;
uniform vec2 origin, extent;
uniform float scale, height, low, span, invert;
out vec4 colour;
vec3 shares(float edge, float box) {
  float begin = min(box, floor(edge) + 1.0 - edge), middle = min(1.0, box - begin);
  return vec3(begin, middle, box - begin - middle) / box;
}
void main() {
  vec2 at = vec2(gl_FragCoord.x, height - gl_FragCoord.y) - origin;
  colour = vec4(0.0, 0.0, 0.0, 1.0);
  if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, extent))) return;
  float box = max(1.0, 1.0 / scale), grey = 0.0;
  vec2 edge = at / scale - box / 2.0;
  vec3 across = shares(edge.x, box), down = shares(edge.y, box);
  ivec2 first = ivec2(floor(edge)), last = textureSize(level, 0) - 1;
  for (int j = 0; j < 3; j++) for (int i = 0; i < 3; i++)
    grey += across[i] * down[j] * float(texelFetch(level, clamp(first + ivec2(i, j), ivec2(0), last), 0).r);
  float share = clamp((floor(grey + 0.5) - low) / span, 0.0, 1.0);
  colour = vec4(vec3(floor(255.0 * (invert > 0.5 ? 1.0 - share : share) + 0.5) / 255.0), 1.0);
}`;

/** Drawing with WebGL2: levels lie on the graphics processor as 16-bit integers; window and reduction happen there. */
export class Shader {
  /** @param {HTMLCanvasElement} canvas @param {WebGL2RenderingContext} gl */
  constructor(canvas, gl) {
    this.kind = "webgl2";
    this.canvas = canvas;
    this.gl = gl;
    this.program = compiled(gl);
    /** @type {import("./pixels.js").Plane|null} */
    this.plane = null;
    /** @type {Map<number, WebGLTexture>} */
    this.textures = new Map();
    gl.useProgram(this.program);
    gl.bindVertexArray(gl.createVertexArray());
  }

  /** Whether an image can be drawn in this way. @param {import("./pixels.js").Plane} plane */
  fits(plane) {
    return Math.max(plane.rows, plane.columns) <= this.gl.getParameter(this.gl.MAX_TEXTURE_SIZE);
  }

  /** The canvas has another size; each frame is drawn anew anyhow. */
  changed() {}

  close() {
    this.show(null);
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  /** @param {import("./pixels.js").Plane|null} plane */
  show(plane) {
    for (const texture of this.textures.values()) this.gl.deleteTexture(texture);
    this.textures.clear();
    this.plane = plane;
  }

  /** @param {number} index of the level */
  bind(index) {
    const gl = this.gl,
      known = this.textures.get(index);
    if (known) return gl.bindTexture(gl.TEXTURE_2D, known);
    const { data, columns, rows } = /** @type {import("./pixels.js").Plane} */ (this.plane).level(index);
    const texture = /** @type {WebGLTexture} */ (gl.createTexture());
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R16UI, columns, rows, 0, gl.RED_INTEGER, gl.UNSIGNED_SHORT, data);
    this.textures.set(index, texture);
    return undefined;
  }

  /** @param {View} view @param {Window} window */
  draw(view, window) {
    const gl = this.gl,
      { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!this.plane) return;
    const index = this.plane.levelFor(view.scale);
    this.bind(index);
    /** @param {string} name @param {...number} values */
    const set = (name, ...values) =>
      gl[values.length === 2 ? "uniform2f" : "uniform1f"](
        gl.getUniformLocation(this.program, name),
        .../** @type {[any, any]} */ (values),
      );
    set("origin", view.x, view.y);
    set("extent", this.plane.columns * view.scale, this.plane.rows * view.scale);
    set("scale", view.scale * 2 ** index);
    set("height", height);
    set("low", window.low);
    set("span", window.width);
    set("invert", window.invert ? 1 : 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }
}

/** @param {WebGL2RenderingContext} gl */
function compiled(gl) {
  const program = /** @type {WebGLProgram} */ (gl.createProgram());
  for (const [type, source] of /** @type {Array<[number, string]>} */ ([
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS))
    throw new Error(gl.getProgramInfoLog(program) ?? "the shader does not compile");
  return program;
}

/** Names of renderers that use no graphics processor. */
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** @param {WebGL2RenderingContext} gl @returns {string} */
function rendererOf(gl) {
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  return String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
}

/**
 * The faster way of drawing that this browser has. WebGL without a graphics processor is slower than the 2D canvas and not taken, unless
 * the address asks for it (?draw=webgl2).
 * @param {HTMLCanvasElement} canvas
 * @returns {Painter|Shader}
 */
export function drawer(canvas) {
  const asked = new URLSearchParams(location.search).get("draw");
  if (asked === "2d") return new Painter(canvas);
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: asked !== "webgl2" });
  const fast = gl && (asked === "webgl2" || !SOFTWARE.test(rendererOf(gl)));
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  if (!fast) return new Painter(canvas);
  return new Shader(
    canvas,
    /** @type {WebGL2RenderingContext} */ (canvas.getContext("webgl2", { alpha: false, antialias: false })),
  );
}
