"""The courier: a thread that carries the outbox to the PACS, again and again, until it is told to stop."""

import logging
import threading
from typing import Self

from microcalc.errors import MicrocalcError
from microcalc.reader.pacs.archive import PacsClient
from microcalc.reader.store.outbox import Outbox

__all__ = ["Courier"]

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
"""Seconds between two looks at what is due."""


class Courier:
    """Delivers in the background; use it as a context, or `start` and `stop` it. One courier for a store.

    Args:
        outbox: what is to be sent.
        client: to whom.
        every_s: seconds between two looks.
    """

    def __init__(self, outbox: Outbox, client: PacsClient, *, every_s: float = LOOK_EVERY_S) -> None:
        self._outbox, self._client, self._every = outbox, client, every_s
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to deliver; what a killed courier had in its hands is taken up."""
        self._outbox.release()
        self._thread.start()

    def wake(self) -> None:
        """Look now: something was put in."""
        self._wake.set()

    def stop(self, *, patience_s: float = 5.0) -> None:
        """End after the object on its way; what is not sent stays in the outbox.

        Args:
            patience_s: how long a slow PACS is waited for; its claim runs out by itself.
        """
        self._stopped.set()
        self._wake.set()
        self._thread.join(patience_s)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._deliver()
            self._wake.wait(self._every)
            self._wake.clear()

    def _deliver(self) -> None:
        try:
            done = self._outbox.deliver(self._client)
        except MicrocalcError as error:
            logger.warning("the outbox could not be delivered (%s)", type(error).__name__)
            return
        except Exception:
            logger.exception("a turn of the outbox ended with an unforeseen error")
            return
        if done.sent or done.failed:
            logger.info("outbox: %d sent, %d wait for another try", done.sent, done.failed)
