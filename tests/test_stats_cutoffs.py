import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microcalc.errors import StatisticsError
from microcalc.stats import Counts, confusion, resampling, youden
from microcalc.stats.consequences import consequences, predictive_values
from microcalc.stats.cutoffs import CutoffRule, RuleKind, choose_cutoff
from stats_reference import data_a, made_up

Y, SCORE = [0, 0, 1, 1], [0.1, 0.6, 0.4, 0.8]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_a_wanted_sensitivity_is_reached_at_the_least_cost(seed, target):
    table = made_up(seed, images=40)
    y, score = table.y_true, table.scores[:, 0]
    choice = choose_cutoff(y, score, CutoffRule(RuleKind.SENSITIVITY, target))
    reaching = [c for c in [-np.inf, *score] if confusion(y, score, c).sensitivity >= target]
    assert choice.cutoff == max(reaching)
    assert choice.counts == confusion(y, score, choice.cutoff)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_a_wanted_specificity_is_reached_at_the_least_cost(seed, target):
    table = made_up(seed, images=40)
    y, score = table.y_true, table.scores[:, 0]
    choice = choose_cutoff(y, score, CutoffRule(RuleKind.SPECIFICITY, target))
    assert choice.cutoff == min(c for c in [-np.inf, *score] if confusion(y, score, c).specificity >= target)


def test_a_share_of_whole_images_is_reached_exactly():
    y, score = [1] * 20 + [0], [*range(20), -1]
    choice = choose_cutoff(
        y, score, CutoffRule(RuleKind.SENSITIVITY, 0.95)
    )  # 19 of 20, though 0.95 * 20 > 19 in floats
    assert choice.counts.tp == 19


def test_a_given_cutoff_is_taken_as_it_is():
    choice = choose_cutoff(Y, SCORE, CutoffRule(RuleKind.GIVEN, 0.5))
    assert (choice.cutoff, choice.counts) == (0.5, Counts(tp=1, fn=1, tn=1, fp=1))


def test_youden_is_the_default():
    choice = choose_cutoff(Y, SCORE)
    assert choice.maximisers == youden(Y, SCORE).maximisers
    assert str(choice.rule) == "youden"
    assert choice.index == pytest.approx(0.5)


def test_rules_say_their_target():
    assert str(CutoffRule(RuleKind.SENSITIVITY, 0.95)) == "sensitivity>=0.95"


def test_a_class_that_is_not_there_cannot_choose():
    choice = choose_cutoff([0, 0], [1, 2], CutoffRule(RuleKind.SENSITIVITY, 0.9))
    assert np.isnan(choice.cutoff)
    assert choice.reason == "a wanted sensitivity needs malignant images to choose on; none came"


def test_an_impossible_target_is_refused():
    with pytest.raises(StatisticsError, match=r"a wanted specificity must lie in \(0, 1\], such as 0\.95; 95 came"):
        CutoffRule(RuleKind.SPECIFICITY, 95)


def test_predictive_values_follow_bayes():
    ppv, npv = predictive_values(Counts(tp=90, fn=10, tn=80, fp=20), 0.02)
    assert ppv.estimate == pytest.approx(0.9 * 0.02 / (0.9 * 0.02 + 0.2 * 0.98))
    assert npv.estimate == pytest.approx(0.8 * 0.98 / (0.8 * 0.98 + 0.1 * 0.02))


def test_at_the_tables_own_prevalence_they_are_the_tables_own():
    counts = Counts(tp=30, fn=10, tn=50, fp=10)
    ppv, npv = predictive_values(counts, 40 / 100)
    assert (ppv.estimate, npv.estimate) == pytest.approx((counts.ppv, counts.npv))


def test_logit_limits_are_mercaldos():
    # Mercaldo 2007, formulas 4 and 5, worked by hand for 90/100 and 80/100 at prevalence 0.1.
    ppv, _ = predictive_values(Counts(tp=90, fn=10, tn=80, fp=20), 0.1)
    centre = np.log(0.9 * 0.1 / (0.2 * 0.9))
    half = 1.959963984540054 * np.sqrt(0.1 / 0.9 / 100 + 0.8 / 0.2 / 100)
    assert [ppv.low, ppv.high] == pytest.approx(1 / (1 + np.exp(-(centre + np.array([-half, half])))))


def test_logit_limits_cover_their_value():
    rng, covered = np.random.default_rng(0), 0
    truth = 0.8 * 0.2 / (0.8 * 0.2 + 0.3 * 0.8)
    for _ in range(400):
        tp, tn = rng.binomial(80, 0.8), rng.binomial(120, 0.7)
        ppv, _ = predictive_values(Counts(tp, 80 - tp, tn, 120 - tn), 0.2)
        covered += ppv.low <= truth <= ppv.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_sensitivity_of_one_leaves_the_limits_undefined():
    ppv, npv = predictive_values(Counts(tp=5, fn=0, tn=4, fp=2), 0.3)
    assert npv.estimate == 1
    assert np.isnan(ppv.low)
    assert ppv.reason.startswith("a sensitivity or specificity of 0 or 1")


def test_consequences_count_biopsies_avoided_and_cancers_missed():
    a = data_a()
    plan = resampling(a.y_true, clusters=a.patients, replicates=300)
    result = consequences(a.y_true, a.scores[:, 0], 0.161887, plan=plan, prevalences=(0.2,))
    assert (result.avoided.successes, result.avoided.n) == (130, 163)
    assert (result.missed.successes, result.missed.n) == (24, 97)
    assert result.avoided_patient[0] < result.avoided.estimate < result.avoided_patient[1]
    ppv = result.predictive[0]
    assert ppv.low_patient < ppv.estimate < ppv.high_patient


def test_nothing_missed_has_no_bootstrap_limits():
    plan = resampling(Y, clusters=list("abcd"), replicates=50)
    assert np.isnan(consequences(Y, SCORE, -np.inf, plan=plan).missed_patient).all()


def test_a_prevalence_in_percent_is_refused():
    with pytest.raises(StatisticsError, match=r"a prevalence must lie between 0 and 1, such as 0\.02; 2 came"):
        predictive_values(Counts(1, 1, 1, 1), 2)
