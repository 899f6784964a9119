import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microcalc.errors import StatisticsError
from microcalc.stats import auc_overall, auc_pairs, clustered_delong, delong
from microcalc.stats.noninferiority import non_inferiority
from stats_reference import CLOSE, FOLDER, data_a, expected, made_up

Y = np.array([0, 0, 0, 1, 1, 1, 0, 1])
SCORE = np.array([0.1, 0.2, 0.3, 0.2, 0.9, 0.8, 0.4, 0.5])


def pair_count(y, score):
    x, z = score[y == 1], score[y == 0]
    return np.mean((x[:, None] > z[None, :]) + 0.5 * (x[:, None] == z[None, :]))


def brute_force_covariance(y, scores):
    """DeLong's S10 / m + S01 / n from the whole kernel, as the paper writes it."""
    kernels = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores.T]
    v10, v01 = np.array([k.mean(axis=1) for k in kernels]), np.array([k.mean(axis=0) for k in kernels])
    return np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]


def test_areas_errors_and_limits_agree_with_proc():
    result = delong(data_a().y_true, data_a().scores)
    table = pd.read_csv(FOLDER / "expectedA_models.csv")
    np.testing.assert_allclose(result.auc, table["auc"], **CLOSE)
    np.testing.assert_allclose(result.standard_error, table["se"], **CLOSE)
    np.testing.assert_allclose(result.low, table["lo"], **CLOSE)
    np.testing.assert_allclose(result.high, table["hi"], **CLOSE)


def test_covariance_agrees_with_proc():
    result = delong(data_a().y_true, data_a().scores)
    reference = expected()["delong"]["cov"]
    np.testing.assert_allclose(result.covariance, np.array(reference, dtype=float), **CLOSE)


def test_every_pair_agrees_with_roc_test():
    pairs = auc_pairs(delong(data_a().y_true, data_a().scores), data_a().models)
    table = pd.read_csv(FOLDER / "expectedA_delong_pairs.csv")
    assert [(p.a, p.b) for p in pairs] == list(zip(table["a"], table["b"], strict=True))
    for ours, theirs in {"difference": "diff", "z": "z", "p": "p", "low": "lo", "high": "hi"}.items():
        np.testing.assert_allclose([getattr(p, ours) for p in pairs], table[theirs], **CLOSE)


def test_overall_test_agrees_with_r():
    overall = auc_overall(delong(data_a().y_true, data_a().scores), data_a().models)
    reference = expected()["delong"]["overall_regular"]
    np.testing.assert_allclose([overall.chi2, overall.df, overall.p], list(reference.values()), **CLOSE)


@pytest.mark.parametrize("seed", range(8))
def test_area_is_the_share_of_pairs_in_the_right_order(seed):
    table = made_up(seed)
    result = delong(table.y_true, table.scores)
    np.testing.assert_allclose(result.auc, [pair_count(table.y_true, s) for s in table.scores.T], rtol=1e-14)


@pytest.mark.parametrize("seed", range(8))
def test_covariance_is_that_of_the_whole_kernel(seed):
    table = made_up(seed, models=3)
    result = delong(table.y_true, table.scores)
    np.testing.assert_allclose(result.covariance, brute_force_covariance(table.y_true, table.scores), **CLOSE)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=4, max_size=30))
def test_turning_the_score_round_turns_the_area_round(rows):
    y, score = np.array([int(r[0]) for r in rows]), np.array([r[1] for r in rows], dtype=float)
    both = delong(y, np.column_stack([score, -score]))
    if 0 < y.sum() < y.size:
        assert both.auc.sum() == pytest.approx(1, abs=1e-14)
        assert both.auc[0] == pytest.approx(pair_count(y, score), abs=1e-14)
    else:
        assert np.isnan(both.auc).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_rising_function_of_the_score_changes_nothing(seed):
    table = made_up(seed, images=30)
    plain, bent = delong(table.y_true, table.scores), delong(table.y_true, np.exp(table.scores))
    np.testing.assert_array_equal(plain.covariance, bent.covariance)


def test_one_image_per_patient_gives_delong():
    table = made_up(1)
    plain = delong(table.y_true, table.scores)
    clustered = clustered_delong(table.y_true, table.scores, np.arange(table.y_true.size))
    np.testing.assert_allclose(clustered.covariance, plain.covariance, **CLOSE)
    np.testing.assert_allclose(clustered.difference_variance, plain.difference_variance, **CLOSE)


def obuchowski_by_hand(y, scores, clusters):
    """Obuchowski 1997 with loops over clusters, term by term."""
    kernels = [(s[y == 1][:, None] > s[y == 0]) + 0.5 * (s[y == 1][:, None] == s[y == 0]) for s in scores.T]
    theta = np.array([k.mean() for k in kernels])
    v10, v01 = np.array([k.mean(axis=1) for k in kernels]), np.array([k.mean(axis=0) for k in kernels])
    names, c1, c0 = np.unique(clusters), clusters[y == 1], clusters[y == 0]
    m, n, i, i10, i01 = (y == 1).sum(), (y == 0).sum(), len(names), len(set(c1)), len(set(c0))
    k = scores.shape[1]
    s10, s01, s11 = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    for name in names:
        a = (v10[:, c1 == name] - theta[:, None]).sum(axis=1)
        b = (v01[:, c0 == name] - theta[:, None]).sum(axis=1)
        s10 += np.outer(a, a) * i10 / ((i10 - 1) * m)
        s01 += np.outer(b, b) * i01 / ((i01 - 1) * n)
        s11 += np.outer(a, b) * i / (i - 1)
    return s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@pytest.mark.parametrize("seed", range(6))
def test_clustered_covariance_is_obuchowskis(seed):
    table = made_up(seed, models=3)
    result = clustered_delong(table.y_true, table.scores, table.patients)
    by_hand = obuchowski_by_hand(table.y_true, table.scores, table.patients)
    np.testing.assert_allclose(result.covariance, by_hand, **CLOSE)
    spread = np.diag(by_hand)[:, None] + np.diag(by_hand) - 2 * by_hand
    np.testing.assert_allclose(result.difference_variance, spread, rtol=1e-8, atol=1e-12)


def test_copying_every_image_within_its_patient_adds_no_certainty():
    table = made_up(3)
    twice = [np.concatenate([a, a]) for a in (table.y_true, table.scores[:, 0], table.patients)]
    once = clustered_delong(table.y_true, table.scores[:, 0], table.patients)
    copied = clustered_delong(*twice)
    np.testing.assert_allclose(copied.standard_error, once.standard_error, rtol=1e-12)
    assert delong(*twice[:2]).standard_error[0] < 0.75 * delong(table.y_true, table.scores[:, 0]).standard_error[0]


def test_order_of_the_images_does_not_matter():
    table = made_up(4)
    order = np.random.default_rng(0).permutation(table.y_true.size)
    here = clustered_delong(table.y_true, table.scores, table.patients)
    there = clustered_delong(table.y_true[order], table.scores[order], table.patients[order])
    np.testing.assert_allclose(there.covariance, here.covariance, **CLOSE)


def test_a_constant_score_has_area_one_half_and_no_interval():
    result = delong(Y, np.ones(8))
    assert result.auc[0] == 0.5
    assert np.isnan([result.standard_error[0], result.low[0], result.high[0], result.low_logit[0]]).all()
    assert result.reasons[0] == "the score does not vary, so the estimated variance is 0 and gives no interval"


@pytest.mark.parametrize(("score", "area"), [(Y, 1.0), (-Y, 0.0)])
def test_a_perfect_score_has_no_interval_and_is_never_turned_round(score, area):
    result = delong(Y, score)
    assert result.auc[0] == area
    assert np.isnan(result.low[0])
    assert result.reasons[0].startswith("the scores separate the classes perfectly")


def test_one_class_only_is_answered_with_a_reason():
    for result in (delong(np.zeros(3), [1, 2, 3]), clustered_delong(np.zeros(3), [1, 2, 3], list("aab"))):
        assert np.isnan(result.auc[0])
        assert result.reasons == ("an AUC needs both classes; 0 malignant and 3 benign images came",)


def test_one_malignant_image_has_an_area_but_no_error():
    result = delong([0, 0, 1], [0.1, 0.5, 0.4])
    assert result.auc[0] == 0.5
    assert result.reasons[0] == "DeLong's variance needs two images of each class; 1 malignant and 2 benign came"


def test_all_malignant_images_of_one_patient_leave_no_clustered_error():
    result = clustered_delong(Y, SCORE, [0, 1, 2, 3, 3, 3, 4, 3])
    assert "needs two patients with malignant and two with benign images; 1 and 4 came" in result.reasons[0]


def test_identical_ranks_differ_by_nothing():
    (pair,) = auc_pairs(delong(Y, np.column_stack([SCORE, SCORE**3])), ["a", "b"])
    assert (pair.difference, pair.z, pair.p) == (0, 0, 1)
    assert pair.reason == "both order every malignant-benign pair identically"


def test_constant_against_perfect_has_no_test():
    (pair,) = auc_pairs(delong(Y, np.column_stack([np.ones(8), Y])))
    assert pair.difference == -0.5
    assert np.isnan(pair.p)
    assert pair.reason == "model 2: an area of 1 has no variance that could be estimated"


def test_a_perfect_score_is_compared_with_nobody():
    result = delong(Y, np.column_stack([SCORE, Y]))
    (pair,), (row,) = auc_pairs(result), non_inferiority(result, ["m", "r"], readers=["r"], margin=0.05)
    assert pair.difference == row.difference < 0
    assert np.isnan([pair.low, pair.z, pair.p, row.low, row.z, row.p]).all()
    assert (row.non_inferior, row.superior) == (None, None)
    assert row.reason == "r: an area of 1 has no variance that could be estimated"


def test_overall_test_names_models_of_identical_ranks():
    result = auc_overall(delong(Y, np.column_stack([SCORE, SCORE * 2, -SCORE])), ["a", "b", "c"])
    assert np.isnan(result.p)
    assert result.reason == "no overall test: a and b order every malignant-benign pair identically"


def test_overall_test_names_a_constant_model():
    result = auc_overall(delong(Y, np.column_stack([SCORE, np.ones(8)])), ["a", "flat"])
    assert result.reason.startswith("no overall test with flat (the score does not vary")


def test_overall_test_names_dependent_contrasts():
    scores = np.random.default_rng(0).normal(size=(12, 12))
    result = auc_overall(delong([0, 1] * 6, scores), list("abcdefghijkl"))
    assert np.isnan(result.chi2)
    assert result.reason.startswith("the contrasts of a, b, c")
    assert result.reason.endswith("depend on each other; the overall test is refused")


def test_overall_test_of_two_models_is_the_pair():
    table = made_up(5)
    result = clustered_delong(table.y_true, table.scores, table.patients)
    (pair,), overall = auc_pairs(result), auc_overall(result)
    assert overall.chi2 == pytest.approx(pair.z**2)
    assert overall.p == pytest.approx(pair.p)


def test_among_leaves_the_ensemble_out():
    result = delong(data_a().y_true, data_a().scores)
    networks = data_a().models[:5]
    assert auc_overall(result, data_a().models, among=networks).chi2 == pytest.approx(
        auc_overall(delong(data_a().y_true, data_a().scores[:, :5])).chi2
    )


def test_logit_limits_stay_inside_and_bracket_the_area():
    result = delong([0] * 20 + [1] * 20, np.r_[np.arange(20), np.arange(19, 39)])
    assert result.high[0] == 1.0
    assert result.low_logit[0] < result.auc[0] < result.high_logit[0] < 1.0


@pytest.mark.parametrize(
    ("y", "score", "text"),
    [
        ([0, 2], [1, 2], "labels must be 0 (benign) or 1 (malignant); found"),
        ([0, np.nan], [1, 2], "labels must be 0 (benign) or 1 (malignant); found"),
        ([0, 1], [1, np.nan], "found nan at position 1 of column 0"),
        ([0, 1], [np.inf, 1], "found inf at position 0 of column 0"),
        ([0, 1], [1, 2, 3], "one row for each of the 2 labels; the shape (3, 1) came"),
        ([], [], "one label per image"),
        ([0, 1], ["x", "y"], "scores must be numbers"),
    ],
)
def test_unusable_input_is_refused(y, score, text):
    with pytest.raises(StatisticsError) as caught:
        delong(y, score)
    assert text in str(caught.value)


def test_many_scores_agree_with_the_normal_model():
    rng = np.random.default_rng(0)
    y = rng.random(200_000) < 0.4
    result = delong(y, rng.normal(size=200_000) + y)
    assert result.auc[0] == pytest.approx(0.7602, abs=0.004)  # Phi(1 / sqrt(2))
