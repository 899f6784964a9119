"""The one place where pydicom and the codecs are imported, late, and kept quiet.

What pydicom is asked for stands here as small protocols; which exceptions a file's content may bring out of it as
`CONTENT_ERRORS`; and `Rejected`, by which the parts of this package turn a file down.
"""

import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import BinaryIO, Protocol, cast

from microcalc.errors import MissingDependencyError
from microcalc.intake.dicom.verdicts import Verdict

__all__ = ["CONTENT_ERRORS", "INSTALL", "DicomDataset", "Rejected", "codec", "pydicom_module", "quiet"]

INSTALL = "pip install 'microcalc[dicom]'"

CONTENT_ERRORS = (Exception,)
"""What pydicom and the codecs raise on content that they cannot read: nobody lists it, and mutated files bring out
most of what Python has. Caught only where foreign code meets a file's content, and at the door of the package."""


class Rejected(Exception):  # noqa: N818 - a decision, caught inside this package
    """A file is turned down; never leaves the package."""

    def __init__(self, code: Verdict, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DicomDataset(Protocol):
    """What is used of ``pydicom.Dataset``."""

    def get(self, key: str | int, default: object = None) -> object:
        """Value of an element by its keyword; the element itself by its tag."""

    def __contains__(self, name: object) -> bool:
        """Whether an element is there."""


class Pydicom(Protocol):
    """What is used of ``pydicom.filereader``."""

    def read_partial(
        self,
        fileobj: BinaryIO,
        stop_when: Callable[[int, str | None, int], bool] | None,
        *,
        defer_size: int | None,
        force: bool,
        specific_tags: list[int] | None,
    ) -> DicomDataset:
        """Parse a file up to an element."""


@cache
def pydicom_module(name: str) -> ModuleType:
    """Import a module of pydicom.

    Args:
        name: ``pydicom`` or one of its modules.

    Raises:
        MissingDependencyError: pydicom is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"DICOM files are read with the package pydicom, which is not installed ({error}): {INSTALL}"
        ) from error


def filereader() -> Pydicom:
    """What parses files."""
    return cast(Pydicom, pydicom_module("pydicom.filereader"))


@cache
def codec(name: str) -> ModuleType | None:
    """Import the module of a codec, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class _Silence:
    """Counts who is inside, so that threads may overlap: the first saves the filters, the last restores them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.saved = warnings.catch_warnings()


_silence = _Silence()


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back the warnings with which pydicom comments on values; several threads may be inside at once."""
    with _silence.lock:
        if _silence.inside == 0:
            _silence.saved = warnings.catch_warnings()
            _silence.saved.__enter__()
            warnings.simplefilter("ignore")
        _silence.inside += 1
    try:
        yield
    finally:
        with _silence.lock:
            _silence.inside -= 1
            if _silence.inside == 0:
                _silence.saved.__exit__(None, None, None)
