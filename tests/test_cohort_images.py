"""Reading, fitting and caching of ROI images."""

import errno
import hashlib
import io
import os
import re
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cohort_samples import cohort, names_in, picture
from microcalc.cohort import (
    ROI_SIDE,
    CohortWriter,
    cached_array,
    cohort_pixels,
    encode_png,
    fit_to_square,
    read_cohort,
    read_roi,
    sha256_of_file,
)
from microcalc.cohort.images import in_order, to_sixteen_bits
from microcalc.errors import CohortError, ImageError, MicrocalcError

TESTS = Path(__file__).parent


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)  # type: ignore[arg-type]
    return path


def eight_bit() -> np.ndarray:
    return (picture(7) >> 8).astype(np.uint8)


def noise(dtype: type) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (ROI_SIDE, ROI_SIDE), endpoint=True, dtype=dtype)


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_taken_as_they_stand(tmp_path: Path, suffix: str) -> None:
    out = read_roi(saved(tmp_path / f"a.{suffix}", noise(np.uint16)))
    assert out.dtype == np.uint16
    np.testing.assert_array_equal(out, noise(np.uint16))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_eight_bits_are_stretched_so_that_black_and_white_stay(tmp_path: Path, suffix: str) -> None:
    out = read_roi(saved(tmp_path / f"a.{suffix}", noise(np.uint8)))
    np.testing.assert_array_equal(out, noise(np.uint8).astype(int) * 257)
    assert (out.min(), out.max()) == (0, 65535)


def test_a_jpeg_is_read_as_eight_bits(tmp_path: Path) -> None:
    out = read_roi(saved(tmp_path / "a.jpg", eight_bit(), quality=95))
    assert np.abs(out.astype(int) - eight_bit().astype(int) * 257).mean() < 257
    assert (out % 257 == 0).all()


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiffs_are_read(tmp_path: Path, compression: str) -> None:
    out = read_roi(saved(tmp_path / "a.tif", noise(np.uint16), compression=compression))
    np.testing.assert_array_equal(out, noise(np.uint16))


def tiff(pixels: np.ndarray, *, big_endian: bool = False, photometric: int = 1, bits: int = 16) -> bytes:
    """A baseline TIFF written by hand: independent of the reader, and of kinds that no writer makes."""
    order = ">" if big_endian else "<"
    data = pixels.astype(f"{order}u2").tobytes()
    rows, columns = pixels.shape
    entries = [(256, columns), (257, rows), (258, bits), (259, 1), (262, photometric), (273, 8), (277, 1), (278, rows)]
    directory = struct.pack(f"{order}H", len(entries) + 1)
    for tag, value in entries:
        directory += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    directory += struct.pack(f"{order}HHII", 279, 4, 1, len(data)) + struct.pack(f"{order}I", 0)
    head = (b"MM\0*" if big_endian else b"II*\0") + struct.pack(f"{order}I", 8 + len(data))
    return head + data + directory


@pytest.mark.parametrize("big_endian", [False, True])
def test_tiffs_of_both_byte_orders_are_read(tmp_path: Path, big_endian: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(noise(np.uint16), big_endian=big_endian))
    np.testing.assert_array_equal(read_roi(path), noise(np.uint16))


def test_the_content_tells_the_kind_of_file_not_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_png(picture(3)))
    np.testing.assert_array_equal(read_roi(path), picture(3))


def test_any_size_is_read_when_none_is_asked_for(tmp_path: Path) -> None:
    assert read_roi(saved(tmp_path / "a.png", noise(np.uint16)[:100, :37]), side=None).shape == (100, 37)


def test_what_is_encoded_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encode_png(noise(np.uint16)))
    np.testing.assert_array_equal(read_roi(path), noise(np.uint16))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), noise(np.uint16))


# ---------------------------------------------------------------------------------------------- what is refused


def png_header_of(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return start + struct.pack(">I", 1000) + b"IDAT" + bytes(1004)


def image_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def four_bit_png() -> bytes:
    content = image_bytes(Image.new("P", (ROI_SIDE, ROI_SIDE)), "PNG", bits=4)
    chunk = b"IHDR" + struct.pack(">IIBBBBB", ROI_SIDE, ROI_SIDE, 4, 0, 0, 0, 0)
    body = content[33:].replace(b"PLTE", b"pLTe")
    at = body.index(b"pLTe") - 4
    size = struct.unpack(">I", body[at : at + 4])[0]
    return content[:8] + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + body[at + 12 + size :]


SQUARE = (ROI_SIDE, ROI_SIDE)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "must be a PNG, TIFF or JPEG file; its content is none of them"),
    "text": (lambda: b"hello" * 100, "must be a PNG, TIFF or JPEG file; its content is none of them"),
    "DICOM": (lambda: bytes(128) + b"DICM" + bytes(9), "it is a DICOM file. Save it as 16 bit grey PNG"),
    "GIF": (lambda: image_bytes(Image.new("L", SQUARE), "GIF"), "must be a PNG, TIFF or JPEG file"),
    "colour": (
        lambda: image_bytes(Image.new("RGB", SQUARE, (1, 2, 3)), "PNG"),
        "it is colour (RGB); save it",
    ),
    "transparent": (lambda: image_bytes(Image.new("RGBA", SQUARE), "PNG"), "it is colour with transparency (RGBA)"),
    "grey and transparent": (lambda: image_bytes(Image.new("LA", SQUARE), "PNG"), "it is grey with transparency (LA)"),
    "palette": (lambda: image_bytes(Image.new("P", SQUARE), "PNG"), "it is indexed colour (a palette)"),
    "one bit": (lambda: image_bytes(Image.new("1", SQUARE), "PNG"), "it is black and white without greys"),
    "four bit": (four_bit_png, "it has 4 bits"),
    "twelve bit": (lambda: tiff(noise(np.uint16)[:, : ROI_SIDE * 3 // 4], bits=12), "must have 512 rows x 512 columns"),
    "float": (lambda: image_bytes(Image.new("F", SQUARE), "TIFF"), "it is of floating-point numbers"),
    "32 bit": (lambda: image_bytes(Image.new("I", SQUARE), "TIFF"), "it is of 32 bit or signed numbers"),
    "CMYK": (lambda: image_bytes(Image.new("CMYK", SQUARE), "JPEG"), "it is of Pillow's mode CMYK"),
    "white is zero": (
        lambda: tiff(noise(np.uint16), photometric=0),
        "0 must be black; here it is white",
    ),
    "two pages": (
        lambda: image_bytes(Image.new("L", SQUARE), "TIFF", save_all=True, append_images=[Image.new("L", SQUARE)]),
        "must hold one picture; it holds 2",
    ),
    "small": (lambda: encode_png(picture(side=400)), "must have 512 rows x 512 columns; it has 400 x 400"),
    "wide": (lambda: encode_png(noise(np.uint16)[:256]), "must have 512 rows x 512 columns; it has 256 x 512"),
    "bomb": (lambda: png_header_of(100_000, 100_000), "may have at most 100,000,000 pixels; it has 100000 rows"),
}


@pytest.mark.parametrize("kind", list(REFUSED))
def test_a_file_that_is_no_roi_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    make, message = REFUSED[kind]
    path = tmp_path / "a.png"
    path.write_bytes(make())
    with pytest.raises(ImageError, match=re.escape(message)) as caught:
        read_roi(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_twelve_bit_samples_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(noise(np.uint16), bits=12))
    with pytest.raises(ImageError, match="must be 8 or 16 bit grey; it has 12 bits"):
        read_roi(path)


def test_equal_channels_are_refused_with_the_way_to_make_them_grey(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "IN.png", np.dstack([eight_bit()] * 3))
    with pytest.raises(ImageError, match=r"colour \(RGB\) with three equal channels; nothing is lost") as caught:
        read_roi(tmp_path / "IN.png")
    code = re.search(r'python -c "(.*)"', str(caught.value))
    assert code is not None
    monkeypatch.chdir(tmp_path)
    subprocess.run([sys.executable, "-c", code[1]], check=True)
    np.testing.assert_array_equal(read_roi(tmp_path / "OUT.png"), eight_bit().astype(int) * 257)


@pytest.mark.parametrize("name", ["none.png", "folder"])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ImageError, match=f"{name}: an image must be a readable file"):
        read_roi(tmp_path / name)


KINDS = {
    "PNG": lambda: image_bytes(Image.fromarray(noise(np.uint16)), "PNG"),
    "JPEG": lambda: image_bytes(Image.fromarray(noise(np.uint8)), "JPEG"),
    "TIFF": lambda: image_bytes(Image.fromarray(noise(np.uint16)), "TIFF"),
    "LZW TIFF": lambda: image_bytes(Image.fromarray(noise(np.uint16)), "TIFF", compression="tiff_lzw"),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_file_cut_short_is_never_read_as_something_else(tmp_path: Path, kind: str) -> None:
    content, path, refused = KINDS[kind](), tmp_path / "a", 0
    path.write_bytes(content)
    whole = read_roi(path)
    for length in [*range(0, 300, 13), *range(300, len(content), len(content) // 40), len(content) - 20]:
        path.write_bytes(content[:length])
        try:
            np.testing.assert_array_equal(read_roi(path), whole)
        except ImageError:
            refused += 1
    assert refused >= 40


def read_or_message(path: Path) -> str:
    try:
        return str(read_roi(path).shape)
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_scrambled_file_gives_pixels_or_an_image_error(tmp_path: Path, kind: str) -> None:
    content, path = bytearray(KINDS[kind]()), tmp_path / "a"
    rng = np.random.default_rng(1)
    for start in (0, len(content) - 400):  # headers stand at either end
        for _ in range(60):
            scrambled = bytearray(content)
            for at in rng.integers(start, start + 400, 3):
                scrambled[at] = rng.integers(256)
            path.write_bytes(scrambled)
            assert read_or_message(path).startswith(("(512, 512)", f"{path}: "))


# ---------------------------------------------------------------------------------------------- greys and sizes


@given(st.integers(9, 16), st.integers(0, 65535))
def test_stored_bits_are_stretched_to_the_nearest_grey(bits: int, value: int) -> None:
    white = 2**bits - 1
    value &= white
    exact = Fraction(value * 65535, white)
    out = int(to_sixteen_bits(np.array([[value]], dtype=np.uint16), stored_bits=bits)[0, 0])
    assert abs(out - exact) <= Fraction(1, 2)


def test_a_value_beyond_the_stored_bits_is_refused() -> None:
    with pytest.raises(ImageError, match="of 12 stored bits must have values up to 4095; it has 4096"):
        to_sixteen_bits(np.array([[4096]], dtype=np.uint16), stored_bits=12)


@pytest.mark.parametrize("shape", [(512, 512), (513, 700), (1024, 512)])
def test_what_is_larger_is_cut_in_the_middle(shape: tuple[int, int]) -> None:
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint32).astype(np.uint16).reshape(shape)
    out, padded = fit_to_square(pixels)
    top, left = (shape[0] - 512) // 2, (shape[1] - 512) // 2
    np.testing.assert_array_equal(out, pixels[top : top + 512, left : left + 512])
    assert not padded


@pytest.mark.parametrize("shape", [(511, 512), (300, 600), (172, 172)])
def test_what_is_smaller_is_mirrored_at_its_edges(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, shape, dtype=np.uint16)
    out, padded = fit_to_square(pixels)
    assert out.shape == SQUARE
    assert padded
    rows = np.arange(512) - (512 - shape[0]) // 2
    columns = np.arange(512) + max(0, (shape[1] - 512) // 2) - max(0, (512 - shape[1]) // 2)
    mirrored = [np.minimum(np.abs(i), 2 * (n - 1) - np.abs(i)) for i, n in ((rows, shape[0]), (columns, shape[1]))]
    np.testing.assert_array_equal(out, pixels[np.ix_(*mirrored)])


def test_what_one_mirroring_cannot_fill_is_refused() -> None:
    with pytest.raises(ImageError, match="at least 172 pixels wide and high to be mirrored to 512; it has 171 x 512"):
        fit_to_square(np.zeros((171, 512), dtype=np.uint16))


# ---------------------------------------------------------------------------------------------- cached arrays


def ones(array: np.ndarray) -> None:
    array[...] = 1


def nothing(array: np.ndarray) -> None:
    pass


def must_not_run(*arguments: object, **options: object) -> None:
    pytest.fail("this was not to be called")


def test_an_array_is_built_once_and_then_only_mapped(tmp_path: Path) -> None:
    fills = []
    for _ in range(3):
        out = cached_array(tmp_path / "new/cache", "x-1", (2, 3), np.uint16, lambda a: (fills.append(1), ones(a))[1])
        assert out.tolist() == [[1, 1, 1]] * 2
        assert not out.flags.writeable
    assert fills == [1]


def test_what_is_not_filled_is_zero(tmp_path: Path) -> None:
    assert not cached_array(tmp_path, "x-1", (300, 300), np.float32, nothing).any()


def test_older_arrays_of_the_same_prefix_are_removed_and_others_stay(tmp_path: Path) -> None:
    for key in ("x-1", "y-1", "x-y-1", "x-2"):
        cached_array(tmp_path, key, (2,), np.uint8, ones)
    assert [n for n in names_in(tmp_path) if n.endswith("npy")] == ["x-2.npy", "x-y-1.npy", "y-1.npy"]


def test_an_array_of_another_shape_or_a_broken_file_is_built_again(tmp_path: Path) -> None:
    cached_array(tmp_path, "x-1", (2,), np.uint8, ones)
    assert cached_array(tmp_path, "x-1", (3,), np.uint8, ones).shape == (3,)
    assert cached_array(tmp_path, "x-1", (3,), np.uint16, ones).dtype == np.uint16
    (tmp_path / "x-1.npy").write_bytes((tmp_path / "x-1.npy").read_bytes()[:-1])
    assert cached_array(tmp_path, "x-1", (3,), np.uint16, ones).tolist() == [1, 1, 1]


def test_a_fill_that_fails_leaves_no_array(tmp_path: Path) -> None:
    def fails(array: np.ndarray) -> None:
        raise ImageError("broken")

    with pytest.raises(ImageError, match="broken"):
        cached_array(tmp_path, "x-1", (2,), np.uint8, fails)
    assert names_in(tmp_path) == [".x.lock"]


def test_a_full_disk_is_told_before_anything_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, start: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MicrocalcError, match=r"the disk is full .* nothing half-written is left\. Free some space"):
        cached_array(tmp_path, "x-1", (2,), np.uint8, must_not_run)
    assert names_in(tmp_path) == [".x.lock"]


def test_without_fallocate_the_blocks_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    out = cached_array(tmp_path, "x-1", (3 << 20,), np.uint8, ones)
    assert out.all()
    assert (tmp_path / "x-1.npy").stat().st_blocks * 512 >= 3 << 20


def test_a_read_only_folder_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(MicrocalcError, match=r"cannot be written \(Read-only file system\); give another folder"):
        cached_array(tmp_path / "c", "x-1", (2,), np.uint8, ones)


def test_an_array_in_a_read_only_folder_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_array(tmp_path, "x-1", (2,), np.uint8, ones)
    monkeypatch.setattr(Path, "mkdir", must_not_run)
    assert cached_array(tmp_path, "x-1", (2,), np.uint8, ones).tolist() == [1, 1]


RACE = """
    import os, sys, time
    from pathlib import Path
    from microcalc.cohort import cached_array
    folder = Path(sys.argv[1])
    def fill(array):
        with open(folder / "fills", "a") as file:
            file.write("x")
        for row in range(len(array)):
            array[row] = row
            time.sleep(0.01)
    print("ready", flush=True)
    sys.stdin.readline()
    out = cached_array(folder, "x-1", (50, 4), "u2", fill)
    print(out.sum(), flush=True)
"""


def process(script: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", textwrap.dedent(script), str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=TESTS)


def test_processes_that_start_at_once_build_it_once(tmp_path: Path) -> None:
    racers = [process(RACE, tmp_path) for _ in range(3)]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    results = []
    threads = [threading.Thread(target=lambda r=r: results.append(r.communicate("go\n")[0])) for r in racers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [f"{4 * sum(range(50))}\n"] * 3
    assert (tmp_path / "fills").read_text() == "x"
    assert names_in(tmp_path) == [".x.lock", "fills", "x-1.npy"]


HANG = """
    import sys, time
    from pathlib import Path
    from microcalc.cohort import cached_array
    def fill(array):
        array[:2] = 7
        print("half", flush=True)
        time.sleep(60)
    cached_array(Path(sys.argv[1]), "x-old", (4,), "u1", fill)
"""


def test_a_process_killed_in_the_middle_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    with process(HANG, tmp_path) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "half\n"
        killed.send_signal(signal.SIGKILL)
    assert names_in(tmp_path) == [".x-old.partial", ".x.lock"]
    assert cached_array(tmp_path, "x-old", (4,), np.uint8, ones).tolist() == [1, 1, 1, 1]
    assert names_in(tmp_path) == [".x.lock", "x-old.npy"]


# ---------------------------------------------------------------------------------------------- cohort pixels


def test_pixels_come_in_table_order(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        for number, name in enumerate(["z", "a", "m", "b"]):
            writer.add({"image_id": name, "patient_id": "p", "label": number % 2}, picture(number))
    pixels, key = cohort_pixels(read_cohort(tmp_path / "c"))
    assert pixels.shape == (4, ROI_SIDE, ROI_SIDE)
    assert pixels.dtype == np.uint16
    assert pixels[:, 0, 1].tolist() == [0, 1, 2, 3]
    assert re.fullmatch("[0-9a-f]{64}", key)


def test_the_key_is_that_of_the_images_wherever_they_lie(tmp_path: Path) -> None:
    keys = {cohort_pixels(cohort(tmp_path / name))[1] for name in ("one", "two")}
    assert len(keys) == 1


def test_a_changed_image_is_noticed_though_size_and_time_are_the_same(tmp_path: Path) -> None:
    there = cohort(tmp_path / "c")
    before, key = cohort_pixels(there)
    path = there.image_path("i003")
    times = path.stat()
    path.write_bytes(encode_png(picture(99)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    after, new_key = cohort_pixels(there)
    assert new_key != key
    assert (before[3, 0, 1], after[3, 0, 1]) == (3, 99)
    assert [n for n in names_in(tmp_path / "c/.cache") if n.endswith("npy")] == [f"pixels-{new_key}.npy"]


def test_pixels_are_built_once(tmp_path: Path) -> None:
    there = cohort(tmp_path / "c")
    first = cohort_pixels(there)[0]
    built = Path(str(first.filename)).stat()
    assert Path(str(cohort_pixels(there)[0].filename)).stat().st_ino == built.st_ino


def test_another_folder_can_hold_the_cache(tmp_path: Path) -> None:
    there = cohort(tmp_path / "c")
    pixels, key = cohort_pixels(there, cache=tmp_path / "elsewhere")
    assert len(list((tmp_path / "elsewhere").glob(f"c-*/pixels-{key}.npy"))) == 1
    assert not (tmp_path / "c/.cache").exists()
    assert len(pixels) == 12


def test_cohorts_share_a_cache_folder_without_pushing_each_other_out(tmp_path: Path) -> None:
    first, second = cohort(tmp_path / "one/c"), cohort(tmp_path / "two/c")
    changed = second.image_path("i003")
    changed.write_bytes(encode_png(picture(99)))
    for there in (first, second):
        cohort_pixels(there, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("c-*/pixels-*.npy"))) == 2


def test_a_damaged_image_is_named_and_no_cache_is_left(tmp_path: Path) -> None:
    there = cohort(tmp_path / "c")
    path = there.image_path("i003")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ImageError, match=r"i003.png: the PNG file is damaged or cut short"):
        cohort_pixels(there)
    assert names_in(tmp_path / "c/.cache") == [".pixels.lock"]


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    there = cohort(tmp_path / "c")
    there.image_path("i003").unlink()
    with pytest.raises(ImageError, match=r"i003.png: an image must be a readable file; No such file"):
        cohort_pixels(there)


def test_an_image_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = cohort(tmp_path / "c")
    monkeypatch.setattr("microcalc.cohort.images.sha256_of_file", dict.fromkeys(there.image_paths(), "old").__getitem__)
    with pytest.raises(CohortError, match="an image must stay as it is while it is read; it changed"):
        cohort_pixels(there)


# ---------------------------------------------------------------------------------------------- threads and hashes


def test_the_order_is_kept_and_few_items_are_in_flight() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for k in range(100):
            drawn.append(k)
            yield k

    ahead = [len(drawn) - done for done, _ in enumerate(in_order(lambda k: k * k, items(), workers=2), start=1)]
    assert list(in_order(lambda k: k * k, range(100), workers=3)) == [k * k for k in range(100)]
    assert max(ahead) <= 4


def test_an_error_in_a_thread_comes_out(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda k: 1 // k, [1, 0, 1]))


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
