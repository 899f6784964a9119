"""An HTTP session for a PACS: bounded in bytes and in time, without redirects, and with wildcards as they are.

dicomweb-client asks over it. A PACS that drips, sends without end or sends us elsewhere ends in a plain error.
"""

import logging
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from microcalc import __version__
from microcalc.errors import PacsError
from microcalc.reader.pacs.settings import DicomwebSettings

__all__ = ["BoundedSession", "session_for"]

_CHUNK: Final = 1 << 18
# It writes addresses into its warnings, and a query names a patient.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)

_RESULTS_LEFT: Final = re.compile(r"(^|,)\s*299\b")
_STAR, _STAR_ESCAPED = "*", "%2A"


class BoundedSession(requests.Session):
    """Reads each answer whole, up to a limit of bytes and of seconds.

    Args:
        largest_bytes: of one answer.
        patience_s: for one request from its beginning to its end, whatever trickles in.

    Attributes:
        incomplete: an answer said that there are results beyond it (PS3.18 8.3.4.4).
    """

    def __init__(self, *, largest_bytes: int, patience_s: float) -> None:
        super().__init__()
        self._largest, self._patience = largest_bytes, patience_s
        self.incomplete = False
        self._adapter = _Adapter()
        self.mount("http://", self._adapter)
        self.mount("https://", self._adapter)
        self.trust_env = False  # no proxies, no ~/.netrc: what we say goes to the PACS of the file and nowhere else
        self.headers["User-Agent"] = f"microcalc/{__version__}"

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Send a request and read the answer.

        Raises:
            PacsError: too many bytes or seconds, or a redirect.
        """
        head, question, query = (request.url or "").partition("?")
        # An asterisk needs no escape (RFC 3986); Orthanc takes an escaped one for a letter and finds nothing.
        request.url = head + question + query.replace(_STAR_ESCAPED, _STAR)
        options |= {"stream": True, "allow_redirects": False}
        late = threading.Event()
        watchdog = threading.Timer(self._patience, self._adapter.cut, (late,))
        watchdog.daemon = True
        watchdog.start()
        try:
            answer = self._whole(super().send(request, **options))
        except Exception:
            if not late.is_set():
                raise
        finally:
            watchdog.cancel()
        if late.is_set():  # a line that was cut may look like an answer
            raise PacsError(f"a PACS must answer within {self._patience:g} s; it did not (patience_s)")
        self.incomplete |= _RESULTS_LEFT.search(answer.headers.get("Warning", "")) is not None
        return answer

    def _whole(self, answer: requests.Response) -> requests.Response:
        """The answer with its content read, so that nobody reads on without a limit."""
        try:
            if answer.is_redirect:
                raise PacsError(
                    "a PACS must answer at the address of its file; it sent us elsewhere. Give the address that it "
                    "names as url"
                )
            content = bytearray()
            for chunk in answer.iter_content(_CHUNK):
                content += chunk
                if len(content) > self._largest:
                    raise PacsError(
                        f"one answer of a PACS must have {self._largest} bytes at most; this one has more (largest_mb)"
                    )
        except BaseException:
            answer.close()
            raise
        # What requests calls the content once it has been read; there is no public way to set it.
        answer._content = bytes(content)
        answer._content_consumed = True
        return answer


class _Adapter(HTTPAdapter):
    """Knows its connections, so that a watchdog can cut them, be they sending, waiting or reading."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: object) -> None:
        """As the adapter of requests does, with connections that report themselves."""
        super().init_poolmanager(connections, maxsize, block, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._sockets.append)

    def cut(self, late: threading.Event) -> None:
        """Cut every connection."""
        late.set()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _pools(report: Callable[[socket.socket], None]) -> dict[str, type[HTTPConnectionPool]]:
    """Classes of urllib3 whose connections report their socket once they have one."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            report(self.sock)

    class Encrypted(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            report(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class EncryptedPool(HTTPSConnectionPool):
        ConnectionCls = Encrypted

    return {"http": PlainPool, "https": EncryptedPool}


def session_for(settings: DicomwebSettings) -> BoundedSession:
    """A session with the certificates and credentials of the settings.

    Raises:
        ProtocolError: an environment variable is not set.
    """
    session = BoundedSession(largest_bytes=settings.largest_bytes, patience_s=settings.patience_s)
    if settings.user_env:
        session.auth = (settings.secret(settings.user_env), settings.secret(settings.password_env))
    if settings.token_env:
        session.headers["Authorization"] = f"Bearer {settings.secret(settings.token_env)}"
    if settings.ca_file:
        session.verify = str(settings.ca_file)
    if settings.certificate:
        session.cert = (str(settings.certificate), str(settings.key or settings.certificate))
    return session
