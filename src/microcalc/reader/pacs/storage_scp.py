"""A small storage SCP: modalities push images to it, and archives send what C-MOVE asks for.

Only known AE titles are let in, an object has a largest size, and a caller hears success only after the object has
been taken in by whoever is behind. What becomes of an object is said by a function that gets it; nothing is kept here.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from microcalc.errors import MicrocalcError, PacsError
from microcalc.intake.dicom.library import CONTENT_ERRORS, quiet
from microcalc.reader.pacs.archive import MAMMOGRAPHY_CLASSES, checked_uid, said
from microcalc.reader.pacs.settings import ListenSettings
from microcalc.reader.pacs.syntaxes import TRANSFER_SYNTAXES

__all__ = ["PDU_BYTES", "Received", "StorageScp", "StoreStatus", "TakeIn", "received_object"]

logger = logging.getLogger(__name__)

# It writes whole queries, with the patient in them, and tracebacks of every broken connection; what matters is said in
# the errors and statuses of this package.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

_OVERHEAD = 1 << 16
"""Bytes of commands and PDU headers around an object of the largest size."""

PDU_BYTES = 1 << 17
"""Largest PDU that we offer to receive: larger ones mean fewer turns for each image."""


class StoreStatus(IntEnum):
    """Answers to C-STORE (DICOM PS3.4 B.2.3)."""

    SUCCESS = 0x0000
    NOT_AUTHORISED = 0x0124
    OUT_OF_RESOURCES = 0xA700
    NOT_MATCHING = 0xA900
    CANNOT_UNDERSTAND = 0xC000


@dataclass(frozen=True)
class Received:
    """An object that came in.

    Attributes:
        content: bytes of a DICOM file.
        sop_uid, study_uid: of the object.
        calling_title: AE title of the caller.
        address: of the caller.
    """

    content: bytes
    sop_uid: str
    study_uid: str
    calling_title: str
    address: str


TakeIn = Callable[[Received], StoreStatus]
"""Takes an object in; SUCCESS promises that it is on the disk."""


class StorageScp:
    """Listens for C-STORE and C-ECHO; use it as a context, or `start` and `stop` it.

    Args:
        settings: where, as whom, and from whom.
        take_in: gets each object.
    """

    def __init__(self, settings: ListenSettings, take_in: TakeIn) -> None:
        self._settings, self._take_in = settings, take_in
        self._server: ThreadedAssociationServer | None = None
        self._lock = threading.Lock()
        self._bytes: dict[int, int] = {}
        self._collectors: dict[str, TakeIn] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that is listened on.

        Raises:
            PacsError: it has not been started.
        """
        if self._server is None:
            raise PacsError("the storage SCP must be started before it has a port")
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to listen.

        Raises:
            PacsError: the address is taken, or not ours.
            ProtocolError: a certificate is missing.
        """
        settings = self._settings
        context = settings.tls.server_context() if settings.tls else None
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_DATA_RECV, self._on_data),
            (evt.EVT_CONN_CLOSE, self._on_close),
        ]
        try:
            self._server = _application(settings).start_server(
                (settings.host, settings.port), block=False, evt_handlers=handlers, ssl_context=context
            )
        except OSError as error:
            raise PacsError(
                f"{settings.host}:{settings.port} must be free to listen on; {error.strerror or error}. "
                "Choose another port (listen), or stop who uses it"
            ) from error

    def stop(self) -> None:
        """End listening and every open association; harmless if not started."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def collecting(self, study_uid: str, take_in: TakeIn) -> Iterator[None]:
        """For a while, give the objects of a study to somebody else: whoever asked for them by C-MOVE."""
        with self._lock:
            self._collectors[study_uid] = take_in
        try:
            yield
        finally:
            with self._lock:
                self._collectors.pop(study_uid, None)

    def _on_data(self, event: evt.Event) -> None:
        """Count bytes since the last object; who sends too many is cut off before they fill the memory."""
        key = id(event.assoc)
        with self._lock:
            self._bytes[key] = total = self._bytes.get(key, 0) + len(event.data)
        if total > self._settings.largest_bytes + _OVERHEAD:
            logger.warning("an object of more than %d MiB was cut off", self._settings.largest_mb)
            # From this thread, which reads the connection, an abort would wait for itself.
            threading.Thread(target=_abort, args=(event.assoc,), daemon=True).start()

    def _on_close(self, event: evt.Event) -> None:
        with self._lock:
            self._bytes.pop(id(event.assoc), None)

    def _on_store(self, event: evt.Event) -> int:
        with self._lock:
            self._bytes[id(event.assoc)] = 0
        try:
            received = received_object(event)
        except PacsError:
            logger.warning("an object that cannot be read was refused")
            return StoreStatus.CANNOT_UNDERSTAND
        if received is None:
            return StoreStatus.NOT_MATCHING
        with self._lock:
            take_in = self._collectors.get(received.study_uid, self._take_in)
        try:
            return int(take_in(received))
        except (MicrocalcError, OSError) as error:
            logger.warning("an object could not be taken in (%s)", type(error).__name__)
            return StoreStatus.OUT_OF_RESOURCES


def _application(settings: ListenSettings) -> AE:
    application = AE(settings.title)
    application.require_called_aet = True
    application.require_calling_aet = list(settings.accept_titles)
    application.maximum_associations = settings.callers
    application.maximum_pdu_size = PDU_BYTES
    application.network_timeout = application.dimse_timeout = application.acse_timeout = settings.idle_s
    application.add_supported_context(Verification)
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax in MAMMOGRAPHY_CLASSES:
            application.add_supported_context(context.abstract_syntax, list(TRANSFER_SYNTAXES))
    return application


def received_object(event: evt.Event) -> Received | None:
    """The object of a C-STORE, or None where it is another one than the command announced.

    Args:
        event: of pynetdicom, with the request.

    Raises:
        PacsError: what came is no DICOM object.
    """
    request = event.request
    if not isinstance(request, C_STORE):
        return None
    try:
        with quiet():
            header: Dataset = event.dataset
            uid = checked_uid(header.get("SOPInstanceUID", ""))
            study = checked_uid(header.get("StudyInstanceUID", ""))
            named = str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID)
            if named != (uid, str(header.get("SOPClassUID", ""))):
                return None
            content = event.encoded_dataset()
    except PacsError:
        raise
    except CONTENT_ERRORS as error:
        raise PacsError(f"an object must be DICOM; reading it ended with {type(error).__name__}") from error
    requestor = event.assoc.requestor
    return Received(content, uid, study, said(requestor.ae_title), said(requestor.address))


def _abort(association: Association) -> None:
    association.abort()
