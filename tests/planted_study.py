"""A finished study without a training: networks of random weights whose last layer was fitted to the images.

The study's own code scores the images with them, so what reads new cases can be held against its ``predictions.csv``.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from microcalc.cohort.storage import sha256_of_file
from microcalc.learn.batches import upright_batches
from microcalc.learn.checkpoint import save_network
from microcalc.learn.inputs import reduced_images
from microcalc.learn.job import Job
from microcalc.learn.networks import features_and_logits, head_of
from microcalc.learn.train import BEST, RECORD
from microcalc.predictions import write_predictions
from microcalc.study import Plan, open_study, run_job
from microcalc.study.scores import gather_predictions
from microcalc.study.training_facts import training_facts
from settled_networks import settled_network
from test_study import plan, protocol, write_cohort

STEEPNESS = 2.0
"""Log odds between the middles of the two classes."""

FEATURES_USED = 12
"""So few that the classes overlap, else nothing could be calibrated."""

COLUMNS = {
    "view": "CC", "magnification": 1.0, "pixel_spacing_mm": 0.07, "manufacturer": "Lightworks, Inc.", "padded": "false",
}  # fmt: skip


def planted_study(folder: Path, networks: Sequence[str], **changes: object) -> Path:
    """Make a study in ``folder`` and, if it is not there yet, the cohort beside it; return the folder.

    Args:
        folder: of the study.
        networks: of the study.
        changes: of the protocol.
    """
    cohort = folder.parent / "cohort"
    if not cohort.exists():
        write_cohort(cohort, **COLUMNS)
    planned = plan(cohort, folder, protocol(networks=list(networks), **changes))
    with open_study(folder) as study:
        study.begin(planned.protocol, planned.identity, planned.options.machine)
        for job in planned.jobs:
            _plant(job)
            run_job(job, lambda _: None)  # finds a finished training, and scores
        write_predictions(gather_predictions(planned), study.predictions)
        study.update(complete=True, trained_on=_facts(planned))
    return folder


def _facts(planned: Plan) -> dict[str, object]:
    return training_facts(planned.cohort, planned.split.split).as_record()


def _plant(job: Job) -> None:
    job.folder.mkdir(parents=True)
    model = settled_network(job.network)
    _fit_head(model, job)
    save_network(job.folder / BEST, model, {})
    record = {"best_sha256": sha256_of_file(job.folder / BEST)}
    (job.folder / RECORD).write_text(json.dumps(record))


def _fit_head(model: torch.nn.Module, job: Job) -> None:
    """Point the last layer from the middle of the benign training images to that of the malignant ones."""
    upright = reduced_images(job.images.source, job.protocol.image, job.input_size)
    rows, channels = job.images.train, (job.spec.mean, job.spec.std)
    with torch.inference_mode():
        parts = upright_batches(upright, rows, 8, channels, torch.device("cpu"))
        features = torch.cat([features_and_logits(model, part)[0].mean(dim=(2, 3)) for part in parts])
    malignant = torch.from_numpy(np.asarray(job.images.labels[rows] == 1))
    ends = features[~malignant].mean(dim=0), features[malignant].mean(dim=0)
    across = ends[1] - ends[0]
    across[FEATURES_USED:] = 0
    across *= STEEPNESS / across.square().sum()
    head = head_of(model, job.spec)
    head.weight.data = torch.stack([-across, across]) / 2
    middle = float(across @ (ends[0] + ends[1])) / 2
    head.bias.data = torch.tensor([middle, -middle]) / 2
