"""Folders of small DICOM mammograms with headers as a hospital has them, and spreadsheets beside them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dicom_samples import breast, dataset, to_bytes

ROWS, COLUMNS = 700, 600


def film(number: int = 0) -> np.ndarray:
    """12-bit mammogram, another one for each number."""
    shades = np.random.default_rng(number).uniform(0.3, 1.0, (10, 10))
    return (breast(ROWS, COLUMNS) * np.kron(shades, np.ones((ROWS // 10, COLUMNS // 10)))).astype(np.uint16)


def exam(
    folder: Path,
    patient: str,
    day: str,
    views: Sequence[str] = ("L CC",),
    *,
    name: str = "",
    stored: np.ndarray | None = None,
    **elements: Any,
) -> list[Path]:
    """Files of one exam.

    Args:
        folder: made if it is not there.
        patient: Patient ID.
        day: YYYYMMDD.
        views: side and view of each file.
        name: begins the names of the files; default the patient.
        stored: of all files; default a film of its own for each.
        elements: of DICOM, for all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, words in enumerate(views):
        side, view = words.split()
        unique = int.from_bytes(f"{patient}{day}{number}".encode(), "big") % 10**20
        own = {
            "PatientID": patient, "PatientName": f"Name^{patient}", "StudyDate": day, "AcquisitionDate": day,
            "ImageLaterality": side, "ViewPosition": view, "AccessionNumber": f"ACC{patient}{day}",
            "SOPInstanceUID": f"1.2.826.1{unique}", "StudyInstanceUID": f"1.2.826.7{unique}",
            "ImagerPixelSpacing": [0.07, 0.07], "EstimatedRadiographicMagnificationFactor": 1.0,
        }  # fmt: skip
        pixels = film(unique % 1000) if stored is None else stored
        path = folder / f"{name or patient}_{day}_{number}.dcm"
        path.write_bytes(to_bytes(dataset(pixels, **(own | elements))))
        paths.append(path)
    return paths


def sheet(path: Path, header: str, *rows: str) -> Path:
    """A spreadsheet from lines with commas."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([line.split(",") for line in (header, *rows)])
    return path
