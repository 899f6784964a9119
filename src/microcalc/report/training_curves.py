"""Learning curves: what every network lost and gained, epoch by epoch. Drawn from finished histories, one row each."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from microcalc.report.content import TrainingHistory
from microcalc.report.style import COLUMN_MM, INK, MALIGNANT_COLOUR, MUTED, axes_mm, drawing, keys_below, new_figure
from microcalc.report.words import model_title

__all__ = ["draw_auc", "draw_loss", "learning_curves_figure", "rate_words"]

_TRAIN, _VALIDATION = "#0072b2", MALIGNANT_COLOUR
_RATE = "#dddddd"
_LEFT, _RIGHT_LEFT, _WIDTH, _HEIGHT, _PITCH, _FOOT, _HEAD = 9.0, 50.5, 30.5, 19.0, 28.0, 12.5, 1.0  # mm


def rate_words(history: TrainingHistory) -> str:
    """For instance ``0.0001`` for a constant rate, ``up to 0.0005`` for a changing one, empty if unknown.

    A history has the rate of each epoch's last step; the highest of all steps is the history's ``peak_rate``.
    """
    rates = history.learning_rate[np.isfinite(history.learning_rate)]
    if not rates.size:
        return ""
    low, high = float(rates.min()), max(float(rates.max()), history.peak_rate)
    return f"{high:.2g}" if np.isclose(low, high) else f"up to {high:.2g}"


def draw_loss(axes: Axes, history: TrainingHistory) -> None:
    """Training loss (solid) and validation loss (dashed) over the epochs."""
    marker = "." if len(history.epoch) < 30 else ""
    axes.plot(history.epoch, history.train_loss, color=_TRAIN, marker=marker, markersize=3)
    axes.plot(history.epoch, history.validation_loss, color=_VALIDATION, marker=marker, markersize=3, linestyle="--")
    _frame(axes, history)
    top = _highest(history.train_loss, history.validation_loss)
    axes.set_ylim(0, top * 1.08 if top > 0 else 1)


def draw_auc(axes: Axes, history: TrainingHistory) -> None:
    """Validation AUC over the epochs, the chosen epoch ringed; a changing learning rate as a grey hill behind it."""
    if _changes(history):
        behind = axes.twinx()
        behind.fill_between(history.epoch, history.learning_rate, color=_RATE, linewidth=0, zorder=0)
        behind.set_ylim(0, float(np.nanmax(history.learning_rate)) * 1.05)
        behind.set_axis_off()
        axes.set_zorder(behind.get_zorder() + 1)
        axes.patch.set_visible(False)
    marker = "." if len(history.epoch) < 30 else ""
    axes.plot(history.epoch, history.validation_auc, color=_VALIDATION, marker=marker, markersize=3, linestyle="--")
    _frame(axes, history)
    chosen = history.validation_auc[history.epoch == history.chosen_epoch]
    if chosen.size and np.isfinite(chosen[0]):
        axes.plot([history.chosen_epoch], [chosen[0]], marker="o", markersize=6, markerfacecolor="none",
                  markeredgecolor=INK, markeredgewidth=0.9, linestyle="none", zorder=5, clip_on=False)  # fmt: skip
    lowest = np.nanmin(history.validation_auc) if np.isfinite(history.validation_auc).any() else 0.5
    axes.set_ylim(0.5 if lowest >= 0.5 else 0.0, 1.0)


@drawing()
def learning_curves_figure(histories: Sequence[TrainingHistory]) -> Figure:
    """One row for each network: losses left, validation AUC right."""
    figure = new_figure(COLUMN_MM, _HEAD + _PITCH * len(histories) + _FOOT - 5.0)
    for row, history in enumerate(histories):
        bottom = _FOOT + (len(histories) - 1 - row) * _PITCH
        loss = axes_mm(figure, _LEFT, bottom, _WIDTH, _HEIGHT)
        draw_loss(loss, history)
        loss.set_title(model_title(history.network))
        auc = axes_mm(figure, _RIGHT_LEFT, bottom, _WIDTH, _HEIGHT)
        draw_auc(auc, history)
        if row == 0:
            loss.text(0.98, 0.96, "loss", transform=loss.transAxes, ha="right", va="top", color=MUTED)
            auc.set_title("validation AUC", loc="right", fontweight="normal", color=MUTED)
        if row == len(histories) - 1:
            loss.set_xlabel("epoch")
            auc.set_xlabel("epoch")
    _keys(figure, any(_changes(h) for h in histories))
    return figure


def _keys(figure: Figure, changing_rate: bool) -> None:
    handles = [
        Line2D([], [], color=_TRAIN, label="training"),
        Line2D([], [], color=_VALIDATION, linestyle="--", label="validation"),
        Line2D([], [], color=INK, linestyle="none", marker="o", markersize=5, markerfacecolor="none", label="chosen"),
    ]
    if changing_rate:
        handles.append(Line2D([], [], color=_RATE, linewidth=5, label="learning rate"))
    keys_below(figure, handles)


def _frame(axes: Axes, history: TrainingHistory) -> None:
    axes.grid(visible=True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    axes.locator_params(axis="y", nbins=4)
    if len(history.epoch):
        first, last = int(history.epoch[0]), int(history.epoch[-1])
        axes.set_xlim(first - 0.5, last + 0.5)
        if first <= history.chosen_epoch <= last:
            axes.axvline(history.chosen_epoch, color=MUTED, linewidth=0.5, linestyle=(0, (1, 2)), zorder=1)


def _changes(history: TrainingHistory) -> bool:
    rates = history.learning_rate[np.isfinite(history.learning_rate)]
    return bool(rates.size > 1 and not np.allclose(rates, rates[0]))


def _highest(*curves: np.ndarray) -> float:
    values = np.concatenate([c[np.isfinite(c)] for c in curves])
    return float(values.max()) if values.size else 0.0
