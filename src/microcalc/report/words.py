"""Numbers and names as a paper prints them: p values, intervals, cut-offs, models, who was counted.

Texts of a few words, no tables.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal

import numpy as np

from microcalc.report.printed import NOT_AVAILABLE
from microcalc.stats.inputs import FloatArray
from microcalc.stats.operating_point import Measure
from microcalc.stats.proportions import Proportion
from microcalc.stats.summary import SetFacts
from microcalc.vocabulary import Split

__all__ = [
    "CHOICE_TEXT",
    "CUTOFF_DIGITS",
    "MEASURE_TITLES",
    "MODEL_TITLES",
    "Names",
    "counted",
    "cutoff_text",
    "facts_text",
    "grid_words",
    "interval_text",
    "model_title",
    "next_above",
    "number_text",
    "p_text",
    "percent_text",
]

MODEL_TITLES = {
    "resnet101": "ResNet-101",
    "xception": "Xception",
    "inception_v3": "Inception-v3",
    "inception_resnet_v2": "Inception-ResNet-v2",
    "densenet201": "DenseNet-201",
    "ensemble": "Ensemble",
}
"""The paper's names of its models."""

MEASURE_TITLES = {
    Measure.SENSITIVITY: "Sensitivity",
    Measure.SPECIFICITY: "Specificity",
    Measure.ACCURACY: "Accuracy",
    Measure.PPV: "PPV",
    Measure.NPV: "NPV",
}

CHOICE_TEXT: Mapping[str, str] = {
    Split.TEST: "cut-offs chosen on the test set itself, as in the paper: optimistic",
    Split.VALIDATION: "cut-offs chosen on the validation set and frozen",
    "given": "cut-offs that were given",
}
"""Where cut-offs come from, in words."""

CUTOFF_DIGITS = (
    "Cut-offs are rounded up, with digits enough for the same calls on the test set; the CSV has all digits."
)
"""How `cutoff_text` rounds, for footnotes."""

_DIGITS_UNSEEN = 6  # of a cut-off whose next score is not at hand
_ROUNDING = 1e-12  # a limit that is less below zero is zero
_SMALL, _LARGE = 1e-4, 1e15  # beyond them numbers are printed with an exponent


@dataclass(frozen=True)
class Names:
    """How models and their cut-offs are called.

    Attributes:
        titles: of models, where they are not the paper's.
        scales: for each model whose scores are words, the word of each number.
        observed: for each model its scores on the test set, in any order; a printed cut-off then has as few digits as
            part them as the cut-off itself does.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    observed: Mapping[str, FloatArray] = field(default_factory=dict)

    def title(self, model: str) -> str:
        """Name of a model as people write it."""
        return model_title(model, self.titles)

    def spoken(self, sentence: str) -> str:
        """A sentence with the paper's names for the models that it names, or those of ``titles``."""
        known = {**MODEL_TITLES, **self.titles}
        words = "|".join(re.escape(name) for name in sorted(known, key=len, reverse=True))
        return re.sub(rf"(?<![\w-])(?<!the )({words})(?![\w-])", lambda found: known[found[0]], sentence)

    def cutoff(self, model: str, cutoff: float) -> str:
        """The rule of a model, such as ``> 0.056`` or ``> 4A``."""
        return cutoff_text(cutoff, self.scales.get(model), above=next_above(cutoff, self.observed.get(model)))


def model_title(name: str, titles: Mapping[str, str] | None = None) -> str:
    """Name of a model as the paper prints it; other models keep their own, or that of ``titles``."""
    return (titles or {}).get(name) or MODEL_TITLES.get(name, name)


def p_text(p: float) -> str:
    """A p value as the paper prints it: ``<.0001``, ``0.0011``; ``n/a`` where it is undefined."""
    if not np.isfinite(p):
        return NOT_AVAILABLE
    return "<.0001" if p < 0.0001 else f"{p:.4f}"


def grid_words(grid: tuple[int, int] | None) -> str:
    """How fine a heatmap can be: ``grid of 3 × 3``; empty if unknown. One cell is said to show no place."""
    if grid is None:
        return ""
    return f"grid of {grid[0]} × {grid[1]}" + (" (one cell: shows no place)" if grid == (1, 1) else "")


def counted(count: int, noun: str) -> str:
    """For instance ``1 patient``, ``2 patients``."""
    return f"{count} {noun if count == 1 else f'{noun}s'}"


def number_text(value: float, digits: int) -> str:
    """A number with a fixed count of decimals; ``n/a`` where it is undefined, no minus before a zero."""
    if not np.isfinite(value):
        return NOT_AVAILABLE
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval_text(estimate: float, low: float, high: float, digits: int) -> str:
    """``estimate (low–high)``, ``estimate (low to high)`` where one is negative; ``n/a`` for what is undefined.

    A limit below zero always shows that it is, with a digit more than the others if need be: whether an interval holds
    zero is what it is read for.

    >>> interval_text(0.0414, -0.0003, 0.0862, 3)
    '0.041 (−0.0003 to 0.086)'
    """
    if not np.isfinite(estimate):
        return NOT_AVAILABLE
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{number_text(estimate, digits)} ({NOT_AVAILABLE})"
    first, last = _limit_text(low, digits), _limit_text(high, digits)
    between = " to " if first.startswith("−") else "–"
    return f"{number_text(estimate, digits)} ({first}{between}{last})"


def _limit_text(value: float, digits: int) -> str:
    """A limit; one that is below zero by more than rounding errors keeps a digit that counts."""
    if value < -_ROUNDING and round(value, digits) == 0:
        digits = -math.floor(math.log10(-value))
    return number_text(value, digits)


def percent_text(value: Proportion) -> str:
    """A proportion with its limits in percent, one decimal."""
    return interval_text(100 * value.estimate, 100 * value.low, 100 * value.high, 1)


def cutoff_text(cutoff: float, words: Mapping[float, str] | None = None, *, above: float | None = None) -> str:
    """The rule as a paper prints it, ``> 0.056``, with as many digits as it takes to call the same images malignant.

    What is printed lies between the cut-off and the next score above it, so the printed rule gives the printed counts.
    At least three decimals (two digits that count, below 0.01) unless the cut-off has fewer; whole numbers as such.

    Args:
        cutoff: ``-inf`` is ``all``, ``inf`` is ``none``.
        words: of an ordinal scale; the cut-off is then said in them.
        above: the next score above the cut-off, ``inf`` if there is none; None where the scores are not at hand: the
            cut-off is then printed with six digits, rounded up.

    >>> cutoff_text(0.020563, above=0.0211), cutoff_text(0.020563, above=0.020571), cutoff_text(3.0)
    ('> 0.021', '> 0.02057', '> 3')
    """
    if np.isnan(cutoff):
        return NOT_AVAILABLE
    if np.isinf(cutoff):
        return "all" if cutoff < 0 else "none"
    if words and cutoff in words:
        return f"> {words[cutoff]}"
    text = _parting(cutoff, above)
    return f"> −{text[1:]}" if text.startswith("-") else f"> {text}"


def next_above(cutoff: float, observed: FloatArray | None) -> float | None:
    """The smallest of the scores above a cut-off; ``inf`` if there is none, None if no scores are at hand."""
    if observed is None:
        return None
    return float(np.min(observed, where=observed > cutoff, initial=np.inf))


def _parting(cutoff: float, above: float | None) -> str:
    """The shortest decimal that is not below the cut-off and below the next score."""
    exact = Decimal(repr(float(cutoff)))
    if exact == exact.to_integral_value():
        return f"{cutoff:.0f}" if abs(cutoff) < _LARGE else f"{cutoff:g}"
    first = exact.adjusted()  # -1 for 0.5, 0 for 4.1
    fewest = 3 if -2 <= first < 0 else max(2 - first, 0) if first >= 0 else 1 - first
    most = max(-int(exact.as_tuple().exponent), 2 if first < 0 else 0)
    if above is None:
        fewest = most = min(most, max(fewest, _DIGITS_UNSEEN - 1 - first))
    for decimals in range(fewest, most + 1):
        shorter = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_CEILING)
        if above is None or float(shorter) < above:
            return f"{shorter:e}" if abs(cutoff) < _SMALL else f"{shorter:f}"
    return str(exact.quantize(Decimal(1).scaleb(-most)))


def facts_text(facts: SetFacts, unit: str = "image") -> str:
    """For instance ``260 images of 145 patients, 97 malignant and 163 benign``."""
    whose = "" if unit == "patient" else f" of {counted(facts.patients, 'patient')}"
    return f"{counted(facts.images, unit)}{whose}, {facts.malignant} malignant and {facts.benign} benign"
