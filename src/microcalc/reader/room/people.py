"""The people: accounts, passwords, the slowing down of guesses, and sessions.

Passwords are kept as argon2id hashes, session cookies as SHA-256; neither can be taken out of the store. What a
request must bring is the business of `microcalc.reader.web.doors`.
"""

import datetime as dt
import hashlib
import hmac
import re
import secrets
import threading
import time
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from microcalc.errors import InputError
from microcalc.reader.store.database import Store
from microcalc.reader.store.models import Account, LoginSession, now

__all__ = [
    "GuessLimit",
    "Person",
    "Role",
    "add_account",
    "change_account",
    "has_accounts",
    "open_session",
    "owner_account",
    "password_fits",
    "person_of_cookie",
    "plain_name",
    "same",
]

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 1024
"""Characters; the upper limit keeps the hashing short. Twelve without further rules, after NIST SP 800-63B."""

_NAME = re.compile(r"[\w.@+-]{1,64}")
_HASHER = PasswordHasher()
_AT_ONCE = threading.BoundedSemaphore(2)
"""Each argon2 hash takes 64 MiB: more than two at once would let a stranger fill the memory."""

SEEN_EVERY = dt.timedelta(minutes=1)
"""How exactly a session's last use is kept: a write for every look would be many."""


class Role(StrEnum):
    """What a person may do: annotate and read; besides that, accounts and the log."""

    READER = "reader"
    ADMIN = "admin"


@dataclass(frozen=True)
class Person:
    """Somebody who is logged in."""

    id: str
    name: str
    role: Role
    csrf: str
    session_id: str

    @property
    def is_admin(self) -> bool:
        """May see accounts and the log."""
        return self.role == Role.ADMIN


def plain_name(name: str) -> str:
    """A name as accounts have it: small letters, each with its accents in one sign (NFC), however it was typed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


def has_accounts(store: Store) -> bool:
    """Whether anybody can log in with a password."""
    with store.reading() as session:
        found = session.scalar(select(func.count()).select_from(Account).where(Account.password != "", Account.active))
    return bool(found)


def add_account(session: Session, name: str, role: Role, password: str) -> Account:
    """Make an account.

    Args:
        session: that writes.
        name: letters, digits and ``.@+-_``, at most 64; small and capital letters are the same.
        role: what the person may do.
        password: at least 12 characters; empty where an identity provider logs people in.

    Raises:
        InputError: the name is taken or has other signs, or the password is too short.
    """
    plain = plain_name(name)
    if not _NAME.fullmatch(plain):
        raise InputError(f"a name must have 1 to 64 letters, digits and . @ + - _; got {name!r}")
    found = session.scalar(select(Account).where(Account.name == plain))
    if found is not None and (found.password or not password):
        raise InputError(f"a name must be given once; {plain} has an account. Change that one, or take another name")
    account = found or Account(name=plain, role=role.value)
    account.role, account.password = role.value, _hashed(password)
    session.add(account)
    session.flush()
    return account


def change_account(
    session: Session, account: Account, *, role: Role | None, password: str | None, active: bool | None
) -> None:
    """Change what is given, and end the person's sessions.

    Raises:
        InputError: the password is too short, or the last administrator would be one no longer.
    """
    was_admin = _is_open_admin(account)
    if role is not None:
        account.role = role.value
    if password is not None:
        account.password = _hashed(password)
    if active is not None:
        account.active = active
    session.flush()
    admins = select(func.count()).select_from(Account).where(Account.role == Role.ADMIN.value, Account.active)
    if was_admin and not _is_open_admin(account) and not session.scalar(admins):
        raise InputError("one administrator must remain; this was the last. Make another one first")
    session.execute(delete(LoginSession).where(LoginSession.account_id == account.id))


def _is_open_admin(account: Account) -> bool:
    return account.active and account.role == Role.ADMIN


def owner_account(session: Session, name: str) -> Account:
    """The account of whoever started the server on this machine; made when it is first needed."""
    plain = plain_name(name)
    plain = plain if _NAME.fullmatch(plain) else "owner"
    found = session.scalar(select(Account).where(Account.name == plain))
    if found is None:
        found = Account(name=plain, role=Role.ADMIN.value)
        session.add(found)
        session.flush()
    return found


def password_fits(session: Session, name: str, password: str) -> Account | None:
    """The account of a name if the password is its own; as slow where there is no such name.

    Args:
        session: that looks.
        name: as typed.
        password: as typed.
    """
    account = session.scalar(select(Account).where(Account.name == plain_name(name)))
    known = account is not None and account.active and bool(account.password)
    stored = account.password if account is not None and known else _nobodys_hash()
    with _AT_ONCE:
        try:
            _HASHER.verify(stored, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            return None
    return account if known else None


@cache
def _nobodys_hash() -> str:
    """Hash of a password that nobody has: checking it takes as long as checking a real one."""
    return _HASHER.hash(secrets.token_hex(16))


def _hashed(password: str) -> str:
    if not password:
        return ""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InputError(f"a password must have at least {SHORTEST_PASSWORD} characters; this one has {len(password)}")
    with _AT_ONCE:
        return _HASHER.hash(password)


def open_session(session: Session, account: Account) -> str:
    """Log an account in.

    Returns:
        The cookie, of which the store keeps only a hash.
    """
    cookie = secrets.token_urlsafe(32)
    session.add(LoginSession(id=_hash(cookie), account_id=account.id, csrf=secrets.token_urlsafe(32)))
    session.flush()
    return cookie


def person_of_cookie(store: Store, cookie: str, *, idle: dt.timedelta, touch: bool = True) -> Person | None:
    """Who a cookie belongs to; nobody where the session has ended.

    Args:
        store: of the sessions.
        cookie: as it came.
        idle: after which an unused session ends.
        touch: this is a use of the session; False for what a page asks by itself.
    """
    with store.reading() as session:
        row = session.execute(
            select(LoginSession, Account)
            .join(Account, Account.id == LoginSession.account_id)
            .where(LoginSession.id == _hash(cookie), Account.active)
        ).one_or_none()
        if row is None or row[0].seen < now() - idle:
            return None
        login, account = row[0], row[1]
        person = Person(account.id, account.name, Role(account.role), login.csrf, login.id)
        stale = login.seen < now() - SEEN_EVERY
    if stale and touch:
        _touch(store, person)
    return person


def _touch(store: Store, person: Person) -> None:
    with store.writing() as session:
        login = session.get(LoginSession, person.session_id)
        if login is not None:
            login.seen = now()


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode(), other.encode())


@dataclass
class GuessLimit:
    """Slows down guessing: so many failures within a time from one address and for one name.

    Attributes:
        per_address, per_pair, per_name: failures; a pair is a name from one address.
        seconds: within these.
    """

    per_address: int = 30
    per_pair: int = 5
    per_name: int = 60
    seconds: float = 300.0
    _failures: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, address: str, name: str) -> float:
        """Seconds until another attempt is allowed; 0 for now."""
        with self._lock:
            return max(self._wait(key, limit) for key, limit in self._keys(address, name))

    def failed(self, address: str, name: str) -> None:
        """Count a failure."""
        with self._lock:
            if len(self._failures) > 10_000:
                self._failures = {key: times for key, times in self._failures.items() if self._fresh(times)}
            for key, limit in self._keys(address, name):
                self._failures.setdefault(key, deque(maxlen=limit)).append(time.monotonic())

    def _keys(self, address: str, name: str) -> list[tuple[tuple[str, str], int]]:
        plain = hashlib.sha256(plain_name(name).encode()).hexdigest()
        return [((address, ""), self.per_address), ((address, plain), self.per_pair), (("", plain), self.per_name)]

    def _fresh(self, times: deque[float]) -> bool:
        return bool(times) and times[-1] > time.monotonic() - self.seconds

    def _wait(self, key: tuple[str, str], limit: int) -> float:
        times = self._failures.get(key)
        if times is None or len(times) < limit:
            return 0.0
        return max(0.0, times[0] + self.seconds - time.monotonic())
