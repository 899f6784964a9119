"""ROC curves, drawn for one journal column.

Numbers come in as result objects, a figure goes out; nothing is computed here beyond the place of a line. Functions
that begin with ``draw_`` fill given axes, those that end in ``_figure`` lay out a whole figure. Score
distributions, learning curves, flow diagram and heatmaps have modules of their own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from microcalc.protocol import ENSEMBLE
from microcalc.report.content import ModelResult
from microcalc.report.style import (
    COLUMN_MM,
    INK,
    MUTED,
    TITLE_MM,
    SeriesStyle,
    axes_mm,
    drawing,
    fitted,
    new_figure,
    series_styles,
    small_multiples,
    width_mm,
)
from microcalc.stats import OperatingPoint, RocBand

__all__ = [
    "auc_words",
    "band_words",
    "draw_band",
    "draw_roc",
    "main_model",
    "roc_band_figure",
    "roc_bands_figure",
    "roc_figure",
    "undefined_words",
]

PAPERS_BAND_MODEL = "inception_resnet_v2"
"""Figure 1b of the paper shows the band of this network."""

_LEFT, _BOTTOM, _SIDE = 11.0, 9.5, 70.0  # of a square ROC plot in one column, mm
_LEGEND_ROW, _KEY, _GAP = 3.7, 9.0, 2.0  # mm: height of a row of the legend, length of its line, space beside a name
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_MAX_VERTICES = 2_000


def auc_words(result: ModelResult) -> str:
    """For instance ``0.837 (0.786 to 0.888)``; ``undefined`` where there is none (`undefined_words` says why)."""
    if not math.isfinite(result.auc):
        return "undefined"
    words = f"{result.auc:.3f}"
    if math.isfinite(result.low) and math.isfinite(result.high):
        return f"{words} ({result.low:.3f} to {result.high:.3f})"
    return f"{words} (no interval)"


def undefined_words(models: Sequence[ModelResult]) -> str:
    """Why areas or intervals are missing, a sentence for each reason; empty where all are defined."""
    reasons: dict[str, dict[str, None]] = {}
    for m in models:
        if not all(math.isfinite(v) for v in (m.auc, m.low, m.high)):
            reasons.setdefault(m.reason or "no reason was given", {})[m.name] = None
    return " ".join(f"Undefined for {', '.join(names)}: {reason}." for reason, names in reasons.items())


def main_model(models: Sequence[ModelResult], wanted: str = "") -> ModelResult:
    """The model whose band is drawn large: the wanted one, else the paper's, else the ensemble, else the first."""
    by_name = {m.model: m for m in models}
    for name in (wanted, PAPERS_BAND_MODEL, ENSEMBLE):
        if name in by_name:
            return by_name[name]
    return models[0]


# ---- ROC -------------------------------------------------------------------------------------------------------------


def draw_roc(axes: Axes, result: ModelResult, look: SeriesStyle) -> None:
    """Draw one ROC curve and its operating points; an undefined curve draws nothing.

    Args:
        axes: prepared by the caller.
        result: the curve's vertices are joined by straight lines, so that tied scores give the sloping piece that
            belongs to them.
        look: colour, dashes, marker; filled where the cut-off was chosen before the test set was seen, hollow where it
            was chosen on it.
    """
    across, up = _thinned(result.curve.false_positive_rate, result.curve.sensitivity)
    axes.plot(across, up, color=look.colour, linestyle=look.dashes, linewidth=look.width, zorder=3)
    for point in result.points:
        _mark(axes, point, look)


def draw_band(axes: Axes, band: RocBand, look: SeriesStyle) -> None:
    """Shade a bootstrap band; its edges are drawn as well, so that it survives a photocopier."""
    axes.fill_between(
        band.false_positive_rate, band.low, band.high, color=look.colour, alpha=0.18, linewidth=0, zorder=1
    )
    for edge in (band.low, band.high):
        axes.plot(band.false_positive_rate, edge, color=look.colour, linewidth=0.4, alpha=0.7, zorder=2)


@drawing()
def roc_figure(models: Sequence[ModelResult]) -> Figure:
    """Figure 1a of the paper: the ROC curves of all models, operating points marked, AUC and interval in the legend."""
    styles = series_styles([m.model for m in models])
    rows = [_Row(None, "", _auc_heading(models))]
    names = fitted([m.name for m in models], _name_room(models))
    rows += [_Row(styles[m.model], name, auc_words(m)) for name, m in zip(names, models, strict=True)]
    figure, axes = _square(rows + _marker_rows(models))
    for result in models:
        draw_roc(axes, result, styles[result.model])
    return figure


@drawing()
def roc_band_figure(result: ModelResult) -> Figure:
    """Figure 1b of the paper: one ROC curve large, with its bootstrap band."""
    look = SeriesStyle("#0072b2", "-", "o", 1.4)
    name = fitted([result.name], _name_room([result]))[0]
    rows = [_Row(None, "", _auc_heading([result])), _Row(look, name, auc_words(result))]
    if result.band is not None:
        rows.append(_Row(look, band_words(result.band), band=True))
    figure, axes = _square(rows + _marker_rows([result]))
    if result.band is not None:
        draw_band(axes, result.band, look)
    draw_roc(axes, result, look)
    return figure


@drawing()
def roc_bands_figure(models: Sequence[ModelResult]) -> Figure:
    """The band of every model as small multiples, two in a row."""
    figure, grid = small_multiples(len(models), height=33.0)
    styles = series_styles([m.model for m in models])
    titles = fitted([m.name for m in models], TITLE_MM, bold=True)
    for axes, result, title in zip(grid, models, titles, strict=True):
        look = styles[result.model]
        _frame(axes, small=True)
        if result.band is not None:
            draw_band(axes, result.band, look)
        draw_roc(axes, result, SeriesStyle(look.colour, "-", look.marker, 1.0))
        axes.set_title(title)
        words = f"AUC {result.auc:.3f}" if math.isfinite(result.auc) else "AUC undefined"
        if math.isfinite(result.low) and math.isfinite(result.high):
            words += f"\n{result.low:.3f} to {result.high:.3f}"
        axes.text(0.97, 0.05, words, ha="right", va="bottom", fontsize=6.5, linespacing=1.3)
    return figure


def band_words(band: RocBand) -> str:
    """For instance ``95% band, 1,000 bootstrap replicates by image``."""
    return f"{band.confidence:.0%} band, {band.replicates:,} bootstrap replicates by {band.by}"


def _mark(axes: Axes, point: OperatingPoint, look: SeriesStyle) -> None:
    sensitivity, specificity = point.counts.sensitivity, point.counts.specificity
    if not point.reason and math.isfinite(sensitivity) and math.isfinite(specificity):
        _marker(axes, (1 - specificity, sensitivity), look, hollow=point.optimistic)


def _marker(axes: Axes, at: tuple[float, float], look: SeriesStyle, *, hollow: bool) -> None:
    axes.plot(
        [at[0]],
        [at[1]],
        marker=look.marker,
        markersize=6.5 if look.marker == "*" else 4.2,
        markerfacecolor="white" if hollow else look.colour,
        markeredgecolor=look.colour if hollow else INK,
        markeredgewidth=0.8 if hollow else 0.5,
        linestyle="none",
        zorder=4,
        clip_on=False,
    )


@dataclass(frozen=True)
class _Row:
    """A row of the legend: line, marker or band; name; number at the right edge."""

    look: SeriesStyle | None
    name: str
    number: str = ""
    band: bool = False
    hollow: bool | None = None  # a lone marker, hollow or filled; None: a line


def _auc_heading(models: Sequence[ModelResult]) -> str:
    return f"AUC ({models[0].confidence:.0%} interval)"


def _name_room(models: Sequence[ModelResult]) -> float:
    """Millimetres that a name has in the legend beside the widest area."""
    return _SIDE - _KEY - 2 * _GAP - max(width_mm(auc_words(m)) for m in models)


def _marker_rows(models: Sequence[ModelResult]) -> list[_Row]:
    chosen = {p.optimistic: p for m in models for p in m.points if not p.reason}
    rows = []
    for optimistic in sorted(chosen):
        where = "the test set itself, optimistic" if optimistic else f"the {chosen[False].chosen_on} set, frozen"
        rows.append(_Row(SeriesStyle(MUTED, "-", "o", 1.0), f"cut-off chosen on {where}", hollow=optimistic))
    return rows


def _square(rows: Sequence[_Row]) -> tuple[Figure, Axes]:
    """Figure of one column: square ROC axes, the legend below."""
    legend = _LEGEND_ROW * len(rows) + 1.0
    figure = new_figure(COLUMN_MM, _BOTTOM + _SIDE + legend + 3.0)
    axes = axes_mm(figure, _LEFT, _BOTTOM + legend, _SIDE, _SIDE)
    _frame(axes)
    below = axes_mm(figure, _LEFT, 0, _SIDE, legend)
    below.set_xlim(0, _SIDE)
    below.set_ylim(legend, 0)
    below.set_axis_off()
    for place, row in enumerate(rows):
        _draw_row(below, row, (place + 0.5) * _LEGEND_ROW)
    return figure, axes


def _draw_row(axes: Axes, row: _Row, y: float) -> None:
    look, middle = row.look, _KEY / 2
    if look is None:
        axes.text(_SIDE, y, row.number, ha="right", va="center_baseline", color=MUTED)
        return
    if row.band:
        axes.fill_between([0, _KEY], y - 1.1, y + 1.1, color=look.colour, alpha=0.18, linewidth=0)
    elif row.hollow is None:
        axes.plot([0, _KEY], [y, y], color=look.colour, linestyle=look.dashes, linewidth=look.width)
    if not row.band:
        _marker(axes, (middle, y), look, hollow=bool(row.hollow))
    axes.text(_KEY + _GAP, y, row.name, va="center_baseline")
    axes.text(_SIDE, y, row.number, ha="right", va="center_baseline")


def _frame(axes: Axes, *, small: bool = False) -> None:
    ticks = (0.0, 0.5, 1.0) if small else _TICKS
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.grid(visible=True)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.5, linestyle=(0, (1, 2)), zorder=0.5)
    if not small:
        axes.set_xlabel("1 − specificity (false-positive rate)")
        axes.set_ylabel("Sensitivity (true-positive rate)")


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At most ``_MAX_VERTICES`` vertices, ends kept: more cannot be seen, and a PDF of a million is unusable."""
    if len(x) <= _MAX_VERTICES:
        return x, y
    keep = np.unique(np.linspace(0, len(x) - 1, _MAX_VERTICES).round().astype(np.int64))
    return x[keep], y[keep]
