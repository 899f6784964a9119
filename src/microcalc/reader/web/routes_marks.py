"""Routes of the marks: squares and labels of an exam, their history, being done, and the agreement of the readers."""

from fastapi import APIRouter

from microcalc.reader.room.concord import agreement_of_all, agreement_of_exam
from microcalc.reader.room.marks import LABELS, change, finish, history, mark_of, marks_of_exam, place, remove
from microcalc.reader.room.problems import Problem
from microcalc.reader.store import audit
from microcalc.reader.store.models import Exam
from microcalc.reader.web.doors import Changer, InRoom, Looker
from microcalc.reader.web.forms import DoneForm, LabelForm
from microcalc.reader.web.routes_exams import NO_EXAM, accepted_image

__all__ = ["router"]

router = APIRouter(prefix="/api")

Record = dict[str, object]


@router.get("/exams/{exam_id}/annotations")
def annotations(exam_id: str, person: Looker, room: InRoom) -> list[Record]:
    """The squares of an exam: one's own, and the others' where they may be seen."""
    with room.store.reading() as session:
        if session.get(Exam, exam_id) is None:
            raise Problem(*NO_EXAM)
        marks = marks_of_exam(session, exam_id, person, blind=room.settings.blind)
        return [mark.record(person) for mark in marks]


@router.post("/images/{image_id}/annotations", status_code=201)
def new_annotation(image_id: str, form: LabelForm, person: Changer, room: InRoom) -> Record:
    """Place a square."""
    image = accepted_image(room, image_id)
    with room.store.writing() as session:
        mark = place(session, image, _labels(form), person, blind=room.settings.blind)
        audit.write(session, person.name, "annotate", ("annotation", mark.annotation.id), revision=1)
        return mark.record(person)


@router.put("/annotations/{annotation_id}")
def changed_annotation(annotation_id: str, form: LabelForm, person: Changer, room: InRoom) -> Record:
    """Change a square or its labels; ``revision`` says from which state."""
    if form.revision is None:
        raise Problem(422, "a change must name the revision that it was made from; it names none", "send revision")
    with room.store.writing() as session:
        mark = change(session, annotation_id, form.revision, _labels(form), person, blind=room.settings.blind)
        revision = mark.annotation.revision
        audit.write(session, person.name, "annotate", ("annotation", annotation_id), revision=revision)
        return mark.record(person)


@router.delete("/annotations/{annotation_id}", status_code=204)
def removed_annotation(annotation_id: str, person: Changer, room: InRoom) -> None:
    """Remove a square; its history stays."""
    with room.store.writing() as session:
        mark = remove(session, annotation_id, person, blind=room.settings.blind)
        revision = mark.annotation.revision
        audit.write(session, person.name, "remove", ("annotation", annotation_id), revision=revision)


@router.get("/annotations/{annotation_id}")
def annotation(annotation_id: str, person: Looker, room: InRoom) -> Record:
    """One square."""
    with room.store.reading() as session:
        return mark_of(session, annotation_id, person, blind=room.settings.blind).record(person)


@router.get("/annotations/{annotation_id}/history")
def annotation_history(annotation_id: str, person: Looker, room: InRoom) -> list[Record]:
    """All revisions of a square, the oldest first."""
    with room.store.reading() as session:
        return history(session, annotation_id, person, blind=room.settings.blind)


@router.post("/exams/{exam_id}/done")
def done(exam_id: str, form: DoneForm, person: Changer, room: InRoom) -> Record:
    """Say that one has finished an exam; that opens the others' marks where readers are blind to each other."""
    with room.store.writing() as session:
        if session.get(Exam, exam_id) is None:
            raise Problem(*NO_EXAM)
        since = finish(session, exam_id, person, done=form.done)
        audit.write(session, person.name, "finish" if form.done else "reopen", ("exam", exam_id))
    return {"done": since is not None, "since": since.isoformat() if since else None}


@router.get("/exams/{exam_id}/agreement")
def exam_agreement(exam_id: str, person: Looker, room: InRoom) -> Record:
    """Agreement of each pair of readers on one exam."""
    with room.store.reading() as session:
        if session.get(Exam, exam_id) is None:
            raise Problem(*NO_EXAM)
        return {"pairs": [p.record() for p in agreement_of_exam(session, exam_id, person, blind=room.settings.blind)]}


@router.get("/agreement")
def agreement(person: Looker, room: InRoom) -> Record:
    """Agreement of each pair of readers over all exams that both have marked."""
    with room.store.reading() as session:
        return {"pairs": [p.record() for p in agreement_of_all(session, person, blind=room.settings.blind)]}


def _labels(form: LabelForm) -> Record:
    return {name: getattr(form, name) for name in LABELS}
