import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from microcalc.cli import app
from microcalc.errors import InputError, MicrocalcError, StatisticsError
from stats_reference import CLOSE, FOLDER, made_up

FIXED = {
    "auc": "run model level auc se low high se_clustered low_clustered high_clustered",
    "auc_pairs": "run a b difference low high z p p_holm",
    "auc_overall": "run models chi2 df p reason",
    "gee": "run measure cluster a b df wald_logit p_wald_logit score p_score wald_identity p_wald_identity",
    "operating_points": "run model rule chosen_on cutoff tp fn tn fp",
}
FAST = ["--replicates", "100"]


def call(*arguments):
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    if isinstance(result.exception, MicrocalcError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def wide(seed, *, split="test", models=3):
    made = made_up(seed, images=120, models=models, patients=50)
    columns = {f"m{j}": 1 / (1 + np.exp(-made.scores[:, j])) for j in range(models)}
    table = made.images[["image_id", "patient_id"]].assign(label=made.y_true, split=split, **columns)
    return table.assign(image_id=split + table["image_id"], patient_id=split + table["patient_id"])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """A table with validation and test sets, facts, an ensemble and a reader, evaluated with every option."""
    folder = tmp_path_factory.mktemp("evaluated")
    table = pd.concat([wide(0), wide(1, split="validation")], ignore_index=True)
    table["ensemble"] = table[["m0", "m1", "m2"]].mean(axis=1)
    words = np.array(["2", "3", "4A", "4B", "4C", "5"])
    table["anna"] = words[np.clip((table["m0"] * 6).astype(int), 0, 5)]
    table["view"] = np.where(np.arange(len(table)) % 2, "CC", "MLO")
    table["lesion_id"] = "1"
    table["laterality"] = "L"
    table.to_csv(folder / "scores.csv", index=False)
    output = call(
        folder / "scores.csv", "--out", folder / "out", "--subgroups", "view", "--readers", "anna", "--margin", "0.1",
        "--cutoff", "anna=4A", "--cutoff", "m0=0.5", *FAST,
    )  # fmt: skip
    return folder / "out", output


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    out = tmp_path_factory.mktemp("reference") / "out"
    call(FOLDER / "dataA.csv", "--out", out, *FAST)
    return out / "tables"


@pytest.mark.parametrize("name", FIXED)
def test_files_have_their_fixed_columns_first(evaluated, name):
    columns = list(pd.read_csv(evaluated[0] / "tables" / f"{name}.csv").columns)
    wanted = FIXED[name].split()
    assert columns[: len(wanted)] == wanted


def test_the_files_agree_with_r(reference):
    models = pd.read_csv(FOLDER / "expectedA_models.csv")
    areas = pd.read_csv(reference / "auc.csv").query("level == 'image'")
    np.testing.assert_allclose(areas[["auc", "se", "low", "high"]], models[["auc", "se", "lo", "hi"]], **CLOSE)
    points = pd.read_csv(reference / "operating_points.csv").query("rule == 'youden'")
    np.testing.assert_array_equal(points[["tp", "fn", "tn", "fp"]], models[["TP", "FN", "TN", "FP"]])
    np.testing.assert_array_equal(points["cutoff"], models["cut_gt"])
    pairs, theirs = pd.read_csv(reference / "auc_pairs.csv"), pd.read_csv(FOLDER / "expectedA_delong_pairs.csv")
    np.testing.assert_allclose(pairs[["difference", "z", "p"]], theirs[["diff", "z", "p"]], **CLOSE)
    gee, theirs = pd.read_csv(reference / "gee.csv"), pd.read_csv(FOLDER / "expectedA_gee.csv")
    short = {"sensitivity": "sens", "specificity": "spec", "accuracy": "acc"}
    gee = gee.assign(measure=gee["measure"].replace(short)).fillna({"b": ""})
    both = gee.merge(theirs.fillna({"b": ""}), on=["measure", "cluster", "a", "b"], suffixes=("", "_r"), validate="1:1")
    assert len(both) == len(theirs)
    for statistic in FIXED["gee"].split()[6:]:
        np.testing.assert_allclose(both[statistic], both[f"{statistic}_r"], **CLOSE)


def test_every_table_is_there_as_csv_and_most_as_markdown_and_latex(evaluated):
    tables = evaluated[0] / "tables"
    csv = {p.stem for p in tables.glob("*.csv")}
    assert csv >= {
        "table1", "auc", "auc_pairs", "auc_overall", "gee", "gee_frozen", "operating_points", "consequences",
        "readers", "predictive_values", "levels", "subgroups", "interactions", "roc", "roc_band", "partial_auc",
        "precision_recall", "average_precision", "calibration", "reliability", "decision_curve",
    }  # fmt: skip
    assert {p.stem for p in tables.glob("*.md")} == {p.stem for p in tables.glob("*.tex")}
    assert {"table1", "auc_pairs", "gee", "calibration", "subgroups", "readers"} <= {
        p.stem for p in tables.glob("*.md")
    }


def test_every_printed_table_says_who_was_counted(evaluated):
    for path in (evaluated[0] / "tables").glob("*.md"):
        parts = [part for part in re.split(r"^\*\*", path.read_text(), flags=re.MULTILINE) if part]
        for part in parts:
            assert re.search(r"\d+ (images|patients)", part), f"{path.name}: {part[:80]}"
            assert "malignant" in part


def test_cutoffs_say_where_they_were_chosen(evaluated):
    points = pd.read_csv(evaluated[0] / "tables" / "operating_points.csv")
    assert set(points["chosen_on"]) == {"test", "validation", "given"}
    given = points[points["chosen_on"] == "given"]
    assert dict(zip(given["model"], given["cutoff"], strict=True)) == {"m0": 0.5, "anna": 4.1}
    assert "> 4A" in (evaluated[0] / "tables" / "operating_points.md").read_text()
    page = (evaluated[0] / "report.html").read_text(encoding="utf-8")
    assert "&gt; 4A" in page
    assert "4.100" not in page


def test_recalibration_is_learnt_on_validation_only(evaluated):
    table = pd.read_csv(evaluated[0] / "tables" / "calibration.csv")
    assert set(table.loc[table["model"] == "m0", "recalibration"]) == {"none", "platt", "temperature", "isotonic"}
    assert set(table.loc[table["recalibration"] != "none", "learnt_images"]) == {120}
    assert table.loc[table["model"] == "anna", "reason"].iloc[0].startswith("the scores are not probabilities")


def test_without_validation_nothing_is_recalibrated(reference):
    assert set(pd.read_csv(reference / "calibration.csv")["recalibration"]) == {"none"}
    assert "No recalibration: the table has no validation set" in (reference / "calibration.md").read_text()


def test_figures_are_png_and_pdf(evaluated):
    figures = evaluated[0] / "figures"
    stems = {p.stem for p in figures.glob("*.png")}
    assert stems == {p.stem for p in figures.glob("*.pdf")}
    assert {"precision_recall_scores", "reliability_scores", "decision_curves_scores"} <= stems


def test_the_report_is_one_file_with_all_sections(evaluated):
    page = (evaluated[0] / "report.html").read_text()
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    for title in (
        "Calibration",
        "Decision curves",
        "Subgroups",
        "Readers against models",
        "Lesions, breasts, patients",
    ):
        assert f">{title}</h3>" in page


def test_the_terminal_ends_with_table_1_and_the_files(evaluated):
    out, output = evaluated
    assert "Table 1. Diagnostic performance" in output
    assert output.strip().splitlines()[-1].strip() == str(out / "report.html")
    assert "Research use only" in output


def test_a_run_leaves_its_record(evaluated):
    record = json.loads((evaluated[0] / "evaluation.json").read_text())
    assert record["bootstrap replicates"] == 100
    assert len(record["sha256"]) == 64


def test_the_same_call_gives_the_same_bytes(tmp_path):
    wide(3, models=2).to_csv(tmp_path / "s.csv", index=False)
    for out in ("a", "b"):
        call(tmp_path / "s.csv", "--out", tmp_path / out, *FAST)
    first, second = (sorted(p for p in (tmp_path / out).rglob("*") if p.is_file()) for out in ("a", "b"))
    names = [p.relative_to(tmp_path / "a") for p in first]
    assert names == [p.relative_to(tmp_path / "b") for p in second]
    different = [n for n, p, q in zip(names, first, second, strict=True) if p.read_bytes() != q.read_bytes()]
    assert different == []


def test_a_second_call_replaces_the_first(tmp_path):
    wide(4, models=2).to_csv(tmp_path / "s.csv", index=False)
    call(tmp_path / "s.csv", "--out", tmp_path / "out", *FAST)
    (tmp_path / "out" / "tables" / "old.csv").write_text("x")
    call(tmp_path / "s.csv", "--out", tmp_path / "out", *FAST)
    assert not (tmp_path / "out" / "tables" / "old.csv").exists()
    assert not list((tmp_path / "out").glob(".*"))


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "out" / "tables").mkdir(parents=True)
    wide(5).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="the folder holds tables that `microcalc evaluate` did not make"):
        call(tmp_path / "s.csv", "--out", tmp_path / "out")


def test_one_model_alone_is_evaluated(tmp_path):
    wide(6, models=1).to_csv(tmp_path / "s.csv", index=False)
    call(tmp_path / "s.csv", "--out", tmp_path / "out", *FAST)
    assert not (tmp_path / "out" / "tables" / "auc_pairs.csv").exists()
    overall = pd.read_csv(tmp_path / "out" / "tables" / "auc_overall.csv")
    assert overall["reason"].iloc[0] == "an overall test needs two models"


@pytest.mark.parametrize("kind", ["constant", "perfect", "anti", "one class", "one patient each", "binary calls"])
def test_degenerate_scores_are_answered(tmp_path, kind):
    table = wide(7, models=1)
    changes = {
        "constant": {"other": 0.5},
        "perfect": {"other": table["label"] * 0.5 + 0.2},
        "anti": {"other": 0.9 - table["label"] * 0.5},
        "one class": {"label": 0, "other": table["m0"] / 2},
        "one patient each": {"patient_id": table["image_id"], "other": table["m0"] ** 2},
        "binary calls": {"other": (table["m0"] > 0.6).astype(int)},
    }
    table.assign(**changes[kind]).to_csv(tmp_path / "s.csv", index=False)
    call(tmp_path / "s.csv", "--out", tmp_path / "out", *FAST)
    areas = pd.read_csv(tmp_path / "out" / "tables" / "auc.csv").query("model == 'other' and level == 'image'").iloc[0]
    expected = {"constant": 0.5, "perfect": 1.0, "anti": 0.0}
    if kind in expected:
        assert areas["auc"] == expected[kind]
        assert np.isnan(areas["low"])
        assert isinstance(areas["reason"], str)
    overall = pd.read_csv(tmp_path / "out" / "tables" / "auc_overall.csv").iloc[0]
    if kind in ("constant", "perfect", "anti", "one class"):
        assert np.isnan(overall["p"])
        assert "other" in overall["reason"]
    if kind == "one patient each":  # the same ranks
        pair = pd.read_csv(tmp_path / "out" / "tables" / "auc_pairs.csv").iloc[0]
        assert (pair["difference"], pair["z"], pair["p"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--band", "breast"], "--band must be image or patient; 'breast' came"),
        (["--prevalence", "often"], "--prevalence must be numbers like 0.1,0.2; 'often' came"),
        (["--cutoff", "zoe=3"], "'zoe' is none of them"),
        (["--cutoff", "m0=high"], "a cut-off must be a number; 'high' came"),
        (["--subgroups", "site"], "subgroups need these columns beside the scores: ['site']"),
        (["--readers", "zoe"], "readers must be some of the columns"),
        (["--sensitivity", "95"], "a wanted sensitivity must lie in (0, 1], such as 0.95; 95.0 came"),
    ],
)
def test_options_that_cannot_be_met_are_refused_and_nothing_is_written(tmp_path, options, text):
    wide(8).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(StatisticsError) as caught:
        call(tmp_path / "s.csv", "--out", tmp_path / "out", *options)
    assert text in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_torch_is_needed(tmp_path):
    wide(9, models=2).to_csv(tmp_path / "s.csv", index=False)
    code = (
        "import sys; from microcalc.cli import app\n"
        f"app(['evaluate', {str(tmp_path / 's.csv')!r}, '--out', {str(tmp_path / 'out')!r}, '--replicates', '100'],"
        " standalone_mode=False)\n"
        "assert not {'torch', 'timm', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_one_class_only_says_why_there_is_no_cutoff(tmp_path):
    table = wide(3).assign(label=0)
    table.to_csv(tmp_path / "scores.csv", index=False)
    call(tmp_path / "scores.csv", "--out", tmp_path / "out", *FAST)
    points = pd.read_csv(tmp_path / "out" / "tables" / "operating_points.csv")
    assert set(points["rule"]) == {"youden", "sensitivity>=0.95", "specificity>=0.9"}
    refused = points[points["rule"] != "specificity>=0.9"]
    assert refused["reason"].str.contains("none came|needs both classes").all()
    assert refused["cutoff"].isna().all()
    assert "the denominator is 0" not in (tmp_path / "out" / "tables" / "table1.md").read_text()


@pytest.mark.parametrize("option", [("--confidence", "95"), ("--replicates", "1")])
def test_impossible_settings_are_refused_as_options(tmp_path, option):
    wide(3).to_csv(tmp_path / "scores.csv", index=False)
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path / "scores.csv"), "--out", str(tmp_path / "o"), *option])
    assert result.exit_code == 2
    assert option[0] in result.output
    assert not (tmp_path / "o").exists()


def test_dropped_images_stand_below_table_1_and_in_the_record(tmp_path):
    table = wide(4)
    table.loc[3, "m1"] = np.nan
    table.to_csv(tmp_path / "scores.csv", index=False)
    call(tmp_path / "scores.csv", "--out", tmp_path / "out", "--complete-cases", *FAST)
    said = "1 of 120 images lack a score of at least one model and were dropped for all (complete cases)."
    assert said in (tmp_path / "out" / "tables" / "table1.md").read_text()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["notes"] == [said]


def test_patients_in_both_sets_are_named_on_the_terminal_and_in_no_file(tmp_path):
    table = pd.concat([wide(5), wide(6, split="validation").assign(patient_id="Jane Doe")], ignore_index=True)
    table.loc[0, "patient_id"] = "Jane Doe"
    table.to_csv(tmp_path / "scores.csv", index=False)
    assert "in the test set (Jane Doe)." in call(tmp_path / "scores.csv", "--out", tmp_path / "out", *FAST)
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert any(b"1 patient is in the validation and in the test set." in path.read_bytes() for path in written)
    assert [path.name for path in written if b"Jane Doe" in path.read_bytes()] == []
