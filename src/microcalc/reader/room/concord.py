"""The agreement of the readers on their exams: which squares are the same, how much they overlap, kappa of the labels.

Two readers are compared on exams that both have marked or finished. Where a reader has finished an exam, the marks
count as they stood then, whatever was changed after the others' were seen.
"""

import datetime as dt
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from microcalc.reader.room.marks import may_see
from microcalc.reader.room.people import Person
from microcalc.reader.store.models import Account, Annotation, AnnotationVersion, Completion, Image
from microcalc.stats.agreement import Kappa, Square, cohen_kappa, matched_squares

Which = ColumnElement[bool] | InstrumentedAttribute[bool]
"""Condition on images."""

__all__ = ["FIELDS", "PairAgreement", "agreement_of_all", "agreement_of_exam"]

FIELDS = ("pathology", "birads", "morphology", "distribution")
"""Labels whose kappa is given; squares where either reader said nothing are left out."""


@dataclass(frozen=True)
class PairAgreement:
    """How far two readers agree.

    Attributes:
        readers: their names.
        exams: that both marked or finished.
        matched: squares of both that overlap.
        only: squares of the one and of the other alone.
        overlap: mean intersection over union of the matched squares; NaN where there is none.
        kappa: of each label on the matched squares.
    """

    readers: tuple[str, str]
    exams: int
    matched: int
    only: tuple[int, int]
    overlap: float
    kappa: dict[str, Kappa]

    def record(self) -> dict[str, object]:
        """For JSON; what is undefined is None and says why."""
        return {
            "readers": list(self.readers),
            "exams": self.exams,
            "matched": self.matched,
            "only": list(self.only),
            "overlap": _finite(self.overlap),
            "kappa": {name: _kappa(kappa) for name, kappa in self.kappa.items()},
        }


@dataclass
class _Marked:
    """What one reader has on one exam: the versions that count, by image."""

    images: dict[str, list[AnnotationVersion]] = field(default_factory=lambda: defaultdict(list))


def agreement_of_exam(session: Session, exam_id: str, person: Person, *, blind: bool) -> list[PairAgreement]:
    """Agreement on one exam of each pair of readers whose marks the person may see."""
    return _pairs(session, person, Image.exam_id == exam_id, blind=blind)


def agreement_of_all(session: Session, person: Person, *, blind: bool) -> list[PairAgreement]:
    """Agreement on all exams of each pair of readers, as far as the person may see their marks."""
    return _pairs(session, person, Image.accepted, blind=blind)


def _pairs(session: Session, person: Person, which: Which, *, blind: bool) -> list[PairAgreement]:
    marked = _marked(session, person, which, blind=blind)
    readers = sorted({reader for reader, _ in marked})
    pairs = []
    for one, other in itertools.combinations(readers, 2):
        exams = sorted({exam for reader, exam in marked if reader == one} & {e for r, e in marked if r == other})
        if exams:
            pairs.append(_compare((one, other), [(marked[one, exam], marked[other, exam]) for exam in exams]))
    return pairs


def _marked(session: Session, person: Person, which: Which, *, blind: bool) -> dict[tuple[str, str], _Marked]:
    """By reader's name and exam: who has marked it, or has finished it without a mark."""
    done = _finished(session, person, which, blind=blind)
    found: dict[tuple[str, str], _Marked] = defaultdict(_Marked, {key: _Marked() for key in done})
    rows = session.execute(
        select(AnnotationVersion, Annotation.image_id, Image.exam_id, Account.name)
        .join(Annotation, Annotation.id == AnnotationVersion.annotation_id)
        .join(Image, Image.id == Annotation.image_id)
        .join(Account, Account.id == Annotation.account_id)
        .where(which, may_see(person, blind=blind))
        .order_by(AnnotationVersion.annotation_id, AnnotationVersion.revision)
    ).all()
    for _, group in itertools.groupby(rows, key=lambda row: row[0].annotation_id):
        revisions = list(group)
        _, image_id, exam_id, reader = revisions[0]
        until = done.get((reader, exam_id))
        last = _last([row[0] for row in revisions if until is None or row[0].at <= until])
        if last is not None:
            found[reader, exam_id].images[image_id].append(last)
    return found


def _finished(session: Session, person: Person, which: Which, *, blind: bool) -> dict[tuple[str, str], dt.datetime]:
    """When each reader finished each exam, as far as the person may know."""
    rows = session.execute(
        select(Account.name, Account.id, Completion.exam_id, Completion.at)
        .join(Account, Account.id == Completion.account_id)
        .where(Completion.exam_id.in_(select(Image.exam_id).where(which)))
    ).all()
    own = {exam_id for _, account_id, exam_id, _ in rows if account_id == person.id}
    return {
        (name, exam_id): at
        for name, account_id, exam_id, at in rows
        if not blind or account_id == person.id or exam_id in own
    }


def _last(versions: Sequence[AnnotationVersion]) -> AnnotationVersion | None:
    return None if not versions or versions[-1].action == "removed" else versions[-1]


def _compare(readers: tuple[str, str], exams: Iterable[tuple[_Marked, _Marked]]) -> PairAgreement:
    matches: list[tuple[AnnotationVersion, AnnotationVersion, float]] = []
    alone, count = [0, 0], 0
    for one, other in exams:
        count += 1
        for image_id in sorted(set(one.images) | set(other.images)):
            first, second = one.images.get(image_id, []), other.images.get(image_id, [])
            pairs = matched_squares([_square(v) for v in first], [_square(v) for v in second])
            matches += [(first[i], second[j], value) for i, j, value in pairs]
            alone[0] += len(first) - len(pairs)
            alone[1] += len(second) - len(pairs)
    overlaps = [value for _, _, value in matches]
    return PairAgreement(
        readers=readers,
        exams=count,
        matched=len(matches),
        only=(alone[0], alone[1]),
        overlap=sum(overlaps) / len(overlaps) if overlaps else math.nan,
        kappa={name: _of_field(name, matches) for name in FIELDS},
    )


def _of_field(name: str, matches: Sequence[tuple[AnnotationVersion, AnnotationVersion, float]]) -> Kappa:
    said = [(str(getattr(a, name)), str(getattr(b, name))) for a, b, _ in matches]
    both = [(a, b) for a, b in said if a and b]
    return cohen_kappa([a for a, _ in both], [b for _, b in both])


def _square(version: AnnotationVersion) -> Square:
    return Square(version.row, version.col, version.side)


def _kappa(kappa: Kappa) -> dict[str, object]:
    values = {name: _finite(getattr(kappa, name)) for name in ("value", "low", "high", "observed")}
    return {**values, "n": kappa.n, "reason": kappa.reason}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
