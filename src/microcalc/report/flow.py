"""The STARD flow diagram: who was assessed, who was left out and why, who went into which set.

Drawn from a `CohortFlow` by placing boxes in millimetres; text is measured with the very font that draws it, so that no
word leaves its box. Counting is done elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from microcalc.report.cohort_summary import CohortFlow, Exclusion, SetCounts
from microcalc.report.style import COLUMN_MM, INK, MUTED, axes_mm, drawing, new_figure, shortened, width_mm

__all__ = ["flow_alt_text", "flow_figure"]

MOST_REASONS = 12
"""Reasons drawn one by one; the rarer ones become one line, and the table beside the diagram names them all."""

MOST_LETTERS = 60
"""Of one reason; the table has the whole."""

_SIZE = 6.8  # points
_LINE = 3.15  # mm from one line of text to the next
_PAD = 1.6  # mm between a box and its text
_GAP = 6.0  # mm between two rows of boxes
_MARGIN = 0.4  # mm around the whole, so that no stroke is cut
_RIGHT = 81.0  # mm, right edge of the boxes; the strip beside it is for a mark


@dataclass(frozen=True)
class _Box:
    """Lines of text and a width, mm; the first line is bold."""

    lines: tuple[str, ...]
    width: float
    head: int = 1

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + 2 * _PAD


@drawing()
def flow_figure(flow: CohortFlow) -> Figure:
    """Draw the flow of images and patients for one journal column."""
    who = _counted(flow.assessed_patients, "patient") if flow.assessed_patients else ()
    assessed = _box(("Images assessed", *_counted(flow.assessed, "image"), *who, *flow.sources), 44.0)
    excluded = _box(
        ("Excluded", *_counted(sum(e.count for e in flow.exclusions), "image"), *_reasons(flow.exclusions)), 33.0
    )
    included = _box(("Cohort", *_set_lines(flow.included)), 44.0)
    width = (_RIGHT - _MARGIN - 2.4 * (len(flow.sets) - 1)) / max(len(flow.sets), 1)
    sets = [_box((s.name, *_set_lines(s)), min(width, 44.0)) for s in flow.sets]
    split = _wrapped(flow.split, 70.0) if flow.sets else ()

    between = max(_GAP, excluded.height + 3.0) if flow.exclusions else _GAP
    below = (2 * _GAP + len(split) * _LINE, max((b.height for b in sets), default=0.0)) if sets else (0.0, 0.0)
    height = assessed.height + between + included.height + sum(below) + 2 * _MARGIN
    figure = new_figure(COLUMN_MM, height)
    axes = axes_mm(figure, 0, 0, COLUMN_MM, height)
    axes.set_xlim(0, COLUMN_MM)
    axes.set_ylim(0, height)
    axes.set_axis_off()

    top = height - _MARGIN
    left = _MARGIN
    spine = left + assessed.width / 2
    _draw_box(axes, assessed, left, top)
    cohort_top = top - assessed.height - between
    _arrow(axes, (spine, top - assessed.height), (spine, cohort_top))
    if flow.exclusions:
        middle = top - assessed.height - between / 2
        right = _RIGHT - excluded.width
        _arrow(axes, (spine, middle), (right, middle))
        _draw_box(axes, excluded, right, middle + excluded.height / 2)
    _draw_box(axes, included, left, cohort_top)
    if sets:
        _draw_sets(axes, sets, split, (spine, cohort_top - included.height))
    return figure


def flow_alt_text(flow: CohortFlow) -> str:
    """The diagram in words."""
    excluded = sum(e.count for e in flow.exclusions)
    reasons = "; ".join(
        f"{e.reason}: {e.count:,}" + (f" of {_counted(e.patients, 'patient')[0]}" if e.patients else "")
        for e in flow.exclusions
    )
    words = [
        f"Flow diagram. {flow.assessed:,} images assessed, {excluded:,} excluded"
        + (f" ({reasons})." if reasons else ".")
    ]
    words += [f"{s.name}: {', '.join(_set_lines(s))}." for s in (flow.included, *flow.sets)]
    return " ".join(words)


def _draw_sets(axes: Axes, sets: Sequence[_Box], split: Sequence[str], start: tuple[float, float]) -> None:
    """The sets side by side under a rail that spreads from the cohort."""
    spine, top = start
    rail = top - _GAP / 2 - len(split) * _LINE - 1.0
    box_top = rail - _GAP / 2 - 1.0
    pitch = (_RIGHT - _MARGIN - sets[-1].width) / max(len(sets) - 1, 1)
    centres = [_MARGIN + i * pitch + box.width / 2 for i, box in enumerate(sets)]
    axes.plot([spine, spine], [top, rail], color=INK, linewidth=0.7)
    axes.plot([min(centres[0], spine), max(centres[-1], spine)], [rail, rail], color=INK, linewidth=0.7)
    for i, line in enumerate(split):
        axes.text(
            spine + 1.5,
            top - 2.0 - i * _LINE,
            line,
            fontsize=_SIZE,
            color=MUTED,
            ha="left",
            va="center_baseline",
            style="italic",
        )
    for centre, box in zip(centres, sets, strict=True):
        _arrow(axes, (centre, rail), (centre, box_top))
        _draw_box(axes, box, centre - box.width / 2, box_top)


def _draw_box(axes: Axes, box: _Box, left: float, top: float) -> None:
    axes.add_patch(
        Rectangle((left, top - box.height), box.width, box.height, facecolor="white", edgecolor=INK, linewidth=0.7)
    )
    for i, line in enumerate(box.lines):
        axes.text(left + _PAD, top - _PAD - (i + 0.5) * _LINE, line, fontsize=_SIZE, va="center_baseline",
                  fontweight="bold" if i < box.head else "normal")  # fmt: skip


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    head = "-|>,head_length=0.35,head_width=0.18"
    style = {"arrowstyle": head, "color": INK, "linewidth": 0.7, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _box(lines: Sequence[str], width: float) -> _Box:
    wrapped = [piece for line in lines for piece in _wrapped(line, width - 2 * _PAD)]
    return _Box(tuple(wrapped), width)


def _counted(count: int, noun: str) -> tuple[str]:
    return (f"{count:,} {noun}{'' if count == 1 else 's'}",)


def _set_lines(counts: SetCounts) -> tuple[str, ...]:
    lines = [*_counted(counts.images, "image")]
    lines += _counted(counts.patients, "patient") if counts.patients else ()
    lines += [f"{counts.benign:,} benign", f"{counts.malignant:,} malignant"]
    lines += [counts.dates] if counts.dates else []
    return tuple(lines)


def _reasons(exclusions: Sequence[Exclusion]) -> list[str]:
    """The reasons in their order; where there are too many, the commonest of them and the others in one line."""
    ordered = sorted(exclusions, key=lambda e: -e.count)
    shown = ordered if len(ordered) <= MOST_REASONS else ordered[: MOST_REASONS - 1]
    lines = [
        f"{e.count:,}  {shortened(e.reason, MOST_LETTERS)}"
        + (f" ({_counted(e.patients, 'patient')[0]})" if e.patients else "")
        for e in exclusions
        if e in shown
    ]
    rest = ordered[len(shown) :]
    return lines + ([f"{sum(e.count for e in rest):,}  {len(rest)} rarer reasons"] if rest else [])


def _wrapped(text: str, width: float) -> list[str]:
    """Break a text at spaces, and words where they must, so that no line is wider than ``width`` mm."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and _width(joined) <= width:
            lines[-1] = joined
            continue
        lines += _broken(word, width)
    return lines


def _broken(word: str, width: float) -> list[str]:
    pieces = [""]
    for letter in word:
        if pieces[-1] and _width(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _width(text: str) -> float:
    """Width in mm in the bold face, which is the wider one."""
    return width_mm(text, points=_SIZE, bold=True)
