"""Routes of the exams: worklist, one exam, an image's pixels and thumbnail."""

import math
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import select

from microcalc.reader.room.people import Person
from microcalc.reader.room.problems import Problem
from microcalc.reader.room.room import Room
from microcalc.reader.store import audit
from microcalc.reader.store.models import Completion, Exam, Image
from microcalc.reader.store.worklist import Status, Wanted, worklist
from microcalc.reader.web.doors import Changer, InRoom, Looker
from microcalc.reader.web.forms import SearchForm

__all__ = ["NO_EXAM", "accepted_image", "image_record", "router"]

router = APIRouter(prefix="/api")

PIXELS_VERSION = 1
"""Part of the ETag: raised when the greys of the same file change."""

PRIVATE = "private, no-cache"
"""A browser may keep the pixels, but asks each time, so that whoever is logged out gets none."""

NO_EXAM = (404, "there is no such exam", "go back to the worklist")
POSTED = "send them in the body of POST /api/exams/search"
NO_IMAGE = (404, "there is no such image", "go back to the worklist")


class _LongReads(FileResponse):
    """A file in pieces of a mebibyte: one turn of a thread for each is enough."""

    chunk_size = 1 << 20


@router.get("/exams")
def exams(
    person: Looker,
    room: InRoom,
    search: str = "",
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[dict[str, object]]:
    """The worklist, newest exams first."""
    if search:
        raise Problem(422, "words of a search must not stand in an address, since they may name a patient", POSTED)
    return _listed(person, room, Wanted("", status, limit, offset))


@router.post("/exams/search")
def found_exams(form: SearchForm, person: Changer, room: InRoom) -> list[dict[str, object]]:
    """The exams of the worklist that have these words, newest first."""
    return _listed(person, room, Wanted(form.search, form.status, form.limit, form.offset))


def _listed(person: Person, room: Room, wanted: Wanted) -> list[dict[str, object]]:
    with room.store.reading() as session:
        return worklist(session, person.id, wanted, blind=room.settings.blind)


@router.get("/exams/{exam_id}")
def exam(exam_id: str, person: Looker, room: InRoom) -> dict[str, object]:
    """One exam with its images; refused ones show their verdict; ``done``: one has finished it."""
    with room.store.reading() as session:
        found = session.get(Exam, exam_id)
        if found is None:
            raise Problem(*NO_EXAM)
        row = worklist(session, person.id, Wanted(exam_id=exam_id), blind=room.settings.blind)[0]
        images = session.scalars(
            select(Image).where(Image.exam_id == exam_id).order_by(Image.laterality.desc(), Image.view, Image.created)
        )
        done = session.get(Completion, (exam_id, person.id)) is not None
        answer = row | {"done": done, "images": [image_record(image) for image in images]}
    audit.record(room.store, person.name, "open", ("exam", exam_id))
    return answer


@router.get("/images/{image_id}/pixels")
def pixels(image_id: str, request: Request, person: Looker, room: InRoom) -> Response:
    """The greys, (rows, columns) uint16 little-endian, gzip-encoded; the networks read the same numbers."""
    image = accepted_image(room, image_id)
    tag = f'"{image.sha256[:32]}-{PIXELS_VERSION}"'
    headers = {"ETag": tag, "Cache-Control": PRIVATE, "X-Rows": str(image.rows), "X-Columns": str(image.columns)}
    audit.record(room.store, person.name, "view", ("image", image_id))
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    stem = room.shelf.pixels(image)
    headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return _file(stem.with_suffix(".u16.gz"), headers)
    return _file(stem.with_suffix(".u16"), headers)


@router.get("/images/{image_id}/thumbnail")
def thumbnail(image_id: str, request: Request, person: Looker, room: InRoom) -> Response:  # noqa: ARG001
    """A small picture for the list."""
    image = accepted_image(room, image_id)
    tag = f'"{image.sha256[:32]}-{PIXELS_VERSION}t"'
    headers = {"ETag": tag, "Cache-Control": PRIVATE}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return FileResponse(room.shelf.pixels(image).with_suffix(".png"), media_type="image/png", headers=headers)


def _file(path: Path, headers: dict[str, str]) -> FileResponse:
    return _LongReads(path, media_type="application/octet-stream", headers=headers)


def accepted_image(room: Room, image_id: str) -> Image:
    """An image that can be seen.

    Raises:
        Problem: 404, there is none; 409, it was refused.
    """
    with room.store.reading() as session:
        image = session.get(Image, image_id)
    if image is None:
        raise Problem(*NO_IMAGE)
    if not image.accepted:
        raise Problem(409, f"the file was refused ({image.code}): {image.message}", "see its verdict in the exam")
    return image


def image_record(image: Image) -> dict[str, object]:
    """An image as the page gets it."""
    facts, notes = image.facts, image.notes.get("notes")
    return {
        "id": image.id,
        "laterality": image.laterality,
        "view": image.view,
        "view_modifiers": facts.get("view_modifiers", []),
        "rows": image.rows,
        "columns": image.columns,
        "spacing_mm": _finite(facts.get("pixel_spacing_mm")),
        "magnification": _finite(facts.get("magnification")),
        "detector": facts.get("detector", "unknown"),
        "manufacturer": facts.get("manufacturer", ""),
        "accepted": image.accepted,
        "code": image.code,
        "message": image.message,
        "notes": [{"code": code, "message": message} for code, message in notes] if isinstance(notes, list) else [],
        "date": facts.get("acquisition_date") or facts.get("study_date") or "",
    }


def _finite(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
