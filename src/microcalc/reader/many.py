"""Reading a whole table of cases: a row of results for each, refusals included; a killed run goes on where it stopped.

Every row goes into a journal beside the results as soon as it is there. When all are there the results are written in
one go, with a record of what made them, and the journal is removed.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from microcalc import RESEARCH_USE, __version__
from microcalc.cohort.images import in_order
from microcalc.cohort.storage import write_atomically
from microcalc.errors import ImageError, InputError
from microcalc.intake.dicom import Mammogram, ReadOptions, Refusal, Verdict
from microcalc.reader.case_table import AskedCase, cases_fingerprint
from microcalc.reader.image_source import Square, open_image
from microcalc.reader.journal import Journal, Row, open_journal
from microcalc.reader.reader import Pixels, Reader
from microcalc.reader.reading import Reading

__all__ = ["ManyRead", "read_image", "read_many", "square_pixels"]

READ, REFUSED = "read", "refused"

IN_FLIGHT = 2
"""Cases at a time: while one is in the networks, the next is decoded."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ManyRead:
    """What came of a table.

    Attributes:
        out: results, CSV.
        record: what made them, JSON.
        cases: in all.
        refused: of them.
        before: of them were there already.
    """

    out: Path
    record: Path
    cases: int
    refused: int
    before: int


def read_many(
    reader: Reader,
    cases: Sequence[AskedCase],
    out: Path,
    *,
    options: ReadOptions | None = None,
    progress: Progress | None = None,
) -> ManyRead:
    """Read all cases of a table, or those that are left.

    Args:
        reader: of the study.
        cases: from `case_table.read_cases`.
        out: CSV that is written; ``OUT.json`` beside it says what made it.
        options: how DICOM is read.
        progress: called with the cases done and all of them.

    Raises:
        InputError: ``out`` holds something else, or another process writes it.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    record, journal_path = (out.with_name(out.name + ending) for ending in (".json", ".journal"))
    about: Row = {"study": reader.study.fingerprint, "run": reader.study.run, "runtime": reader.runtime,
                  "cases": cases_fingerprint(cases), "microcalc": __version__}  # fmt: skip
    lock = FileLock(out.with_name(f".{out.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{out}: another process writes these results; wait for it or choose another --out") from error
    try:
        if _finished(out, record, about):
            return _there_already(out, record, len(cases))
        with open_journal(journal_path, about) as journal:
            before = len(journal.rows)
            _read_rest(reader, cases, journal, options or ReadOptions(), progress)
            refused = sum(row["status"] == REFUSED for row in journal.rows)
            content = _csv(journal.rows, reader)
        write_atomically(out, content)
        counts = {"read": len(cases) - refused, "refused": refused}
        facts = {**about, "protocol": reader.study.name, "counts": counts, "research_use": RESEARCH_USE}
        facts["sha256"] = hashlib.sha256(content).hexdigest()
        write_atomically(record, (json.dumps(facts, indent=1) + "\n").encode())
        journal_path.unlink()
        return ManyRead(out, record, len(cases), refused, before)
    finally:
        lock.release()
        with suppress(OSError):
            Path(lock.lock_file).unlink()


def _finished(out: Path, record: Path, about: Row) -> bool:
    """Whether these very results are there already.

    Raises:
        InputError: other results, or another file, are there.
    """
    if not out.exists():
        return False
    try:
        facts = json.loads(record.read_text(encoding="utf-8"))
        same = all(facts.get(key) == value for key, value in about.items())
        whole = facts["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, AttributeError):
        same = whole = False
    if same and whole:
        return True
    raise InputError(
        f"{out}: results are never overwritten; this file holds others, or was changed. Choose another --out, or "
        "remove it"
    )


def _there_already(out: Path, record: Path, cases: int) -> ManyRead:
    counts = json.loads(record.read_text(encoding="utf-8"))["counts"]
    return ManyRead(out, record, cases, int(counts["refused"]), cases)


def _read_rest(
    reader: Reader,
    cases: Sequence[AskedCase],
    journal: Journal,
    options: ReadOptions,
    progress: Progress | None,
) -> None:
    left = cases[len(journal.rows) :]
    images = _LastImage(options)
    for row in in_order(lambda case: _row(reader, case, images), left, workers=IN_FLIGHT):
        journal.add(row)
        if progress is not None:
            progress(len(journal.rows), len(cases))


class _LastImage:
    """Opens images; several squares of one mammogram in a row decode it once."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._last: tuple[Path, Square | Mammogram | Refusal] | None = None

    def open(self, path: Path) -> Square | Mammogram | Refusal:
        last = self._last
        if last is not None and last[0] == path:
            return last[1]
        image = open_image(path, self._options)
        self._last = (path, image)
        return image


def _row(reader: Reader, case: AskedCase, images: _LastImage) -> Row:
    """One case as a row of the results; what cannot be read becomes a row too."""
    try:
        image = images.open(case.path)
        if isinstance(image, Refusal):
            return _refused(case, image.code.value, image.message)
        return _read(case, read_image(reader, image, case.place))
    except ImageError as error:
        return _refused(case, "image", str(error))


def read_image(
    reader: Reader, image: Square | Mammogram, place: tuple[float, float] | None, *, prevalence: float | None = None
) -> Reading:
    """Read a square that is cut already, or the one around a place of a mammogram.

    Args:
        reader: of the study.
        image: from `image_source.open_image`.
        place: row and column of the lesion in a mammogram; None for a square.
        prevalence: for which the cut-off is explained; default the test set's.

    Raises:
        ImageError: a mammogram without a place, a square with one, or a place outside.
    """
    if isinstance(image, Mammogram):
        return reader.read(image, *_needed(place), prevalence=prevalence)
    if place is not None:
        raise ImageError("a square that is cut already has no place; leave row and column away")
    return reader.read_roi(image.pixels, prevalence=prevalence)


def square_pixels(reader: Reader, image: Square | Mammogram, place: tuple[float, float] | None) -> Pixels:
    """(512, 512) uint16: the square that `read_image` looks at.

    Raises:
        ImageError: a mammogram without a place, or a place outside.
    """
    return reader.square(image, *_needed(place)).pixels if isinstance(image, Mammogram) else image.pixels


def _needed(place: tuple[float, float] | None) -> tuple[float, float]:
    if place is None:
        raise ImageError("a mammogram needs the place of the lesion: row and column")
    return place


def _read(case: AskedCase, reading: Reading) -> Row:
    return {
        **_named(case, READ, Verdict.ACCEPTED.value, ""),
        **{name: repr(score) for name, score in reading.networks.items()},
        "ensemble": repr(reading.ensemble),
        "calibrated": "" if reading.calibrated is None else repr(reading.calibrated),
        "called": "malignant" if reading.called else "benign",
        "cutoff": repr(reading.cutoff),
        "padded": "true" if reading.roi.padded else "false",
        "warnings": " ".join(dict.fromkeys(warning.code.value for warning in reading.warnings)),
    }


def _refused(case: AskedCase, code: str, message: str) -> Row:
    return _named(case, REFUSED, code, message)


def _named(case: AskedCase, status: str, code: str, message: str) -> dict[str, object]:
    row, col = ("", "") if case.place is None else (f"{value:g}" for value in case.place)
    return {"id": case.id, "path": case.written, "row": row, "col": col, "status": status, "code": code,
            "message": message}  # fmt: skip


def _csv(rows: Sequence[Mapping[str, object]], reader: Reader) -> bytes:
    columns = ["id", "path", "row", "col", "status", "code", "message", *reader.study.networks, "ensemble",
               "calibrated", "called", "cutoff", "padded", "warnings"]  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
