"""Image files of a folder and what their headers say, found and read in parallel, and looked up by what a row tells.

Nothing here opens pixels. A file is looked up by its SOP Instance UID, its name, its accession number, or its patient
and day; where several fit, or none, that is said and not decided.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from microcalc.errors import InputError
from microcalc.intake.dicom import VERDICT_MEANING, Facts, ReadOptions, Refusal, Verdict, read_header
from microcalc.intake.dicom.files import dicom_files
from microcalc.intake.workers import in_processes
from microcalc.vocabulary import ViewModifier

__all__ = ["ImageFile", "ImageIndex", "find_files", "read_image_files"]

OTHER_SUFFIXES = frozenset(
    [
        ".csv",
        ".tsv",
        ".xls",
        ".xlsx",
        ".xlsm",
        ".ods",
        ".txt",
        ".md",
        ".json",
        ".xml",
        ".yaml",
        ".yml",
        ".log",
        ".pdf",
        ".htm",
        ".html",
        ".png",
        ".jpg",
        ".jpeg",
        ".tif",
        ".tiff",
        ".gif",
        ".py",
        ".ipynb",
        ".ini",
        ".db",
        ".exe",
        ".dll",
        ".doc",
        ".docx",
        ".tcia",
        ".sha256",
        ".roi",
    ]
)
"""Files beside the images that nobody takes for DICOM; all others are opened."""

WORTH_PROCESSES = 400
"""Headers below which one process is faster than starting others."""

_CHUNK = 50


@dataclass(frozen=True)
class ImageFile:
    """A file and its header.

    Attributes:
        path: of the file.
        name: below the folder that was searched, with ``/``.
        facts: as far as the header could be read.
        refusal: why it is no mammogram that can be used; None where it is one.
    """

    path: Path
    name: str
    facts: Facts
    refusal: Refusal | None = None

    @property
    def seen(self) -> str:
        """Side and view in a few letters, which name nobody."""
        words = [self.facts.laterality or "?", self.facts.view or "?"]
        words += ["magnified"] if self.facts.spot_magnification else []
        words += ["spot"] if self.is_spot else []
        return " ".join(map(str, words))

    @property
    def is_spot(self) -> bool:
        """Whether the header tells of spot compression."""
        return ViewModifier.SPOT_COMPRESSION in self.facts.view_modifiers


def find_files(folder: Path) -> list[Path]:
    """Files of a folder and the folders in it, in the order of their paths; hidden ones and other kinds left aside.

    Links to folders are followed once, so a loop ends.

    Raises:
        InputError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: must be a folder with the DICOM files; there is none")
    found = [item for item in dicom_files([folder]) if isinstance(item, Path) and not _is_other(item, folder)]
    if not found:
        raise InputError(f"{folder}: must hold DICOM files; it holds none")
    return found


def _is_other(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return hidden or path.suffix.casefold() in OTHER_SUFFIXES


def read_image_files(
    folder: Path,
    *,
    options: ReadOptions | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[ImageFile]:
    """Read the header of every file of a folder.

    Args:
        folder: searched to its depth.
        options: what is accepted.
        processes: so many read, where there are enough files.
        progress: called with the files done and all of them.

    Raises:
        InputError: there is no such folder, or nothing in it.
        MissingDependencyError: pydicom is not installed.
    """
    paths = find_files(folder)
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    read = partial(_read_chunk, options=options or ReadOptions())
    images: list[ImageFile] = []
    for answers in in_processes(read, chunks, processes=processes, died=_died, at_least=WORTH_PROCESSES // _CHUNK):
        for answer in answers:
            path = paths[len(images)]
            facts = answer if isinstance(answer, Facts) else answer.facts
            refusal = answer if isinstance(answer, Refusal) else None
            images.append(ImageFile(path, path.relative_to(folder).as_posix(), facts, refusal))
        if progress is not None:
            progress(len(images), len(paths))
    return images


def _died(paths: Sequence[Path]) -> list[Facts | Refusal]:
    code = Verdict.READER_DIED
    return [Refusal(code, VERDICT_MEANING[code], Facts(path=str(path))) for path in paths]


def _read_chunk(paths: Sequence[Path], *, options: ReadOptions) -> list[Facts | Refusal]:
    return [read_header(path, options) for path in paths]


class ImageIndex:
    """Image files by what names them.

    Args:
        images: files that were read; of copies with one SOP Instance UID the first is kept.
    """

    def __init__(self, images: Iterable[ImageFile]) -> None:
        self.images: list[ImageFile] = []
        self.copies: list[tuple[ImageFile, ImageFile]] = []
        self._by_uid: dict[str, ImageFile] = {}
        self._by_name: dict[str, list[ImageFile]] = defaultdict(list)
        self._by_accession: dict[str, list[ImageFile]] = defaultdict(list)
        self._by_patient: dict[str, list[ImageFile]] = defaultdict(list)
        for image in images:
            self._add(image)
        self._patients = _ShortIds(self._by_patient)
        self._accessions = _ShortIds(self._by_accession)

    def _add(self, image: ImageFile) -> None:
        facts = image.facts
        first = self._by_uid.get(facts.sop_uid) if facts.sop_uid else None
        for spelling in _spellings(image.name):
            self._by_name[spelling].append(first or image)
        if first is not None:
            self.copies.append((first, image))
            return
        self.images.append(image)
        if facts.sop_uid:
            self._by_uid[facts.sop_uid] = image
        if facts.accession_number:
            self._by_accession[facts.accession_number].append(image)
        if facts.patient_id:
            self._by_patient[facts.patient_id].append(image)

    def of_uid(self, uid: str) -> list[ImageFile]:
        """The file with a SOP Instance UID."""
        image = self._by_uid.get(uid)
        return [] if image is None else [image]

    def of_name(self, name: str) -> list[ImageFile]:
        """Files of a path below the folder, or else of a name, with or without the suffix; copies count once."""
        wanted = _path_key(name)
        found = {id(image): image for image in self._by_name.get(wanted, [])}
        return list(found.values())

    def of_accession(self, number: str) -> list[ImageFile]:
        """Files of an accession number; of several where only leading zeros part them."""
        return [image for full in self._accessions.meant(number) for image in self._by_accession.get(full, [])]

    def of_patient(self, patient: str) -> list[ImageFile]:
        """Files of a patient; of several where only leading zeros part them."""
        return [image for full in self._patients.meant(patient) for image in self._by_patient.get(full, [])]

    def patient(self, written: str) -> str:
        """Patient ID as in the files, where exactly one is meant; else as written."""
        meant = self._patients.meant(written)
        return meant[0] if len(meant) == 1 else written

    def same_patient(self, written: str, image: ImageFile) -> bool:
        """Whether a Patient ID as written in a row may be that of a file."""
        return image.facts.patient_id in self._patients.meant(written)

    def same_accession(self, written: str, image: ImageFile) -> bool:
        """Whether an accession number as written in a row may be that of a file."""
        return image.facts.accession_number in self._accessions.meant(written)

    @property
    def repaired_ids(self) -> int:
        """Patient IDs and accession numbers whose leading zeros a spreadsheet had dropped."""
        return len(self._patients.repaired) + len(self._accessions.repaired)


class _ShortIds:
    """IDs without the leading zeros that spreadsheets drop."""

    def __init__(self, ids: Iterable[str]) -> None:
        self._known = set(ids)
        self._full: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._known):
            if name.isdecimal():
                self._full[_short(name)].append(name)
        self.repaired: set[str] = set()

    def meant(self, written: str) -> tuple[str, ...]:
        """IDs of the files that may be meant, or what was written; 123 may be 123 or 00123, 00123 is no other."""
        found = self._full.get(_short(written), [])
        if not found or not written.isdecimal() or (written.startswith("0") and written in self._known):
            return (written,)
        if len(found) == 1 and found[0] != written:
            self.repaired.add(written)
        return tuple(found)


def _short(name: str) -> str:
    return name.lstrip("0")


def _spellings(name: str) -> Iterator[str]:
    """All that a file may be called: its path, each end of it, and the same without the suffix."""
    parts = _path_key(name).split("/")
    for start in range(len(parts)):
        end = "/".join(parts[start:])
        yield end
        stem, dot, suffix = end.rpartition(".")
        if dot and suffix in ("dcm", "dicom", "ima"):
            yield stem


def _path_key(name: str) -> str:
    return name.replace("\\", "/").strip("/").removeprefix("./").casefold()
