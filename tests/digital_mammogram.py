"""A digital mammogram as a modality makes it (Digital Mammography X-Ray Image, for presentation), small."""

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from microcalc.intake.dicom.library import quiet

MAMMOGRAPHY = "1.2.840.10008.5.1.4.1.1.1.2"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _view() -> Dataset:
    view = _code("399162004", "SCT", "cranio-caudal")
    view.ViewModifierCodeSequence = []
    return view


def digital_mammogram(rows: int = 900, columns: int = 700, *, number: int = 1, **values: object) -> FileDataset:
    """A left CC view with a breast on black; keywords overwrite elements, None removes one."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MAMMOGRAPHY
    uid = generate_uid(entropy_srcs=["instance", str(number)])
    meta.MediaStorageSOPInstanceUID = uid
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = MAMMOGRAPHY, uid
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(number)])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(number)])
    for keyword, value in _ELEMENTS.items():
        setattr(dataset, keyword, value)
    dataset.PatientID = f"P{number}"
    dataset.ViewCodeSequence = [_view()]
    dataset.AnatomicRegionSequence = [_code("76752008", "SCT", "Breast")]
    dataset.AcquisitionContextSequence = []
    _add_pixels(dataset, rows, columns)
    with quiet():
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
            if value is None:
                delattr(dataset, keyword)
    return dataset


_ELEMENTS = {
    "ImageType": ["ORIGINAL", "PRIMARY", ""],
    "StudyDate": "20190304", "SeriesDate": "20190304", "AcquisitionDate": "20190304", "ContentDate": "20190304",
    "StudyTime": "101500", "SeriesTime": "101500", "AcquisitionTime": "101500", "ContentTime": "101500",
    "AccessionNumber": "A77", "Modality": "MG", "PresentationIntentType": "FOR PRESENTATION",
    "Manufacturer": "Example", "ManufacturerModelName": "Example FFDM", "DeviceSerialNumber": "1",
    "SoftwareVersions": "1", "ReferringPhysicianName": "", "StudyDescription": "Mammography",
    "PatientName": "M\u00fcller^Ottilie", "PatientBirthDate": "19500101", "PatientSex": "F", "PatientAge": "069Y",
    "StudyID": "1", "SeriesNumber": "1", "InstanceNumber": "1", "PatientOrientation": ["A", "R"],
    "ImageLaterality": "L", "BodyPartExamined": "BREAST", "KVP": "28", "FieldOfViewShape": "RECTANGLE",
    "DetectorType": "DIRECT", "DetectorID": "1", "DetectorConfiguration": "AREA", "DetectorActiveTime": None,
    "PositionerType": "MAMMOGRAPHIC", "ViewPosition": "CC", "OrganExposed": "BREAST", "BreastImplantPresent": "NO",
    "PartialView": "NO", "ImagerPixelSpacing": [0.07, 0.07], "EstimatedRadiographicMagnificationFactor": "1.0",
    "BurnedInAnnotation": "NO", "LossyImageCompression": "00", "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": 1, "RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "US",
    "WindowCenter": ["2000", "1800"], "WindowWidth": ["3000", "2400"], "PresentationLUTShape": "IDENTITY",
    "WindowCenterWidthExplanation": ["NORMAL", "HARDER"], "TubeHeadPosition": None,
    "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 12,
    "HighBit": 11, "PixelRepresentation": 0,
}  # fmt: skip
_ELEMENTS = {keyword: value for keyword, value in _ELEMENTS.items() if value is not None}


def _add_pixels(dataset: Dataset, rows: int, columns: int) -> None:
    """A half disc of tissue at the left edge."""
    row, column = np.mgrid[:rows, :columns]
    distance = np.hypot(row - rows / 2, column) / (min(rows / 2, columns) * 0.9)
    noise = np.random.default_rng(0).normal(0, 60, (rows, columns))
    pixels = np.where(distance < 1, 1500 + 600 * (1 - distance) + noise, 0).clip(0, 4095).astype("<u2")
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = pixels.tobytes()
