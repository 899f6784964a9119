"""The way to the PACS and back: reports of readings into the outbox, studies fetched, images that modalities push.

Everything that comes in takes the way of an upload; everything that goes out waits in the durable outbox and is sent
again until the PACS has it. How a PACS is spoken to lives in `microcalc.reader.pacs.client` and its neighbours.
"""

import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from sqlalchemy import select

from microcalc.errors import InputError
from microcalc.reader.objects.finding import Finding, Labels, Observer, StudyFacts
from microcalc.reader.objects.source_header import open_source_image
from microcalc.reader.objects.structured_report import report_objects
from microcalc.reader.pacs.archive import FoundStudies, PacsClient, PacsQuery
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import PacsSettings, read_pacs_settings
from microcalc.reader.pacs.storage_scp import Received, StorageScp, StoreStatus
from microcalc.reader.room.courier import Courier
from microcalc.reader.room.marks import lies_at
from microcalc.reader.room.people import Person
from microcalc.reader.room.problems import Problem
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store
from microcalc.reader.store.heat import BRIGHTEST, open_heat
from microcalc.reader.store.models import Account, Annotation, AnnotationVersion, Image, OutboxEntry, Reading
from microcalc.reader.store.outbox import Outbox
from microcalc.reader.store.shelf import Origin, Shelf, Taken
from microcalc.reader.store.vault import Vault

__all__ = ["Postroom", "open_postroom"]

FETCHES_AT_ONCE = 2
"""Each fills a folder of its own before its images are taken in."""


@dataclass(frozen=True)
class _Said:
    """A warning of a stored reading."""

    message: str


@dataclass(frozen=True)
class _StoredScores:
    """The scores of a reading as the store has them; see `microcalc.reader.objects.finding.Scores`."""

    record: Mapping[str, object]
    heatmaps: Mapping[str, NDArray[np.float32]]

    @property
    def networks(self) -> Mapping[str, float]:
        found = self.record["networks"]
        return {str(name): float(value) for name, value in found.items()} if isinstance(found, dict) else {}

    @property
    def ensemble(self) -> float:
        return _number(self.record["ensemble"])

    @property
    def calibrated(self) -> float | None:
        found = self.record.get("calibrated")
        return None if found is None else _number(found)

    @property
    def called(self) -> bool:
        return bool(self.record["called"])

    @property
    def cutoff(self) -> float:
        return _number(self.record["cutoff"])

    @property
    def warnings(self) -> Sequence[_Said]:
        found = self.record.get("warnings")
        return [_Said(str(warning["message"])) for warning in found] if isinstance(found, list) else []


class Postroom:
    """Sends, asks and fetches.

    Args:
        client: of the PACS.
        store, vault, shelf: of the room.
        ears: where modalities push images to, if they may.
    """

    def __init__(
        self, client: PacsClient, store: Store, vault: Vault, shelf: Shelf, *, ears: StorageScp | None = None
    ) -> None:
        self._client, self._store, self._vault, self._shelf, self._ears = client, store, vault, shelf, ears
        self.outbox = Outbox(store, vault.folder)
        self._courier = Courier(self.outbox, client)
        self._fetches = threading.BoundedSemaphore(FETCHES_AT_ONCE)

    def start(self) -> None:
        """Begin to send what waits and to listen.

        Raises:
            PacsError: the address to listen on is taken.
        """
        self.outbox.clean()
        if self._ears is not None:
            self._ears.start()
        self._courier.start()

    def close(self) -> None:
        """Stop; what waits stays in the outbox."""
        if self._ears is not None:
            self._ears.stop()
        self._courier.stop()

    def send(self, reading: Reading, person: Person, *, revision: int | None = None) -> list[OutboxEntry]:
        """Put the report of a reading into the outbox, with the labels that its square has now.

        Sent twice, it is the same objects; after a change of the square's labels it is others.

        Args:
            reading: of a square that the person may see.
            person: who sends.
            revision: of the square that the person looks at; None: whichever is the last.

        Raises:
            Problem: 409, the square was moved after the reading, or has another revision than ``revision``.
            MicrocalcError: the image lacks what identifies it, or the disk is full.
        """
        kept = [self.outbox.keep(made) for made in self._objects(reading, revision)]
        with self._store.writing() as session:
            # One at a time: of two that are sent at once, the second finds the entries of the first one.
            session.execute(select(Reading.id).where(Reading.id == reading.id).with_for_update(key_share=True))
            ids = [self.outbox.enter(session, *payload, reading_id=reading.id) for payload in kept]
            audit.write(session, person.name, "send", ("reading", reading.id), objects=len(ids))
            entries = list(session.scalars(select(OutboxEntry).where(OutboxEntry.id.in_(ids))))
        self._courier.wake()
        return sorted(entries, key=lambda entry: ids.index(entry.id))

    def query(self, query: PacsQuery, person: Person) -> FoundStudies:
        """Studies of the PACS.

        Raises:
            InputError: nothing is asked for that tells one patient from another.
            PacsError: it cannot be reached, or answers nonsense.
        """
        if query.is_open:
            raise InputError("a query must name a patient, a date or an accession number; it names none")
        audit.record(self._store, person.name, "query", ("pacs", ""))
        return self._client.query(query)

    def fetch(self, study_uid: str, person: Person) -> list[Taken]:
        """Bring the images of a study and take them in.

        Raises:
            PacsError: it cannot be reached, or answers nonsense.
        """
        with self._fetches:
            folder = Path(tempfile.mkdtemp(dir=self._vault.folder / "incoming"))
            try:
                origin = Origin(person.name, "pacs")
                taken = [one for path in self._client.fetch(study_uid, folder) for one in self._take(path, origin)]
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        audit.record(self._store, person.name, "fetch", ("pacs", ""), images=sum(one.accepted for one in taken))
        return taken

    def _take(self, path: Path, origin: Origin) -> list[Taken]:
        taken = self._shelf.take_file(path, origin)
        path.unlink(missing_ok=True)
        return taken

    def _objects(self, reading: Reading, revision: int | None) -> list[pydicom.Dataset]:
        """The DICOM objects of a reading, by whoever read, with the labels of now."""
        with self._store.reading() as session:
            annotation = session.get_one(Annotation, reading.annotation_id)
            image = session.get_one(Image, annotation.image_id)
            account = session.get_one(Account, reading.account_id)
            version = session.scalars(
                select(AnnotationVersion).where(
                    AnnotationVersion.annotation_id == annotation.id, AnnotationVersion.revision == annotation.revision
                )
            ).one()
        _check_seen(version, revision)
        source = open_source_image(self._vault.object_path(image.sha256))
        finding = self._finding(reading, version)
        record = reading.record
        study = StudyFacts(
            name=str(record.get("study", "")),
            version=str(record.get("microcalc", "")),
            identity=str(record.get("study_identity", "")),
            chosen_on=str(record.get("chosen_on", "")),
        )
        observer = Observer(account.name, login=account.name)
        # Labels that were changed and changed back are newer than what the PACS got in between.
        at = reading.at if version.revision <= reading.revision else max(reading.at, version.at)
        return report_objects(source, [finding], observer=observer, study=study, at=at)

    def _finding(self, reading: Reading, version: AnnotationVersion) -> Finding:
        heat = open_heat(self._vault.heatmaps_path(reading.id))
        scores = _StoredScores(
            reading.record, {n: h.astype(np.float32) / np.float32(BRIGHTEST) for n, h in heat.items()}
        )
        place = reading.record["roi"]
        if not isinstance(place, dict):
            raise TypeError("the record of a reading says where its square lies")
        labels = Labels(
            pathology=version.pathology, birads=version.birads, morphology=version.morphology,
            distribution=version.distribution, note=version.note,
        )  # fmt: skip
        row, col, side = (float(place[name]) for name in ("row", "col", "side"))
        _check_place(version, row, col, side)
        changed = "" if version.revision <= reading.revision else f" revision {version.revision}"
        return Finding(row, col, side, scores, reading.id + changed, lesion=version.lesion, labels=labels)


def open_postroom(settings: PacsSettings | Path, store: Store, vault: Vault, shelf: Shelf) -> Postroom:
    """The post room of a PACS; nothing is asked of it yet.

    Args:
        settings: of the PACS, or their file.
        store, vault, shelf: of the room.

    Raises:
        ProtocolError: the file is wrong.
    """
    found = read_pacs_settings(settings) if isinstance(settings, Path) else settings
    ears = None if found.listen is None else StorageScp(found.listen, lambda received: _heard(received, vault, shelf))
    return Postroom(open_pacs(found, ears), store, vault, shelf, ears=ears)


def _heard(received: Received, vault: Vault, shelf: Shelf) -> StoreStatus:
    """Take in what a modality pushed; what is no mammogram is refused with its own answer."""
    incoming = vault.incoming(len(received.content))
    incoming.write(received.content)
    incoming.finish()
    taken = shelf.take(incoming, "pushed", Origin(f"modality {received.calling_title}", "pacs"))
    if all(one.accepted or one.image_id for one in taken):
        return StoreStatus.SUCCESS
    return StoreStatus.CANNOT_UNDERSTAND


def _check_seen(version: AnnotationVersion, revision: int | None) -> None:
    """Refuse to send labels that the sender does not see."""
    if revision is not None and revision != version.revision:
        words = f"what is sent must be what you see, revision {revision}; the square has revision {version.revision}"
        raise Problem(409, words, "look at what stands there now, then send again")


def _check_place(version: AnnotationVersion, row: float, col: float, side: float) -> None:
    """Refuse to send a reading of another square than the one that is drawn."""
    if not lies_at(version, row, col, side):
        raise Problem(
            409,
            f"a reading can be sent while its square lies where it was read, at row {row:g}, column {col:g}, {side:g} "
            f"pixels wide; it is at row {version.row:g}, column {version.col:g}, {version.side:g} pixels wide",
            "read the square again, then send that reading",
        )


def _number(value: object) -> float:
    """A number of a stored record; an infinite cut-off is stored as nothing."""
    return float(value) if isinstance(value, int | float) else float("-inf")
