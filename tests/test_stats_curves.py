import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from microcalc.errors import StatisticsError
from microcalc.stats import delong, resampling, roc_curve
from microcalc.stats.decision_curve import decision_curve
from microcalc.stats.roc import partial_auc, precision_recall
from stats_reference import CLOSE, data_a, made_up

A = data_a()
Y, SCORE = A.y_true, A.scores[:, 0]


@pytest.mark.parametrize("axis", ["specificity", "sensitivity"])
def test_the_whole_part_is_the_whole_area(axis):
    table = made_up(0)
    area = partial_auc(table.y_true, table.scores[:, 0], axis=axis, part=(0, 1)).area
    assert area == pytest.approx(delong(table.y_true, table.scores[:, 0]).auc[0], rel=1e-13)


def test_parts_agree_with_proc():
    # pROC 1.18: auc(r, partial.auc = c(.9, .7), partial.auc.correct = TRUE), also with partial.auc.focus = "sens"
    assert partial_auc(Y, SCORE, part=(0.7, 0.9)).standardised == pytest.approx(0.8247265, abs=5e-8)
    assert partial_auc(Y, SCORE, part=(0.7, 0.9), axis="sensitivity").standardised == pytest.approx(0.8227895, abs=5e-8)
    assert partial_auc(Y, SCORE, part=(0.8, 1.0)).area == pytest.approx(0.1138827, abs=5e-8)


@pytest.mark.parametrize("seed", range(5))
def test_the_standardised_part_agrees_with_scikit_learn(seed):
    table = made_up(seed)
    y, score = table.y_true, table.scores[:, 0]
    ours = partial_auc(y, score, part=(0.75, 1.0))
    theirs = roc_auc_score(y, score, max_fpr=0.25)
    assert theirs < 0.5 or ours.standardised == pytest.approx(theirs, rel=1e-12)


def test_limits_of_a_part_are_those_of_repeated_images():
    table = made_up(2)
    y, score = table.y_true, table.scores[:, 0]
    plan = resampling(y, replicates=40, seed=1)
    areas = []
    for row in np.concatenate(list(plan.weights())):
        areas.append(partial_auc(np.repeat(y, row), np.repeat(score, row), part=(0.5, 0.9)).area)
    drawn = partial_auc(y, score, part=(0.5, 0.9), plan=plan)
    assert drawn.limits == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])), rel=1e-12)


def test_a_part_worse_than_chance_has_no_standardised_value():
    part = partial_auc([0, 0, 1, 1], [3, 4, 1, 2])
    assert part.area == 0
    assert np.isnan(part.standardised)
    assert part.reason == "an area below that of chance has no standardised value"


def test_a_part_outside_the_curve_is_refused():
    with pytest.raises(StatisticsError, match=r"must lie in \[0, 1\] with low < high"):
        partial_auc(Y, SCORE, part=(0.9, 0.8))


@pytest.mark.parametrize("seed", range(5))
def test_average_precision_agrees_with_scikit_learn(seed):
    table = made_up(seed)
    ours = precision_recall(table.y_true, table.scores[:, 0])
    assert ours.average_precision == pytest.approx(average_precision_score(table.y_true, table.scores[:, 0]), rel=1e-12)
    precision, recall, _ = precision_recall_curve(table.y_true, table.scores[:, 0])
    np.testing.assert_allclose(ours.recall, recall[-2::-1], **CLOSE)
    np.testing.assert_allclose(ours.precision, precision[-2::-1], **CLOSE)


def test_limits_of_average_precision_are_those_of_repeated_images():
    table = made_up(3)
    y, score = table.y_true, table.scores[:, 0]
    plan = resampling(y, clusters=table.patients, replicates=40)
    values = [
        average_precision_score(np.repeat(y, row), np.repeat(score, row))
        for row in np.concatenate(list(plan.weights()))
    ]
    drawn = precision_recall(y, score, plan=plan)
    assert [drawn.low, drawn.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=1e-12)


def test_without_malignant_images_there_is_no_precision():
    assert precision_recall([0, 0], [1, 2]).reason == "precision and recall need malignant images; none came"


def test_net_benefit_by_hand():
    y, p = [1, 1, 0, 0, 0], [0.9, 0.4, 0.6, 0.3, 0.1]
    curve = decision_curve(y, p, plan=resampling(y, replicates=20), thresholds=[0.2, 0.5, 0.6])
    assert curve.net_benefit[0] == pytest.approx(2 / 5 - 2 / 5 * 0.25)
    assert curve.net_benefit[1] == pytest.approx(1 / 5 - 1 / 5 * 1.0)
    assert curve.net_benefit[2] == pytest.approx(1 / 5)  # 0.6 is not above 0.6
    assert curve.treat_all[1] == pytest.approx(2 / 5 - 3 / 5)


def test_bands_of_net_benefit_are_those_of_repeated_images():
    table = made_up(4)
    y, p = table.y_true, 1 / (1 + np.exp(-table.scores[:, 0]))
    plan, at = resampling(y, clusters=table.patients, replicates=30), np.array([0.3, 0.7])
    rows = []
    for row in np.concatenate(list(plan.weights())):
        yy, pp = np.repeat(y, row), np.repeat(p, row)
        rows.append([np.mean((pp > t) & (yy == 1)) - np.mean((pp > t) & (yy == 0)) * t / (1 - t) for t in at])
    curve = decision_curve(y, p, plan=plan, thresholds=at)
    np.testing.assert_allclose(
        [curve.low, curve.high], np.quantile(rows, [0.025, 0.975], axis=0), rtol=1e-10, atol=1e-12
    )


def test_scores_that_are_no_probabilities_have_no_decision_curve():
    curve = decision_curve([0, 1], [-1, 2], plan=resampling([0, 1]))
    assert np.isnan(curve.net_benefit).all()
    assert curve.reason == "the scores are not probabilities: they leave the range from 0 to 1"


def test_thresholds_in_percent_are_refused():
    with pytest.raises(StatisticsError, match=r"thresholds must lie between 0 and 1; 20\.0 to 20\.0 came"):
        decision_curve([0, 1], [0.1, 0.2], plan=resampling([0, 1]), thresholds=[20])


def test_a_constant_score_has_a_straight_curve():
    curve = roc_curve([0, 1, 1], [5, 5, 5])
    assert list(curve.false_positive_rate) == [0, 1]
    assert list(curve.sensitivity) == [0, 1]
