"""The log of who did what: append-only in the database, and chained by hashes so that a changed line shows.

An entry is written in the transaction of what it records, so neither is there without the other. The hash of a line
covers the hash of the line before. Removing the last lines leaves a whole chain; whoever notes the last number and
hash now and then (each start of the server prints them) can tell that too. No entry holds what names a patient.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from microcalc.reader.store.database import AUDIT_LOCK, Store
from microcalc.reader.store.models import AuditEntry, now

__all__ = ["Action", "ChainState", "Head", "record", "verify", "write"]

GENESIS = "0" * 64
"""Stands for the hash before the first line."""

Action = str
"""Word for what was done: login, logout, refused, upload, open, view, annotate, remove, finish, read, send, export."""


@dataclass(frozen=True)
class Head:
    """The last line: its number, 0 where there is none, and its hash."""

    number: int
    hash: str


@dataclass(frozen=True)
class ChainState:
    """What a check of the log found.

    Attributes:
        head: last line.
        broken_at: number of the first line that does not fit; None where all do.
        reason: in words; empty where all fit.
    """

    head: Head
    broken_at: int | None = None
    reason: str = ""


def record(store: Store, account: str, action: Action, target: tuple[str, str] = ("", ""), **detail: object) -> None:
    """Append an entry in a transaction of its own; see `write`."""
    with store.writing() as session:
        write(session, account, action, target, **detail)


def write(session: Session, account: str, action: Action, target: tuple[str, str] = ("", ""), **detail: object) -> None:
    """Append an entry in a transaction that is under way; call it last, since others wait from here to the commit.

    Args:
        session: that writes.
        account: name of whoever did it.
        action: what.
        target: kind and id of what it was done to.
        detail: facts, none of which names a patient.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SELECT pg_advisory_xact_lock({AUDIT_LOCK})"))
    head = _head(session)
    words = json.dumps(detail, sort_keys=True, ensure_ascii=False)
    entry = AuditEntry(
        number=head.number + 1, at=now().isoformat(), account=account, action=action,
        kind=target[0], object_id=target[1], detail=words, hash="",
    )  # fmt: skip
    entry.hash = _hash(entry, head.hash)
    session.add(entry)
    session.flush()


def verify(store: Store, noted: Head | None = None) -> ChainState:
    """Go through the whole log.

    Args:
        store: whose log.
        noted: a line that was noted earlier and must be there still.
    """
    last = Head(0, GENESIS)
    with store.reading() as session:
        for entry in _entries(session):
            if entry.number != last.number + 1:
                return ChainState(last, entry.number, f"line {last.number + 1} is missing")
            if entry.hash != _hash(entry, last.hash):
                return ChainState(last, entry.number, f"line {entry.number} was changed, or the one before it")
            last = Head(entry.number, entry.hash)
            if noted is not None and noted.number == last.number and noted.hash != last.hash:
                return ChainState(last, entry.number, f"line {noted.number} is not the one that was noted")
    if noted is not None and noted.number > last.number:
        return ChainState(last, last.number + 1, f"the log ends at line {last.number}; line {noted.number} was noted")
    return ChainState(last)


def _entries(session: Session) -> Iterator[AuditEntry]:
    yield from session.scalars(select(AuditEntry).order_by(AuditEntry.number).execution_options(yield_per=1000))


def _head(session: Session) -> Head:
    row = session.execute(
        select(AuditEntry.number, AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1)
    ).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.number, row.hash)


def _hash(entry: AuditEntry, before: str) -> str:
    parts: Mapping[str, object] = {
        "before": before, "number": entry.number, "at": entry.at, "account": entry.account, "action": entry.action,
        "kind": entry.kind, "object": entry.object_id, "detail": entry.detail,
    }  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
