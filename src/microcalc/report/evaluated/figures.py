"""Figures of an evaluation beyond the ROC curve: precision-recall, reliability, decision curves.

Drawn for one journal column in the style of `report.style`; numbers come from the evaluation as they are.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
    width_mm,
)
from microcalc.report.words import Names
from microcalc.stats.calibration import Calibration
from microcalc.stats.decision_curve import DecisionCurve
from microcalc.stats.evaluation import Evaluation
from microcalc.stats.recalibration import RecalibrationMethod
from microcalc.stats.roc import PrecisionRecall

__all__ = ["decision_figure", "precision_recall_figure", "reliability_figure"]

_LEGEND_ROW, _LEGEND_WORDS = 3.2, 69.0  # mm: height of a row, room for its words
_PANEL = 31.0  # mm, height of a small multiple


@drawing()
def precision_recall_figure(e: Evaluation, names: Names) -> Figure:
    """Precision against recall for all models, as steps; the dotted line is chance."""
    shown = [model for model in e.table.models if not e.precision[model].reason]
    foot = _LEGEND_ROW * (len(shown) + 1) + 10.0
    figure = new_figure(COLUMN_MM, foot + 63.0)
    axes = axes_mm(figure, 11.0, foot, 70.0, 60.0)
    styles, handles = series_styles(e.table.models), []
    numbers = [_average_words(e.precision[model]) for model in shown]
    room = _LEGEND_WORDS - max(map(width_mm, numbers), default=0.0)
    called = fitted([names.title(model) for model in shown], room)
    for model, name, number in zip(shown, called, numbers, strict=True):
        curve, look = e.precision[model], styles[model]
        axes.step(
            [0, *curve.recall],
            [curve.precision[0], *curve.precision],
            where="pre",
            color=look.colour,
            linestyle=look.dashes,
            linewidth=look.width,
        )
        handles.append(_line(look, f"{name}{number}"))
    prevalence = e.table.test.malignant / e.table.test.images
    axes.axhline(prevalence, color=MUTED, linewidth=0.5, linestyle=(0, (1, 2)))
    handles.append(Line2D([], [], color=MUTED, linewidth=0.5, linestyle=(0, (1, 2)), label=f"chance, {prevalence:.3f}"))
    _unit(axes)
    axes.set_xlabel("Recall (sensitivity)")
    axes.set_ylabel("Precision (PPV)")
    figure.legend(handles=handles, loc="lower left", handlelength=3.0, borderaxespad=0.2, borderpad=0, labelspacing=0.3)
    return figure


def _average_words(curve: PrecisionRecall) -> str:
    words = f": {curve.average_precision:.3f}"
    return words + (f" ({curve.low:.3f} to {curve.high:.3f})" if math.isfinite(curve.low) else "")


@drawing()
def reliability_figure(e: Evaluation, names: Names) -> Figure:
    """Reliability curves as small multiples: filled as the scores came, hollow after Platt's recalibration."""
    before = {row.model: row.result for row in e.calibration if row.learnt is None and not row.result.reason}
    after = {
        row.model: row.result
        for row in e.calibration
        if row.method == RecalibrationMethod.PLATT and not row.result.reason
    }
    figure, grid = _multiples(len(before), "Mean probability", "Share malignant")
    titles = fitted([names.title(model) for model in before], TITLE_MM - 1, bold=True)
    for axes, title, (model, result) in zip(grid, titles, before.items(), strict=True):
        _unit(axes, small=True)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.5, linestyle=(0, (1, 2)))
        _draw_bins(axes, result, filled=True)
        if model in after:
            _draw_bins(axes, after[model], filled=False)
        axes.set_title(title)
        if math.isfinite(result.slope.estimate):
            words = "before:\n" if model in after else ""
            words += f"slope {result.slope.estimate:.2f}\nintercept {result.intercept.estimate:.2f}"
            axes.text(0.97, 0.05, words, ha="right", va="bottom", fontsize=6, linespacing=1.3)
    handles = [_marker("as the scores came", filled=True)]
    handles += [_marker("after Platt, learnt on validation", filled=False)] if after else []
    _foot_legend(figure, handles)
    return figure


def _draw_bins(axes: Axes, result: Calibration, *, filled: bool) -> None:
    mean = [part.mean for part in result.bins]
    observed = [part.observed.estimate for part in result.bins]
    if filled:
        below = [part.observed.estimate - part.observed.low for part in result.bins]
        above = [part.observed.high - part.observed.estimate for part in result.bins]
        axes.errorbar(mean, observed, yerr=[below, above], fmt="none", ecolor=MUTED, elinewidth=0.6, zorder=2)
    axes.plot(
        mean,
        observed,
        color=INK if filled else "#0072b2",
        linewidth=0.8,
        linestyle="-" if filled else (0, (3, 1)),
        marker="o",
        markersize=2.6,
        markerfacecolor=INK if filled else "white",
        markeredgewidth=0.6,
        zorder=3,
    )


@drawing()
def decision_figure(e: Evaluation, names: Names) -> Figure:
    """Net benefit as small multiples: the model with its band against a biopsy for everybody and for nobody."""
    shown = {model: curve for model, curve in e.decision.items() if not curve.reason}
    figure, grid = _multiples(len(shown), "Threshold probability", "Net benefit")
    highest = [float(np.nanmax(curve.high, initial=0.0)) for curve in shown.values()]
    top = 1.05 * max(e.table.test.malignant / e.table.test.images, 0.05, *highest)
    titles = fitted([names.title(model) for model in shown], TITLE_MM - 1, bold=True)
    for axes, title, curve in zip(grid, titles, shown.values(), strict=True):
        _draw_decision(axes, curve, top)
        axes.set_title(title)
    handles = [
        Line2D([], [], color="#0072b2", linewidth=1.2, label="model, band by patients"),
        Line2D([], [], color=INK, linewidth=0.8, linestyle=(0, (3, 1)), label="biopsy all"),
        Line2D([], [], color=MUTED, linewidth=0.8, linestyle=(0, (1, 1)), label="none"),
    ]
    _foot_legend(figure, handles)
    return figure


def _draw_decision(axes: Axes, curve: DecisionCurve, top: float) -> None:
    at = curve.thresholds
    axes.fill_between(at, curve.low, curve.high, color="#0072b2", alpha=0.18, linewidth=0)
    axes.plot(at, curve.net_benefit, color="#0072b2", linewidth=1.2, zorder=3)
    axes.plot(at, curve.treat_all, color=INK, linewidth=0.8, linestyle=(0, (3, 1)))
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=(0, (1, 1)))
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.25 * top, top)
    axes.set_xticks((0.0, 0.5, 1.0), ("0", "0.5", "1"))
    axes.locator_params(axis="y", nbins=4)
    axes.grid(visible=True)


def _unit(axes: Axes, *, small: bool = False) -> None:
    ticks = (0.0, 0.5, 1.0) if small else (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.grid(visible=True)


def _multiples(count: int, across: str, up: str) -> tuple[Figure, list[Axes]]:
    """Figure of one column with ``count`` axes, two in a row, from the upper left; outer ones carry the axes' names."""
    rows = (count + 1) // 2
    pitch, foot = _PANEL + 10.0, 9.5
    figure = new_figure(COLUMN_MM, rows * pitch + foot)
    grid = []
    for place in range(count):
        row, column = divmod(place, 2)
        axes = axes_mm(figure, 11.0 + column * 40.0, foot + (rows - 1 - row) * pitch + 5.0, 29.5, _PANEL)
        lowest, leftmost = place + 2 >= count, column == 0
        axes.set_xlabel(across if lowest else "")
        axes.set_ylabel(up if leftmost else "")
        axes.tick_params(labelbottom=lowest, labelleft=leftmost)  # all panels have the same axes
        grid.append(axes)
    return figure, grid


def _foot_legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(
        handles=list(handles), loc="lower center", ncols=len(handles), handlelength=1.8, columnspacing=1.2,
        borderaxespad=0.2, borderpad=0,
    )  # fmt: skip


def _line(look: SeriesStyle, words: str) -> Line2D:
    return Line2D([], [], color=look.colour, linestyle=look.dashes, linewidth=look.width, label=words)


def _marker(words: str, *, filled: bool) -> Line2D:
    colour = INK if filled else "#0072b2"
    return Line2D(
        [], [], color=colour, linewidth=0.8, linestyle="-" if filled else (0, (3, 1)), marker="o", markersize=2.6,
        markerfacecolor=colour if filled else "white", markeredgewidth=0.6, label=words,
    )  # fmt: skip
