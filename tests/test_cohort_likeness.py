"""Pictures of one exam are found whatever was done to them; pictures of others are not taken for them."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, stats

from cohort_samples import table
from microcalc.cohort import Audit, CohortWriter, Severity, check_cohort
from microcalc.cohort.likeness import (
    ALIKE,
    FINGERPRINT_LENGTH,
    LIKELY,
    alignment,
    candidates,
    fingerprint,
    thumbnail,
)

Pixels = NDArray[np.uint16]


def tissue(seed: int, side: int = 640) -> NDArray[np.float64]:
    """Noise with the spectrum of breast tissue (power falls with the third power of frequency), 0 to 1."""
    noise = np.fft.fft2(np.random.default_rng(seed).standard_normal((side, side)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    frequency[0, 0] = np.inf
    field = np.fft.ifft2(noise / frequency**1.5).real
    out: NDArray[np.float64] = (field - field.min()) / (field.max() - field.min())
    return out


def square(field: NDArray[np.float64], *, down: int = 0, right: int = 0, scale: float = 1.0) -> Pixels:
    """(512, 512) of a field around its centre, shifted and scaled."""
    at = (np.arange(512) - 255.5) * scale + (field.shape[0] - 1) / 2
    grid = np.meshgrid(at + down, at + right, indexing="ij")
    out: Pixels = (ndimage.map_coordinates(field, grid, order=1) * 65535).clip(0, 65535).astype(np.uint16)
    return out


def windowed(pixels: Pixels, low: float, high: float) -> Pixels:
    bottom, top = np.percentile(pixels, [low, high])
    return (np.clip((pixels - bottom) / (top - bottom), 0, 1) * 65535).astype(np.uint16)


def as_jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).astype(np.uint16) * np.uint16(257)


CHANGES: dict[str, Callable[[NDArray[np.float64]], Pixels]] = {
    "same": square,
    "narrow window": lambda f: windowed(square(f), 20, 97),
    "gamma": lambda f: square(f**2),
    "jpeg": lambda f: as_jpeg(square(f), 50),
    "shifted by 3": lambda f: square(f, down=3, right=-2),
    "shifted by 12": lambda f: square(f, down=-8, right=12),
    "nearer": lambda f: square(f, scale=0.92),
    "farther": lambda f: square(f, scale=1.08),
    "negative": lambda f: 65535 - square(f),
    "mirrored": lambda f: np.ascontiguousarray(square(f)[:, ::-1]),
    "everything": lambda f: as_jpeg(windowed(square(f, down=5, right=-4, scale=1.04), 5, 98), 75),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(4))
def test_the_same_tissue_is_alike_whatever_was_done_to_it(change: str, seed: int) -> None:
    field = tissue(seed)
    first, second = thumbnail(square(field)), thumbnail(CHANGES[change](field))
    assert candidates(np.stack([fingerprint(first), fingerprint(second)])) == [(0, 1)]
    assert alignment(first, second) > ALIKE


def test_other_tissue_is_not_alike() -> None:
    small = [thumbnail(square(tissue(seed))) for seed in range(60)]
    assert candidates(np.stack([fingerprint(s) for s in small])) == []
    assert max(alignment(small[0], other) for other in small[1:]) < 0.5


def test_the_edge_of_the_breast_alone_makes_nothing_alike() -> None:
    edge = np.clip(np.add.outer(np.arange(640), np.arange(640)) / 900 - 0.3, 0, 1)
    small = [thumbnail(square(0.9 * edge + 0.1 * tissue(seed))) for seed in range(12)]
    pairs = [alignment(small[i], small[j]) for i in range(12) for j in range(i)]
    assert max(pairs) < 0.5


def test_pictures_without_texture_are_like_nothing() -> None:
    flat = thumbnail(np.full((512, 512), 700, dtype=np.uint16))
    ramp = thumbnail(np.broadcast_to(np.arange(512, dtype=np.uint16), (512, 512)).copy())
    assert not fingerprint(flat).any()
    assert alignment(flat, flat) == alignment(ramp, ramp) == 0


def test_a_thumbnail_holds_mean_ranks() -> None:
    pixels = windowed(square(tissue(0)), 30, 90)  # with many equal greys
    means = pixels.reshape(64, 8, 64, 8).sum(axis=(1, 3), dtype=np.int64)
    ranks = stats.rankdata(means.ravel()).reshape(64, 64)
    assert np.abs(thumbnail(pixels) - (ranks - 0.5) / 4096 * 256).max() <= 1


def test_a_fingerprint_has_length_one() -> None:
    print_ = fingerprint(thumbnail(square(tissue(0))))
    assert print_.shape == (FINGERPRINT_LENGTH,)
    assert np.linalg.norm(print_) == pytest.approx(1, abs=1e-5)


def test_candidates_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microcalc.cohort.likeness._BLOCK", 7)
    fields = [tissue(k) for k in range(12)]
    pictures = [square(f) for f in fields] + [CHANGES["mirrored"](f) for f in fields[:4]] + [square(fields[2], down=4)]
    small = [thumbnail(p) for p in pictures]
    prints = [fingerprint(s) for s in small]
    turned = [fingerprint(np.ascontiguousarray(s[:, ::-1])) for s in small]
    plain = [
        (i, j)
        for i in range(len(prints))
        for j in range(i + 1, len(prints))
        if max(abs(float(prints[i] @ prints[j])), abs(float(prints[i] @ turned[j]))) >= LIKELY
    ]
    assert sorted(candidates(np.stack(prints))) == plain
    assert len(plain) >= 5


# ---------------------------------------------------------------------------------------------- in the audit


def audited(folder: Path, *, synthetic: bool = False, **columns: list[object]) -> Audit:
    """Four images; the last shows the tissue of the first with another window."""
    pictures = [square(tissue(k)) for k in range(3)] + [windowed(square(tissue(0), down=2), 5, 95)]
    rows = table(columns.pop("patients"), columns.pop("labels"), **columns)
    with CohortWriter(folder, sources=[], synthetic=synthetic) as writer:
        for row, pixels in zip(rows.to_dict(orient="records"), pictures, strict=True):
            writer.add({str(k): v for k, v in row.items()}, pixels)
    return check_cohort(folder)


@pytest.mark.parametrize(
    ("columns", "code", "severity"),
    [
        ({"patients": [*"abcd"], "labels": [0, 1, 0, 1]}, "near-duplicate-labels", Severity.ERROR),
        (
            {"patients": [*"abcd"], "labels": [0, 1, 0, 0], "split": ["train", "test", "test", "test"]},
            "near-duplicate-leak",
            Severity.ERROR,
        ),
        ({"patients": [*"abcd"], "labels": [0, 1, 0, 0]}, "near-duplicate-patients", Severity.WARNING),
        ({"patients": [*"abca"], "labels": [0, 1, 0, 0]}, "near-duplicate", Severity.WARNING),
    ],
)
def test_an_exam_that_was_exported_twice_is_found_and_weighed(
    tmp_path: Path, columns: dict[str, list[object]], code: str, severity: Severity
) -> None:
    found = [f for f in audited(tmp_path / "c", **columns).findings if "duplicate" in f.code]
    assert [(f.code, f.severity) for f in found] == [(code, severity)]
    assert "1 group of images that show the same" in found[0].message
    assert "i000 = i003" in found[0].message


def test_made_up_images_may_share_their_tissue(tmp_path: Path) -> None:
    audit = audited(tmp_path / "c", synthetic=True, patients=[*"abcd"], labels=[0, 1, 0, 1])
    assert [f.severity for f in audit.findings if f.code == "near-duplicate-labels"] == [Severity.NOTE]


def test_identical_pixels_are_told_once(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        for k in range(3):
            writer.add({"image_id": f"i{k}", "patient_id": f"p{k}", "label": 0}, square(tissue(k // 2)))
    assert [f.code for f in check_cohort(tmp_path / "c").findings if "dupl" in f.code] == ["duplicate-patients"]
