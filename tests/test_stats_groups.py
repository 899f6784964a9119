"""Levels, subgroups, readers, many tests."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.stats import auc_overall, auc_pairs, clustered_delong, delong, gee
from microcalc.stats.distributions import logit
from microcalc.stats.levels import Aggregation, Level, aggregate, units_with_both_labels, why_no_level
from microcalc.stats.multiplicity import holm
from microcalc.stats.noninferiority import MEAN_OF_READERS, non_inferiority
from microcalc.stats.proportions import wilson
from microcalc.stats.subgroups import groups_of, subgroup_columns, subgroups, too_many_groups
from stats_reference import data_a, made_up


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03], [0.5], [0.2, 0.2, 0.001, 0.9, 0.0004], [1.0, 0.0]])
def test_holm_agrees_with_statsmodels(p):
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-12)


def test_tests_that_could_not_be_made_do_not_count():
    assert holm([0.01, np.nan, 0.04])[[0, 2]].tolist() == [0.02, 0.04]
    assert np.isnan(holm([0.01, np.nan])[1])
    assert holm([]).size == 0


def test_impossible_p_values_are_refused():
    with pytest.raises(StatisticsError, match=r"p values must lie between 0 and 1; 1\.5 to 1\.5 came"):
        holm([1.5])


SMALL = ScoreTable(
    ("m",),
    pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "patient_id": ["p", "q", "p", "q", "p", "q"],
            "lesion_id": ["1", "1", "1", "1", "2", "2"],
            "laterality": ["L", "L", "L", "R", "R", "R"],
            "split": "test",
        }
    ),
    np.array([0, 0, 1, 0, 0, 0]),
    np.array([[0.1], [0.2], [0.5], [0.4], [0.9], [0.6]]),
)


def test_lesions_of_one_name_in_two_patients_stay_apart():
    units = aggregate(SMALL, Level.LESION)
    assert list(units.images["image_id"]) == ["p / 1", "q / 1", "p / 2", "q / 2"]
    np.testing.assert_allclose(units.scores[:, 0], [0.3, 0.3, 0.9, 0.6])
    assert units.y_true.tolist() == [1, 0, 0, 0]
    assert units.images["unit_images"].tolist() == [2, 2, 1, 1]


def test_breasts_take_the_maximum_if_asked():
    units = aggregate(SMALL, Level.BREAST, Aggregation.MAXIMUM)
    assert dict(zip(units.images["image_id"], units.scores[:, 0], strict=True)) == {
        "p / L": 0.5,
        "q / L": 0.2,
        "q / R": 0.6,
        "p / R": 0.9,
    }


def test_a_patient_is_malignant_if_any_image_is():
    units = aggregate(SMALL, Level.PATIENT)
    assert dict(zip(units.patients, units.y_true, strict=True)) == {"p": 1, "q": 0}
    assert units_with_both_labels(SMALL, Level.PATIENT) == 1


def test_a_level_without_its_column_says_so():
    assert why_no_level(data_a(), Level.BREAST) == "the table has no laterality"
    with pytest.raises(StatisticsError, match="scores cannot be joined by lesion: the table has no lesion_id"):
        aggregate(data_a(), Level.LESION)


def test_images_stay_images():
    assert aggregate(SMALL, Level.IMAGE) is SMALL


def grouped(seed, *, difference=0.0, images=300):
    """Two views of each patient; the score is worse in one of them by ``difference``."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(images // 2), 2)
    view = np.tile(["CC", "MLO"], images // 2)
    y = np.repeat(rng.random(images // 2) < 0.4, 2).astype(int)
    signal = np.where(view == "CC", 1.2, 1.2 - difference)
    score = signal * y + np.repeat(rng.normal(size=images // 2), 2) * 0.7 + rng.normal(size=images) * 0.7
    frame = pd.DataFrame({"image_id": np.arange(images).astype(str), "patient_id": patient.astype(str)})
    return ScoreTable(("m",), frame.assign(lesion_id="", split="test"), y, score[:, None]), view


def test_each_group_is_judged_by_itself():
    table, view = grouped(0)
    result = subgroups(table, view, variable="view")
    inside = view == "CC"
    own = clustered_delong(table.y_true[inside], table.scores[inside], table.patients[inside])
    row = result.rows[0]
    assert (row.group, row.images, row.patients) == ("CC", 150, 150)
    assert (row.auc, row.low, row.high) == (own.auc[0], own.low[0], own.high[0])


def test_groups_that_share_patients_are_compared_by_patient():
    # The same images as two models on one set of patients: the interaction test must be the paired comparison.
    table, view = grouped(1, difference=0.8)
    result = subgroups(table, view, variable="view").interactions[0]
    cc, mlo = table.scores[view == "CC", 0], table.scores[view == "MLO", 0]
    y = table.y_true[view == "CC"]
    paired = clustered_delong(y, np.column_stack([cc, mlo]), np.arange(y.size))
    slope = paired.auc * (1 - paired.auc)
    variance = np.array([1, -1]) @ (paired.covariance / np.outer(slope, slope)) @ np.array([1, -1])
    difference = logit(paired.auc[0]) - logit(paired.auc[1])
    assert result.chi2 == pytest.approx(difference**2 / variance, rel=1e-9)
    assert result.chi2 == pytest.approx(auc_pairs(paired)[0].z ** 2, rel=0.1)  # on the areas themselves


def test_groups_without_a_patient_in_common_fit_the_printed_errors():
    table, view = grouped(7, difference=0.8)
    alone = ScoreTable(("m",), table.images.assign(patient_id=table.images["image_id"]), table.y_true, table.scores)
    result = subgroups(alone, view, variable="view")
    area = np.array([row.auc for row in result.rows])
    error = np.array([row.standard_error for row in result.rows]) / (area * (1 - area))
    assert result.interactions[0].chi2 == pytest.approx((logit(area[0]) - logit(area[1])) ** 2 / (error**2).sum())


def test_a_class_of_one_patient_alone_has_no_test():
    table, view = grouped(5)
    patients = np.where(table.y_true == 1, "one", table.images["image_id"])
    alone = ScoreTable(("m",), table.images.assign(patient_id=patients), table.y_true, table.scores)
    result = subgroups(alone, view, variable="view").interactions[0]
    assert np.isnan(result.p)
    assert result.reason == "a group has the malignant or the benign images of one patient alone"


def test_a_real_difference_is_found_and_none_is_not():
    different, view = grouped(2, difference=1.2)
    assert subgroups(different, view, variable="view").interactions[0].p < 0.001
    same, view = grouped(3)
    assert subgroups(same, view, variable="view").interactions[0].p > 0.05


def test_small_groups_are_named_and_left_out_of_the_test():
    table, view = grouped(4)
    site = view.astype(object)
    site[:4] = "tiny"
    site[4] = ""
    result = subgroups(table, site, variable="site")
    assert result.without_value == 1
    assert result.interactions[0].groups == ("CC", "MLO")
    assert result.warnings[0].startswith("site tiny: ")
    assert result.warnings[0].endswith("are too few to say anything")
    assert {row.group: row.too_small for row in result.rows} == {"CC": False, "MLO": False, "tiny": True}


def test_one_large_group_has_no_test():
    table, view = grouped(5)
    result = subgroups(table, np.full(view.shape, "CC"), variable="view").interactions[0]
    assert result.reason == "fewer than two groups are large enough"


def test_factors_of_magnification_are_contact_or_magnified():
    """Every view has a factor of its own, so the numbers themselves make no groups."""
    assert list(groups_of(["1", "1.05", "", "1.5", "1.83"], variable="magnification")) == [
        "contact", "contact", "", "magnified", "magnified",
    ]  # fmt: skip
    assert list(groups_of(["spot", "1.5"], variable="magnification")) == ["spot", "1.5"]


def test_many_years_are_joined_to_periods_of_equal_length():
    years = [str(2007 + k % 13) for k in range(40)]
    groups = groups_of([*years, ""], variable="year")
    assert sorted(set(groups) - {""}) == [f"{y}–{y + 1}" for y in range(2007, 2020, 2)]
    assert all(not y or g.startswith(y) or g.endswith(y) for y, g in zip([*years, ""], groups, strict=True))
    assert list(groups_of(years[:12], variable="year")) == years[:12]


def test_columns_with_too_many_values_are_no_groups_and_are_named():
    images = pd.DataFrame({
        "view": ["CC", "MLO"] * 13, "site": [f"s{k}" for k in range(26)], "magnification": ["1", "1.5"] * 13,
        "year": [str(2000 + k) for k in range(26)], "manufacturer": ["one"] * 26,
    })  # fmt: skip
    assert subgroup_columns(images) == ("view", "magnification", "year")
    assert too_many_groups(images) == {"site": 26}


def test_numbers_are_put_in_their_order():
    table, _ = grouped(6)
    years = np.tile(["2019", "2020", "99"], 100)
    assert [row.group for row in subgroups(table, years, variable="year").rows] == ["99", "2019", "2020"]


def test_a_model_is_compared_with_each_reader_and_their_mean():
    table = made_up(0, images=200, models=3)
    result = clustered_delong(table.y_true, table.scores, table.patients)
    rows = non_inferiority(result, ["model", "anna", "bert"], readers=["anna", "bert"], margin=0.05)
    assert [row.reader for row in rows] == ["anna", "bert", MEAN_OF_READERS]
    pair = auc_pairs(result, ["model", "anna", "bert"])[0]
    assert (rows[0].difference, rows[0].low, rows[0].high) == pytest.approx((pair.difference, pair.low, pair.high))
    weights = np.array([1, -0.5, -0.5])
    assert rows[2].standard_error == pytest.approx(np.sqrt(weights @ result.covariance @ weights))


def test_non_inferior_means_that_the_lower_limit_is_above_the_margin():
    table = made_up(1, images=400)
    result = delong(table.y_true, table.scores)
    (near,) = non_inferiority(result, ["m", "r"], readers=["r"], margin=0.2)
    (far,) = non_inferiority(result, ["m", "r"], readers=["r"], margin=max(-near.low / 2, 1e-6))
    assert near.non_inferior
    assert near.p < 0.025
    assert far.non_inferior == (far.low > -far.margin)
    assert (far.p < 0.025) == far.non_inferior


def test_identical_scores_have_no_test_of_non_inferiority():
    table = made_up(2, models=1)
    result = delong(table.y_true, np.repeat(table.scores, 2, axis=1))
    (row,) = non_inferiority(result, ["m", "r"], readers=["r"], margin=0.05)
    assert row.difference == 0
    assert (row.low, row.high, row.non_inferior, row.superior) == (0, 0, True, False)
    assert np.isnan([row.z, row.p]).all()
    assert row.reason == "both order every malignant-benign pair identically"


@pytest.mark.parametrize(
    ("readers", "margin", "text"),
    [
        (["zoe"], 0.05, "readers must be some of the columns"),
        (["m", "r"], 0.05, "readers must be some of the columns"),
        (["r"], 0.0, "a margin must lie between 0 and 1, such as 0.05; 0.0 came"),
    ],
)
def test_unusable_readers_are_refused(readers, margin, text):
    table = made_up(0)
    with pytest.raises(StatisticsError, match=text):
        non_inferiority(delong(table.y_true, table.scores), ["m", "r"], readers=readers, margin=margin)


def test_overall_test_of_clustered_areas_is_the_quadratic_form():
    table = made_up(3, images=200, models=3)
    result = clustered_delong(table.y_true, table.scores, table.patients)
    contrast = np.array([[1, -1, 0], [0, 1, -1]])
    delta = contrast @ result.auc
    by_hand = delta @ np.linalg.inv(contrast @ result.covariance @ contrast.T) @ delta
    assert auc_overall(result).chi2 == pytest.approx(by_hand)


def test_the_order_of_the_rows_breaks_no_tie_between_means():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(40), 3)
    score = rng.choice([4.1, 4.2, 4.3, 5.0], patient.size)
    images = pd.DataFrame({"image_id": np.arange(patient.size).astype(str), "patient_id": patient.astype(str)})
    label = rng.integers(0, 2, patient.size)
    whole = aggregate(ScoreTable(("m",), images, label, score[:, None]), Level.PATIENT)
    for _ in range(20):
        order = rng.permutation(patient.size)
        table = ScoreTable(("m",), images.iloc[order].reset_index(drop=True), label[order], score[order][:, None])
        units = aggregate(table, Level.PATIENT)
        again = units.scores[np.argsort(units.images["image_id"].astype(int)), 0]
        np.testing.assert_array_equal(again, whole.scores[np.argsort(whole.images["image_id"].astype(int)), 0])


def test_of_categories_in_order_the_highest_counts():
    images = pd.DataFrame({"image_id": list("abc"), "patient_id": list("ppq")})
    table = ScoreTable(("net", "reader"), images, np.array([0, 1, 0]), np.array([[0.2, 3.0], [0.4, 4.1], [0.5, 2.0]]))
    units = aggregate(table, Level.PATIENT, ordinal=("reader",))
    np.testing.assert_allclose(units.scores, [[0.3, 4.1], [0.5, 2.0]])


def test_groups_count_what_the_cutoff_calls():
    table = made_up(6, images=200, patients=80)
    half = np.where(np.arange(200) < 120, "4A", "4B")
    result = subgroups(table, half, variable="birads", cutoffs={table.models[0]: 0.3})
    first = next(row for row in result.rows if (row.model, row.group) == (table.models[0], "4A"))
    called = table.scores[:120, 0] > 0.3
    truth = table.y_true[:120] == 1
    counts = first.counts
    assert (counts.tp, counts.fn) == ((called & truth).sum(), (~called & truth).sum())
    assert (counts.tn, counts.fp) == ((~called & ~truth).sum(), (called & ~truth).sum())
    assert counts.sensitivity == wilson(counts.tp, counts.tp + counts.fn)
    robust = gee(table.y_true[:120], called[:, None], measure="sensitivity", clusters=table.patients[:120])
    assert counts.sensitivity_patient == (robust.low[0], robust.high[0])
    assert all(row.counts is None for row in result.rows if row.model != table.models[0])


def test_categories_stand_in_their_order():
    table = made_up(6, images=200, patients=80)
    words = np.resize(np.array(["5", "4C", "3", "4A", "10"], dtype=object), 200)
    assert [row.group for row in subgroups(table, words, variable="birads").rows][::2] == ["3", "4A", "4C", "5", "10"]
