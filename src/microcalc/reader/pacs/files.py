"""DICOM objects as files: what was fetched from a PACS, and what was received from a modality.

Files are named after their SOP Instance UID, checked first, and written whole or not at all.
"""

import io
from pathlib import Path

from pydicom import Dataset

from microcalc.cohort.storage import write_atomically
from microcalc.errors import MicrocalcError, PacsError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.pacs.archive import checked_uid

__all__ = ["as_file", "keep_file"]


def as_file(made: Dataset) -> bytes:
    """An object as the bytes of a DICOM file.

    Raises:
        PacsError: it cannot be written: what came is no whole object.
    """
    buffer = io.BytesIO()
    try:
        with quiet():
            made.save_as(buffer, enforce_file_format=True)
    except CONTENT_ERRORS as error:
        raise PacsError(f"an object must be whole to be kept; writing it ended with {error!r:.200}") from error
    return buffer.getvalue()


def keep_file(folder: Path, sop_uid: object, content: bytes) -> Path:
    """Write a file named after its SOP Instance UID.

    Raises:
        PacsError: the UID is none.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    path = folder / f"{checked_uid(sop_uid)}.dcm"
    try:
        write_atomically(path, content)
    except OSError as error:
        raise MicrocalcError(f"{folder}: must be a folder that can be written; {error.strerror or error}") from error
    return path
