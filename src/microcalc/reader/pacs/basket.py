"""What a fetch by DIMSE gathers: the images as files, what went wrong on this side, and what is still missing."""

import threading
from pathlib import Path

from pynetdicom import evt

from microcalc.errors import MicrocalcError, PacsError
from microcalc.reader.pacs.files import keep_file
from microcalc.reader.pacs.storage_scp import Received, StoreStatus, received_object

__all__ = ["Basket", "ByteWatch"]


class Basket:
    """Takes images in from an association; the first thing that goes wrong here is kept and raised by `check`.

    Args:
        into: folder of the files.
    """

    def __init__(self, into: Path) -> None:
        self._into = into
        self._lock = threading.Lock()
        self._paths: set[Path] = set()
        self._wrong: MicrocalcError | None = None

    def take(self, received: Received) -> StoreStatus:
        """Write an object to its file."""
        try:
            path = keep_file(self._into, received.sop_uid, received.content)
        except MicrocalcError as error:
            return self._went_wrong(error)
        with self._lock:
            self._paths.add(path)
        return StoreStatus.SUCCESS

    def on_store(self, event: evt.Event) -> int:
        """C-STORE within a C-GET."""
        try:
            received = received_object(event)
        except PacsError as error:
            self._went_wrong(error)
            return StoreStatus.CANNOT_UNDERSTAND
        return StoreStatus.NOT_MATCHING if received is None else self.take(received)

    def check(self, wanted: set[str]) -> None:
        """Raise what went wrong, or that images are missing.

        Args:
            wanted: SOP Instance UIDs that must have come.

        Raises:
            MicrocalcError: the disk is full, or the folder cannot be written.
            PacsError: an image did not come, or cannot be read.
        """
        if self._wrong is not None:
            raise self._wrong
        missing = wanted - {path.stem for path in self._paths}
        if missing:
            raise PacsError(
                f"all {len(wanted)} images of a series must come; {len(missing)} did not. Fetch the study again, and "
                "see whether the PACS may send us their kind"
            )

    def paths(self) -> list[Path]:
        """The files."""
        return sorted(self._paths)

    def _went_wrong(self, error: MicrocalcError) -> StoreStatus:
        with self._lock:
            self._wrong = self._wrong or error
        return StoreStatus.OUT_OF_RESOURCES


class ByteWatch:
    """Cuts off a PACS that sends more than a limit in one association.

    Args:
        largest: bytes.
    """

    def __init__(self, largest: int) -> None:
        self._left = largest
        self.tripped = False

    def on_data(self, event: evt.Event) -> None:
        """Count what comes in."""
        self._left -= len(event.data)
        if self._left < 0 and not self.tripped:
            self.tripped = True
            # From this thread, which reads the connection, an abort would wait for itself.
            threading.Thread(target=event.assoc.abort, daemon=True).start()
