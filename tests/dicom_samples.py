"""Small made-up mammograms as DICOM datasets and files, each element on request."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"
MAMMOGRAPHY_RAW = "1.2.840.10008.5.1.4.1.1.1.2.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
TOMOSYNTHESIS = "1.2.840.10008.5.1.4.1.1.13.1.3"


def breast(rows: int = 96, cols: int = 64, *, bits: int = 12, signed: bool = False) -> np.ndarray:
    """(rows, cols) a bright half disc at the left edge of an empty field, with a little texture; the same each time."""
    y, x = np.mgrid[:rows, :cols]
    radius = np.hypot((y - rows / 2) / (rows / 2.4), x / (cols / 1.6))
    texture = (y * 7919 + x * 104729) % 61 / 60
    grey = np.where(radius < 1, 0.45 + 0.4 * (1 - radius) + 0.1 * texture, 0.01 * texture)
    values = np.round(grey * ((1 << bits) - 1)).astype(np.int64)
    values -= (1 << (bits - 1)) if signed else 0
    return values.astype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")


def with_text(stored: np.ndarray, text: str, place: tuple[int, int], *, size: int = 40) -> np.ndarray:
    """Stored values with letters of full brightness."""
    picture = Image.fromarray(np.zeros(stored.shape, np.uint8))
    ImageDraw.Draw(picture).text(place, text, fill=255, font=ImageFont.load_default(size))
    return np.where(np.asarray(picture) > 128, 4095, stored).astype(stored.dtype)


def dataset(stored: np.ndarray | None = None, *, bits: int = 12, **elements: Any) -> Dataset:
    """A complete For Presentation mammogram: left, CC; keywords replace or add elements, None removes one."""
    stored = breast(bits=bits) if stored is None else stored
    ds = Dataset()
    values = {
        "SOPClassUID": MAMMOGRAPHY, "SOPInstanceUID": "1.2.3.4.5", "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "Modality": "MG", "PresentationIntentType": "FOR PRESENTATION", "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PatientID": "P1", "PatientName": "Doe^Jane", "StudyDate": "20190203", "AcquisitionDate": "20190204",
        "AccessionNumber": "A1", "Manufacturer": "Maker", "ManufacturerModelName": "Model", "DeviceSerialNumber": "S1",
        "ImageLaterality": "L", "ViewPosition": "CC", "BurnedInAnnotation": "NO",
        "Rows": stored.shape[0], "Columns": stored.shape[1], "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "PresentationLUTShape": "IDENTITY",
        "BitsAllocated": 8 * stored.dtype.itemsize, "BitsStored": bits, "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "WindowCenter": 1 << (bits - 1), "WindowWidth": 1 << bits,
        "PixelData": stored.tobytes(),
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that DICOM forbids are wanted here
        for keyword, value in (values | elements).items():
            if value is not None:
                setattr(ds, keyword, value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", "1.2")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID", "1.2")
    return ds


def item(**elements: Any) -> Dataset:
    """An item of a sequence."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def code(value: str, scheme: str = "SCT", meaning: str = "x", **elements: Any) -> Dataset:
    """A code of a code sequence."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning, **elements)


def to_bytes(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The dataset as a file; big endian swaps the pixels here, since pydicom writes them as they are."""
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian and ds.BitsAllocated == 16:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    if "PixelData" in ds and ds.get("BitsAllocated") == 8:
        ds["PixelData"].VR = "OB"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcmwrite(
            buffer, ds, enforce_file_format=True, implicit_vr=syntax == ImplicitVRLittleEndian,
            little_endian=syntax != ExplicitVRBigEndian,
        )  # fmt: skip
    return buffer.getvalue()


def compressed(frame: bytes, syntax: str, ds: Dataset, *, fragments: int = 1) -> bytes:
    """The dataset as a file with a compressed frame."""
    ds.PixelData = encapsulate([frame], fragments_per_frame=fragments)
    ds["PixelData"].is_undefined_length = True
    return to_bytes(ds, syntax)


def written(path: Path, content: bytes) -> Path:
    """A file with this content."""
    path.write_bytes(content)
    return path
