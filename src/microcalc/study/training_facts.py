"""What the training cohort was like: devices, views, sizes of pixels, film or digital. Counts only, nobody's data.

A finished study keeps these facts in ``study.json`` under ``trained_on``, so that whoever reads new cases with its
networks can be told where a case differs. Studies of an older version lack them; carrying the study out again with the
same command adds them without training anything anew.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import pandas as pd

from microcalc.cohort.table import Cohort
from microcalc.intake.dicom.scale import MAGNIFIED
from microcalc.vocabulary import Split

__all__ = ["TrainingFacts", "facts_of_record", "training_facts"]

Counts = Mapping[str, int]


@dataclass(frozen=True)
class TrainingFacts:
    """The training images of a study in numbers.

    Attributes:
        images: how many.
        synthetic: whether they are made up.
        views: images of each view; ``""`` where the cohort does not say.
        magnified: images of magnification views, and of contact views; neither where the cohort does not say.
        manufacturers: images of each manufacturer of the device; ``""`` where the cohort does not say.
        spacing_mm: smallest and largest pixel of the ROIs; None where the cohort does not say.
        spacing_known: images whose spacing is known.
        roi_spacing_mm: every ROI was resampled to this; None: each has its mammogram's own pixels.
        padded: images that were filled by reflection.
        detectors: images by ``digital``, ``film``, ``unknown``; empty where the cohort does not say.
    """

    images: int
    synthetic: bool = False
    views: Counts = field(default_factory=dict)
    magnified: Counts = field(default_factory=dict)
    manufacturers: Counts = field(default_factory=dict)
    spacing_mm: tuple[float, float] | None = None
    spacing_known: int = 0
    roi_spacing_mm: float | None = None
    padded: int = 0
    detectors: Counts = field(default_factory=dict)

    def as_record(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def training_facts(cohort: Cohort, split: "pd.Series[str]") -> TrainingFacts:
    """Count what the training images of a cohort are.

    Args:
        cohort: whose table and record are asked.
        split: set of each image, in the order of the table.
    """
    table = cohort.table[(split == Split.TRAIN.value).to_numpy()]
    spacing = table["pixel_spacing_mm"].dropna()
    factor = table["magnification"].dropna()
    magnified = {"magnified": int((factor >= MAGNIFIED).sum()), "contact": int((factor < MAGNIFIED).sum())}
    return TrainingFacts(
        images=len(table),
        synthetic=cohort.synthetic,
        views=_counts(table["view"]),
        magnified=magnified if len(factor) else {},
        manufacturers=_counts(table["manufacturer"]),
        spacing_mm=(float(spacing.min()), float(spacing.max())) if len(spacing) else None,
        spacing_known=len(spacing),
        roi_spacing_mm=_spacing_of_rois(cohort.record),
        padded=int((table["padded"] == "true").sum()),
        detectors=_detectors(cohort.record, table["image_id"]),
    )


def facts_of_record(record: Mapping[str, object]) -> TrainingFacts | None:
    """Read the facts back from the content of ``study.json``; None where an older study, or another hand, left none."""
    found = record.get("trained_on")
    if not isinstance(found, dict) or not isinstance(found.get("images"), int):
        return None
    known = {name: found[name] for name in TrainingFacts.__dataclass_fields__ if name in found}
    if isinstance(known.get("spacing_mm"), list):
        low, high = known["spacing_mm"]
        known["spacing_mm"] = (float(low), float(high))
    return TrainingFacts(**known)


def _counts(column: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(count) for name, count in column.value_counts().sort_index().items()}


def _detectors(record: Mapping[str, object], images: "pd.Series[str]") -> dict[str, int]:
    """Detectors of some images, from the entry that the intake from DICOM leaves in ``cohort.json``."""
    known = _entry(_entry(record, "image_facts"), "detector")
    return dict(sorted(Counter(str(known[name]) for name in images if name in known).items()))


def _spacing_of_rois(record: Mapping[str, object]) -> float | None:
    """Millimetres of every ROI's pixel; None where each has its mammogram's own, or the cohort does not say."""
    value = _entry(record, "roi").get("pixel_mm")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _entry(record: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}
