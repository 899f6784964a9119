"""Descriptors of calcifications as people write them, in BI-RADS's words: morphology and distribution.

A cell may hold several, with words between them ("round and punctate calcifications (grouped)"). It is taken apart only
as far as needed, and each part must be a known phrase as a whole, apart from words of the other column ("clustered
amorphous"); nothing is searched for inside a sentence.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from microcalc.intake.terms import is_empty, plain
from microcalc.vocabulary import CalcDistribution, CalcMorphology, TypicallyBenign

__all__ = ["DESCRIPTORS", "PARTS_OF_WORDS", "read_distribution", "read_morphology"]

_MORPHOLOGY: Mapping[StrEnum, tuple[str, ...]] = {
    CalcMorphology.ROUND: ("round or oval", "round and regular", "rounded", "rund", "rundlich", "원형"),
    CalcMorphology.PUNCTATE: ("punctuate", "punctated", "punktförmig", "punktiert", "점상"),
    CalcMorphology.COARSE: (
        "coarse heterogeneous", "coarse heterogenous", "heterogeneous", "heterogenous", "coarse or popcorn like",
        "grob", "grob heterogen", "heterogen", "거친", "거친 불균질", "거친 비균질", "거친 이질성",
    ),
    CalcMorphology.AMORPHOUS: ("indistinct", "amorphus", "amorphic", "amorph", "무정형", "무정형성"),
    CalcMorphology.FINE_PLEOMORPHIC: (
        "pleomorphic", "pleiomorphic", "pleomorphous", "fine pleiomorphic", "pleomorph", "fein pleomorph",
        "다형성", "미세 다형성", "다형태성",
    ),
    CalcMorphology.FINE_LINEAR_BRANCHING: (
        "fine linear", "fine linear or branching", "fine linear or fine linear branching", "linear branching",
        "fine branching", "branching", "casting", "fein linear", "fein linear verzweigt", "linear verzweigt",
        "verzweigt", "미세 선상", "미세 선형", "미세 선상 분지형", "미세 선형 분지형", "선상 분지형", "분지형",
    ),
    TypicallyBenign.SKIN: ("dermal", "haut", "피부"),
    TypicallyBenign.VASCULAR: ("tram track", "vaskulär", "gefäß", "혈관", "혈관성"),
    TypicallyBenign.POPCORN: ("popcorn like", "popcornartig", "팝콘", "팝콘양"),
    TypicallyBenign.LARGE_RODLIKE: (
        "large rod like", "rod like", "rodlike", "large rod", "stäbchenförmig", "groß stäbchenförmig", "막대",
    ),
    TypicallyBenign.LUCENT_CENTER: (),
    TypicallyBenign.LUCENT_CENTERED: ("lucent centred",),
    TypicallyBenign.EGGSHELL: ("egg shell", "eierschale", "eierschalenartig", "달걀껍질"),
    TypicallyBenign.RIM: ("eggshell or rim", "rim or eggshell", "randförmig", "테두리"),
    TypicallyBenign.DYSTROPHIC: ("distrophic", "dystroph", "이영양성"),
    TypicallyBenign.MILK_OF_CALCIUM: ("kalkmilch",),
    TypicallyBenign.SUTURE: ("sutural", "nahtmaterial", "봉합사"),
}  # fmt: skip

_DISTRIBUTION: Mapping[StrEnum, tuple[str, ...]] = {
    CalcDistribution.DIFFUSE: (
        "diffusely", "diffusely scattered", "diffuse scattered", "scattered", "diffus", "미만성", "산재성",
    ),
    CalcDistribution.REGIONAL: ("regionally",),
    CalcDistribution.GROUPED: (
        "group", "groups", "clustered", "cluster", "clusters", "grouped or clustered", "clustered or grouped",
        "gruppiert", "gruppe", "군집", "군집성",
    ),
    CalcDistribution.LINEAR: ("linearly", "선상", "선형", "선상성"),
    CalcDistribution.SEGMENTAL: ("segmentally", "분절", "분절성"),
}  # fmt: skip
"""구역성 is left out: some write it for regional and some for segmental."""

_FILLERS = frozenset(
    """
    a an the in of multiple several predominantly mostly type pattern morphology appearance distribution distributed
    calcification calcifications microcalcification microcalcifications micro calc calcs microcalc microcalcs
    calcifcation calcifcations calicification calicifications
    ein eine einer typ muster morphologie verteilung verteilt verkalkung verkalkungen mikroverkalkung
    mikroverkalkungen mikrokalk kalk
    """.split()  # noqa: SIM905
)
"""Words beside a descriptor that change nothing."""

_KOREAN_FILLERS = re.compile(r"(?:미세\s*)?석회(?:화|침착)?|분포|형태|모양|양상|의(?!\w)")
_KOREAN_BLANKS = re.compile(r"(?<=[가-힣])\s+(?=[가-힣])")
"""Between Korean words, where some write blanks and others none."""

_JOINTS = (
    re.compile(r"[+/&,;:|.()\[\]{}\r\n·、・]"),
    re.compile(r"\b(?:and|with|or|to|plus|partly|und|mit|oder|bis|teils)\b|및|또는"),
    re.compile(r"[-–—]"),
)
"""Where a cell is taken apart, one after another as long as the parts are not known."""

_DENIED = re.compile(r"\b(?:no|not|non|nor|never|without|kein\w*|nicht|ohne)\b|없|아님|아닌|아니")

_LINEAR = CalcDistribution.LINEAR.value

_GERMAN_ENDINGS = ("", "e", "en", "er", "es")

_CACHED = 4096
"""Different cells that are remembered: tables repeat their words."""


@lru_cache(_CACHED)
def read_morphology(text: str) -> str:
    """Morphology of calcifications: the most suspicious of BI-RADS's words in the cell, else the cell in lower case.

    >>> read_morphology("punctate and amorphous calcifications"), read_morphology("see report")
    ('amorphous', 'see_report')
    """
    order = [word.value for words in (TypicallyBenign, CalcMorphology) for word in words]
    return _most_suspicious(text, _Known(_MORPHOLOGY_OF, _DISTRIBUTION_OF), order)


@lru_cache(_CACHED)
def read_distribution(text: str) -> str:
    """Distribution of calcifications: the most suspicious of BI-RADS's words in the cell, else it in lower case.

    >>> read_distribution("Grouped (clustered)"), read_distribution("linear distribution")
    ('grouped', 'linear')
    """
    return _most_suspicious(text, _Known(_DISTRIBUTION_OF, _MORPHOLOGY_OF), [word.value for word in CalcDistribution])


DESCRIPTORS = {"morphology": read_morphology, "distribution": read_distribution}
"""Columns of the contract that describe calcifications, with their readers."""


class _Known(NamedTuple):
    """Phrases of a column and of the other one that describes calcifications, with BI-RADS's word of each."""

    own: Mapping[str, str]
    other: Mapping[str, str]

    def word(self, text: str) -> str | None:
        bare = _bare(text)
        # "linear" belongs to both columns: without it "fine linear" would be no morphology, or a linear distribution.
        rest = " ".join(part for part in bare.split() if part not in self.other or self.other[part] == _LINEAR)
        return self.own.get(bare) or self.own.get(rest)


def _most_suspicious(text: str, known: _Known, order: list[str]) -> str:
    if is_empty(text):
        return ""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    found = [] if _DENIED.search(folded) else _found(folded, known, _JOINTS)
    return max(found, key=order.index) if found else plain(text).replace(" ", "_")


def _found(text: str, known: _Known, joints: tuple[re.Pattern[str], ...]) -> list[str]:
    """BI-RADS's words of a text: of the whole where it is known, else of those of its parts that are."""
    word = known.word(text)
    if word is not None or not joints:
        return [] if word is None else [word]
    return [word for part in joints[0].split(text) for word in _found(part, known, joints[1:])]


def _bare(text: str) -> str:
    """A phrase as it is compared: plain, without what stands beside a descriptor."""
    korean = _KOREAN_BLANKS.sub("", _KOREAN_FILLERS.sub(" ", plain(text)))
    return " ".join(word for word in korean.split() if word not in _FILLERS)


def _phrases(words: Mapping[StrEnum, tuple[str, ...]]) -> dict[str, str]:
    """BI-RADS's word of each phrase, with the endings that German adjectives take."""
    out = {}
    for word, phrases in words.items():
        for bare in map(_bare, (word.value, *phrases)):
            for ending in _GERMAN_ENDINGS:
                out[f"{bare}{ending}"] = word.value
                out[" ".join(f"{part}{ending}" for part in bare.split())] = word.value
    return out


_MORPHOLOGY_OF = _phrases(_MORPHOLOGY)
_DISTRIBUTION_OF = _phrases(_DISTRIBUTION)

PARTS_OF_WORDS = frozenset(
    phrase
    for known in (_MORPHOLOGY_OF, _DISTRIBUTION_OF)
    for phrase in known
    if any(phrase.replace(" ", "_") in word for word in known.values())
)
"""Phrases that a word of BI-RADS holds ("pleomorphic"): where they show in a cohort, they tell nothing of a person."""
