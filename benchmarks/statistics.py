# ruff: noqa: A005
"""Speed of the statistics against R's pROC, in one run on the same machine; `make bench` runs it.

Goals: a DeLong pair at a million images at least 3 times faster than two roc() and roc.test; the interval of an AUC
from 1,000 bootstrap replicates at 260 images at least 15 times faster than ci.auc; an ROC band of 101 points at least
20 times faster than ci.se; `microcalc evaluate` of the reference table under 3 s on one core. Best of several runs on
both sides; R is started once and times itself. Run it as ``python -m benchmarks.statistics``.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.stats import auc_pairs, bootstrap_auc, delong, resampling, roc_band, youden

__all__ = ["main"]

REFERENCE = Path(__file__).parent.parent / "tests" / "reference" / "statistics" / "dataA.csv"
R_CODE = """
suppressMessages(library(pROC)); args <- commandArgs(TRUE); n <- as.integer(args[2]); runs <- as.integer(args[3])
best <- function(f, k) min(replicate(k, { gc(); system.time(f())[["elapsed"]] }))
big <- matrix(readBin(args[4], "double", 3 * n), ncol = 3)
y <- big[, 1]; a <- big[, 2]; b <- big[, 3]
pair <- function() { r1 <- roc(y, a, levels = c(0, 1), direction = "<", quiet = TRUE)
  r2 <- roc(y, b, levels = c(0, 1), direction = "<", quiet = TRUE); roc.test(r1, r2, method = "delong", paired = TRUE) }
d <- read.csv(args[1]); r <- roc(d$label, d$resnet101, levels = c(0, 1), direction = "<", quiet = TRUE)
t <- pair(); cat(sprintf("%.17g %.17g\\n", best(pair, runs), as.numeric(t$statistic)))
cat(best(function() ci.auc(r, method = "bootstrap", boot.n = 1000, progress = "none"), runs), "\\n")
cat(best(function() ci.se(r, specificities = seq(0, 1, .01), boot.n = 1000, progress = "none"), runs), "\\n")
"""


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def ask_r(big: np.ndarray, runs: int) -> list[list[float]]:
    """R's seconds: the pair with its z, ci.auc, ci.se."""
    with tempfile.TemporaryDirectory() as folder:
        script, data = Path(folder) / "bench.R", Path(folder) / "big.bin"
        script.write_text(R_CODE)
        data.write_bytes(np.asfortranarray(big).tobytes(order="F"))
        arguments = ["Rscript", str(script), str(REFERENCE), str(len(big)), str(runs), str(data)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"R failed; `make verify-r` installs what it needs:\n{done.stderr}")
    return [[float(x) for x in line.split()] for line in done.stdout.splitlines()]


def evaluate_seconds(runs: int) -> float:
    """Wall time of the whole command on one core, figures and report included."""
    core = str(min(os.sched_getaffinity(0)))
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    program = "from microcalc.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        command = ["taskset", "-c", core, sys.executable, "-c", program, "evaluate", str(REFERENCE), "--out"]

        def work() -> None:
            subprocess.run([*command, f"{folder}/out"], check=True, capture_output=True, env=environment)

        return best_of(runs, work)


def ten_million() -> dict[str, float]:
    """DeLong and Youden of ten million images: seconds, and the peak memory of the process in bytes per image."""
    n = 10_000_000
    rng = np.random.default_rng(1)
    y = rng.random(n) < 0.4
    scores = rng.normal(size=(n, 2)) + y[:, None]
    start = time.perf_counter()
    auc_pairs(delong(y, scores))
    youden(y, scores[:, 0])
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "bytes per image": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / n}


def main() -> None:
    """Measure, print a table, and end with 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description="Speed of the statistics against pROC.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    y = (rng.random(options.images) < 0.4).astype(float)
    big = np.column_stack([y, rng.normal(size=(options.images, 2)) + y[:, None]])
    theirs = ask_r(big, min(options.runs, 3))
    z = auc_pairs(delong(big[:, 0], big[:, 1:]))[0].z
    if not np.isclose(z, theirs[0][1], rtol=1e-8):
        sys.exit(f"microcalc and pROC disagree: z {z} and {theirs[0][1]}")
    table = pd.read_csv(REFERENCE)
    truth, score = table["label"].to_numpy(), table["resnet101"].to_numpy()
    ours = [
        best_of(options.runs, lambda: auc_pairs(delong(big[:, 0], big[:, 1:]))),
        best_of(options.runs, lambda: bootstrap_auc(truth, score, replicates=1000)),
        best_of(options.runs, lambda: roc_band(truth, score, plan=resampling(truth, replicates=1000))),
    ]
    names = (f"DeLong pair, {options.images:,} images", "AUC interval, 1,000 replicates", "ROC band, 101 points")
    figures: dict[str, float] = {}
    print(f"{'':<34} {'microcalc':>10} {'pROC':>10} {'ratio':>8} {'goal':>6}")
    missed = False
    for name, goal, here, there in zip(names, (3, 15, 20), ours, (line[0] for line in theirs), strict=True):
        figures[name] = there / here
        missed = missed or there / here < goal
        print(f"{name:<34} {1000 * here:>8.1f}ms {1000 * there:>8.1f}ms {there / here:>8.1f} {goal:>6}")
    figures["evaluate, s"] = evaluate_seconds(options.runs)
    missed = missed or figures["evaluate, s"] >= 3
    print(f"{'evaluate dataA, one core':<34} {figures['evaluate, s']:>9.2f}s {'':>10} {'':>8} {'3 s':>6}")
    large = ten_million()
    figures |= {f"10 million images, {name}": value for name, value in large.items()}
    words = f"{large['seconds']:>9.1f}s, {large['bytes per image']:.0f} bytes per image at the peak"
    print(f"{'10 million images, pair and Youden':<34} {words}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
