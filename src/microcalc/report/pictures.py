"""Pictures for the page: bytes as data addresses, and the heatmaps of a network picture by picture.

On the page every picture is an element of its own with words instead of it, so that it can be enlarged, copied and
read aloud; the sheets that go into files are made in `panels`.
"""

import base64
import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from microcalc.report.content import HeatmapExample, HeatmapPanel, Outcome, RunContent
from microcalc.report.panels import caption_words, colour_bar, display_grey, examples_of, heatmap_words, overlay
from microcalc.report.words import model_title

__all__ = ["HeatmapView", "OutcomeView", "PairView", "bar_uri", "data_uri", "heatmap_views", "picture_side"]

MOST_EXAMPLES = 4
"""Examples of one outcome that the page shows; the others lie in the folder that the page names."""

PICTURE_BUDGET = 5_600_000
"""Bytes that all heatmap pictures of a page may take, about; above it they are made smaller."""

_SIDES = (512, 448, 384, 320, 256, 192)
_BYTES_PER_PIXEL = 0.5  # of a pair, measured on power-law texture at this quality
_QUALITY = 85


@dataclass(frozen=True)
class PairView:
    """Original and overlay as data addresses, with the words for each and the caption of both."""

    original: str
    original_alt: str
    overlay: str
    overlay_alt: str
    caption: str


@dataclass(frozen=True)
class OutcomeView:
    """The pairs of one outcome; none is said in words."""

    outcome: Outcome
    pairs: tuple[PairView, ...]


@dataclass(frozen=True)
class HeatmapView:
    """The heatmaps of one network on the page.

    Attributes:
        title: of the network.
        outcomes: TP, FN, TN, FP, in this order, all four.
        panel: what it is made from.
        left_out: examples that the page does not show.
    """

    title: str
    outcomes: tuple[OutcomeView, ...]
    panel: HeatmapPanel
    left_out: int


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that needs no network; ``kind`` is the media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


@functools.cache
def bar_uri() -> str:
    """The colour bar of the heatmaps, weak left, strong right, as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.rot90(colour_bar(256, 16), -1)).save(buffer, format="PNG")
    return data_uri(buffer.getvalue(), "image/png")


def picture_side(runs: Sequence[RunContent]) -> int:
    """The largest side, pixels, with which all heatmap pictures of a page stay within ``PICTURE_BUDGET``."""
    pairs = sum(len(_shown(panel, outcome)) for run in runs for panel in run.heatmaps for outcome in Outcome)
    return next((side for side in _SIDES if pairs * _BYTES_PER_PIXEL * side**2 <= PICTURE_BUDGET), _SIDES[-1])


def heatmap_views(run: RunContent, *, side: int, synthetic: bool) -> tuple[HeatmapView, ...]:
    """Make the pictures of one run.

    Args:
        run: its panels.
        side: largest side of a picture, pixels; see `picture_side`.
        synthetic: whether the captions must say so.
    """
    views = []
    for panel in run.heatmaps:
        outcomes = tuple(
            OutcomeView(outcome, tuple(_pair(e, panel, side, synthetic) for e in _shown(panel, outcome)))
            for outcome in Outcome
        )
        left_out = len(panel.examples) - sum(len(o.pairs) for o in outcomes)
        views.append(HeatmapView(model_title(panel.network), outcomes, panel, left_out))
    return tuple(views)


def _shown(panel: HeatmapPanel, outcome: Outcome) -> tuple[HeatmapExample, ...]:
    return examples_of(panel, outcome)[:MOST_EXAMPLES]


def _pair(example: HeatmapExample, panel: HeatmapPanel, side: int, synthetic: bool) -> PairView:
    caption = caption_words(example, synthetic=synthetic)
    painted = overlay(example.original, example.heatmap, mask=example.mask)
    return PairView(
        original=data_uri(_jpeg(display_grey(example.original), side), "image/jpeg"),
        original_alt=f"Region of interest {example.image_id}, {example.outcome.words}. {caption}",
        overlay=data_uri(_jpeg(painted, side), "image/jpeg"),
        overlay_alt=f"The same with the heatmap of {model_title(panel.network)}. {heatmap_words(example)}",
        caption=caption,
    )


def _jpeg(picture: NDArray[np.uint8], side: int) -> bytes:
    """JPEG without colour subsampling, at most ``side`` pixels wide and high."""
    image = Image.fromarray(picture)
    if max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
