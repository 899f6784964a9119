"""The marks of the readers: placing, changing, removing squares and their labels, each with full history.

A change names the revision that it was made from; where somebody saved in between it is refused, with what stands
there now. Where readers are blind to each other, a reader sees another's marks only when both have finished the exam,
and finished marks stay as they are.
"""

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select
from sqlalchemy.orm import Session, aliased

from microcalc.reader.room.people import Person
from microcalc.reader.room.problems import Problem
from microcalc.reader.store.models import Account, Annotation, AnnotationVersion, Completion, Exam, Image, Reading

__all__ = [
    "LABELS",
    "SAME_SIDE",
    "Mark",
    "change",
    "finish",
    "history",
    "lies_at",
    "mark_of",
    "marks_of_exam",
    "may_see",
    "place",
    "remove",
]

LABELS = ("row", "col", "side", "lesion", "pathology", "birads", "morphology", "distribution", "note")
"""What a revision says, besides who and when."""

SAME_SIDE = 0.5
"""Pixels of the image by which two sides may differ: the square is drawn on whole ones."""

NO_MARK = (404, "there is no such square", "reload the exam")


@dataclass(frozen=True)
class Mark:
    """A square with its labels, as it stands.

    Attributes:
        annotation: that it is.
        version: its last revision.
        reader: name of who placed it.
        reading_id: of its last reading; None where it was not read.
    """

    annotation: Annotation
    version: AnnotationVersion
    reader: str
    reading_id: str | None = None

    def record(self, person: Person) -> dict[str, object]:
        """As the page gets it."""
        return {
            "id": self.annotation.id,
            "image_id": self.annotation.image_id,
            "reader": self.reader,
            "mine": self.annotation.account_id == person.id,
            "revision": self.annotation.revision,
            "updated": self.version.at.isoformat(),
            "reading_id": self.reading_id,
            **{name: getattr(self.version, name) for name in LABELS},
        }


def marks_of_exam(session: Session, exam_id: str, person: Person, *, blind: bool) -> list[Mark]:
    """All squares of an exam that a person may see."""
    query = _query().where(Image.exam_id == exam_id, Annotation.deleted.is_(False), may_see(person, blind=blind))
    return _found(session, query.order_by(Account.name, AnnotationVersion.lesion, Annotation.id))


def mark_of(session: Session, annotation_id: str, person: Person, *, blind: bool) -> Mark:
    """One square.

    Raises:
        Problem: 404, there is none that the person may see.
    """
    query = _query().where(Annotation.id == annotation_id, Annotation.deleted.is_(False), may_see(person, blind=blind))
    found = _found(session, query)
    if not found:
        raise Problem(*NO_MARK)
    return found[0]


def place(session: Session, image: Image, labels: Mapping[str, object], person: Person, *, blind: bool) -> Mark:
    """A new square on an image.

    Raises:
        Problem: 409, the person has finished the exam; 422, the square is not on the image.
    """
    _check_place(image, labels)
    _check_open(session, image.exam_id, person, blind=blind)
    annotation = Annotation(image_id=image.id, account_id=person.id)
    session.add(annotation)
    session.flush()
    return _say(session, annotation, labels, person, "created")


def change(
    session: Session, annotation_id: str, revision: int, labels: Mapping[str, object], person: Person, *, blind: bool
) -> Mark:
    """A new revision of a square.

    Args:
        session: that writes.
        annotation_id: of the square.
        revision: that the change was made from.
        labels: all of `LABELS`.
        person: who changes.
        blind: readers are blind to each other.

    Raises:
        Problem: 403, it is somebody else's; 404; 409, it was changed in between, or the exam is finished; 422.
    """
    mark, image = _own(session, annotation_id, person, blind=blind)
    if mark.annotation.revision != revision:
        raise Problem(
            409,
            f"a change must be made from the last revision, {mark.annotation.revision}; this one from {revision}",
            "look at what stands there now, then save yours or keep it",
            extra={"current": mark.record(person)},
        )
    _check_place(image, labels)
    mark.annotation.revision += 1
    return _say(session, mark.annotation, labels, person, "changed")


def remove(session: Session, annotation_id: str, person: Person, *, blind: bool) -> Mark:
    """Remove a square; its history stays.

    Raises:
        Problem: 403, it is somebody else's; 404; 409, the exam is finished.
    """
    mark, _ = _own(session, annotation_id, person, blind=blind)
    mark.annotation.revision += 1
    mark.annotation.deleted = True
    labels = {name: getattr(mark.version, name) for name in LABELS}
    return _say(session, mark.annotation, labels, person, "removed")


def history(session: Session, annotation_id: str, person: Person, *, blind: bool) -> list[dict[str, object]]:
    """All revisions of a square, the oldest first; those of a removed one too.

    Raises:
        Problem: 404, there is none that the person may see.
    """
    seen = _query().where(Annotation.id == annotation_id, may_see(person, blind=blind))
    if not session.execute(seen).all():
        raise Problem(*NO_MARK)
    rows = session.execute(
        select(AnnotationVersion, Account.name)
        .join(Account, Account.id == AnnotationVersion.account_id)
        .where(AnnotationVersion.annotation_id == annotation_id)
        .order_by(AnnotationVersion.revision)
    )
    return [
        {"revision": v.revision, "action": v.action, "reader": name, "at": v.at.isoformat()}
        | {label: getattr(v, label) for label in LABELS}
        for v, name in rows
    ]


def finish(session: Session, exam_id: str, person: Person, *, done: bool) -> dt.datetime | None:
    """Say that a person has finished an exam, or has not after all.

    Returns:
        Since when it is finished; None where it is not.

    Raises:
        Problem: 409, somebody else has finished too, so their marks are open to the person.
    """
    # One at a time: of two that finish or reopen at once, the second finds what the first one did.
    session.execute(select(Exam.id).where(Exam.id == exam_id).with_for_update(key_share=True))
    mine = session.get(Completion, (exam_id, person.id))
    if done and mine is None:
        mine = Completion(exam_id=exam_id, account_id=person.id)
        session.add(mine)
        session.flush()
    if done or mine is None:
        return mine.at if mine is not None else None
    others = select(Completion).where(Completion.exam_id == exam_id, Completion.account_id != person.id)
    if session.execute(others).first() is not None:
        raise Problem(
            409,
            "an exam can be reopened while nobody else has finished it; another reader has, and you see their marks",
            "say what you would change in a note to them",
        )
    session.delete(mine)
    session.flush()
    return None


def _query() -> "Select[Annotation, AnnotationVersion, str]":
    return (
        select(Annotation, AnnotationVersion, Account.name)
        .join(
            AnnotationVersion,
            and_(AnnotationVersion.annotation_id == Annotation.id, AnnotationVersion.revision == Annotation.revision),
        )
        .join(Account, Account.id == Annotation.account_id)
        .join(Image, Image.id == Annotation.image_id)
    )


def lies_at(version: AnnotationVersion, row: float, col: float, side: float) -> bool:
    """Whether a square, as it stands in a revision, is the one that is cut at a pixel, ``side`` pixels of the image."""
    same_pixel = (math.floor(version.row + 0.5), math.floor(version.col + 0.5)) == (row, col)
    return same_pixel and abs(version.side - side) < SAME_SIDE


def may_see(person: Person, *, blind: bool) -> ColumnElement[bool]:
    """Condition on a query of annotations and images: those that a person may see."""
    own = Annotation.account_id == person.id
    if not blind:
        return or_(own, Annotation.account_id != person.id)
    mine, theirs = aliased(Completion), aliased(Completion)
    i_am_done = exists().where(mine.exam_id == Image.exam_id, mine.account_id == person.id)
    they_are_done = exists().where(theirs.exam_id == Image.exam_id, theirs.account_id == Annotation.account_id)
    return or_(own, and_(i_am_done, they_are_done))


def _found(session: Session, query: "Select[Annotation, AnnotationVersion, str]") -> list[Mark]:
    rows = [(annotation, version, reader) for annotation, version, reader in session.execute(query)]
    ids = [annotation.id for annotation, _, _ in rows]
    readings = select(Reading.annotation_id, Reading.id).where(Reading.annotation_id.in_(ids)).order_by(Reading.at)
    latest = {row[0]: row[1] for row in session.execute(readings)} if ids else {}
    return [Mark(annotation, version, reader, latest.get(annotation.id)) for annotation, version, reader in rows]


def _own(session: Session, annotation_id: str, person: Person, *, blind: bool) -> tuple[Mark, Image]:
    """A square of one's own, of an exam that is open, locked against others until the end of the transaction."""
    session.execute(select(Annotation.id).where(Annotation.id == annotation_id).with_for_update())
    mark = mark_of(session, annotation_id, person, blind=blind)
    if mark.annotation.account_id != person.id:
        raise Problem(
            403, "a square can be changed by the reader who placed it; this one is another's", "place your own"
        )
    image = session.get_one(Image, mark.annotation.image_id)
    _check_open(session, image.exam_id, person, blind=blind)
    return mark, image


def _check_open(session: Session, exam_id: str, person: Person, *, blind: bool) -> None:
    if blind and session.get(Completion, (exam_id, person.id)) is not None:
        raise Problem(
            409,
            "marks can be changed until you say that you have finished the exam; you have, so that readers stay blind",
            "reopen the exam, if nobody else has finished it",
        )


def _check_place(image: Image, labels: Mapping[str, object]) -> None:
    row, col = labels["row"], labels["col"]
    inside = isinstance(row, int | float) and isinstance(col, int | float)
    if not inside or not (0 <= row < image.rows and 0 <= col < image.columns):  # type: ignore[operator]
        raise Problem(
            422,
            f"the middle of a square must lie on its image of {image.rows} rows and {image.columns} columns; "
            f"it is at row {row}, column {col}",
            "move it onto the image",
        )


def _say(session: Session, annotation: Annotation, labels: Mapping[str, object], person: Person, action: str) -> Mark:
    version = AnnotationVersion(
        annotation_id=annotation.id, revision=annotation.revision, action=action, account_id=person.id,
        **{name: labels[name] for name in LABELS},
    )  # fmt: skip
    session.add(version)
    session.flush()
    last = select(Reading.id).where(Reading.annotation_id == annotation.id).order_by(Reading.at.desc()).limit(1)
    return Mark(annotation, version, person.name, session.scalar(last))
