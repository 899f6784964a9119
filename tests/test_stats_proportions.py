import json
from decimal import Decimal

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from microcalc.errors import StatisticsError
from microcalc.stats import Counts, Measure, clopper_pearson, paper_limits, wald, wilson, youden
from stats_reference import CLOSE, FOLDER, MEASURES, data_a, expected

# Kang et al., Sci Rep 11:23925 (2021), Table 1: sensitivity, specificity, accuracy, PPV, NPV.
PUBLISHED = {
    "ResNet-101": "64.95 55.45 74.45 91.41 87.11 95.71 81.54 76.82 86.26 81.82 73.21 90.43 81.42 75.78 87.06",
    "Xception": "65.98 56.55 75.41 88.34 83.41 93.27 80.00 75.14 84.86 77.11 68.07 86.15 81.36 75.62 87.10",
    "Inception-v3": "77.32 68.99 85.65 77.91 71.54 84.28 77.69 72.63 82.75 67.57 58.86 76.28 85.23 79.53 90.93",
    "Inception-ResNet-v2": "75.26 66.67 83.85 80.98 74.96 87.00 78.85 73.89 83.81 70.19 61.40 78.98 84.62 78.96 90.28",
    "DenseNet-201": "82.47 74.90 90.04 69.33 62.25 76.41 74.23 68.91 79.55 61.54 53.18 69.90 86.92 81.12 92.72",
    "Ensemble": "72.16 63.24 81.08 86.50 81.25 91.75 81.15 76.40 85.90 76.09 67.37 84.81 83.93 78.38 89.48",
}


def published_counts():
    table = json.loads((FOLDER / "table1_counts.json").read_text())
    return {model: Counts(c["TP"], c["FN"], c["TN"], c["FP"]) for model, c in table.items()}


@pytest.mark.parametrize("model", PUBLISHED)
def test_paper_limits_are_those_of_table_1(model):
    printed = [paper_limits(*published_counts()[model].fraction(measure)) for measure in Measure]
    ours = [str(value) for p in printed for value in (p.estimate, p.low, p.high)]
    assert ours == PUBLISHED[model].split()


def test_rounding_once_does_not_give_table_1():
    wrong = 0
    for model, counts in published_counts().items():
        plain = [wald(*counts.fraction(measure)) for measure in Measure]
        once = [f"{100 * value:.2f}" for p in plain for value in (p.estimate, p.low, p.high)]
        wrong += sum(a != b for a, b in zip(once, PUBLISHED[model].split(), strict=True))
    assert wrong > 0


def test_wald_agrees_with_r():
    for j, model in enumerate(data_a().models):
        counts = youden(data_a().y_true, data_a().scores[:, j]).counts
        for short, name in MEASURES.items():
            reference, ours = expected()["operating_point"][model][short], wald(*counts.fraction(Measure(name)))
            assert (ours.successes, ours.n) == (reference["k"], reference["n"])
            theirs = [reference["est"], reference["lo"], reference["hi"]]
            np.testing.assert_allclose([ours.estimate, ours.low, ours.high], theirs, **CLOSE)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_wilson_and_clopper_pearson_agree_with_statsmodels(n):
    for k in range(n + 1):
        for ours, method in ((wilson(k, n), "wilson"), (clopper_pearson(k, n), "beta")):
            theirs = proportion_confint(k, n, method=method)
            np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=1e-9, atol=1e-12)


def test_clopper_pearson_turns_the_binomial_tails():
    value = clopper_pearson(7, 20, confidence=0.9)
    assert stats.binom.sf(6, 20, value.low) == pytest.approx(0.05)
    assert stats.binom.cdf(7, 20, value.high) == pytest.approx(0.05)


def test_wilson_solves_the_score_equation():
    value = wilson(7, 20)
    for limit in (value.low, value.high):
        assert (0.35 - limit) ** 2 == pytest.approx(1.959963984540054**2 * limit * (1 - limit) / 20)


@pytest.mark.parametrize("k", [0, 5])
def test_wald_has_no_limits_at_the_ends(k):
    value = wald(k, 5)
    assert value.estimate == k / 5
    assert np.isnan([value.low, value.high]).all()
    assert value.reason == "at 0 % and 100 % limits from the estimated variance have no width; see Wilson's"
    assert paper_limits(k, 5).low is None


def test_an_empty_denominator_is_undefined_not_zero():
    for value in (wald(0, 0), wilson(0, 0), clopper_pearson(0, 0)):
        assert np.isnan(value.estimate)
        assert value.reason == "the denominator is 0"
    assert paper_limits(0, 0).estimate is None


def test_half_a_step_is_rounded_up():
    assert paper_limits(1, 32).estimate == Decimal("3.13")  # 3.125
    assert paper_limits(1, 160).estimate == Decimal("0.63")  # 0.625


def test_limits_stay_between_0_and_1():
    assert wald(1, 3).low == 0.0
    assert wald(2, 3).high == 1.0
    assert (paper_limits(1, 3).low, paper_limits(2, 3).high) == (Decimal("0.00"), Decimal("100.00"))


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(StatisticsError, match=f"a proportion needs 0 <= successes <= n; {k} of {n} came"):
        wilson(k, n)


def test_an_impossible_confidence_is_refused():
    with pytest.raises(StatisticsError, match=r"must lie between 0 and 1, such as 0\.95; 95 came"):
        wilson(1, 2, confidence=95)
