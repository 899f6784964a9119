"""Heatmaps of a finished study: which images are shown, and how well the phantoms' lesions are met.

The maps come with the scores (`learn.predict`); here they are enlarged to the ROI and given to the report. For each
network and each of TP, FN, TN, FP the images with the most extreme probabilities are shown: the most confident
successes and the worst failures. No picture is drawn here.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from microcalc.cohort import ROI_SIDE, read_roi
from microcalc.learn.gradcam import heatmaps
from microcalc.learn.job import Job
from microcalc.learn.localisation import POINTING_TOLERANCE, cells_on_lesion, even_share, pointing_hit, share_inside
from microcalc.learn.predict import Scores, read_scores
from microcalc.report.content import HeatmapExample, HeatmapPanel, LocalisationRow, Outcome
from microcalc.stats import OperatingPoint
from microcalc.study.plan import Plan
from microcalc.vocabulary import BENIGN, MALIGNANT

__all__ = ["heatmap_panel", "localisation"]

_CHUNK = 32

_ONE_CELL = (1, 1)

FloatMap = NDArray[np.float32]


@dataclass(frozen=True)
class _Chosen:
    outcome: Outcome
    position: int


@dataclass(frozen=True)
class _Meeting:
    """How one heatmap meets its lesion: share inside (NaN: empty heatmap), share of an even one, pointing game.

    ``chance`` is the share of the map's cells that would hit.
    """

    share: float
    expected: float
    hit: bool
    chance: float


def heatmap_panel(plan: Plan, job: Job, point: OperatingPoint) -> HeatmapPanel:
    """Examples of one network at its cut-off, each explained for the class that it was called.

    Args:
        plan: of the study.
        job: of the network; it is finished.
        point: cut-off and who chose it.
    """
    scores = read_scores(job.folder)
    examples = [_example(plan, job, scores, chosen) for chosen in _choose(plan, job, scores, point.cutoff)]
    folder = f"heatmaps/{job.run}/{job.network}"
    return HeatmapPanel(job.network, tuple(examples), point.cutoff, point.chosen_on, folder)


def _choose(plan: Plan, job: Job, scores: Scores, cutoff: float) -> Iterator[_Chosen]:
    """Of each outcome, the test images whose probability lies furthest from the cut-off."""
    in_test = np.isin(scores.rows, job.images.test)
    label, called = job.images.labels[scores.rows], scores.probability > cutoff
    groups = {
        Outcome.TP: (label == MALIGNANT) & called,
        Outcome.FN: (label == MALIGNANT) & ~called,
        Outcome.TN: (label == BENIGN) & ~called,
        Outcome.FP: (label == BENIGN) & called,
    }
    for outcome, members in groups.items():
        positions = np.flatnonzero(members & in_test)
        sign = -1 if outcome in (Outcome.TP, Outcome.FP) else 1
        order = np.argsort(sign * scores.probability[positions], kind="stable")
        for position in positions[order][: plan.protocol.evaluation.heatmap_examples]:
            yield _Chosen(outcome, int(position))


def _example(plan: Plan, job: Job, scores: Scores, chosen: _Chosen) -> HeatmapExample:
    row = int(scores.rows[chosen.position])
    image_id = str(plan.cohort.table["image_id"].iloc[row])
    explained = MALIGNANT if chosen.outcome in (Outcome.TP, Outcome.FP) else BENIGN
    return HeatmapExample(
        outcome=chosen.outcome,
        image_id=image_id,
        label=int(job.images.labels[row]),
        probability=float(scores.probability[chosen.position]),
        original=read_roi(plan.cohort.image_path(image_id)),
        heatmap=_enlarged(job, scores.maps[chosen.position : chosen.position + 1, explained])[0],
        explained=explained,
        mask=_mask(plan, image_id),
        grid=_grid(scores),
    )


def localisation(plan: Plan, job: Job) -> tuple[LocalisationRow, ...]:
    """How well one network's heatmaps meet the lesions of the test phantoms, each explained for its true class.

    Empty where the cohort holds no masks.
    """
    scores = read_scores(job.folder)
    rows = []
    for label, group in ((MALIGNANT, "malignant"), (BENIGN, "benign")):
        met = list(_meetings(plan, job, scores, label))
        if met:
            rows.append(_localisation_row(job.network, group, _grid(scores), met))
    return tuple(rows)


def _localisation_row(network: str, group: str, grid: tuple[int, int], met: list[_Meeting]) -> LocalisationRow:
    can_point = grid != _ONE_CELL
    shown = [m for m in met if not math.isnan(m.share)]
    reasons = ["a grid of 1 × 1 cannot point"] * (not can_point) + [f"all {group} heatmaps are empty"] * (not shown)
    return LocalisationRow(
        network=network,
        images=len(met),
        share_inside=_mean([m.share for m in shown]),
        share_expected=_mean([m.expected for m in shown]),
        hits=sum(m.hit for m in met) if can_point else None,
        hits_by_chance=_mean([m.chance for m in met]) if can_point else math.nan,
        tolerance=POINTING_TOLERANCE,
        group=group,
        grid=grid,
        empty=len(met) - len(shown),
        reason="; ".join(reasons),
    )


def _meetings(plan: Plan, job: Job, scores: Scores, label: int) -> Iterator[_Meeting]:
    """Heatmap against lesion, for each test image of one class that has a mask."""
    names = plan.cohort.table["image_id"]
    positions = np.flatnonzero(np.isin(scores.rows, job.images.test) & (job.images.labels[scores.rows] == label))
    for start in range(0, len(positions), _CHUNK):
        part = positions[start : start + _CHUNK]
        for position, heatmap in zip(part, _enlarged(job, scores.maps[part, label]), strict=True):
            mask = _mask(plan, str(names.iloc[int(scores.rows[position])]))
            if mask is not None:
                yield _meeting(heatmap, scores.maps[position, label], mask, seen_side=_seen_side(job))


def _meeting(heatmap: FloatMap, cells: FloatMap, mask: NDArray[np.bool_], *, seen_side: int) -> _Meeting:
    on_lesion = cells_on_lesion(mask, cells.shape, seen_side=seen_side)
    return _Meeting(
        share=share_inside(heatmap, mask),
        expected=even_share(mask, seen_side=seen_side),
        hit=pointing_hit(cells, on_lesion),
        chance=float(on_lesion.mean()),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _enlarged(job: Job, maps: NDArray[np.float32]) -> NDArray[np.float32]:
    enlarged: NDArray[np.float32] = heatmaps(torch.from_numpy(maps), side=_seen_side(job), roi_side=ROI_SIDE).numpy()
    return enlarged


def _grid(scores: Scores) -> tuple[int, int]:
    """Rows and columns of the cells of a map."""
    return int(scores.maps.shape[2]), int(scores.maps.shape[3])


def _seen_side(job: Job) -> int:
    """Side of the central square that the network sees, ROI pixels."""
    return job.protocol.image.crop or ROI_SIDE


def _mask(plan: Plan, image_id: str) -> NDArray[np.bool_] | None:
    path = plan.cohort.folder / "masks" / f"{image_id}.png"
    return read_roi(path) > 0 if path.exists() else None
