"""The two tables of EMBED (Jeong et al. 2023): a row per picture with its ROIs, a row per finding with its pathology.

Only the columns that are needed are read, and only pictures with a ROI are kept: the tables of the open release have
480,000 and 80,000 rows. How findings and pictures are joined is told in `microcalc.intake.embed`.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from microcalc.errors import ImageError, TableError
from microcalc.intake.crop import Box
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Pathology

__all__ = [
    "BORDERLINE",
    "OTHER_CANCER",
    "PATHOLOGY_OF_SEVERITY",
    "EmbedFinding",
    "EmbedPicture",
    "read_embed_findings",
    "read_embed_pictures",
]

PATHOLOGY_OF_SEVERITY: Mapping[int, Pathology] = {
    0: Pathology.INVASIVE,
    1: Pathology.DCIS,
    2: Pathology.HIGH_RISK,
    3: Pathology.HIGH_RISK,
    4: Pathology.BENIGN,
    5: Pathology.BENIGN,
}
"""Of ``path_severity``: 0 invasive, 1 non-invasive cancer, 2 high-risk, 3 borderline, 4 benign, 5 normal tissue. 6, a
cancer that is none of the breast, is left out."""

BORDERLINE, OTHER_CANCER = 3, 6

BIRADS = {"A": "0", "N": "1", "B": "2", "P": "3", "S": "4", "M": "5", "K": "6"}
"""Of ``asses``."""

MASS_SHAPES = frozenset("GROX")
"""Of ``massshape``: generic, round, oval, irregular; the other codes are asymmetries, distortions and lymph nodes."""

MORPHOLOGIES = {
    "R": CalcMorphology.ROUND, "P": CalcMorphology.PUNCTATE, "Q": CalcMorphology.COARSE, "H": CalcMorphology.COARSE,
    "C": CalcMorphology.COARSE, "A": CalcMorphology.AMORPHOUS, "I": CalcMorphology.FINE_PLEOMORPHIC,
    "K": CalcMorphology.FINE_PLEOMORPHIC, "F": CalcMorphology.FINE_LINEAR_BRANCHING,
    "B": CalcMorphology.FINE_LINEAR_BRANCHING,
}  # fmt: skip
"""Of ``calcfind``, as far as BI-RADS's suspicious words go; of several letters the most suspicious counts."""

DISTRIBUTIONS = {
    "D": CalcDistribution.DIFFUSE, "R": CalcDistribution.REGIONAL, "G": CalcDistribution.GROUPED,
    "C": CalcDistribution.GROUPED, "L": CalcDistribution.LINEAR, "S": CalcDistribution.SEGMENTAL,
}  # fmt: skip
"""Of ``calcdistri``."""

_PICTURE_COLUMNS = (
    "empi_anon", "acc_anon", "anon_dicom_path", "finalimagetype", "imagelateralityfinal", "viewposition", "spot_mag",
    "num_roi", "roi_coords",
)  # fmt: skip
_FINDING_COLUMNS = (
    "empi_anon", "acc_anon", "side", "numfind", "asses", "massshape", "calcfind", "calcdistri", "bside",
    "path_severity",
)  # fmt: skip
_MORE_FINDING_COLUMNS = ("implanfind",)
_FOUR = 4
_CHUNK = 50_000


@dataclass(frozen=True)
class EmbedPicture:
    """A picture with ROIs.

    Attributes:
        row: of the table, the header being row 1.
        patient, exam: anonymous numbers.
        file: path as published.
        kind: ``2D``, ``cview``, ...
        laterality: L or R.
        view: as in the header.
        special: a spot or magnification view.
        boxes: of its ROIs; None for one that is no box.
    """

    row: int
    patient: str
    exam: str
    file: str
    kind: str
    laterality: str
    view: str
    special: bool
    boxes: tuple[Box | None, ...]


@dataclass(frozen=True)
class EmbedFinding:
    """A finding of a breast, with all that was found in it under the microscope.

    Attributes:
        patient, exam: anonymous numbers.
        side: L, R, B (both), or "" where the table is silent.
        number: within the exam.
        birads: category.
        mass: whether a mass belongs to it.
        morphology, distribution: of its calcifications; "" where there are none.
        calcification: whether it is described as one.
        implant: whether implants are described.
        specimens: side (L, R, B or "") and ``path_severity`` of each.
    """

    patient: str
    exam: str
    side: str
    number: str
    birads: str
    mass: bool
    morphology: str
    distribution: str
    calcification: bool
    implant: bool
    specimens: tuple[tuple[str, int], ...]

    def seen_in(self, laterality: str) -> "EmbedFinding":
        """What it says of one breast: without the specimens of the other."""
        own = tuple(specimen for specimen in self.specimens if specimen[0] in (laterality, "B", ""))
        return replace(self, specimens=own)

    @property
    def severities(self) -> tuple[int, ...]:
        """Of each specimen."""
        return tuple(severity for _, severity in self.specimens)

    @property
    def worst(self) -> int | None:
        """The gravest severity, which is the smallest number; None without a specimen."""
        return min(self.severities, default=None)


def read_embed_pictures(path: Path) -> list[EmbedPicture]:
    """Pictures with at least one ROI, from ``EMBED_OpenData_metadata.csv`` or its reduced form.

    Raises:
        TableError: it cannot be read, or lacks a column.
    """
    pictures = []
    for row, cells in _records(path, _PICTURE_COLUMNS, ()):
        if _whole(cells["num_roi"]) in ("", "0"):
            continue
        pictures.append(
            EmbedPicture(
                row=row,
                patient=_whole(cells["empi_anon"]),
                exam=_whole(cells["acc_anon"]),
                file=cells["anon_dicom_path"],
                kind=cells["finalimagetype"],
                laterality=cells["imagelateralityfinal"].upper(),
                view=cells["viewposition"].upper(),
                special=_whole(cells["spot_mag"]) == "1",
                boxes=_boxes(cells["roi_coords"], f"{path}, row {row}"),
            )
        )
    return pictures


def read_embed_findings(path: Path) -> list[EmbedFinding]:
    """Findings, several specimens of one put together, from ``EMBED_OpenData_clinical.csv`` or its reduced form.

    Raises:
        TableError: it cannot be read, or lacks a column.
    """
    rows: dict[tuple[str, str, str, str], list[dict[str, str]]] = defaultdict(list)
    for _, cells in _records(path, _FINDING_COLUMNS, _MORE_FINDING_COLUMNS):
        key = (_whole(cells["empi_anon"]), _whole(cells["acc_anon"]), cells["side"].upper(), _whole(cells["numfind"]))
        rows[key].append(cells)
    return [_finding(key, cells) for key, cells in rows.items()]


def _finding(key: tuple[str, str, str, str], rows: list[dict[str, str]]) -> EmbedFinding:
    first = rows[0]
    found = [(cells["bside"].upper(), _whole(cells["path_severity"])) for cells in rows]
    return EmbedFinding(
        *key,
        birads=BIRADS.get(first["asses"].upper(), ""),
        mass=bool(set(first["massshape"].upper()) & MASS_SHAPES),
        morphology=_gravest(first["calcfind"], MORPHOLOGIES, list(CalcMorphology)),
        distribution=_gravest(first["calcdistri"], DISTRIBUTIONS, list(CalcDistribution)),
        calcification=bool(first["calcfind"] or first["calcdistri"]),
        implant=any(cells.get("implanfind", "") for cells in rows),
        specimens=tuple((side, int(text)) for side, text in found if text.isdecimal()),
    )


def _records(path: Path, needed: tuple[str, ...], more: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file by the lower-case names of the columns that are wanted."""
    try:
        header = pd.read_csv(path, nrows=0, encoding="utf-8-sig").columns
        wanted = {str(name): str(name).strip().casefold() for name in header}
        wanted = {name: plain for name, plain in wanted.items() if plain in (*needed, *more)}
        missing = sorted(set(needed) - set(wanted.values()))
        if missing:
            raise TableError(f"{path}: a table of EMBED must have the columns {', '.join(needed)}; {missing} missing")
        row = 1
        with pd.read_csv(
            path, usecols=list(wanted), dtype=str, keep_default_na=False, encoding="utf-8-sig", chunksize=_CHUNK
        ) as chunks:
            for chunk in chunks:
                for cells in chunk.rename(columns=wanted).to_dict(orient="records"):
                    row += 1
                    yield row, {str(name): str(cell).strip() for name, cell in cells.items()}
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: a table must be a readable CSV file; {error}") from error
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise TableError(f"{path}: a table must be a readable CSV file; {error}") from error


def _boxes(text: str, where: str) -> tuple[Box | None, ...]:
    """Boxes of ``[[ymin, xmin, ymax, xmax], ...]``."""
    try:
        content = ast.literal_eval(text)
        if not isinstance(content, list | tuple):
            raise TypeError("no list")
        return tuple(_box(numbers) for numbers in content)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise TableError(
            f"{where}: ROI_coords must be a list of [ymin, xmin, ymax, xmax]; it is {text[:60]!r}"
        ) from error


def _box(numbers: object) -> Box | None:
    if not isinstance(numbers, list | tuple) or len(numbers) != _FOUR:
        return None
    try:
        return Box(*(float(number) for number in numbers))
    except ImageError:
        return None


def _whole(text: str) -> str:
    """A whole number as pandas may have written it: ``3.0`` is 3."""
    return text.removesuffix(".0")


def _gravest(text: str, words: Mapping[str, str], order: list[str]) -> str:
    found = [words[letter] for letter in text.upper() if letter in words]
    return str(max(found, key=order.index)) if found else ""
