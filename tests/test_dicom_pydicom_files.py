"""pydicom's own test files, none of them a mammogram: each has its verdict, and none raises."""

import shutil
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest

from microcalc.intake.dicom import Mammogram, Refusal, Verdict, read_header, read_mammogram

FILES = [path for path in sorted((Path(pydicom.__file__).parent / "data/test_files").rglob("*")) if path.is_file()]
EXPECTED = {
    "CT_small.dcm": Verdict.NOT_MAMMOGRAPHY,
    "SC_rgb_rle_2frame.dcm": Verdict.NOT_MAMMOGRAPHY,
    "DICOMDIR": Verdict.DIRECTORY_RECORD,
    "reportsi.dcm": Verdict.NOT_AN_IMAGE,
    "rtplan.dcm": Verdict.NOT_AN_IMAGE,
    "waveform_ecg.dcm": Verdict.NOT_AN_IMAGE,
    "image_dfl.dcm": Verdict.NOT_MAMMOGRAPHY,
    "README.txt": Verdict.NOT_DICOM,
    "test1.json": Verdict.NOT_DICOM,
    "zipMR.gz": Verdict.ARCHIVE,
    "UN_sequence.dcm": Verdict.DAMAGED_HEADER,
    "MR_truncated.dcm": Verdict.NOT_MAMMOGRAPHY,
}
GREY = [
    "MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm", "CT_small.dcm", "J2K_pixelrep_mismatch.dcm",
]  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_every_file_has_a_verdict(path):
    for answer in (read_mammogram(path), read_header(path)):
        assert isinstance(answer, Refusal)
        if path.name in EXPECTED:
            assert answer.code is EXPECTED[path.name]


def test_the_verdicts_are_spread_as_the_files_are():
    counts = Counter(read_header(path).code for path in FILES)  # type: ignore[union-attr]
    assert set(counts) == {
        Verdict.NOT_MAMMOGRAPHY, Verdict.NOT_AN_IMAGE, Verdict.DIRECTORY_RECORD, Verdict.NOT_DICOM,
        Verdict.DAMAGED_HEADER, Verdict.ARCHIVE,
    }  # fmt: skip


@pytest.mark.parametrize("name", GREY)
def test_other_modalities_called_mammograms_give_pydicoms_pixels(name, tmp_path):
    """With Modality MG in place of MR or CT the pixels are read, and are pydicom's."""
    source = next(path for path in FILES if path.name == name)
    content = source.read_bytes()
    path = tmp_path / name
    shutil.copy(source, path)
    for order in "<>":
        for form in (struct.pack(f"{order}HH2sH", 8, 0x60, b"CS", 2), struct.pack(f"{order}HHL", 8, 0x60, 2)):
            place = content.find(form)
            if place > 0:
                path.write_bytes(content[: place + 8] + b"MG" + content[place + 10 :])
    answer = read_mammogram(path)
    assert isinstance(answer, Mammogram), answer
    np.testing.assert_array_equal(answer.stored, pydicom.dcmread(source).pixel_array)


def test_a_file_that_ends_too_early_is_truncated(tmp_path):
    source = next(path for path in FILES if path.name == "MR_truncated.dcm")
    content = source.read_bytes()
    place = content.index(struct.pack("<HH2sH", 8, 0x60, b"CS", 2))
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: place + 8] + b"MG" + content[place + 10 :])
    answer = read_mammogram(path)
    assert isinstance(answer, Refusal)
    assert answer.code is Verdict.TRUNCATED
