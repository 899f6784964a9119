"""The routes of files that come in: uploads, straight to the disk, and what the watched folder could not use."""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import APIRouter, Request
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from microcalc.reader.room.problems import Problem
from microcalc.reader.room.watch import refused_files
from microcalc.reader.store.shelf import Origin, Taken
from microcalc.reader.store.vault import Incoming, TooLargeError, Vault
from microcalc.reader.web.doors import Changer, InRoom, Looker

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["router"]

router = APIRouter(prefix="/api")

BATCH = 1 << 20
"""Bytes that are handed to the disk at once."""

MOST_FILES = 2_000
"""Of one request; more come as a zip."""

LONGEST_HEADER = 4_096


class _Parts:
    """Receives the parts of a multipart body: the files named ``files`` go to the vault, others are passed over."""

    def __init__(self, vault: Vault, limit: int, boundary: bytes) -> None:
        self.files: list[tuple[str, Incoming]] = []
        self.complete = False
        self._vault, self._limit = vault, limit
        self._current: Incoming | None = None
        self._name = self._value = b""
        self._disposition = b""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_field,
            "on_header_value": self._on_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    def write(self, data: bytes) -> None:
        """Take bytes of the body."""
        self._parser.write(data)

    def discard(self) -> None:
        """Forget everything that was not taken in."""
        for _, incoming in self.files:
            incoming.discard()
        if self._current is not None:
            self._current.discard()

    def _begin(self) -> None:
        self._disposition = self._name = self._value = b""
        self._current = None

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._name = (self._name + data[start:end])[:LONGEST_HEADER]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value = (self._value + data[start:end])[:LONGEST_HEADER]

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename")
        if name is None or options.get(b"name") != b"files":
            return
        if len(self.files) >= MOST_FILES:
            raise TooLargeError
        self._current = self._vault.incoming(self._limit)
        self.files.append((name.decode("utf-8", "replace"), self._current))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._current is not None:
            self._current.write(data[start:end])

    def _part_end(self) -> None:
        if self._current is not None:
            self._current.finish()
        self._current = None

    def _end(self) -> None:
        self.complete = True


@router.post("/uploads")
async def uploads(request: Request, person: Changer, room: InRoom) -> list[dict[str, object]]:
    """Take files in: DICOM or zip; each gets its verdict."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise Problem(422, "an upload must be a form with files (multipart/form-data)", "send the files as 'files'")
    parts = _Parts(room.vault, room.settings.limits.upload_bytes, boundary)
    origin = Origin(person.name, "upload")
    try:
        await _receive(request, parts)
        answers: list[Taken] = []
        for name, incoming in parts.files:
            answers += await to_thread.run_sync(room.shelf.take, incoming, name, origin)
    finally:
        await to_thread.run_sync(parts.discard)
    return [asdict(taken) for taken in answers]


@router.get("/watched/refused")
def refused(person: Looker, room: InRoom) -> list[dict[str, str]]:  # noqa: ARG001 -- nobody else may look
    """Files of the watched folder that are in no exam, and why; those of the last days."""
    with room.store.reading() as session:
        return refused_files(session)


async def _receive(request: Request, parts: _Parts) -> None:
    """The whole body; what came of a body that breaks off is forgotten."""
    try:
        async for batch in _batches(request):
            await to_thread.run_sync(parts.write, batch)
    except ClientDisconnect as error:
        raise Problem(400, "the upload must arrive as a whole; it broke off", "upload it again") from error
    except MultipartParseError as error:
        raise Problem(422, "the upload must be a form with files; it cannot be read", "send it again") from error
    except (TooLargeError, HTTPException) as error:
        raise Problem(
            413,
            "the upload is larger than this server takes",
            "send fewer files at once",
            headers={"Connection": "close"},
        ) from error
    if not parts.complete:
        raise Problem(422, "the upload must be a form with files, sent to its end; it is not", "send it again")


async def _batches(request: Request) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        held.append(chunk)
        size += len(chunk)
        if size >= BATCH:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)
