import numpy as np
import pandas as pd
import pytest

from microcalc.errors import StatisticsError
from microcalc.predictions import ScoreTable
from microcalc.protocol import EvaluationSettings
from microcalc.report.frames import auc_frame, operating_points_frame, table1_frame
from microcalc.report.tables import intervals_printed, p_text, table1_printed, write_table1
from microcalc.stats import Measure, confusion, table1, youden
from microcalc.vocabulary import Split
from stats_reference import data_a, made_up

FAST = EvaluationSettings(bootstrap_replicates=100)


@pytest.fixture(scope="module")
def table_a():
    return table1(data_a(), data_a(), run="1e-4", settings=FAST)


@pytest.fixture
def two_runs():
    return [table1(made_up(s), made_up(s + 10), run=f"run{s}", settings=FAST) for s in (0, 1)]


def test_frozen_cutoffs_come_from_validation_and_are_judged_on_test():
    test, validation = made_up(0), made_up(1)
    point = table1(test, validation, settings=FAST).points_of(Split.VALIDATION)[1]
    own = youden(validation.y_true, validation.scores[:, 1])
    assert point.cutoff == own.cutoff
    assert point.counts == confusion(test.y_true, test.scores[:, 1], own.cutoff)
    assert not point.optimistic


def test_cutoffs_from_test_are_marked_optimistic(table_a):
    assert all(point.optimistic for point in table_a.points_of(Split.TEST))
    assert "optimistic" in table1_printed(table_a).title
    assert "frozen" in table1_printed(table_a, chosen_on=Split.VALIDATION).title


def test_without_validation_there_is_one_choice():
    assert table1(made_up(0), settings=FAST).choices == (Split.TEST,)


def test_other_models_in_validation_are_refused():
    with pytest.raises(StatisticsError, match=r"\['m0', 'm1'\] and \['m0', 'm1', 'm2'\] came"):
        table1(made_up(0), made_up(0, models=3), settings=FAST)


def test_printed_table_has_the_papers_form(table_a):
    printed = table1_printed(table_a, observed=dict(zip(data_a().models, data_a().scores.T, strict=True)))
    assert printed.columns[0:3] == ("Model", "Cut-off", "AUC (95% CI)")
    assert printed.rows[0][:4] == ("ResNet-101", "> 0.162", "0.848 (0.798–0.897)", "75.26 (66.67–83.85)")
    assert printed.rows[6][0] == "p, clusters = images"
    assert printed.rows[6][2] == "<.0001"
    assert "260 images of 145 patients, 97 malignant and 163 benign" in printed.notes[0]


def test_the_networks_alone_have_their_own_p(table_a):
    assert table_a.auc_tests["networks", "image"].p == pytest.approx(0.0181322, rel=1e-5)
    assert any("without the ensemble" in note and "0.0181" in note for note in table1_printed(table_a).notes)


def test_p_is_printed_as_in_the_paper():
    assert [p_text(p) for p in (0.00002, 0.0011, 0.1293, np.nan)] == ["<.0001", "0.0011", "0.1293", "n/a"]


def test_limits_beside_the_table_are_wilsons_and_the_patients(table_a):
    rows = intervals_printed(table_a).rows
    assert rows[0][3] == "73/97"
    assert rows[1][1:4] == ("DeLong; Wilson", "0.848 (0.798–0.897)", "75.3 (65.8–82.8)")
    assert rows[2][1] == "patients"


def test_undefined_numbers_have_a_footnote():
    flat = made_up(0)
    flat = ScoreTable(flat.models, flat.images, flat.y_true, np.ones_like(flat.scores))
    printed = table1_printed(table1(flat, settings=FAST))
    assert printed.rows[0][1:3] == ("all", "0.500 (n/a) [1]")
    assert printed.rows[0][7].startswith("n/a [")
    assert any(note.endswith("n/a: the denominator is 0.") for note in printed.notes)


def test_one_class_only_prints_reasons_and_no_numbers():
    benign = made_up(0)
    benign = ScoreTable(benign.models, benign.images, np.zeros_like(benign.y_true), benign.scores)
    printed = table1_printed(table1(benign, settings=FAST))
    assert all(cell.startswith("n/a") for cell in printed.rows[0][1:])


def test_csv_files_hold_full_precision_and_the_fixed_columns(two_runs, tmp_path):
    paths = write_table1(two_runs, tmp_path / "tables")
    assert [p.name for p in paths] == ["table1.csv", "auc.csv", "operating_points.csv", "table1.md", "table1.tex"]
    areas = pd.read_csv(tmp_path / "tables" / "auc.csv")
    fixed = "run model level auc se low high se_clustered low_clustered high_clustered"
    assert list(areas.columns[:10]) == fixed.split()
    assert areas["auc"][0] == two_runs[0].auc.auc[0]
    points = pd.read_csv(tmp_path / "tables" / "operating_points.csv")
    assert list(points.columns[:9]) == ["run", "model", "rule", "chosen_on", "cutoff", "tp", "fn", "tn", "fp"]
    assert set(points["run"]) == {"run0", "run1"}


def test_every_youden_maximiser_has_a_row():
    table = ScoreTable(
        ("m",),
        pd.DataFrame({"image_id": list("abcd"), "patient_id": list("abcd"), "lesion_id": "", "split": "test"}),
        np.array([0, 0, 1, 1]),
        np.array([[0.1], [0.6], [0.4], [0.8]]),
    )
    frame = operating_points_frame([table1(table, settings=FAST)])
    assert list(frame["cutoff"]) == [0.1, 0.6]
    assert list(frame["used"]) == [True, False]
    assert list(frame["tp"]) == [2, 1]


def test_frames_name_who_was_counted(two_runs):
    for frame in (table1_frame(two_runs), auc_frame(two_runs), operating_points_frame(two_runs)):
        assert set(frame["images"]) == {60}
        assert {"patients", "malignant", "benign"} <= set(frame.columns)


def test_bootstrap_and_robust_limits_are_wider_than_the_estimate_is_far(table_a):
    fraction = table_a.points_of(Split.TEST)[0].fractions[Measure.SENSITIVITY]
    for limits in (fraction.wald, fraction.wilson, fraction.clopper_pearson, fraction.robust, fraction.bootstrap):
        assert limits.low < fraction.estimate < limits.high


def test_printed_table_in_every_form(table_a):
    printed = table1_printed(table_a)
    assert printed.to_markdown().count("\n|") >= 9
    assert r"ResNet-101 & \textgreater{} 0.161887 & 0.848 (0.798--0.897)" in printed.to_tex()
    assert '<th scope="row">ResNet-101</th><td>&gt; 0.161887</td>' in printed.to_html()
    assert "ResNet-101            " in printed.to_text()


def test_a_title_with_signs_cannot_break_out_of_html_or_latex(table_a):
    printed = table1_printed(table_a, titles={"resnet101": "<b>50%_&"})
    assert "&lt;b&gt;50%_&amp;" in printed.to_html()
    assert r"\textless{}b\textgreater{}50\%\_\&" in printed.to_tex()
