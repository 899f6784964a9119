"""Numbers as they are printed: a printed cut-off calls the same images malignant as the cut-off itself."""

import numpy as np
import pytest

from microcalc.report.words import counted, cutoff_text, facts_text, interval_text, next_above
from microcalc.stats import confusion
from microcalc.stats.summary import SetFacts
from stats_reference import data_a


def printed(text: str) -> float:
    return float(text.removeprefix("> ").replace("−", "-"))


@pytest.mark.parametrize("decimals", [1, 2, 3, 4, 6, 17])
@pytest.mark.parametrize(("centre", "spread"), [(0.5, 0.5), (0.5, 1e-6), (0.0, 3.0), (1e-4, 1e-5), (7e4, 500.0)])
def test_the_printed_cut_off_parts_the_same_scores(decimals, centre, spread):
    random = np.random.default_rng(decimals)
    score = np.round(centre + spread * random.uniform(-1, 1, 300), decimals)
    for cutoff in np.unique(score):
        text = cutoff_text(cutoff, above=next_above(cutoff, score))
        np.testing.assert_array_equal(score > printed(text), score > cutoff, text)


def test_printed_cut_offs_of_the_reference_data_give_its_counts():
    data = data_a()
    for score in data.scores.T:
        for cutoff in np.unique(score):
            text = cutoff_text(cutoff, above=next_above(cutoff, score))
            assert confusion(data.y_true, score, printed(text)) == confusion(data.y_true, score, cutoff)


@pytest.mark.parametrize(
    ("cutoff", "above", "text"),
    [
        (0.020563, 0.0211, "> 0.021"),
        (0.020563, 0.020571, "> 0.02057"),
        (0.05612345, 0.9, "> 0.057"),
        (0.5, 0.7, "> 0.50"),
        (0.25, np.inf, "> 0.25"),
        (0.50000012, 0.50000031, "> 0.5000002"),
        (0.001234, 0.01, "> 0.0013"),
        (1.234e-7, 0.01, "> 1.3e-7"),
        (0.9996, 3.0, "> 1.000"),
        (3.0, 4.1, "> 3"),
        (4.1, 4.2, "> 4.1"),
        (0.0, 1.0, "> 0"),
        (75800.0, 75900.0, "> 75800"),
        (75800.4, 75900.2, "> 75801"),
        (75800.4, 75800.6, "> 75800.4"),
        (-1.2345, -1.0, "> −1.23"),
        (-np.inf, 0.1, "all"),
        (np.inf, np.inf, "none"),
        (np.nan, np.inf, "n/a"),
    ],
)
def test_a_cut_off_has_the_digits_that_it_needs(cutoff, above, text):
    assert cutoff_text(cutoff, above=above) == text


def test_without_the_scores_a_cut_off_has_six_digits_and_is_not_below_itself():
    assert cutoff_text(0.020563) == "> 0.020563"
    assert cutoff_text(0.020563123456) == "> 0.0205632"
    assert cutoff_text(0.5) == "> 0.50"
    assert cutoff_text(3.0) == "> 3"


def test_the_next_score_above_a_cut_off():
    score = np.array([0.3, 0.1, 0.2, 0.2])
    assert next_above(0.1, score) == 0.2
    assert next_above(-np.inf, score) == 0.1
    assert next_above(0.3, score) == np.inf
    assert next_above(0.1, None) is None


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ((-0.0003, 0.0862), "0.041 (−0.0003 to 0.086)"),
        ((-0.0006, 0.0862), "0.041 (−0.001 to 0.086)"),
        ((-0.9, -0.00042), "0.041 (−0.900 to −0.0004)"),
        ((-1e-17, 0.0862), "0.041 (0.000–0.086)"),
        ((0.0003, 0.0862), "0.041 (0.000–0.086)"),
        ((-0.086, 0.1), "0.041 (−0.086 to 0.100)"),
    ],
)
def test_a_limit_below_zero_shows_that_it_is(limits, text):
    assert interval_text(0.0414, *limits, 3) == text


def test_one_patient_is_not_patients():
    assert facts_text(SetFacts(3, 1, 1, 2)) == "3 images of 1 patient, 1 malignant and 2 benign"
    assert counted(1, "lesion") == "1 lesion"
    assert counted(0, "lesion") == "0 lesions"
