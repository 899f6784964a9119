"""What a request is answered with when it cannot be served: a status, what is wrong, and the way out.

Also the last net: an error that nobody foresaw is logged without its message, since that may name a patient.
"""

import logging
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microcalc.errors import MicrocalcError
from microcalc.reader.store.models import new_id

__all__ = ["LastNet", "Problem", "add_problem_handlers", "answer"]

log = logging.getLogger("microcalc.reader")

_WORDS = {
    400: ("the request cannot be understood", "reload the page and try again"),
    401: ("you must be logged in", "log in"),
    403: ("you may not do that", "ask an administrator"),
    404: ("there is no such thing here", "go back to the worklist"),
    405: ("that cannot be done here", "go back to the worklist"),
}


class Problem(Exception):  # noqa: N818 -- an answer rather than an error of ours
    """Ends a request with a status and two sentences; ``headers`` and ``extra`` fields go with them."""

    def __init__(
        self,
        status: int,
        error: str,
        way_out: str,
        *,
        headers: dict[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error, self.way_out = status, error, way_out
        self.headers, self.extra = headers or {}, extra or {}


def answer(
    status: int,
    error: str = "",
    way_out: str = "",
    *,
    headers: dict[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> JSONResponse:
    """The JSON of a problem; the usual words of the status where none are given."""
    usual = _WORDS.get(status, ("the request failed", "try again"))
    words = {"error": error or usual[0], "way_out": way_out or usual[1]}
    return JSONResponse({**(extra or {}), **words}, status_code=status, headers=headers)


def add_problem_handlers(app: FastAPI) -> None:
    """Teach an application to answer problems in this form."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(MicrocalcError, _foreseen)


def _problem(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    if not isinstance(error, Problem):
        raise error
    return answer(error.status, error.error, error.way_out, headers=error.headers, extra=error.extra)


def _http(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    status = error.status_code if isinstance(error, HTTPException) else 500
    return answer(status)


def _foreseen(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    return answer(422, str(error), "see what must hold, and try again")


def _invalid(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001
    parts: Sequence[object] = error.errors() if isinstance(error, RequestValidationError) else ()
    words = [_field(part) for part in parts if isinstance(part, dict)]
    return answer(422, "; ".join(words[:5]) or "the request has a wrong form", "mend the field and send it again")


def _field(part: dict[str, object]) -> str:
    """Where and what; never the value that came, which may be a patient's."""
    place = part.get("loc", ())
    names = [str(name) for name in place if name != "body"] if isinstance(place, tuple | list) else []
    return f"{'.'.join(names) or 'the request'}: {part.get('msg', 'wrong')}"


class LastNet:
    """Outermost layer: whatever is raised becomes a 500 with a number, and the log has the place but not the words."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if scope["type"] != "http":
                raise
            number = new_id()[:8]
            log.error("error %s: %s at %s", number, type(error).__name__, _places(error))
            if not begun:
                words = f"the server failed at something that nobody foresaw (number {number} in its log)"
                await answer(500, words, "try again; if it stays, tell whoever runs the server")(scope, receive, send)


def _places(error: BaseException) -> str:
    """File, line and function of the innermost frames; no message, no values."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    cause = f"; caused by {type(error.__cause__).__name__} at {_places(error.__cause__)}" if error.__cause__ else ""
    return " > ".join(places) + cause
