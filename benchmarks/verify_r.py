"""Compare the statistics with R (pROC, geepack) on fresh random data sets; `make verify-r` and `.ci/run` run it.

Each data set is clustered, unsorted, has patients with both labels, and ties in some of its columns. A seed is drawn
anew each time and printed, so that a failure can be repeated with ``--seed``. Debian: ``make verify-r`` installs
r-base-core, r-cran-proc, r-cran-geepack and r-cran-jsonlite where they are missing and it may.
"""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from microcalc.stats import auc_overall, auc_pairs, delong, gee, resampling, roc_band, youden
from microcalc.stats.roc import partial_auc

__all__ = ["main"]

Answers = dict[str, Any]
"""What R says, as JSON gives it."""

RTOL, ATOL = 1e-9, 1e-12
BOOTSTRAP_SHARE = 0.25
"""Of the standard error, or of the band's width: how far two Monte Carlo runs may lie apart; about five sigma."""

PACKAGES = ("r-base-core", "r-cran-proc", "r-cran-geepack", "r-cran-jsonlite")
SCRIPT = Path(__file__).with_name("verify_r.R")


@dataclass(frozen=True)
class Shape:
    """What a random data set looks like; ``ties`` is the number of distinct scores, 0 for almost none."""

    images: int
    patients: int
    models: int
    ties: int


SHAPES = (
    Shape(90, 40, 3, 0),
    Shape(150, 60, 4, 12),
    Shape(260, 145, 6, 0),
    Shape(400, 130, 3, 40),
    Shape(1500, 700, 4, 0),
)


class Comparison:
    """Counts what was compared and keeps what differs."""

    def __init__(self) -> None:
        self.values, self.worst = 0, 0.0
        self.failures: list[str] = []

    def close(
        self, what: str, ours: object, theirs: object, *, rtol: float = RTOL, atol: float | np.ndarray = ATOL
    ) -> None:
        a, b = np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float)
        off = np.abs(a - b) / (atol + rtol * np.abs(b))
        self.values += a.size
        if rtol == RTOL:
            self.worst = max(self.worst, float(off.max()))
        if not (off <= 1).all():
            self.failures.append(f"{what}: {a.tolist()} here, {b.tolist()} in R")


def random_table(shape: Shape, rng: np.random.Generator) -> pd.DataFrame:
    """Draw a table of scores in no order."""
    patient = np.concatenate(
        [np.arange(shape.patients), rng.integers(0, shape.patients, shape.images - shape.patients)]
    )
    risk = rng.normal(size=shape.patients)[patient] * 1.5
    label = (risk + rng.normal(size=shape.images) * 0.8 > 0.4).astype(int)
    shared = rng.normal(size=shape.patients)[patient] * 0.5 + rng.normal(size=shape.images) * 0.6
    logit = label[:, None] * rng.uniform(0.8, 1.8, shape.models) + shared[:, None]
    scores = 1 / (1 + np.exp(-logit - rng.normal(size=logit.shape) * 0.6))
    if shape.ties:
        scores = np.round(scores * shape.ties) / shape.ties
    frame = pd.DataFrame({"image_id": [f"i{i:05d}" for i in rng.permutation(shape.images)], "label": label})
    frame["patient_id"] = [f"p{p:05d}" for p in patient]
    for j in range(shape.models):
        frame[f"m{j}"] = scores[:, j]
    return frame.sample(frac=1, random_state=int(rng.integers(1 << 31))).reset_index(drop=True)


def compare(table: pd.DataFrame, answers: Answers, found: Comparison) -> None:
    """Compare every number of R's answers for one table."""
    models = answers["models"]
    y, scores, patients = (
        table["label"].to_numpy(),
        table[models].to_numpy(),
        table["patient_id"].to_numpy(dtype=object),
    )
    result = delong(y, scores)
    per_model = [answers["per_model"][m] for m in models]
    found.close("AUC", result.auc, [m["auc"] for m in per_model])
    found.close("standard error", result.standard_error, [m["se"] for m in per_model])
    found.close("covariance", result.covariance, answers["covariance"])
    pairs = auc_pairs(result, models)
    found.close("z", [p.z for p in pairs], [p["z"] for p in answers["pairs"]])
    found.close("p", [p.p for p in pairs], [p["p"] for p in answers["pairs"]])
    overall = auc_overall(result, models)
    found.close("overall", [overall.chi2, overall.p], [answers["overall"]["chi2"], answers["overall"]["p"]])
    parts = [
        partial_auc(y, s, part=(0.8, 1), axis=axis).area for s in scores.T for axis in ("specificity", "sensitivity")
    ]
    found.close("partial AUC", parts, [m[k] for m in per_model for k in ("partial", "partial_se")])
    chosen = [youden(y, s) for s in scores.T]
    found.close("cut-off", [c.cutoff for c in chosen], [answers["cut"][m] for m in models])
    called = scores > np.array([c.cutoff for c in chosen])
    for entry in answers["gee"]:
        clusters = patients if entry["cluster"] == "patient" else None
        ours = gee(y, called, measure=entry["measure"], clusters=clusters, names=models)
        name = f"GEE {entry['measure']} by {entry['cluster']}"
        found.close(f"{name}, standard error", ours.standard_error, entry["se"])
        for statistic in ("wald_logit", "score", "wald_identity"):
            values = [getattr(test, statistic) for test in (ours.overall, *ours.pairs)]
            found.close(f"{name}, {statistic}", values, [test[statistic] for test in entry["tests"]])
    if "bootstrap" in answers:
        drawn, plan = answers["bootstrap"], resampling(y, replicates=20_000)
        band = roc_band(y, scores[:, 0], grid=1 - np.array(drawn["grid"]), plan=plan)
        apart = BOOTSTRAP_SHARE * float(result.standard_error[0])
        found.close("bootstrap AUC", [band.auc_low, band.auc_high], drawn["auc"], rtol=0, atol=apart)
        steps = BOOTSTRAP_SHARE * (band.high - band.low) + 1.01 / result.malignant  # limits lie on whole images
        found.close("band", [band.low, band.high], [drawn["low"], drawn["high"]], rtol=0, atol=steps)


def ask_r(table: pd.DataFrame, folder: Path) -> Answers:
    """Run R on a table and read its answers."""
    table.to_csv(folder / "data.csv", index=False)
    done = subprocess.run(
        ["Rscript", str(SCRIPT), str(folder / "data.csv"), str(folder / "out.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"R failed:\n{done.stderr}")
    answers = json.loads((folder / "out.json").read_text())
    if not isinstance(answers, dict):
        sys.exit("R gave no answers")
    return answers


def have_r() -> bool:
    """Whether R and its packages are there."""
    if shutil.which("Rscript") is None:
        return False
    code = "for (p in c('pROC', 'geepack', 'jsonlite')) library(p, character.only = TRUE)"
    return subprocess.run(["Rscript", "-e", code], capture_output=True, check=False).returncode == 0


def install_r() -> None:
    """Install Debian's packages without recommends, where this may be done; say how otherwise."""
    way_out = f"install them: apt-get install --no-install-recommends {' '.join(PACKAGES)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        sys.exit(f"R with pROC, geepack and jsonlite is not installed; {way_out}")
    print("installing", *PACKAGES)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *PACKAGES]):
        if subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL, check=False).returncode:
            sys.exit(f"apt-get {arguments[0]} failed; {way_out}")


def main() -> None:
    """Compare, print what was compared, and end with 1 if something differs."""
    parser = argparse.ArgumentParser(description="Compare the statistics with R on fresh random data sets.")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1 << 31), help="of the data sets; default: drawn anew"
    )
    parser.add_argument("--no-install", action="store_true", help="never call apt-get")
    options = parser.parse_args()
    if not have_r():
        if options.no_install:
            sys.exit(f"R with pROC, geepack and jsonlite is needed: {' '.join(PACKAGES)}")
        install_r()
    print(f"seed {options.seed}")
    rng, failed = np.random.default_rng(options.seed), False
    for shape in SHAPES:
        table, found = random_table(shape, rng), Comparison()
        with tempfile.TemporaryDirectory() as folder:
            compare(table, ask_r(table, Path(folder)), found)
        both = int((table.groupby("patient_id")["label"].nunique() == 2).sum())
        print(
            f"{shape.images} images, {shape.patients} patients ({both} with both labels), {shape.models} models,"
            f" {shape.ties or 'no'} ties: {found.values} values, worst at {found.worst:.1e} of the tolerance"
        )
        for failure in found.failures:
            print(f"  DIFFERS {failure}")
        failed = failed or bool(found.failures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
