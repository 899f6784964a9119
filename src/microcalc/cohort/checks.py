"""The checks of a cohort: table, files, pictures. Each looks at the evidence and yields findings.

A new check (privacy of DICOM sources, near-duplicates) is one more function, and one more line in `CHECKS`. The rules
of a row live in `microcalc.cohort.rows`; here they are only reported.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from microcalc.cohort.evidence import Check, Evidence, Finding, Severity, mapping_or_empty
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


def _error(code: str, message: str) -> Finding:
    return Finding(code, Severity.ERROR, message)


def _warning(code: str, message: str) -> Finding:
    return Finding(code, Severity.WARNING, message)


def _note(code: str, message: str) -> Finding:
    return Finding(code, Severity.NOTE, message)


def _some(things: Iterable[object]) -> str:
    every = [str(thing) for thing in things]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def _count(things: list[str], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


# ---------------------------------------------------------------------------------------------- table


def _rows(evidence: Evidence) -> Iterator[Finding]:
    by_code: dict[str, list[RowProblem]] = defaultdict(list)
    for problem in evidence.problems:
        by_code[problem.code].append(problem)
    for code, problems in by_code.items():
        yield _error(code, describe_problems(problems, source=TABLE, shown=_SHOWN))
    unknown = [c for c in evidence.columns if c not in COLUMNS]
    if unknown:
        yield _note("unknown-column", f"{TABLE}: nothing reads {_count(unknown, 'column')}: {_some(unknown)}")


def _leaks(evidence: Evidence) -> Iterator[Finding]:
    leaking = patients_on_two_sides(evidence.table["patient_id"], evidence.table["split"])
    if leaking:
        yield _error(
            "leak",
            f"the split column puts {_count(leaking, 'patient')} on two sides: {_some(leaking)}. Change it, or empty "
            "it and let microcalc split by patient; split.by: image accepts the leak",
        )


def _lesions(evidence: Evidence) -> Iterator[Finding]:
    named = evidence.table[evidence.table["lesion_id"] != ""]
    labels = named.groupby(["patient_id", "lesion_id"])["label"].nunique()
    twice = [f"{lesion} of patient {patient}" for patient, lesion in labels.index[labels > 1]]
    if twice:
        yield _error(
            "lesion-labels", f"a lesion must have one label; {_count(twice, 'lesion')} with two: {_some(twice)}"
        )


def _sets(evidence: Evidence) -> Iterator[Finding]:
    """What the default protocol would make of the cohort: notes, since a protocol may ask for other sets."""
    if evidence.problems or patients_on_two_sides(evidence.table["patient_id"], evidence.table["split"]):
        return
    try:
        result = assign_splits(evidence.table, SplitSettings())
    except SplitError as error:
        yield _note("no-split", f"by default this cohort cannot be divided: {error}")
        return
    sizes = ", ".join(f"{(result.split == s.value).sum()} {s.value}" for s in Split)
    day = "" if result.test_from is None else f", test from {result.test_from} on"
    remarks = "".join(f" {warning}" for warning in result.warnings)
    yield _note("default-split", f"by default the sets are made by {result.by}: {sizes} images{day}.{remarks}")


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
        yield _error(
            "wrong-folder", f"{_count(misplaced, 'image')} in the folder of the other class: {_some(misplaced)}"
        )
    if missing:
        yield _error("missing-image", f"{_count(missing, 'image')} of the table missing: {_some(missing)}")


def _extra(evidence: Evidence) -> Iterator[Finding]:
    rois = evidence.folder / ROIS
    known = {f"{name}.png" for name in evidence.expected}  # in the other class's folder: misplaced, not extra
    extra = sorted(f"{ROIS}/{name}" for name in _listing(rois) - set(CLASS_FOLDERS))
    for label in CLASS_FOLDERS:
        extra += sorted(f"{ROIS}/{label}/{name}" for name in _listing(rois / label) - known)
    if extra:
        yield _warning("extra-file", f"{_count(extra, 'file')} in {ROIS}/ of no row of the table: {_some(extra)}")


def _listing(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if not p.name.startswith(".")} if folder.is_dir() else set()


def _damaged(evidence: Evidence) -> Iterator[Finding]:
    faults = [c.fault for c in evidence.contents.values() if c.fault]
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        yield _error("bad-image", f"{_count(faults, 'image')} cannot be used: {'; '.join(faults[:_SHOWN])}{more}")


def _changed(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.record:
        return
    recorded = evidence.hashes("images")
    changed = [n for n, c in evidence.contents.items() if n in recorded and c.sha256 and recorded[n] != c.sha256]
    if changed:
        yield _error("changed-image", f"{_count(changed, 'image')} not as written, by SHA-256: {_some(changed)}")
    unrecorded = [n for n in evidence.expected if n not in recorded]
    if unrecorded:
        yield _warning(
            "unrecorded-image", f"{_count(unrecorded, 'image')} without a hash in {RECORD}: {_some(unrecorded)}"
        )
    table_hash = mapping_or_empty(evidence.record.get("sha256")).get(TABLE)
    if sha256_of_file(evidence.folder / TABLE) != table_hash:
        yield _warning("changed-table", f"{TABLE} is not as written, by SHA-256; somebody edited it")


def _attachments(evidence: Evidence) -> Iterator[Finding]:
    changed, missing = [], []
    for name, digest in evidence.hashes("attachments").items():
        path = evidence.folder / name
        if not path.is_file():
            missing.append(name)
        elif evidence.contents and sha256_of_file(path) != digest:
            changed.append(name)
    if missing:
        yield _error("missing-attachment", f"{_count(missing, 'attached file')} missing: {_some(missing)}")
    if changed:
        yield _error("changed-attachment", f"{_count(changed, 'attached file')} not as written: {_some(changed)}")


# ---------------------------------------------------------------------------------------------- pictures


def _duplicates(evidence: Evidence) -> Iterator[Finding]:
    """Identical pixels under several names; where images were not read, identical files by their recorded hashes."""
    prints = {n: c.pixels for n, c in evidence.contents.items() if c.pixels} or evidence.hashes("images")
    rows = evidence.table.drop_duplicates("image_id")
    rows = rows[rows["image_id"].isin(list(evidence.expected))]
    rows = rows.assign(pixels=[str(prints.get(str(n), n)) for n in rows["image_id"]])
    rows = rows[rows.duplicated("pixels", keep=False)]
    names = rows.groupby("pixels", sort=False)["image_id"].agg(" = ".join)
    left = set(names.index)
    for kind in ("label", "split", "patient_id", ""):
        facts = rows[["pixels", kind]].drop_duplicates() if kind else rows
        differing = left & set(facts.loc[facts.duplicated("pixels"), "pixels"])
        left -= differing
        if differing:
            yield _duplicate_finding(kind, names[[p in differing for p in names.index]].tolist())


def _duplicate_finding(differing: str, groups: list[str]) -> Finding:
    start = f"{_count(groups, 'group')} of images with identical pixels"
    if differing == "label":
        return _error("duplicate-labels", f"{start} and different labels: {_some(groups)}")
    if differing == "split":
        return _error("duplicate-leak", f"{start} on two sides of the split: {_some(groups)}")
    if differing == "patient_id":
        return _warning("duplicate-patients", f"{start} and different patients: {_some(groups)}; sets may share them")
    return _warning("duplicate", f"{start}: {_some(groups)}")


def _greys(evidence: Evidence) -> Iterator[Finding]:
    read = {n: c for n, c in evidence.contents.items() if c.pixels}
    flat = [n for n, c in read.items() if c.darkest == c.brightest]
    if flat:
        yield _warning("flat-image", f"{_count(flat, 'image')} of one grey value only: {_some(flat)}")
    dark = [n for n, c in read.items() if c.darkest < c.brightest <= TWELVE_BIT]
    if dark:
        yield _warning(
            "grey-range",
            f"{len(dark)} of {len(read)} images use only values up to {TWELVE_BIT} of 65535, like 12-bit images that "
            f"were not scaled: {_some(dark)}. Bring them in again with --stored-bits 12",
        )


# ---------------------------------------------------------------------------------------------- record


def _history(evidence: Evidence) -> Iterator[Finding]:
    if evidence.record.get("synthetic") is True:
        yield _note("synthetic", "the images of this cohort are made up")
    entry = evidence.record.get("verdicts")
    verdicts = [mapping_or_empty(v) for v in entry] if isinstance(entry, list) else []
    for verdict in verdicts:
        if verdict.get("accepted") is True:
            severity = Severity.NOTE if verdict.get("code") in _HARMLESS else Severity.WARNING
            yield Finding(str(verdict.get("code")), severity, str(verdict.get("message")))
    left_out = sum(v.get("accepted") is False for v in verdicts)
    if left_out:
        yield _note("left-out", f"{left_out} sources were left out when the cohort was made; {RECORD} says why")


CHECKS: tuple[Check, ...] = (
    _rows,
    _leaks,
    _lesions,
    _missing,
    _extra,
    _damaged,
    _changed,
    _attachments,
    _duplicates,
    _greys,
    _sets,
    _history,
)
"""Every check, in the order of the report. They are called only where there is a table."""
