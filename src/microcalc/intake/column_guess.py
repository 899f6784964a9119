"""A proposal for the column map of a spreadsheet, from its headers and a look at its cells.

Each guess has a confidence: how well the header fits a name that the field goes by, lowered where the cells cannot be
read as one. Nothing here decides: a person looks at the proposal and mends it.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from microcalc.errors import TableError
from microcalc.intake.column_fields import FIELDS, RULE_FIELDS, FieldKind, one_line
from microcalc.intake.column_map import ColumnMap, RuleColumn, column_map_yaml
from microcalc.intake.terms import is_empty

__all__ = ["Guess", "draft_of_guesses", "guess_columns", "map_of_guesses"]

SURE = 0.75
"""Confidence from which a guess goes into the proposed map."""

WORTH_TELLING = 0.45
"""Confidence below which a guess is not even shown."""

_ROWS_LOOKED_AT = 500
_ALIKE = 0.84
"""Likeness of two spellings (difflib's ratio) from which one may be meant for the other."""

_MISSPELLED = 6
"""Letters of words that may be misspelled; shorter ones are other words (site, side, Seite)."""

_DOUBT = 0.25
"""How much of the confidence is lost where no cell can be read. A header that fits exactly stays sure: its words will
be listed and can be told in the map, while a rule that is left aside in silence would let its patients in."""

_EXACT, _INSIDE = 1.0, 0.7

_LATER = 0.0001
"""Lost for each place of a name in its list: of two columns the one with the more common name wins."""

_SHORT = 2
"""Names of one or two letters count only where they are the whole header."""


@dataclass(frozen=True)
class Guess:
    """What a column may hold.

    Attributes:
        header: of the spreadsheet.
        field: of `FIELDS`; "" where nothing fits.
        confidence: 0 to 1.
        examples: a few different cells.
        unreadable: share of the filled cells that cannot be read as the field, 0 to 1.
    """

    header: str
    field: str
    confidence: float
    examples: tuple[str, ...]
    unreadable: float


def guess_columns(table: pd.DataFrame) -> list[Guess]:
    """Guess what each column of a table holds, each field at most once.

    Args:
        table: cells as text, as `microcalc.intake.sheets.read_sheet` gives them.
    """
    candidates: list[tuple[float, int, str]] = []
    cells = {one_line(name): _filled_cells(table[name]) for name in table.columns}
    for place, header in enumerate(cells):
        for field, kind in FIELDS.items():
            confidence = _name_fit(header, kind) * (1 - _DOUBT * _unreadable(cells[header], kind))
            if confidence >= WORTH_TELLING:
                candidates.append((confidence, place, field))
    chosen: dict[int, tuple[str, float]] = {}
    taken: set[str] = set()
    for confidence, place, field in sorted(candidates, key=lambda c: (-c[0], c[1], list(FIELDS).index(c[2]))):
        if place not in chosen and field not in taken:
            chosen[place] = (field, confidence)
            taken.add(field)
    _corner_rather_than_middle(chosen)
    guesses = []
    for place, (header, values) in enumerate(cells.items()):
        field, confidence = chosen.get(place, ("", 0.0))
        unreadable = _unreadable(values, FIELDS[field]) if field else 0.0
        guesses.append(
            Guess(header, field, round(confidence, 2), tuple(dict.fromkeys(values))[:3], round(unreadable, 2))
        )
    return guesses


def map_of_guesses(guesses: Sequence[Guess], *, source: str) -> ColumnMap:
    """The map that the sure guesses make.

    Args:
        guesses: of all columns.
        source: file, for the error.

    Raises:
        TableError: rows would not name their mammogram or their label.
    """
    columns, rules = _sure(guesses)
    try:
        return ColumnMap(columns=columns, rules=rules)
    except ValueError as error:
        raise TableError(
            f"{source}: no map can be made of these headers alone: "
            f"{'; '.join(_reasons(error))}. The first line must hold the names of the columns, here "
            f"{[guess.header for guess in guesses][:8]}. Let `microcalc cohort columns SPREADSHEET --out MAP.yaml` "
            "write down what is known, and fill in the rest"
        ) from error


def draft_of_guesses(guesses: Sequence[Guess], *, comment: str = "") -> tuple[str, tuple[str, ...]]:
    """YAML of the map that the sure guesses make, for a person to finish: unsure guesses and gaps stand as comments.

    Args:
        guesses: of all columns.
        comment: lines for the head of the file.

    Returns:
        The text, and what is missing before it can be used (nothing where it can).
    """
    columns, rules = _sure(guesses)
    missing: tuple[str, ...] = ()
    try:
        ColumnMap(columns=columns, rules=rules)
    except ValueError as error:
        missing = tuple(_reasons(error))
    text = column_map_yaml(ColumnMap.model_construct(columns=columns, rules=rules), comment=comment)
    unsure = [f"#   {g.field}: {g.header}" for g in guesses if g.field and g.confidence < SURE]
    aside = [g.header for g in guesses if not g.field]
    lines = [f"# MISSING: {reason}" for reason in missing]
    lines += ["# perhaps (look; take the # away and put it above):", *unsure] if unsure else []
    lines += [f"# other columns: {', '.join(aside)}"] if aside else []
    return text + "".join(f"{line}\n" for line in lines), missing


def _sure(guesses: Sequence[Guess]) -> tuple[dict[str, str], dict[str, RuleColumn]]:
    """Columns and rules of the guesses that can be relied on."""
    sure = {g.field: g.header for g in guesses if g.field and g.confidence >= SURE}
    columns = {field: sure[field] for field in FIELDS if field in sure and field not in RULE_FIELDS}
    return columns, {field: RuleColumn(column=sure[field]) for field in RULE_FIELDS if field in sure}


def _reasons(error: ValueError) -> Iterable[str]:
    errors = getattr(error, "errors", None)
    return [str(e["msg"]).removeprefix("Value error, ") for e in errors()] if errors else [str(error)]


def _name_fit(header: str, kind: FieldKind) -> float:
    """How well a header fits the best of a field's names."""
    spelled = _spelled(header)
    if set(kind.foreign) & set(spelled.split()):
        return 0.0
    fits = (_fit(spelled, _spelled(name)) - _LATER * place for place, name in enumerate(kind.names))
    return max(fits, default=0.0)


def _fit(header: str, name: str) -> float:
    tight_header, tight_name = header.replace(" ", ""), name.replace(" ", "")
    if tight_header == tight_name:
        return _EXACT
    if len(tight_name) <= _SHORT or len(tight_header) <= _SHORT:
        return 0.0
    if re.search(rf"(?:^| ){re.escape(name)}(?: |$)", header):
        return _INSIDE + 0.2 * len(tight_name) / len(tight_header)
    if not name.isascii() and tight_name in tight_header:  # Korean puts no blanks between parts of a word
        return _INSIDE + 0.2 * len(tight_name) / len(tight_header)
    if min(len(tight_header), len(tight_name)) < _MISSPELLED:
        return 0.0
    likeness = difflib.SequenceMatcher(None, tight_header, tight_name).ratio()
    return likeness * 0.9 if likeness >= _ALIKE else 0.0


def _spelled(text: str) -> str:
    """Lower case, words apart: PatientID, patient_id and "Patient ID." are one."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", text))
    return " ".join(re.sub(r"[^\w]|_", " ", apart.casefold()).split())


def _filled_cells(column: "pd.Series[str]") -> list[str]:
    texts = [str(cell) for cell in column[:_ROWS_LOOKED_AT]]
    return [text for text in texts if not is_empty(text)]


def _unreadable(values: Sequence[str], kind: FieldKind) -> float:
    if kind.readable is None or not values:
        return 0.0
    return sum(not kind.readable(value) for value in values) / len(values)


def _corner_rather_than_middle(chosen: dict[int, tuple[str, float]]) -> None:
    """x and y beside width and height are mostly the upper left corner; which it is, a person must say."""
    by_field: Mapping[str, int] = {field: place for place, (field, _) in chosen.items()}
    if {"box_width", "box_height"} <= set(by_field) and not {"box_top", "box_left"} & set(by_field):
        for middle, corner in (("roi_row", "box_top"), ("roi_col", "box_left")):
            if middle in by_field:
                place = by_field[middle]
                chosen[place] = (corner, min(chosen[place][1], SURE))
