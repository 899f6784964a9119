"""A finding of the audit: its code, how severe it is, and what it says. Made by the checks, shown by the commands."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity", "count", "error", "note", "some", "warning"]

_SHOWN = 5
"""Names that a message spells out."""


class Severity(StrEnum):
    """What a finding means for a study; the worst first."""

    ERROR = "error"
    """The cohort is wrong: do not use it before this is mended."""
    WARNING = "warning"
    """It may be right, but somebody should look."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that the audit found.

    Attributes:
        code: short name, stable from version to version; all are told in docs/checks.md.
        severity: see `Severity`.
        message: what was found, where, and the way out.
    """

    code: str
    severity: Severity
    message: str


def error(code: str, message: str) -> Finding:
    """A finding that stops a study."""
    return Finding(code, Severity.ERROR, message)


def warning(code: str, message: str) -> Finding:
    """A finding that somebody should look at."""
    return Finding(code, Severity.WARNING, message)


def note(code: str, message: str) -> Finding:
    """A finding that is good to know."""
    return Finding(code, Severity.NOTE, message)


def some(things: Iterable[object]) -> str:
    """The first few things by name, and how many more there are."""
    every = [str(thing) for thing in things]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more


def count(things: Collection[object], noun: str) -> str:
    """Number and noun: ``1 image``, ``2 images``."""
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
