"""The web application of the reading room: its parts put together, nothing else.

`create_app` takes settings and gives a FastAPI application; the server that runs it is the command line's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from microcalc import __version__
from microcalc.reader.room.problems import LastNet, add_problem_handlers
from microcalc.reader.room.room import Room, open_room
from microcalc.reader.settings import Settings
from microcalc.reader.web import routes_exams, routes_marks, routes_pacs, routes_people, routes_readings, routes_uploads
from microcalc.reader.web.pages import page_routes
from microcalc.reader.web.shell import AccessLog, BodyLimit, HostCheck, PlainAddress, ProxyPeer, SafeHeaders, names_of

__all__ = ["app_of", "create_app"]


def create_app(settings: Settings) -> FastAPI:
    """Open the store and make the application.

    Args:
        settings: how the reading room is run.

    Raises:
        MicrocalcError: the store cannot be opened, or another server uses it.
    """
    return app_of(open_room(settings))


def app_of(room: Room) -> FastAPI:
    """The application of an open reading room, which it closes at its end."""

    @asynccontextmanager
    async def lifetime(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        room.start()
        try:
            yield
        finally:
            room.close()

    # No pages about the interface: they would load scripts from elsewhere.
    app = FastAPI(title="microcalc", version=__version__, lifespan=lifetime, openapi_url=None)
    app.state.room = room
    add_problem_handlers(app)
    for module in (routes_people, routes_exams, routes_uploads, routes_marks, routes_readings, routes_pacs):
        app.include_router(module.router)
    app.include_router(page_routes())
    _surround(app, room.settings)
    return app


def _surround(app: FastAPI, settings: Settings) -> None:
    """The layers, from the innermost to the outermost."""
    limits, proxy = settings.limits, settings.proxy
    app.add_middleware(BodyLimit, limit=limits.json_bytes, upload_limit=limits.upload_bytes)
    app.add_middleware(ProxyPeer, trusted=proxy.trusted, identity_header=proxy.identity_header)
    app.add_middleware(HostCheck, names=names_of(settings))
    app.add_middleware(PlainAddress)
    app.add_middleware(LastNet)
    app.add_middleware(SafeHeaders, https=settings.https)
    app.add_middleware(AccessLog)
