"""An HTTP session for a PACS: bounded in bytes and in time, without redirects, and with wildcards as they are.

dicomweb-client asks over it. A PACS that drips, sends without end or sends us elsewhere ends in a plain error.
"""

import time
from typing import Final

import requests

from microcalc import __version__
from microcalc.errors import PacsError
from microcalc.reader.pacs_settings import DicomwebSettings

__all__ = ["BoundedSession", "session_for"]

_CHUNK: Final = 1 << 18
_STAR, _STAR_ESCAPED = "*", "%2A"


class BoundedSession(requests.Session):
    """Reads each answer whole, up to a limit of bytes and of seconds.

    Args:
        largest_bytes: of one answer.
        patience_s: for one request, whatever trickles in.
    """

    def __init__(self, *, largest_bytes: int, patience_s: float) -> None:
        super().__init__()
        self._largest, self._patience = largest_bytes, patience_s
        self.trust_env = False  # no proxies, no ~/.netrc: what we say goes to the PACS of the file and nowhere else
        self.headers["User-Agent"] = f"microcalc/{__version__}"

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:
        """Send a request and read the answer.

        Raises:
            PacsError: too many bytes or seconds, or a redirect.
        """
        end = time.monotonic() + self._patience
        head, question, query = (request.url or "").partition("?")
        # An asterisk needs no escape (RFC 3986); Orthanc takes an escaped one for a letter and finds nothing.
        request.url = head + question + query.replace(_STAR_ESCAPED, _STAR)
        options |= {"stream": True, "allow_redirects": False}
        answer = super().send(request, **options)
        try:
            if answer.is_redirect:
                raise PacsError(
                    "a PACS must answer at the address of its file; it sent us elsewhere. Give the address that it "
                    "names as url"
                )
            # What requests calls the content once it has been read; there is no public way to set it.
            answer._content = self._read(answer, end)
            answer._content_consumed = True
        except BaseException:
            answer.close()
            raise
        return answer

    def _read(self, answer: requests.Response, end: float) -> bytes:
        content = bytearray()
        for chunk in answer.iter_content(_CHUNK):
            content += chunk
            if len(content) > self._largest:
                raise PacsError(
                    f"one answer of a PACS must have {self._largest} bytes at most; this one has more (largest_mb)"
                )
            if time.monotonic() > end:
                raise PacsError(f"a PACS must answer within {self._patience:g} s; it is still sending (patience_s)")
        return bytes(content)


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
