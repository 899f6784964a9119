"""Who is imaged, and how: the patients of a phantom cohort, their lesions, and the views taken of them.

Every patient has random numbers of their own, so the n-th patient of a seed is the same in every cohort, however large
and however many processes draw it. Descriptors and labels come from `microcalc.intake.phantom_model`; nothing is
drawn here.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.phantom_lesion import Projection
from microcalc.intake.phantom_model import (
    LabelModel,
    Lesion,
    birads_category,
    draw_descriptors,
    draw_pathology,
    lesion_from,
)
from microcalc.vocabulary import MALIGNANT, Laterality, Pathology, Split, View

__all__ = [
    "PIXEL_MM",
    "PlannedImage",
    "PlannedLesion",
    "PlannedPatient",
    "Stream",
    "generator",
    "images_of_lesions",
    "plan_patients",
    "projection",
    "split_of_patients",
]

PIXEL_MM = 0.07
"""Pixel spacing at the detector."""

IMAGE_SHARES = (0.35, 0.42, 0.13, 0.10)
"""Patients with one, two, three and four images: 1.98 on average; 1,579 images of 821 patients in Kang et al."""

SECOND_LESION_SHARE = 0.15
"""Of the patients with two images or more; the second half of the images is of the second lesion."""

MAGNIFICATION = (1.5, 1.8)
"""Limits for spot views."""

FIRST_DAY, LAST_DAY = dt.date(2007, 1, 1), dt.date(2019, 12, 31)
"""Exams of Kang et al.; those of 2018 and 2019 are 15 % here, 16.5 % there."""

MLO_TILT = 45.0


class Stream:
    """What a generator is for; streams of one patient are independent of each other."""

    PLAN, LESION, IMAGE = 0, 1, 2


class _Kind(NamedTuple):
    """A way to image a lesion, and how likely it is among the ways not yet taken."""

    view: View
    spot: bool
    share: float


_KINDS = (
    _Kind(View.CC, False, 0.44),
    _Kind(View.MLO, False, 0.44),
    _Kind(View.CC, True, 0.06),
    _Kind(View.MLO, True, 0.06),
)


@dataclass(frozen=True)
class PlannedImage:
    """One view to be drawn; ``kind`` also numbers its stream of random numbers."""

    image_id: str
    kind: int
    view: View
    magnification: float


@dataclass(frozen=True)
class PlannedLesion:
    """A lesion, its reference standard and its views."""

    lesion_id: str
    number: int
    lesion: Lesion
    label: int
    pathology: Pathology
    birads: str
    laterality: Laterality
    images: tuple[PlannedImage, ...]


@dataclass(frozen=True)
class PlannedPatient:
    """A patient with one exam; ``split`` is None where the cohort leaves the division to the study."""

    patient_id: str
    number: int
    exam_date: dt.date
    lesions: tuple[PlannedLesion, ...]
    split: Split | None = None

    @property
    def images(self) -> int:
        """How many images there are of the patient."""
        return sum(len(lesion.images) for lesion in self.lesions)

    @property
    def malignant(self) -> bool:
        """Whether any lesion is."""
        return any(lesion.label == MALIGNANT for lesion in self.lesions)


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers of one purpose: patient, stream, and what the stream numbers."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def plan_patients(seed: int, model: LabelModel, *, patients: int | None, images: int | None) -> list[PlannedPatient]:
    """Plan a cohort of so many patients, or of so many images (the last patient gives as many as are wanted).

    Args:
        seed: of the cohort.
        model: draws the labels.
        patients: how many, or None.
        images: how many, or None; one of the two is given.
    """
    planned: list[PlannedPatient] = []
    left = images
    while (left is None or left > 0) and (patients is None or len(planned) < patients):
        patient = _plan(seed, len(planned), model)
        if left is not None:
            patient = _with_images(patient, left)
            left -= patient.images
        planned.append(patient)
    return planned


def _plan(seed: int, number: int, model: LabelModel) -> PlannedPatient:
    rng = generator(seed, number, Stream.PLAN)
    name = f"PHANTOM-P{number + 1:05d}"
    images, second = images_of_lesions(rng, 1)[0].tolist()
    counts = [n for n in (images, second) if n]
    descriptors = draw_descriptors(rng, len(counts))
    lesions = [lesion_from(descriptors, i, model) for i in range(len(counts))]
    days = (LAST_DAY - FIRST_DAY).days + 1
    return PlannedPatient(
        patient_id=name,
        number=number,
        exam_date=FIRST_DAY + dt.timedelta(days=int(rng.integers(days))),
        lesions=tuple(_plan_lesion(rng, name, i, lesions[i], n) for i, n in enumerate(counts)),
    )


def images_of_lesions(rng: np.random.Generator, patients: int) -> NDArray[np.int64]:
    """(patients, 2) images of the first and the second lesion of each patient; 0: there is no second."""
    images = rng.choice(np.arange(1, 5), size=patients, p=IMAGE_SHARES)
    second = np.where((images > 1) & (rng.random(patients) < SECOND_LESION_SHARE), images // 2, 0)
    return np.stack([images - second, second], axis=1)


def _plan_lesion(rng: np.random.Generator, patient_id: str, number: int, lesion: Lesion, images: int) -> PlannedLesion:
    label = int(rng.random() < lesion.probability)
    lesion_id = f"{patient_id}-L{number + 1}"
    kinds = sorted(rng.choice(len(_KINDS), size=images, replace=False, p=[k.share for k in _KINDS]).tolist())
    return PlannedLesion(
        lesion_id=lesion_id,
        number=number,
        lesion=lesion,
        label=label,
        pathology=draw_pathology(rng, label),
        birads=birads_category(rng, lesion.probability),
        laterality=Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT,
        images=tuple(_plan_image(rng, lesion_id, kind) for kind in kinds),
    )


def _plan_image(rng: np.random.Generator, lesion_id: str, kind: int) -> PlannedImage:
    view, spot, _ = _KINDS[kind]
    magnification = round(float(rng.uniform(*MAGNIFICATION)), 2) if spot else 1.0
    return PlannedImage(f"{lesion_id}-{view.value}{'-SPOT' if spot else ''}", kind, view, magnification)


def _with_images(patient: PlannedPatient, most: int) -> PlannedPatient:
    """The same patient with no more than so many images, the first ones."""
    kept: list[PlannedLesion] = []
    for lesion in patient.lesions:
        images = lesion.images[: most - sum(len(k.images) for k in kept)]
        if images:
            kept.append(replace(lesion, images=images))
    return replace(patient, lesions=tuple(kept))


def projection(rng: np.random.Generator, image: PlannedImage, laterality: Laterality, side: int) -> Projection:
    """How the breast lies for one view: tilted and turned a little otherwise each time, the lesion near the middle."""
    tilt = (MLO_TILT if image.view is View.MLO else 0.0) + rng.normal(0, 4)
    middle = (side - 1) / 2 + rng.uniform(-20, 20, 2)
    return Projection(
        tilt=float(tilt),
        turn=float(rng.normal(0, 8)),
        laterality=laterality,
        magnification=image.magnification,
        pixel_mm=PIXEL_MM,
        centre=(float(middle[0]), float(middle[1])),
    )


def split_of_patients(
    patients: Sequence[PlannedPatient], seed: int, shares: Mapping[Split, float]
) -> list[PlannedPatient]:
    """Give every patient a set: patients with and without a malignant lesion are dealt out alike.

    Where a share is not 0, its set gets at least one patient of either kind, as long as there are enough to go round.

    Args:
        patients: in order; they come back in the same order.
        seed: of the cohort.
        shares: of the patients that go into validation and test; the rest are trained on.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    sets = [Split.TRAIN] * len(patients)
    for malignant in (False, True):
        members = np.array([i for i, p in enumerate(patients) if p.malignant is malignant], dtype=np.int64)
        dealt = iter(rng.permutation(members).tolist())
        for split in (Split.TEST, Split.VALIDATION):
            for i in islice(dealt, max(round(shares[split] * len(members)), int(shares[split] > 0))):
                sets[i] = split
    return [replace(patient, split=split) for patient, split in zip(patients, sets, strict=True)]
