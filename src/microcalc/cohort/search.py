"""Searching a cohort for texts: every byte of it as passages, and many texts looked for at once.

A text is looked for in many spellings (dates, names), encodings and cases. What texts are looked for is the business
of the caller: `microcalc.intake.identifiers` collects those of a source. What a hit means is said in
`microcalc.cohort.disclosure`.
"""

import base64
import datetime as dt
import hashlib
import io
import json
import struct
import urllib.parse
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["FILE_NAMES", "Needles", "Passage", "WantedText", "date_spellings", "passages"]

FILE_NAMES = "names of files and folders"
"""Place of the passage that holds them."""

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMPY = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_DEFLATED = {b"zTXt": 2, b"iCCP": 2, b"iTXt": 3}
"""Chunks with a compressed part, and bytes between their keyword's end and the earliest place where it can begin."""

_MAX_INFLATED = 1 << 24
_BLOCK = 1 << 24
"""Bytes of a large file that are searched at a time."""

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "euc_kr", "shift_jis", "gb18030")
_TEXT_WIDTH, _PIXEL_WIDTH = 4, 8
"""Bytes by which a text is first looked for; shorter ones are not looked for (in pixels: they occur by chance)."""

_LONG_ENOUGH = 12
"""Bytes of a text that no longer occurs by chance inside a number or a hash."""

_DATE_JOINTS = ("", "-", "/", ".", "_", " ")
"""What stands between the parts of a date."""

_HASH_DIGITS = 16
_HEX = frozenset(b"0123456789abcdef")
_TABLE_BITS = 22
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Passage:
    """Bytes of a cohort, and where they stand.

    Attributes:
        place: file, and part of it.
        content: the bytes; of compressed text what it says.
        pixels: whether they are those of a picture, where short texts occur by chance.
    """

    place: str
    content: bytes
    pixels: bool = False


@dataclass(frozen=True)
class WantedText:
    """A text that should not be found.

    Attributes:
        text: as it stands in the source.
        origin: what it is: a DICOM element, a column; never the text itself.
        is_date: also look for it as a date in other spellings.
        is_name: also look for it as a person's name in other spellings.
    """

    text: str
    origin: str
    is_date: bool = False
    is_name: bool = False


# ---------------------------------------------------------------------------------------------- what is there


def passages(folder: Path) -> Iterator[Passage]:
    """Everything that a cohort folder holds, hidden files and the names of all files included.

    PNG files come by chunks, compressed texts inflated; members of zip files (NumPy's and Excel's too) one by one.
    """
    paths = sorted(p for p in folder.rglob("*") if not p.is_dir() or p.is_symlink())
    names = [p.relative_to(folder).as_posix() for p in paths]
    yield Passage(FILE_NAMES, "\n".join(names).encode("utf-8", "surrogateescape"))
    for name, path in zip(names, paths, strict=True):
        if path.is_symlink():
            yield Passage(f"{name}, target of the link", bytes(path.readlink()))
        elif path.is_file():
            yield from _of_file(name, path)


def _of_file(name: str, path: Path) -> Iterator[Passage]:
    with path.open("rb") as file:
        head = file.read(len(_PNG))
        file.seek(0)
        if head == _PNG:
            yield from _of_png(name, file.read())
        elif head.startswith(_ZIP):
            yield from _of_zip(name, file.read())
        else:
            pixels = head.startswith(_NUMPY)
            content, tail = file.read(_BLOCK), b""
            while content:
                yield Passage(name, tail + content, pixels=pixels)
                tail = content[-256:]  # a text may lie across two blocks
                content = file.read(_BLOCK)


def _of_png(name: str, content: bytes) -> Iterator[Passage]:
    """Chunks of a PNG file; what is no chunk comes as it is. Source: PNG specification, 3rd edition, section 5.3."""
    at, picture = len(_PNG), []
    while at + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        if at + 12 + length > len(content) or not kind.isalpha():
            break
        data = content[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IDAT":
            picture.append(data)
        else:
            yield Passage(f"{name}, chunk {kind.decode()}", kind + data + b"\n" + _inflated(kind, data))
        if kind == b"IEND":
            break
    yield Passage(f"{name}, pixels", b"".join(picture), pixels=True)
    if at < len(content):
        yield Passage(f"{name}, after its end", content[at:])


def _inflated(kind: bytes, data: bytes) -> bytes:
    if kind not in _DEFLATED:
        return b""
    start = data.find(b"\0") + _DEFLATED[kind]
    for begin in [start, *(i + 1 for i in range(start, min(len(data), start + 512)) if data[i] == 0)]:
        with suppress(zlib.error):
            return zlib.decompressobj().decompress(data[begin:], _MAX_INFLATED)
    return b""


def _of_zip(name: str, content: bytes) -> Iterator[Passage]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                with archive.open(member) as file:
                    data = file.read(_MAX_INFLATED)
                yield Passage(f"{name}, {member.filename}", member.filename.encode() + b"\n" + data)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, zlib.error):
        yield Passage(name, content)


# ---------------------------------------------------------------------------------------------- what is looked for


class Needles:
    """Many texts that are looked for at once.

    Args:
        wanted: the texts; each in every spelling, encoding and case, and as what common hash functions make of it.
    """

    def __init__(self, wanted: Iterable[WantedText]) -> None:
        self.wanted = tuple(wanted)
        self._by_bytes: dict[bytes, set[int]] = defaultdict(set)
        for number, text in enumerate(self.wanted):
            codes = {code for spelling in _spellings(text) for code in _codes(spelling)}
            for code in codes | _hashes(text.text):
                self._by_bytes[code.lower()].add(number)
        self._sieves = {
            width: _Sieve([n for n in self._by_bytes if len(n) >= width], width)
            for width in (_TEXT_WIDTH, _PIXEL_WIDTH)
        }

    def find(self, passage: Passage) -> set[int]:
        """Which of the texts stand in a passage, as their numbers in ``wanted``."""
        content = passage.content.lower()
        sieve = self._sieves[_PIXEL_WIDTH if passage.pixels else _TEXT_WIDTH]
        found: set[int] = set()
        for end, needle in sieve.hits(content):
            if not found.issuperset(self._by_bytes[needle]) and not _by_chance(content, end - len(needle), end):
                found |= self._by_bytes[needle]
        return found


class _Sieve:
    """Finds the places where one of many byte strings ends: first by a table of hashes, then by comparing.

    Strings are known by their last ``width`` bytes, since UIDs of one device begin alike.
    """

    def __init__(self, needles: list[bytes], width: int) -> None:
        self._width = width
        self._by_tail: dict[int, list[bytes]] = defaultdict(list)
        for needle in needles:
            self._by_tail[int.from_bytes(needle[-width:], "little")].append(needle)
        self._tails = np.array(sorted(self._by_tail), dtype=np.uint64)
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self._table[_mixed(self._tails)] = True

    def hits(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Byte after its end, and needle, of every occurrence."""
        for start in range(self._width if len(self._tails) else 0):
            count = (len(content) - start) // self._width
            if count <= 0:
                break
            words = np.frombuffer(content, dtype=f"<u{self._width}", count=count, offset=start).astype(np.uint64)
            likely = np.flatnonzero(self._table[_mixed(words)])
            nearest = np.minimum(np.searchsorted(self._tails, words[likely]), len(self._tails) - 1)
            for index in likely[self._tails[nearest] == words[likely]]:
                end = start + (int(index) + 1) * self._width
                for needle in self._by_tail[int(words[index])]:
                    if content.startswith(needle, end - len(needle)) and end >= len(needle):
                        yield end, needle


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = (words * _MIX) >> np.uint64(64 - _TABLE_BITS)
    return mixed


def _by_chance(content: bytes, start: int, end: int) -> bool:
    """Whether a short text is but a part of a longer number, word or hash."""
    needle = content[start:end]
    if len(needle) >= _LONG_ENOUGH:
        return False
    before, after = content[start - 1 : start] if start else b"", content[end : end + 1]
    if needle.isdigit() and (_part_of_number(before) or _part_of_number(after)):
        return True
    if needle.isalpha() and (before.isalpha() or after.isalpha()):
        return True
    return _HEX.issuperset(needle) and _hexadecimal_run(content, start, end) >= _HASH_DIGITS


def _part_of_number(neighbour: bytes) -> bool:
    return neighbour.isdigit() or neighbour == b"."


def _hexadecimal_run(content: bytes, start: int, end: int) -> int:
    while start and content[start - 1] in _HEX:
        start -= 1
    while end < len(content) and content[end] in _HEX:
        end += 1
    return end - start


def _spellings(wanted: WantedText) -> set[str]:
    out = {wanted.text}
    if wanted.is_date:
        out |= set(date_spellings(wanted.text))
    for group in wanted.text.split("=") if wanted.is_name else ():  # DICOM: alphabetic, ideographic, phonetic
        parts = [p for p in group.replace(",", "^").replace(" ", "^").split("^") if p]
        for joint in ("^", " ", ", ", ",", "_", "-", ".", ""):
            out |= {joint.join(parts), joint.join(parts[::-1]), joint.join(parts[:2]), joint.join(parts[1::-1])}
    return {s for s in out if s}


def date_spellings(text: str) -> list[str]:
    """Usual ways to write a DICOM or ISO date; none where it is no date."""
    try:
        day = dt.date.fromisoformat(text[:10].strip() if "-" in text[:5] else text[:8])
    except ValueError:
        return []
    orders = (("%Y", "%m", "%d"), ("%d", "%m", "%Y"), ("%m", "%d", "%Y"))
    return [day.strftime(joint.join(order)) for order in orders for joint in _DATE_JOINTS]


def _codes(text: str) -> set[bytes]:
    """Bytes that may stand for a text; at least as many as the shortest search needs."""
    out = set()
    for case in {text, text.casefold(), text.lower(), text.upper()}:
        for encoding in _ENCODINGS:
            with suppress(UnicodeEncodeError):
                out.add(case.encode(encoding))
    plain = text.encode("utf-8", "surrogatepass")
    out |= {json.dumps(text)[1:-1].encode(), urllib.parse.quote(plain).encode(), plain.hex().encode()}
    if len(plain) >= _LONG_ENOUGH - 2:
        out |= {_base64_core(plain, shift) for shift in range(3)}
    return {code for code in out if len(code) >= _TEXT_WIDTH}


def _hashes(text: str) -> set[bytes]:
    """What common hash functions make of a text: without a key they hide no hospital number."""
    plain = text.encode("utf-8", "surrogatepass")
    digests = (hashlib.new(name, plain, usedforsecurity=False) for name in ("md5", "sha1", "sha256"))
    return {digest.hexdigest()[:_HASH_DIGITS].encode() for digest in digests}


def _base64_core(plain: bytes, shift: int) -> bytes:
    """Base64 digits that do not depend on what stands before and after the text."""
    coded = base64.b64encode(bytes(shift) + plain).rstrip(b"=")
    lead = (0, 2, 3)[shift]
    return coded[lead : len(coded) - (1 if (shift + len(plain)) % 3 else 0)]
