"""Names of the rows of a cohort: with a key patients, lesions, sites, UIDs and days get pseudonyms, without one none.

What a pseudonym is, is the business of `microcalc.intake.privacy`; here one cohort's rows are named one after another.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from microcalc.cohort.rows import CALC_WORDS
from microcalc.cohort.table import Verdict
from microcalc.cohort.writer import CohortWriter
from microcalc.intake.descriptors import DESCRIPTORS
from microcalc.intake.privacy import Pseudonyms
from microcalc.intake.terms import is_empty

__all__ = ["RowNames"]

_SHOWN = 3
"""Images that a remark names; the others are counted."""


class RowNames:
    """Names the rows of one cohort.

    Args:
        key: key file of the pseudonyms, made where there is none; None keeps the names of the source.
        cohort: folder that is made; the key must lie outside it.

    Raises:
        InputError: the key cannot be used.
    """

    def __init__(self, key: Path | None, cohort: Path) -> None:
        self._names = None if key is None else Pseudonyms.open_or_create(key, cohort=cohort)
        self._numbers: Counter[str] = Counter()
        self._lesions: dict[str, dict[str, str]] = defaultdict(dict)
        self._dates: list[str] = []
        self._emptied: dict[str, list[str]] = {}
        self.patients: list[str] = []
        """Original patient of each row so far."""

    @property
    def hides(self) -> bool:
        """Whether there is a key."""
        return self._names is not None

    def named(self, row: Mapping[str, object]) -> dict[str, object]:
        """A row as it comes into the cohort; to be called once for each, in order.

        Args:
            row: columns of the contract, as in the source; without ``image_id`` one is made.
        """
        named = dict(row)
        patient = str(row["patient_id"])
        self.patients.append(patient)
        self._dates.append(str(row.get("exam_date", "")))
        if self._names is not None:
            named.pop("image_id", None)  # the name of a file often holds the patient's
            named |= self._hidden(patient, row, self._names)
        named.setdefault("image_id", self._image_id(named))
        emptied = [c for c in DESCRIPTORS if not named.get(c) and not is_empty(str(row.get(c, "")))]
        if emptied:
            self._emptied[str(named["image_id"])] = emptied
        return named

    def uid(self, uid: str) -> str:
        """A UID as it comes into the cohort."""
        return uid if self._names is None else self._names.uid(uid)

    def source(self, name: str) -> str:
        """Name of a file or row as it comes into the record."""
        return name if self._names is None else self._names.code("source", name)

    def close(self, writer: CohortWriter) -> None:
        """Shift the days of all rows, and say in the record that there are pseudonyms."""
        if self._names is not None:
            writer.fill_column("exam_date", self._names.shift_dates(self.patients, self._dates))
            writer.record["privacy"] = self._names.record()

    def remarks(self, source: str) -> list[Verdict]:
        """What a person must know of the rows so far: whose morphology or distribution a key left out, being free text.

        Args:
            source: that the remark is on; names nobody.
        """
        if not self._emptied:
            return []
        images = list(self._emptied)
        columns = Counter(column for emptied in self._emptied.values() for column in emptied)
        counts = ", ".join(f"{column} {columns[column]}" for column in DESCRIPTORS if columns[column])
        more = f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
        message = (
            f"{len(images)} image{'' if len(images) == 1 else 's'}: a description of the calcifications was left empty "
            f"({counts}): the text holds no word of BI-RADS that microcalc knows, and free text may tell who a patient "
            "is. Write BI-RADS's word in its place, or with from-dicom give it under words in the column map, and make "
            f"the cohort again ({', '.join(images[:_SHOWN])}{more})"
        )
        return [Verdict(source, True, "free-text", message, images[0] if len(images) == 1 else "")]

    def _hidden(self, patient: str, row: Mapping[str, object], names: Pseudonyms) -> dict[str, object]:
        hidden: dict[str, object] = {"patient_id": names.patient(patient), "exam_date": ""}
        if row.get("source_uid"):
            hidden["source_uid"] = names.uid(str(row["source_uid"]))
        if row.get("lesion_id"):
            numbers = self._lesions[patient]
            lesion = f"{row.get('laterality', '')}{row['lesion_id']}"  # lesion 1 of each breast are two
            hidden["lesion_id"] = numbers.setdefault(lesion, str(len(numbers) + 1))
        for column, read in DESCRIPTORS.items():
            word = read(str(row.get(column, "")))
            hidden[column] = word if word in CALC_WORDS[column] else ""
        if row.get("site"):
            hidden["site"] = f"S{names.code('site', str(row['site']))[:6]}"
        return hidden

    def _image_id(self, row: Mapping[str, object]) -> str:
        stem = "_".join(str(row[c]) for c in ("patient_id", "laterality", "view") if row.get(c))
        self._numbers[stem] += 1
        return f"{stem}_{self._numbers[stem]}"
