"""A queue that is fair to people: whoever has fewest before them comes next, however much others have asked for.

Work of each person waits in a line of its own; the lines take turns. What is done is the business of the caller.
"""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["FairQueue", "TooManyWaitingError"]

Answer = TypeVar("Answer")


class TooManyWaitingError(Exception):
    """A person has as much work waiting as one may have."""


class _Work(Generic[Answer]):
    def __init__(self, function: Callable[[], Answer]) -> None:
        self.function = function
        self.future: Future[Answer] = Future()

    def run(self) -> None:
        """Do it, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.function())
        except BaseException as error:  # noqa: BLE001 -- goes on to whoever waits
            self.future.set_exception(error)


class FairQueue:
    """Does work in threads of its own, one piece of each person in turn.

    Args:
        workers: threads; started with the first work.
        most: pieces that one person may have waiting.
    """

    def __init__(self, *, workers: int = 1, most: int = 64) -> None:
        self._most = most
        self._workers = workers
        self._lines: OrderedDict[str, deque[_Work[object]]] = OrderedDict()
        self._wake = threading.Condition()
        self._open = True
        self._threads: list[threading.Thread] = []

    def put(self, person: str, function: Callable[[], Answer]) -> Future[Answer]:
        """Ask for work to be done.

        Args:
            person: in whose line it waits.
            function: the work.

        Returns:
            Its answer to come; cancelled, it is not begun.

        Raises:
            TooManyWaitingError: the person has too much waiting.
        """
        work = _Work(function)
        with self._wake:
            if not self._open:
                raise TooManyWaitingError
            line = self._lines.setdefault(person, deque())
            if len(line) >= self._most:
                raise TooManyWaitingError
            line.append(work)  # type: ignore[arg-type]
            self._start()
            self._wake.notify()
        return work.future

    def close(self) -> None:
        """Begin nothing more, cancel what waits, and wait for what is being done."""
        with self._wake:
            self._open = False
            for line in self._lines.values():
                for work in line:
                    work.future.cancel()
            self._lines.clear()
            self._wake.notify_all()
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        while len(self._threads) < self._workers:
            thread = threading.Thread(target=self._work, name="microcalc readings", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _work(self) -> None:
        while (work := self._next()) is not None:
            work.run()

    def _next(self) -> _Work[object] | None:
        """First work of the line whose turn it is; that line goes to the end."""
        with self._wake:
            while self._open and not self._lines:
                self._wake.wait()
            if not self._lines:
                return None
            person, line = self._lines.popitem(last=False)
            work = line.popleft()
            if line:
                self._lines[person] = line
            return work
