"""From the networks' score files to the predictions table: one row per run, model and image, the ensemble added; and
from there to the arrays that are judged, with what the cohort knows of each image beside them.

The ensemble is the mean of the networks' probabilities of malignancy, of as many networks as were trained. A single
network has none.
"""

from dataclasses import replace

import pandas as pd

from microcalc.cohort.cells import cell_text
from microcalc.learn.predict import read_scores
from microcalc.predictions import COLUMNS, ScoreTable, score_table
from microcalc.protocol import ENSEMBLE
from microcalc.study.plan import Plan

__all__ = ["gather_predictions", "scores_with_facts"]


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


def scores_with_facts(predictions: pd.DataFrame, plan: Plan, *, run: str, split: str) -> ScoreTable:
    """Scores of one run on one set; ``images`` has the cohort's columns as text and the year of the exam.

    Raises:
        TableError: see `microcalc.predictions.score_table`.
    """
    table = score_table(predictions, run=run, split=split)
    cohort = plan.cohort.table.set_index("image_id")
    known = cohort.drop(columns=["patient_id", "lesion_id", "split", "label"]).loc[table.images["image_id"]]
    facts = known.map(cell_text).reset_index(drop=True)
    facts["year"] = facts["exam_date"].str.slice(0, 4)
    return replace(table, images=pd.concat([table.images.reset_index(drop=True), facts], axis=1))
