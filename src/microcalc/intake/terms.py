"""What people write in spreadsheets, in the words of the contract: pathology, BI-RADS, side, view, yes and no, days.

Every reader gives the meaning of a cell or None; None is listed for a person to mend and never guessed at. Which column
holds what is the business of `microcalc.intake.column_map`; what describes calcifications is read by
`microcalc.intake.descriptors`.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from microcalc.vocabulary import BENIGN, MALIGNANT, Laterality, Pathology, View

__all__ = [
    "EMPTY_WORDS",
    "Truth",
    "is_empty",
    "plain",
    "read_birads",
    "read_day",
    "read_laterality",
    "read_sided_view",
    "read_truth",
    "read_view",
    "read_yes_no",
]

EMPTY_WORDS = frozenset((
    "", "-", "--", ".", "?", "na", "n a", "n/a", "nan", "none", "null", "nil", "unknown", "not known", "unbekannt",
    "미상",
))  # fmt: skip
"""Cells that say nothing."""

_NOT_DONE = frozenset(
    {
        "not done", "no biopsy", "not biopsied", "no pathology", "no histopathology", "no histology", "pending",
        "follow up", "followup", "f u", "lost to follow up", "insufficient", "non diagnostic", "nondiagnostic",
        "keine biopsie", "keine histologie", "nicht biopsiert", "ausstehend",
        "미시행", "조직검사 안함", "추적관찰",
    }
)  # fmt: skip
"""Cells of a pathology column that say that there is no result."""

_PATHOLOGY: dict[Pathology, tuple[str, ...]] = {
    Pathology.INVASIVE: (
        "invasive", "invasive cancer", "invasive carcinoma", "invasive breast cancer", "invasive breast carcinoma",
        "infiltrating carcinoma", "idc", "idca", "idc nos", "invasive ductal", "invasive ductal carcinoma",
        "infiltrating ductal carcinoma", "invasive ductal adenocarcinoma", "ilc", "invasive lobular",
        "invasive lobular carcinoma", "infiltrating lobular carcinoma", "invasive carcinoma nst", "nst",
        "invasive carcinoma of no special type", "ibc nst", "invasive mammary carcinoma", "microinvasive carcinoma",
        "microinvasion", "dcis mi", "dcismi", "mucinous carcinoma", "invasive mucinous carcinoma", "colloid carcinoma",
        "tubular carcinoma", "medullary carcinoma", "metaplastic carcinoma", "invasive micropapillary carcinoma",
        "invasive papillary carcinoma", "invasive cribriform carcinoma", "inflammatory carcinoma",
        "invasives karzinom", "invasives mammakarzinom", "invasives karzinom nst", "invasives mammakarzinom nst",
        "invasiv duktales karzinom", "invasives duktales karzinom", "invasiv lobuläres karzinom",
        "invasives lobuläres karzinom", "muzinöses karzinom", "tubuläres karzinom",
        "침윤성", "침윤성암", "침윤암", "침윤성 유방암", "침윤성 관암", "침윤성 유관암", "침윤성 소엽암", "침윤성 암종",
    ),
    Pathology.DCIS: (
        "dcis", "ductal carcinoma in situ", "ductal carcinoma insitu", "carcinoma in situ", "in situ carcinoma",
        "in situ", "intraductal carcinoma", "comedocarcinoma", "comedo carcinoma", "tis", "ptis", "ptis dcis",
        "non invasive carcinoma", "noninvasive carcinoma", "non invasive cancer", "noninvasive cancer",
        "duktales carcinoma in situ", "duktales karzinom in situ", "intraduktales karzinom", "in situ karzinom",
        "관상피내암", "유관상피내암", "상피내암", "제자리암", "관내암", "유관 상피내암", "비침윤성", "비침윤성암",
    ),
    Pathology.HIGH_RISK: (
        "high risk", "high risk lesion", "high risk benign", "b3", "adh", "atypical ductal hyperplasia", "alh",
        "atypical lobular hyperplasia", "atypical hyperplasia", "atypia", "ductal atypia", "aidep", "fea",
        "flat epithelial atypia", "lcis", "lobular carcinoma in situ", "lobular neoplasia", "radial scar", "rs",
        "complex sclerosing lesion", "csl", "papilloma", "intraductal papilloma", "idp", "papillary lesion",
        "papillomatosis", "atypical papilloma", "mucocele like lesion", "mucocele like tumor",
        "columnar cell change with atypia", "columnar cell lesion with atypia",
        "atypische duktale hyperplasie", "atypische lobuläre hyperplasie", "flache epitheliale atypie",
        "lobuläre neoplasie", "radiäre narbe", "papillom", "intraduktales papillom",
        "고위험", "고위험 병변", "비정형 관증식", "비정형 유관증식", "비정형 소엽증식", "소엽상피내암", "유두종",
    ),
    Pathology.BENIGN: (
        "benign", "benign lesion", "benign breast tissue", "benign breast parenchyma", "benign calcification",
        "benign calcifications", "benign microcalcification", "benign microcalcifications", "benign change",
        "benign changes", "normal", "normal breast tissue", "negative", "negative for malignancy", "no malignancy",
        "no evidence of malignancy", "no tumor", "fibrocystic", "fibrocystic change", "fibrocystic changes",
        "fibrocystic disease", "fcc", "fcd", "fibroadenoma", "fa", "fibroadenomatoid change",
        "fibroadenomatoid hyperplasia", "fibroadenomatous change", "usual ductal hyperplasia", "udh",
        "ductal hyperplasia", "epithelial hyperplasia", "hyperplasia of usual type", "sclerosing adenosis", "adenosis",
        "columnar cell change", "columnar cell changes", "columnar cell hyperplasia", "columnar cell lesion", "ccc",
        "cch", "ccl", "apocrine metaplasia", "apocrine change", "fibrosis", "stromal fibrosis", "fat necrosis",
        "duct ectasia", "ductal ectasia", "cyst", "cysts", "mastitis", "inflammation", "hamartoma", "lipoma",
        "pash", "pseudoangiomatous stromal hyperplasia", "microcalcification", "microcalcifications",
        "benigne", "gutartig", "fibroadenom", "mastopathie", "fibrozystische mastopathie", "zystische mastopathie",
        "fibrozystische veränderungen", "sklerosierende adenose", "adenose", "fettgewebsnekrose", "zyste", "lipom",
        "einfache duktale hyperplasie", "apokrine metaplasie", "duktektasie", "fibrose", "mikrokalk",
        "kein malignom", "kein anhalt für malignität",
        "양성", "정상", "섬유낭성변화", "섬유낭종성 변화", "섬유선종", "선증",
    ),
}  # fmt: skip
"""Histopathology as people write it. Papillomas, radial scars and lobular neoplasia are lesions of uncertain malignant
potential (B3 of the European guidelines): high-risk, hence label 0."""

_TWO_WAY: dict[str, int] = {
    "malignant": MALIGNANT, "malignancy": MALIGNANT, "cancer": MALIGNANT, "carcinoma": MALIGNANT,
    "breast cancer": MALIGNANT, "ca": MALIGNANT, "positive": MALIGNANT, "1": MALIGNANT,
    "maligne": MALIGNANT, "bösartig": MALIGNANT, "karzinom": MALIGNANT, "mammakarzinom": MALIGNANT,
    "악성": MALIGNANT, "암": MALIGNANT, "유방암": MALIGNANT, "0": BENIGN,
}  # fmt: skip
"""Words that tell the label but not the pathology."""

_WITHOUT_BIOPSY = {"benign without callback": BENIGN}
"""Words of CBIS-DDSM: benign on the film, neither called back nor biopsied."""

_QUALIFIERS = re.compile(
    r"\b(?:(?:low|intermediate|moderate|high)(?:\s+to\s+(?:intermediate|high))?\s+(?:nuclear\s+|histologic\w*\s+)?grade"
    r"|(?:nuclear\s+|histologic\w*\s+)?grade\s+(?:[123]|i{1,3})|ng\s*[123]|g[123]|focal|foci of|multifocal"
    r"|(?:comedo|solid|cribriform|micropapillary|papillary|clinging|flat)\s+type|with\s+(?:comedo)?necrosis"
    r"|associated\s+with\s+(?:micro)?calcifications?|with\s+(?:micro)?calcifications?)\b"
)
"""What is said of a finding without changing its class."""

_JOINTS = re.compile(r"\s*(?:[+/&,;]|\bwith\b|\band\b|\bplus\b|\bmit\b|\bund\b)\s*")

_SEVERITY = (Pathology.BENIGN, Pathology.HIGH_RISK, Pathology.DCIS, Pathology.INVASIVE)

_SIDES: dict[Laterality, tuple[str, ...]] = {
    Laterality.LEFT: (
        "l", "lt", "left", "left breast", "lt breast", "l breast", "links", "li", "linke brust",
        "좌", "좌측", "왼쪽", "좌유방",
    ),
    Laterality.RIGHT: (
        "r", "rt", "right", "right breast", "rt breast", "r breast", "rechts", "re", "rechte brust",
        "우", "우측", "오른쪽", "우유방",
    ),
}  # fmt: skip

_VIEWS: dict[View, tuple[str, ...]] = {
    View.CC: ("craniocaudal", "cranio caudal", "kraniokaudal"),
    View.MLO: ("mediolateral oblique", "medio lateral oblique", "oblique", "schräg"),
    View.ML: ("mediolateral", "medio lateral", "true lateral"),
    View.LM: ("lateromedial", "latero medial"),
    View.LMO: ("lateromedial oblique", "latero medial oblique"),
    View.FB: ("from below", "caudocranial", "caudo cranial"),
    View.XCCL: ("exaggerated craniocaudal laterally", "lateral exaggerated craniocaudal"),
    View.XCCM: ("exaggerated craniocaudal medially",),
    View.XCC: ("exaggerated craniocaudal",),
    View.AT: ("axillary tail", "cleopatra"),
    View.CV: ("cleavage", "valley"),
}

_VIEW_EXTRAS = re.compile(r"\b(?:view|projection|magnification|magnified|mag|spot|compression|m|s)\b")
_SIDE_PREFIX = re.compile(r"(left|right|lt|rt|l|r)\s*")
_GLUED_AT = ("lat", "rat")
"""A letter glued to AT is no side: LAT is the lateral view to most, and nobody tells here whether ML or LM."""

_YES = (
    "yes", "y", "true", "t", "1", "present", "positive", "pos", "+", "ja", "j", "vorhanden", "예", "네", "유", "있음",
    "있다",
)  # fmt: skip
_NO = (
    "no", "n", "false", "f", "0", "absent", "negative", "neg", "-", "none", "nein", "keine", "",
    "아니오", "아니요", "무",
    "없음", "없다",
)  # fmt: skip

_BIRADS = re.compile(
    r"(?:(?:acr\s*)?bi\s*-?\s*rads|category|cat|c|b)?[\s.:#_-]*([0-6](?:\.0)?|(?:4|iv)[\s.-]*[abc]|i{1,3}|iv|vi?)", re.I
)
_ROMAN = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6"}

_DAY = re.compile(
    r"(?P<y>(?:19|20)\d\d)(?:(?P<sep>[-./\s])\s*(?P<m>\d{1,2})(?P=sep)\s*(?P<d>\d{1,2})\.?|(?P<m2>\d\d)(?P<d2>\d\d)"
    r"|년\s*(?P<m3>\d{1,2})월\s*(?P<d3>\d{1,2})일)(?:[T\s]\d\d:\d\d.*)?"
)
_DAY_FIRST = re.compile(r"(\d{1,2})\.\s*(\d{1,2})\.\s*((?:19|20)\d\d)")
"""With points and the year last, the day comes first wherever people write so."""

_CACHED = 4096
"""Different cells that are remembered: tables repeat their words."""


@dataclass(frozen=True)
class Truth:
    """What a pathology cell says.

    Attributes:
        pathology: word of the contract; "" where only the label is told, or nothing.
        label: 0 or 1; None where there is no result.
        biopsied: whether the word rests on tissue.
    """

    pathology: str
    label: int | None
    biopsied: bool


NO_RESULT = Truth("", None, False)


@lru_cache(_CACHED)
def plain(text: str) -> str:
    """A text as it is compared: one form of each letter, lower case, punctuation as single blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w+/&,;]|_", " ", folded).split())


@lru_cache(_CACHED)
def is_empty(text: str) -> bool:
    """Whether a cell says nothing."""
    return text.strip() in EMPTY_WORDS or plain(text) in EMPTY_WORDS


@lru_cache(_CACHED)
def read_truth(text: str) -> Truth | None:
    """Pathology and label of a cell; of several findings ("IDC with DCIS", "ADH + UDH") the worst.

    Returns:
        None for words that are not known; a `Truth` without label for cells that say that there is no result.

    >>> read_truth("IDC + DCIS, high grade").pathology, read_truth("malignant").label, read_truth("ADH").label
    ('invasive', 1, 0)
    """
    words = plain(text)
    if is_empty(text) or words in _NOT_DONE:
        return NO_RESULT
    if "?" in text:
        return None  # a doubt is no result
    if words in _WITHOUT_BIOPSY:
        return Truth("", _WITHOUT_BIOPSY[words], False)
    label = _TWO_WAY.get(words)
    if label is not None:
        return Truth("", label, True)
    whole = _OF_WORDS.get(words)
    parts = [whole] if whole else [_OF_WORDS.get(part) for part in _findings(words)]
    found = [part for part in parts if part is not None]
    if not found or len(found) < len(parts):
        return None
    worst = max(found, key=_SEVERITY.index)
    return Truth(worst.value, worst.label, True)


@lru_cache(_CACHED)
def read_birads(text: str) -> str | None:
    """Assessment category, 0 to 6 with 4A, 4B, 4C; "" of an empty cell.

    >>> read_birads("BI-RADS 4b"), read_birads("BI-RADS IVa"), read_birads("benign")
    ('4B', '4A', None)
    """
    if is_empty(text):
        return ""
    match = _BIRADS.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return None
    category = re.sub(r"[\s.-]", "", match[1].removesuffix(".0")).upper()
    return re.sub("^[IV]+", lambda roman: _ROMAN[roman[0]], category)


@lru_cache(_CACHED)
def read_laterality(text: str) -> str | None:
    """``L`` or ``R``; "" of an empty cell."""
    return "" if is_empty(text) else _SIDE_OF.get(plain(text))


@lru_cache(_CACHED)
def read_sided_view(text: str) -> tuple[str, str] | None:
    """Side and View Position of a cell that may tell both ("LMLO"); "" for what it does not tell.

    >>> read_sided_view("LMLO"), read_sided_view("LM"), read_sided_view("Rt. CC spot")
    (('L', 'MLO'), ('', 'LM'), ('R', 'CC'))
    """
    if is_empty(text):
        return "", ""
    words = plain(text)
    without = " ".join(_VIEW_EXTRAS.sub(" ", words).split())
    for candidate in (words, without):
        if candidate in _VIEW_OF:
            return "", _VIEW_OF[candidate]
    for candidate in (words, without):
        match = _SIDE_PREFIX.match(candidate)
        if match and candidate not in _GLUED_AT and candidate[match.end() :] in _VIEW_OF:
            return _SIDE_OF[match[1]], _VIEW_OF[candidate[match.end() :]]
    return None


def read_view(text: str) -> str | None:
    """View Position in DICOM's letters, with or without the side in front; "" of an empty cell."""
    sided = read_sided_view(text)
    return None if sided is None else sided[1]


def read_yes_no(text: str) -> bool | None:
    """Whether a cell says yes; an empty one says no. A lone x or o is not known: it means yes here and no there."""
    words = unicodedata.normalize("NFKC", text).strip().casefold()
    if words in _YES:
        return True
    return False if words in _NO or plain(text) in _NO else None


@lru_cache(_CACHED)
def read_day(text: str) -> str | None:
    """A day as YYYY-MM-DD, from forms that begin with the year and from 5.3.2018; "" of an empty cell.

    5/3/2018 is the 5th of March here and the 3rd of May there, so it is not read.
    """
    if is_empty(text):
        return ""
    text = unicodedata.normalize("NFKC", text).strip()
    if match := _DAY_FIRST.fullmatch(text):
        text = f"{match[3]}-{match[2]}-{match[1]}"
    match = _DAY.fullmatch(text)
    if match is None:
        return None
    year, *rest = (match[name] or "" for name in ("y", "m", "d", "m2", "d2", "m3", "d3"))
    month, day = (int(part) for part in rest if part)
    try:
        return dt.date(int(year), month, day).isoformat()
    except ValueError:
        return None


def _findings(words: str) -> list[str]:
    """The single findings of a cell, without what qualifies them."""
    bare = _QUALIFIERS.sub(" ", words)
    parts = (" ".join(part.split()) for part in _JOINTS.split(bare))
    return [part for part in parts if part]


def _reversed(groups: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    return {plain(word): value for value, words in groups for word in (value, *words)}


_OF_WORDS = {plain(word): pathology for pathology, words in _PATHOLOGY.items() for word in (pathology.value, *words)}
_SIDE_OF = _reversed((side.value, words) for side, words in _SIDES.items())
_VIEW_OF = _reversed((view.value, _VIEWS.get(view, ())) for view in View)
