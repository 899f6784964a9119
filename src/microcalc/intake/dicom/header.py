"""Values of a DICOM header as plain words and numbers, whatever stands there.

A value that is missing, empty or of a wrong kind becomes an empty word, NaN or None; nothing here raises on what a
file holds. What the values mean is decided elsewhere.
"""

import math
import re
from collections.abc import Iterable
from typing import cast

from microcalc.intake.dicom.library import CONTENT_ERRORS, DicomDataset

__all__ = ["Header", "iso_date"]

LONGEST_TEXT = 1024
"""Characters of a value that are kept; DICOM's longest short text, ST, has as many."""

LONGEST_LIST = 4096
"""Values or items of one element that are looked at."""


class Header:
    """A dataset, or an item of a sequence, read value by value."""

    def __init__(self, dataset: DicomDataset) -> None:
        self._dataset = dataset
        self._found: dict[str, object] = {}

    @property
    def little_endian(self) -> bool:
        """Byte order in which the dataset was read; little where it was made in memory."""
        encoding = getattr(self._dataset, "original_encoding", None)
        return not (isinstance(encoding, tuple) and encoding[1:] == (False,))

    def raw(self, keyword: str) -> object:
        """The value as pydicom gives it; None where it is missing or cannot be read."""
        if keyword not in self._found:
            try:
                self._found[keyword] = self._dataset.get(keyword)
            except CONTENT_ERRORS:
                self._found[keyword] = None
        return self._found[keyword]

    def has(self, keyword: str) -> bool:
        """Whether the element is there, even if empty."""
        try:
            return keyword in self._dataset
        except CONTENT_ERRORS:
            return False

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values of an element as clean words; empty ones stay, so that positions keep their meaning."""
        try:
            return tuple(_clean(value) for value in _several(self.raw(keyword)))
        except CONTENT_ERRORS:
            return ()

    def text(self, keyword: str) -> str:
        """The first value as a clean word, or an empty one."""
        found = self.texts(keyword)
        return found[0] if found else ""

    def word(self, keyword: str) -> str:
        """The first value in capitals, as code strings are compared."""
        return self.text(keyword).upper()

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as numbers; NaN for what is none."""
        try:
            return tuple(_number(value) for value in _several(self.raw(keyword)))
        except CONTENT_ERRORS:
            return ()

    def number(self, keyword: str) -> float:
        """The first value as a number, or NaN."""
        found = self.numbers(keyword)
        return found[0] if found else math.nan

    def integer(self, keyword: str) -> int | None:
        """The first value as an integer, or None."""
        found = self.number(keyword)
        return int(found) if math.isfinite(found) and found == int(found) else None

    def items(self, keyword: str) -> tuple["Header", ...]:
        """Items of a sequence."""
        value = self.raw(keyword)
        if value is None or isinstance(value, str | bytes | int | float):
            return ()
        try:
            items = [item for item, _ in zip(cast(Iterable[object], value), range(LONGEST_LIST), strict=False)]
        except CONTENT_ERRORS:
            return ()
        return tuple(Header(cast(DicomDataset, item)) for item in items if hasattr(item, "get"))


def iso_date(text: str) -> str:
    """A DICOM date (YYYYMMDD, the older YYYY.MM.DD, or a date and time) as YYYY-MM-DD, or nothing."""
    match = re.match(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})", text)
    if match is None:
        return ""
    year, month, day = (int(part) for part in match.groups())
    good = 1800 <= year <= 2999 and 1 <= month <= 12 and 1 <= day <= 31
    return f"{year:04d}-{month:02d}-{day:02d}" if good else ""


def _several(value: object) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__") or hasattr(value, "original_string"):
        return [value]
    if hasattr(value, "components"):  # a person's name
        return [str(value)]
    return [item for item, _ in zip(cast(Iterable[object], value), range(LONGEST_LIST), strict=False)]


def _clean(value: object) -> str:
    """Printable text without the padding of DICOM; what cannot be printed becomes a space."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    text = text[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return text.strip()


def _number(value: object) -> float:
    try:
        number = float(cast(str, value))
    except CONTENT_ERRORS:
        return math.nan
    return number if math.isfinite(number) else math.nan
