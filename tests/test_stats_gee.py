import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.stats.contingency_tables import mcnemar

from microcalc.errors import StatisticsError
from microcalc.stats import Measure, gee, youden
from stats_reference import CLOSE, FOLDER, MEASURES, data_a, expected, made_up

STATISTICS = ["wald_logit", "p_wald_logit", "score", "p_score", "wald_identity", "p_wald_identity"]


def calls(table):
    cutoffs = [youden(table.y_true, s).cutoff for s in table.scores.T]
    return table.scores > np.array(cutoffs)


@pytest.mark.parametrize("cluster", ["image", "patient"])
@pytest.mark.parametrize("short", MEASURES)
def test_every_statistic_agrees_with_geepack(short, cluster):
    table = pd.read_csv(FOLDER / "expectedA_gee.csv")
    reference = table[(table["measure"] == short) & (table["cluster"] == cluster)]
    patients = data_a().patients if cluster == "patient" else None
    result = gee(data_a().y_true, calls(data_a()), measure=MEASURES[short], clusters=patients, names=data_a().models)
    tests = [result.overall, *result.pairs]
    assert [t.a for t in tests] == list(reference["a"])
    assert [t.b for t in tests] == list(reference["b"].fillna(""))
    np.testing.assert_allclose([[getattr(t, s) for s in STATISTICS] for t in tests], reference[STATISTICS], **CLOSE)


def test_robust_errors_agree_with_geepack():
    for entry in expected()["gee"]:
        patients = data_a().patients if entry["cluster"] == "patient" else None
        result = gee(data_a().y_true, calls(data_a()), measure=MEASURES[entry["measure"]], clusters=patients)
        estimates = entry["estimates"].values()
        np.testing.assert_allclose(result.estimate, [e["est"] for e in estimates], **CLOSE)
        np.testing.assert_allclose(result.standard_error, [e["se_prob_robust"] for e in estimates], **CLOSE)


@pytest.mark.parametrize("measure", ["accuracy", "ppv", "npv"])
def test_wald_agrees_with_statsmodels_on_clustered_data_with_ties(measure):
    table = made_up(11, images=120, models=3, patients=30)
    called = calls(table)
    result = gee(table.y_true, called, measure=measure, clusters=table.patients)
    enters, outcome = {
        "accuracy": (np.ones_like(called), called == table.y_true[:, None].astype(bool)),
        "ppv": (called, np.broadcast_to(table.y_true[:, None] == 1, called.shape)),
        "npv": (~called, np.broadcast_to(table.y_true[:, None] == 0, called.shape)),
    }[measure]
    image, model = np.nonzero(enters)
    fit = sm.GEE(
        outcome[image, model].astype(float),
        np.eye(3)[model],
        groups=pd.factorize(table.patients)[0][image],
        family=sm.families.Binomial(),
        cov_struct=sm.cov_struct.Independence(),
    ).fit(cov_type="robust", ctol=1e-12)
    contrast = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    assert result.overall.wald_logit == pytest.approx(fit.wald_test(contrast, scalar=True).statistic, rel=1e-7)


@pytest.mark.parametrize("measure", ["sensitivity", "specificity", "accuracy"])
def test_score_test_of_two_models_by_image_is_mcnemars(measure):
    table = made_up(7, images=150)
    called = calls(table)
    right = (called == table.y_true[:, None].astype(bool))[
        {"sensitivity": table.y_true == 1, "specificity": table.y_true == 0, "accuracy": table.y_true >= 0}[measure]
    ]
    square = pd.crosstab(pd.Categorical(right[:, 0], [False, True]), pd.Categorical(right[:, 1], [False, True]))
    result = gee(table.y_true, called, measure=measure)
    assert result.pairs[0].score == pytest.approx(mcnemar(square, exact=False, correction=False).statistic)
    assert result.overall.score == pytest.approx(result.pairs[0].score)


def test_order_of_clusters_does_not_matter():
    table = made_up(2)
    order = np.random.default_rng(0).permutation(table.y_true.size)
    here = gee(table.y_true, calls(table), measure="ppv", clusters=table.patients)
    there = gee(table.y_true[order], calls(table)[order], measure="ppv", clusters=table.patients[order])
    assert there.overall.score == pytest.approx(here.overall.score, rel=1e-12)


def test_two_models_that_decide_identically_do_not_differ():
    pair = gee([0, 0, 1, 1], [[0, 0], [1, 1], [1, 1], [0, 0]], measure="accuracy").pairs[0]
    assert (pair.difference, pair.wald_logit, pair.p_wald_logit, pair.score, pair.p_score) == (0, 0, 1, 0, 1)
    assert pair.reason == "both decide identically"


def test_overall_test_names_models_that_decide_identically():
    result = gee([0, 0, 1, 1], [[0, 0], [1, 1], [1, 1], [0, 0]], measure="accuracy", names=["a", "b"])
    assert result.overall.reason == "no overall test: a and b decide identically"


def test_npv_of_a_model_that_calls_everything_malignant_is_undefined():
    result = gee([0, 1, 0, 1], [[1, 0], [1, 1], [1, 0], [1, 0]], measure="npv", names=["all", "some"])
    assert np.isnan(result.estimate[0])
    assert result.pairs[0].reason == "no image enters for all"
    assert result.overall.reason == "no image enters for all; the overall test is refused"


def test_a_proportion_of_one_has_no_logit_but_a_score():
    result = gee([1, 1, 1, 1], [[1, 0], [1, 1], [1, 0], [1, 0]], measure="sensitivity", names=["a", "b"])
    pair = result.pairs[0]
    assert np.isnan(pair.wald_logit)
    assert pair.score == pytest.approx(3.0)  # McNemar: (3 - 0)^2 / 3
    assert np.isnan([pair.wald_identity, pair.low]).all()
    assert pair.reason.startswith("a proportion of 0 or 1 has no logit, and its variance cannot be estimated")
    assert np.isnan(result.low[0])


def test_always_against_never_has_no_wald_test():
    pair = gee([1, 1], [[1, 0], [1, 0]], measure="sensitivity").pairs[0]
    assert np.isnan([pair.wald_identity, pair.low]).all()
    assert "no Wald statistic" in pair.reason


def test_scores_in_place_of_decisions_are_refused():
    with pytest.raises(StatisticsError, match="use a cut-off to turn scores into them"):
        gee([0, 1], [0.2, 0.7], measure=Measure.ACCURACY)


def test_too_few_names_are_refused():
    with pytest.raises(
        StatisticsError, match=r"each of the 1 score columns needs a name of its own; \['a', 'b'\] came"
    ):
        gee([0, 1], [0, 1], measure="accuracy", names=["a", "b"])


def test_images_of_one_patient_have_no_variance_between_patients():
    y, calls = [1, 1, 0, 0, 1], [[1, 0], [1, 1], [0, 0], [0, 1], [0, 1]]
    result = gee(y, calls, measure="accuracy", clusters=list("aaaaa"))
    pair = result.pairs[0]
    assert np.isnan([*result.low, *result.standard_error, pair.score, pair.wald_logit, result.overall.score]).all()
    assert pair.reason == result.overall.reason == "a variance between clusters needs at least 2 of them; 1 came"


def test_equal_counts_in_every_patient_are_not_called_identical_decisions():
    pair = gee([1, 1, 1, 1], [[1, 0], [0, 1], [1, 0], [0, 1]], measure="sensitivity", clusters=list("aabb")).pairs[0]
    assert (pair.difference, pair.p_score) == (0, 1)
    assert pair.reason == "both have the same counts of malignant images in every patient"
