"""Reading a mammogram: from a file, its bytes or a dataset to greys, or to the reason why not.

The parts are called in the order of the data: parse, gather, judge, decode, grey levels, surroundings. Whatever a
file holds, an answer comes back; only a missing pydicom raises.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.dicom.burned_in import suspected_text
from microcalc.intake.dicom.facts import Facts, Mammogram, Note, ReadOptions, Refusal, as_record
from microcalc.intake.dicom.gathering import gather
from microcalc.intake.dicom.greys import GreyScale
from microcalc.intake.dicom.kind import is_for_processing, judge_kind
from microcalc.intake.dicom.library import CONTENT_ERRORS, Rejected, pydicom_module, quiet
from microcalc.intake.dicom.pixel_format import PixelFormat, pixel_format
from microcalc.intake.dicom.pixels import decode
from microcalc.intake.dicom.source import Opened, Source, open_source
from microcalc.intake.dicom.surroundings import Background, judge_background, sample_step
from microcalc.intake.dicom.syntaxes import check_syntax
from microcalc.intake.dicom.verdicts import NoteCode, Verdict
from microcalc.intake.dicom.windows import Voi, VoiKind, choose_voi, grey_scale

__all__ = ["inspect_file", "read_header", "read_mammogram"]

DEFAULT = ReadOptions()

INFLATED_HEADER = 64 << 20
"""Bytes that a deflated file may have beside its pixels."""

UNUSED_RANGE = 0.25
"""Without a window, values that reach less than this share of their bits' range are stretched to their own range."""


class _Reading:
    """One file on its way: what is known of it when it is turned down."""

    def __init__(self, source: Source, options: ReadOptions) -> None:
        self.options = options
        self.facts = Facts(path=str(source) if isinstance(source, Path) else "")
        self.notes: list[Note] = []

    def refusal(self, code: Verdict, message: str) -> Refusal:
        """The answer where the file is turned down."""
        return Refusal(code, message, self.facts, tuple(self.notes))

    def note(self, code: NoteCode, message: str, places: Sequence[tuple[int, int, int, int]] = ()) -> None:
        """Keep something that a reader must know."""
        self.notes.append(Note(code, message, tuple(places)))


Answer = TypeVar("Answer")


def read_mammogram(source: Source, options: ReadOptions = DEFAULT) -> Mammogram | Refusal:
    """Read a mammogram as a radiologist would see it.

    Args:
        source: path of a file, its bytes, or a pydicom dataset.
        options: what is accepted, and how.

    Returns:
        The mammogram, or why there is none. Nothing that a file holds raises.

    Raises:
        MissingDependencyError: pydicom is not installed.
    """
    return _answered(source, options, _whole)


def read_header(source: Source, options: ReadOptions = DEFAULT) -> Facts | Refusal:
    """Read the facts and judge them without touching the pixels.

    Args:
        source: path of a file, its bytes, or a pydicom dataset.
        options: what is accepted.

    Returns:
        The facts of what `read_mammogram` accepts as far as the header tells, or why it does not.

    Raises:
        MissingDependencyError: pydicom is not installed.
    """
    return _answered(source, options, _facts)


def inspect_file(path: Path, options: ReadOptions = DEFAULT) -> dict[str, object]:
    """Read a file and return its verdict as it stands in the JSON of ``microcalc cohort inspect``."""
    return as_record(read_mammogram(path, options))


def _answered(
    source: Source, options: ReadOptions, read: Callable[[_Reading, Opened], Answer]
) -> Answer | Refusal:  # fmt: skip
    """Open a source and read it; whatever it holds, an answer comes back."""
    pydicom_module("pydicom")
    if isinstance(source, str):
        raise TypeError(f"a file is named by a pathlib.Path, not by text: Path({source!r})")
    reading = _Reading(source, options)
    with quiet():
        try:
            with open_source(source, inflate_limit=2 * options.largest_pixels + INFLATED_HEADER) as opened:
                return read(reading, opened)
        except Rejected as rejected:
            return reading.refusal(rejected.code, rejected.message)
        except CONTENT_ERRORS as error:
            words = f"{type(error).__name__}: {str(error)[:200]}"
            return reading.refusal(Verdict.DAMAGED_HEADER, f"the file cannot be read ({words}); fetch it again")


def _facts(reading: _Reading, opened: Opened) -> Facts:
    _judged(reading, opened)
    return reading.facts


def _judged(reading: _Reading, opened: Opened) -> PixelFormat:
    """Everything that the header decides."""
    options = reading.options
    reading.facts, reading.notes, projection = gather(opened, reading.facts.path, options)
    judge_kind(opened.header, reading.facts, options, specimen=projection.specimen)
    form = pixel_format(opened.header, largest_pixels=options.largest_pixels)
    check_syntax(opened.transfer_syntax)
    if opened.file is None:
        raise Rejected(
            Verdict.NO_PIXEL_DATA,
            f"pixel data (7FE0,0010) of {form.rows} x {form.cols} pixels must follow the header; nothing follows. "
            "Fetch the file again, with its pixels",
        )
    return form


def _whole(reading: _Reading, opened: Opened) -> Mammogram:
    form = _judged(reading, opened)
    if is_for_processing(reading.facts):
        reading.note(NoteCode.FOR_PROCESSING_ACCEPTED, "raw values of the detector, accepted on request")
    stored, lost = decode(opened, form)
    if lost and not reading.facts.lossy:
        reading.facts = replace(reading.facts, lossy=True)
        reading.note(NoteCode.LOSSY, "the pixels were compressed with loss, though the header does not say so")
    greys = _greys(reading, opened, form, stored)
    return Mammogram(stored=stored, facts=reading.facts, notes=tuple(reading.notes), greys=greys)


def _greys(reading: _Reading, opened: Opened, form: PixelFormat, stored: NDArray[np.integer]) -> GreyScale:
    """The grey scale by the header, turned round where the pixels say so."""
    voi = choose_voi(opened.header, number=reading.options.window)
    padding = reading.facts.padding
    sample = stored[:: (step := sample_step(stored.shape)), ::step]
    valid = _valid(sample, padding)
    if _is_blank(stored, sample, valid, padding):
        raise Rejected(Verdict.BLANK, "a mammogram has many greys; all pixels, padding aside, have the same value")
    stored_range = _stored_range(reading, form, voi, stored, sample[valid])
    greys = grey_scale(opened.header, form, voi, stored_range=stored_range, padding=padding)
    if not reading.options.check_pixels:
        return greys
    return _checked(reading, greys, stored, judge_background(greys.apply(sample), valid))


def _checked(reading: _Reading, greys: GreyScale, stored: NDArray[np.integer], background: Background) -> GreyScale:
    """The greys after a look at what surrounds the breast."""
    if background.bright:
        words = "the surroundings are brighter than the breast, against the header; the greys were turned round"
        reading.note(NoteCode.BACKGROUND_BRIGHT, words)
        greys = greys.inverted()
    elif not background.clear:
        words = "nothing empty surrounds the breast: whether bright is dense, only the header says"
        reading.note(NoteCode.BACKGROUND_UNCLEAR, words)
    texts = suspected_text(stored, greys)
    if texts:
        places = ", ".join(
            f"rows {top} to {bottom}, columns {left} to {right}" for top, left, bottom, right in texts[:3]
        )
        many = "1 place outside the breast looks" if len(texts) == 1 else f"{len(texts)} places outside the breast look"
        words = f"{many} like text or a marker ({places}); look before sharing the image"
        reading.note(NoteCode.BURNED_IN_SUSPECTED, words, texts)
    return greys


def _valid(sample: NDArray[np.integer], padding: tuple[int, int] | None) -> NDArray[np.bool_]:
    if padding is None:
        return np.ones(sample.shape, bool)
    return np.asarray((sample < padding[0]) | (sample > padding[1]))


def _is_blank(
    stored: NDArray[np.integer],
    sample: NDArray[np.integer],
    valid: NDArray[np.bool_],
    padding: tuple[int, int] | None,
) -> bool:
    """Whether all pixels that are not padding are the same; all of them are looked at only if the sample is."""
    some = sample[valid]
    if some.size and some.min() != some.max():
        return False
    values = stored[_valid(stored, padding)]
    return not some.size or bool(values.min() == values.max())


def _stored_range(
    reading: _Reading, form: PixelFormat, voi: Voi, stored: NDArray[np.integer], sample: NDArray[np.integer]
) -> tuple[int, int]:
    """Stored values that become black and white without a window: all that the bits hold, if they are used."""
    whole = (form.lowest, form.highest)
    if voi.kind != VoiKind.FULL:
        return whole
    words = f"{VoiKind.FULL} of {form.stored} bits"
    if int(sample.max()) - int(sample.min()) < UNUSED_RANGE * (whole[1] - whole[0]):
        padding = reading.facts.padding
        values = stored if padding is None else stored[_valid(stored, padding)]
        whole = (int(values.min()), int(values.max()))
        words = f"range of its values {whole[0]} to {whole[1]}"
    reading.facts = replace(reading.facts, voi=words)
    reading.note(NoteCode.NO_WINDOW, f"neither window nor VOI LUT; greys are the {words}")
    return whole
