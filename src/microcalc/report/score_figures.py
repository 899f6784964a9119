"""Score distributions of benign and malignant images, drawn for one journal column.

Scores that may take any value get a histogram; categories and calls get a bar each. Nothing is computed here beyond the
height and the place of a bar.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from microcalc.intake.scales import BI_RADS
from microcalc.predictions import ScoreTable
from microcalc.report.content import ModelResult
from microcalc.report.style import (
    BENIGN_COLOUR,
    INK,
    MALIGNANT_COLOUR,
    TITLE_MM,
    drawing,
    fitted,
    keys_below,
    small_multiples,
)
from microcalc.stats import OperatingPoint
from microcalc.vocabulary import MALIGNANT

__all__ = ["draw_scores", "scores_figure"]

MOST_CATEGORIES = 12
"""A score with more values than this is drawn as a histogram."""

_BINS = 20
_HALF_BAR, _ASIDE = 0.36, 0.06  # shares of the distance between two categories
_AXIS_LETTERS = 28  # that fit below a panel


def draw_scores(
    axes: Axes,
    y_true: NDArray[np.int64],
    score: NDArray[np.float64],
    points: Sequence[OperatingPoint],
    scale: Mapping[float, str] | None = None,
) -> None:
    """Histograms of the scores of benign (filled) and malignant (outlined) images, each as a share of its class.

    Scores of a few values (categories, calls) get a bar for each, all as far from each other; the cut-off then stands
    between two of them.

    Args:
        axes: prepared by the caller.
        y_true: (n,) 0 or 1.
        score: (n,).
        points: their cut-offs become vertical lines, solid if frozen, dotted if chosen on the test set.
        scale: the words of an ordinal score.
    """
    categories = _categories(score, scale or {})
    by_class = [score[(y_true == MALIGNANT) == malignant] for malignant in (False, True)]
    cutoffs = [(point.cutoff, point.optimistic) for point in points if math.isfinite(point.cutoff)]
    if categories:
        _draw_categories(axes, by_class, cutoffs, categories)
    else:
        low, high = _score_range(score)
        edges = np.linspace(low, high, _BINS + 1)
        _draw_shares(axes, [np.histogram(values, bins=edges)[0] for values in by_class], edges)
        _draw_cutoffs(axes, cutoffs)
        axes.set_xlim(low, high)
        axes.locator_params(axis="x", nbins=5)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:.0%}")
    axes.locator_params(axis="y", nbins=3)


@drawing()
def scores_figure(models: Sequence[ModelResult], scores: ScoreTable) -> Figure:
    """The score distributions of all models as small multiples, two in a row."""
    shown = [m for m in models if m.model in scores.models]
    figure, grid = small_multiples(len(shown), height=24.0, foot=6.5)
    titles = fitted([m.name for m in shown], TITLE_MM, bold=True)
    for axes, result, title in zip(grid, shown, titles, strict=True):
        score = scores.scores[:, scores.models.index(result.model)]
        draw_scores(axes, scores.y_true, score, result.points, result.scale)
        axes.set_title(title)
    handles = [
        Line2D([], [], color=BENIGN_COLOUR, linewidth=5, alpha=0.7, label="benign"),
        Line2D([], [], color=MALIGNANT_COLOUR, linewidth=1.1, label="malignant"),
    ]
    marked = {p.optimistic for m in shown for p in m.points if math.isfinite(p.cutoff)}
    handles += [Line2D([], [], color=INK, linewidth=0.7, label="cut-off, frozen")] if False in marked else []
    handles += [Line2D([], [], color=INK, linewidth=0.7, linestyle=":", label="on test")] if True in marked else []
    keys_below(figure, handles)
    return figure


def _categories(score: NDArray[np.float64], scale: Mapping[float, str]) -> dict[float, str]:
    """The values of a score that is made of categories, rising, with their words; empty for any other score."""
    values = np.unique(score)
    if values.size > MOST_CATEGORIES or (not scale and 2 * values.size > score.size):
        return {}
    codes = {number: name for name, number in BI_RADS.items()}
    parts_of_four = bool((values % 1 > 0).any()) and set(values.tolist()) <= set(codes)
    words = scale or (codes if parts_of_four else {})
    return {value: words.get(value, f"{value:g}") for value in sorted({*values.tolist(), *scale})}


def _draw_categories(
    axes: Axes,
    by_class: Iterable[NDArray[np.float64]],
    cutoffs: Sequence[tuple[float, bool]],
    categories: Mapping[float, str],
) -> None:
    values, count = np.array(list(categories)), len(categories)
    edges = (np.arange(count)[:, None] + [-_HALF_BAR, _HALF_BAR]).ravel()
    heights = np.zeros((2, 2 * count - 1), dtype=np.int64)  # a bar, a gap, a bar, ...
    for bars, score in zip(heights, by_class, strict=True):
        bars[::2] = np.bincount(np.searchsorted(values, score), minlength=count)
    _draw_shares(axes, list(heights), edges)
    aside = _ASIDE if len({optimistic for _, optimistic in cutoffs}) > 1 else 0.0  # so that both lines are seen
    between = [
        (np.searchsorted(values, cutoff, side="right") - 0.5 + (aside if optimistic else -aside), optimistic)
        for cutoff, optimistic in cutoffs
    ]
    _draw_cutoffs(axes, between)
    axes.set_xlim(-0.75, count - 0.25)
    words = list(categories.values())
    step = -(-sum(len(word) + 2 for word in words) // _AXIS_LETTERS)  # every label, every second, ...
    axes.set_xticks(range(0, count, step), words[::step])


def _draw_shares(axes: Axes, counts: Sequence[NDArray[np.int64]], edges: NDArray[np.float64]) -> None:
    benign, malignant = (part / max(int(part.sum()), 1) for part in counts)
    axes.stairs(benign, edges, color=BENIGN_COLOUR, fill=True, alpha=0.7, zorder=2)
    axes.stairs(malignant, edges, color=MALIGNANT_COLOUR, linewidth=1.1, zorder=3)


def _draw_cutoffs(axes: Axes, cutoffs: Sequence[tuple[float, bool]]) -> None:
    for at, optimistic in cutoffs:
        axes.axvline(at, color=INK, linewidth=0.7, linestyle=":" if optimistic else "-", zorder=4)


def _score_range(score: NDArray[np.float64]) -> tuple[float, float]:
    """0 to 1 for probabilities, else the span of the scores."""
    low, high = float(score.min(initial=0.0)), float(score.max(initial=1.0))
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (float(score.min()), float(score.max())) if score.min() < score.max() else (low - 0.5, high + 0.5)
