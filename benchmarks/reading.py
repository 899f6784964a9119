"""Time of one reading as the reading room does it: from the click to five probabilities and six heatmaps.

    python -m benchmarks.reading [--study STUDY] [--runtimes torch-f32,openvino-mixed] [--repetitions 40]

About five minutes on 2 cores. Without ``--study`` a study-like folder is made for the time of the run: the paper's
protocol and input sizes (224 and 299), networks of random weights whose batch norms fit noise, scores drawn at random.
Each reading begins with a decoded mammogram of 4,700 x 2,900 pixels and a place on it, and ends with the finished
`Reading`: square cut, filtered and reduced, five networks, closed-form Grad-CAM enlarged to 512 x 512, cut-off,
meaning, warnings. Decoding is left out: the image is on the screen already. The runtimes take turns within each
repetition. Beside the wall clock stands the processor time of the whole process, which other work on the machine
disturbs less, and the rate of a matrix product in float32 and bf16 measured in the same run: what the processor can do.

Goals on 2 cores with bf16 in hardware: median at most 300 ms, 95 % at most 600 ms.

    python -m benchmarks.reading --agreement COHORT --study STUDY

instead reads every test image of a finished study's cohort and compares with the scores that the study wrote.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from microcalc.cohort import read_cohort, read_roi
from microcalc.cohort.storage import sha256_of_file
from microcalc.intake.dicom import Facts, Mammogram
from microcalc.intake.dicom.greys import GreyScale
from microcalc.learn.checkpoint import save_network
from microcalc.learn.networks import NETWORK_TABLE, build_network, network_spec
from microcalc.learn.train import BEST, RECORD
from microcalc.predictions import write_predictions
from microcalc.protocol import ENSEMBLE, NETWORKS, built_in_protocol
from microcalc.reader.reader import Reader
from microcalc.study.folder import SCHEMA_VERSION, StudyFolder
from microcalc.study.plan import run_name

MEDIAN_GOAL, P95_GOAL = 300.0, 600.0
RUNTIMES = "torch-f32,torch-mixed,openvino-f32,openvino-bf16,openvino-mixed"
WARM_UP = 3
ROWS, COLUMNS = 4700, 2900

Times = dict[str, list[tuple[float, float]]]
"""Milliseconds of each reading by the wall clock and by the processor, by runtime."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time of one reading, by runtime; or how far runtimes move scores.")
    parser.add_argument("--study", type=Path, help="a finished study; default: a study-like folder of paper size")
    parser.add_argument("--agreement", type=Path, metavar="COHORT", help="compare scores on the study's test images")
    parser.add_argument("--runtimes", default=RUNTIMES)
    parser.add_argument("--repetitions", type=int, default=40)
    options = parser.parse_args()
    runtimes = options.runtimes.split(",")
    print(f"torch {torch.__version__}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    if options.agreement is not None:
        compare(options.study, options.agreement, runtimes)
        return
    with study_folder(options.study) as study:
        readers = {name: opened(study, name) for name in runtimes}
        times, rates = measure(readers, options.repetitions)
    report(times, rates)


def opened(study: Path, runtime: str) -> Reader:
    """A reader; prints what opening it took."""
    reader = Reader.open(study, runtime=runtime)
    print(f"{runtime:<16} opened in {reader.start_seconds:5.1f} s as {reader.runtime}")
    return reader


def measure(readers: dict[str, Reader], repetitions: int) -> tuple[Times, dict[str, list[float]]]:
    """Read in turn; every runtime goes first in turn. Between the repetitions, the rate of matrix products."""
    random = np.random.default_rng(0)
    stored = random.integers(0, 4096, (ROWS, COLUMNS), dtype=np.uint16)
    facts = Facts(rows=ROWS, columns=COLUMNS, pixel_spacing_mm=0.07)
    mammogram = Mammogram(stored=stored, facts=facts, greys=GreyScale(slope=1 / 4095))
    names = list(readers)
    times: Times = {name: [] for name in names}
    rates: dict[str, list[float]] = {"float32": [], "bf16": []}
    for repetition in range(WARM_UP + repetitions):
        turn = repetition % len(names)
        for name in names[turn:] + names[:turn]:
            row, col = random.integers(300, ROWS - 300), random.integers(300, COLUMNS - 300)
            wall, busy = time.perf_counter(), time.process_time()
            readers[name].read(mammogram, float(row), float(col))
            spent = 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - busy)
            if repetition >= WARM_UP:
                times[name].append(spent)
        rates["float32"].append(product_rate(torch.float32))
        rates["bf16"].append(product_rate(torch.bfloat16))
    return times, rates


def product_rate(precision: torch.dtype, side: int = 2048) -> float:
    """GFLOP/s of a matrix product."""
    a, b = (torch.randn(side, side).to(precision) for _ in range(2))
    start = time.perf_counter()
    _ = a @ b
    return 2 * side**3 / (time.perf_counter() - start) / 1e9


def report(times: Times, rates: dict[str, list[float]]) -> None:
    """Print medians and tails."""
    print(f"{'runtime':<16} {'median ms':>10} {'95 % ms':>10} {'fastest':>10} {'cpu ms':>10}")
    for name, spent in times.items():
        wall, busy = np.array(spent).T
        tail = float(np.quantile(wall, 0.95))
        reached = " goals reached" if np.median(wall) <= MEDIAN_GOAL and tail <= P95_GOAL else ""
        print(f"{name:<16} {np.median(wall):10.0f} {tail:10.0f} {wall.min():10.0f} {np.median(busy):10.0f}{reached}")
    speeds = ", ".join(f"{name} {np.median(r):.0f} (best {max(r):.0f})" for name, r in rates.items())
    print(f"matrix products, GFLOP/s: {speeds}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"goals: median {MEDIAN_GOAL:.0f} ms, 95 % {P95_GOAL:.0f} ms, on an otherwise idle machine")


def compare(study: Path, cohort_folder: Path, runtimes: Sequence[str]) -> None:
    """Print how far each runtime moves the scores of the study's test images."""
    cohort = read_cohort(cohort_folder)
    for runtime in runtimes:
        reader = Reader.open(study, runtime=runtime)
        test = reader.study.test
        names = [*reader.study.networks, ENSEMBLE]
        said = test.scores[:, [test.models.index(name) for name in names]]
        found = np.array([scores(reader, read_roi(cohort.image_path(name))) for name in test.images["image_id"]])
        moved = np.abs(found - said)
        calls = int(((found[:, -1] > reader.cutoff) != (said[:, -1] > reader.cutoff)).sum())
        print(f"{reader.runtime}: {len(moved)} test images, {calls} calls changed")
        for name, column in zip(names, moved.T, strict=True):
            words = f"median {np.median(column):.1e}, 95 % {np.quantile(column, 0.95):.1e}, most {column.max():.1e}"
            print(f"  {name:<22} moved by {words}")


def scores(reader: Reader, pixels: NDArray[np.uint16]) -> list[float]:
    """Every network's and the ensemble's."""
    reading = reader.read_roi(pixels)
    return [*reading.networks.values(), reading.ensemble]


@contextmanager
def study_folder(given: Path | None) -> Iterator[Path]:
    """The study that was given, or one that is made up for the time of the run."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        make_up(StudyFolder(Path(folder)))
        yield Path(folder)


def make_up(study: StudyFolder) -> None:
    """A study-like folder: the paper's protocol, random networks, random scores."""
    protocol = built_in_protocol("paper")
    run = run_name(protocol.training.learning_rates[0])
    study.protocol.write_text(protocol.to_yaml())
    for name in NETWORK_TABLE:
        folder = study.network(run, name)
        folder.mkdir(parents=True)
        save_network(folder / BEST, settled(name), {})
        (folder / RECORD).write_text(json.dumps({"best_sha256": sha256_of_file(folder / BEST)}))
    write_predictions(random_scores(run), study.predictions)
    study.record.write_text(json.dumps({"schema": SCHEMA_VERSION, "complete": True}))


def settled(name: str) -> nn.Module:
    """A network whose batch norms fit noise, so that no value under- or overflows and slows a runtime down."""
    model, size = build_network(name, seed=0), network_spec(name).input_size
    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0)))
    return model.eval()


def random_scores(run: str, images: int = 260) -> pd.DataFrame:
    """Scores of as many test and validation images as the paper had test images."""
    random, parts = np.random.default_rng(0), []
    for split in ("validation", "test"):
        facts = pd.DataFrame({"image_id": [f"{split}{i}" for i in range(images)], "split": split, "run": run})
        facts = facts.assign(patient_id=facts["image_id"], lesion_id="", label=np.arange(images) % 2)
        for model in (*NETWORKS, ENSEMBLE):
            score = random.uniform(size=images) * 0.6 + 0.2 * facts["label"]
            parts.append(facts.assign(model=model, score=score))
    return pd.concat(parts, ignore_index=True)


if __name__ == "__main__":
    main()
