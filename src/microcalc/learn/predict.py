"""Scores and heatmaps of a trained network: one forward pass over the validation and test images, kept on disk.

The pass is float32 whatever training was: bf16 would move a probability of Inception-v3 by 0.02 in the median and by up
to 0.27, and a score should not depend on the machine. The heatmap of both classes comes with the score from the same
pass (`gradcam`). What the scores mean is for the statistics; how a heatmap looks is for the report.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.images import sha256_of_file
from microcalc.cohort.storage import write_atomically
from microcalc.errors import WeightsError
from microcalc.learn.batches import upright_batches
from microcalc.learn.checkpoint import load_network
from microcalc.learn.gradcam import grad_cam
from microcalc.learn.inputs import reduced_images
from microcalc.learn.job import Job, Progress, Report
from microcalc.learn.machine import open_fabric
from microcalc.learn.networks import build_network
from microcalc.learn.train import BEST
from microcalc.vocabulary import MALIGNANT

__all__ = ["SCORES", "Scores", "predict", "read_scores"]

SCORES = "scores.npz"

_BATCH = 32
_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""What reading a damaged score file ends in, according to where it was cut."""


@dataclass(frozen=True)
class Scores:
    """What one network says of the validation and test images of a study.

    Attributes:
        rows: (m,) row of the cohort's table.
        probability: (m,) float64, of malignancy.
        maps: (m, 2, h, w) float32, Grad-CAM of both classes at the resolution of the last features, not scaled.
    """

    rows: NDArray[np.int64]
    probability: NDArray[np.float64]
    maps: NDArray[np.float32]


def predict(job: Job, report: Report) -> None:
    """Score the validation and test images with the chosen epoch of a trained network and write ``scores.npz``.

    Scores that were made with these very weights are kept.

    Raises:
        WeightsError: the weights are missing or damaged.
    """
    weights = sha256_of_file(job.folder / BEST)
    if _made_with(job.folder / SCORES) == weights:
        return
    scores = _score(job, report)
    content = io.BytesIO()
    np.savez(content, weights=weights, rows=scores.rows, probability=scores.probability, maps=scores.maps)
    write_atomically(job.folder / SCORES, content.getvalue())


def read_scores(folder: Path) -> Scores:
    """Read what `predict` wrote.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    try:
        with (folder / SCORES).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return Scores(file["rows"], file["probability"], file["maps"])
    except _UNREADABLE as error:
        raise WeightsError(
            f"{folder / SCORES}: must be a readable score file; delete it, start again; {error}"
        ) from error


def _made_with(path: Path) -> str:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return str(file["weights"])
    except _UNREADABLE:
        return ""


def _score(job: Job, report: Report) -> Scores:
    fabric = open_fabric(job.machine)
    network = build_network(job.network, seed=0)
    load_network(job.folder / BEST, network)
    network = network.to(fabric.device).eval()
    upright = reduced_images(job.images.source, job.protocol.image, job.input_size)
    rows = np.concatenate([job.images.validation, job.images.test])
    channels = (job.spec.mean, job.spec.std)
    probabilities, maps = [], []
    for inputs in upright_batches(upright, rows, _BATCH, channels, fabric.device):
        seen = grad_cam(network, job.spec, inputs, target=MALIGNANT)
        probabilities.append(seen.logits.double().softmax(dim=1)[:, MALIGNANT].cpu().numpy())
        maps.append(seen.class_maps.cpu().numpy())
        report(Progress(job.run, job.network, "predict", sum(map(len, probabilities)), len(rows)))
    return Scores(rows, np.concatenate(probabilities), np.concatenate(maps))
