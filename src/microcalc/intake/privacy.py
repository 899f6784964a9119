"""Pseudonyms: patients, UIDs and dates of a cohort under a secret key that lies outside it.

Everything is derived from the key file, so a second cohort made with the same key gives a patient the same ID, and
whoever lacks the key can neither go back nor try names out (a plain hash of a hospital number is guessed in seconds).

**Dates.** All exams of a patient are shifted by one number of days, so the intervals between them stay true. Offsets
that were drawn for each patient alone would mix up the order of the patients, and a split by date would give other
sets. So the offset comes from a secret *calendar*: a keyed, strictly rising map g from true days to days between 2100
and 2261, whose pace changes from year to year and from day to day. A patient whose latest exam is on day L is shifted
by g(L) - L. A split by date asks for nothing but the order of the patients' latest exams
(`microcalc.cohort.splits`), which g keeps, ties included: it gives exactly the sets of the true dates, whatever the
fraction, and for a day T too if g(T) is asked for (`Pseudonyms.day`).

The price, which every scheme that keeps an order pays: who knows the period of the study can guess dates from their
ranks (821 patients evenly spread over 13 years: half of them to within six weeks; straight interpolation over the
shifted calendar does no better, half to within two months), and who knows the true date of one patient bounds those of
his neighbours. One offset for all would keep more (every interval) and hide less: one known date, or a published study
period, would reveal every date. Where even the order is too much, leave ``exam_date`` empty and fill ``split``. That a
date is beyond 2100 tells everybody, and the check, that it is no true one.

What is read from DICOM lives elsewhere, and so does the proof that nothing shows through
(`microcalc.cohort.disclosure`).
"""

import datetime as dt
import hashlib
import os
import secrets
import stat
import unicodedata
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from microcalc.cohort.storage import explained_write_errors
from microcalc.cohort.writer import RECORD
from microcalc.errors import InputError
from microcalc.intake.true_days import FIRST_TRUE_DAY, LAST_TRUE_DAY

__all__ = ["CALENDAR_FROM", "CALENDAR_UNTIL", "Pseudonyms"]

CALENDAR_FROM, CALENDAR_UNTIL = dt.date(2100, 1, 1), dt.date(2261, 12, 31)
"""Days that it shifts to: beyond any true exam, and within what pandas can hold in nanoseconds."""

_HEAD = "microcalc pseudonym key 1"
_KEY_BYTES = 32
_CODE_BYTES = 8
"""64 bits: among 100,000 patients two would share an ID with a probability of 3e-10, and that is refused."""

_PACE_DAYS = 365
"""The calendar's pace is drawn anew after so many days."""

_MORE_START_DAYS = 600
"""The calendar begins up to so many days after ``CALENDAR_FROM``."""

_OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


class Pseudonyms:
    """Secret, repeatable replacements of what names a patient.

    Args:
        secret: 32 bytes; get them from a key file by `open`, `create` or `open_or_create`.

    Example:
        >>> pseudonyms = Pseudonyms.open_or_create(Path("study.key"), cohort=out)
        >>> row["patient_id"] = pseudonyms.patient(dataset.PatientID)
        >>> row["source_uid"] = pseudonyms.uid(dataset.SOPInstanceUID)
        >>> dates = pseudonyms.shift_dates(patient_ids, true_dates)  # of all rows of the cohort, in one call
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _KEY_BYTES:
            raise InputError(f"a pseudonym key must have {_KEY_BYTES} bytes; this one has {len(secret)}")
        self._secret = secret
        self._given: dict[tuple[str, str], str] = {}

    def __repr__(self) -> str:
        return f"Pseudonyms(key {self.fingerprint})"

    # ------------------------------------------------------------------------------------------ key file

    @classmethod
    def open(cls, path: Path, *, cohort: Path | None = None) -> Self:
        """Read a key file.

        Args:
            path: of the key file.
            cohort: folder of the cohort that is made; the key must lie outside it.

        Raises:
            InputError: the file is missing, is no key, may be read by others, or lies inside a cohort.
        """
        _refuse_inside(path, cohort)
        try:
            text = path.read_text(encoding="ascii")
            mode = path.stat().st_mode
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: a key must be a readable file that microcalc made; {reason}") from error
        if os.name == "posix" and mode & _OTHERS_MAY:
            raise InputError(
                f"{path}: a key must be closed to everybody but its owner; its mode is {stat.S_IMODE(mode):04o}. "
                f"Close it (chmod 600 {path}), and ask yourself who may have read it"
            )
        return cls(_secret_of(text, path))

    @classmethod
    def create(cls, path: Path, *, cohort: Path | None = None) -> Self:
        """Make a new key file that only its owner may read (mode 0600); an old one is never overwritten.

        Args:
            path: of the key file; its folder is made if it is not there.
            cohort: folder of the cohort that is made; the key must lie outside it.

        Raises:
            InputError: the file is there already, or would lie inside a cohort.
            MicrocalcError: the folder cannot be written.
        """
        _refuse_inside(path, cohort)
        secret = secrets.token_bytes(_KEY_BYTES)
        with explained_write_errors(path, way_out="choose a folder that you may write to"):
            path.parent.mkdir(parents=True, exist_ok=True)
            made = _write_new(path, f"{_HEAD}\n{secret.hex()}\n".encode("ascii"))
        if not made:
            raise InputError(
                f"{path}: a key must be a new file, since an overwritten key is lost for ever; there is one. "
                "Use it, or name another file"
            )
        return cls(secret)

    @classmethod
    def open_or_create(cls, path: Path, *, cohort: Path | None = None) -> Self:
        """Read the key file, or make it where there is none; see `open` and `create`."""
        return cls.open(path, cohort=cohort) if path.exists() else cls.create(path, cohort=cohort)

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell one key from another and reveal nothing of it; kept in the cohort."""
        return self._hash("fingerprint", "").hex()[: 2 * _CODE_BYTES]

    def record(self) -> dict[str, object]:
        """What ``cohort.json`` says of the pseudonyms, as its entry ``privacy``."""
        return {
            "pseudonyms": "keyed BLAKE2b; the key is not in the cohort",
            "key_fingerprint": self.fingerprint,
            "dates": "shifted by one number of days for each patient; the order of the patients' latest exams is kept",
        }

    # ------------------------------------------------------------------------------------------ names

    def patient(self, patient_id: str) -> str:
        """ID of a patient in the cohort: ``P`` and 16 hexadecimal digits.

        Args:
            patient_id: original ID; blanks around it do not count. Where several institutions give the same numbers,
                put the institution in front.

        Raises:
            InputError: it is empty, or two patients would get the same ID.
        """
        if not _plain(patient_id):
            raise InputError("a patient must have an ID to be given a pseudonym; it is empty. Fill it, or leave it out")
        return "P" + self.code("patient", patient_id)

    def accession(self, number: str) -> str:
        """Pseudonym of an accession number: ``A`` and 16 hexadecimal digits; "" of an empty one."""
        return "A" + self.code("accession", number) if _plain(number) else ""

    def uid(self, uid: str) -> str:
        """UID that stands for a DICOM UID: 2.25 and a version 8 UUID as a number; "" of an empty one.

        Source: DICOM PS3.5 B.2 (UUID derived UIDs); RFC 9562 section 5.8 (version 8: the maker's own content).
        """
        plain = _plain(uid).rstrip("\0")
        if not plain:
            return ""
        number = bytearray(self._hash("uid", plain)[:16])
        number[6] = number[6] & 0x0F | 0x80
        number[8] = number[8] & 0x3F | 0x80
        return self._kept("uid", plain, f"2.25.{uuid.UUID(bytes=bytes(number)).int}")

    def code(self, kind: str, text: str) -> str:
        """16 hexadecimal digits that stand for a text of some kind (a lesion's name, a file's).

        Args:
            kind: what it is; the same text of two kinds has two codes.
            text: original.

        Raises:
            InputError: another text of this kind has the same code already.
        """
        plain = _plain(text)
        return self._kept(kind, plain, self._hash(kind, plain)[:_CODE_BYTES].hex())

    def _kept(self, kind: str, text: str, pseudonym: str) -> str:
        if self._given.setdefault((kind, pseudonym), text) != text:
            raise InputError(
                f"two {kind} values must not get the same pseudonym ({pseudonym}); they do with this key. "
                "Make the cohort with a new key"
            )
        return pseudonym

    def _hash(self, kind: str, text: str) -> bytes:
        """32 bytes; the kind is told apart from the text by its own hash."""
        own = hashlib.blake2b(kind.encode(), key=self._secret, person=b"microcalc kind", digest_size=32).digest()
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), key=own, digest_size=32).digest()

    # ------------------------------------------------------------------------------------------ dates

    def day(self, true_day: dt.date) -> dt.date:
        """Day of the secret calendar: the first day of a test set given by its true day (``split.test_from``).

        Raises:
            InputError: the day is not within ``FIRST_TRUE_DAY`` and ``LAST_TRUE_DAY``.
        """
        if not FIRST_TRUE_DAY <= true_day <= LAST_TRUE_DAY:
            raise InputError(
                f"an exam must be of {FIRST_TRUE_DAY} to {LAST_TRUE_DAY} to be shifted; it is of {true_day}. "
                "Mend the date, or leave it empty"
            )
        return dt.date.fromordinal(int(self._calendar[true_day.toordinal() - FIRST_TRUE_DAY.toordinal()]))

    def shift_dates(self, patients: Sequence[str], dates: Sequence[str]) -> list[str]:
        """Shift the exam dates of a whole cohort; see the head of this module for what is kept.

        The offset of a patient follows from his latest exam *among these rows*, so give all rows of the cohort, and no
        others, in one call.

        Args:
            patients: ID of each row's patient, original or pseudonym.
            dates: YYYY-MM-DD or YYYYMMDD; "" stays "".

        Returns:
            YYYY-MM-DD of each row.

        Raises:
            InputError: a date is none, or is outside the calendar; names the row.
        """
        days = [_true_day(date, row) for row, date in enumerate(dates)]
        latest: dict[str, dt.date] = {}
        for patient, day in zip(patients, days, strict=True):
            if day is not None:
                latest[patient] = max(day, latest.get(patient, day))
        offsets = {patient: self.day(day) - day for patient, day in latest.items()}
        return [
            "" if day is None else (day + offsets[patient]).isoformat()
            for patient, day in zip(patients, days, strict=True)
        ]

    @cached_property
    def _calendar(self) -> NDArray[np.int64]:
        """Ordinal of the shifted day for each day from ``FIRST_TRUE_DAY`` on: steps of one or two days."""
        days = (LAST_TRUE_DAY - FIRST_TRUE_DAY).days + 1
        stream = hashlib.shake_256(self._hash("calendar", ""))
        paces = days // _PACE_DAYS + 2
        numbers = np.frombuffer(stream.digest(2 * (2 + paces + days)), dtype="<u2").astype(np.float64) / 65536
        start, phase = (int(n) for n in numbers[:2] * [_MORE_START_DAYS, _PACE_DAYS])
        pace = numbers[2 : 2 + paces][(np.arange(days) + phase) // _PACE_DAYS]
        steps = 1 + (numbers[2 + paces :] < pace)
        rising: NDArray[np.int64] = CALENDAR_FROM.toordinal() + start + np.cumsum(steps)
        return rising


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _true_day(text: str, row: int) -> dt.date | None:
    if not text:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"row {row}: an exam date must be a day as YYYY-MM-DD, or empty; it is {text!r}") from error


def _secret_of(text: str, path: Path) -> bytes:
    head, _, rest = text.partition("\n")
    with suppress(ValueError):
        secret = bytes.fromhex(rest.strip())
        if head.strip() == _HEAD and len(secret) == _KEY_BYTES:
            return secret
    raise InputError(
        f"{path}: a key file must hold the line {_HEAD!r} and {2 * _KEY_BYTES} hexadecimal digits; it does not. "
        "Bring the right file back; a new key gives every patient another ID"
    )


def _refuse_inside(path: Path, cohort: Path | None) -> None:
    """A key in the cohort folder would travel with it."""
    resolved = path.resolve()
    inside = [folder for folder in resolved.parents if (folder / RECORD).is_file()]
    if cohort is not None and cohort.resolve() in (resolved, *resolved.parents):
        inside.append(cohort)
    if inside:
        raise InputError(
            f"{path}: the key must lie outside the cohort, or it is given away with it; this is inside {inside[0]}. "
            "Name a file elsewhere, where only you can read"
        )


def _write_new(path: Path, content: bytes) -> bool:
    """Write a file whole or not at all, closed to others from the first moment on; False where the name is taken."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        _write_private(temporary, content)
        try:
            os.link(temporary, path)  # fails where the name is taken, unlike a rename
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            _write_private(path, content)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _write_private(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
