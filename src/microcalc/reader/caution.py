"""What a reader must be warned of: where the case differs from the training cohort, and where the score does.

Each warning compares one fact of the case with the same fact of the training images. What one side does not say cannot
be compared; that is a warning of its own, never silence.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom import Facts
from microcalc.reader.reading import ReadingWarning, WarningCode
from microcalc.study.training_facts import TrainingFacts

__all__ = ["Case", "case_warnings", "score_warnings", "square_warnings"]

SPACING_SLACK = 0.02
"""Sizes of a pixel that differ by this share are the same: headers round."""

_LEGAL_FORMS = frozenset(
    [
        "ag",
        "bv",
        "co",
        "company",
        "corp",
        "corporation",
        "gmbh",
        "inc",
        "kk",
        "limited",
        "llc",
        "ltd",
        "nv",
        "plc",
        "sa",
    ]
)

BLANK_SHARE = 0.75
"""A square of which this share is one grey shows nothing that a network could judge."""

ONE_GREY = 64
"""Greys of 65,536 that differ by no more are one: a step of ten bits. Tissue on films spans a hundred times that."""

Counts = Mapping[str, int]


@dataclass(frozen=True)
class Case:
    """What is known of a case before it is scored.

    Attributes:
        facts: of the mammogram's header; None where only a cut-out was given.
        padded: whether the square was filled by reflection.
        factor: pixels of the mammogram for each pixel of the ROI.
    """

    facts: Facts | None
    padded: bool = False
    factor: float = 1.0

    @property
    def roi_spacing_mm(self) -> float:
        """Millimetres for each pixel of the ROI; NaN where the header does not say."""
        return math.nan if self.facts is None else self.facts.pixel_spacing_mm * self.factor


def case_warnings(case: Case, trained: TrainingFacts | None) -> tuple[ReadingWarning, ...]:
    """Compare a case with the training cohort.

    Args:
        case: the ROI and its mammogram.
        trained: what the study keeps of its training images; None where it keeps nothing.
    """
    return tuple(_warnings(case, trained))


def square_warnings(pixels: NDArray[np.uint16]) -> tuple[ReadingWarning, ...]:
    """Warn of a square that shows nothing: the networks give a probability even to a black one.

    Args:
        pixels: (512, 512), 0 black to 65535 white.
    """
    some = pixels[::4, ::4]  # enough for a share, and sixteen times as fast
    middle = float(np.median(some))
    share = float((np.abs(some - middle) <= ONE_GREY).mean())
    if share < BLANK_SHARE:
        return ()
    kind = "black" if middle <= ONE_GREY else "white" if middle >= np.iinfo(np.uint16).max - ONE_GREY else "one grey"
    words = f"{100 * share:.0f} % of the square is {kind}: there is little or nothing in it, whatever the score"
    return (ReadingWarning(WarningCode.BLANK, words),)


def score_warnings(score: float, seen: tuple[float, float]) -> tuple[ReadingWarning, ...]:
    """Warn of a score outside the range of all validation and test images.

    Args:
        score: of the ensemble.
        seen: smallest and largest.
    """
    low, high = seen
    if low <= score <= high:
        return ()
    side = "below the lowest" if score < low else "above the highest"
    words = f"the score {score:.4f} lies {side} that any image of the study had ({low:.4f} to {high:.4f})"
    return (ReadingWarning(WarningCode.SCORE_OUTSIDE, words),)


def _warnings(case: Case, trained: TrainingFacts | None) -> Iterator[ReadingWarning]:
    if case.padded:
        words = "the square leaves the image and was filled by reflection"
        if trained is not None and trained.images:
            words += f"; so were {trained.padded} of the {trained.images} training images"
        yield ReadingWarning(WarningCode.PADDED, words)
    if trained is None:
        words = (
            "the study does not say what its networks were trained on, so nothing was compared: device, view, spacing, "
            "film or digital. Carry the study out again with the same command: it only adds these facts"
        )
        yield ReadingWarning(WarningCode.NOT_COMPARED, words)
        return
    if trained.synthetic:
        words = "the networks were trained on SYNTHETIC phantoms: the score says nothing about a patient"
        yield ReadingWarning(WarningCode.SYNTHETIC_TRAINING, words)
    silent: list[str] = []
    facts = case.facts or Facts()
    yield from _device(facts, trained, silent)
    yield from _view(facts, trained, silent)
    yield from _magnification(facts, trained, silent)
    yield from _spacing(case.roi_spacing_mm, trained, silent)
    yield from _detector(facts, trained, silent)
    if silent:
        yield ReadingWarning(WarningCode.NOT_COMPARED, f"not compared with the training images: {'; '.join(silent)}")


def _device(facts: Facts, trained: TrainingFacts, silent: list[str]) -> Iterator[ReadingWarning]:
    known = _named(trained.manufacturers)
    reason = _why_silent("device", bool(_words(facts.manufacturer)), bool(known))
    if reason:
        silent.append(reason)
    elif not any(_words(facts.manufacturer) == _words(name) for name in known):
        words = f"the image is from a device of {facts.manufacturer}; the training images are from {_listed(known)}"
        yield ReadingWarning(WarningCode.OTHER_DEVICE, words)


def _view(facts: Facts, trained: TrainingFacts, silent: list[str]) -> Iterator[ReadingWarning]:
    known = _named(trained.views)
    reason = _why_silent("view", bool(facts.view), bool(known))
    if reason:
        silent.append(reason)
    elif str(facts.view) not in known:
        words = f"the view of the image is {facts.view}; the training images are {_listed(known)}"
        yield ReadingWarning(WarningCode.OTHER_VIEW, words)


def _magnification(facts: Facts, trained: TrainingFacts, silent: list[str]) -> Iterator[ReadingWarning]:
    known = _named(trained.magnified)
    said = facts.spot_magnification or math.isfinite(facts.magnification)
    reason = _why_silent("magnification", said, bool(known))
    kind = "magnified" if facts.spot_magnification else "contact"
    if reason:
        silent.append(reason)
    elif kind not in known:
        other = "contact" if kind == "magnified" else "magnified"
        words = f"the image is a {kind} view; the training images are all {other} views"
        yield ReadingWarning(WarningCode.OTHER_MAGNIFICATION, words)


def _spacing(spacing_mm: float, trained: TrainingFacts, silent: list[str]) -> Iterator[ReadingWarning]:
    reason = _why_silent("size of a pixel", math.isfinite(spacing_mm), trained.spacing_mm is not None)
    if reason or trained.spacing_mm is None:
        silent.append(reason)
        return
    low, high = trained.spacing_mm
    if low * (1 - SPACING_SLACK) <= spacing_mm <= high * (1 + SPACING_SLACK):
        return
    span = f"{low:.4g} mm" if low == high else f"{low:.4g} to {high:.4g} mm"
    words = f"a pixel is {spacing_mm:.4g} mm wide; those of the training images are {span}"
    yield ReadingWarning(WarningCode.OTHER_SPACING, words)


def _detector(facts: Facts, trained: TrainingFacts, silent: list[str]) -> Iterator[ReadingWarning]:
    known = {name: n for name, n in _named(trained.detectors).items() if name != "unknown"}
    reason = _why_silent("film or digital", facts.detector in ("film", "digital"), bool(known))
    if reason:
        silent.append(reason)
    elif facts.detector not in known:
        kinds = {"film": "a scanned film", "digital": "a digital mammogram"}
        words = f"the image is {kinds[facts.detector]}; the training images are {_listed(known)}"
        yield ReadingWarning(WarningCode.OTHER_DETECTOR, words)


def _why_silent(what: str, image_says: bool, study_says: bool) -> str:
    """Which side leaves a fact open; empty where both tell it."""
    if image_says and study_says:
        return ""
    sides = [side for side, says in (("the image", image_says), ("the study", study_says)) if not says]
    return f"{what} ({' and '.join(sides)} {'do' if len(sides) > 1 else 'does'} not say)"


def _named(counts: Counts) -> dict[str, int]:
    return {name: count for name, count in counts.items() if name and count}


def _listed(counts: Counts) -> str:
    """``CC (310), MLO (201)``: the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ordered) - 5} more" if len(ordered) > 5 else ""
    return ", ".join(f"{name} ({count})" for name, count in ordered[:5]) + more


def _words(manufacturer: str) -> frozenset[str]:
    """The words of a manufacturer's name, without legal forms: headers spell one name in many ways."""
    words = re.findall(r"\w+", manufacturer.casefold().replace(".", ""))
    return frozenset(w for w in words if w not in _LEGAL_FORMS)
