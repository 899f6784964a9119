"""Taking files in: from received bytes to an image of an exam, or to the verdict why not.

One way for uploads, the watched folder and the PACS. The bytes are on the disk under their hash before the store knows
of them, so nothing half-written shows; taking the same file in again changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from microcalc.intake.dicom import Mammogram, Verdict
from microcalc.reader.settings import Limits
from microcalc.reader.store import audit
from microcalc.reader.store.database import Store
from microcalc.reader.store.decoding import Decoded, Decoder, facts_of, mammogram_of, notes_of
from microcalc.reader.store.exams import exam_of, remove_if_empty
from microcalc.reader.store.models import Image
from microcalc.reader.store.vault import Incoming, Vault, copy_into
from microcalc.reader.store.zips import RefusedEntry, is_zip, unpacked

__all__ = ["Origin", "Shelf", "Taken", "file_label"]

NOT_SHOWN = frozenset(
    verdict.value
    for verdict in (
        Verdict.NOT_AN_IMAGE, Verdict.DIRECTORY_RECORD, Verdict.NOT_DICOM, Verdict.ARCHIVE, Verdict.DAMAGED_HEADER,
        Verdict.NOT_FOUND, Verdict.NOT_A_FILE, Verdict.UNREADABLE, Verdict.SYMLINK_LOOP,
    )
)  # fmt: skip
"""Verdicts of files that are no image at all: they are told to whoever brought them, not kept in an exam."""

CHANGED_COPY = "changed_copy"
"""Verdict of a file that has the SOP Instance UID of another one with other bytes."""


@dataclass(frozen=True)
class Origin:
    """Who brought a file, and by which way.

    Attributes:
        account: name for the log.
        source: ``upload``, ``watch`` or ``pacs``.
    """

    account: str
    source: str


@dataclass(frozen=True)
class Taken:
    """What became of a file.

    Attributes:
        file: name as it was brought, without folders.
        accepted, code, message: the verdict.
        exam_id, image_id: where it shows; empty where it does not.
    """

    file: str
    accepted: bool
    code: str
    message: str
    exam_id: str = ""
    image_id: str = ""


class Shelf:
    """Puts files into the store and gives their pixels back."""

    def __init__(self, store: Store, vault: Vault, decoder: Decoder, limits: Limits) -> None:
        self._store, self._vault, self._decoder, self._limits = store, vault, decoder, limits

    def take(self, incoming: Incoming, name: str, origin: Origin) -> list[Taken]:
        """Take a finished file in, or each file of a zip; the incoming file is gone afterwards.

        Args:
            incoming: finished.
            name: as it was called where it comes from.
            origin: who brought it.

        Raises:
            MicrocalcError: the disk is full.
        """
        try:
            if incoming.size and is_zip(incoming.path):
                return list(self._take_zip(incoming.path, name, origin))
            return [self._take_one(incoming, name, origin)]
        finally:
            incoming.discard()

    def take_file(self, path: Path, origin: Origin) -> list[Taken]:
        """Take a copy of a file in."""
        incoming = self._vault.incoming(self._limits.upload_bytes)
        try:
            with path.open("rb") as file:
                copy_into(incoming, file.read)
            incoming.finish()
        except BaseException:
            incoming.discard()
            raise
        return self.take(incoming, path.name, origin)

    def pixels(self, image: Image) -> Path:
        """Stem of an accepted image's pixels (`microcalc.reader.store.decoding`), made again where they are missing."""
        stem = self._vault.pixels_stem(image.sha256)
        if not stem.with_suffix(".u16.gz").exists() or not stem.with_suffix(".u16").exists():
            self._decoder.decode(self._vault.object_path(image.sha256), stem)
        return stem

    def mammogram(self, image: Image) -> Mammogram:
        """An accepted image as the page shows it, for the networks."""
        return mammogram_of(self.pixels(image), facts_of(image.facts), notes_of(image.notes.get("notes")))

    def _take_zip(self, path: Path, name: str, origin: Origin) -> Iterator[Taken]:
        for inner, got in unpacked(path, self._vault, self._limits):
            label = f"{file_label(name)}: {file_label(inner)}" if inner else file_label(name)
            if isinstance(got, RefusedEntry):
                yield Taken(label, False, got.code, got.message)
                continue
            try:
                yield self._take_one(got, label, origin)
            finally:
                got.discard()

    def _take_one(self, incoming: Incoming, name: str, origin: Origin) -> Taken:
        label = file_label(name)
        known = self._known(incoming.sha256)
        if known is not None:
            return _told(label, known)
        decoded = self._decoder.decode(incoming.path, self._vault.pixels_stem(incoming.sha256))
        if decoded.accepted:
            self._vault.keep(incoming)
        elif decoded.code in NOT_SHOWN or not decoded.facts.get("study_uid"):
            return Taken(label, False, decoded.code, decoded.message)
        try:
            return self._enter(incoming.sha256, decoded, label, origin)
        except IntegrityError:  # somebody else entered the same exam or image in the meantime
            return self._enter(incoming.sha256, decoded, label, origin)

    def _known(self, sha256: str) -> Image | None:
        with self._store.reading() as session:
            return session.scalar(select(Image).where(Image.sha256 == sha256, Image.accepted))

    def _enter(self, sha256: str, decoded: Decoded, label: str, origin: Origin) -> Taken:
        """Enter a file into the store: exam, image and log at once."""
        facts = decoded.facts
        sop_uid = str(facts.get("sop_uid") or f"sha256:{sha256}")
        with self._store.writing() as session:
            image = session.scalar(select(Image).where(Image.sop_uid == sop_uid))
            if image is not None and image.accepted:
                return _told(label, image) if image.sha256 == sha256 else _changed(label, image)
            exam = exam_of(session, sha256, facts, origin.source)
            if image is None:
                image = Image(sop_uid=sop_uid)
                session.add(image)
            left, image.exam_id = image.exam_id, exam.id
            _fill(image, sha256, decoded)
            session.flush()
            if left and left != exam.id:
                remove_if_empty(session, left)
            audit.write(session, origin.account, origin.source, ("image", image.id), code=decoded.code)
        return _told(label, image)


def _fill(image: Image, sha256: str, decoded: Decoded) -> None:
    facts = decoded.facts
    image.sha256, image.accepted, image.code, image.message = sha256, decoded.accepted, decoded.code, decoded.message
    image.laterality, image.view = str(facts.get("laterality", "")), str(facts.get("view", ""))
    image.rows, image.columns = _number(facts.get("rows")), _number(facts.get("columns"))
    image.facts = dict(facts)
    image.notes = {"notes": [list(note) for note in decoded.notes]}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _told(label: str, image: Image) -> Taken:
    return Taken(label, image.accepted, image.code, image.message, image.exam_id, image.id)


def _changed(label: str, image: Image) -> Taken:
    words = (
        "a file must have its own SOP Instance UID (0008,0018); an image with this one and other bytes is "
        "here already, and was kept as it is"
    )
    return Taken(label, False, CHANGED_COPY, words, image.exam_id, image.id)


def file_label(name: str) -> str:
    """Last part of a name, for the eyes only."""
    plain = PurePosixPath(name.replace("\\", "/")).name or "file"
    return "".join(sign for sign in plain if sign.isprintable())[:120]
