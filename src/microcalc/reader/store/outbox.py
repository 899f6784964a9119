"""The outbox: what is to be sent to the PACS waits in the store until the PACS has it, and goes there once.

An entry is claimed before it is sent, so that two senders never send it both; the claim runs out, so that one that was
killed does not hold it. What failed before is asked for first: an answer may have been lost on the way. An object has
the same SOP Instance UID whenever it is sent, which is the archive's own guard.
"""

import datetime as dt
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom import Dataset
from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from microcalc.cohort.storage import write_atomically
from microcalc.errors import MicrocalcError
from microcalc.intake.dicom.library import CONTENT_ERRORS
from microcalc.reader.pacs.archive import PacsClient, Stored, checked_uid, said
from microcalc.reader.pacs.files import as_file
from microcalc.reader.store.database import Store
from microcalc.reader.store.models import OutboxEntry, now

__all__ = ["FOLDER", "Outbox", "OutboxState", "Round"]

FOLDER: Final = "outbox"
"""Of the payloads, in the data folder."""

FIRST_WAIT: Final = dt.timedelta(seconds=5)
LONGEST_WAIT: Final = dt.timedelta(hours=1)
CLAIM: Final = dt.timedelta(minutes=20)
"""How long a sender may take before another one may try; longer than the patience with any PACS."""

AT_ONCE: Final = 20
"""Objects that are sent in one turn."""

_REASON_LENGTH: Final = 300


class OutboxState:
    """Words of `OutboxEntry.state`."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"


@dataclass(frozen=True)
class Round:
    """What one turn came to.

    Attributes:
        sent: entries that the PACS has now.
        failed: entries that wait for another try.
    """

    sent: int = 0
    failed: int = 0


class Outbox:
    """A durable queue to a PACS.

    Args:
        store: with the table ``outbox``.
        data: folder of the payloads.
        clock: tells the moment, in UTC.
    """

    def __init__(self, store: Store, data: Path, *, clock: Callable[[], dt.datetime] = now) -> None:
        self._store, self._data, self._clock = store, data, clock
        (data / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, objects: Sequence[Dataset], *, reading_id: str | None = None) -> list[str]:
        """Take objects in; when this returns, they are on the disk and will be sent.

        Args:
            objects: of `report_objects`.
            reading_id: of the reading in the store.

        Returns:
            Ids of the entries, those of before where an object was put in already.

        Raises:
            MicrocalcError: the disk is full.
        """
        payloads = [self.keep(made) for made in objects]
        with self._store.writing() as session:
            return [self.enter(session, *payload, reading_id=reading_id) for payload in payloads]

    def keep(self, made: Dataset) -> tuple[str, str]:
        """Write the payload of an object, without an entry yet; its SOP Instance UID and its kind come back."""
        uid = checked_uid(made.SOPInstanceUID)
        write_atomically(self._data / _payload(uid), as_file(made))
        return uid, str(made.Modality)

    def enter(self, session: Session, uid: str, kind: str, *, reading_id: str | None = None) -> str:
        """Make the entry of a kept payload, within a session of the caller; the id of before if there is one.

        What the PACS has already is not kept.
        """
        found = session.scalar(select(OutboxEntry).where(OutboxEntry.sop_uid == uid))
        if found is not None:
            if found.state == OutboxState.SENT:
                (self._data / found.payload).unlink(missing_ok=True)
            return found.id
        entry = OutboxEntry(
            kind=kind, payload=_payload(uid), sop_uid=uid, reading_id=reading_id, next_try=self._clock()
        )
        session.add(entry)
        session.flush()
        return entry.id

    def waiting(self) -> int:
        """How many entries the PACS does not have yet."""
        with self._store.reading() as session:
            return len(session.scalars(select(OutboxEntry.id).where(OutboxEntry.state != OutboxState.SENT)).all())

    def hurry(self) -> None:
        """Try everything that waits at the next turn, whatever its back-off."""
        with self._store.writing() as session:
            waits = update(OutboxEntry).where(OutboxEntry.state == OutboxState.WAITING)
            session.execute(waits.values(next_try=self._clock()))

    def release(self) -> None:
        """Give up the claims of senders that were killed; only where no other sender is at work on this store."""
        with self._store.writing() as session:
            claimed = update(OutboxEntry).where(OutboxEntry.state == OutboxState.SENDING)
            session.execute(claimed.values(state=OutboxState.WAITING, next_try=self._clock()))

    def deliver(self, client: PacsClient) -> Round:
        """Send what is due, once.

        Args:
            client: of the PACS.

        Returns:
            How many were sent, how many wait again.
        """
        sent = failed = 0
        fresh: list[tuple[OutboxEntry, Dataset]] = []
        for entry in self._claim():
            made = self._payload_of(entry)
            if made is None:
                failed += 1
            elif entry.tries > 1:  # alone: whatever it does to the PACS, it does not hold up others
                done = self._again(client, entry, made)
                sent, failed = sent + done, failed + (not done)
            else:
                fresh.append((entry, made))
        done_count = self._first_time(client, fresh)
        return Round(sent + done_count, failed + len(fresh) - done_count)

    def clean(self) -> int:
        """Remove payloads that nobody waits for: left by a kill between a file and its entry, or after sending.

        Only while nothing is being put in.
        """
        with self._store.reading() as session:
            wanted = set(session.scalars(select(OutboxEntry.payload).where(OutboxEntry.state != OutboxState.SENT)))
        left = [path for path in (self._data / FOLDER).iterdir() if f"{FOLDER}/{path.name}" not in wanted]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def _claim(self) -> list[OutboxEntry]:
        """Entries that are due and now ours."""
        moment = self._clock()
        due = (
            select(OutboxEntry)
            .where(OutboxEntry.state != OutboxState.SENT, OutboxEntry.next_try <= moment)
            .order_by(OutboxEntry.next_try)
            .limit(AT_ONCE)
        )
        with self._store.writing() as session:
            ours = [entry for entry in session.scalars(due).all() if _claimed(session, entry, moment)]
            for entry in ours:
                session.refresh(entry)
            session.expunge_all()
        return ours

    def _first_time(self, client: PacsClient, fresh: list[tuple[OutboxEntry, Dataset]]) -> int:
        if not fresh:
            return 0
        try:
            answers = client.store([made for _, made in fresh])
        except MicrocalcError as error:
            for entry, _ in fresh:
                self._wait(entry, str(error))
            return 0
        told = {answer.sop_uid: answer for answer in answers}
        return sum(self._settle(entry, told.get(entry.sop_uid)) for entry, _ in fresh)

    def _again(self, client: PacsClient, entry: OutboxEntry, made: Dataset) -> bool:
        """Another try: perhaps the PACS has it already, and only its answer was lost."""
        try:
            if client.holds(made):
                return self._settle(entry, Stored(entry.sop_uid, accepted=True))
            return self._settle(entry, client.store([made])[0])
        except MicrocalcError as error:
            self._wait(entry, str(error))
            return False

    def _settle(self, entry: OutboxEntry, answer: Stored | None) -> bool:
        if answer is None or not answer.accepted:
            self._wait(entry, answer.reason if answer else "the PACS did not say what became of it")
            return False
        with self._store.writing() as session:
            done = {"state": OutboxState.SENT, "sent": self._clock(), "last_error": ""}
            session.execute(update(OutboxEntry).where(OutboxEntry.id == entry.id).values(**done))
        (self._data / entry.payload).unlink(missing_ok=True)
        return True

    def _wait(self, entry: OutboxEntry, why: str) -> None:
        values = {
            "state": OutboxState.WAITING,
            "next_try": self._clock() + wait_after(entry.tries),
            "last_error": said(why)[:_REASON_LENGTH],
        }
        with self._store.writing() as session:
            mine = OutboxEntry.id == entry.id, OutboxEntry.state != OutboxState.SENT
            session.execute(update(OutboxEntry).where(*mine).values(**values))

    def _payload_of(self, entry: OutboxEntry) -> Dataset | None:
        try:
            return pydicom.dcmread(self._data / entry.payload)
        except CONTENT_ERRORS as error:
            self._wait(entry, f"the file {entry.payload} must be a DICOM object; reading it: {type(error).__name__}")
            return None


def wait_after(tries: int) -> dt.timedelta:
    """Back-off after so many tries: doubled each time, up to an hour, a fifth by chance so that senders spread."""
    seconds = min(FIRST_WAIT.total_seconds() * 2 ** min(max(tries - 1, 0), 20), LONGEST_WAIT.total_seconds())
    return dt.timedelta(seconds=seconds * random.uniform(0.9, 1.1))


def _payload(uid: str) -> str:
    return f"{FOLDER}/{uid}.dcm"


def _claimed(session: Session, entry: OutboxEntry, moment: dt.datetime) -> bool:
    """Take an entry unless another sender took it in the meantime."""
    done = session.execute(
        update(OutboxEntry)
        .where(OutboxEntry.id == entry.id, OutboxEntry.tries == entry.tries, OutboxEntry.state != OutboxState.SENT)
        .values(state=OutboxState.SENDING, tries=entry.tries + 1, next_try=moment + CLAIM)
    )
    return isinstance(done, CursorResult) and done.rowcount == 1
