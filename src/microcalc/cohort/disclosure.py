"""What a cohort may still say of its patients: `microcalc cohort check --privacy`.

Two kinds of checks. Those of the folder alone know what pseudonyms look like (`microcalc.intake.privacy`) and find
what does not look so: other IDs, UIDs, names and dates, paths, pictures with texts in them, DICOM files, a key. Those
with the source look for everything that stands there in every byte of the cohort. What can be read in the pixels of a
picture (burned-in text) neither can see.
"""

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from microcalc.cohort.evidence import Check, Evidence, mapping_or_empty
from microcalc.cohort.findings import Finding, count, error, note, some
from microcalc.cohort.own_words import is_own_prose, stands_in_prose_only
from microcalc.cohort.rows import CALC_WORDS, COLUMNS
from microcalc.cohort.search import FILE_NAMES, Needles, Passage, WantedText, passages
from microcalc.cohort.writer import RECORD, TABLE
from microcalc.vocabulary import Laterality, View

__all__ = ["Progress", "privacy_checks"]

Progress = Callable[[int, int], None]
"""Called with the files done and all of them."""

_PATIENT = re.compile(r"P[0-9a-f]{16}")
_SITE = re.compile(r"S[0-9a-f]{6}")
_OWN_CODE = re.compile(r"[PA]?[0-9a-f]{16,64}")
_OWN_WORDS = frozenset(word.casefold() for word in (*Laterality, *View, "roi", "lesion", "image", "img"))
_JOINTS = re.compile(r"[-_.]+")
_SMALL_NUMBER = re.compile(r"[a-z]{0,2}\d{1,3}", re.I)
"""A counter, with at most two letters before it."""

_UID = re.compile(rb"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d*)){5,}(?![\w.])|(?<![\w.])2\.25\.\d{20,39}(?!\d)")
_STANDARD_UID = b"1.2.840.10008."
"""Root of the UIDs that DICOM itself gives to its terms; they name no object."""

_NAME = re.compile(rb"[^\W\d_]{2,}\^[^\W\d_]+")
_YEAR = rb"(?:19|20)\d\d"
_MONTH, _DAY = rb"(?:0[1-9]|1[0-2])", rb"(?:0[1-9]|[12]\d|3[01])"
_TRUE_DATE = re.compile(
    rb"(?<![^\W_])(?<!\.)(?:%b%b%b|%b([-/._ ])%b\1%b|%b([-/._])%b\2%b)(?![^\W_]|\.\d)"
    % (_YEAR, _MONTH, _DAY, _YEAR, _MONTH, _DAY, rb"\d{1,2}", rb"\d{1,2}", _YEAR)
)
"""A day between 1900 and 2099; shifted days lie beyond."""

_PATH = re.compile(
    rb"(?<![\w:/.])(?:/(?:home|users|mnt|media|data|srv|var|tmp|opt|root|volumes|export|nas)/[\w.-]"
    rb"|[a-z]:\\{1,2}\w|\\{2,4}[\w.-]+\\|file://)",
    re.I,
)
_PATTERNS: tuple[tuple[str, re.Pattern[bytes], str], ...] = (
    ("privacy-uid", _UID, "a UID that is no pseudonym"),
    ("privacy-name", _NAME, "a name as DICOM writes it (family^given)"),
    ("privacy-date", _TRUE_DATE, "a date that was not shifted"),
    ("privacy-path", _PATH, "a path of somebody's machine"),
)
_PLAIN_CHUNKS = frozenset(("IHDR", "IEND", "PLTE", "sBIT", "gAMA", "tRNS", "cHRM", "sRGB", "pHYs", "bKGD"))
"""Chunks of a PNG file that hold nothing but how to show it."""

_KEY = b"microcalc pseudonym key"
_DICOM_AT, _DICOM = 128, b"DICM"
_ALLOWED_FILES = re.compile(rb"cohort\.csv|cohort\.json|rois/(?:benign|malignant)/[^/]+\.png|\.cache/.*", re.S)
_FREE_TEXT = ("site", "manufacturer", "birads")


def privacy_checks(
    wanted: Sequence[WantedText] = (), *, skipped: Mapping[str, int] | None = None, progress: Progress | None = None
) -> tuple[Check, ...]:
    """The checks of `microcalc cohort check --privacy`, for `check_cohort`.

    Args:
        wanted: every text of the source that must not show through; none: only patterns are looked for.
        skipped: how many texts of the source are not looked for, by reason.
        progress: called while the files are searched.
    """

    def everywhere(evidence: Evidence) -> Iterator[Finding]:
        needles = Needles(wanted)
        passed_over: set[int] = set()
        yield from _search(evidence, needles, passed_over, progress)
        yield _what_was_searched(wanted, skipped or {}, len(passed_over))

    return (_ids, _uids, _dates, _columns, everywhere)


# ---------------------------------------------------------------------------------------------- table


def _ids(evidence: Evidence) -> Iterator[Finding]:
    if _is_synthetic(evidence):
        return
    patients = [str(p) for p in evidence.table["patient_id"].unique()]
    foreign = sum(not _PATIENT.fullmatch(p) for p in patients)
    if foreign:
        yield error(
            "privacy-patient-id",
            f"{foreign} of {len(patients)} patient IDs are no keyed hashes of microcalc, so they may be a hospital's. "
            "Make the cohort again with a key (--key FILE)",
        )
    for column in ("image_id", "lesion_id"):
        telling = [v for v in evidence.table[column].unique() if not _says_nothing(str(v))]
        if telling:
            yield error(
                f"privacy-{column.replace('_', '-')}",
                f"{column}: {count(telling, 'value')} of more than codes, sides, views and counters; names of files "
                "often hold those of patients. Make the cohort again with a key (--key FILE)",
            )


def _says_nothing(name: str) -> bool:
    parts = [p for p in _JOINTS.split(name) if p]
    return all(p.casefold() in _OWN_WORDS or _OWN_CODE.fullmatch(p) or _SMALL_NUMBER.fullmatch(p) for p in parts)


def _uids(evidence: Evidence) -> Iterator[Finding]:
    foreign = [u for u in evidence.table["source_uid"].unique() if u and not _is_own_uid(str(u).encode())]
    if foreign and not _is_synthetic(evidence):
        yield error("privacy-uid", f"source_uid: {count(foreign, 'UID')} that are no pseudonyms of microcalc")


def _dates(evidence: Evidence) -> Iterator[Finding]:
    true = [d for d in evidence.table["exam_date"].unique() if d and str(d) < "2100"]
    if true and not _is_synthetic(evidence):
        yield error(
            "privacy-date",
            f"exam_date: {count(true, 'day')} before 2100, which shifted days never are. "
            "Make the cohort again with a key (--key FILE), or empty the column",
        )


def _columns(evidence: Evidence) -> Iterator[Finding]:
    unknown = [c for c in evidence.columns if c not in COLUMNS]
    if unknown:
        yield error("privacy-column", f"columns that no contract asks for may hold anything: {some(unknown)}")
    for column, words in CALC_WORDS.items():
        foreign = {str(v) for v in evidence.table[column].unique() if v} - words
        if foreign:
            yield error(
                "privacy-free-text",
                f"{column}: {count(foreign, 'text')} of other words than BI-RADS's may tell of people. Write "
                f"{', '.join(sorted(words))}, or nothing, or make the cohort again with a key (--key FILE)",
            )
    for column in _FREE_TEXT:
        values = [str(v) for v in evidence.table[column].unique() if v]
        if len(values) > max(20, len(evidence.table) // 10):
            yield error(
                "privacy-free-text",
                f"{column}: {len(values)} different texts in {len(evidence.table)} rows; that many describe people, "
                "not a few sites or devices",
            )
        elif column == "site" and not all(_SITE.fullmatch(v) for v in values):
            yield note("privacy-look", f"site: look whether these may be told: {some(values)}")


# ---------------------------------------------------------------------------------------------- every byte


def _search(
    evidence: Evidence, needles: Needles, passed_over: set[int], progress: Progress | None
) -> Iterator[Finding]:
    places: dict[str, list[str]] = defaultdict(list)
    shown: dict[str, list[str]] = defaultdict(list)
    names = Counter[str]()
    total = 0
    for passage in passages(evidence.folder):
        if passage.place == FILE_NAMES:
            total = passage.content.count(b"\n") + 1
        names[passage.place.partition(",")[0]] += 1
        for code in _patterns_in(passage, evidence):
            places[code].append(passage.place)
        for number in needles.find(passage):
            wanted = needles.wanted[number]
            if passage.place == RECORD and _is_ours(wanted, evidence):
                passed_over.add(number)
            else:
                shown[wanted.origin].append(passage.place)
        if progress is not None:
            progress(min(len(names) - 1, total), total)
    told = {f.code for check in (_uids, _dates) for f in check(evidence)}
    for code in told & set(places):  # the table's own columns were told of already
        places[code] = [place for place in places[code] if place != TABLE]
    for code, where in ((c, w) for c, w in places.items() if w):
        yield error(code, f"{_WHAT[code]}, in {some(dict.fromkeys(where))}")
    for origin, where in sorted(shown.items()):
        yield error("privacy-source", f"{origin} of the source shows through, in {some(dict.fromkeys(where))}")


def _is_ours(wanted: WantedText, evidence: Evidence) -> bool:
    """Whether microcalc writes a text into the record itself; a name only where it stands there as such a word."""
    if not is_own_prose(wanted.text) or not wanted.is_name:
        return is_own_prose(wanted.text)
    return len(wanted.text.split()) == 1 and stands_in_prose_only(wanted.text, evidence.record)


def _patterns_in(passage: Passage, evidence: Evidence) -> Iterator[str]:
    content = passage.content
    if passage.place == FILE_NAMES:
        yield from _files_in(content, evidence)
    if passage.pixels:
        return
    if content[_DICOM_AT : _DICOM_AT + len(_DICOM)] == _DICOM:
        yield "privacy-dicom"
    if _KEY in content[:1024]:
        yield "privacy-key"
    chunk = passage.place.rpartition(", chunk ")[2]
    more = passage.place.endswith(", after its end") or (", chunk " in passage.place and chunk not in _PLAIN_CHUNKS)
    if more and not _is_synthetic(evidence):  # phantoms say in every picture that they are made up
        yield "privacy-metadata"
    for code, pattern, _ in _PATTERNS:
        if any(not _harmless(code, match.group(), evidence) for match in pattern.finditer(content)):
            yield code


def _files_in(names: bytes, evidence: Evidence) -> Iterator[str]:
    attached = {name.encode() for name in evidence.hashes("attachments")}
    for name in names.split(b"\n"):
        if name not in attached and not _ALLOWED_FILES.fullmatch(name):
            yield "privacy-file"


def _harmless(code: str, match: bytes, evidence: Evidence) -> bool:
    if code == "privacy-uid":
        return match.startswith(_STANDARD_UID) or _is_own_uid(match) or _is_synthetic(evidence)
    return code == "privacy-date" and _is_synthetic(evidence)


_WHAT = {code: words for code, _, words in _PATTERNS} | {
    "privacy-dicom": "a DICOM file",
    "privacy-key": "a pseudonym key, with which others can try names out. Make the cohort again with a new key",
    "privacy-metadata": "a picture that holds more than pixels; write it again with nothing else",
    "privacy-file": "a file that microcalc did not write",
}


def _is_own_uid(uid: bytes) -> bool:
    """Whether it has the form that `microcalc.intake.privacy.Pseudonyms.uid` gives: a version 8 UUID under 2.25."""
    root, _, digits = uid.decode("ascii", "replace").rpartition(".")
    if root != "2.25" or not digits.isdecimal() or int(digits) >= 1 << 128:
        return False
    number = uuid.UUID(int=int(digits))
    return number.version == 8 and number.variant == uuid.RFC_4122


def _what_was_searched(wanted: Sequence[WantedText], skipped: Mapping[str, int], passed_over: int) -> Finding:
    if not wanted and not skipped:
        return note(
            "privacy-no-source",
            "only patterns were looked for, since the source was not given. Give it (--source DIR or FILE, as often as "
            "needed) to look for each of its texts in every byte of the cohort",
        )
    left = "".join(f"; {count} not looked for: {reason}" for reason, count in sorted(skipped.items()))
    if passed_over:
        left += f"; {passed_over} passed over in {RECORD}: words that microcalc itself writes there"
    return note(
        "privacy-searched",
        f"{len(wanted)} texts of the source were looked for in every byte of the cohort, in several spellings and "
        f"encodings{left}. What can be read in the pictures themselves no search can see",
    )


def _is_synthetic(evidence: Evidence) -> bool:
    """Whether every image is made up; where only some are, the others' patients are looked after."""
    marked = mapping_or_empty(evidence.record.get("intake")).get("synthetic", len(evidence.table))
    return evidence.record.get("synthetic") is True and marked == len(evidence.table)
