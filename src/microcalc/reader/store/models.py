"""The tables of the reading room: who, which images, what was marked and read, what is to be sent, and the log.

Every id is random and opaque, so that nothing can be guessed and no address names a patient. The marks of an
annotation are never changed: each revision is a row of `AnnotationVersion`. Triggers of the migrations keep that table
and `AuditEntry` append-only. How the tables are read and written lives elsewhere.
"""

import datetime as dt
import secrets
from typing import ClassVar

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "Account",
    "Annotation",
    "AnnotationVersion",
    "AuditEntry",
    "Base",
    "Completion",
    "Exam",
    "Image",
    "LoginSession",
    "OutboxEntry",
    "Reading",
    "Setting",
    "Utc",
    "WatchedFile",
    "new_id",
    "now",
]

ID_BYTES = 16
"""128 bits of chance: nobody finds one by trying."""

Json = dict[str, object]


def new_id() -> str:
    """A random id: 32 hexadecimal digits."""
    return secrets.token_hex(ID_BYTES)


def now() -> dt.datetime:
    """This moment, in UTC."""
    return dt.datetime.now(dt.UTC)


class Utc(TypeDecorator[dt.datetime]):
    """A moment in UTC; SQLite keeps no time zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """To UTC."""
        return None if value is None else value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002
        """With its time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Base(DeclarativeBase):
    """All tables; moments are kept in UTC, records as JSON."""

    type_annotation_map: ClassVar = {dt.datetime: Utc(), Json: JSON()}


class Setting(Base):
    """A fact of the store as a whole, such as its random name."""

    __tablename__ = "settings"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Account(Base):
    """A person. ``password`` is an argon2 hash, or empty where somebody else says who it is."""

    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    password: Mapped[str] = mapped_column(Text, default="")
    active: Mapped[bool] = mapped_column(default=True)
    created: Mapped[dt.datetime] = mapped_column(default=now)


class LoginSession(Base):
    """Somebody who is logged in; ``id`` is the SHA-256 of the cookie, which is kept nowhere."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created: Mapped[dt.datetime] = mapped_column(default=now)
    seen: Mapped[dt.datetime] = mapped_column(default=now)


class Exam(Base):
    """A study in DICOM's sense: the images of one patient's visit; ``study_uid`` as `exams.exam_of` makes it."""

    __tablename__ = "exams"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    study_uid: Mapped[str] = mapped_column(String(128), unique=True)
    patient_id: Mapped[str] = mapped_column(Text, default="")
    patient_name: Mapped[str] = mapped_column(Text, default="")
    date: Mapped[str] = mapped_column(String(32), default="", index=True)
    accession: Mapped[str] = mapped_column(Text, default="")
    description: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(String(16), default="upload")
    created: Mapped[dt.datetime] = mapped_column(default=now)


class Image(Base):
    """A mammogram, or the verdict why a file is none. The bytes of an accepted one lie in the content store."""

    __tablename__ = "images"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    exam_id: Mapped[str] = mapped_column(ForeignKey("exams.id"), index=True)
    sop_uid: Mapped[str] = mapped_column(String(128), unique=True)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    accepted: Mapped[bool]
    code: Mapped[str] = mapped_column(String(32))
    message: Mapped[str] = mapped_column(Text, default="")
    laterality: Mapped[str] = mapped_column(String(8), default="")
    view: Mapped[str] = mapped_column(String(16), default="")
    rows: Mapped[int] = mapped_column(default=0)
    columns: Mapped[int] = mapped_column(default=0)
    facts: Mapped[Json] = mapped_column(default=dict)
    notes: Mapped[Json] = mapped_column(default=dict)
    created: Mapped[dt.datetime] = mapped_column(default=now)


class Annotation(Base):
    """A square that a reader placed; what is said of it stands in its versions, the last of which counts."""

    __tablename__ = "annotations"
    # No index by reader alone: SQLite would take it for the worklist of a blind reader, and read all marks per exam.
    __table_args__ = (Index("ix_annotations_image_reader", "image_id", "account_id"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    image_id: Mapped[str] = mapped_column(ForeignKey("images.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    revision: Mapped[int] = mapped_column(default=1)
    deleted: Mapped[bool] = mapped_column(default=False)


class AnnotationVersion(Base):
    """One revision of an annotation; never changed, never removed."""

    __tablename__ = "annotation_versions"
    __table_args__ = (UniqueConstraint("annotation_id", "revision"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    annotation_id: Mapped[str] = mapped_column(ForeignKey("annotations.id"))
    revision: Mapped[int]
    action: Mapped[str] = mapped_column(String(16))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[dt.datetime] = mapped_column(default=now)
    row: Mapped[float]
    col: Mapped[float]
    side: Mapped[float]
    lesion: Mapped[str] = mapped_column(Text, default="")
    pathology: Mapped[str] = mapped_column(String(32), default="")
    birads: Mapped[str] = mapped_column(String(8), default="")
    morphology: Mapped[str] = mapped_column(String(32), default="")
    distribution: Mapped[str] = mapped_column(String(32), default="")
    note: Mapped[str] = mapped_column(Text, default="")


class Completion(Base):
    """A reader has finished an exam: where readers are blind to each other, that opens the others' marks."""

    __tablename__ = "completions"
    exam_id: Mapped[str] = mapped_column(ForeignKey("exams.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(default=now)


class Reading(Base):
    """What the networks said of one revision of an annotation; the heatmaps lie in a file named after the id."""

    __tablename__ = "readings"
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    annotation_id: Mapped[str] = mapped_column(ForeignKey("annotations.id"), index=True)
    revision: Mapped[int]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    at: Mapped[dt.datetime] = mapped_column(default=now)
    record: Mapped[Json] = mapped_column(default=dict)


class OutboxEntry(Base):
    """A DICOM object on its way to the PACS. ``payload`` is a file relative to the data folder."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "state", "next_try"),)
    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[str] = mapped_column(Text)
    sop_uid: Mapped[str] = mapped_column(String(128), unique=True)
    reading_id: Mapped[str | None] = mapped_column(ForeignKey("readings.id"), index=True, default=None)
    state: Mapped[str] = mapped_column(String(16), default="waiting")
    tries: Mapped[int] = mapped_column(default=0)
    next_try: Mapped[dt.datetime] = mapped_column(default=now)
    last_error: Mapped[str] = mapped_column(Text, default="")
    created: Mapped[dt.datetime] = mapped_column(default=now)
    sent: Mapped[dt.datetime | None] = mapped_column(default=None)


class WatchedFile(Base):
    """A file of the watched folder that was taken in or refused; ``key`` is a hash of its path, size and time.

    ``refused`` has what is in no exam: ``files``, each with its name, code and message.
    """

    __tablename__ = "watched_files"
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    code: Mapped[str] = mapped_column(String(32))
    at: Mapped[dt.datetime] = mapped_column(default=now)
    refused: Mapped[Json | None] = mapped_column(JSON(none_as_null=True))


class AuditEntry(Base):
    """One line of the log. ``hash`` covers the line and the hash before it, so that a changed line shows."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[str] = mapped_column(String(40))
    account: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32), index=True)
    kind: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))
