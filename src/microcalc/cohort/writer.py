"""Writing a cohort folder: row by row, image by image, finished by one rename or not there at all.

Reading lives in `microcalc.cohort.table`, the rules of a row in `microcalc.cohort.rows`.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from microcalc import RESEARCH_USE, __version__
from microcalc.cohort.cells import cell_text
from microcalc.cohort.images import ROI_SIDE, encode_png
from microcalc.cohort.rows import UNKNOWN_LABEL, is_image_id, label_of, validate_table
from microcalc.cohort.storage import explained_write_errors
from microcalc.errors import CohortError, ImageError, TableError
from microcalc.vocabulary import MALIGNANT

__all__ = ["CLASS_FOLDERS", "RECORD", "ROIS", "SCHEMA_VERSION", "TABLE", "CohortWriter", "Verdict", "refuse_occupied"]

SCHEMA_VERSION = 1
"""Version of the cohort folder's layout; a reader refuses another."""

TABLE = "cohort.csv"
RECORD = "cohort.json"
ROIS = "rois"
CLASS_FOLDERS = ("benign", "malignant")
"""Folder of each label under ``rois/``: the paper's own layout."""

_OWN_ENTRIES = ("schema", "microcalc", "synthetic", "research_use", "sources", "counts", "verdicts", "sha256")


@dataclass(frozen=True)
class Verdict:
    """What intake decided about a source: taken or left out, and why.

    Attributes:
        source: file or row that a person brought, without folders of their machine.
        accepted: whether it is in the cohort.
        code: short name of the reason, e.g. ``truncated``.
        message: the reason in words.
        image_id: of the image, where there is one.
    """

    source: str
    accepted: bool
    code: str
    message: str
    image_id: str = ""


class CohortWriter:
    """Context manager that leaves a finished cohort folder, or nothing.

    Everything goes into a hidden folder beside the target, which is renamed at the end. An error or an interruption
    removes it; what a killed process left is removed by the next one.

    Args:
        folder: target; must not exist, or be empty.
        sources: one mapping for each thing the cohort was made from; kept in ``cohort.json``.
        synthetic: whether the images are made up.

    Raises:
        CohortError: the target is not empty, or another process is writing it.
        TableError: rows break the contract.
        MicrocalcError: the disk is full, or the folder cannot be written.

    Example:
        >>> with CohortWriter(folder, sources=[{"kind": "folders"}]) as writer:
        ...     writer.add({"image_id": "a", "patient_id": "1", "label": 0}, pixels)
    """

    def __init__(self, folder: Path, *, sources: Sequence[Mapping[str, object]], synthetic: bool = False) -> None:
        self.record: dict[str, object] = {}
        self._folder = folder
        self._partial = folder.parent / f".{folder.name}.partial"
        self._lock_path = folder.parent / f".{folder.name}.lock"
        self._sources = [dict(s) for s in sources]
        self._synthetic = synthetic
        self._rows: list[dict[str, object]] = []
        self._images: dict[str, str] = {}
        self._attachments: dict[str, str] = {}
        self._verdicts: list[Verdict] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        refuse_occupied(self._folder)
        with ExitStack() as stack, self._explained():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock = stack.enter_context(FileLock(self._lock_path, timeout=0))
            except Timeout as error:
                raise CohortError(f"{self._folder}: another process is writing this cohort; wait for it") from error
            del lock
            stack.callback(self._discard)
            shutil.rmtree(self._partial, ignore_errors=True)
            for name in CLASS_FOLDERS:
                (self._partial / ROIS / name).mkdir(parents=True)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def add(self, row: Mapping[str, object], pixels: NDArray[np.uint16]) -> None:
        """Add one image.

        Args:
            row: columns of the contract; ``image_id``, ``patient_id`` and ``label`` or ``pathology`` are needed.
            pixels: (512, 512) uint16.

        Raises:
            TableError: the row breaks the contract, or its image_id was added before.
            ImageError: the pixels have another shape or type.
        """
        if pixels.shape != (ROI_SIDE, ROI_SIDE):
            raise ImageError(f"pixels must be {ROI_SIDE} x {ROI_SIDE}; they are {' x '.join(map(str, pixels.shape))}")
        self.add_encoded(row, encode_png(pixels))

    def add_encoded(self, row: Mapping[str, object], png: bytes) -> None:
        """Add one image that `encode_png` has encoded already, perhaps in another thread; see `add`."""
        name, label = cell_text(row.get("image_id")), label_of(row.get("label"), row.get("pathology"))
        if not is_image_id(name) or label == UNKNOWN_LABEL:
            # The whole row is checked at the end; these two say where the file goes.
            validate_table(pd.DataFrame([dict(row)], dtype=object), source=f"row of image {name!r}")
        if name.casefold() in self._images:
            raise TableError(f"image_id must be unique; {name!r} was added before")
        digest = self._write(f"{ROIS}/{CLASS_FOLDERS[label]}/{name}.png", png)
        self._images[name.casefold()] = digest
        self._rows.append(dict(row))

    def fill_column(self, column: str, values: Sequence[object]) -> None:
        """Set one column of all rows added so far: for values that follow from all rows together.

        Args:
            column: of the contract; not ``image_id``, ``label`` or ``pathology``, which say where the image lies.
            values: one for each row, in the order in which they were added.

        Raises:
            TableError: another number of values, or one of those columns.
        """
        if column in ("image_id", "label", "pathology") or len(values) != len(self._rows):
            raise TableError(
                f"a column must get one value for each of {len(self._rows)} rows, and be none of image_id, label and "
                f"pathology; {column} got {len(values)}"
            )
        for row, value in zip(self._rows, values, strict=True):
            row[column] = value

    def mark_synthetic(self) -> None:
        """Say in ``cohort.json`` that images are made up; for those who learn it from the images."""
        self._synthetic = True

    def reject(self, verdict: Verdict) -> None:
        """Keep a verdict in ``cohort.json``: what was left out, or taken with a remark."""
        self._verdicts.append(verdict)

    def attach(self, relative_path: str, content: bytes) -> None:
        """Add a further file, hashed in ``cohort.json``.

        Args:
            relative_path: inside the cohort folder, with ``/``; not one of the cohort's own files.
            content: its bytes.

        Raises:
            CohortError: the path leaves the folder, is one of the cohort's own, or was attached before.
        """
        path = PurePosixPath(relative_path)
        own = path.parts[:1] in ((TABLE,), (RECORD,), (ROIS,), (".cache",))
        if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in relative_path or own:
            raise CohortError(f"an attachment must be a new file inside the cohort folder; {relative_path!r} is not")
        if str(path) in self._attachments:
            raise CohortError(f"an attachment may be added once; {relative_path!r} was added before")
        self._attachments[str(path)] = self._write(str(path), content)

    def _write(self, relative_path: str, content: bytes) -> str:
        path = self._partial / relative_path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def _finish(self) -> None:
        table = validate_table(pd.DataFrame(self._rows, dtype=object), source=f"{self._folder / TABLE}")
        csv = table.to_csv(index=False, lineterminator="\n").encode()
        hashes = {TABLE: self._write(TABLE, csv)}
        record = self._own_record(table, hashes)
        clash = sorted(set(self.record) & set(_OWN_ENTRIES))
        if clash:
            raise CohortError(f"{RECORD}: extra entries must have names of their own; {clash} are taken")
        text = json.dumps(record | self.record, indent=1, ensure_ascii=False) + "\n"
        self._write(RECORD, text.encode("utf-8", "replace"))  # names of files may hold what no text can
        refuse_occupied(self._folder)
        with self._explained():
            if self._folder.is_dir():
                self._folder.rmdir()
            self._partial.replace(self._folder)

    def _own_record(self, table: pd.DataFrame, hashes: dict[str, str]) -> dict[str, object]:
        malignant = int((table["label"] == MALIGNANT).sum())
        return {
            "schema": SCHEMA_VERSION,
            "microcalc": __version__,
            "synthetic": self._synthetic,
            "research_use": RESEARCH_USE,
            "sources": self._sources,
            "counts": {
                "images": len(table),
                "patients": int(table["patient_id"].nunique()),
                "benign": len(table) - malignant,
                "malignant": malignant,
                "left_out": sum(not v.accepted for v in self._verdicts),
            },
            "verdicts": [asdict(v) for v in self._verdicts],
            "sha256": {
                **hashes,
                "images": {name: self._images[name.casefold()] for name in table["image_id"]},
                "attachments": self._attachments,
            },
        }

    def _explained(self) -> AbstractContextManager[None]:
        return explained_write_errors(self._folder, way_out="choose a folder that you may write to")

    def _discard(self) -> None:
        shutil.rmtree(self._partial, ignore_errors=True)
        with suppress(OSError):
            self._lock_path.unlink(missing_ok=True)


def refuse_occupied(folder: Path) -> None:
    """Refuse a target that is not new or empty; to be asked before long work as well as at its end.

    Raises:
        CohortError: there is something.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise CohortError(
            f"{folder}: a cohort must be written to a new or empty folder; this one holds something else. "
            "Name another, or remove it yourself"
        )
