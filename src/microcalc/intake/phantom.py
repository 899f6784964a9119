"""Phantom cohorts: made-up patients with made-up calcifications, of which everything is known.

Here the parts come together: `microcalc.intake.phantom_patients` says who is imaged, `phantom_model` who is malignant
and how well that could be told at best, `phantom_tissue` or `phantom_mammograms` gives the tissue, `phantom_lesion`
the calcifications, `phantom_image` the finished picture. The cohort is marked synthetic in every place there is.
"""

import csv
import io
import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

import numpy as np

from microcalc.cohort.table import Cohort, CohortWriter, read_cohort
from microcalc.errors import ProtocolError
from microcalc.intake.phantom_drawing import DrawnImage, draw_patients
from microcalc.intake.phantom_image import GREY_STEP
from microcalc.intake.phantom_mammograms import CITATION, FILM_PATIENT, prepare_films
from microcalc.intake.phantom_model import TRAITS, auc_of_probabilities, draw_descriptors, label_model
from microcalc.intake.phantom_patients import (
    PIXEL_MM,
    PlannedPatient,
    images_of_lesions,
    plan_patients,
    split_of_patients,
)
from microcalc.intake.phantom_tissue import EXPONENT
from microcalc.vocabulary import Split

__all__ = ["BestAuc", "PhantomSettings", "Progress", "Tissue", "best_auc", "write_phantom_cohort"]

DEFAULT_IMAGES = 640

BATCHES = 20
"""Independent parts of a Monte Carlo estimate; its standard error is theirs over the root of their number."""

Progress = Callable[[int, int], None]
"""Called with the images done and all of them."""


class Tissue(StrEnum):
    """What the calcifications are drawn on."""

    NOISE = "noise"
    MAMMOGRAMS = "mammograms"


@dataclass(frozen=True)
class PhantomSettings:
    """What cohort is wanted; the same settings give the same bytes.

    Attributes:
        images: how many images; neither images nor patients: 640.
        patients: how many patients instead; each has one to four images.
        seed: of everything that is drawn.
        tissue: power-law noise, or tiles of real mammograms.
        difficulty: divides the label model's weights: 1 makes the best possible AUC about 0.95, less makes the
            classes easier to tell, more makes them overlap.
        test_share, validation_share: of the patients, for the table's column ``split``. A study may divide by date or
            by patient instead, except on mammogram tissue, where only the table's test set shares no film with others.
    """

    images: int | None = None
    patients: int | None = None
    seed: int = 0
    tissue: Tissue = Tissue.NOISE
    difficulty: float = 1.0
    test_share: float = 0.30
    validation_share: float = 0.10

    def __post_init__(self) -> None:
        """Refuse settings that make no cohort."""
        if self.images is not None and self.patients is not None:
            raise ProtocolError(f"give images or patients, not both; got {self.images} and {self.patients}")
        if 0 in (self.images, self.patients) or min(self.images or 1, self.patients or 1, self.seed + 1) < 1:
            raise ProtocolError(
                "a phantom cohort needs at least one image and a seed of 0 or more; "
                f"got images {self.images}, patients {self.patients}, seed {self.seed}"
            )
        if self.tissue not in set(Tissue):
            raise ProtocolError(f"tissue must be one of {', '.join(Tissue)}; got {self.tissue!r}")
        if not 0.05 <= self.difficulty <= 20:
            raise ProtocolError(f"difficulty must be 0.05 to 20 (1 is the default); got {self.difficulty}")
        if min(self.test_share, self.validation_share) < 0 or not self.test_share + self.validation_share < 1:
            raise ProtocolError(
                "the shares of test and validation must not be negative and must leave patients to train on; "
                f"got {self.test_share} and {self.validation_share}"
            )


@dataclass(frozen=True)
class BestAuc:
    """Best possible AUC on images, and the standard error of its Monte Carlo estimate."""

    value: float
    standard_error: float


def best_auc(settings: PhantomSettings, *, lesions: int = 200_000, seed: int = 0) -> BestAuc:
    """AUC that the true probability of malignancy reaches on the images of cohorts like this one.

    Patients, their lesions and the numbers of their views are drawn as for a cohort, without drawing a pixel; every
    image counts once. No reader of the images can do better in expectation, for the pixels depend on the label only
    through the descriptors that the probability is made of.

    Args:
        settings: only the difficulty matters.
        lesions: how many are drawn, about.
        seed: of this estimate.
    """
    model = label_model(settings.difficulty)
    rng = np.random.default_rng(seed)
    values = np.empty(BATCHES)
    for batch in range(BATCHES):
        images = images_of_lesions(rng, max(lesions // BATCHES, 100)).ravel()
        images = images[images > 0]
        values[batch] = auc_of_probabilities(model.probability(draw_descriptors(rng, len(images))), images)
    return BestAuc(float(values.mean()), float(values.std(ddof=1) / math.sqrt(BATCHES)))


def write_phantom_cohort(
    folder: Path, settings: PhantomSettings, *, progress: Progress | None = None, processes: int = 1
) -> Cohort:
    """Draw and write a phantom cohort: images, table, record, and the truth about every lesion.

    Beside the cohort's own files there are ``masks/ID.png``, ``truth.csv`` (every calcification), ``lesions.csv``
    (descriptors and true probability) and, on mammogram tissue, ``tissue.csv`` (where each tile comes from).

    Args:
        folder: new or empty.
        settings: what to draw.
        progress: called after each patient.
        processes: how many draw; the bytes do not depend on it.

    Raises:
        CohortError: the folder is not empty, or another process is writing it.
        MissingDependencyError: mammogram tissue is wanted and its packages are not installed.
        MicrocalcError: the disk is full, the folder cannot be written, or a drawing process died.
    """
    patients = _plan(settings)
    total, done, truth = sum(p.images for p in patients), 0, _Truth()
    with CohortWriter(folder, sources=_sources(settings), synthetic=True) as writer, _films(settings) as films:
        drawn = draw_patients(patients, seed=settings.seed, films=films, processes=processes)
        for patient, images in zip(patients, drawn, strict=True):
            truth.add_lesions(patient)
            for image in images:
                writer.add_encoded(image.row, image.png)
                writer.attach(f"masks/{image.image_id}.png", image.mask)
                truth.add_image(image)
            done += len(images)
            if progress is not None:
                progress(done, total)
        for name, content in truth.files():
            writer.attach(name, content)
        writer.record["phantom"] = _record(settings, patients)
    return read_cohort(folder)


def _plan(settings: PhantomSettings) -> list[PlannedPatient]:
    images = DEFAULT_IMAGES if settings.images is None and settings.patients is None else settings.images
    model = label_model(settings.difficulty)
    patients = plan_patients(settings.seed, model, patients=settings.patients, images=images)
    shares = {Split.TEST: settings.test_share, Split.VALIDATION: settings.validation_share}
    return split_of_patients(patients, settings.seed, shares)


@contextmanager
def _films(settings: PhantomSettings) -> Iterator[Path | None]:
    """Folder with the films, for as long as they are drawn on; None where they are not."""
    if settings.tissue == Tissue.NOISE:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="microcalc-films-") as folder:
        prepare_films(Path(folder))
        yield Path(folder)


# The record ----------------------------------------------------------------------------------------------------------


class _Truth:
    """Tables of what is known of every lesion and calcification, as CSV, grown image by image."""

    _HEADS: ClassVar[Mapping[str, Sequence[str]]] = {
        "truth.csv": ("image_id", "lesion_id", "calcification", "row", "col", "size_pixels", "size_mm", "contrast"),
        "lesions.csv": (
            *("lesion_id", "patient_id", "label", "pathology", "probability", "morphology", "distribution"),
            *("number", "size_mm", "size_variation", "contrast"),
            *(f"trait_{trait}" for trait in TRAITS),
        ),
        "tissue.csv": ("image_id", "film", "row", "col", "side", "quarter_turns", "mirrored"),
    }

    def __init__(self) -> None:
        self._texts = {name: io.StringIO(newline="") for name in self._HEADS}
        self._writers = {name: csv.writer(text, lineterminator="\n") for name, text in self._texts.items()}
        for name, head in self._HEADS.items():
            self._writers[name].writerow(head)
        self._tiles = 0

    def add_lesions(self, patient: PlannedPatient) -> None:
        """One row for each lesion."""
        for planned in patient.lesions:
            lesion = planned.lesion
            facts = (planned.lesion_id, patient.patient_id, planned.label, planned.pathology.value)
            numbers = (lesion.size_mm, lesion.size_variation, lesion.contrast, *lesion.traits)
            self._writers["lesions.csv"].writerow(
                [*facts, f"{lesion.probability:.6g}", lesion.morphology.value, lesion.distribution.value, lesion.number]
                + [f"{number:.6g}" for number in numbers]
            )

    def add_image(self, image: DrawnImage) -> None:
        """One row for each calcification in sight, and one for the tile."""
        self._writers["truth.csv"].writerows(
            [image.image_id, image.row["lesion_id"], *(f"{v:.6g}" for v in calcification)]
            for calcification in image.calcifications
        )
        if image.origin is not None:
            self._tiles += 1
            self._writers["tissue.csv"].writerow([image.image_id, *asdict(image.origin).values()])

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Name and content of each table that has something to say."""
        for name, text in self._texts.items():
            if name != "tissue.csv" or self._tiles:
                yield name, text.getvalue().encode()


def _sources(settings: PhantomSettings) -> list[Mapping[str, object]]:
    phantom: Mapping[str, object] = {"kind": "phantom", "title": "SYNTHETIC phantoms drawn by microcalc, no patients"}
    return [phantom] if settings.tissue == Tissue.NOISE else [phantom, CITATION]


def _record(settings: PhantomSettings, patients: Sequence[PlannedPatient]) -> dict[str, object]:
    """Entry ``phantom`` of ``cohort.json``."""
    model, best = label_model(settings.difficulty), best_auc(settings)
    lesions = [lesion for patient in patients for lesion in patient.lesions]
    here = auc_of_probabilities([x.lesion.probability for x in lesions], [len(x.images) for x in lesions])
    return {
        "notice": "SYNTHETIC: made-up patients and lesions. Not evidence about any patient, reader or device.",
        "best_auc": best.value,
        "best_auc_standard_error": best.standard_error,
        "best_auc_of_these_lesions": here if math.isfinite(here) else None,
        "model": model.record(),
        "tissue": str(settings.tissue),
        "tissue_details": _tissue_details(settings),
        "seed": settings.seed,
        "settings": asdict(settings),
        "pixel_mm": PIXEL_MM,
        "grey_step": GREY_STEP,
        "truth": {
            "truth.csv": "every calcification in sight: place and size in pixels, size in mm, contrast in grey levels",
            "lesions.csv": "descriptors, true probability of malignancy and drawn label of every lesion",
            "masks": "8-bit PNG for each image, 255 on the lesion",
        },
    }


def _tissue_details(settings: PhantomSettings) -> dict[str, object]:
    if settings.tissue == Tissue.NOISE:
        return {"kind": "Gaussian power-law texture with strands", "exponent": EXPONENT, "source": "Burgess 2001"}
    films = {split.value: patient for split, patient in FILM_PATIENT.items()}
    return {"kind": "tiles of real mammograms", "films": films, "source": CITATION["title"], "license": "CC BY 3.0"}
