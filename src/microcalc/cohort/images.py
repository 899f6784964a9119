"""ROI images: 16-bit grey squares as arrays, read from PNG, TIFF or JPEG, and the cohort's cached pixels.

Pixels are uint16, rows first, 0 black to 65535 white. Everything an image file can do wrong ends here, as an
`ImageError` that names the file. Resampling for a network lives in `microcalc.learn`.
"""

import hashlib
import io
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

from microcalc.cohort.storage import cached_array, sha256_of_file
from microcalc.errors import CohortError, ImageError

__all__ = [
    "MAX_PIXELS",
    "ROI_SIDE",
    "cached_array",
    "cohort_pixels",
    "encode_png",
    "fit_to_square",
    "in_order",
    "read_grey",
    "read_mask",
    "read_roi",
    "require_side",
    "sha256_of_file",
    "to_sixteen_bits",
]

ROI_SIDE = 512
"""Rows and columns of a ROI image (Kang 2021)."""

MAX_PIXELS = 100_000_000
"""Largest image that is opened at all; a full-field mammogram has about 30 million pixels."""

EIGHT, SIXTEEN = 8, 16
"""Bits of a grey value that an image may have; a cohort's have 16."""

EIGHT_TO_SIXTEEN = 257
"""255 * 257 = 65535: black stays black and white stays white."""

_READERS: tuple[tuple[bytes, str, type[ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG", PngImagePlugin.PngImageFile),
    (b"II*\x00", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\x00*", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"II+\x00", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"MM\x00+", "TIFF", TiffImagePlugin.TiffImageFile),
    (b"\xff\xd8\xff", "JPEG", JpegImagePlugin.JpegImageFile),
)
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)
"""What Pillow raises on files that are cut short or scrambled. Warning: where warnings are errors."""

_GREY_MODES = ("L", "I;16", "I;16L", "I;16B", "I;16N")
_PNG_BITS_AT = 24
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_AS_GREY = "save it as 8 or 16 bit grey with the program that made it"
_CONVERT = """python -c "from PIL import Image; Image.open('IN.png').convert('L').save('OUT.png')\""""
_DICOM_AT, _DICOM = 128, b"DICM"

Check = Callable[[ImageFile, int, str], None]
"""Refuses an image of another kind: the image, bits of a sample, the file's name."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class ImageFolder(Protocol):
    """What `cohort_pixels` needs of a cohort."""

    @property
    def folder(self) -> Path:
        """The cohort folder."""

    def image_paths(self) -> list[Path]:
        """Paths in table order."""


def read_roi(path: Path, *, side: int | None = ROI_SIDE) -> NDArray[np.uint16]:
    """Read a grey image as uint16; 8 bit is scaled by 257, 16 bit is taken as it stands.

    Args:
        path: PNG, TIFF or JPEG, told by content; 8 or 16 bit grey, one page.
        side: rows and columns that the image must have; None admits any size.

    Returns:
        (rows, columns) uint16.

    Raises:
        ImageError: the file is missing, damaged, of another kind, colour, depth or size; the message names it.
    """
    return to_sixteen_bits(read_grey(path, side=side))


def read_grey(path: Path, *, side: int | None = ROI_SIDE) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a grey image as it is stored: (rows, columns) uint8 or uint16; else as `read_roi`."""
    return _read(path, side, _check_grey)


def read_mask(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Read a mask of any size, (rows, columns), 0 outside the lesion.

    Args:
        path: PNG, TIFF or JPEG; grey of any depth, black and white, or a palette whose colour 0 alone is black.

    Raises:
        ImageError: the file is missing, damaged or of another kind; the message names it.
    """
    return _read(path, None, _check_mask)


def _read(path: Path, side: int | None, check: Check) -> NDArray[np.uint8] | NDArray[np.uint16]:
    try:
        with path.open("rb") as file:
            return _decode(file, str(path), side, check)
    except OSError as error:
        raise ImageError(f"{path}: an image must be a readable file; {error.strerror or error}") from error


def to_sixteen_bits(
    pixels: NDArray[np.uint8] | NDArray[np.uint16], *, stored_bits: int = SIXTEEN
) -> NDArray[np.uint16]:
    """Stretch stored grey values to 0..65535.

    Args:
        pixels: (rows, columns); uint8 is taken as 8 bit.
        stored_bits: bits that uint16 pixels use, 9 to 16: detectors deliver 12 to 14.

    Raises:
        ImageError: a value needs more bits than that.
    """
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint16) * np.uint16(EIGHT_TO_SIXTEEN)
    wide = pixels.astype(np.uint16)
    if stored_bits == SIXTEEN:
        return wide
    white = (1 << stored_bits) - 1
    if int(wide.max()) > white:
        raise ImageError(
            f"an image of {stored_bits} stored bits must have values up to {white}; it has {int(wide.max())}"
        )
    return ((wide.astype(np.uint32) * np.uint32(65535) + np.uint32(white // 2)) // np.uint32(white)).astype(np.uint16)


def _decode(file: BinaryIO, name: str, side: int | None, check: Check) -> NDArray[np.uint8] | NDArray[np.uint16]:
    image, kind, bits = _open(file, name)
    try:
        _check_size(image, name, side)
        check(image, bits, name)
        image.load()
        pixels = np.asarray(image)
    except _DAMAGE as error:
        raise ImageError(f"{name}: the {kind} file is damaged or cut short; copy it again ({error})") from error
    return pixels if pixels.dtype == np.uint8 else pixels.astype(np.uint16)


def _open(file: BinaryIO, name: str) -> tuple[ImageFile, str, int]:
    """Read the header: image, kind of file, and bits of a sample.

    Pillow's own `Image.open` is avoided: its guard against huge images is a warning, switched for the whole process.
    """
    head = file.read(_DICOM_AT + len(_DICOM))
    file.seek(0)
    for magic, kind, reader in _READERS:
        if head.startswith(magic):
            try:
                image = reader(file, name)
                return image, kind, _bits_of_sample(image, head)
            except _DAMAGE as error:
                raise ImageError(f"{name}: the {kind} file is damaged or cut short; copy it again ({error})") from error
    found = "it is a DICOM file" if head[_DICOM_AT:] == _DICOM else "its content is none of them"
    raise ImageError(f"{name}: an image must be a PNG, TIFF or JPEG file; {found}. Save it as 16 bit grey PNG")


def _bits_of_sample(image: ImageFile, head: bytes) -> int:
    """Bits as the file says: 1, 2, 4 and 12 bits are unpacked by Pillow without a trace in the mode."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return head[_PNG_BITS_AT]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(np.atleast_1d(image.tag_v2.get(_BITS_PER_SAMPLE, 1))[0])
    return EIGHT


def _check_size(image: ImageFile, name: str, side: int | None) -> None:
    columns, rows = image.size
    if rows * columns > MAX_PIXELS:
        raise ImageError(
            f"{name}: an image may have at most {MAX_PIXELS:,} pixels; it has {rows} rows x {columns} columns"
        )
    if side is not None:
        require_side((rows, columns), name, side=side)


def require_side(shape: tuple[int, ...], name: str, *, side: int = ROI_SIDE) -> None:
    """Refuse an image that is not ``side`` rows x ``side`` columns.

    Raises:
        ImageError: names the image and its size.
    """
    if shape != (side, side):
        found = " x ".join(map(str, shape))
        raise ImageError(f"{name}: a ROI image must have {side} rows x {side} columns; it has {found}")


def _check_grey(image: ImageFile, bits: int, name: str) -> None:
    if image.mode not in _GREY_MODES:
        raise ImageError(f"{name}: an image must be 8 or 16 bit grey; {_what_it_is(image, bits)}")
    if bits not in (EIGHT, SIXTEEN):
        raise ImageError(f"{name}: an image must be 8 or 16 bit grey; it has {bits} bits; {_AS_GREY}")
    _check_file(image, name)


def _check_mask(image: ImageFile, bits: int, name: str) -> None:
    if image.mode not in (*_GREY_MODES, "1", "P"):
        raise ImageError(f"{name}: a mask must be grey, black and white, or have a palette; {_what_it_is(image, bits)}")
    _check_file(image, name)
    if image.mode == "P" and not _only_0_is_black(image):
        raise ImageError(f"{name}: in a mask with a palette colour 0, and no other, must be black; {_AS_GREY}")


def _only_0_is_black(image: ImageFile) -> bool:
    bright = np.reshape(image.getpalette("RGB") or [], (-1, 3)).max(axis=1) > 0
    used = np.unique(np.asarray(image))
    used = used[used < len(bright)]
    return bool((bright[used] == (used != 0)).all())


def _check_file(image: ImageFile, name: str) -> None:
    frames = int(getattr(image, "n_frames", 1))
    if frames != 1:
        raise ImageError(f"{name}: an image file must hold one picture; it holds {frames}")
    if isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise ImageError(f"{name}: in a TIFF file 0 must be black; here it is white. Save it again as 'black is zero'")


def _what_it_is(image: ImageFile, bits: int) -> str:
    words = {
        "RGB": "colour (RGB)",
        "RGBA": "colour with transparency (RGBA)",
        "P": "indexed colour (a palette)",
        "LA": "grey with transparency (LA)",
        "1": "black and white without greys",
        "I": "of 32 bit or signed numbers",
        "F": "of floating-point numbers",
    }
    found = words.get(image.mode, f"of Pillow's mode {image.mode}")
    if image.mode == "RGB":
        channels = np.asarray(image)
        if (channels == channels[..., :1]).all():
            # Pillow keeps 8 of 16 bits of a colour image, so only 8 bits come through it whole.
            way_out = f"nothing is lost when it is made grey: {_CONVERT}" if bits == EIGHT else _AS_GREY
            return f"it is {found} with three equal channels; {way_out}"
    return f"it is {found}; {_AS_GREY}"


def fit_to_square(pixels: NDArray[np.uint16], side: int = ROI_SIDE) -> tuple[NDArray[np.uint16], bool]:
    """Cut the centre out of what is larger, and mirror the edges of what is smaller.

    Args:
        pixels: (rows, columns).
        side: wanted rows and columns.

    Returns:
        (side, side) pixels, and whether anything was padded.

    Raises:
        ImageError: rows or columns are fewer than a third of ``side``: one mirroring would not fill the square.
    """
    if 3 * min(pixels.shape) < side + 2:
        rows, columns = pixels.shape
        raise ImageError(
            f"an image must be at least {-(-(side + 2) // 3)} pixels wide and high to be mirrored to {side}; "
            f"it has {rows} x {columns}"
        )
    starts = [max(0, (n - side) // 2) for n in pixels.shape]
    cut = pixels[starts[0] : starts[0] + side, starts[1] : starts[1] + side]
    lacking = [side - n for n in cut.shape]
    if not any(lacking):
        return np.ascontiguousarray(cut), False
    return np.pad(cut, [(n // 2, n - n // 2) for n in lacking], mode="reflect"), True


def encode_png(pixels: NDArray[np.uint16]) -> bytes:
    """16-bit grey PNG of (rows, columns) uint16 pixels."""
    if pixels.dtype != np.uint16 or pixels.ndim != 2:
        raise ImageError(f"pixels must be 2-D uint16; they are {pixels.ndim}-D {pixels.dtype}")
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "PNG")
    return buffer.getvalue()


def cohort_pixels(cohort: ImageFolder, *, cache: Path | None = None) -> tuple[np.memmap, str]:
    """Pixels of a whole cohort, mapped from a file that is built once for these very images.

    Args:
        cohort: whose images; every file is read and hashed at each call, so a changed image is noticed.
        cache: folder in which each cohort gets one of its own for the file; default ``.cache`` in the cohort folder.
            Give one where that is read-only, or another disk is faster.

    Returns:
        (n, 512, 512) uint16 in table order, read-only; and the key, SHA-256 over the bytes of all image files.

    Raises:
        ImageError: an image is missing, damaged, or of another kind or size.
        CohortError: an image changed while it was read.
        MicrocalcError: the disk is full, or the cache folder cannot be written.
    """
    paths = cohort.image_paths()
    digests = list(in_order(_sha256_or_error, paths))
    key = hashlib.sha256(f"microcalc pixels 1, side {ROI_SIDE}\n{chr(10).join(digests)}".encode()).hexdigest()

    def fill(array: np.ndarray) -> None:
        for row, pixels in enumerate(in_order(_read_unchanged, zip(paths, digests, strict=True))):
            array[row] = pixels

    folder = cohort.folder / ".cache" if cache is None else cache / _name_of_its_own(cohort.folder)
    return cached_array(folder, f"pixels-{key}", (len(paths), ROI_SIDE, ROI_SIDE), np.uint16, fill), key


def _name_of_its_own(cohort: Path) -> str:
    """Name of a cohort's folder in a cache that others share: what is built for one must not push out another's."""
    whole = cohort.resolve()
    return f"{whole.name}-{hashlib.sha256(str(whole).encode()).hexdigest()[:12]}"


def _sha256_or_error(path: Path) -> str:
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise ImageError(f"{path}: an image must be a readable file; {error.strerror or error}") from error


def _read_unchanged(item: tuple[Path, str]) -> NDArray[np.uint16]:
    path, digest = item
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: an image must be a readable file; {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise CohortError(f"{path}: an image must stay as it is while it is read; it changed. Start again")
    return to_sixteen_bits(_decode(io.BytesIO(content), str(path), ROI_SIDE, _check_grey))


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """Map in threads, in order, with a few items in flight: memory does not grow with their number.

    Decoding, encoding and hashing release Python's lock, so threads suffice.
    """
    count = workers or min(8, os.cpu_count() or 1)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
