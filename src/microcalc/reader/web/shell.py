"""What surrounds every request: headers that bind the browser, the host name, the proxy, a bound on bodies, the log.

Plain ASGI layers, each of one concern. The log has the method, the pattern of the route, status and time: no names, no
ids, no query.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from microcalc.reader.room.problems import answer
from microcalc.reader.settings import LOOPBACK_NAMES, Network, Settings

__all__ = ["UPLOADS", "AccessLog", "BodyLimit", "HostCheck", "PlainAddress", "ProxyPeer", "SafeHeaders"]

log = logging.getLogger("microcalc.reader.access")

UPLOADS = "/api/uploads"
"""Path whose bodies are bounded by its route."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow",
}


class SafeHeaders:
    """Sets `SAFE_HEADERS` on every answer, and no-store where the route says nothing else."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app, self._https = app, https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if self._https:
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, with_headers)


class HostCheck:
    """Refuses names that are not ours, so that a foreign name that is made to point here (rebinding) gets nothing."""

    def __init__(self, app: ASGIApp, *, names: Iterable[str]) -> None:
        self._app, self._names = app, frozenset(name.casefold() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and host_name(Headers(scope=scope).get("host", "")) not in self._names:
            words = "the server must be called by a name that it knows; this is none of them"
            await answer(400, words, "use the address that the server printed, or start it with --name NAME")(
                scope, receive, send
            )
            return
        await self._app(scope, receive, send)


def host_name(host: str) -> str:
    """Name in a Host header, without the port."""
    name = host.partition("]")[0].lstrip("[") if host.startswith("[") else host.rpartition(":")[0] or host
    return name.casefold()


def names_of(settings: Settings) -> tuple[str, ...]:
    """Names that `HostCheck` lets pass."""
    return (*LOOPBACK_NAMES, *settings.names, settings.host)


class ProxyPeer:
    """Believes X-Forwarded-For, X-Forwarded-Proto and the identity header of trusted proxies, and of nobody else."""

    def __init__(self, app: ASGIApp, *, trusted: tuple[Network, ...], identity_header: str) -> None:
        self._app, self._trusted, self._header = app, trusted, identity_header.lower().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and self._trusted:
            peer = (scope.get("client") or ("", 0))[0]
            headers = Headers(scope=scope)
            scope["microcalc.identity"] = ""
            if self._is_trusted(peer):
                scope["client"] = (self._nearest_stranger(headers.get("x-forwarded-for", ""), peer), 0)
                scope["scheme"] = "https" if headers.get("x-forwarded-proto", "") == "https" else "http"
                scope["microcalc.identity"] = self._identity(scope)
        await self._app(scope, receive, send)

    def _identity(self, scope: Scope) -> str:
        """The one identity header; two of them are a proxy that let a stranger's through."""
        found = [value for name, value in scope["headers"] if name == self._header]
        return _header_text(found[0]).strip() if self._header and len(found) == 1 else ""

    def _nearest_stranger(self, forwarded: str, peer: str) -> str:
        """The last address of the list that is no trusted proxy: those before it may be made up."""
        for address in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
            if not self._is_trusted(address):
                return address
        return peer

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)


def _header_text(value: bytes) -> str:
    """UTF-8, as identity providers write names today; Latin-1, as HTTP once had it, where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


class PlainAddress:
    """Refuses addresses with a zero character in them: no id and no word has one, and PostgreSQL takes none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and "\0" in scope["path"]:
            await answer(404)(scope, receive, send)
        elif scope["type"] == "http" and b"%00" in scope["query_string"]:
            await answer(400, "an address must be text without zero characters; this one has one")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BodyLimit:
    """Refuses bodies that are too long, by their declared length before a byte is read, and while they are read."""

    def __init__(self, app: ASGIApp, *, limit: int, upload_limit: int) -> None:
        self._app, self._limit, self._upload_limit = app, limit, upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_limit if scope["path"] == UPLOADS else self._limit
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal() or int(declared) > limit:
            words = f"a request must have at most {limit:,} bytes; this one declares more"
            close = {"Connection": "close"}
            await answer(413, words, "send fewer files at once", headers=close)(scope, receive, send)
            return
        got = 0

        async def bounded() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > limit:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)


class AccessLog:
    """One line for each request: what was asked for in general, and how it ended."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # The path itself may hold anything that somebody typed; its pattern holds nothing.
            route = getattr(scope.get("route"), "path", "-")
            log.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * (time.perf_counter() - begun))
