"""From the networks' score files to the predictions table: one row per run, model and image, the ensemble added.

The ensemble is the mean of the networks' probabilities of malignancy, of as many networks as were trained. A single
network has none.
"""

import pandas as pd

from microcalc.learn.predict import read_scores
from microcalc.predictions import COLUMNS
from microcalc.protocol import ENSEMBLE
from microcalc.study.plan import Plan

__all__ = ["gather_predictions"]


def gather_predictions(plan: Plan) -> pd.DataFrame:
    """Long predictions table of all runs: every network and the ensemble on the validation and test images.

    Raises:
        WeightsError: the scores of a job are missing or damaged.
    """
    facts = plan.cohort.table.assign(split=plan.split.split)[["image_id", "patient_id", "lesion_id", "split", "label"]]
    parts = []
    for run in plan.runs:
        networks = []
        for job in (j for j in plan.jobs if j.run == run):
            scores = read_scores(job.folder)
            part = facts.iloc[scores.rows].assign(run=run, model=job.network, score=scores.probability)
            networks.append(part)
        parts += networks
        if len(networks) > 1:
            mean = pd.concat(networks).groupby("image_id", sort=False)["score"].mean()
            first = networks[0]
            parts.append(first.assign(model=ENSEMBLE, score=first["image_id"].map(mean)))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]
