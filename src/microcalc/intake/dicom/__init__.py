"""Reading a mammogram from DICOM: greys as a radiologist sees them, scale, side and view, or a verdict why not.

`read_mammogram` takes a path, bytes or a pydicom dataset; `read_header` does without the pixels, for joining thousands
of files; `inspect_file` gives the verdict as a record. pydicom is needed (``pip install 'microcalc[dicom]'``), and is
imported when the first file is read.
"""

from microcalc.intake.dicom.facts import Facts, Mammogram, Note, ReadOptions, Refusal, as_record
from microcalc.intake.dicom.reading import inspect_file, read_header, read_mammogram
from microcalc.intake.dicom.verdicts import VERDICT_MEANING, NoteCode, Verdict

__all__ = [
    "VERDICT_MEANING",
    "Facts",
    "Mammogram",
    "Note",
    "NoteCode",
    "ReadOptions",
    "Refusal",
    "Verdict",
    "as_record",
    "inspect_file",
    "read_header",
    "read_mammogram",
]
