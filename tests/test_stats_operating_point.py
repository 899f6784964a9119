import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microcalc.errors import StatisticsError
from microcalc.stats import Counts, Measure, confusion, youden
from stats_reference import FOLDER, data_a, expected

Y = [0, 0, 1, 1]
SCORE = [0.1, 0.6, 0.4, 0.8]


def test_counts_and_cutoffs_agree_with_r():
    table = pd.read_csv(FOLDER / "expectedA_models.csv")
    for j, row in table.iterrows():
        found = youden(data_a().y_true, data_a().scores[:, j])
        assert found.cutoff == row["cut_gt"]
        assert found.counts == Counts(row["TP"], row["FN"], row["TN"], row["FP"])
        assert found.index == pytest.approx(row["J"], rel=1e-9)


def test_every_maximiser_agrees_with_r():
    for j, model in enumerate(data_a().models):
        reference = expected()["per_model"][model]["youden"]
        found = youden(data_a().y_true, data_a().scores[:, j])
        assert [float(c) for c in reference["cut_gt"]] == list(found.maximisers)
        assert reference["tp"] == [c.tp for c in found.maximiser_counts]


def test_ties_of_the_index_give_every_cutoff_and_the_smallest_is_used():
    found = youden(Y, SCORE)
    assert found.maximisers == (0.1, 0.6)
    assert found.cutoff == 0.1
    assert found.counts == Counts(tp=2, fn=0, tn=1, fp=1)
    assert found.maximiser_counts[1] == Counts(tp=1, fn=1, tn=2, fp=0)
    assert found.numerator == 2


def test_the_rule_is_strictly_above():
    assert confusion(Y, SCORE, 0.4) == Counts(tp=1, fn=1, tn=1, fp=1)
    assert confusion(Y, SCORE, np.nextafter(0.4, 0)) == Counts(tp=2, fn=0, tn=1, fp=1)
    assert confusion(Y, SCORE, -np.inf) == Counts(tp=2, fn=0, tn=0, fp=2)
    assert confusion(Y, SCORE, np.inf) == Counts(tp=0, fn=2, tn=2, fp=0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=25))
def test_no_cutoff_does_better(rows):
    y, score = np.array([int(r[0]) for r in rows]), np.array([r[1] for r in rows], dtype=float)
    m, n = int(y.sum()), int((1 - y).sum())
    found = youden(y, score)
    if min(m, n) == 0:
        assert np.isnan(found.cutoff)
        return
    candidates = [-np.inf, *sorted(set(score))]
    values = [int((score[y == 1] > c).sum()) * n - int((score[y == 0] > c).sum()) * m for c in candidates]
    best = [c for c, v in zip(candidates, values, strict=True) if v == max(values)]
    assert list(found.maximisers) == best
    assert found.counts == confusion(y, score, best[0])


def test_a_score_worse_than_chance_calls_everything_malignant():
    assert youden(Y, [-s for s in Y]).cutoff == -np.inf
    assert youden(Y, [-s for s in Y]).index == 0


def test_a_constant_score_calls_everything_malignant_and_leaves_npv_undefined():
    found = youden(Y, [1, 1, 1, 1])
    assert found.maximisers == (-np.inf, 1.0)
    assert np.isnan(found.counts.npv)
    assert found.counts.ppv == 0.5


def test_a_perfect_score_has_its_cutoff_between_the_classes():
    found = youden(Y, [1, 2, 3, 4])
    assert (found.cutoff, found.index) == (2.0, 1.0)


def test_one_class_only_has_no_cutoff():
    found = youden([1, 1], [1, 2])
    assert np.isnan(found.cutoff)
    assert found.reason == "a Youden cut-off needs both classes; 2 malignant and 0 benign images came"


def test_fractions_of_the_counts():
    counts = Counts(tp=3, fn=1, tn=4, fp=2)
    values = [counts.sensitivity, counts.specificity, counts.accuracy, counts.ppv, counts.npv]
    assert values == [3 / 4, 4 / 6, 7 / 10, 3 / 5, 4 / 5]
    assert counts.fraction(Measure.ACCURACY) == (7, 10)


def test_a_cutoff_that_is_no_number_is_refused():
    with pytest.raises(StatisticsError, match="a cut-off must be a number; NaN came"):
        confusion(Y, SCORE, float("nan"))


def test_ties_are_ties_where_floating_point_would_split_them():
    y = np.r_[np.ones(10), np.zeros(5)]  # J: 7/10 - 2/5 and 3/10 - 0/5, equal only in whole numbers
    score = np.r_[np.full(3, 3.0), np.full(4, 2.0), np.zeros(3), np.full(2, 2.0), np.zeros(3)]
    assert 7 / 10 - 2 / 5 != 3 / 10
    assert youden(y, score).maximisers == (0.0, 2.0)
