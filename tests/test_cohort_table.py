"""The table's contract, its reading and writing, and the cohort folder."""

import datetime as dt
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cohort_samples import cohort, names_in, picture, table
from microcalc import cohort as package
from microcalc.cohort import COLUMNS, CohortWriter, Verdict, read_cohort, sha256_of_file, validate_table
from microcalc.cohort.cells import read_csv_texts
from microcalc.cohort.rows import NUMBER_COLUMNS, check_rows
from microcalc.errors import CohortError, ImageError, MicrocalcError, TableError
from microcalc.vocabulary import Pathology


def raw(**cells: object) -> pd.DataFrame:
    """Two sound rows; ``cells`` replace those of the second."""
    good = {"image_id": "a", "patient_id": "p1", "label": "0"}
    return pd.DataFrame([good, good | {"image_id": "b", "patient_id": "p2"} | cells], dtype=object)


def second(**cells: object) -> pd.Series:
    return validate_table(raw(**cells), source="t.csv").iloc[1]


# ---------------------------------------------------------------------------------------------- rows


def test_a_minimal_table_gets_all_columns_in_order_and_their_types() -> None:
    out = validate_table(raw(), source="t.csv")
    assert tuple(out.columns) == COLUMNS
    assert out["label"].dtype == np.int64
    assert all(out[c].dtype == np.float64 and out[c].isna().all() for c in NUMBER_COLUMNS)
    texts = [c for c in COLUMNS if c not in (*NUMBER_COLUMNS, "label")]
    assert all(isinstance(v, str) for c in texts for v in out[c])


def test_a_validated_table_validates_to_itself() -> None:
    once = validate_table(raw(view="cc", exam_date="20180102", magnification=1.8, padded=True), source="t.csv")
    pd.testing.assert_frame_equal(validate_table(once, source="t.csv"), once)


def test_the_table_given_is_not_changed() -> None:
    given = raw(view="cc")
    before = given.copy(deep=True)
    validate_table(given, source="t.csv")
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    ("column", "given", "expected"),
    [
        ("view", " mlo ", "MLO"),
        ("laterality", "l", "L"),
        ("pathology", "High-Risk", "high_risk"),
        ("split", "Train", "train"),
        ("exam_date", "20180102", "2018-01-02"),
        ("exam_date", pd.Timestamp("2018-01-02 10:30"), "2018-01-02"),
        ("exam_date", dt.date(2018, 1, 2), "2018-01-02"),
        ("patient_id", 12.0, "12"),
        ("patient_id", np.int64(12), "12"),
        ("patient_id", "0012", "0012"),
        ("lesion_id", None, ""),
        ("lesion_id", float("nan"), ""),
        ("lesion_id", pd.NaT, ""),
        ("padded", True, "true"),
        ("padded", "No", "false"),
        ("label", 1.0, 1),
        ("label", "Malignant", 1),
        ("roi_row", "12.5", 12.5),
        ("image_id", "e\u0301", "\u00e9"),
    ],
)
def test_values_are_brought_to_the_contracts_spelling(column: str, given: object, expected: object) -> None:
    assert second(**{column: given})[column] == expected


@pytest.mark.parametrize("pathology", list(Pathology))
def test_the_label_is_derived_from_the_pathology(pathology: Pathology) -> None:
    assert second(label="", pathology=pathology.value)["label"] == pathology.label
    without = raw(pathology=pathology.value).assign(pathology=pathology.value).drop(columns="label")
    assert validate_table(without, source="t.csv")["label"].tolist() == [pathology.label] * 2


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"label": "2"}, "label must be 0 (benign) or 1 (malignant); found '2'"),
        ({"label": ""}, "or pathology be given; both are empty"),
        ({"label": "0", "pathology": "dcis"}, "label must agree with pathology; found label 0 and pathology 'dcis'"),
        (
            {"pathology": "cancer"},
            "pathology must be one of benign, high_risk, dcis, invasive, or empty; found 'cancer'",
        ),
        ({"laterality": "left"}, "laterality must be one of L, R, or empty; found 'left'"),
        (
            {"pathology": "Big Cancer"},
            "pathology must be one of benign, high_risk, dcis, invasive, or empty; found 'Big",
        ),
        ({"laterality": "X"}, "laterality must be one of L, R, or empty; found 'X'"),
        ({"view": "XY"}, "view must be one of CC, MLO"),
        ({"split": "valid"}, "split must be one of train, validation, test, or empty; found 'valid'"),
        (
            {"exam_date": "01/02/2018"},
            "exam_date must be a day of the calendar as YYYY-MM-DD, or empty; found '01/02/2018'",
        ),
        ({"exam_date": "2018-02-30"}, "exam_date must be a day of the calendar"),
        ({"magnification": "0"}, "magnification must be a number above 0, or empty; found '0'"),
        ({"pixel_spacing_mm": "0,05"}, "pixel_spacing_mm must be a number above 0, or empty; found '0,05'"),
        ({"roi_row": "inf"}, "roi_row must be a number, or empty; found 'inf'"),
        ({"padded": "maybe"}, "padded must be true or false, or empty; found 'maybe'"),
        ({"patient_id": " "}, "patient_id must not be empty"),
        ({"image_id": ""}, "image_id must be a safe file name"),
        ({"image_id": "../b"}, "image_id must be a safe file name"),
        ({"image_id": ".b"}, "image_id must be a safe file name"),
        ({"image_id": "b."}, "image_id must be a safe file name"),
        ({"image_id": "con.x"}, "image_id must be a safe file name"),
        ({"image_id": "b" * 129}, "image_id must be a safe file name"),
        ({"image_id": "A"}, "image_id must be unique; 'a' stands in line 2 already, and 'A' differs"),
        ({"site": "x\ny"}, "site must be one line of plain text"),
    ],
)
def test_a_bad_row_is_refused_by_file_line_and_rule(cells: dict[str, object], message: str) -> None:
    with pytest.raises(TableError) as caught:
        validate_table(raw(**cells), source="t.csv")
    assert str(caught.value).startswith("t.csv, line 3: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("image_id", ["b", "1", "b-2.x_y", "b" * 128, "\ud55c\uae001", "console"])
def test_safe_file_names_are_image_ids(image_id: str) -> None:
    assert second(image_id=image_id)["image_id"] == image_id


def test_every_bad_line_is_named_however_many_there_are() -> None:
    rows = table(["p"] * 60, [0, 1] * 30).astype({"label": object})
    rows.loc[[*range(5, 40), 50], "label"] = 7
    with pytest.raises(TableError, match=r"36 rows break the contract") as caught:
        validate_table(rows, source="t.csv")
    assert "line 7: label must be" in str(caught.value)
    assert "and 16 more, in lines 27-41, 52" in str(caught.value)


@pytest.mark.parametrize("column", ["image_id", "patient_id", "label"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(TableError, match=rf"t.csv: a cohort table needs .*\['{column}'\] missing"):
        validate_table(raw().drop(columns=column), source="t.csv")


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(TableError, match="must hold at least one row"):
        validate_table(raw().iloc[:0], source="t.csv")


def test_a_row_with_two_faults_has_two_problems() -> None:
    problems = check_rows(raw(label="x", view="y"), source="t.csv").problems
    assert sorted(p.code for p in problems) == ["label", "view"]
    assert {(p.position, p.line, p.image_id) for p in problems} == {(1, 3, "b")}


# ---------------------------------------------------------------------------------------------- CSV


def csv_file(folder: Path, content: bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(content)
    return path


def test_blank_lines_are_left_out_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    texts = read_csv_texts(csv_file(tmp_path, b'\xef\xbb\xbfa,b\r\n\r\n1,"x\ny"\r\n,\r\n2,z\r\n\r\n'))
    assert list(texts.table.columns) == ["a", "b"]
    assert texts.table.to_numpy().tolist() == [["1", "x\ny"], ["2", "z"]]
    assert texts.lines.tolist() == [3, 6]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_one_of_the_header(tmp_path: Path, delimiter: str) -> None:
    path = csv_file(tmp_path, f"a{delimiter}b\n1{delimiter}2\n".encode())
    assert read_csv_texts(path, delimiters=",;\t").table.to_numpy().tolist() == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must begin with a line of column names"),
        (b"a,b\n1\n", "line 2: a row must have as many cells as the header, 2; it has 1"),
        (b"a,a\n1,2\n", r"line 1: a column may stand in a table once; \['a'\]"),
        ("a\nM\u00fcller\n".encode("latin-1"), "must be UTF-8 text; save it as 'CSV UTF-8'"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "must be a readable CSV file; line 2 or later"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_csv_texts(csv_file(tmp_path, content))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must be a readable CSV file; No such file"):
        read_csv_texts(tmp_path / "none.csv")


# ---------------------------------------------------------------------------------------------- writing


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[{"kind": "test", "n": 2}], synthetic=True) as writer:
        writer.add({"image_id": "b", "patient_id": 7, "label": 1, "view": "cc"}, picture(1))
        writer.add({"image_id": "a", "patient_id": 7, "pathology": "benign"}, picture(2))
        writer.attach("masks/a.png", b"mask")
        writer.reject(Verdict("x.png", False, "bad", "it is bad"))
        writer.record["phantom"] = {"best_auc": 0.95}
    out = read_cohort(tmp_path / "c")
    assert out.table[["image_id", "patient_id", "label", "view"]].to_numpy().tolist() == [
        ["b", "7", 1, "CC"],
        ["a", "7", 0, ""],
    ]
    assert out.image_paths() == [tmp_path / "c/rois/malignant/b.png", tmp_path / "c/rois/benign/a.png"]
    assert out.image_path("a") == tmp_path / "c/rois/benign/a.png"
    assert out.synthetic
    assert out.record["phantom"] == {"best_auc": 0.95}
    assert out.record["counts"] == {"images": 2, "patients": 1, "benign": 1, "malignant": 1, "left_out": 1}
    assert out.record["verdicts"] == [
        {"source": "x.png", "accepted": False, "code": "bad", "message": "it is bad", "image_id": ""}
    ]
    assert out.record["sha256"] == {
        "cohort.csv": sha256_of_file(tmp_path / "c/cohort.csv"),
        "images": {i: sha256_of_file(out.image_path(i)) for i in ("b", "a")},
        "attachments": {"masks/a.png": sha256_of_file(tmp_path / "c/masks/a.png")},
    }
    assert names_in(tmp_path) == ["c"]


def test_an_unknown_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="holds no image 'zz'"):
        cohort(tmp_path / "c").image_path("zz")


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        cohort(tmp_path / name)
    for file in ("cohort.csv", "cohort.json", "rois/benign/i000.png"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def interrupted_writer(folder: Path) -> None:
    with CohortWriter(folder, sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        raise KeyboardInterrupt


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted_writer(tmp_path / "c")
    assert names_in(tmp_path) == []


def test_a_bad_row_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="view must be one of"), CohortWriter(tmp_path / "c", sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0, "view": "?"}, picture())
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": "A", "patient_id": "p", "label": 0}, "image_id must be unique; 'A' was added before"),
        ({"image_id": "../x", "patient_id": "p", "label": 0}, "safe file name"),
        ({"image_id": "x", "patient_id": "p", "label": 5}, "label must be 0"),
        ({"patient_id": "p", "label": 0}, "needs the columns image_id"),
    ],
)
def test_a_row_without_a_place_is_refused_at_once(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        with pytest.raises(TableError, match=message):
            writer.add(row, picture())


def test_pixels_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    row = {"image_id": "a", "patient_id": "p", "label": 0}
    with (
        pytest.raises(ImageError, match="must be 512 x 512; they are 512 x 511"),
        CohortWriter(tmp_path / "c", sources=[]) as w,
    ):
        w.add(row, picture()[:, 1:])
    with (
        pytest.raises(ImageError, match="must be 2-D uint16; they are 2-D float64"),
        CohortWriter(tmp_path / "c", sources=[]) as w,
    ):
        w.add(row, picture().astype(float))  # type: ignore[arg-type]


def test_an_occupied_folder_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c/mine.txt").write_text("mine")
    with (
        pytest.raises(CohortError, match="must be written to a new or empty folder"),
        CohortWriter(tmp_path / "c", sources=[]),
    ):
        pass
    assert (tmp_path / "c/mine.txt").read_text() == "mine"
    assert names_in(tmp_path) == ["c"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert len(cohort(tmp_path / "c").table) == 12


def test_two_writers_of_one_cohort_are_refused(tmp_path: Path) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        with (
            pytest.raises(CohortError, match="another process is writing this cohort"),
            CohortWriter(tmp_path / "c", sources=[]),
        ):
            pass
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
    assert len(read_cohort(tmp_path / "c").table) == 1


@pytest.mark.parametrize("path", ["../x", "/x", "cohort.csv", "rois/benign/x.png", "", "a\\..\\..\\x", ".cache/x"])
def test_an_attachment_stays_in_the_cohort_and_off_its_own_files(tmp_path: Path, path: str) -> None:
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        with pytest.raises(CohortError, match="an attachment must be a new file inside the cohort folder"):
            writer.attach(path, b"")


def writer_with_a_taken_entry(folder: Path) -> None:
    with CohortWriter(folder, sources=[]) as writer:
        writer.add({"image_id": "a", "patient_id": "p", "label": 0}, picture())
        writer.record["counts"] = 5


def test_extra_entries_cannot_replace_the_cohorts_own(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"\['counts'\] are taken"):
        writer_with_a_taken_entry(tmp_path / "c")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full .* nothing half-written is left"),
        (errno.EROFS, "cannot be written .* choose a folder"),
    ],
)
def test_a_full_or_read_only_disk_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    write = Path.write_bytes

    def failing(path: Path, content: bytes) -> int:
        if path.name == "i003.png":
            raise OSError(number, os.strerror(number), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(MicrocalcError, match=message):
        cohort(tmp_path / "c")
    assert names_in(tmp_path) == []


def test_a_killed_writer_leaves_no_cohort_and_the_next_one_cleans_up(tmp_path: Path) -> None:
    script = """
        import itertools, sys
        from pathlib import Path
        from cohort_samples import picture
        from microcalc.cohort import CohortWriter
        with CohortWriter(Path(sys.argv[1]), sources=[]) as writer:
            for k in itertools.count():
                writer.add({"image_id": f"i{k}", "patient_id": "p", "label": 0}, picture())
                print(k, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "c")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parent) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"0\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "c").exists()
    assert (tmp_path / ".c.partial").exists()
    cohort(tmp_path / "c")
    assert names_in(tmp_path) == ["c"]


# ---------------------------------------------------------------------------------------------- reading


def test_a_folder_without_a_cohort_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match=r"must hold cohort\.csv and cohort\.json"):
        read_cohort(tmp_path)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    cohort(tmp_path / "c").image_path("i003").unlink()
    with pytest.raises(CohortError, match=r"1 missing: rois/malignant/i003.png"):
        read_cohort(tmp_path / "c")


def test_an_image_in_the_other_class_is_missing(tmp_path: Path) -> None:
    path = cohort(tmp_path / "c").image_path("i003")
    path.rename(tmp_path / "c/rois/benign/i003.png")
    with pytest.raises(CohortError, match=r"1 missing: rois/malignant/i003.png"):
        read_cohort(tmp_path / "c")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 99}', "reads cohorts of schema 1; this one is of schema 99"),
        ("{}", "of schema None"),
        ("[]", "must be a JSON object; it is a list"),
        ("{", "must be a readable JSON file"),
        ("[" * 100_000, "must be a readable JSON file"),
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    cohort(tmp_path / "c")
    (tmp_path / "c/cohort.json").write_text(content)
    with pytest.raises(CohortError, match=message):
        read_cohort(tmp_path / "c")


def test_a_bad_row_of_a_cohort_is_named_by_its_line_of_the_file(tmp_path: Path) -> None:
    cohort(tmp_path / "c")
    path = tmp_path / "c/cohort.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "", lines[3].replace("i002", "i/2"), *lines[4:]]))
    with pytest.raises(TableError, match=r"cohort.csv, line 5: image_id must be a safe file name"):
        read_cohort(tmp_path / "c")


def test_split_values_may_be_edited_by_hand(tmp_path: Path) -> None:
    rows = cohort(tmp_path / "c").table.assign(split="test")
    rows.to_csv(tmp_path / "c/cohort.csv", index=False)
    assert set(read_cohort(tmp_path / "c").table["split"]) == {"test"}


def test_the_published_names_exist_and_are_sorted() -> None:
    assert all(hasattr(package, name) for name in package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)


def test_the_record_is_plain_json_without_machine_paths(tmp_path: Path) -> None:
    cohort(tmp_path / "c")
    text = (tmp_path / "c/cohort.json").read_text()
    assert json.loads(text)["research_use"].startswith("Research use only")
    assert str(tmp_path) not in text
    assert time.strftime("%Y-") not in text
