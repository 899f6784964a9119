import numpy as np
import pandas as pd
import pytest

from microcalc.errors import TableError
from microcalc.intake.scales import read_scores
from microcalc.intake.scores import ScoreColumns, read_facts, read_score_file, test_and_validation
from stats_reference import FOLDER, data_a

WIDE = pd.DataFrame(
    {
        "image_id": ["a", "b", "c", "d"],
        "patient_id": ["p", "p", "q", "r"],
        "label": [0, 1, 0, 1],
        "net": [0.1, 0.9, 0.35, 0.6],
        "reader": ["2", "4C", "3", "5"],
        "view": ["CC", "MLO", "CC", "MLO"],
    }
)


@pytest.fixture
def written(tmp_path):
    def write(table, name="scores.csv"):
        path = tmp_path / name
        if path.suffix == ".xlsx":
            table.to_excel(path, index=False)
        else:
            table.to_csv(path, index=False)
        return path

    return write


def test_the_reference_table_comes_through_to_the_last_digit():
    read = read_score_file(FOLDER / "dataA.csv")
    test, validation = test_and_validation(read, "dataA")
    assert validation is None
    assert test.models == data_a().models
    np.testing.assert_array_equal(test.scores, data_a().scores)
    assert list(test.patients) == list(data_a().patients)


@pytest.mark.parametrize("name", ["scores.csv", "scores.xlsx"])
def test_wide_tables_hold_models_readers_and_facts(written, name):
    read = read_score_file(written(WIDE, name))
    test, _ = test_and_validation(read, "scores")
    assert test.models == ("net", "reader")
    assert test.scores[:, 1].tolist() == [2.0, 4.3, 3.0, 5.0]
    assert read.scales["reader"][4.3] == "4C"
    assert list(test.images["view"]) == ["CC", "MLO", "CC", "MLO"]


def test_columns_may_have_other_names(written):
    other = WIDE.rename(columns={"label": "cancer", "patient_id": "woman", "image_id": "file"})
    read = read_score_file(written(other), ScoreColumns(label="cancer", patient="woman", image="file", models=("net",)))
    test, _ = test_and_validation(read, "scores")
    assert test.models == ("net",)
    assert list(test.patients) == ["p", "p", "q", "r"]


def test_semicolons_and_byte_order_marks_are_read(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("\ufefflabel;net\n0;0.25\n1;0.5\n\n", encoding="utf-8")
    test, _ = test_and_validation(read_score_file(path), "s")
    assert test.scores[:, 0].tolist() == [0.25, 0.5]


def test_without_patients_every_image_is_one_and_a_note_says_so(written):
    read = read_score_file(written(WIDE.drop(columns=["patient_id", "image_id"])))
    assert read.predictions["patient_id"].nunique() == 4
    assert "Name the column with --patient" in read.notes[1]
    assert read.facts["image_id"].tolist()[0] == "row 2"


def test_long_tables_hold_several_runs_and_sets(written):
    rows = [
        {"run": run, "model": model, "image_id": i, "patient_id": i, "split": split, "label": k % 2, "score": 0.1 * k}
        for run in ("1e-4", "1e-5")
        for model in ("a", "b")
        for k, (i, split) in enumerate([("v1", "validation"), ("v2", "validation"), ("t1", "test"), ("t2", "test")])
    ]
    read = read_score_file(written(pd.DataFrame(rows)))
    assert read.runs == ("1e-4", "1e-5")
    test, validation = test_and_validation(read, "1e-5")
    assert test.scores.shape == (2, 2)
    assert list(validation.images["image_id"]) == ["v1", "v2"]


def test_a_long_table_may_mix_networks_and_readers(written):
    rows = [("net", "a", 0, "0.25"), ("net", "b", 1, "0.5"), ("anna", "a", 0, "BI-RADS 3"), ("anna", "b", 1, "4a")]
    table = pd.DataFrame(rows, columns=["model", "image_id", "label", "score"]).assign(patient_id="p")
    read = read_score_file(written(table))
    test, _ = test_and_validation(read, "run")
    assert test.scores.tolist() == [[0.25, 3.0], [0.5, 4.1]]


def test_a_model_that_lacks_images_is_refused_by_name(written):
    holes = WIDE.assign(net=[0.1, None, 0.3, None], other=[0.1, 0.2, 0.3, None])
    with pytest.raises(TableError) as caught:
        read_score_file(written(holes))
    assert "net lacks 2: ['b', 'd']; other lacks 1: ['d']" in str(caught.value)
    assert "--complete-cases" in str(caught.value)


def test_complete_cases_drops_and_counts(written):
    read = read_score_file(written(WIDE.assign(net=[0.1, None, 0.3, 0.6])), complete_cases=True)
    test, _ = test_and_validation(read, "scores")
    assert list(test.images["image_id"]) == ["a", "c", "d"]
    assert read.notes[-1].startswith("1 of 4 images lack a score of at least one model and were dropped")


def test_nothing_left_of_complete_cases_is_refused(written):
    holes = WIDE.assign(net=[0.1, None, 0.3, None], reader=["", "3", "", "3"])
    with pytest.raises(TableError, match="no image is scored by every model, so --complete-cases leaves nothing"):
        read_score_file(written(holes), complete_cases=True)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"label": [0, 2, 0, 1]}, "line 3: label must be 0 (benign) or 1 (malignant); found '2' (1 such rows in all)"),
        ({"label": [0, "", 0, 1]}, "line 3: label must be 0 (benign) or 1 (malignant); found ''"),
        ({"net": [0.1, "inf", 0.2, 0.3]}, "scores must be finite numbers; that of net for image b is infinite"),
        ({"net": [0.1, "high", 0.2, 0.3]}, "column net, line 3: scores must be numbers, BI-RADS categories"),
        ({"reader": ["4", "4A", "3", "5"]}, "BI-RADS 4 cannot be put in order with 4A, 4B and 4C"),
        ({"reader": ["0", "4A", "3", "5"]}, "BI-RADS 0 is no degree of suspicion"),
        ({"image_id": ["a", "b", "a", "c"]}, "line 4: an image may have one row; 'a' is there again"),
        ({"split": ["test", "dev", "test", "test"]}, "split must be train, validation or test; found dev"),
    ],
)
def test_bad_cells_are_named_with_their_line(written, change, text):
    with pytest.raises(TableError) as caught:
        read_score_file(written(WIDE.assign(**change)))
    assert text in str(caught.value)


@pytest.mark.parametrize("long", [False, True])
def test_lines_are_those_of_the_file_also_below_scores_that_are_missing(written, long):
    table = WIDE.assign(net=["", 0.2, 0.3, 0.4], split=["test", "test", "test", "tset"])
    if long:
        table = table.rename(columns={"net": "score"}).assign(model="net").drop(columns="reader")
    with pytest.raises(TableError, match=r"line 5: split must be train, validation or test; found tset$"):
        read_score_file(written(table), complete_cases=True)


@pytest.mark.parametrize("name", ["scores.csv", "scores.xlsx"])
def test_a_column_without_a_name_is_no_model(tmp_path, name):
    """pandas writes its index so; spreadsheets hold remarks."""
    (WIDE.to_excel if name.endswith("xlsx") else WIDE.to_csv)(tmp_path / name)
    read = read_score_file(tmp_path / name)
    test, _ = test_and_validation(read, "scores")
    assert test.models == ("net", "reader")
    assert read.notes[0] == "What stands in (column A) has no name at its top and was passed over."


def test_images_without_a_name_are_called_after_the_lines_of_the_file(tmp_path):
    (tmp_path / "s.csv").write_text("label,net\n0,0.1\n\n1,0.7\n1,0.9\n0,0.3\n")
    read = read_score_file(tmp_path / "s.csv")
    assert list(read.facts["image_id"]) == ["row 2", "row 4", "row 5", "row 6"]


def test_a_model_named_twice_is_refused(written):
    with pytest.raises(TableError, match="a model may be named once; net stands twice in --models"):
        read_score_file(written(WIDE), ScoreColumns(models=("net", "net")))


def test_a_column_that_is_no_model_is_told_how_to_leave_it_out(written):
    with pytest.raises(TableError, match="If hospital is no model, name the models with --models"):
        read_score_file(written(WIDE.assign(hospital=list("abcd"))))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (ScoreColumns(label="cancer"), "there is no column 'cancer'"),
        (ScoreColumns(models=("other",)), "there is no column 'other'"),
    ],
)
def test_named_columns_must_be_there(written, columns, text):
    with pytest.raises(TableError, match=text):
        read_score_file(written(WIDE), columns)


def test_a_table_without_labels_is_told_of_the_option(written):
    with pytest.raises(TableError, match="name it with --label"):
        read_score_file(written(WIDE.drop(columns="label")))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "must be a readable CSV or XLSX file"),
        (b"label,net\n", "at least one row; none came"),
        (b"label,net,net\n0,1,2\n", r"\['net'\] stand there twice"),
        (b"label,net\n0,\xff\xfe\n", "a table must be UTF-8 text"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, content, text):
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    with pytest.raises(TableError, match=text):
        read_score_file(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(TableError, match="No such file"):
        read_score_file(tmp_path / "none.csv")


def test_a_damaged_workbook_is_refused(tmp_path):
    path = tmp_path / "s.xlsx"
    path.write_bytes(b"not a workbook")
    with pytest.raises(TableError, match="a workbook must be a readable XLSX file"):
        read_score_file(path)


def test_a_sheet_that_is_not_there_is_refused(written):
    with pytest.raises(TableError, match=r"the sheet must be one of \['Sheet1'\]; there is no 'other'"):
        read_score_file(written(WIDE, "s.xlsx"), sheet="other")


def test_facts_of_another_table_join_by_image(written, tmp_path):
    facts = pd.DataFrame({"image_id": list("dcba"), "exam_date": "2018-05-06", "site": ["x", "x", "y", "y"]})
    read = read_facts(read_score_file(written(WIDE)), written(facts, "facts.csv"))
    test, _ = test_and_validation(read, "scores")
    assert list(test.images["site"]) == ["y", "y", "x", "x"]
    assert set(test.images["year"]) == {"2018"}


def test_facts_that_lack_images_are_refused(written):
    facts = pd.DataFrame({"image_id": ["a"], "site": ["x"]})
    with pytest.raises(TableError, match=r"3 images of the scores are not in it: \['b', 'c', 'd'\]"):
        read_facts(read_score_file(written(WIDE)), written(facts, "facts.csv"))


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0", "1", "", "1"], [0, 1, np.nan, 1]),
        (["BIRADS-2", "bi-rads 4B", "cat. 5", "3"], [2, 4.2, 5, 3]),
        (["benign", "Malignant", "NA", "benign"], [0, 1, np.nan, 0]),
        (["1e-3", "-2", "+0.5", "7"], [0.001, -2, 0.5, 7]),
    ],
)
def test_scores_are_read_in_every_spelling(texts, values):
    np.testing.assert_array_equal(read_scores(pd.Series(texts), source="x").values, values)


def test_categories_keep_their_order():
    read = read_scores(pd.Series(["5", "4C", "4B", "4A", "3", "2"]), source="x")
    assert (np.diff(read.values) < 0).all()


def test_patients_in_both_sets_are_told(written):
    table = WIDE.assign(split=["test", "validation", "test", "validation"])
    (note,) = read_score_file(written(table)).notes
    assert note.startswith("Warning: 1 patient is in the validation and in the test set (p).")
    assert not read_score_file(written(WIDE.assign(split=["test", "test", "test", "validation"]))).notes
