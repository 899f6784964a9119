"""The file that a report speaks of is opened as the intake opens it, whatever its encoding."""

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicom_samples import breast, compressed, dataset, item, to_bytes
from microcalc.errors import ImageError
from microcalc.intake.dicom import Mammogram, read_mammogram
from microcalc.reader.objects.source_header import open_source_image, source_header
from report_readings import finding, objects_of

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
META = 132
ENCODINGS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def photographed() -> bytes:
    """A scanned film in JPEG, whose heatmap is drawn on its greys."""
    greys, jpeg = (breast(620, 560) >> 4).astype(np.uint8), io.BytesIO()
    Image.fromarray(greys).save(jpeg, "JPEG")
    film = dataset(greys, bits=8, SOPClassUID=SECONDARY_CAPTURE)
    return compressed(jpeg.getvalue(), JPEGBaseline8Bit, film)


def objects(path: Path) -> list[bytes]:
    """The objects of a reading, as they are sent."""
    files = []
    for made in objects_of(open_source_image(path), finding(300, 200)):
        file = io.BytesIO()
        made.save_as(file, enforce_file_format=True)
        files.append(file.getvalue())
    return files


def test_a_file_without_preamble_gives_the_same_objects_as_with_one(tmp_path: Path):
    whole, bare = tmp_path / "whole.dcm", tmp_path / "bare.dcm"
    whole.write_bytes(photographed())
    bare.write_bytes(photographed()[META:])
    assert isinstance(read_mammogram(bare), Mammogram)
    assert objects(bare) == objects(whole)
    seen = pydicom.dcmread(io.BytesIO(objects(bare)[2])).pixel_array
    assert seen[:512, :512].std() > 10  # the film, not a plain grey


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_words_of_lookup_tables_keep_their_order(syntax: str, tmp_path: Path):
    table = item(LUTDescriptor=[4096, 0, 12])
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    table.add_new("LUTData", "OW", np.arange(4096).astype(order).tobytes())
    path = tmp_path / "image.dcm"
    path.write_bytes(to_bytes(dataset(breast(620, 560), VOILUTSequence=[table]), syntax))
    taken = source_header(open_source_image(path)).VOILUTSequence[0].LUTData
    assert np.array_equal(np.frombuffer(taken, "<u2"), np.arange(4096))


def test_an_image_that_is_gone_is_told(tmp_path: Path):
    with pytest.raises(ImageError, match="must be there and readable"):
        open_source_image(tmp_path / "gone.dcm")
