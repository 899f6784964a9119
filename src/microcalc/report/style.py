"""How figures look and how they become bytes: sizes, type, colours, and the writers of SVG, PNG and PDF.

Every figure is drawn for one journal column and must be readable in grey and by colour-blind people, so a model is told
apart by its dash pattern and marker as well as by its colour. The same input gives the same bytes: no dates, no
random ids, the type that comes with matplotlib. What is drawn lives in the modules beside this one.
"""

import functools
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image, ImageFont

from microcalc.protocol import ENSEMBLE

__all__ = [
    "BENIGN_COLOUR",
    "COLUMN_MM",
    "INK",
    "MALIGNANT_COLOUR",
    "MUTED",
    "TITLE_MM",
    "SeriesStyle",
    "axes_mm",
    "drawing",
    "fitted",
    "font",
    "keys_below",
    "mark",
    "new_figure",
    "pdf_bytes",
    "png_bytes",
    "series_styles",
    "shortened",
    "small_multiples",
    "svg_bytes",
    "width_mm",
]

COLUMN_MM = 84.0
"""Width of one journal column, millimetres."""

TITLE_MM = 31.0
"""What a title over one of two panels beside each other may take, millimetres."""

PNG_DPI = 300
"""Resolution of saved PNG files, pixels per inch; who needs more takes the PDF, which has none."""

INK = "#1a1a1a"
MUTED = "#6b6b6b"
GRID = "#d9d9d9"
BENIGN_COLOUR = "#56b4e9"
MALIGNANT_COLOUR = "#a63c00"

_MM_PER_INCH, _POINTS_PER_INCH = 25.4, 72.0
_RULER = 64.0  # pixels: size of the type in which widths are measured
_BASE_POINTS = 7.0

_RC = {
    "font.family": ["Microcalc Sans", "DejaVu Sans"],
    "font.size": _BASE_POINTS,
    "axes.titlesize": _BASE_POINTS,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 3.0,
    "axes.titley": 1.0,  # placed, not searched for
    "axes.labelsize": _BASE_POINTS,
    "axes.labelpad": 2.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "legend.fontsize": _BASE_POINTS,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "text.color": INK,
    "text.parse_math": False,  # names that people bring may hold a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": _BASE_POINTS - 0.5,
    "ytick.labelsize": _BASE_POINTS - 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.pad": 2.0,
    "ytick.major.pad": 2.0,
    "pdf.fonttype": 42,  # TrueType: text in the PDF can be searched and edited
    "svg.fonttype": "path",  # a reader without the font still sees the figure as it was drawn
    "svg.hashsalt": "microcalc",
}

# Okabe and Ito (2008), told apart with every common colour-vision deficiency; their yellow is too pale for a line.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1)), (0, (3, 1, 1.2, 1, 1.2, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">", "h", "d")


@dataclass(frozen=True)
class SeriesStyle:
    """How the line of one model is drawn.

    Attributes:
        colour: hexadecimal.
        dashes: matplotlib's line style.
        marker: of the operating points.
        width: points.
    """

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    marker: str
    width: float


def shortened(text: str, letters: int) -> str:
    """At most so many letters, for places where a figure has no room; the tables beside it have the whole."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def width_mm(text: str, *, points: float = _BASE_POINTS, bold: bool = False) -> float:
    """How wide a line of text is in a figure, millimetres."""
    return font(_RULER, bold=bold).getlength(text) / _RULER * points / _POINTS_PER_INCH * _MM_PER_INCH


def fitted(names: Sequence[str], room: float, *, bold: bool = False) -> list[str]:
    """Names that fit into ``room`` millimetres: long ones lose their end, then what they begin with alike."""
    words = {name: re.findall(r"[^\s_/-]*[\s_/-]*", name)[:-1] for name in names}
    for dropped in range(max(map(len, words.values()), default=0)):
        cut = [_cut(name, words[name][dropped:], room, bold) for name in names]
        if len(set(cut)) == len(words):
            return cut
    return [_cut(name, words[name], room, bold) for name in names]


def _cut(name: str, words: Sequence[str], room: float, bold: bool) -> str:
    """The words of a name, dots for what is left out before or after; the whole name where it fits."""
    if width_mm(name, bold=bold) <= room:
        return name
    rest = "".join(words)
    text = start = rest if rest == name else f"…{rest}"
    for letters in range(len(start) - 1, 0, -1):
        if width_mm(text, bold=bold) <= room:
            break
        text = start[:letters].rstrip() + "…"
    return text


def series_styles(models: Sequence[str]) -> dict[str, SeriesStyle]:
    """Give each model its own look: the ensemble a thick black line, the others by their place in ``models``.

    Colours and dash patterns walk at different paces, so that 36 models stay different; the first twelve differ by
    their markers alone.
    """
    styles: dict[str, SeriesStyle] = {}
    place = 0
    for model in models:
        if model == ENSEMBLE:
            styles[model] = SeriesStyle(INK, "-", "*", 1.6)
            continue
        turn, colour = divmod(place, len(_COLOURS))
        dash = (colour + turn) % len(_DASHES)
        styles[model] = SeriesStyle(_COLOURS[colour], _DASHES[dash], _MARKERS[place % len(_MARKERS)], 1.0)
        place += 1
    return styles


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's own defaults plus the style of this report, whatever the user's settings; put back at the end."""
    _add_fonts()
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


@functools.cache
def _add_fonts() -> None:
    """Make the type beside this module known to matplotlib; see its README for why it is not DejaVu Sans itself."""
    for style in ("Regular", "Bold"):
        with resources.as_file(resources.files("microcalc.report") / "fonts" / f"MicrocalcSans-{style}.ttf") as path:
            font_manager.fontManager.addfont(path)


def new_figure(width: float, height: float) -> Figure:
    """Empty figure of ``width`` x ``height`` millimetres on the Agg canvas, outside pyplot's global list."""
    figure = Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH))
    FigureCanvasAgg(figure)
    return figure


def axes_mm(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes placed in millimetres from the lower left corner of the figure; placed, not searched for: fast and exact."""
    across, up = (side * _MM_PER_INCH for side in figure.get_size_inches())
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def small_multiples(count: int, *, height: float, foot: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Figure of one column with ``count`` axes, two in a row, from the upper left; sizes in mm."""
    rows = (count + 1) // 2
    pitch = height + 10.0
    figure = new_figure(COLUMN_MM, rows * pitch + foot)
    grid = []
    for place in range(count):
        row, column = divmod(place, 2)
        left = 8.5 + column * 41.5
        grid.append(axes_mm(figure, left, foot + (rows - 1 - row) * pitch + 5.0, 30.5, height))
    return figure, grid


def keys_below(figure: Figure, handles: Sequence[Line2D]) -> None:
    """One row of keys at the foot of a figure; their ``label`` is the text."""
    figure.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.48, 0.0),
        ncols=len(handles),
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.0,
        borderaxespad=0.2,
        borderpad=0,
    )


def mark(figure: Figure, words: str) -> None:
    """Write a few words, small, up the right edge of a figure, at its top; all figures keep 3 mm free there.

    At the bottom they would meet the last number of a horizontal axis, which reaches beyond the axis.
    """
    across, up = (side * _MM_PER_INCH for side in figure.get_size_inches())
    top = 1 - 1.5 / up
    figure.text(1 - 0.4 / across, top, words, rotation=90, ha="right", va="top", fontsize=5.5, color=MUTED)


@functools.cache
def font(size: float, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The type of the figures for pictures made of pixels, ``size`` in pixels; it comes with matplotlib, everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / name), size)


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG, text as outlines; no date and no random id."""
    return _saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None})


def pdf_bytes(figure: Figure) -> bytes:
    """The figure as vector PDF with embedded type; no date."""
    return _saved(figure, "pdf", {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None})


def png_bytes(figure: Figure, *, dpi: int = PNG_DPI) -> bytes:
    """The figure as PNG, opaque, packed a little less tightly than could be: two thirds of savefig's time."""
    canvas, before = FigureCanvasAgg(figure), figure.dpi
    with _quiet_drawing():
        figure.set_dpi(dpi)
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
        figure.set_dpi(before)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=3, dpi=(dpi, dpi))
    return buffer.getvalue()


def _saved(figure: Figure, kind: str, metadata: dict[str, None]) -> bytes:
    buffer = io.BytesIO()
    with _quiet_drawing():
        figure.savefig(buffer, format=kind, dpi=PNG_DPI, metadata=metadata)
    return buffer.getvalue()


@contextmanager
def _quiet_drawing() -> Iterator[None]:
    with drawing(), warnings.catch_warnings():
        # A site's name in Hangul is drawn as empty boxes; the page beside the figure has it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield
