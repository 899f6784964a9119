"""What is said of one ROI: the probabilities, the call at the frozen cut-off and what it means, heatmaps, warnings.

Plain values only, no torch. How they come about is in `microcalc.reader.reader`, what a cut-off means in
`microcalc.reader.meaning`, which warnings there are in `microcalc.reader.caution`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from microcalc import RESEARCH_USE

__all__ = ["Heatmap", "Interval", "Meaning", "Reading", "ReadingWarning", "RoiPlace", "WarningCode"]

Heatmap = NDArray[np.float32]
"""(512, 512) in [0, 1], of the malignant class, one value for each pixel of the ROI."""


class WarningCode(StrEnum):
    """What a reader must know of a reading."""

    SYNTHETIC_TRAINING = "synthetic_training"
    OTHER_DEVICE = "other_device"
    OTHER_VIEW = "other_view"
    OTHER_MAGNIFICATION = "other_magnification"
    OTHER_SPACING = "other_spacing"
    OTHER_DETECTOR = "other_detector"
    NOT_COMPARED = "not_compared"
    BLANK = "blank"
    PADDED = "padded"
    SCORE_OUTSIDE = "score_outside"
    NO_CUTOFF = "no_cutoff"
    NOT_CALIBRATED = "not_calibrated"


@dataclass(frozen=True)
class ReadingWarning:
    """One thing that a reader must know.

    Attributes:
        code: short name.
        message: in words.
    """

    code: WarningCode
    message: str


@dataclass(frozen=True)
class RoiPlace:
    """Where the ROI lies.

    Attributes:
        row, col: pixel of the mammogram that is the middle of the square; its own middle where a cut-out was read.
        side: of the square in pixels of the mammogram: 512, or as many as 512 pixels of the study's scale cover.
        padded: whether the square left the mammogram and was filled by reflection.
    """

    row: int
    col: int
    side: float
    padded: bool


@dataclass(frozen=True)
class Interval:
    """A fraction of the study's test set and its limits; NaN where they are undefined.

    Attributes:
        value: in [0, 1].
        low, high: limits.
        method: ``patient_bootstrap``, or ``wilson`` or ``logit`` (images as independent) where that is undefined.
    """

    value: float
    low: float
    high: float
    method: str


@dataclass(frozen=True)
class Meaning:
    """What the frozen cut-off means in this study: its rule judged on the test set.

    Attributes:
        prevalence: share of malignant lesions for which PPV and NPV hold.
        sensitivity, specificity: on the test set.
        ppv, npv: at the prevalence, by Bayes' rule.
        confidence: level of the limits.
        images, patients: of the test set.
    """

    prevalence: float
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval
    confidence: float
    images: int
    patients: int

    def as_record(self) -> dict[str, object]:
        """For JSON; undefined limits are None."""
        return _plain(asdict(self))


@dataclass(frozen=True, eq=False)
class Reading:
    """What a study's networks say of one ROI.

    Attributes:
        networks: probability of malignancy by each network, as the study's own prediction gives it.
        ensemble: their mean; of a study with one network that network's.
        calibrated: the ensemble after Platt's line of the study's validation set; None where there is none.
        called: whether the ensemble lies above the cut-off: called malignant.
        cutoff: frozen; -inf where the study's rule calls everything malignant.
        chosen_on: the set that chose it: ``validation``.
        meaning: of the cut-off.
        heatmaps: by network, and ``ensemble``: their mean, scaled to a maximum of 1.
        roi: where the square lies.
        warnings: what a reader must know.
        runtime: what computed it, for instance ``openvino bf16``.
        milliseconds: from pixels to heatmaps.
        grids: by network the rows and columns of its heatmap before it was enlarged; the ensemble's mean has none.
    """

    networks: Mapping[str, float]
    ensemble: float
    calibrated: float | None
    called: bool
    cutoff: float
    chosen_on: str
    meaning: Meaning
    heatmaps: Mapping[str, Heatmap]
    roi: RoiPlace
    warnings: tuple[ReadingWarning, ...]
    runtime: str
    milliseconds: float
    grids: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def with_meaning(self, meaning: Meaning) -> "Reading":
        """The same reading, its cut-off explained at another prevalence."""
        return replace(self, meaning=meaning)

    def as_record(self) -> dict[str, object]:
        """For JSON; of the heatmaps their grid and whether they are 0 everywhere. Undefined or infinite is None."""
        values: dict[str, object] = {
            "networks": dict(self.networks),
            "ensemble": self.ensemble,
            "calibrated": self.calibrated,
            "called": self.called,
            "cutoff": self.cutoff,
            "chosen_on": self.chosen_on,
            "meaning": self.meaning.as_record(),
            "roi": asdict(self.roi),
            "heatmaps": {name: self._heatmap_record(name) for name in self.heatmaps},
            "warnings": [{"code": w.code.value, "message": w.message} for w in self.warnings],
            "runtime": self.runtime,
            "milliseconds": round(self.milliseconds, 1),
            "research_use": RESEARCH_USE,
        }
        return _plain(values)

    def _heatmap_record(self, name: str) -> dict[str, object]:
        grid = self.grids.get(name)
        return {"grid": None if grid is None else list(grid), "empty": not np.any(self.heatmaps[name])}


def _plain(values: dict[str, object]) -> dict[str, object]:
    """The same with None for every number that JSON cannot hold."""
    return {key: _plain_value(value) for key, value in values.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
