"""Reading one ROI with a finished study: the same pixels, the same networks, the same cut-off as in the study.

`Reader.open` loads a study once; `Reader.read` cuts the square out of a mammogram and `Reader.read_roi` takes one that
is cut already. A reader may be used from several threads at once.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from microcalc.cohort.images import ROI_SIDE, require_side
from microcalc.errors import ImageError
from microcalc.intake.crop import Roi, Scale, cut_roi
from microcalc.intake.dicom import Facts, Mammogram
from microcalc.learn.gradcam import class_maps, heatmaps
from microcalc.learn.inputs import GREY_MAXIMUM, network_input, prepare, reduced
from microcalc.learn.networks import head_of, network_spec
from microcalc.protocol import ENSEMBLE
from microcalc.reader.caution import Case, case_warnings, score_warnings, square_warnings
from microcalc.reader.engine import (
    Engine,
    LoadedNetwork,
    TorchEngine,
    chosen_runtime,
    load_networks,
    precisions_of,
)
from microcalc.reader.finished_study import FinishedStudy, open_finished_study
from microcalc.reader.meaning import Judgement
from microcalc.reader.openvino_engine import OpenVinoEngine
from microcalc.reader.reading import Heatmap, Meaning, Reading, ReadingWarning, RoiPlace, WarningCode
from microcalc.reader.threads import small_work_pool
from microcalc.vocabulary import MALIGNANT

__all__ = ["Pixels", "Reader"]

AT_ONCE = 4
"""Readings that may be under way at the same time; more wait."""

Pixels = NDArray[np.uint16]
"""(512, 512), 0 black to 65535 white."""


class Reader:
    """A finished study's networks, ready to read; made by `Reader.open`.

    Args:
        study: that was opened.
        judgement: its cut-off and calibration.
        networks: its networks.
        engine: what runs them.
        start_seconds: what opening took.
    """

    def __init__(
        self,
        study: FinishedStudy,
        judgement: Judgement,
        networks: Mapping[str, LoadedNetwork],
        engine: Engine,
        *,
        start_seconds: float,
    ) -> None:
        self.study = study
        self.judgement = judgement
        self.start_seconds = start_seconds
        self._networks = networks
        self._engine = engine
        self._pool = small_work_pool(AT_ONCE, name="reading")

    @classmethod
    def open(cls, study: Path, *, runtime: str = "auto", run: str | None = None) -> "Reader":
        """Load a finished study.

        Args:
            study: its folder.
            runtime: one of `microcalc.reader.engine.RUNTIMES`.
            run: which run reads; default the protocol's first.

        Raises:
            StudyError: no study, not finished, or without such a run.
            WeightsError: weights are missing or damaged.
            TableError: the predictions are missing or damaged.
            ProtocolError: no such runtime.
            MissingDependencyError: the runtime that was asked for is not installed.
        """
        start = time.perf_counter()
        opened = open_finished_study(study, run=run)
        settings = opened.protocol.evaluation
        judgement = Judgement(opened.validation, opened.test, model=opened.model, settings=settings)
        networks = load_networks(opened)
        chosen = chosen_runtime(runtime)
        kind = OpenVinoEngine if chosen.startswith("openvino") else TorchEngine
        engine: Engine = kind(networks, precisions_of(networks, chosen))
        return cls(opened, judgement, networks, engine, start_seconds=time.perf_counter() - start)

    @property
    def runtime(self) -> str:
        """What computes: ``torch bf16``."""
        return self._engine.name

    @property
    def cutoff(self) -> float:
        """The study's frozen cut-off of the ensemble: malignant is called above it."""
        return self.judgement.cutoff

    @property
    def prevalence(self) -> float:
        """Share of malignant images in the study's test set; taken where no prevalence is named."""
        return self.judgement.prevalence

    def meaning(self, prevalence: float | None = None) -> Meaning:
        """What the cut-off means where so many lesions are malignant.

        Raises:
            StatisticsError: a prevalence that is not between 0 and 1.
        """
        return self.judgement.meaning(self.prevalence if prevalence is None else prevalence)

    def read(self, mammogram: Mammogram, row: float, col: float, *, prevalence: float | None = None) -> Reading:
        """Read the square around a point of a mammogram.

        Args:
            mammogram: from `microcalc.intake.dicom.read_mammogram`.
            row, col: of the lesion, from 0 at the upper left.
            prevalence: for which the cut-off is explained; default the test set's.

        Raises:
            ImageError: the point lies outside, or the study's ROIs have one spacing and the image's is not known.
            StatisticsError: a prevalence that is not between 0 and 1.
        """
        start = time.perf_counter()
        facts = mammogram.facts
        roi = self.square(mammogram, row, col)
        place = RoiPlace(roi.row, roi.col, ROI_SIDE * roi.factor, roi.padded)
        return self._read(roi.pixels, Case(facts, roi.padded, roi.factor), place, prevalence, start)

    def square(self, mammogram: Mammogram, row: float, col: float) -> Roi:
        """Cut the square that `read` looks at.

        Raises:
            ImageError: the point lies outside, or the study's ROIs have one spacing and the image's is not known.
        """
        return cut_roi(mammogram.plane, row, col, factor=self._scale.factor(mammogram.facts.pixel_spacing_mm))

    def read_roi(self, pixels: Pixels, facts: Facts | None = None, *, prevalence: float | None = None) -> Reading:
        """Read a square that is cut already.

        Args:
            pixels: (512, 512) uint16, as a cohort holds them.
            facts: of its mammogram, as far as they are known.
            prevalence: for which the cut-off is explained; default the test set's.

        Raises:
            ImageError: the pixels are of another size or type.
            StatisticsError: a prevalence that is not between 0 and 1.
        """
        start = time.perf_counter()
        require_side(pixels.shape, "the square")
        if pixels.dtype != np.uint16:
            raise ImageError(f"the square must be of uint16, 0 black to 65535 white; it is of {pixels.dtype}")
        place = RoiPlace(ROI_SIDE // 2, ROI_SIDE // 2, ROI_SIDE, padded=False)
        return self._read(pixels, Case(facts), place, prevalence, start)

    @property
    def _scale(self) -> Scale:
        """Size of the ROIs' pixels in the study's cohort."""
        trained = self.study.trained
        return Scale(None if trained is None else trained.roi_spacing_mm)

    def _read(self, pixels: Pixels, case: Case, place: RoiPlace, prevalence: float | None, start: float) -> Reading:
        meaning = self.meaning(prevalence)
        opinions, together = self._pool.submit(self._looked_at, pixels).result()
        score = float(np.mean([opinion.probability for opinion in opinions.values()]))
        warnings = (
            *square_warnings(pixels),
            *case_warnings(case, self.study.trained),
            *score_warnings(score, self.judgement.seen),
            *self._study_warnings(),
        )
        return Reading(
            networks={name: opinion.probability for name, opinion in opinions.items()},
            ensemble=score,
            calibrated=self.judgement.calibrated(score),
            called=score > self.cutoff,
            cutoff=self.cutoff,
            chosen_on=self.judgement.chosen_on,
            meaning=meaning,
            heatmaps={name: opinion.heatmap for name, opinion in opinions.items()} | {ENSEMBLE: together},
            roi=place,
            warnings=warnings,
            runtime=self.runtime,
            milliseconds=1000 * (time.perf_counter() - start),
            grids={name: opinion.grid for name, opinion in opinions.items()},
        )

    def _looked_at(self, pixels: Pixels) -> "tuple[dict[str, _Opinion], Heatmap]":
        """What each network says, and the ensemble's heatmap."""
        begun = self._begun(pixels)
        opinions = {
            name: self._explained(name, loaded, begun[name].result()) for name, loaded in self._networks.items()
        }
        return opinions, _together([opinion.heatmap for opinion in opinions.values()])

    def _begun(self, pixels: Pixels) -> "dict[str, Future[torch.Tensor]]":
        """Start every network as soon as its input is there."""
        settings = self.study.protocol.image
        seen: dict[int, torch.Tensor] = {}
        begun = {}
        for name in self._engine.order:
            size, spec = self._networks[name].size, network_spec(name)
            if size not in seen:
                grey = reduced(prepare(pixels, settings, size), settings, size)
                seen[size] = torch.from_numpy(grey).to(torch.float32).div_(GREY_MAXIMUM)[None, None]
            begun[name] = self._engine.start(name, network_input(seen[size], spec.mean, spec.std))
        return begun

    def _explained(self, name: str, loaded: LoadedNetwork, features: torch.Tensor) -> "_Opinion":
        """Probability of malignancy and the heatmap for it, from the last features (1, c, h, w)."""
        side = self.study.protocol.image.crop or ROI_SIDE
        with torch.inference_mode():
            logits = loaded.model.forward_head(features)
            positive = class_maps(features, head_of(loaded.model, network_spec(name)))[:, MALIGNANT]
            heatmap: Heatmap = heatmaps(positive, side=side, roi_side=ROI_SIDE)[0].numpy()
        probability = float(logits.double().softmax(dim=1)[0, MALIGNANT])
        return _Opinion(probability, heatmap, (positive.shape[-2], positive.shape[-1]))

    def _study_warnings(self) -> tuple[ReadingWarning, ...]:
        """What is wrong with the study's own cut-off or calibration."""
        found = []
        if not np.isfinite(self.cutoff):
            words = "the study's rule found no cut-off better than chance: every image is called malignant"
            found.append(ReadingWarning(WarningCode.NO_CUTOFF, words))
        reason = self.judgement.recalibration.reason
        if reason:
            found.append(ReadingWarning(WarningCode.NOT_CALIBRATED, f"no calibrated probability: {reason}"))
        return tuple(found)


class _Opinion(NamedTuple):
    """What one network says of a square: its heatmap had ``grid`` rows and columns before it was enlarged."""

    probability: float
    heatmap: Heatmap
    grid: tuple[int, int]


def _together(maps: Sequence[Heatmap]) -> Heatmap:
    """The mean of the networks' heatmaps, scaled to a maximum of 1; 0 everywhere if all are."""
    mean: Heatmap = np.mean(maps, axis=0, dtype=np.float32)
    largest = mean.max()
    return mean / largest if largest > 0 else mean
