"""Printed tables of an evaluation say what was done, and no more than that."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.protocol import EvaluationSettings
from microcalc.report.evaluated.figures import decision_figure, precision_recall_figure, reliability_figure
from microcalc.report.evaluated.frames import evaluation_frames
from microcalc.report.evaluated.sections import evaluation_sections, printed_tables
from microcalc.report.evaluated.write import run_content, write_evaluation_tables
from microcalc.report.overview import cross_table
from microcalc.report.printed import PrintedTable
from microcalc.report.style import COLUMN_MM, PNG_DPI
from microcalc.report.tables import intervals_printed, table1_printed
from microcalc.report.words import Names, interval_text
from microcalc.stats import confusion
from microcalc.stats.evaluation import Evaluation, EvaluationPlan, evaluate_scores
from microcalc.stats.levels import Level, aggregate
from stats_reference import data_a, made_up

FAST = EvaluationSettings(bootstrap_replicates=100)
SIMPLE = EvaluationPlan(settings=FAST)


def evaluated(test: ScoreTable, validation: ScoreTable | None = None, **plan: object) -> Evaluation:
    return evaluate_scores(test, validation, run="r", plan=dataclasses.replace(SIMPLE, **plan))


def probabilities(seed: int, **keywords: int) -> ScoreTable:
    made = made_up(seed, images=120, patients=50, **keywords)
    return dataclasses.replace(made, scores=1 / (1 + np.exp(-made.scores)))


def notes(table: PrintedTable) -> str:
    return " ".join(table.notes)


def cells(table: PrintedTable, column: str) -> list[str]:
    return [row[table.columns.index(column)] for row in table.rows]


@pytest.fixture(scope="module")
def reference() -> Evaluation:
    return evaluated(data_a())


@pytest.fixture(scope="module")
def both_sets() -> Evaluation:
    return evaluated(probabilities(0), probabilities(1))


# ---- cut-offs --------------------------------------------------------------------------------------------------------


def test_every_printed_cut_off_gives_the_counts_beside_it(reference, both_sets):
    for e in (reference, both_sets):
        table = printed_tables(e, Names())["operating_points"][0]
        where = {Names().title(model): j for j, model in enumerate(e.test.models)}
        for row in table.rows:
            score = e.test.scores[:, where[row[0]]]
            cutoff = -np.inf if row[3] == "all" else float(row[3].removeprefix("> ").replace("−", "-"))
            counts = confusion(e.test.y_true, score, cutoff)
            assert tuple(map(int, row[4:8])) == (counts.tp, counts.fn, counts.tn, counts.fp), row


def test_the_reference_data_need_three_to_five_decimals(reference):
    table = printed_tables(reference, Names())["operating_points"][0]
    texts = cells(table, "Cut-off")
    assert {len(text.split(".")[1]) for text in texts} <= {3, 4, 5}
    assert "rounded up" in notes(table)


def test_table_1_and_the_cross_tabulation_print_the_same_cut_offs(tmp_path, reference):
    points = cells(printed_tables(reference, Names())["operating_points"][0], "Cut-off")[:6]
    assert cells(cross_table(run_content(reference, title="R")), "Cut-off") == points
    write_evaluation_tables([reference], tmp_path)
    lines = (tmp_path / "table1.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in lines if " | > " in line] == points


def test_cut_offs_near_one_half_are_told_apart():
    made = made_up(3, images=100, models=1)
    near = dataclasses.replace(made, scores=0.5 + made.scores * 1e-6)
    texts = cells(printed_tables(evaluated(near), Names())["operating_points"][0], "Cut-off")
    assert len(set(texts)) == 3


def test_codes_and_calls_are_whole_numbers():
    made = made_up(4, images=100, models=2)
    codes = np.clip(np.round(made.scores[:, 0]) + 3, 1, 5)
    calls = (made.scores[:, 1] > 0).astype(float)
    e = evaluated(dataclasses.replace(made, scores=np.column_stack([codes, calls])))
    texts = cells(printed_tables(e, Names())["operating_points"][0], "Cut-off")
    assert set(texts) <= {"all", "> 0", "> 1", "> 2", "> 3", "> 4", "> 5"}


# ---- sentences that must be true -------------------------------------------------------------------------------------


def test_only_a_table_with_the_ensemble_speaks_of_it(reference, both_sets):
    said = "The ensemble is made of the other models"
    assert said in notes(printed_tables(reference, Names())["auc"][1])
    assert said not in notes(printed_tables(both_sets, Names())["auc"][1])


def test_holm_counts_the_tests_that_were_made(reference):
    tables = printed_tables(reference, Names())
    assert "corrected for the 15 tests of its column" in notes(tables["auc_pairs"][0])
    assert "corrected by Holm for the 15 tests of its column" in notes(tables["gee"][1])


def test_holm_does_not_count_tests_that_could_not_be_made():
    made = probabilities(5, models=3)
    all_malignant = np.column_stack([made.scores, np.full(120, 0.5)])
    e = evaluated(dataclasses.replace(made, models=("m0", "m1", "m2", "flat"), scores=all_malignant))
    pairs = printed_tables(e, Names())["gee"][1]
    assert sum("n/a" in cell for cell in cells(pairs, "NPV")) == 3
    assert "Specificity 6, Accuracy 6, PPV 6, NPV 3" in notes(pairs)


@pytest.fixture(scope="module")
def with_reader() -> Evaluation:
    made = probabilities(6, models=3)
    strong = np.column_stack([made.y_true + made.scores[:, 0], made.scores[:, 1], made.scores[:, 1] ** 2])
    return evaluated(
        dataclasses.replace(made, models=("strong", "anna", "twin"), scores=strong), readers=("anna",), margin=0.1
    )


def test_readers_say_which_p_stands_there_and_at_which_level(with_reader):
    table = printed_tables(with_reader, Names())["readers"][0]
    assert table.columns[2] == table.columns[5] == "p, non-inferiority"
    assert "no p of superiority" in notes(table)
    assert "two-sided 95% interval, that is at a one-sided level of 2.5%" in notes(table)


def test_the_one_sided_level_follows_the_confidence(with_reader):
    e = evaluated(with_reader.test, readers=("anna",), settings=FAST.model_copy(update={"confidence": 0.9}))
    assert "two-sided 90% interval, that is at a one-sided level of 5%" in notes(
        printed_tables(e, Names())["readers"][0]
    )


def test_a_predictive_value_that_is_undefined_says_so_itself():
    made = probabilities(7, models=1)
    e = evaluated(made, given={"m0": 2.0})
    table = printed_tables(e, Names())["consequences"][1]
    assert "nothing is called malignant, so there is no PPV" in notes(table)
    last = table.rows[-1]
    assert last[4].startswith("n/a [")
    assert "its replicates have no spread" in notes(table)
    number = last[4].split("[")[1]
    assert number not in last[5]  # NPV has an estimate, and another reason for its limits


def test_a_share_without_images_has_a_reason_and_rules_read_as_in_the_table():
    made = probabilities(7, models=1)
    e = evaluated(dataclasses.replace(made, y_true=np.zeros_like(made.y_true)))
    table = printed_tables(e, Names())["operating_points"][0]
    assert table.rows[0][8] == "n/a [1]"
    assert "[1] n/a: the denominator is 0." in table.notes
    assert "m0, sensitivity ≥ 0.95, chosen on test: no cut-off" in notes(table)


def test_a_subgroup_test_names_the_groups_that_it_compared():
    made = probabilities(8, models=1)
    site = np.array(["A", "B", "C"])[np.minimum(np.arange(120) // 55, 2)]
    images = made.images.assign(site=site, view=np.where(np.arange(120) % 2, "CC", "MLO"))
    e = evaluated(dataclasses.replace(made, images=images), subgroups=("site", "view"))
    by_site, by_view = printed_tables(e, Names())["subgroups"]
    assert by_site.rows[-1][0] == "2 of 3 groups equal: A, B"
    assert by_view.rows[-1][0] == "all 2 groups equal"


def test_limits_beside_table_1_name_the_method_of_the_area(reference):
    table = intervals_printed(reference.table)
    assert {row[1] for row in table.rows} == {"", "DeLong; Wilson", "patients"}
    assert "AUC by DeLong" in notes(table)


# ---- figures ---------------------------------------------------------------------------------------------------------


def sides(figure: Figure, text: Text) -> tuple[float, float]:
    """Left and right side of a text, millimetres from the left edge of the figure."""
    figure.set_dpi(PNG_DPI)
    box = text.get_window_extent(figure.canvas.get_renderer())
    return box.x0 / figure.dpi * 25.4, box.x1 / figure.dpi * 25.4


@pytest.fixture(scope="module")
def long_names() -> Names:
    return Names({name: f"Radiologist number {name} of the second reading session" for name in ("m0", "m1")})


@pytest.mark.parametrize("draw", [reliability_figure, decision_figure])
def test_titles_of_panels_neither_meet_nor_leave_the_figure(both_sets, long_names, draw):
    figure = draw(both_sets, long_names)
    first, second = (sides(figure, axes._left_title) for axes in figure.axes[:2])
    assert first[1] < second[0]
    assert second[1] < COLUMN_MM - 2


def test_the_legend_of_precision_and_recall_keeps_its_intervals(both_sets, long_names):
    figure = precision_recall_figure(both_sets, long_names)
    figure.canvas.draw()
    texts = figure.legends[0].get_texts()
    assert [" to " in text.get_text() for text in texts] == [True, True, False]
    assert max(sides(figure, text)[1] for text in texts) < COLUMN_MM - 2


def test_reliability_says_whose_slope_is_printed(reference, both_sets):
    said = [text.get_text() for text in reliability_figure(both_sets, Names()).axes[0].texts]
    assert said[0].startswith("before:\nslope")
    alone = [text.get_text() for text in reliability_figure(reference, Names()).axes[0].texts]
    assert alone[0].startswith("slope")
    captions = [f.caption for s in evaluation_sections(both_sets) for f in s.figures if "Reliability" in f.title]
    assert "before recalibration" in captions[0]
    assert "at most 10 bins" in captions[0]


# ---- who was counted, and how ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_levels() -> Evaluation:
    made = probabilities(9)
    images = made.images.assign(laterality=np.where(np.arange(120) % 2, "L", "R"))
    return evaluated(dataclasses.replace(made, images=images), probabilities(10))


def test_cut_offs_of_other_levels_give_their_fractions(with_levels):
    table = printed_tables(with_levels, Names())["levels"][0]
    assert set(cells(table, "Level")) == {"image", "breast, mean", "patient, mean"}
    units = aggregate(with_levels.test, Level.PATIENT)
    for j, row in enumerate(row for row in table.rows if row[0].startswith("patient")):
        cutoff = float(row[5].removeprefix("> "))
        counts = confusion(units.y_true, units.scores[:, j], cutoff)
        assert row[6].startswith(f"{100 * counts.sensitivity:.1f} (")
        assert row[7].startswith(f"{100 * counts.specificity:.1f} (")


def test_categories_are_said_to_be_joined_by_their_maximum(with_levels):
    table = printed_tables(evaluated(with_levels.test, ordinal=("m1",)), Names())["levels"][0]
    joined = {(row[1], row[0]) for row in table.rows if row[0].startswith("patient")}
    assert joined == {("m0", "patient, mean"), ("m1", "patient, maximum")}


def test_levels_print_the_areas_of_both_methods_that_the_file_holds(with_levels):
    table = printed_tables(with_levels, Names())["levels"][0]
    frames = evaluation_frames([with_levels])
    row = frames["levels"].query("level == 'patient' and chosen_on == 'validation'").iloc[0]
    printed = next(r for r in table.rows if r[0].startswith("patient"))
    assert printed[2] == interval_text(row["auc"], row["auc_low"], row["auc_high"], 3)
    assert printed[3] == interval_text(row["auc"], row["auc_low_clustered"], row["auc_high_clustered"], 3)


def test_the_parts_of_briers_score_add_up_in_print(with_levels):
    table = printed_tables(with_levels, Names())["calibration"][0]
    for row in table.rows:
        score = float(row[5].split(" ")[0])
        reliability, resolution, uncertainty, within = (float(cell.replace("−", "-")) for cell in row[6:10])
        assert score == pytest.approx(reliability - resolution + uncertainty + within, abs=0.0021)


def test_calibration_says_how_many_bins_each_row_has(with_levels):
    table = printed_tables(with_levels, Names())["calibration"][0]
    frames = evaluation_frames([with_levels])
    assert cells(table, "Bins") == [str(n) for n in frames["calibration"]["bins"]]
    assert int(cells(table, "Bins")[3]) < 10  # isotonic: few distinct probabilities


def test_isotonic_probabilities_of_0_and_1_have_no_slope(with_levels):
    frame = evaluation_frames([with_levels])["calibration"]
    table = printed_tables(with_levels, Names())["calibration"][0]
    clipped = frame["clipped"].to_numpy() > 0
    assert clipped.any()
    assert [cell.startswith("n/a [") for cell in cells(table, "Slope")] == clipped.tolist()
    assert [cell.startswith("n/a [") for cell in cells(table, "Intercept")] == clipped.tolist()
    assert "0 or 1 and have no logit" in notes(table)


@pytest.mark.parametrize(
    "name", ["roc", "roc_band", "precision_recall", "decision_curve", "interactions", "levels", "calibration"]
)
def test_every_frame_says_who_was_counted(with_levels, name):
    images = with_levels.test.images.assign(view=np.where(np.arange(120) % 3, "CC", "MLO"))
    e = evaluated(dataclasses.replace(with_levels.test, images=images), subgroups=("view",))
    frame = evaluation_frames([e])[name]
    assert {"images", "patients", "malignant"} <= set(frame.columns)
    if name != "levels":
        assert set(frame["images"]) == {120}
        assert set(frame["patients"]) == {e.table.test.patients}


def test_the_bins_of_the_reliability_curve_count_their_patients(with_levels):
    frame = evaluation_frames([with_levels])["reliability"]
    assert (frame["patients"] <= frame["images"]).all()
    part = frame.query("model == 'm0' and recalibration == 'none'").iloc[2]
    score = with_levels.test.scores[:, 0]
    inside = (score >= part["from"]) & (score <= part["to"])
    assert inside.sum() == part["images"]
    assert len(set(with_levels.test.patients[inside])) == part["patients"]


def test_tables_with_frozen_cut_offs_say_who_chose_them(with_levels):
    tables = printed_tables(with_levels, Names())
    for name in ("operating_points", "consequences", "levels", "gee_frozen"):
        for table in tables[name]:
            assert "Validation set, which chose the frozen cut-offs: 120 images" in notes(table), table.title
    assert "which chose" not in notes(tables["gee"][0])


def test_what_was_dropped_stands_below_table_1(tmp_path, both_sets):
    write_evaluation_tables([both_sets], tmp_path, notes=("3 of 123 images lack a score.",))
    assert (tmp_path / "table1.md").read_text().count("3 of 123 images lack a score.") == 2


def test_the_bands_of_net_benefit_lie_inside_their_panels(both_sets):
    figure = decision_figure(both_sets, Names())
    highest = max(np.nanmax(curve.high) for curve in both_sets.decision.values())
    assert figure.axes[0].get_ylim()[1] > highest


# ---- reasons ---------------------------------------------------------------------------------------------------------


def test_models_that_agree_on_one_class_alone_are_not_said_to_decide_alike() -> None:
    """Same calls on benign images, other ones on malignant: a footnote says of which, with the models' titles."""
    made = probabilities(11)
    score = made.scores[:, 0].copy()
    both = dataclasses.replace(made, models=("xception", "inception_v3"), scores=np.column_stack([score, score]))
    both.scores[np.flatnonzero(made.y_true == 1)[:4], 1] = 0.01
    e = evaluated(both)
    table = table1_printed(e.table)
    assert "Xception and Inception-v3 decide identically on the benign images" in notes(table)
    assert "xception" not in notes(table)
    assert "have the same counts of benign images in every patient" in notes(table)


def test_a_recalibration_that_could_not_be_learnt_stays_in_the_table_with_its_reason() -> None:
    test, validation = probabilities(0, models=2), probabilities(1, models=2)
    validation.scores[:, 1] = 0.25 + 0.5 * validation.y_true  # perfect: its likelihood has no maximum
    e = evaluated(test, validation)
    table = printed_tables(e, Names())["calibration"][0]
    assert cells(table, "Recalibration") == ["none", "temperature", "platt", "isotonic"] * 2
    row = table.rows[6]
    assert all(cell.startswith("n/a") for cell in row[2:])
    reason = next(r.result.reason for r in e.calibration if r.model == e.test.models[1] and r.method == "platt")
    assert reason in notes(table)
    frame = evaluation_frames([e])["calibration"]
    assert frame.loc[6, "reason"] == reason
    assert np.isnan(frame.loc[6, "learnt_slope"])


@pytest.mark.parametrize(("name", "readers"), [("overall", ()), ("mean of readers", ("m1",))])
def test_a_model_may_not_have_the_name_of_a_test(name: str, readers: tuple[str, ...]) -> None:
    made = dataclasses.replace(probabilities(0, models=2), models=(name, "m1"))
    with pytest.raises(StatisticsError, match=f"no model may be called '{name}'"):
        evaluated(made, readers=readers)
