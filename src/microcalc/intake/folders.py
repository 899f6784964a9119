"""Intake of the paper's own layout: a folder for each class, the images inside.

``DIR/benign`` and ``DIR/malignant``, in any upper or lower case, with folders inside them or without. The layout knows
no patients, so a pattern can find them in the file names; without one every image is taken as a patient of its own,
and the cohort says so wherever it is used.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from microcalc.cohort.rows import COLUMNS, check_rows
from microcalc.cohort.table import Cohort, Verdict
from microcalc.cohort.writer import CLASS_FOLDERS
from microcalc.errors import InputError, ProtocolError
from microcalc.intake.gathering import Candidate, Gathering, IntakeSettings, Progress, gather

__all__ = ["PATIENTS_UNKNOWN", "from_folders", "id_from_path"]

PATIENTS_UNKNOWN = "patients-unknown"
"""Code of the verdict that says that images could not be grouped by patient."""

_OTHER_FILES = (
    ".csv",
    ".htm",
    ".html",
    ".ini",
    ".json",
    ".log",
    ".md",
    ".pdf",
    ".txt",
    ".xls",
    ".xlsx",
    ".xml",
    ".yaml",
)
"""Files beside the images that nobody takes for images; all others must be images."""

_IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")

_SHORT_GROUPS = {"patient": "patient_id", "lesion": "lesion_id", "date": "exam_date"}
_GROUPS = {**_SHORT_GROUPS, **{c: c for c in COLUMNS if c not in ("image_id", "label", "padded")}}


@dataclass(frozen=True)
class _File:
    path: Path
    label: int
    relative: Path
    """Path inside the class folder."""

    @property
    def source(self) -> str:
        return f"{CLASS_FOLDERS[self.label]}/{self.relative.as_posix()}"


@dataclass
class _Found:
    """What stands in the class folders: image files, names of files that are none, and why an entry is no file."""

    files: list[_File] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    faults: list[Verdict] = field(default_factory=list)


@dataclass
class _Sorted:
    """Files that can go on, and verdicts on those that cannot."""

    rows: dict[str, tuple[_File, dict[str, object]]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)


def from_folders(
    folder: Path,
    out: Path,
    settings: IntakeSettings | None = None,
    *,
    patient_pattern: str | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Make a cohort of a folder with ``benign`` and ``malignant`` inside.

    Args:
        folder: its PNG, TIFF and JPEG files, 8 or 16 bit grey, become the ROI images; the folder is the label.
        out: cohort folder; new or empty.
        settings: what to do with other sizes, bad files and unscaled greys.
        patient_pattern: regular expression that is searched in each file's path below its class folder, without the
            suffix. The named group ``patient`` is the patient; groups ``lesion``, ``date`` and the columns of the
            contract (``laterality``, ``view``, ...) fill those. Without a pattern each image is its own patient.
        progress: called after each image.

    Raises:
        InputError: a class folder is missing or empty, or files cannot be used (all are named).
        ProtocolError: the pattern is no regular expression, or names no patient.
        CohortError: ``out`` is not empty.

    Example:
        >>> from_folders(folder, out, patient_pattern=r"(?P<patient>P\\d+)_(?P<laterality>[LR])(?P<view>CC|MLO)")
    """
    pattern, name = _compiled(patient_pattern), folder.resolve().name
    there = _class_files(folder)
    found = _sorted_files(there.files, pattern)
    found.verdicts += there.faults
    if pattern is None:
        found.verdicts.insert(0, _patients_unknown(name))
    if there.other:
        files = (
            "1 file that is no image was"
            if len(there.other) == 1
            else f"{len(there.other)} files that are no images were"
        )
        note = f"{files} passed over: {', '.join(there.other[:5])}"
        found.verdicts.insert(0, Verdict(name, True, "other-files", note))
    candidates = [Candidate(file.source, file.path, row) for file, row in found.rows.values()]
    description = {"kind": "folders", "name": name, "patient_pattern": patient_pattern or ""}
    gathering = Gathering(str(folder), description, candidates, found.verdicts)
    return gather(gathering, out, settings or IntakeSettings(), progress=progress)


def id_from_path(relative: Path) -> str:
    """An image_id from a path: suffix dropped, folders joined, what no file name should hold replaced by ``_``."""
    text = "_".join([*relative.parts[:-1], relative.stem])
    return re.sub(r"[^\w.-]+", "_", text).lstrip("-.").rstrip(".")


def _patients_unknown(name: str) -> Verdict:
    return Verdict(
        name,
        True,
        PATIENTS_UNKNOWN,
        "Patients are not known: each image was taken as a patient of its own, so images of one patient may stand on "
        "two sides of a split and flatter every result. Give --patient-pattern, or a table with a patient_id column "
        "(microcalc cohort from-table)",
    )


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ProtocolError(
            f"the patient pattern must be a regular expression; {pattern!r} is none: {error}"
        ) from error
    unknown = sorted(set(compiled.groupindex) - set(_GROUPS))
    if unknown:
        raise ProtocolError(f"the patient pattern may name the groups {', '.join(_GROUPS)}; it names {unknown}")
    if not {"patient", "patient_id"} & set(compiled.groupindex):
        raise ProtocolError(
            rf"the patient pattern must name the group patient, as in (?P<patient>\d+); {pattern!r} does not"
        )
    return compiled


def _class_files(folder: Path) -> _Found:
    """What stands in both class folders, in the order of the paths; hidden entries are left aside."""
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder with the folders benign and malignant inside; there is none")
    inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    out = _Found()
    for label, name in enumerate(CLASS_FOLDERS):
        found = [p for p in inside if p.name.casefold() == name]
        if len(found) != 1:
            names = ", ".join(p.name for p in inside) or "no folders"
            raise InputError(f"{folder}: must hold one folder named {name}; it holds {names}")
        before = len(out.files)
        for entry in _entries(found[0], label):
            _take(entry, out)
        if len(out.files) == before:
            raise InputError(f"{found[0]}: must hold the {name} images; it holds none")
    return out


def _entries(folder: Path, label: int) -> Iterator[_File]:
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if not any(part.startswith(".") for part in relative.parts):
            yield _File(path, label, relative)


def _take(entry: _File, out: _Found) -> None:
    fault = "" if entry.path.is_file() else _no_file(entry.path)
    if fault and not _is_other(entry.path):
        out.faults.append(Verdict(entry.source, False, "no-file", f"an image must be a file; {fault}"))
    elif _is_other(entry.path):
        out.other += [] if entry.path.is_dir() else [entry.source]
    elif entry.path.is_file():
        out.files.append(entry)


def _no_file(path: Path) -> str:
    """What an entry is that is no file, and the way out; empty for a folder whose files are read in their turn."""
    if path.is_symlink():
        if path.is_dir():
            return "this is a link to a folder, which is not followed. Put the folder itself here"
        return "this is a link that leads to no file. Mend or remove it"
    if not path.is_dir():
        return "this is a pipe, socket or device. Remove it"
    if not os.access(path, os.R_OK | os.X_OK):
        return "this is a folder that may not be opened. Change its rights"
    return "this is a folder. Rename it" if path.suffix.casefold() in _IMAGE_SUFFIXES else ""


def _is_other(path: Path) -> bool:
    return path.suffix.casefold() in _OTHER_FILES or path.name.casefold() == "thumbs.db"


def _sorted_files(files: list[_File], pattern: re.Pattern[str] | None) -> _Sorted:
    out = _Sorted()
    names = _image_ids(files)
    count = Counter(name.casefold() for name in names)
    matched: list[tuple[_File, dict[str, object]]] = []
    for file, name in zip(files, names, strict=True):
        row: dict[str, object] = {"image_id": name, "patient_id": name, "label": file.label}
        match = None if pattern is None else pattern.search(file.relative.with_suffix("").as_posix())
        if count[name.casefold()] > 1:
            alike = f"{count[name.casefold()]} files would have it (upper and lower case are not told apart)"
            message = f"image_id {name!r} must be unique; {alike}. Rename them"
            out.verdicts.append(Verdict(file.source, False, "duplicate-id", message, name))
        elif pattern is not None and match is None:
            message = f"the file name must match the patient pattern {pattern.pattern!r}; it does not"
            out.verdicts.append(Verdict(file.source, False, "no-patient", message, name))
        else:
            row |= {_GROUPS[k]: v for k, v in match.groupdict().items() if v is not None} if match else {}
            matched.append((file, row))
    if matched:
        _check_values(matched, out)
    return out


def _check_values(matched: list[tuple[_File, dict[str, object]]], out: _Sorted) -> None:
    checked = check_rows(pd.DataFrame([row for _, row in matched], dtype=object), source="file names")
    bad = {p.position for p in checked.problems}
    for problem in checked.problems:
        out.verdicts.append(Verdict(matched[problem.position][0].source, False, problem.code, problem.message))
    rows = checked.table.to_dict(orient="records")
    for position, (file, _) in enumerate(matched):
        if position not in bad:
            row = {str(k): v for k, v in rows[position].items()}
            out.rows[str(row["image_id"])] = (file, row)


def _image_ids(files: list[_File]) -> list[str]:
    """Names of the images; where a name stands in both classes (1.png and 1.png), all begin with their class."""
    names = [id_from_path(f.relative) for f in files]
    of_class = [{n.casefold() for n, f in zip(names, files, strict=True) if f.label == label} for label in (0, 1)]
    if of_class[0] & of_class[1]:
        return [f"{CLASS_FOLDERS[f.label]}_{n}" for n, f in zip(names, files, strict=True)]
    return names
