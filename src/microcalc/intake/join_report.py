"""What a join did, in lines for a screen: rows, files, what did not join and why, words that are not known.

The lines show words of the spreadsheet and names of files; they are for the person at the screen, and no part of a
cohort.
"""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from microcalc.cohort.rows import CALC_WORDS
from microcalc.intake.joining import Join, JoinedRow

__all__ = ["join_lines", "join_table"]

_SHOWN = 20
"""Rows or files of one kind that are shown one by one."""

_WORDS_SHOWN = 30
_UNKNOWN = "unknown-word"
"""Faults that are listed by their words, not row by row: one word may stand in a thousand rows."""


def join_lines(join: Join) -> Iterator[str]:
    """The report of a join, line by line."""
    yield from _rows(join)
    yield from _faults(join)
    yield from _unknown_words(join)
    yield from _undescribed(join)
    yield from _files(join)
    yield from _outcome(join)


def join_table(join: Join) -> bytes:
    """Every row with its file and what became of it, as CSV; it names files, so it is no part of a cohort."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["row", "file", "found_by", "outcome", "code", "message"])
    for joined in join.rows:
        name = joined.image.name if joined.image else ""
        if joined.left_out is not None:
            outcome = ("left out", joined.left_out.code, joined.left_out.reason)
        elif joined.faults:
            codes = ", ".join(dict.fromkeys(fault.code for fault in joined.faults))
            outcome = ("cannot be used", codes, "; ".join(fault.message for fault in joined.faults))
        else:
            outcome = ("used", "", "")
        table.writerow([joined.row.number, name, joined.by, *outcome])
    return out.getvalue().encode("utf-8-sig", "replace")


def _rows(join: Join) -> Iterator[str]:
    found = [joined for joined in join.rows if joined.image is not None]
    yield f"rows of the spreadsheet: {len(join.rows)}"
    ways = Counter(joined.by for joined in found)
    how = "; ".join(f"{count} by {way}" for way, count in ways.most_common())
    yield f"  joined to a mammogram: {len(found)}" + (f" ({how})" if how else "")
    if join.index.repaired_ids:
        yield f"  {join.index.repaired_ids} IDs lack the leading zeros that the images have; they were completed"
    by_rule: dict[str, list[JoinedRow]] = defaultdict(list)
    for joined in join.left_out:
        if joined.left_out is not None:
            by_rule[joined.left_out.reason].append(joined)
    if by_rule:
        yield f"  left out by rule: {len(join.left_out)}"
    for reason, rows in by_rule.items():
        patients = len({joined.patient for joined in rows if joined.patient})
        yield f"    {len(rows)} ({_count(patients, 'patient')}): {reason}"


def _faults(join: Join) -> Iterator[str]:
    if not join.faulty:
        return
    yield f"  cannot be used: {len(join.faulty)}"
    by_code: dict[str, list[str]] = defaultdict(list)
    for joined in join.faulty:
        for code, message in dict.fromkeys((fault.code, fault.message) for fault in joined.faults):
            by_code[code].append(f"{joined.row.name}: {message}")
    for code, texts in sorted(by_code.items(), key=lambda item: -len(item[1])):
        if code == _UNKNOWN:
            yield f"    {code}, {len(texts)}, told below word by word"
            continue
        yield f"    {code}, {len(texts)}"
        yield from (f"      {text}" for text in _first(texts))


def _unknown_words(join: Join) -> Iterator[str]:
    words = Counter(pair for joined in join.rows for pair in joined.row.unknown)
    if not words:
        return
    yield "words that are not known (give their meaning in the map, under words or rules):"
    yield from _commonest(Counter({f"column {header!r}: {word!r}": count for (header, word), count in words.items()}))


def _undescribed(join: Join) -> Iterator[str]:
    """Texts of calcifications that a key leaves out, since they are no words of BI-RADS that are known."""
    texts: Counter[str] = Counter()
    for joined in join.usable:
        said = {column: joined.row.values.get(column, "") for column in CALC_WORDS}
        unknown = {column: text for column, text in said.items() if text and text not in CALC_WORDS[column]}
        texts.update(f"{column}: {text.replace('_', ' ')!r}" for column, text in unknown.items())
    if not texts:
        return
    yield "no words of BI-RADS that microcalc knows, which a key leaves empty (give BI-RADS's under words of the map):"
    yield from _commonest(texts)


def _commonest(rows: Counter[str]) -> Iterator[str]:
    """What stands in most rows, one line each, and how much more there is."""
    for said, count in rows.most_common(_WORDS_SHOWN):
        yield f"  {said} ({_count(count, 'row')})"
    if len(rows) > _WORDS_SHOWN:
        yield f"  and {len(rows) - _WORDS_SHOWN} more"


def _files(join: Join) -> Iterator[str]:
    images = join.index.images
    usable = [image for image in images if image.refusal is None]
    yield f"files read: {len(images) + len(join.index.copies)}"
    named = join.named
    nameless = [image for image in usable if image.name not in named]
    yield f"  mammograms: {len(usable)}; {len(usable) - len(nameless)} named by a row, {len(nameless)} by none"
    yield from (f"      {text}" for text in _first([f"{image.name} ({image.seen})" for image in nameless], 5))
    if join.index.copies:
        yield f"  copies (the same SOP Instance UID), of which one that can be read is taken: {len(join.index.copies)}"
        pairs = [f"{copy.name} is {first.name}" for first, copy in join.index.copies]
        yield from (f"      {text}" for text in _first(pairs, 5))
    refused: dict[str, list[str]] = defaultdict(list)
    for image in images:
        if image.refusal is not None:
            refused[image.refusal.code.value].append(image.name)
    if refused:
        yield f"  no mammograms that can be used: {sum(map(len, refused.values()))}"
    for code, names in sorted(refused.items(), key=lambda item: -len(item[1])):
        yield f"    {code.replace('_', ' ')}, {len(names)}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"


def _outcome(join: Join) -> Iterator[str]:
    usable = join.usable
    labels = Counter(joined.row.values.get("label", "") for joined in usable)
    patients = len({joined.patient for joined in usable})
    yield (
        f"ROI images to cut: {len(usable)} of {_count(patients, 'patient')}; "
        f"{labels['0']} benign, {labels['1']} malignant"
    )


def _first(texts: Iterable[str], shown: int = _SHOWN) -> Iterator[str]:
    every = list(texts)
    yield from every[:shown]
    if len(every) > shown:
        yield f"and {len(every) - shown} more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
