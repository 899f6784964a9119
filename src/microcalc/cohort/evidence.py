"""What an audit knows of a cohort folder: as much of its table, record and images as could be read.

Reading never stops at a fault: a fault becomes a `Finding`. What the evidence means is judged in
`microcalc.cohort.checks`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.cohort.cells import read_csv_texts
from microcalc.cohort.confounding import Confounder, confounders
from microcalc.cohort.findings import Finding, Severity
from microcalc.cohort.images import in_order, read_roi
from microcalc.cohort.likeness import Thumbnail, thumbnail
from microcalc.cohort.rows import RowProblem, check_rows
from microcalc.cohort.storage import sha256_of_file
from microcalc.cohort.table import read_record
from microcalc.cohort.writer import CLASS_FOLDERS, ROIS, TABLE
from microcalc.errors import MicrocalcError
from microcalc.vocabulary import BENIGN, MALIGNANT

__all__ = ["Check", "Content", "Evidence", "Finding", "Severity", "gather_evidence", "guarded", "mapping_or_empty"]


@dataclass(frozen=True)
class Content:
    """What one image file holds.

    Attributes:
        sha256: of the file.
        pixels: SHA-256 of the pixels, however they were encoded; "" where they could not be read.
        darkest: smallest grey value.
        brightest: largest grey value.
        fault: why the image cannot be used; "" where it can.
        thumbnail: the picture in small; None where it could not be read.
    """

    sha256: str = ""
    pixels: str = ""
    darkest: int = 0
    brightest: int = 0
    fault: str = ""
    thumbnail: Thumbnail | None = None


@dataclass
class Evidence:
    """A cohort folder as far as it could be read.

    Attributes:
        folder: the cohort folder.
        record: content of ``cohort.json``; empty where it could not be read.
        columns: names of the table's columns as they stand in the file.
        table: typed table; rows with a problem hold stand-ins. Empty where it could not be read.
        problems: rows that break a rule.
        expected: where the image of each row must lie, by image_id; only of rows with a sound name and label.
        contents: what the images hold, by image_id; empty where they were not read.
    """

    folder: Path
    record: Mapping[str, object] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    problems: tuple[RowProblem, ...] = ()
    expected: dict[str, Path] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)

    def hashes(self, entry: str) -> Mapping[str, object]:
        """Recorded hashes of the ``images`` or the ``attachments``; empty where the record is scrambled."""
        return mapping_or_empty(mapping_or_empty(self.record.get("sha256")).get(entry))

    def fact(self, name: str) -> pd.Series:
        """What ``cohort.json`` says of each image beyond the table (entry ``image_facts``), in the table's order.

        Args:
            name: ``detector`` (film or digital), ``study`` (pseudonym of the Study Instance UID).

        Returns:
            Texts, "" where nothing is known.
        """
        known = mapping_or_empty(mapping_or_empty(self.record.get("image_facts")).get(name))
        texts = [known.get(str(image)) for image in self.table["image_id"]]
        return pd.Series([t if isinstance(t, str) else "" for t in texts], index=self.table.index, dtype=object)

    @cached_property
    def confounders(self) -> tuple[Confounder, ...]:
        """How well things that are no disease tell the label."""
        return confounders(self.table.assign(detector=self.fact("detector"))) if len(self.table) else ()


Check = Callable[[Evidence], Iterable[Finding]]
"""A check looks at the evidence and says what it found."""


def gather_evidence(
    folder: Path, *, contents: bool, progress: Callable[[int, int], None] | None
) -> tuple[Evidence, list[Finding]]:
    """Read what can be read.

    Args:
        folder: the cohort.
        contents: whether to read the images themselves.
        progress: called with the images done and all of them.

    Returns:
        The evidence, and what already went wrong in reading it.
    """
    evidence = Evidence(folder)
    if not folder.is_dir():
        return evidence, [Finding("no-folder", Severity.ERROR, f"{folder}: there is no such folder")]
    findings = [*guarded(_read_record, evidence), *guarded(_read_table, evidence)]
    if contents:
        there = {name: path for name, path in evidence.expected.items() if path.is_file()}
        for done, (name, content) in enumerate(zip(there, in_order(_content, there.values()), strict=True), start=1):
            evidence.contents[name] = content
            if progress is not None:
                progress(done, len(there))
    return evidence, findings


def guarded(check: Check, evidence: Evidence) -> Iterator[Finding]:
    """Findings of a check; a file that it cannot read is a finding too."""
    try:
        yield from check(evidence)
    except (OSError, MicrocalcError) as error:
        yield Finding("unreadable", Severity.ERROR, str(error))


def mapping_or_empty(value: object) -> Mapping[str, object]:
    """The value where it is a JSON object: a record that somebody edited may hold anything."""
    return value if isinstance(value, dict) else {}


def _read_record(evidence: Evidence) -> Iterator[Finding]:
    evidence.record = read_record(evidence.folder)
    yield from ()


def _read_table(evidence: Evidence) -> Iterator[Finding]:
    path = evidence.folder / TABLE
    texts = read_csv_texts(path)
    evidence.columns = tuple(str(c) for c in texts.table.columns)
    checked = check_rows(texts.table, source=str(path), lines=texts.lines)
    evidence.table, evidence.problems = checked.table, checked.problems
    unsound = {p.position for p in checked.problems if p.code in ("image-id", "duplicate-id")}
    pairs = zip(checked.table["image_id"], checked.table["label"], strict=True)
    folders = [evidence.folder / ROIS / name for name in CLASS_FOLDERS]
    evidence.expected = {
        str(name): folders[label] / f"{name}.png"
        for position, (name, label) in enumerate(pairs)
        if position not in unsound and label in (BENIGN, MALIGNANT)
    }
    yield from ()


def _content(path: Path) -> Content:
    try:
        digest = sha256_of_file(path)
    except OSError as error:
        return Content(fault=f"{path}: an image must be a readable file; {error.strerror or error}")
    try:
        pixels = read_roi(path)
    except MicrocalcError as error:
        return Content(sha256=digest, fault=str(error))
    fingerprint = hashlib.sha256(pixels.astype("<u2").tobytes()).hexdigest()
    darkest, brightest = int(np.min(pixels)), int(np.max(pixels))
    return Content(digest, fingerprint, darkest, brightest, thumbnail=thumbnail(pixels))
