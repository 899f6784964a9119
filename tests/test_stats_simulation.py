"""Size and coverage of every clustered method on simulated clustered data, and that ignoring patients does worse."""

import numpy as np
import pandas as pd
import pytest

from microcalc.predictions import ScoreTable
from microcalc.stats import (
    auc_overall,
    auc_pairs,
    bootstrap_auc,
    clustered_delong,
    delong,
    gee,
    resampling,
)
from microcalc.stats.bootstrap import bootstrap_fractions
from microcalc.stats.calibration import calibration
from microcalc.stats.decision_curve import decision_curve
from microcalc.stats.noninferiority import non_inferiority
from microcalc.stats.operating_point import Measure, measure_rows
from microcalc.stats.roc import precision_recall
from microcalc.stats.subgroups import subgroups

pytestmark = pytest.mark.slow
SIMULATIONS = 1500


def draw(rng, *, patients=140, models=3):
    """Patients with 1 to 4 images and strong effects of their own; labels mostly those of the patient, some mixed."""
    size = rng.integers(1, 5, patients)
    patient = np.repeat(np.arange(patients), size)
    mixed = rng.random(patients) < 0.2
    whole = rng.random(patients) < 0.4
    y = np.where(mixed[patient], rng.random(patient.size) < 0.4, whole[patient]).astype(int)
    own = rng.normal(size=(patients, models))[patient]  # of patient and model: the errors that images share
    scores = 1.2 * y[:, None] + own + 0.8 * rng.normal(size=own.shape) + 0.5 * rng.normal(size=(patients, 1))[patient]
    order = rng.permutation(patient.size)
    return y[order], scores[order], patient[order]


def near(rate, expected, *, slack=3.5):
    """Whether a rate over the simulations is what it should be, give or take Monte Carlo and a small sample."""
    return abs(rate - expected) <= slack * np.sqrt(expected * (1 - expected) / SIMULATIONS) + 0.005


def simulated(function, *, seed, count=SIMULATIONS, **shape):
    rng = np.random.default_rng(seed)
    return [function(*draw(rng, **shape)) for _ in range(count)]


def test_clustered_intervals_of_the_area_cover_and_plain_ones_do_not():
    def intervals(y, scores, patient):
        good, plain = clustered_delong(y, scores[:, 0], patient), delong(y, scores[:, 0])
        return good.auc[0], good.low[0], good.high[0], plain.low[0], plain.high[0]

    auc, low, high, plain_low, plain_high = np.array(simulated(intervals, seed=1)).T
    assert near(np.mean((low <= auc.mean()) & (auc.mean() <= high)), 0.95)
    assert np.mean((plain_low <= auc.mean()) & (auc.mean() <= plain_high)) < 0.92


def test_clustered_comparisons_of_areas_have_their_size_and_plain_ones_do_not():
    def p_values(y, scores, patient):
        good = clustered_delong(y, scores, patient)
        return auc_pairs(good)[0].p, auc_overall(good).p, auc_pairs(delong(y, scores))[0].p

    pair, overall, plain = np.mean(np.array(simulated(p_values, seed=2)) < 0.05, axis=0)
    assert near(pair, 0.05)
    assert near(overall, 0.05)
    assert plain > 0.08


@pytest.mark.parametrize("measure", Measure)
def test_gee_by_patient_has_its_size_and_its_limits_cover(measure):
    def results(y, scores, patient):
        result = gee(y, scores > 0.6, measure=measure, clusters=patient)
        plain = gee(y, scores > 0.6, measure=measure)
        return (
            result.pairs[0].p_score, result.overall.p_score, result.pairs[0].p_wald_logit,
            result.estimate[0], result.low[0], result.high[0], plain.pairs[0].p_score,
        )  # fmt: skip

    pair, overall, wald, estimate, low, high, plain = np.array(simulated(results, seed=3)).T
    assert near(np.mean(pair < 0.05), 0.05)
    assert near(np.mean(overall < 0.05), 0.05)
    assert near(np.mean(wald < 0.05), 0.05, slack=4)
    assert near(np.mean((low <= estimate.mean()) & (estimate.mean() <= high)), 0.95)
    assert np.mean(plain < 0.05) > 0.07


def test_bootstrap_of_patients_covers_areas_and_fractions():
    def limits(y, scores, patient):
        plan = resampling(y, clusters=patient, replicates=400)
        area = bootstrap_auc(y, scores[:, :1], clusters=patient, replicates=400)
        enters, hits = measure_rows(Measure.SENSITIVITY, y == 1, scores[:, :1] > 0.6)
        share = bootstrap_fractions(y, enters, hits, plan)
        return *(v[0] for v in (area.estimate, area.low, area.high)), *(
            v[0] for v in (share.estimate, share.low, share.high)
        )

    values = np.array(simulated(limits, seed=4, count=800)).T
    for estimate, low, high in (values[:3], values[3:]):
        assert 0.925 <= np.mean((low <= estimate.mean()) & (estimate.mean() <= high)) <= 0.97


def test_bootstrap_of_patients_covers_what_depends_on_the_case_mix():
    def limits(y, scores, patient):
        plan = resampling(y, clusters=patient, replicates=300)
        p = 1 / (1 + np.exp(-scores[:, 0]))
        rows = [measure_rows(m, y == 1, scores[:, :1] > 0.6) for m in (Measure.PPV, Measure.NPV)]
        shares = [bootstrap_fractions(y, enters, hits, plan) for enters, hits in rows]
        curve = decision_curve(y, p, plan=plan, thresholds=[0.3])
        ranked = precision_recall(y, p, plan=plan)
        brier = calibration(y, p, clusters=patient, plan=plan).brier
        return [
            *((s.estimate[0], s.low[0], s.high[0]) for s in shares),
            (curve.net_benefit[0], curve.low[0], curve.high[0]),
            (curve.treat_all[0], curve.treat_all_low[0], curve.treat_all_high[0]),
            (ranked.average_precision, ranked.low, ranked.high),
            (brier.score, brier.low, brier.high),
        ]

    values = np.array(simulated(limits, seed=8, count=600))
    truth = values[:, :, 0].mean(axis=0)
    covered = ((values[:, :, 1] <= truth) & (truth <= values[:, :, 2])).mean(axis=0)
    assert covered.min() >= 0.92
    assert covered.max() <= 0.975


@pytest.mark.parametrize(("groups", "patients"), [(2, 140), (6, 140), (5, 105)])
def test_the_interaction_test_of_subgroups_has_its_size(groups, patients):
    def p_value(y, scores, patient):
        group = np.random.default_rng(int(abs(scores[0, 0]) * 1e9)).integers(groups, size=y.size).astype(str)
        images = {"image_id": [str(i) for i in range(y.size)], "patient_id": [str(p) for p in patient]}
        table = ScoreTable(("m",), pd.DataFrame(images), y, scores[:, :1])
        return subgroups(table, group.astype(object), variable="view").interactions[0].p

    p_values = np.array(simulated(p_value, seed=5, count=700, patients=patients))
    assert near(np.mean(p_values < 0.05), 0.05, slack=5)
    assert np.mean(p_values < 0.01) < 0.025


def test_limits_of_slope_and_intercept_cover():
    def covered(y, _scores, patient):
        rng = np.random.default_rng(int(patient.sum()) + y.size)
        risk = 1.2 * rng.normal(size=patient.max() + 1)[patient]
        p = 1 / (1 + np.exp(-risk))  # patients share their probability; outcomes are right on average
        result = calibration(rng.random(p.size) < p, p, clusters=patient)
        return result.slope.low <= 1 <= result.slope.high, result.intercept.low <= 0 <= result.intercept.high

    slope, intercept = np.mean(simulated(covered, seed=6), axis=0)
    assert near(slope, 0.95, slack=5)
    assert near(intercept, 0.95, slack=5)


def test_non_inferiority_is_declared_in_a_fortieth_of_the_cases_at_the_margin():
    def answers(y, scores, patient):
        better = scores[:, 1] + 0.35 * y  # the reader is better by just the margin
        result = clustered_delong(y, np.column_stack([scores[:, 0], better]), patient)
        return result.auc[0] - result.auc[1], result

    results = simulated(answers, seed=7)
    margin = -float(np.mean([difference for difference, _ in results]))
    rows = [non_inferiority(result, ["m", "r"], readers=["r"], margin=margin)[0] for _, result in results]
    assert near(np.mean([row.non_inferior for row in rows]), 0.025, slack=4)
    assert all(row.non_inferior == (row.p < 0.025) for row in rows)
