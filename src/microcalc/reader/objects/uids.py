"""Unique identifiers of DICOM: whether a text is one, and those that we make."""

import re
import uuid
from typing import Final

from pydicom.uid import UID

__all__ = ["child_uid", "is_uid"]

_NAMESPACE: Final = uuid.UUID("6f2b3c58-2f0e-5d0a-9a55-5a7c1f5d6f10")
"""Of the UIDs that we make; must never change, or a report would be sent twice."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST: Final = 64


def is_uid(text: str) -> bool:
    """Whether a text is a UID: numbers parted by dots, 64 letters at most (DICOM PS3.5 chapter 9).

    Leading zeros, which the standard forbids, are let pass: archives hold such UIDs, and they harm nobody.
    """
    return len(text) <= _LONGEST and _UID.fullmatch(text) is not None


def child_uid(key: str, role: str) -> UID:
    """UID under 2.25 made of a key and a role (DICOM PS3.5 B.2: any UUID makes one)."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, f'{role}:{key}').int}")
