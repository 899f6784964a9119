"""Each transfer syntax gives the values back bit by bit; damaged frames are verdicts."""

import io
import signal
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_samples import breast, compressed, dataset, to_bytes
from microcalc.intake.dicom import (
    Mammogram,
    NoteCode,
    ReadOptions,
    Refusal,
    Verdict,
    apart,
    codecs,
    read_header,
    read_mammogram,
)
from microcalc.intake.dicom.codestream import codestream_size

REFERENCE = Path(__file__).parent / "reference/dicom"
LOSSLESS = sorted(
    p for p in REFERENCE.glob("*.dcm") if not {"lossy", "near", "extended", "baseline"} & set(p.stem.split("_"))
)
LOSSY = {"jpegls_near_u12": 2, "jpeg_baseline_u8": 12, "jpeg_extended_u12": 17, "jpeg2000_lossy_u12": 205}
"""Largest difference from the original, as the encoders left it."""

RLE = "1.2.840.10008.1.2.5"
JPEG2000 = "1.2.840.10008.1.2.4.90"


def original(path: Path) -> np.ndarray:
    kind = path.stem.split("_")[-1]
    return breast(bits=int(kind[1:]), signed=kind[0] == "s")


def read(source) -> Mammogram:
    answer = read_mammogram(source)
    assert isinstance(answer, Mammogram), answer
    return answer


@pytest.mark.parametrize("path", LOSSLESS, ids=lambda p: p.stem)
def test_lossless_encodings_are_bit_exact(path):
    answer = read(path)
    np.testing.assert_array_equal(answer.stored, original(path))
    assert answer.stored.dtype == original(path).dtype
    assert not answer.facts.lossy


def test_all_lossless_encodings_are_among_them():
    assert {p.stem.rsplit("_", 1)[0] for p in LOSSLESS} == {
        "rle", "jpeg_lossless_sv1", "jpeg_lossless_p14", "jpegls", "jpeg2000", "htj2k",
    }  # fmt: skip


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_encodings_are_near_and_said(name):
    path = REFERENCE / f"{name}.dcm"
    answer = read(path)
    difference = np.abs(answer.stored.astype(int) - original(path))
    assert 0 < difference.max() <= LOSSY[name]
    assert answer.facts.lossy
    assert NoteCode.LOSSY in {n.code for n in answer.notes}


def test_twelve_bit_jpeg_extended_equals_another_programs_decoding():
    np.testing.assert_array_equal(
        read(REFERENCE / "jpeg_extended_u12.dcm").stored, np.load(REFERENCE / "jpeg_extended_u12.npy")
    )


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False), (12, True)])
def test_uncompressed_encodings(syntax, bits, signed):
    stored = breast(bits=bits, signed=signed)
    answer = read(to_bytes(dataset(stored, bits=bits, WindowCenter=0 if signed else 100), syntax))
    np.testing.assert_array_equal(answer.stored, stored)
    assert answer.facts.transfer_syntax == syntax


@pytest.mark.parametrize("shape", [(96, 64), (95, 63)])
@pytest.mark.parametrize("kind", [b"OW", b"OB"])
def test_big_endian_words_of_two_pixels_of_8_bits_are_turned(shape: tuple[int, int], kind: bytes):
    stored = breast(*shape, bits=8)
    plain = stored.tobytes() + b"\0" * (stored.size % 2)
    turned = np.frombuffer(plain, "<u2").astype(">u2").tobytes() if kind == b"OW" else plain
    ds = dataset(stored, bits=8)
    ds.PixelData = turned
    content = to_bytes(ds, ExplicitVRBigEndian).replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10" + kind)
    np.testing.assert_array_equal(read(content).stored, stored)
    np.testing.assert_array_equal(read(pydicom.dcmread(io.BytesIO(content))).stored, stored)
    np.testing.assert_array_equal(pydicom.dcmread(io.BytesIO(content)).pixel_array, stored)


def test_implicit_elements_behind_an_explicit_claim_are_read():
    content = to_bytes(dataset(), ImplicitVRLittleEndian)
    place = content.index(b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0")
    claim = b"\x02\x00\x10\x00UI\x14\x001.2.840.10008.1.2.1\0"
    length = int.from_bytes(content[140:144], "little") + 2
    claimed = content[:140] + length.to_bytes(4, "little") + content[144:place] + claim + content[place + 26 :]
    np.testing.assert_array_equal(read(claimed).stored, breast())


def test_the_private_encoding_of_ge_has_pixels_in_big_endian():
    ds = dataset(breast().astype(">u2"))
    ds.PixelData = breast().astype(">u2").tobytes()
    content = to_bytes(ds, ImplicitVRLittleEndian)
    place = content.index(b"\x02\x00\x10\x00UI")
    assert content[place + 6 : place + 8] == b"\x12\x00"
    private = content[:place] + b"\x02\x00\x10\x00UI\x12\x001.2.840.113619.5.2" + content[place + 8 + 18 :]
    np.testing.assert_array_equal(read(private).stored, breast())


def test_an_odd_number_of_bytes_has_one_more_for_padding():
    stored = breast(95, 63, bits=8)
    np.testing.assert_array_equal(read(to_bytes(dataset(stored, bits=8))).stored, stored)


def test_a_frame_in_several_fragments_is_joined():
    frame = (REFERENCE / "jpeg2000_u12.dcm").read_bytes()
    start = frame.index(b"\xff\x4f\xff\x51")
    codestream = frame[start : frame.index(b"\xff\xd9", start) + 2]
    for fragments in (1, 2, 7):
        content = compressed(codestream, JPEG2000, dataset(), fragments=fragments)
        np.testing.assert_array_equal(read(content).stored, breast())


def test_a_forgotten_delimiter_at_the_end_is_forgiven():
    content = (REFERENCE / "rle_u12.dcm").read_bytes()
    assert content[-8:] == b"\xfe\xff\xdd\xe0\0\0\0\0"
    np.testing.assert_array_equal(read(content[:-8]).stored, breast())


def test_rle_without_its_package_is_decoded_by_pydicom(monkeypatch):
    monkeypatch.setattr(codecs, "codec", lambda _name: None)
    np.testing.assert_array_equal(read(REFERENCE / "rle_u16.dcm").stored, breast(bits=16))


def with_frame(frame: bytes, syntax: str) -> bytes:
    return compressed(frame, syntax, dataset())


@pytest.mark.parametrize("path", sorted(REFERENCE.glob("*.dcm")), ids=lambda p: p.stem)
def test_cut_frames_are_verdicts_or_have_the_right_shape(path):
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00")
    for share in (0.1, 0.5, 0.9, 0.99):
        end = start + int((len(content) - start) * share)
        answer = read_mammogram(content[:end])
        assert isinstance(answer, Refusal)
        assert answer.code in (Verdict.TRUNCATED, Verdict.NO_PIXEL_DATA)


@pytest.mark.parametrize("syntax", [RLE, JPEG2000, "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"])
@pytest.mark.parametrize("frame", [b"\0" * 64, b"\xff\xd8\xff\xd9", b"\xff\x4f\xff\x51" + b"\0" * 60, b"junk" * 50])
def test_frames_of_nonsense_are_damaged_pixels(syntax, frame):
    answer = read_mammogram(with_frame(frame, syntax))
    assert isinstance(answer, Refusal)
    assert answer.code in (Verdict.DAMAGED_PIXELS, Verdict.COLOUR)


def test_a_codestream_that_claims_a_giant_gets_no_memory():
    content = (REFERENCE / "jpeg2000_u12.dcm").read_bytes()
    start = content.index(b"\xff\x4f\xff\x51")
    giant = content[: start + 8] + struct.pack(">LL", 60_000, 60_000) + content[start + 16 :]
    answer = read_mammogram(giant)
    assert isinstance(answer, Refusal)
    assert "60000 x 60000" in answer.message
    content = (REFERENCE / "jpeg_lossless_sv1_u12.dcm").read_bytes()
    start = content.index(b"\xff\xc3")
    giant = content[: start + 5] + struct.pack(">HH", 60_000, 60_000) + content[start + 9 :]
    answer = read_mammogram(giant)
    assert isinstance(answer, Refusal)
    assert answer.code is Verdict.DAMAGED_PIXELS


def test_the_sizes_in_the_codestreams_are_found():
    for path in REFERENCE.glob("*.dcm"):
        content = path.read_bytes()
        for mark in (b"\xff\x4f\xff\x51", b"\xff\xd8\xff"):
            start = content.find(mark, 800)
            if start > 0:
                assert codestream_size(content[start:]) == (96, 64, 1)


def test_items_that_hold_more_than_any_frame_can_are_refused():
    ds = dataset()
    ds.PixelData = encapsulate([bytes(200_000)])
    ds["PixelData"].is_undefined_length = True
    answer = read_mammogram(to_bytes(ds, RLE))
    assert isinstance(answer, Refusal)
    assert answer.code is Verdict.WRONG_LENGTH


def test_the_header_alone_is_read_without_decoding():
    found = read_header(with_frame(b"junk" * 50, RLE))
    assert found.facts.code is None if isinstance(found, Refusal) else found.rows == 96
    assert isinstance(read_mammogram(with_frame(b"junk" * 50, RLE), ReadOptions()), Refusal)


def test_a_frame_that_kills_its_decoder_is_a_verdict_and_the_next_is_read():
    answer = read_mammogram(REFERENCE / "aborts_gdcm.bin")
    assert isinstance(answer, Refusal)
    assert answer.code is Verdict.DAMAGED_PIXELS
    assert "died" in answer.message
    np.testing.assert_array_equal(read(REFERENCE / "jpegls_u12.dcm").stored, breast())


def test_a_decoder_that_takes_too_long_is_ended(monkeypatch):
    read(REFERENCE / "jpegls_u12.dcm")
    apart._helper.process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(apart, "LONGEST_SECONDS", 0.3)
    answer = read_mammogram(REFERENCE / "jpegls_u12.dcm")
    assert isinstance(answer, Refusal)
    assert "took too long" in answer.message
    monkeypatch.undo()
    np.testing.assert_array_equal(read(REFERENCE / "jpegls_u12.dcm").stored, breast())


def test_threads_share_the_decoder():
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(read, [REFERENCE / f"{name}_u12.dcm" for name in ("jpegls", "jpeg_lossless_sv1")] * 6))
    for answer in answers:
        np.testing.assert_array_equal(answer.stored, breast())


def test_loss_that_only_the_codestream_tells_is_said():
    content = (REFERENCE / "jpeg2000_lossy_u12.dcm").read_bytes()
    silent = content.replace(b"\x28\x00\x10\x21CS\x02\x0001", b"\x28\x00\x10\x21CS\x02\x0000")
    assert silent != content
    answer = read(silent)
    assert answer.facts.lossy
    assert "the header does not say so" in next(n.message for n in answer.notes if n.code is NoteCode.LOSSY)
    assert not read(REFERENCE / "jpeg2000_u12.dcm").facts.lossy
