"""Drawing the planned patients, in this process or in several, always in the same order and with the same bytes.

A patient is drawn from the seed and the plan alone, so it does not matter who draws it. What comes back is encoded
already: row, PNG, mask, truth. Writing the cohort is the business of `microcalc.intake.phantom`.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from microcalc.cohort.images import ROI_SIDE
from microcalc.errors import MicrocalcError
from microcalc.intake.phantom_image import compose, to_png
from microcalc.intake.phantom_lesion import arrange
from microcalc.intake.phantom_mammograms import FilmStock, TileOrigin
from microcalc.intake.phantom_patients import (
    PIXEL_MM,
    PlannedImage,
    PlannedLesion,
    PlannedPatient,
    Stream,
    generator,
    projection,
)
from microcalc.intake.phantom_tissue import Grey, draw_noise_tissue

__all__ = ["SYNTHETIC", "DrawnImage", "draw_patient", "draw_patients"]

SYNTHETIC = "synthetic"
"""Site and manufacturer of every phantom."""

AHEAD = 4
"""Patients that each process may be ahead of the writing: memory does not grow with the cohort."""


WORTHWHILE = 40
"""Patients from which further processes are worth their start."""


@dataclass(frozen=True)
class DrawnImage:
    """One image as it goes into the cohort.

    Attributes:
        row: columns of the cohort table.
        png: the image.
        mask: the lesion's mask, a PNG as well.
        calcifications: number, row, col, size in pixels, size in mm, contrast; one tuple for each in sight.
        origin: where the tile of a mammogram comes from.
    """

    row: dict[str, object]
    png: bytes
    mask: bytes
    calcifications: list[tuple[float, ...]]
    origin: TileOrigin | None

    @property
    def image_id(self) -> str:
        """Name of the image."""
        return str(self.row["image_id"])


def draw_patients(
    patients: Sequence[PlannedPatient], *, seed: int, films: Path | None, processes: int
) -> Iterator[list[DrawnImage]]:
    """Draw the images of each patient, in order.

    Args:
        patients: from `plan_patients`.
        seed: of the cohort.
        films: folder from `prepare_films`, or None for tissue of noise.
        processes: so many new ones are started; 1, or few patients: this one draws.

    Raises:
        MicrocalcError: a process died.
    """
    if processes <= 1 or len(patients) < WORTHWHILE:
        yield from (draw_patient(patient, seed, films) for patient in patients)
        return
    # Started anew rather than forked: a fork of a process with threads may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        queue = iter(patients)
        waiting: deque[Future[list[DrawnImage]]] = deque()
        try:
            while True:
                for patient in islice(queue, AHEAD * processes - len(waiting)):
                    waiting.append(pool.submit(draw_patient, patient, seed, films))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise MicrocalcError(
                "a process that draws phantoms ended unexpectedly, perhaps for want of memory; "
                "start again with --processes 1"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def draw_patient(patient: PlannedPatient, seed: int, films: Path | None) -> list[DrawnImage]:
    """Draw every image of one patient; see `draw_patients`."""
    stock = None if films is None else FilmStock.open(films)
    drawn = []
    for lesion in patient.lesions:
        arrangement = arrange(lesion.lesion, generator(seed, patient.number, Stream.LESION, lesion.number))
        for image in lesion.images:
            rng = generator(seed, patient.number, Stream.IMAGE, lesion.number, image.kind)
            view = projection(rng, image, lesion.laterality, ROI_SIDE)
            tissue, origin = _tissue(rng, patient, image, stock)
            picture = compose(tissue, arrangement, view)
            seen = picture.sighting
            numbers = (seen.index, *seen.centres.T, seen.sizes, seen.sizes / view.pixels_per_mm, seen.contrasts)
            drawn.append(
                DrawnImage(
                    row=_row(patient, lesion, image),
                    png=to_png(picture.pixels),
                    mask=to_png(picture.mask),
                    calcifications=[tuple(map(float, values)) for values in zip(*numbers, strict=True)],
                    origin=origin,
                )
            )
    return drawn


def _tissue(
    rng: np.random.Generator, patient: PlannedPatient, image: PlannedImage, stock: FilmStock | None
) -> tuple[Grey, TileOrigin | None]:
    if stock is None or patient.split is None:
        return draw_noise_tissue(rng, magnification=image.magnification, side=ROI_SIDE), None
    return stock.tile(rng, split=patient.split, pixel_mm=PIXEL_MM / image.magnification, side=ROI_SIDE)


def _row(patient: PlannedPatient, lesion: PlannedLesion, image: PlannedImage) -> dict[str, object]:
    return {
        "image_id": image.image_id,
        "patient_id": patient.patient_id,
        "lesion_id": lesion.lesion_id,
        "exam_date": patient.exam_date.isoformat(),
        "laterality": lesion.laterality.value,
        "view": image.view.value,
        "magnification": image.magnification,
        "pixel_spacing_mm": PIXEL_MM,
        "pathology": lesion.pathology.value,
        "label": lesion.label,
        "birads": lesion.birads,
        "morphology": lesion.lesion.morphology.value,
        "distribution": lesion.lesion.distribution.value,
        "site": SYNTHETIC,
        "manufacturer": SYNTHETIC,
        "padded": "false",
        "split": patient.split.value if patient.split else "",
    }
