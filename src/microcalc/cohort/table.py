"""The cohort: one row per ROI image, the images beside it, and the record of where they come from.

A cohort is a folder with ``cohort.csv``, ``rois/benign/ID.png``, ``rois/malignant/ID.png`` and ``cohort.json``. Here
it is read; it is written by `CohortWriter`, audited in `microcalc.cohort.audit`, divided in `microcalc.cohort.splits`.
"""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from microcalc.cohort.cells import read_csv_texts
from microcalc.cohort.rows import (
    COLUMNS,
    REQUIRED,
    check_rows,
    describe_problems,
    validate_table,
)
from microcalc.cohort.writer import CLASS_FOLDERS, RECORD, ROIS, SCHEMA_VERSION, TABLE, CohortWriter, Verdict
from microcalc.errors import CohortError, TableError

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "SCHEMA_VERSION",
    "Cohort",
    "CohortWriter",
    "Verdict",
    "read_cohort",
    "read_record",
    "validate_table",
]


@dataclass(frozen=True, eq=False)
class Cohort:
    """A cohort folder that was read.

    Attributes:
        folder: where it lies.
        table: n rows, the columns ``COLUMNS``, index 0 to n - 1.
        record: content of ``cohort.json``.
    """

    folder: Path
    table: pd.DataFrame
    record: dict[str, object]

    @property
    def synthetic(self) -> bool:
        """Whether the images are made up."""
        return bool(self.record.get("synthetic", False))

    def image_path(self, image_id: str) -> Path:
        """Path of one image.

        Raises:
            CohortError: no such image in the table.
        """
        try:
            return self._paths[image_id]
        except KeyError:
            raise CohortError(f"{self.folder}: the cohort holds no image {image_id!r}") from None

    def image_paths(self) -> list[Path]:
        """Paths of all images, in table order."""
        return list(self._paths.values())

    @cached_property
    def _paths(self) -> dict[str, Path]:
        folders = [self.folder / ROIS / name for name in CLASS_FOLDERS]
        pairs = zip(self.table["image_id"], self.table["label"], strict=True)
        return {str(name): folders[label] / f"{name}.png" for name, label in pairs}


def read_cohort(folder: Path) -> Cohort:
    """Read a cohort: table, record, and that every image file is there. Contents are the audit's.

    Raises:
        CohortError: no cohort in this folder, another schema, or images are missing.
        TableError: the table breaks the contract; names file and line.
    """
    if not (folder / TABLE).is_file() or not (folder / RECORD).is_file():
        raise CohortError(
            f"{folder}: a cohort folder must hold {TABLE} and {RECORD}; "
            "make one with `microcalc cohort from-folders` or `microcalc cohort from-table`"
        )
    record = read_record(folder)
    path = folder / TABLE
    texts = read_csv_texts(path)
    checked = check_rows(texts.table, source=str(path), lines=texts.lines)
    if checked.problems:
        raise TableError(describe_problems(checked.problems, source=str(path)))
    cohort = Cohort(folder, checked.table, record)
    _refuse_missing(cohort)
    return cohort


def read_record(folder: Path) -> dict[str, object]:
    """Read ``cohort.json`` of a cohort folder.

    Raises:
        CohortError: it is no JSON object, or of another schema version.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CohortError(
            f"{path}: the record of a cohort must be a readable JSON file; {error.strerror or error}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CohortError(f"{path}: the record of a cohort must be a readable JSON file; {error}") from error
    if not isinstance(record, dict):
        raise CohortError(f"{path}: the record of a cohort must be a JSON object; it is a {type(record).__name__}")
    if record.get("schema") != SCHEMA_VERSION:
        raise CohortError(
            f"{path}: this version of microcalc reads cohorts of schema {SCHEMA_VERSION}; "
            f"this one is of schema {record.get('schema')!r}. Make it anew from its sources"
        )
    return record


def _refuse_missing(cohort: Cohort) -> None:
    there: set[str] = set()
    for name in CLASS_FOLDERS:
        folder = cohort.folder / ROIS / name
        if folder.is_dir():
            there.update(os.path.join(folder, f) for f in os.listdir(folder))  # noqa: PTH118, PTH208
    missing = [p for p in cohort.image_paths() if str(p) not in there]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise CohortError(
            f"{cohort.folder}: every row of {TABLE} must have its image; {len(missing)} missing: "
            f"{', '.join(str(p.relative_to(cohort.folder)) for p in missing[:3])}{more}. "
            "Put them back, or make the cohort anew from its sources"
        )
