"""Image files of a folder and what their headers say, found and read in parallel, and looked up by what a row tells.

Pixels are opened only of files that share a SOP Instance UID (`microcalc.intake.copies`). A file is looked up by its
SOP Instance UID, its name, its accession number, or its patient and day; where several fit, or none, that is said and
not decided.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from microcalc.errors import InputError
from microcalc.intake.copies import Picture, read_pictures, told
from microcalc.intake.dicom import VERDICT_MEANING, Facts, ReadOptions, Refusal, Verdict, read_header
from microcalc.intake.dicom.files import dicom_files
from microcalc.intake.true_days import can_be_shifted
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
        facts: as far as the header could be read; without days that no exam can be of.
        refusal: why it is no mammogram that can be used; None where it is one.
        picture: the same text as that of the files of its SOP Instance UID that show the same; else empty.
    """

    path: Path
    name: str
    facts: Facts
    refusal: Refusal | None = None
    picture: str = ""

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
            name = path.relative_to(folder).as_posix()
            images.append(ImageFile(path, name, _with_possible_days(facts), refusal))
        if progress is not None:
            progress(len(images), len(paths))
    return images


def _with_possible_days(facts: Facts) -> Facts:
    """Days that no exam can be of, as programs write them where they know none, are not told."""
    study, acquisition = (day if can_be_shifted(day) else "" for day in (facts.study_date, facts.acquisition_date))
    return replace(facts, study_date=study, acquisition_date=acquisition)


def _died(paths: Sequence[Path]) -> list[Facts | Refusal]:
    code = Verdict.READER_DIED
    return [Refusal(code, VERDICT_MEANING[code], Facts(path=str(path))) for path in paths]


def _read_chunk(paths: Sequence[Path], *, options: ReadOptions) -> list[Facts | Refusal]:
    return [read_header(path, options) for path in paths]


class ImageIndex:
    """Image files by what names them.

    Of files with one SOP Instance UID and the same picture the one whose header tells most is kept, and stands for
    those that tell nothing else; so does one that can be read for those that cannot. Files with one UID and different
    pictures, or headers that tell different things, are all kept: the row decides, if it tells which is meant.

    Args:
        images: files that were read.
        options: how the pixels of files with one UID are read.
        processes: so many read them.
    """

    def __init__(self, images: Iterable[ImageFile], *, options: ReadOptions | None = None, processes: int = 1) -> None:
        self.images: list[ImageFile] = []
        self.copies: list[tuple[ImageFile, ImageFile]] = []
        """The mammogram that is kept, and the file that is a copy of it."""
        self._by_uid: dict[str, list[ImageFile]] = defaultdict(list)
        self._by_name: dict[str, list[ImageFile]] = defaultdict(list)
        self._by_accession: dict[str, list[ImageFile]] = defaultdict(list)
        self._by_patient: dict[str, list[ImageFile]] = defaultdict(list)
        every = list(images)
        for image, (used, original) in zip(every, _sorted_copies(every, options, processes), strict=True):
            for spelling in _spellings(image.name):
                self._by_name[spelling].append(used)
            if original is None:
                self._add(used)
            else:
                self.copies.append((original, image))
        self._patients = _ShortIds(self._by_patient)
        self._accessions = _ShortIds(self._by_accession)

    def _add(self, image: ImageFile) -> None:
        facts = image.facts
        self.images.append(image)
        if facts.sop_uid:
            self._by_uid[facts.sop_uid].append(image)
        if facts.accession_number:
            self._by_accession[facts.accession_number].append(image)
        if facts.patient_id:
            self._by_patient[facts.patient_id].append(image)

    def of_uid(self, uid: str, *, name: str = "") -> list[ImageFile]:
        """Files with a SOP Instance UID; of several mammograms those of a name, where one is given."""
        found = self._by_uid.get(uid, [])
        return [image for image in self.of_name(name) if image in found] if name and len(found) > 1 else found

    def of_name(self, name: str) -> list[ImageFile]:
        """Files of a path below the folder, or else of a name, with or without the suffix; copies count once."""
        wanted = _path_key(name)
        found = {id(image): image for image in self._by_name.get(wanted, [])}.values()
        readable = {image.facts.sop_uid for image in found if image.refusal is None}
        return [image for image in found if image.refusal is None or image.facts.sop_uid not in readable]

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


def _sorted_copies(
    images: Sequence[ImageFile], options: ReadOptions | None, processes: int
) -> Iterator[tuple[ImageFile, ImageFile | None]]:
    """For each file the one that is used where it is named, and the mammogram that it is a copy of, if it is one."""
    of_uid: dict[str, list[int]] = defaultdict(list)
    for place, image in enumerate(images):
        if image.facts.sop_uid:
            of_uid[image.facts.sop_uid].append(place)
    shared = [places for places in of_uid.values() if len(places) > 1]
    readable = [[place for place in places if images[place].refusal is None] for places in shared]
    paths = [[images[place].path for place in places] for places in readable]
    answers = read_pictures(paths, options=options or ReadOptions(), processes=processes)
    pairs: dict[int, tuple[ImageFile, ImageFile | None]] = {}
    for places, some, pictures in zip(shared, readable, answers, strict=True):
        known = dict(zip(some, pictures, strict=True))
        found = {place: known.get(place) or images[place].refusal or "" for place in places}
        pairs |= _paired({place: images[place] for place in places}, found)
    return (pairs.get(place, (image, None)) for place, image in enumerate(images))


def _paired(
    images: Mapping[int, ImageFile], pictures: Mapping[int, Picture]
) -> Iterator[tuple[int, tuple[ImageFile, ImageFile | None]]]:
    """One SOP Instance UID: a file is kept for each mammogram; without any picture the first file."""
    broken = {place: replace(images[place], refusal=p) for place, p in pictures.items() if isinstance(p, Refusal)}
    whole = {place: replace(images[place], picture=p) for place, p in pictures.items() if not isinstance(p, Refusal)}
    kept: list[int] = []
    originals: dict[int, int] = {}
    for place in sorted(whole, key=lambda place: -len(told(whole[place].facts))):
        original = next((other for other in kept if _stands_for(whole[other], whole[place])), place)
        originals[place] = original
        kept += [place] if original == place else []
    first = min(kept, default=next(iter(pictures)))
    for place in pictures:
        original = originals.get(place, first)
        mammogram = whole[original] if original in whole else broken[original]
        yield place, (broken.get(place, mammogram), None if original == place else mammogram)


def _stands_for(kept: ImageFile, other: ImageFile) -> bool:
    return kept.picture == other.picture and told(other.facts).items() <= told(kept.facts).items()


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
