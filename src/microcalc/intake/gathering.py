"""Gathering: candidates become a cohort. One way for every source that names image files.

A candidate is a file with its row of the table; where candidates come from is the business of
`microcalc.intake.folders` and `microcalc.intake.spreadsheet`. Files are read, fitted and encoded in threads, a few at
a time, so memory does not grow with the cohort.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from microcalc.cohort.images import (
    ROI_SIDE,
    encode_png,
    fit_to_square,
    in_order,
    read_grey,
    require_side,
    to_sixteen_bits,
)
from microcalc.cohort.marks import says_synthetic, with_mark
from microcalc.cohort.rows import label_of
from microcalc.cohort.table import Cohort, CohortWriter, Verdict, read_cohort
from microcalc.cohort.writer import CLASS_FOLDERS
from microcalc.errors import ImageError, InputError, ProtocolError
from microcalc.intake.naming import RowNames
from microcalc.intake.true_days import FIRST_TRUE_DAY, LAST_TRUE_DAY, can_be_shifted
from microcalc.intake.twins import LabelledFile, in_both_classes

__all__ = ["Candidate", "Gathering", "IntakeSettings", "Progress", "gather"]

Progress = Callable[[int, int], None]
"""Called with the images done and all of them."""

_SHOWN = 200
"""Bad sources whose reason an error spells out; the others are named."""

_TELLING = ("name", "sheet", "patient_pattern")
"""Entries of a source's description that name somebody's folders and files."""

_NAMES_FILES = ("other-files", "other-columns")
"""Remarks that end in a list of names."""

_TWELVE_BIT, _FOURTEEN_BIT = 4095, 16383


@dataclass(frozen=True)
class IntakeSettings:
    """What to do with images that are not as they should be.

    Attributes:
        fit: cut the centre out of larger images, mirror the edges of smaller ones; else another size is refused.
        skip_bad: leave bad sources out, with a verdict; else one bad source refuses the whole.
        stored_bits: bits that 16-bit files use (12 for many detectors), 9 to 16; they are stretched to all 16.
        key: key file of the pseudonyms, outside the cohort; None keeps IDs, days and file names as they are.
    """

    fit: bool = False
    skip_bad: bool = False
    stored_bits: int = 16
    key: Path | None = None

    def __post_init__(self) -> None:
        """Refuse numbers of bits that no 16-bit file has."""
        if not 9 <= self.stored_bits <= 16:
            raise ProtocolError(f"stored bits must be 9 to 16; got {self.stored_bits}")


@dataclass(frozen=True)
class Candidate:
    """One image that may come into the cohort.

    Attributes:
        source: name of file or row for messages and verdicts, without folders of the machine.
        path: of the image file.
        row: columns of the contract, checked.
        file: name of the file for messages, where the source does not say it.
    """

    source: str
    path: Path
    row: Mapping[str, object]
    file: str = ""


@dataclass(frozen=True)
class Gathering:
    """Everything that a source yielded.

    Attributes:
        source: file or folder as the person named it, for messages.
        description: entry of ``sources`` in ``cohort.json``.
        candidates: in the order of the table.
        verdicts: on sources that are bad already, and remarks on the whole (accepted).
    """

    source: str
    description: Mapping[str, object]
    candidates: Sequence[Candidate]
    verdicts: Sequence[Verdict] = ()


@dataclass(frozen=True)
class _Picture:
    """A prepared image, or why there is none (``code`` and ``fault``)."""

    candidate: Candidate
    png: bytes = b""
    bits: int = 0
    brightest: int = 0
    padded: bool = False
    cropped: bool = False
    synthetic: bool = False
    code: str = ""
    fault: str = ""


@dataclass
class _Tally:
    """What the images have in common and where they differ."""

    padded: int = 0
    cropped: int = 0
    synthetic: int = 0
    bits: Counter[tuple[str, int]] = field(default_factory=Counter)
    brightest: int = 0

    def count(self, picture: _Picture) -> None:
        label = CLASS_FOLDERS[_label(picture.candidate)]
        self.padded += picture.padded
        self.cropped += picture.cropped
        self.synthetic += picture.synthetic
        self.bits[label, picture.bits] += 1
        if picture.bits == 16:
            self.brightest = max(self.brightest, picture.brightest)

    def as_record(self, settings: IntakeSettings) -> dict[str, object]:
        return {
            "fit": settings.fit,
            "stored_bits": settings.stored_bits,
            "padded": self.padded,
            "cropped": self.cropped,
            **({"synthetic": self.synthetic} if self.synthetic else {}),
            "bits": {f"{label}, {bits} bit": n for (label, bits), n in sorted(self.bits.items())},
        }

    def remarks(self, source: str, settings: IntakeSettings) -> Iterator[Verdict]:
        total = sum(self.bits.values())
        if self.synthetic:
            say = "all images say" if self.synthetic == total else f"{self.synthetic} of {total} images say"
            yield Verdict(
                source,
                True,
                "synthetic-images",
                f"{say} that they are SYNTHETIC phantoms, so the whole cohort is marked as synthetic: what is made of "
                "it says nothing about patients",
            )
        depths = {label: {bits for name, bits in self.bits if name == label} for label in CLASS_FOLDERS}
        if depths["benign"] and depths["malignant"] and depths["benign"] != depths["malignant"]:
            counts = ", ".join(f"{n} {label} of {bits} bit" for (label, bits), n in sorted(self.bits.items()))
            yield Verdict(
                source,
                True,
                "bits-tell-class",
                f"The classes differ in their bit depths ({counts}): a network can learn the depth, not the disease. "
                "Bring all images in one depth",
            )
        if settings.stored_bits == 16 and 0 < self.brightest <= _FOURTEEN_BIT:
            bits = 12 if self.brightest <= _TWELVE_BIT else 14
            yield Verdict(
                source,
                True,
                "grey-range",
                f"The 16-bit images use only values up to {self.brightest} of 65535, so they come out almost black. If "
                f"they hold {bits} bits, bring them in again with --stored-bits {bits}",
            )


def gather(gathering: Gathering, out: Path, settings: IntakeSettings, *, progress: Progress | None = None) -> Cohort:
    """Read, fit and write every candidate.

    Args:
        gathering: candidates and what is known of the source.
        out: cohort folder; new or empty.
        settings: what to do with what is not as it should be.
        progress: called after each image.

    Raises:
        InputError: bad sources (all are named) without ``skip_bad``, or no usable one.
        CohortError: ``out`` is not empty.
        MicrocalcError: the disk is full, or ``out`` cannot be written.
    """
    left_out = [v for v in gathering.verdicts if not v.accepted] + _two_labels(gathering.candidates)
    remarks = [v for v in gathering.verdicts if v.accepted]
    tally = _Tally()
    hidden = settings.key is not None
    description = {k: v for k, v in gathering.description.items() if not (hidden and k in _TELLING)}
    with CohortWriter(out, sources=[description]) as writer:
        names = RowNames(settings.key, out)
        left_out += _not_to_be_shifted(gathering.candidates) if names.hides else []
        bad = {v.source for v in left_out}
        good = [candidate for candidate in gathering.candidates if candidate.source not in bad]
        pictures = in_order(lambda candidate: _picture(candidate, settings), good)
        for done, picture in enumerate(pictures, start=1):
            if picture.fault:
                name = str(picture.candidate.row["image_id"])
                left_out.append(Verdict(picture.candidate.source, False, picture.code, picture.fault, name))
            elif settings.skip_bad or not left_out:
                writer.add_encoded(names.named(_row(picture)), picture.png)
                tally.count(picture)
            if progress is not None:
                progress(done, len(good))
        left_out.sort(key=lambda verdict: _natural(verdict.source))
        _refuse(gathering, left_out, settings)
        names.close(writer)
        writer.record["intake"] = tally.as_record(settings)
        if tally.synthetic:
            writer.mark_synthetic()
        for verdict in (*remarks, *tally.remarks(str(gathering.description["name"]), settings), *left_out):
            writer.reject(_hidden(verdict, names) if hidden else verdict)
        for verdict in names.remarks("source"):
            writer.reject(verdict)
    return read_cohort(out)


def _label(candidate: Candidate) -> int:
    return label_of(candidate.row.get("label"), candidate.row.get("pathology"))


def _two_labels(candidates: Sequence[Candidate]) -> list[Verdict]:
    """Verdicts on files that stand in both classes."""
    twins = in_both_classes([LabelledFile(c.source, c.path, _label(c)) for c in candidates])
    rule = "a picture must stand in one class"
    return [
        Verdict(
            c.source,
            False,
            "two-labels",
            f"{rule}; {twins[c.source]} is {CLASS_FOLDERS[1 - _label(c)]} and has the same bytes. Remove the wrong one",
            str(c.row["image_id"]),
        )
        for c in candidates
        if c.source in twins
    ]


def _not_to_be_shifted(candidates: Sequence[Candidate]) -> list[Verdict]:
    """Verdicts on days that the secret calendar does not know."""
    rule = f"an exam must be of {FIRST_TRUE_DAY} to {LAST_TRUE_DAY} to be shifted. Mend the date, or leave it empty"
    return [
        Verdict(c.source, False, "exam-date", rule, str(c.row["image_id"]))
        for c in candidates
        if not can_be_shifted(str(c.row.get("exam_date", "")))
    ]


def _hidden(verdict: Verdict, names: RowNames) -> Verdict:
    """A verdict without the names of files and cells; those who made the cohort saw them on the screen."""
    if verdict.accepted:
        named = verdict.code in _NAMES_FILES
        message = verdict.message.partition(":")[0] if named else verdict.message
        return Verdict("source", True, verdict.code, message)
    message = verdict.code.replace("-", " ")
    return Verdict(names.source(verdict.source), False, verdict.code, message)


def _picture(candidate: Candidate, settings: IntakeSettings) -> _Picture:
    code = "bad-image"
    try:
        stored = read_grey(candidate.path, side=None)
        code = "wrong-size"
        if not settings.fit:
            require_side(stored.shape, str(candidate.path))
        code = "grey-values"
        pixels = to_sixteen_bits(stored, stored_bits=settings.stored_bits)
        code = "wrong-size"
        fitted, padded = fit_to_square(pixels)
    except ImageError as error:
        fault = str(error).removeprefix(f"{candidate.path}: ")
        return _Picture(candidate, code=code, fault=f"{candidate.file}: {fault}" if candidate.file else fault)
    synthetic = says_synthetic(candidate.path)
    return _Picture(
        candidate,
        with_mark(encode_png(fitted)) if synthetic else encode_png(fitted),
        bits=stored.itemsize * 8,
        brightest=int(stored.max()),
        padded=padded,
        cropped=max(stored.shape) > ROI_SIDE,
        synthetic=synthetic,
    )


def _row(picture: _Picture) -> dict[str, object]:
    row = dict(picture.candidate.row)
    row["padded"] = "true" if picture.padded else row.get("padded") or "false"
    return row


def _natural(text: str) -> list[tuple[int, str]]:
    """Key that sorts line 9 before line 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]


def _refuse(gathering: Gathering, bad: list[Verdict], settings: IntakeSettings) -> None:
    bad_sources = {v.source for v in bad}
    total = len(bad_sources | {c.source for c in gathering.candidates})
    if len(bad_sources) < total and (settings.skip_bad or not bad):
        return
    texts = [f"  {v.source}: {v.message}" for v in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        texts.append(f"  and {len(bad) - _SHOWN} more: {', '.join(v.source for v in bad[_SHOWN:])}")
    way_out = "No usable image is left." if settings.skip_bad else "Mend them, or leave them out with --skip-bad."
    raise InputError(
        f"{gathering.source}: every image must be usable; {len(bad_sources)} of {total} are not:\n"
        + "\n".join(texts)
        + f"\n{way_out} Nothing was written."
    )
