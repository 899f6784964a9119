"""Morphology and distribution as people write them, in BI-RADS's words; what is none is kept as text, never guessed."""

import pytest

from microcalc.cohort.rows import CALC_WORDS
from microcalc.intake.descriptors import read_distribution, read_morphology


def test_of_several_morphologies_the_most_suspicious_is_kept():
    assert read_morphology("PUNCTATE-PLEOMORPHIC") == "fine_pleomorphic"
    assert read_morphology("PLEOMORPHIC-FINE_LINEAR_BRANCHING") == "fine_linear_branching"
    assert read_morphology("Round and regular") == "round"
    assert read_morphology("ROUND_AND_REGULAR-PUNCTATE") == "punctate"
    assert read_morphology("LUCENT_CENTERED-ROUND_AND_REGULAR") == "round"
    assert read_morphology("VASCULAR") == "vascular"
    assert read_morphology("Large rod-like") == "large_rodlike"
    assert read_morphology("VASCULAR/AMORPHOUS") == "amorphous"
    assert read_morphology("amorphous (seen by Dr Round, 2019)") == "amorphous"
    assert read_morphology("N/A") == ""


def test_of_several_distributions_the_most_suspicious_is_kept():
    assert read_distribution("CLUSTERED-LINEAR") == "linear"
    assert read_distribution("DIFFUSELY_SCATTERED") == "diffuse"
    assert read_distribution("Grouped") == "grouped"
    assert read_distribution("") == ""


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("punctate and amorphous", "amorphous"), ("amorphous calcifications", "amorphous"),
        ("round and punctate", "punctate"), ("punctuate", "punctate"), ("coarse heterogenous", "coarse"),
        ("Coarse-heterogeneous with amorphous microcalcifications", "amorphous"), ("Pleomorphic", "fine_pleomorphic"),
        ("fine pleomorphic and fine linear", "fine_linear_branching"), ("pleomorphic (fine)", "fine_pleomorphic"),
        ("fine linear/branching calcs", "fine_linear_branching"), ("popcorn-like calcification", "popcorn"),
        ("Milk of calcium", "milk_of_calcium"), ("egg-shell", "eggshell"), ("COARSE", "coarse"),
        ("무정형", "amorphous"), ("무정형 석회화", "amorphous"), ("미세 다형성 및 점상 미세석회화", "fine_pleomorphic"),
        ("거친 불균질", "coarse"), ("원형", "round"),
        ("amorphe Verkalkungen", "amorphous"), ("grob heterogen", "coarse"),
        ("clustered pleomorphic calcifications", "fine_pleomorphic"),
        ("segmental fine linear", "fine_linear_branching"),
        ("fein pleomorpher Mikrokalk", "fine_pleomorphic"),
        ("rund und punktförmig", "punctate"), ("fein linear verzweigt", "fine_linear_branching"),
    ],
)  # fmt: skip
def test_the_usual_words_of_morphology(text: str, word: str):
    assert read_morphology(text) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("grouped calcifications", "grouped"), ("linear distribution", "linear"), ("Grouped (clustered)", "grouped"),
        ("segmental distribution", "segmental"), ("in a linear distribution", "linear"), ("clusters", "grouped"),
        ("cluster of microcalcifications", "grouped"), ("segmentally distributed", "segmental"),
        ("scattered, partly regional", "regional"), ("clustered pleomorphic", "grouped"),
        ("군집", "grouped"), ("군집성 분포", "grouped"), ("선상 분포", "linear"),
        ("gruppierte Mikroverkalkungen", "grouped"), ("segmentale Verteilung", "segmental"), ("diffus", "diffuse"),
    ],
)  # fmt: skip
def test_the_usual_words_of_distribution(text: str, word: str):
    assert read_distribution(text) == word


@pytest.mark.parametrize(
    "text",
    [
        "spicules near clip", "not amorphous and round", "no calcifications", "keine amorphe und runde", "무정형 아님",
        "calcifications", "see Mrs Pleomorphic", "석회화", "fine granular",
    ],
)  # fmt: skip
def test_what_is_no_word_of_bi_rads_or_denies_one_is_not_guessed(text: str):
    for column, read in (("morphology", read_morphology), ("distribution", read_distribution)):
        assert read(text) not in CALC_WORDS[column]
        assert read(text)


def test_a_fine_linear_morphology_is_no_linear_distribution():
    assert read_distribution("fine linear") == "fine_linear"
    assert read_morphology("linear") == "linear"
    assert read_morphology("grouped") == "grouped"


def test_a_text_that_was_read_once_is_read_alike_again():
    for text in ("granular (bx of 2019)", "amorphous calcifications", "no round", ""):
        assert read_morphology(read_morphology(text)) == read_morphology(text)
