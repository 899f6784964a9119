"""The page's own files: index and what it loads, from ``static/`` in the package, each with its content type.

Only names with a known ending inside that folder are given out. They hold no patient data, so nobody need be logged in
to get them.
"""

import hashlib
import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from microcalc import RESEARCH_USE
from microcalc.reader.room.problems import Problem

__all__ = ["STATIC", "page_routes"]

STATIC = Path(__file__).parent / "static"

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
    ".map": "application/json",
    ".txt": "text/plain; charset=utf-8",
}

_NAME = re.compile(r"(?:[\w-]+/){0,4}[\w-][\w.-]{0,99}")
"""Folders and a file; neither begins with a dot."""

NO_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>microcalc</title><h1>microcalc</h1>"
    f"<p>{RESEARCH_USE}</p><p>The server runs, but the page is not in this installation.</p></html>"
)


def page_routes(folder: Path = STATIC) -> APIRouter:
    """Routes of the page; include them last, since they take every path that is left."""
    router = APIRouter()
    root = folder.resolve()

    @router.get("/", include_in_schema=False)
    def index(request: Request) -> Response:
        """The page."""
        if not (root / "index.html").is_file():
            return HTMLResponse(NO_PAGE)
        return _given(request, root / "index.html")

    @router.get("/{name:path}", include_in_schema=False)
    def part(name: str, request: Request) -> Response:
        """Something that the page loads."""
        path = _inside(root, name)
        if path is None:
            raise Problem(404, "there is no such thing here", "go to the worklist")
        return _given(request, path)

    return router


def _inside(root: Path, name: str) -> Path | None:
    """File of a name if it is one of the page's; nothing for whatever else somebody asks for."""
    if name.startswith("api/") or not _NAME.fullmatch(name):
        return None
    path = (root / name).resolve()
    known = path.suffix in CONTENT_TYPES and path.is_relative_to(root) and path.is_file()
    return path if known else None


def _given(request: Request, path: Path) -> Response:
    content = path.read_bytes()
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=CONTENT_TYPES[path.suffix], headers=headers)
