"""The reference data set and R's answers, for the tests of the statistics."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.predictions import ScoreTable

FOLDER = Path(__file__).parent / "reference" / "statistics"
CLOSE = {"rtol": 1e-9, "atol": 1e-12}
MEASURES = {"acc": "accuracy", "sens": "sensitivity", "spec": "specificity", "ppv": "ppv", "npv": "npv"}


@cache
def expected() -> dict:
    return json.loads((FOLDER / "expectedA.json").read_text())


@cache
def data_a() -> ScoreTable:
    table = pd.read_csv(FOLDER / "dataA.csv", dtype={"image_id": str, "patient_id": str})
    models = tuple(table.columns[3:])
    images = table[["image_id", "patient_id"]].assign(lesion_id="", split="test")
    return ScoreTable(models, images, table["label"].to_numpy(), table[list(models)].to_numpy())


def made_up(seed: int, *, images: int = 60, models: int = 2, patients: int = 25, ties: int = 9) -> ScoreTable:
    """Clustered scores with ties; patients may have both labels and come in no order."""
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, patients, images)
    y = (rng.normal(size=patients)[patient] + rng.normal(size=images) > 0).astype(int)
    y[:2] = 0, 1
    shared = rng.normal(size=patients)[patient] * 0.5
    scores = np.round((y[:, None] + shared[:, None] + rng.normal(size=(images, models))) * ties / 6) / ties
    frame = pd.DataFrame({"image_id": [f"i{i}" for i in range(images)], "patient_id": [f"p{p}" for p in patient]})
    return ScoreTable(tuple(f"m{j}" for j in range(models)), frame.assign(lesion_id="", split="test"), y, scores)
