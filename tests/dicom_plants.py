"""A DICOM file with an identifier planted in every text value representation, nested and private elements too."""

import warnings
from pathlib import Path

from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

TEXT_VRS = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
PER_VR = 6
"""Standard elements of each value representation that are planted, if there are so many."""


def planted(vr: str, number: int) -> str:
    """A value of this representation that occurs nowhere else."""
    digits = f"{number:05d}"
    return {
        "AE": f"SCANAE{digits}",
        "AS": "073Y",
        "CS": f"CODEWORD{digits}",
        "DA": f"19{20 + number % 60}{1 + number % 12:02d}{1 + number % 28:02d}",
        "DS": f"73519.{digits}",
        "DT": f"19{20 + number % 60}0{1 + number % 9}17093311.{digits}",
        "IS": f"9417{digits}",
        "LO": f"Hospital Number {digits}",
        "LT": f"Referred by Dr. Weissnichtwo {digits}",
        "PN": f"Zwillinger{digits}^Ottilie",
        "SH": f"ACC{digits}",
        "ST": f"Kornblumenweg {digits}",
        "TM": f"0933{number % 60:02d}.{digits}",
        "UC": f"unlimited words {digits}",
        "UI": f"1.2.826.0.1.3680043.9.{digits}.77",
        "UR": f"https://hospital.example/{digits}",
        "UT": f"Frau Zwillinger {digits}, geboren in Worpswede",
    }[vr]


def _plant_standard(dataset: Dataset, start: int, *, leave: frozenset[str]) -> dict[str, str]:
    plants, counts = {}, dict.fromkeys(TEXT_VRS, 0)
    for keyword, tag in keyword_dict.items():
        vr = dictionary_VR(tag) if (tag >> 16) > 8 or keyword else ""
        if vr not in counts or counts[vr] >= PER_VR or keyword in leave or (tag >> 16) in (0, 2, 0xFFFA):
            continue
        counts[vr] += 1
        start += 1
        plants[f"{keyword} ({vr})"] = planted(vr, start)
        setattr(dataset, keyword, planted(vr, start))
    return plants


def plant(dataset: Dataset, *, leave: frozenset[str] = frozenset()) -> dict[str, str]:
    """Plant values in a dataset, in its nested and in its private elements.

    Args:
        dataset: is changed.
        leave: keywords that keep what they have.

    Returns:
        Planted value of each place.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plants = _plant_standard(dataset, 100, leave=leave)
        inner, outer = Dataset(), Dataset()
        plants |= {f"nested {k}": v for k, v in _plant_standard(inner, 300, leave=frozenset()).items()}
        outer.ReferencedImageSequence = Sequence([inner])
        dataset.RequestAttributesSequence = Sequence([outer])
        block = dataset.private_block(0x0019, "MICROCALC TEST 77441", create=True)
        for offset, vr in enumerate(TEXT_VRS):
            value = planted(vr, 500 + offset)
            plants[f"private {vr}"] = value
            block.add_new(offset, vr, value)
        block.add_new(0x80, "OB", b"\x00\x01private bytes 88123\x00")
        block.add_new(0x81, "UN", b"unknown bytes 88124 ")
        nested = Dataset()
        nested.PatientName = "Privatissima^Adelgunde"
        block.add_new(0x82, "SQ", Sequence([nested]))
    return plants | {
        "private OB": "private bytes 88123",
        "private UN": "unknown bytes 88124",
        "private SQ": "Privatissima^Adelgunde",
        "private creator": "MICROCALC TEST 77441",
    }


def write_planted(path: Path) -> dict[str, str]:
    """A DICOM file that holds nothing but plants."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.9.424242.1"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = "SENDERAE9"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    plants = plant(dataset, leave=frozenset({"SpecificCharacterSet"}))
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "M\u00fcller^J\u00fcrgen=\u6d2a^\u5409\u6d1e"
    dataset.PatientID = "H4711"
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.9.424242.1"
    dataset.InstitutionName = "St. Elsewhere"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    return plants | {"PatientID (LO)": "H4711", "sender": "SENDERAE9", "InstitutionName (LO)": "St. Elsewhere"}
