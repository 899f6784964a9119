"""Inclusion and exclusion as named rules over the columns of a spreadsheet, in the order of the paper.

A rule says yes, no, or that it does not know the word; a yes leaves the row out. The first rule that says yes counts,
so the numbers of the flow diagram add up. Where the rows come from and what becomes of them is told elsewhere.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from microcalc.intake.column_map import ColumnMap, RuleColumn
from microcalc.intake.terms import plain, read_yes_no

__all__ = ["PAPER_REASONS", "Flow", "Rule", "UnknownWordError", "first_rule", "rules_of"]

PAPER_REASONS: Mapping[str, str] = {
    "mass": "mass with the calcifications",
    "symptoms": "symptoms",
    "history": "history of breast cancer",
    "operation": "previous operation of the breast",
    "implant": "breast implant",
    "no_histopathology": "no histopathology",
}
"""Reasons of the paper for leaving an image out (Kang 2021), in its order."""


class UnknownWordError(ValueError):
    """A cell that is neither yes nor no; ``args`` are the header and the word."""


@dataclass(frozen=True)
class Rule:
    """A question with yes or no for an answer; yes leaves the row out.

    Attributes:
        code: of the verdict.
        reason: in words.
        column: header of the spreadsheet.
        yes: words that mean yes here, as `plain` has them.
        no: words that mean no here.
    """

    code: str
    reason: str
    column: str
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()

    @classmethod
    def of_column(cls, code: str, column: RuleColumn) -> "Rule":
        """The rule that a column map asks for."""
        reason = column.reason or PAPER_REASONS.get(code, code.replace("_", " "))
        return cls(code, reason, column.column, _plain_words(column.yes), _plain_words(column.no))

    def leaves_out(self, cell: str) -> bool:
        """Whether a cell leaves its row out.

        Raises:
            UnknownWordError: it is neither yes nor no.
        """
        words = _word(cell)
        if words in self.yes:
            return True
        if words in self.no:
            return False
        answer = read_yes_no(cell)
        if answer is None:
            raise UnknownWordError(self.column, cell)
        return answer


def rules_of(column_map: ColumnMap) -> tuple[Rule, ...]:
    """Rules of a column map, in its order."""
    return tuple(Rule.of_column(code, column) for code, column in column_map.rules.items())


def first_rule(rules: Iterable[Rule], cells: Mapping[str, str]) -> Rule | None:
    """The first rule that leaves a row out, or None.

    Args:
        rules: in the order in which they count.
        cells: of the row, by header.

    Raises:
        UnknownWordError: a cell is neither yes nor no, and no rule before it said yes.
    """
    return next((rule for rule in rules if rule.leaves_out(cells[rule.column])), None)


class Flow:
    """Counts rows and patients: those that came, those that each reason left out, those that stayed.

    Args:
        reasons: code and words of each reason, in the order of the diagram; others follow as they come.
        asked: codes that are told even where they left nobody out; other reasons are told where they did.
    """

    def __init__(self, reasons: Mapping[str, str], asked: Collection[str] = ()) -> None:
        self._reasons = dict(reasons)
        self._asked = frozenset(asked)
        self._left_out: dict[str, list[str]] = {}
        self._kept: list[str] = []

    def leave_out(self, code: str, reason: str, patient: str) -> None:
        """Count a row that was left out; its patient may be "" where nobody knows."""
        self._reasons.setdefault(code, reason)
        self._left_out.setdefault(code, []).append(patient)

    def keep(self, patient: str) -> None:
        """Count a row that came into the cohort."""
        self._kept.append(patient)

    def record(self) -> dict[str, object]:
        """Entry ``flow`` of ``cohort.json``: assessed, left out in order, included; images and patients each."""
        everybody = [*self._kept, *(p for patients in self._left_out.values() for p in patients)]
        return {
            "assessed": _counted(everybody),
            "left_out": [
                {"code": code, "reason": reason, **_counted(self._left_out.get(code, ()))}
                for code, reason in self._reasons.items()
                if code in self._left_out or code in self._asked
            ],
            "included": _counted(self._kept),
        }


def _counted(patients: Sequence[str]) -> dict[str, int]:
    return {"images": len(patients), "patients": len({p for p in patients if p})}


def _plain_words(words: Iterable[str]) -> frozenset[str]:
    return frozenset(_word(word) for word in words)


def _word(text: str) -> str:
    """As `plain`, but signs that stand alone keep their meaning."""
    return plain(text) or text.strip()
