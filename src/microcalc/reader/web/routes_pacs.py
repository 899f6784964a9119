"""Routes of the PACS: whether there is one, query, fetch, sending a reading, and what waits to be sent."""

import datetime as dt
import re
from typing import TYPE_CHECKING

from fastapi import APIRouter
from sqlalchemy import or_, select

from microcalc.errors import PacsError
from microcalc.reader.pacs.archive import FoundStudy, PacsQuery
from microcalc.reader.room.marks import may_see
from microcalc.reader.room.problems import Problem
from microcalc.reader.room.room import Room
from microcalc.reader.store.models import Annotation, Image, OutboxEntry, Reading
from microcalc.reader.web.doors import Changer, InRoom, Looker
from microcalc.reader.web.forms import FetchForm, QueryForm, SendForm
from microcalc.reader.web.routes_readings import reading_of

if TYPE_CHECKING:
    from microcalc.reader.room.postroom import Postroom

__all__ = ["router"]

router = APIRouter(prefix="/api")

MOST_ENTRIES, MOST_STUDIES = 500, 200
"""Of the outbox, and of an answer of the PACS, that the page gets at once."""

_ISO_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")

Record = dict[str, object]


@router.get("/pacs")
def pacs(person: Looker, room: InRoom) -> Record:  # noqa: ARG001
    """Whether there is a PACS."""
    waiting = 0 if room.postroom is None else room.postroom.outbox.waiting()
    return {"configured": room.postroom is not None, "waiting": waiting}


@router.post("/pacs/query")
def query(form: QueryForm, person: Changer, room: InRoom) -> Record:
    """Studies of the PACS that match, and whether there may be more; ``*`` and ``?`` stand for letters."""
    wanted = PacsQuery(
        patient_id=form.patient,
        patient_name=form.name,
        accession=form.accession,
        date=_ISO_DAY.sub(r"\1\2\3", form.date),
        limit=MOST_STUDIES,
    )
    try:
        found = _postroom(room).query(wanted, person)
    except PacsError as error:
        raise _failed(error) from error
    return {"studies": [_found(study) for study in found.studies], "more": found.more}


@router.post("/pacs/fetch")
def fetch(form: FetchForm, person: Changer, room: InRoom) -> list[Record]:
    """Bring the images of a study; each gets its verdict."""
    try:
        return [vars(taken) for taken in _postroom(room).fetch(form.study_uid, person)]
    except PacsError as error:
        raise _failed(error) from error


@router.post("/readings/{reading_id}/send", status_code=202)
def send(reading_id: str, person: Changer, room: InRoom, form: SendForm | None = None) -> list[Record]:
    """Send a reading's report; what is acknowledged here reaches the PACS sooner or later, once."""
    reading, revision = reading_of(room, reading_id, person), form.revision if form else None
    return [_entry(entry) for entry in _postroom(room).send(reading, person, revision=revision)]


@router.get("/outbox")
def outbox(person: Looker, room: InRoom) -> list[Record]:
    """What was sent or waits to be, the newest first; of readings that the person may see."""
    seen = (
        select(Reading.id)
        .join(Annotation, Annotation.id == Reading.annotation_id)
        .join(Image, Image.id == Annotation.image_id)
        .where(may_see(person, blind=room.settings.blind))
    )
    query = (
        select(OutboxEntry)
        .where(or_(OutboxEntry.reading_id.is_(None), OutboxEntry.reading_id.in_(seen)))
        .order_by(OutboxEntry.created.desc(), OutboxEntry.id)
        .limit(MOST_ENTRIES)
    )
    with room.store.reading() as session:
        return [_entry(entry) for entry in session.scalars(query)]


def _postroom(room: Room) -> "Postroom":
    if room.postroom is None:
        raise Problem(409, "there must be a PACS for that; this server has none", "start it with --pacs FILE.yaml")
    return room.postroom


def _failed(error: PacsError) -> Problem:
    return Problem(502, str(error), "try again later, or ask whoever runs the PACS")


def _found(study: FoundStudy) -> Record:
    date = study.date
    return {
        "study_uid": study.study_uid,
        "patient_id": study.patient_id,
        "patient_name": study.patient_name,
        "date": f"{date[:4]}-{date[4:6]}-{date[6:]}" if re.fullmatch(r"\d{8}", date) else date,
        "accession": study.accession,
        "description": study.description,
        "images": study.images or None,
        "modalities": list(study.modalities),
    }


def _entry(entry: OutboxEntry) -> Record:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "state": entry.state,
        "tries": entry.tries,
        "next_try": _moment(entry.next_try),
        "last_error": entry.last_error,
        "reading_id": entry.reading_id,
        "created": _moment(entry.created),
        "sent": _moment(entry.sent),
    }


def _moment(at: dt.datetime | None) -> str | None:
    return None if at is None else at.isoformat()
