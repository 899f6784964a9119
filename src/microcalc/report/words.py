"""Numbers and names as a paper prints them: p values, intervals, cut-offs, models, who was counted.

Texts of a few words, no tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from microcalc.report.printed import NOT_AVAILABLE
from microcalc.stats.operating_point import Measure
from microcalc.stats.proportions import Proportion
from microcalc.stats.summary import SetFacts
from microcalc.vocabulary import Split

__all__ = [
    "CHOICE_TEXT",
    "MEASURE_TITLES",
    "MODEL_TITLES",
    "Names",
    "cutoff_text",
    "facts_text",
    "interval_text",
    "model_title",
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


@dataclass(frozen=True)
class Names:
    """How models and their cut-offs are called.

    Attributes:
        titles: of models, where they are not the paper's.
        scales: for each model whose scores are words, the word of each number.
    """

    titles: Mapping[str, str] = field(default_factory=dict)
    scales: Mapping[str, Mapping[float, str]] = field(default_factory=dict)

    def title(self, model: str) -> str:
        """Name of a model as people write it."""
        return model_title(model, self.titles)

    def cutoff(self, model: str, cutoff: float) -> str:
        """The rule of a model, such as ``> 0.056`` or ``> 4A``."""
        return cutoff_text(cutoff, self.scales.get(model))


def model_title(name: str, titles: Mapping[str, str] | None = None) -> str:
    """Name of a model as the paper prints it; other models keep their own, or that of ``titles``."""
    return (titles or {}).get(name) or MODEL_TITLES.get(name, name)


def p_text(p: float) -> str:
    """A p value as the paper prints it: ``<.0001``, ``0.0011``; ``n/a`` where it is undefined."""
    if not np.isfinite(p):
        return NOT_AVAILABLE
    return "<.0001" if p < 0.0001 else f"{p:.4f}"


def number_text(value: float, digits: int) -> str:
    """A number with a fixed count of decimals; ``n/a`` where it is undefined, no minus before a zero."""
    if not np.isfinite(value):
        return NOT_AVAILABLE
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def interval_text(estimate: float, low: float, high: float, digits: int) -> str:
    """``estimate (low–high)``, ``estimate (low to high)`` where one is negative; ``n/a`` for what is undefined."""
    if not np.isfinite(estimate):
        return NOT_AVAILABLE
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"{number_text(estimate, digits)} ({NOT_AVAILABLE})"
    between = " to " if low < 0 else "–"
    return f"{number_text(estimate, digits)} ({number_text(low, digits)}{between}{number_text(high, digits)})"


def percent_text(value: Proportion) -> str:
    """A proportion with its limits in percent, one decimal."""
    return interval_text(100 * value.estimate, 100 * value.low, 100 * value.high, 1)


def cutoff_text(cutoff: float, words: Mapping[float, str] | None = None) -> str:
    """The rule as the paper prints it, ``> 0.056``; small cut-offs keep two digits that count.

    Args:
        cutoff: ``-inf`` is ``all``, ``inf`` is ``none``.
        words: of an ordinal scale; the cut-off is then said in them.
    """
    if np.isnan(cutoff):
        return NOT_AVAILABLE
    if np.isinf(cutoff):
        return "all" if cutoff < 0 else "none"
    if words and cutoff in words:
        return f"> {words[cutoff]}"
    return f"> {cutoff:.3f}" if abs(cutoff) >= 0.01 or cutoff == 0 else f"> {cutoff:.2g}"


def facts_text(facts: SetFacts, unit: str = "image") -> str:
    """For instance ``260 images of 145 patients, 97 malignant and 163 benign``."""
    whose = "" if unit == "patient" else f" of {facts.patients} {_plural('patient', facts.patients)}"
    units = f"{facts.images} {_plural(unit, facts.images)}"
    return f"{units}{whose}, {facts.malignant} malignant and {facts.benign} benign"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
