"""Routes of the readings: the study, reading a square, a reading at another prevalence, its heatmaps."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from microcalc.errors import StudyError
from microcalc.reader.room.fair_queue import TooManyWaitingError
from microcalc.reader.room.marks import mark_of
from microcalc.reader.room.people import Person
from microcalc.reader.room.problems import Problem
from microcalc.reader.room.room import Room
from microcalc.reader.store.heat import Heat, open_heat, packed_heat
from microcalc.reader.store.models import Reading
from microcalc.reader.web.doors import Changer, InRoom, Looker
from microcalc.reader.web.forms import ReadForm

__all__ = ["reading_of", "router"]

router = APIRouter(prefix="/api")

LOOK_SECONDS = 0.5
"""How often it is looked whether somebody still waits for a reading."""

CLIENT_GONE = 499
"""Nobody is there to get the answer; the number is nginx's."""

Prevalence = Annotated[float | None, Query(gt=0, lt=1)]


@router.get("/study")
def study(person: Looker, room: InRoom) -> Mapping[str, object]:  # noqa: ARG001
    """The study whose networks read; one without networks where there is none."""
    return room.desk.facts()


@router.post("/annotations/{annotation_id}/reading", status_code=201)
async def new_reading(
    annotation_id: str, person: Changer, room: InRoom, request: Request, form: ReadForm | None = None
) -> dict[str, object]:
    """Read a square; waits until it is the person's turn."""
    if not room.desk.has_study:
        raise Problem(409, "reading needs a study; this server has none", "start it as: microcalc serve STUDY")
    try:
        coming = room.desk.ask(annotation_id, person, form.prevalence if form else None)
    except TooManyWaitingError as error:
        words = "you have as many readings waiting as one may have"
        raise Problem(429, words, "wait for them", headers={"Retry-After": "5"}) from error
    return await _waited(coming, request)


async def _waited(coming: Future[dict[str, object]], request: Request) -> dict[str, object]:
    """The answer; where the page was left in the meantime the reading is not begun."""
    waiting = asyncio.wrap_future(coming)
    while not (await asyncio.wait({waiting}, timeout=LOOK_SECONDS))[0]:
        if await request.is_disconnected():
            coming.cancel()
            raise Problem(CLIENT_GONE, "nobody waits for the reading any more", "ask again")
    return waiting.result()


@router.get("/readings/{reading_id}")
def reading(reading_id: str, person: Looker, room: InRoom, prevalence: Prevalence = None) -> dict[str, object]:
    """A reading; with ``prevalence`` its cut-off is explained there."""
    found = reading_of(room, reading_id, person)
    try:
        return room.desk.explained(found, prevalence)
    except StudyError as error:
        raise Problem(409, str(error), "read the square again") from error


@router.get("/readings/{reading_id}/heatmap/{network}")
def heatmap(reading_id: str, network: str, request: Request, person: Looker, room: InRoom) -> Response:
    """Heatmap of a network or of the ensemble, (512, 512) uint8 row by row, gzip-encoded."""
    reading_of(room, reading_id, person)
    found = None if _known(reading_id, request) else open_heat(room.vault.heatmaps_path(reading_id), network)
    if found is not None and network not in found:
        raise Problem(404, "there is no heatmap of that network", "see the reading's networks")
    return _heat_answer(reading_id, found, request)


@router.get("/readings/{reading_id}/heatmaps")
def heatmaps(reading_id: str, request: Request, person: Looker, room: InRoom) -> Response:
    """All heatmaps of a reading, (networks, 512, 512) uint8, gzip-encoded; ``X-Names`` says in what order."""
    reading_of(room, reading_id, person)
    found = None if _known(reading_id, request) else open_heat(room.vault.heatmaps_path(reading_id))
    return _heat_answer(reading_id, found, request)


def _known(reading_id: str, request: Request) -> bool:
    return request.headers.get("if-none-match") == f'"{reading_id}"'


def _heat_answer(reading_id: str, found: Mapping[str, Heat] | None, request: Request) -> Response:
    """Heatmaps one after the other; nothing where the browser has them already."""
    headers = {"ETag": f'"{reading_id}"', "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if found is None:
        return Response(status_code=304, headers=headers)
    rows, columns = next(iter(found.values())).shape
    headers |= {"X-Rows": str(rows), "X-Columns": str(columns), "X-Names": ",".join(found)}
    content = b"".join(heat.tobytes() for heat in found.values())
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        content = packed_heat(content)
    return Response(content, media_type="application/octet-stream", headers=headers)


def reading_of(room: Room, reading_id: str, person: Person) -> Reading:
    """A reading of a square that the person may see.

    Raises:
        Problem: 404.
    """
    with room.store.reading() as session:
        found = session.get(Reading, reading_id)
        if found is None:
            raise Problem(404, "there is no such reading", "read the square again")
        mark_of(session, found.annotation_id, person, blind=room.settings.blind)
        return found
