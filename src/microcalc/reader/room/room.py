"""What a running reading room consists of, in one place: the application and its routes take everything from here."""

import datetime as dt
import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from microcalc.errors import MicrocalcError
from microcalc.reader.room.desk import Desk, StudyReader
from microcalc.reader.room.people import GuessLimit, same
from microcalc.reader.room.watch import Watcher
from microcalc.reader.settings import Settings
from microcalc.reader.store.database import Store, sqlite_url
from microcalc.reader.store.decoding import Decoder
from microcalc.reader.store.shelf import Shelf
from microcalc.reader.store.vault import Vault

if TYPE_CHECKING:
    from microcalc.reader.room.postroom import Postroom

__all__ = ["DATABASE", "LOCK", "LoginToken", "Room", "open_room", "open_store"]

DATABASE = "store.sqlite"
LOCK = ".server.lock"
"""Claimed by whoever serves a data folder, or lays a backup into it."""


def _silent(url: str) -> None:
    """Tells nobody."""


class LoginToken:
    """The token in the printed address: good for one log-in, then there is a new one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.value = secrets.token_urlsafe(24)

    def spend(self, token: str) -> bool:
        """Whether this is the token; if so it is used up."""
        with self._lock:
            if not same(token, self.value):
                return False
            self.value = secrets.token_urlsafe(24)
            return True


@dataclass
class Room:
    """The parts of a running reading room.

    Attributes:
        settings: how it is run.
        store, vault, shelf, decoder: where things are kept, and how they come in.
        desk: where squares are read.
        lock: claim on the data folder.
        watcher: of the watched folder, if there is one.
        postroom: the way to the PACS, if there is one.
        guesses: slows down wrong passwords.
        token: of the one-time log-in.
        announce: tells the owner a new address.
    """

    settings: Settings
    store: Store
    vault: Vault
    decoder: Decoder
    shelf: Shelf
    desk: Desk
    lock: FileLock
    watcher: Watcher | None = None
    postroom: "Postroom | None" = None
    guesses: GuessLimit = field(default_factory=GuessLimit)
    token: LoginToken = field(default_factory=LoginToken)
    announce: Callable[[str], None] = _silent

    @property
    def cookie_name(self) -> str:
        """Another for each store: a browser keeps cookies by host, not by port. ``__Host-`` needs TLS."""
        code = hashlib.sha256(self.store.name.encode()).hexdigest()[:8]
        return f"{'__Host-' if self.settings.https else ''}microcalc-{code}"

    @property
    def idle(self) -> dt.timedelta:
        """After which an unused session ends."""
        return dt.timedelta(hours=self.settings.session_hours)

    @property
    def token_url(self) -> str:
        """Address that logs the owner in, once."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        scheme = "https" if self.settings.https else "http"
        return f"{scheme}://{host}:{self.settings.port}/api/token?token={self.token.value}"

    def new_token(self) -> None:
        """Tell the owner the next address, since the last one is used up."""
        self.announce(self.token_url)

    def start(self) -> None:
        """Begin what runs beside the requests."""
        self.decoder.warm()
        self.desk.start()
        if self.watcher is not None:
            self.watcher.start()
        if self.postroom is not None:
            self.postroom.start()

    def close(self) -> None:
        """End processes, connections and the claim on the data folder."""
        for part in (self.postroom, self.watcher):
            if part is not None:
                part.close()
        self.desk.close()
        self.decoder.close()
        self.store.close()
        self.lock.release()


def open_store(settings: Settings) -> Store:
    """Open the database of a reading room, making its folder if need be."""
    Vault(settings.data)
    return Store.open(settings.database or sqlite_url(settings.data / DATABASE))


def open_room(settings: Settings, *, reader: StudyReader | None = None) -> Room:
    """Open everything; one server at a time for a data folder.

    Args:
        settings: how it is run.
        reader: networks that are loaded already; else those of the settings' study are.

    Raises:
        MicrocalcError: another server uses the folder, or it cannot be written.
        InputError: the database cannot be reached.
    """
    vault = Vault(settings.data)
    lock = FileLock(settings.data / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise MicrocalcError(
            f"{settings.data}: a data folder must have one server; another is running on it. Use that one, stop it, "
            "or give another folder (--data DIR)"
        ) from error
    try:
        vault.clean()
        store = open_store(settings)
    except BaseException:
        lock.release()
        raise
    decoder = Decoder(settings.decode_processes)
    shelf = Shelf(store, vault, decoder, settings.limits)
    desk = Desk(settings, store, vault, shelf, reader)
    watch = settings.watch
    watcher = None if watch is None else Watcher(watch, settings.watch_seconds, store, shelf)
    room = Room(settings, store, vault, decoder, shelf, desk, lock, watcher)
    try:
        if settings.pacs is not None:
            # Brings highdicom and pynetdicom, which a room without a PACS does without.
            from microcalc.reader.room.postroom import open_postroom  # noqa: PLC0415

            room.postroom = open_postroom(settings.pacs, store, vault, shelf)
    except BaseException:
        room.close()
        raise
    return room
