"""A small CBIS-DDSM on disk: tables as TCIA writes them, and pictures with the headers of the real ones."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dicom_samples import SECONDARY_CAPTURE, breast, dataset, to_bytes

HEADER = [
    "patient_id", "breast density", "left or right breast", "image view", "abnormality id", "abnormality type",
    "calc type", "calc distribution", "assessment", "pathology", "subtlety", "image file path",
    "cropped image file path", "ROI mask file path",
]  # fmt: skip


@dataclass(frozen=True)
class Lesion:
    """A lesion that is drawn and described; ``box`` is top, left, bottom, right in the whole mammogram."""

    patient: str = "P_00005"
    side: str = "RIGHT"
    view: str = "CC"
    number: int = 1
    pathology: str = "MALIGNANT"
    split: str = "Training"
    box: tuple[int, int, int, int] = (300, 200, 339, 259)

    @property
    def whole(self) -> str:
        """Patient ID in the header of the whole mammogram."""
        return f"Calc-{self.split}_{self.patient}_{self.side}_{self.view}"

    @property
    def own(self) -> str:
        """Patient ID in the header of cut-out and mask."""
        return f"{self.whole}_{self.number}"


def uid(name: str, what: str) -> str:
    """A UID of a picture, the same each time."""
    return "1.3.6.1.4.1.9590.100.1.2." + str(int.from_bytes(f"{name}{what}".encode(), "big") % 10**30)


def secondary_capture(
    name: str, series: str, stored: np.ndarray, *, description: str, number: int = 1, uids: Sequence[str] = ()
) -> bytes:
    """A picture with the elements of the real objects: no spacing, no view position, side and view elsewhere.

    ``uids``: Study and Series Instance UID; default made up from the name.
    """
    study, series = uids or (uid(name, "study"), uid(name, series))
    side, view = name.split("_")[3:5]
    elements = dict.fromkeys(
        ("PresentationIntentType", "ImageType", "AcquisitionDate", "Manufacturer", "ManufacturerModelName",
         "DeviceSerialNumber", "ImageLaterality", "ViewPosition", "BurnedInAnnotation", "PresentationLUTShape",
         "WindowCenter", "WindowWidth")
    )  # fmt: skip
    bits = 8 * stored.dtype.itemsize
    return to_bytes(
        dataset(
            stored, bits=bits, SOPClassUID=SECONDARY_CAPTURE, SOPInstanceUID=uid(series, f"{number}"),
            StudyInstanceUID=study, SeriesInstanceUID=series, PatientID=name, PatientName=name,
            StudyDate="20160807", ContentDate="20160426", AccessionNumber="", ConversionType="WSD",
            BodyPartExamined="BREAST", SecondaryCaptureDeviceManufacturer="MathWorks", StudyID="DDSM",
            Laterality=side[0], PatientOrientation=view, SeriesDescription=description, SeriesNumber="1",
            InstanceNumber=str(number), **elements,
        )
    )  # fmt: skip


def whole_picture(name: str = "", rows: int = 800, columns: int = 700) -> np.ndarray:
    """16-bit film, bright breast on black, a little other for each name."""
    coarse = np.random.default_rng(list(name.encode()) or 0).uniform(0.3, 1.0, (10, 10))
    shades = np.kron(coarse, np.ones((rows // 10, columns // 10)))
    return (breast(rows, columns, bits=16) * shades).astype(np.uint16)


def mask_picture(lesion: Lesion, shape: tuple[int, int] = (800, 700)) -> np.ndarray:
    """8-bit mask, 255 inside the lesion."""
    mask = np.zeros(shape, dtype=np.uint8)
    top, left, bottom, right = lesion.box
    mask[top : bottom + 1, left : right + 1] = 255
    return mask


def place(root: Path, folder: str, content: bytes, name: str = "1-1.dcm") -> Path:
    """A file where the downloader puts it: PATIENT/DATE-DDSM-STUDY/NUMBER-DESCRIPTION-SERIES/1-1.dcm."""
    path = root / "CBIS-DDSM" / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_pictures(
    root: Path, lesion: Lesion, *, mask_first: bool = False, mask: np.ndarray | None = None, whole: bool = True
) -> None:
    """Whole mammogram, mask and cut-out of one lesion; ``mask_first``: the mask is 1-1.dcm, not 1-2.dcm."""
    if whole:
        content = secondary_capture(
            lesion.whole, "whole", whole_picture(lesion.whole), description="full mammogram images"
        )
        place(root, f"{lesion.whole}/08-07-2016-DDSM-23157/1.000000-full mammogram images-38548", content)
    marked = mask_picture(lesion) if mask is None else mask
    top, left, bottom, right = lesion.box
    crop = whole_picture(lesion.whole)[top : bottom + 1, left : right + 1]
    where = f"{lesion.own}/08-30-2017-DDSM-09081/1.000000-ROI mask images-94682"
    names = ("1-1.dcm", "1-2.dcm") if mask_first else ("1-2.dcm", "1-1.dcm")
    description = "cropped images" if mask_first else "ROI mask images"
    place(root, where, secondary_capture(lesion.own, "roi", marked, description=description, number=2), names[0])
    content = secondary_capture(lesion.own, "roi", crop, description="ROI mask images", number=1)
    place(root, where, content, names[1])


def row(lesion: Lesion) -> list[str]:
    """The lesion's row, with the line break that every real one has."""
    whole = f"{lesion.whole}/{uid(lesion.whole, 'study')}/{uid(lesion.whole, 'whole')}/000000.dcm"
    roi = f"{lesion.own}/{uid(lesion.own, 'study')}/{uid(lesion.own, 'roi')}"
    return [
        lesion.patient, "3", lesion.side, lesion.view, str(lesion.number), "calcification", "PUNCTATE-PLEOMORPHIC",
        "CLUSTERED", "4", lesion.pathology, "3", whole, f"{roi}/000001.dcm\n", f"{roi}/000000.dcm",
    ]  # fmt: skip


def write_table(path: Path, lesions: Sequence[Lesion]) -> Path:
    """A description table with the line ends of the real ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows([HEADER, *(row(lesion) for lesion in lesions)])
    return path


def write_collection(root: Path, lesions: Sequence[Lesion]) -> Path:
    """Tables of both sets and all pictures; lesions of one picture share its file."""
    written: set[str] = set()
    for lesion in lesions:
        write_pictures(root, lesion, whole=lesion.whole not in written)
        written.add(lesion.whole)
    for split, name in (("Training", "train"), ("Test", "test")):
        own = [lesion for lesion in lesions if lesion.split == split]
        if own:
            write_table(root / f"calc_case_description_{name}_set.csv", own)
    return root
