"""Heatmaps over mammograms: the overlay, the panel of one image, and the sheet of one network as in the paper.

A heatmap comes in as numbers between 0 and 1 and goes out as colour; how it was computed is no matter here. Panels keep
the pixels of the ROI as they are, one to one, for a calcification is 2 to 10 pixels wide.
"""

import functools
import io
import math
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from microcalc.errors import ImageError
from microcalc.report.content import HeatmapExample, HeatmapPanel, Outcome
from microcalc.report.style import COLUMN_MM, INK, MUTED, font
from microcalc.report.words import grid_words, model_title
from microcalc.vocabulary import MALIGNANT

__all__ = [
    "Sheet",
    "caption_words",
    "class_word",
    "colour_bar",
    "compose_sheet",
    "display_grey",
    "examples_of",
    "heatmap_colours",
    "heatmap_words",
    "overlay",
    "panel_png",
]

WINDOW_PERCENTILES = (0.5, 99.95)
"""Grey values of a ROI that become black and white on display; calcifications are its brightest thousandth."""

ALPHA_WEAK, ALPHA_STRONG = 0.22, 0.55
"""Share of colour in the overlay where the heatmap is 0 and where it is 1: the mammogram is never hidden."""

_EMPTY = "empty (0 everywhere)"

_TURBO_ENDS = (0.07, 0.93)
_HALF = 0.5
_GUTTER, _BAR, _BAND = 8, 22, 36  # pixels: between pictures, of the colour bar, of a line of text
_TEXT_PIXELS, _CAPTION_PIXELS, _CAPTION_LINE = 26, 19, 28
_SIDE, _HEAD, _FOOT = 44, 48, 46  # pixels: left margin of a sheet, its title, its colour bar
_TWO_COLUMNS_MM = 174.0

RgbImage = NDArray[np.uint8]


# ---- colour ----------------------------------------------------------------------------------------------------------


@functools.cache
def heatmap_colours() -> RgbImage:
    """(256, 3) colours from weak (blue) to strong (red).

    Red for strong and blue for weak is the paper's reading (MATLAB's jet). Jet itself has bright cyan and yellow bands
    that show edges where there are none; turbo keeps the order of its colours with smooth lightness. Its ends, dark
    violet and dark red, would vanish on a mammogram and are cut off.

    Source:
        Mikhailov, Turbo, an improved rainbow colormap for visualization, Google AI blog, 2019.
    """
    colours = mpl.colormaps["turbo"](np.linspace(*_TURBO_ENDS, 256))[:, :3]
    table: RgbImage = (colours * 255).round().astype(np.uint8)
    table.flags.writeable = False
    return table


def display_grey(image: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Window a ROI (h, w) of any grey type for display: its own ``WINDOW_PERCENTILES`` become black and white."""
    values = np.asarray(image, dtype=np.float32)
    low, high = (float(v) for v in np.percentile(values, WINDOW_PERCENTILES))
    if high <= low:
        return np.full(values.shape, 128, np.uint8)
    grey: NDArray[np.uint8] = (np.clip((values - low) / (high - low), 0, 1) * 255).round().astype(np.uint8)
    return grey


def overlay(
    image: NDArray[np.uint16],
    heatmap: NDArray[np.float32],
    *,
    mask: NDArray[np.bool_] | None = None,
    contour: bool = True,
) -> RgbImage:
    """Lay a heatmap over a mammogram, red strong to blue weak.

    The colour is thin where the heatmap is weak and thicker where it is strong, so that the strong part stands out in a
    grey print too; a thin black line runs where the heatmap is half as strong as it can be.

    Args:
        image: (h, w) grey values, windowed by `display_grey`.
        heatmap: (h, w) in [0, 1].
        mask: (h, w) true where the lesion is; its edge is drawn white. Only phantoms have one.
        contour: draw the line at one half.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ImageError: shapes differ, or the heatmap leaves [0, 1].
    """
    _check(image, heatmap, mask)
    grey = display_grey(image).astype(np.float32)[..., None]
    strength = np.asarray(heatmap, dtype=np.float32)
    colour = heatmap_colours()[(strength * 255).round().astype(np.uint8)].astype(np.float32)
    alpha = (ALPHA_WEAK + (ALPHA_STRONG - ALPHA_WEAK) * strength)[..., None]
    blended: RgbImage = ((1 - alpha) * grey + alpha * colour).round().astype(np.uint8)
    if contour:
        blended[_edge(strength >= _HALF)] = (0, 0, 0)
    if mask is not None:
        blended[_edge(mask.astype(bool))] = (255, 255, 255)
    return blended


def colour_bar(height: int, width: int) -> RgbImage:
    """The colours of `overlay` as a bar (height, width, 3), strong at the top, over a middle grey."""
    strength = np.linspace(1, 0, height, dtype=np.float32)
    alpha = (ALPHA_WEAK + (ALPHA_STRONG - ALPHA_WEAK) * strength)[:, None]
    colours = heatmap_colours()[(strength * 255).round().astype(np.uint8)].astype(np.float32)
    bar: RgbImage = ((1 - alpha) * 128 + alpha * colours).round().astype(np.uint8)
    return np.repeat(bar[:, None, :], width, axis=1)


def _edge(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a region that touch its outside (four neighbours); the image's border is no edge."""
    padded = np.pad(region, 1, mode="edge")
    inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    edge: NDArray[np.bool_] = region & ~inside
    return edge


def _check(image: NDArray[np.uint16], heatmap: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
    shapes = {image.shape, heatmap.shape} | ({mask.shape} if mask is not None else set())
    if len(shapes) > 1 or image.ndim != 2:
        raise ImageError(f"image, heatmap and mask must be grey and of one size; got {sorted(shapes)}")
    low, high = float(np.min(heatmap)), float(np.max(heatmap))
    if not (low >= 0 and high <= 1):
        raise ImageError(
            f"a heatmap must lie between 0 and 1; it spans {low:g} to {high:g}. Scale it by its maximum first"
        )


# ---- words -----------------------------------------------------------------------------------------------------------


def class_word(label: int) -> str:
    """``malignant`` or ``benign``."""
    return "malignant" if label == MALIGNANT else "benign"


def caption_words(example: HeatmapExample, *, synthetic: bool = False) -> str:
    """Class, call, probability, what the heatmap explains and how fine it is, in words.

    For instance ``Malignant (phantom), called malignant, probability of malignancy 0.93; heatmap for malignant, grid of
    3 × 3.``
    """
    truth = f"{class_word(example.label).capitalize()} ({'phantom' if synthetic else 'histopathology'})"
    called = "malignant" if example.outcome in (Outcome.TP, Outcome.FP) else "benign"
    parts = (f"heatmap for {class_word(example.explained)}", grid_words(example.grid), _EMPTY * example.is_empty)
    heatmap = ", ".join(filter(None, parts))
    return f"{truth}, called {called}, probability of malignancy {example.probability:.2f}; {heatmap}."


def heatmap_words(example: HeatmapExample) -> str:
    """Where a heatmap is strongest, and how much of it meets the lesion if that is known: for who cannot see it."""
    if example.is_empty:
        return "It is 0 everywhere and shows no place."
    if example.grid == (1, 1):
        return "It is one cell, equally strong all over, and shows no place."
    row, column = np.unravel_index(int(np.argmax(example.heatmap)), example.heatmap.shape)
    height, width = example.heatmap.shape
    up = ("upper", "middle", "lower")[min(2, int(3 * row / height))]
    across = ("left", "centre", "right")[min(2, int(3 * column / width))]
    words = f"It is strongest in the {up} {across}"
    total = float(example.heatmap.sum())
    if example.mask is not None:
        words += f"; {float(example.heatmap[example.mask].sum()) / total:.0%} of it lies inside the lesion's outline"
    return words + "."


def examples_of(panel: HeatmapPanel, outcome: Outcome) -> tuple[HeatmapExample, ...]:
    """The examples of one outcome, in their order."""
    return tuple(e for e in panel.examples if e.outcome == outcome)


# ---- pictures --------------------------------------------------------------------------------------------------------


def panel_png(
    original: NDArray[np.uint16],
    heatmap: NDArray[np.float32],
    *,
    caption: str,
    mask: NDArray[np.bool_] | None = None,
) -> bytes:
    """Picture of one ROI for a file: original left, overlay right, colour bar, the caption below in words.

    Args:
        original: (h, w) grey values.
        heatmap: (h, w) in [0, 1].
        caption: any text; broken into lines as needed.
        mask: as in `overlay`.

    Returns:
        PNG, one pixel for each pixel of the ROI. The same input gives the same bytes.

    Raises:
        ImageError: see `overlay`.
    """
    painted = overlay(original, heatmap, mask=mask)
    height, width = painted.shape[:2]
    letters = font(_CAPTION_PIXELS)
    label_width = math.ceil(letters.getlength("strong")) + 6
    total = 2 * width + 2 * _GUTTER + _BAR + label_width
    lines = _lines(caption, letters, total - 2 * _GUTTER)
    canvas = Image.new("RGB", (total, height + _CAPTION_LINE * len(lines) + _GUTTER), "white")
    canvas.paste(Image.fromarray(display_grey(original)).convert("RGB"), (0, 0))
    canvas.paste(Image.fromarray(painted), (width + _GUTTER, 0))
    bar_left = 2 * width + 2 * _GUTTER
    canvas.paste(Image.fromarray(colour_bar(height, _BAR)), (bar_left, 0))
    pen = ImageDraw.Draw(canvas)
    pen.text((bar_left + _BAR + 5, 2), "strong", font=letters, fill=INK)
    pen.text((bar_left + _BAR + 5, height - 2), "weak", font=letters, fill=INK, anchor="ls")
    for i, line in enumerate(lines):
        pen.text((_GUTTER, height + _GUTTER // 2 + i * _CAPTION_LINE + 2), line, font=letters, fill=INK)
    buffer = io.BytesIO()
    canvas.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def _lines(text: str, letters: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and letters.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


@dataclass(frozen=True)
class Sheet:
    """A composed sheet: the picture and its resolution, pixels per inch, at the width of one or two journal columns."""

    image: Image.Image
    dpi: float

    def png(self) -> bytes:
        """As PNG; packed fast, for texture hardly shrinks with more effort."""
        buffer = io.BytesIO()
        self.image.save(buffer, format="PNG", dpi=(self.dpi, self.dpi), compress_level=1)
        return buffer.getvalue()

    def pdf(self) -> bytes:
        """As PDF of its true size, without a date."""
        buffer = io.BytesIO()
        self.image.save(
            buffer, format="PDF", resolution=self.dpi, quality=92, subsampling=0, creationDate=None, modDate=None
        )
        return buffer.getvalue()


def compose_sheet(panel: HeatmapPanel, *, mark: str = "") -> Sheet:
    """The paper's figure of one network: rows TP, FN, TN, FP, original left, overlay right.

    One pixel for each pixel of the ROI, which is 300 dpi or more; two examples of an outcome stand beside each other
    (two columns wide), more go into further rows.

    Args:
        panel: an outcome without an example is said to be empty.
        mark: words for the upper right corner, for instance that the images are synthetic.
    """
    across = min(2, max((len(examples_of(panel, outcome)) for outcome in Outcome), default=1)) or 1
    rows = [(outcome, chunk) for outcome in Outcome for chunk in _chunks(examples_of(panel, outcome), across)]
    picture = max((e.original.shape[1] for e in panel.examples), default=512)
    height_of = max((e.original.shape[0] for e in panel.examples), default=512)
    width = _SIDE + across * (2 * picture + _GUTTER) + (across - 1) * 3 * _GUTTER
    heights = [height_of + _BAND + _GUTTER if chunk else 2 * _BAND for _, chunk in rows]
    canvas = Image.new("RGB", (width, _HEAD + sum(heights) + _FOOT), "white")
    pen = ImageDraw.Draw(canvas)
    _sheet_title(pen, panel, mark, width)
    top = _HEAD
    for (outcome, chunk), height in zip(rows, heights, strict=True):
        _upright(canvas, outcome.value, top + (height - _BAND) // 2 if chunk else top + height // 2)
        if not chunk:
            words = f"no {outcome.words} at this cut-off"
            pen.text((_SIDE, top + height // 2), words, font=font(_TEXT_PIXELS), fill=MUTED, anchor="lm")
        for column, example in enumerate(chunk):
            _paste_pair(canvas, example, (_SIDE + column * (2 * picture + 4 * _GUTTER), top))
        top += height
    _paste_bar(canvas)
    return Sheet(canvas, width / ((COLUMN_MM if across == 1 else _TWO_COLUMNS_MM) / 25.4))


def _sheet_title(pen: ImageDraw.ImageDraw, panel: HeatmapPanel, mark: str, width: int) -> None:
    """The network, its grid beside it as far as the mark in the other corner leaves room, and the mark."""
    bold, small, smaller = font(_TEXT_PIXELS + 3, bold=True), font(_TEXT_PIXELS - 3), font(_TEXT_PIXELS - 6)
    title = model_title(panel.network)
    pen.text((_SIDE, 8), title, font=bold, fill=INK)
    pen.text((width - 4, 10), mark, font=small, fill=MUTED, anchor="ra")
    pen.text((_SIDE + bold.getlength(title) + 12, 14), grid_words(panel.grid), font=smaller, fill=INK)


def _chunks(examples: tuple[HeatmapExample, ...], size: int) -> list[tuple[HeatmapExample, ...]]:
    return [examples[i : i + size] for i in range(0, len(examples), size)] or [()]


def _paste_pair(canvas: Image.Image, example: HeatmapExample, at: tuple[int, int]) -> None:
    left, top = at
    height, width = example.original.shape
    canvas.paste(Image.fromarray(display_grey(example.original)).convert("RGB"), (left, top))
    painted = overlay(example.original, example.heatmap, mask=example.mask)
    canvas.paste(Image.fromarray(painted), (left + width + _GUTTER, top))
    pen, letters = ImageDraw.Draw(canvas), font(_TEXT_PIXELS - 5)
    below = f"heatmap for {class_word(example.explained)}" + f", {_EMPTY}" * example.is_empty
    said = f"{class_word(example.label)}; probability of malignancy {example.probability:.2f}"
    for words, x in ((said, left), (below, left + width + _GUTTER)):
        pen.text((x, top + height + 4), words, font=letters, fill=INK)


def _upright(canvas: Image.Image, words: str, middle: int) -> None:
    """Write words from below to above in the left margin."""
    letters = font(_TEXT_PIXELS + 3, bold=True)
    strip = Image.new("RGB", (math.ceil(letters.getlength(words)) + 4, _SIDE - 8), "white")
    ImageDraw.Draw(strip).text((2, (_SIDE - 8) // 2), words, font=letters, fill=INK, anchor="lm")
    upright = strip.rotate(90, expand=True)
    canvas.paste(upright, (2, middle - upright.height // 2))


def _paste_bar(canvas: Image.Image) -> None:
    letters = font(_TEXT_PIXELS)
    bar = np.rot90(colour_bar(240, _BAR), -1)
    left, top = (canvas.width - bar.shape[1]) // 2, canvas.height - _FOOT + 10
    canvas.paste(Image.fromarray(bar), (left, top))
    pen = ImageDraw.Draw(canvas)
    pen.text((left - 8, top + _BAR // 2), "weak", font=letters, fill=INK, anchor="rm")
    pen.text((left + bar.shape[1] + 8, top + _BAR // 2), "strong", font=letters, fill=INK, anchor="lm")
