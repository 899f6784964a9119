"""The worklist: which exams there are, how far each has come, and the search in it.

The status is what the person who asks may know: where readers are blind to each other, only their own marks count.
"""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, case, exists, func, or_, select
from sqlalchemy.orm import Session

from microcalc.reader.store.models import Annotation, Exam, Image, OutboxEntry, Reading

__all__ = ["Status", "Wanted", "worklist"]


class Status(StrEnum):
    """How far an exam has come."""

    NEW = "new"
    ANNOTATED = "annotated"
    READ = "read"
    SENT = "sent"


@dataclass(frozen=True)
class Wanted:
    """Which part of the worklist.

    Attributes:
        search: words; each must be in the patient's ID or name, the accession number, the date or the description.
        status: only exams of this one.
        limit, offset: so many, after so many.
        exam_id: only this one.
    """

    search: str = ""
    status: Status | None = None
    limit: int = 1000
    offset: int = 0
    exam_id: str = ""


def worklist(session: Session, account_id: str, wanted: Wanted, *, blind: bool) -> list[dict[str, object]]:
    """Exams as the page lists them, newest first.

    Args:
        session: that looks.
        account_id: of whoever asks.
        wanted: which.
        blind: others' marks do not count.
    """
    status = _status(account_id, blind=blind)
    images = select(func.count()).where(Image.exam_id == Exam.id).correlate(Exam).scalar_subquery()
    query: Select[Exam, str, int] = select(Exam, status, images)
    if wanted.exam_id:
        query = query.where(Exam.id == wanted.exam_id)
    for word in wanted.search.split()[:8]:
        query = query.where(_has(word))
    if wanted.status is not None:
        query = query.where(status == wanted.status.value)
    query = query.order_by(Exam.date.desc(), Exam.created.desc(), Exam.id).limit(wanted.limit).offset(wanted.offset)
    return [_record(exam, Status(word), count) for exam, word, count in session.execute(query)]


def _status(account_id: str, *, blind: bool) -> ColumnElement[str]:
    marks = (
        select(Annotation.id)
        .join(Image, Image.id == Annotation.image_id)
        .where(Image.exam_id == Exam.id, Annotation.deleted.is_(False))
        .correlate(Exam)
    )
    if blind:
        marks = marks.where(Annotation.account_id == account_id)
    read = marks.join(Reading, Reading.annotation_id == Annotation.id)
    sent = read.join(OutboxEntry, OutboxEntry.reading_id == Reading.id).where(OutboxEntry.state == "sent")
    return case(
        (exists(sent), Status.SENT.value),
        (exists(read), Status.READ.value),
        (exists(marks), Status.ANNOTATED.value),
        else_=Status.NEW.value,
    )


def _has(word: str) -> ColumnElement[bool]:
    columns = (Exam.patient_id, Exam.patient_name, Exam.accession, Exam.date, Exam.description)
    return or_(*(column.icontains(word, autoescape=True) for column in columns))


def _record(exam: Exam, status: Status, images: int) -> dict[str, object]:
    return {
        "id": exam.id,
        "patient_id": exam.patient_id,
        "patient_name": exam.patient_name,
        "date": exam.date,
        "status": status.value,
        "images": images,
        "description": exam.description,
        "source": exam.source,
        "received": exam.created.isoformat(),
    }
