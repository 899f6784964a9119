"""The checks of a cohort: table, files, greys, record. Each looks at the evidence and yields findings.

What stands on two sides of the split or twice is checked in `microcalc.cohort.leaks`, what is mixed in
`microcalc.cohort.mixtures`, what tells who the patients are in `microcalc.cohort.disclosure`; the rules of a row live
in `microcalc.cohort.rows` and are only reported here. A new check is one more function, and one more line in `CHECKS`.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from microcalc.cohort.evidence import Check, Evidence, mapping_or_empty
from microcalc.cohort.films import films_warning
from microcalc.cohort.findings import Finding, Severity, count, error, note, some, warning
from microcalc.cohort.leaks import LEAK_CHECKS
from microcalc.cohort.mixtures import MIXTURE_CHECKS
from microcalc.cohort.rows import COLUMNS, RowProblem, describe_problems
from microcalc.cohort.splits import assign_splits, patients_on_two_sides
from microcalc.cohort.storage import sha256_of_file
from microcalc.cohort.writer import CLASS_FOLDERS, RECORD, ROIS, TABLE
from microcalc.errors import SplitError
from microcalc.protocol import SplitSettings
from microcalc.vocabulary import Split

__all__ = ["CHECKS", "TWELVE_BIT"]

TWELVE_BIT = 4095
"""Largest value of a 12-bit image; a 16-bit ROI that stays below it was stored without being scaled."""

_HARMLESS = (
    "copies",
    "density",
    "early-release",
    "film",
    "files-without-row",
    "leading-zeros",
    "line-breaks",
    "no_window",
    "other-columns",
    "other-files",
)
"""Remarks of intake that are notes; its others are warnings."""

_SHOWN = 5
"""Names that a message spells out."""


# ---------------------------------------------------------------------------------------------- table


def _rows(evidence: Evidence) -> Iterator[Finding]:
    by_code: dict[str, list[RowProblem]] = defaultdict(list)
    for problem in evidence.problems:
        by_code[problem.code].append(problem)
    for code, problems in by_code.items():
        yield error(code, describe_problems(problems, source=TABLE, shown=_SHOWN))
    unknown = [c for c in evidence.columns if c not in COLUMNS]
    if unknown:
        yield note("unknown-column", f"{TABLE}: nothing reads {count(unknown, 'column')}: {some(unknown)}")


def _sets(evidence: Evidence) -> Iterator[Finding]:
    """What the default protocol would make of the cohort: notes, since a protocol may ask for other sets."""
    if evidence.problems or patients_on_two_sides(evidence.table["patient_id"], evidence.table["split"]):
        return
    try:
        result = assign_splits(evidence.table, SplitSettings())
    except SplitError as error:
        yield note("no-split", f"by default this cohort cannot be divided: {error}")
        return
    sizes = ", ".join(f"{(result.split == s.value).sum()} {s.value}" for s in Split)
    day = "" if result.test_from is None else f", test from {result.test_from} on"
    warnings = (*result.warnings, *films_warning(evidence.record, result))
    remarks = "".join(f" {warning}" for warning in warnings)
    yield note("default-split", f"by default the sets are made by {result.by}: {sizes} images{day}.{remarks}")


# ---------------------------------------------------------------------------------------------- files


def _missing(evidence: Evidence) -> Iterator[Finding]:
    held = [_listing(evidence.folder / ROIS / name) for name in CLASS_FOLDERS]
    missing, misplaced = [], []
    for path in evidence.expected.values():
        label = CLASS_FOLDERS.index(path.parent.name)
        if path.name in held[1 - label]:
            misplaced.append(f"{ROIS}/{CLASS_FOLDERS[1 - label]}/{path.name}")
        if path.name not in held[label]:
            missing.append(f"{ROIS}/{path.parent.name}/{path.name}")
    if misplaced:
        yield error("wrong-folder", f"{count(misplaced, 'image')} in the folder of the other class: {some(misplaced)}")
    if missing:
        yield error("missing-image", f"{count(missing, 'image')} of the table missing: {some(missing)}")


def _extra(evidence: Evidence) -> Iterator[Finding]:
    rois = evidence.folder / ROIS
    known = {f"{name}.png" for name in evidence.expected}  # in the other class's folder: misplaced, not extra
    extra = sorted(f"{ROIS}/{name}" for name in _listing(rois) - set(CLASS_FOLDERS))
    for label in CLASS_FOLDERS:
        extra += sorted(f"{ROIS}/{label}/{name}" for name in _listing(rois / label) - known)
    if extra:
        yield warning("extra-file", f"{count(extra, 'file')} in {ROIS}/ of no row of the table: {some(extra)}")


def _listing(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")} if folder.is_dir() else set()


def _damaged(evidence: Evidence) -> Iterator[Finding]:
    faults = [c.fault for c in evidence.contents.values() if c.fault]
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        yield error("bad-image", f"{count(faults, 'image')} cannot be used: {'; '.join(faults[:_SHOWN])}{more}")


def _changed(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.record:
        return
    recorded = evidence.hashes("images")
    changed = [n for n, c in evidence.contents.items() if n in recorded and c.sha256 and recorded[n] != c.sha256]
    if changed:
        yield error("changed-image", f"{count(changed, 'image')} not as written, by SHA-256: {some(changed)}")
    unrecorded = [n for n in evidence.expected if n not in recorded]
    if unrecorded:
        yield warning(
            "unrecorded-image", f"{count(unrecorded, 'image')} without a hash in {RECORD}: {some(unrecorded)}"
        )
    table_hash = mapping_or_empty(evidence.record.get("sha256")).get(TABLE)
    if sha256_of_file(evidence.folder / TABLE) != table_hash:
        yield warning("changed-table", f"{TABLE} is not as written, by SHA-256; somebody edited it")


def _attachments(evidence: Evidence) -> Iterator[Finding]:
    changed, missing = [], []
    for name, digest in evidence.hashes("attachments").items():
        path = evidence.folder / name
        if not path.is_file():
            missing.append(name)
        elif evidence.contents and sha256_of_file(path) != digest:
            changed.append(name)
    if missing:
        yield error("missing-attachment", f"{count(missing, 'attached file')} missing: {some(missing)}")
    if changed:
        yield error("changed-attachment", f"{count(changed, 'attached file')} not as written: {some(changed)}")


# ---------------------------------------------------------------------------------------------- pictures


def _greys(evidence: Evidence) -> Iterator[Finding]:
    read = {n: c for n, c in evidence.contents.items() if c.pixels}
    flat = [n for n, c in read.items() if c.darkest == c.brightest]
    if flat:
        yield warning("flat-image", f"{count(flat, 'image')} of one grey value only: {some(flat)}")
    dark = [n for n, c in read.items() if c.darkest < c.brightest <= TWELVE_BIT]
    if dark:
        yield warning(
            "grey-range",
            f"{len(dark)} of {len(read)} images use only values up to {TWELVE_BIT} of 65535, like 12-bit images that "
            f"were not scaled: {some(dark)}. Bring them in again with --stored-bits 12",
        )


# ---------------------------------------------------------------------------------------------- record


def _history(evidence: Evidence) -> Iterator[Finding]:
    if evidence.record.get("synthetic") is True:
        yield note("synthetic", "the images of this cohort are made up")
    entry = evidence.record.get("verdicts")
    verdicts = [mapping_or_empty(v) for v in entry] if isinstance(entry, list) else []
    for verdict in verdicts:
        if verdict.get("accepted") is True:
            severity = Severity.NOTE if verdict.get("code") in _HARMLESS else Severity.WARNING
            yield Finding(str(verdict.get("code")), severity, str(verdict.get("message")))
    left_out = [v for v in verdicts if v.get("accepted") is False]
    if left_out:
        yield note("left-out", f"{count(left_out, 'source')} left out when the cohort was made; {RECORD} says why")


CHECKS: tuple[Check, ...] = (
    _rows,
    _missing,
    _extra,
    _damaged,
    _changed,
    _attachments,
    *LEAK_CHECKS,
    _greys,
    *MIXTURE_CHECKS,
    _sets,
    _history,
)
"""Every check, in the order of the report. They are called only where there is a table."""
