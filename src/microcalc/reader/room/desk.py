"""The desk where squares are read: the networks of one study, the queue before them, and the record of each reading.

The networks are loaded beside the server's start. A reading is acknowledged when its heatmaps and its record are on the
disk. What the networks say is the business of `microcalc.reader.reader`.
"""

import hashlib
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from microcalc import RESEARCH_USE, __version__
from microcalc.cohort.images import ROI_SIDE
from microcalc.cohort.storage import sha256_of_file
from microcalc.errors import StudyError
from microcalc.intake.crop import Scale
from microcalc.intake.dicom import Mammogram
from microcalc.reader.reading import Meaning
from microcalc.reader.reading import Reading as NetworkReading
from microcalc.reader.room.fair_queue import FairQueue
from microcalc.reader.room.marks import SAME_SIDE, mark_of
from microcalc.reader.room.people import Person
from microcalc.reader.room.problems import Problem
from microcalc.reader.settings import Settings
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store
from microcalc.reader.store.heat import write_heat
from microcalc.reader.store.models import AnnotationVersion, Image, Reading, new_id
from microcalc.reader.store.shelf import Shelf
from microcalc.reader.store.vault import Vault

if TYPE_CHECKING:
    from microcalc.reader.reader import Reader

__all__ = ["Desk", "StudyReader", "reading_record", "study_reader"]

Record = dict[str, object]

AT_THE_NETWORKS = 2
"""Readings that are computed at a time: where one ends and leaves a core idle, the next has begun."""

WORKERS = AT_THE_NETWORKS + 1
"""One more meanwhile brings its last reading to the disk."""


class StudyReader(Protocol):
    """What the desk needs of a study's networks."""

    @property
    def facts(self) -> Mapping[str, object]:
        """Of the study, as the page gets them; ``identity`` tells it from others."""

    def meaning(self, prevalence: float | None = None) -> Meaning:
        """What the cut-off means at a prevalence."""

    def read(self, mammogram: Mammogram, row: float, col: float, *, prevalence: float | None = None) -> NetworkReading:
        """What the networks say of the square around a point."""


@dataclass(frozen=True)
class _Opened:
    """A `Reader` with its facts."""

    reader: "Reader"
    facts: Mapping[str, object]

    def meaning(self, prevalence: float | None = None) -> Meaning:
        return self.reader.meaning(prevalence)

    def read(self, mammogram: Mammogram, row: float, col: float, *, prevalence: float | None = None) -> NetworkReading:
        return self.reader.read(mammogram, row, col, prevalence=prevalence)


def study_reader(study: Path, *, runtime: str) -> StudyReader:
    """Load a finished study.

    Raises:
        MicrocalcError: it is not finished, or its networks cannot be run.
    """
    # These bring torch, which a room without a study does without.
    from microcalc.reader.reader import Reader  # noqa: PLC0415

    reader = Reader.open(study, runtime=runtime)
    opened = reader.study
    spacing = None if opened.trained is None else opened.trained.roi_spacing_mm
    facts = {
        "name": opened.name,
        "identity": _identity(reader),
        "networks": list(opened.networks),
        "roi_side": ROI_SIDE,
        "roi_mm": None if spacing is None else ROI_SIDE * spacing,
        "spacing_mm": spacing,
        "cutoff": reader.cutoff if np.isfinite(reader.cutoff) else None,
        "chosen_on": reader.judgement.chosen_on,
        "prevalence": reader.prevalence,
        "calibrated": not reader.judgement.recalibration.reason,
        "runtime": reader.runtime,
        "version": __version__,
        "study_version": opened.version,
        "research_use": RESEARCH_USE,
    }
    return _Opened(reader, facts)


def _identity(reader: "Reader") -> str:
    """Tells a run of a study from others: its cohort, and every score that its networks gave."""
    study = reader.study
    parts = [study.run, *(f"{key}={value}" for key, value in sorted(study.identity.items()))]
    parts.append(sha256_of_file(study.path / "predictions.csv"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


NO_STUDY: Mapping[str, object] = {
    "name": "", "identity": "", "networks": [], "roi_side": ROI_SIDE, "roi_mm": None, "spacing_mm": None,
    "cutoff": None, "chosen_on": "", "prevalence": None, "calibrated": False, "runtime": "",
    "version": __version__, "study_version": "", "research_use": RESEARCH_USE,
}  # fmt: skip
"""Facts of a room where nothing is read."""


class Desk:
    """Reads squares, fairly.

    Args:
        settings: with the study, if any.
        store, vault, shelf: where records, heatmaps and images are.
        reader: loaded already; else `start` loads the study of the settings.
    """

    def __init__(
        self, settings: Settings, store: Store, vault: Vault, shelf: Shelf, reader: StudyReader | None = None
    ) -> None:
        self._settings, self._store, self._vault, self._shelf = settings, store, vault, shelf
        self._queue = FairQueue(workers=WORKERS, most=settings.limits.waiting_readings)
        self._networks = threading.Semaphore(AT_THE_NETWORKS)
        self._reader: Future[StudyReader] = Future()
        if reader is not None:
            self._reader.set_result(reader)
        elif settings.study is None:
            way_out = "start the server with the folder of a finished study: microcalc serve STUDY"
            self._reader.set_exception(StudyError(f"reading needs a study; this server has none. To read, {way_out}"))

    def start(self) -> None:
        """Load the study beside everything else; `reader` waits for it."""
        if not self._reader.done() and not self._reader.running():
            threading.Thread(target=self._load, name="microcalc study", daemon=True).start()

    def load(self) -> None:
        """Load the study now.

        Raises:
            MicrocalcError: it cannot be opened.
        """
        if self._settings.study is not None and not self._reader.done():
            self._load()
            self._reader.result()

    def _load(self) -> None:
        study = self._settings.study
        try:
            if study is not None and self._reader.set_running_or_notify_cancel():
                self._reader.set_result(study_reader(study, runtime=self._settings.runtime))
        except Exception as error:  # noqa: BLE001 -- goes on to whoever waits
            self._reader.set_exception(error)

    @property
    def has_study(self) -> bool:
        """Whether anything can be read."""
        return not (self._reader.done() and self._reader.exception() is not None)

    def reader(self) -> StudyReader:
        """The networks, once they are loaded.

        Raises:
            MicrocalcError: there is no study, or it cannot be opened.
        """
        return self._reader.result()

    def facts(self) -> Mapping[str, object]:
        """Of the study, as the page gets them; those of an empty one where there is none."""
        return NO_STUDY if self._settings.study is None and not self.has_study else self.reader().facts

    def ask(self, annotation_id: str, person: Person, prevalence: float | None) -> Future[Record]:
        """Have a square read when it is the person's turn.

        Raises:
            TooManyWaitingError: the person has too many waiting.
        """
        return self._queue.put(person.id, lambda: self._read(annotation_id, person, prevalence))

    def close(self) -> None:
        """Read nothing more."""
        self._queue.close()

    def _read(self, annotation_id: str, person: Person, prevalence: float | None) -> Record:
        with self._store.reading() as session:
            mark = mark_of(session, annotation_id, person, blind=self._settings.blind)
            image = session.get_one(Image, mark.annotation.image_id)
        version, reader = mark.version, self.reader()
        mammogram = self._shelf.mammogram(image)
        _check_side(version, _side_read(reader.facts, mammogram))
        with self._networks:
            answer = reader.read(mammogram, version.row, version.col, prevalence=prevalence)
        reading_id = new_id()
        write_heat(self._vault.heatmaps_path(reading_id), answer.heatmaps)
        record = answer.as_record() | {
            "study": reader.facts["name"],
            "study_identity": reader.facts["identity"],
            "microcalc": __version__,
        }
        reading = Reading(
            id=reading_id, annotation_id=annotation_id, revision=version.revision, account_id=person.id, record=record
        )
        with self._store.writing() as session:
            session.add(reading)
            session.flush()
            audit.write(session, person.name, "read", ("reading", reading_id), annotation=annotation_id)
        return reading_record(reading)

    def explained(self, reading: Reading, prevalence: float | None) -> Record:
        """A reading's record, its cut-off explained at a prevalence.

        Raises:
            StudyError: the reading is of another study than the one that is open.
            MicrocalcError: there is none.
        """
        record = reading_record(reading)
        if prevalence is None:
            return record
        reader = self.reader()
        if record.get("study_identity") != reader.facts["identity"]:
            raise StudyError(
                "a reading can be explained at another prevalence by the study that made it; this server has another. "
                "Read the square again"
            )
        return record | {"meaning": reader.meaning(prevalence).as_record()}


def _side_read(facts: Mapping[str, object], mammogram: Mammogram) -> float:
    """Side of the squares that a study reads, in pixels of a mammogram.

    Raises:
        ImageError: the study's squares have one spacing, and the mammogram's is not known.
    """
    spacing = facts.get("spacing_mm")
    scale = Scale(float(spacing) if isinstance(spacing, int | float) else None)
    return ROI_SIDE * scale.factor(mammogram.facts.pixel_spacing_mm)


def _check_side(version: AnnotationVersion, side: float) -> None:
    """Refuse to read another square than the one that is drawn."""
    if abs(version.side - side) >= SAME_SIDE:
        raise Problem(
            409,
            f"a square that is read must be as large as the study's, {side:.1f} pixels wide on this image; this one is "
            f"{version.side:.1f} pixels wide",
            "whoever placed it reads it again on the page, which resizes it while the exam is not finished",
        )


def reading_record(reading: Reading) -> Record:
    """A reading as the page gets it."""
    return {
        **reading.record,
        "id": reading.id,
        "annotation_id": reading.annotation_id,
        "revision": reading.revision,
        "at": reading.at.isoformat(),
    }
