"""The DICOM objects of one reading as files: the report under the name that was asked for, what it refers to beside it.

What stands in them is made in `microcalc.reader.objects.structured_report`.
"""

import hashlib
import importlib
import io
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from microcalc.cohort.storage import write_atomically
from microcalc.errors import MissingDependencyError
from microcalc.reader.objects.finding import Finding, Observer, StudyFacts
from microcalc.reader.reading import Reading

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["write_report_files"]

_BESIDE = ("", "-presentation", "-heatmap")
"""What is added to the name of the report for each object, in the order of `report_objects`."""


def write_report_files(
    image: Path, reading: Reading, out: Path, *, observer: Observer, study: StudyFacts, at: datetime
) -> list[Path]:
    """Write the Structured Report of a reading, its presentation state and its heatmap.

    Args:
        image: DICOM file that was read.
        reading: of it.
        out: name of the report, such as ``out.dcm``; the others are ``out-presentation.dcm`` and ``out-heatmap.dcm``.
        observer: who read.
        study: with which networks.
        at: when.

    Returns:
        The files.

    Raises:
        ImageError: the image lacks what identifies it, or cannot be opened any more.
        MissingDependencyError: highdicom is not installed.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    try:
        opener = importlib.import_module("microcalc.reader.objects.source_header")
        report = importlib.import_module("microcalc.reader.objects.structured_report")
    except ImportError as error:
        raise MissingDependencyError(
            f"a Structured Report needs highdicom, which cannot be imported ({error}): pip install 'microcalc[reader]'"
        ) from error
    source: Dataset = opener.open_source_image(image)
    place = reading.roi
    finding = Finding(place.row, place.col, place.side, reading, _reading_id(source, reading, study))
    objects = report.report_objects(source, [finding], observer=observer, study=study, at=at)
    paths = [out.with_name(f"{out.stem}{more}{out.suffix or '.dcm'}") for more in _BESIDE]
    for path, made in zip(paths, objects, strict=True):
        content = io.BytesIO()
        made.save_as(content, enforce_file_format=True)
        write_atomically(path, content.getvalue())
    return paths


def _reading_id(source: "Dataset", reading: Reading, study: StudyFacts) -> str:
    """The same for the same square of the same image read by the same study."""
    place = reading.roi
    parts = (str(source.get("SOPInstanceUID", "")), place.row, place.col, place.side, study.identity)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
