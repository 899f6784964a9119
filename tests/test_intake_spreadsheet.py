"""Intake of tables: CSV and XLSX, paths, columns, and what is refused."""

import csv
import datetime as dt
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pytest

from cohort_samples import names_in, picture
from microcalc.cohort import Cohort, check_cohort, encode_png, read_roi
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.marks import with_mark
from microcalc.errors import InputError, TableError
from microcalc.intake import IntakeSettings, TableSource, from_table
from microcalc.intake.identifiers import collect_texts

HEADER = ["image_path", "image_id", "patient_id", "label", "exam_date", "view"]
ROWS: list[list[object]] = [
    ["img/a.png", "a", "P1", 0, "2017-03-05", "CC"],
    ["img/b.png", "b", "P1", 0, "2017-03-05", "MLO"],
    ["img/c.png", "c", "P2", 1, "2018-06-07", "CC"],
    ["img/d.png", "d", "P3", 1, "2018-06-08", "CC"],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four images in a folder beside the table that is to come."""
    (tmp_path / "mine/img").mkdir(parents=True)
    for number, name in enumerate("abcd"):
        (tmp_path / f"mine/img/{name}.png").write_bytes(encode_png(picture(number)))
    return tmp_path / "mine"


def written(
    path: Path, rows: Sequence[Sequence[object]] = ROWS, header: Sequence[str] = HEADER, delimiter: str = ","
) -> TableSource:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return TableSource(path)


def workbook(path: Path, rows: Sequence[Sequence[object]] = ROWS, header: Sequence[str] = HEADER) -> TableSource:
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (header, *rows):
        book.active.append(list(row))
    book.save(path)
    return TableSource(path)


def changed(row: int, **cells: object) -> list[list[object]]:
    rows = [list(r) for r in ROWS]
    for column, value in cells.items():
        rows[row][HEADER.index(column)] = value
    return rows


def facts(cohort: Cohort) -> list[list[object]]:
    return cohort.table[["image_id", "patient_id", "label", "exam_date", "view"]].to_numpy().tolist()


EXPECTED = [row[1:] for row in ROWS]


# ---------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_table_becomes_a_cohort(folder: Path, tmp_path: Path, delimiter: str) -> None:
    out = from_table(written(folder / "t.csv", delimiter=delimiter), tmp_path / "c")
    assert facts(out) == EXPECTED
    assert [int(read_roi(p)[0, 1]) for p in out.image_paths()] == [0, 1, 2, 3]
    assert not check_cohort(out.folder).has_errors


def test_a_workbook_becomes_the_same_cohort(folder: Path, tmp_path: Path) -> None:
    rows = [[*r[:4], dt.datetime.fromisoformat(str(r[4])), r[5]] for r in ROWS]
    out = from_table(workbook(folder / "t.xlsx", rows), tmp_path / "c")
    assert facts(out) == EXPECTED


def test_numbers_of_a_workbook_are_names_without_a_decimal_point(folder: Path, tmp_path: Path) -> None:
    out = from_table(workbook(folder / "t.xlsx", changed(0, patient_id=17.0, label=0.0)), tmp_path / "c")
    assert out.table["patient_id"].iloc[0] == "17"


def test_a_sheet_can_be_named(folder: Path, tmp_path: Path) -> None:
    workbook(folder / "t.xlsx")
    book = openpyxl.load_workbook(folder / "t.xlsx")
    book.create_sheet("notes", 0).append(["hello"])
    book.save(folder / "t.xlsx")
    assert facts(from_table(TableSource(folder / "t.xlsx", sheet="Sheet"), tmp_path / "c")) == EXPECTED
    with pytest.raises(TableError, match=r"the sheet must be one of \['notes', 'Sheet'\]; there is no 'x'"):
        from_table(TableSource(folder / "t.xlsx", sheet="x"), tmp_path / "d")
    with pytest.raises(TableError, match="missing: image_path or path or file"):
        from_table(TableSource(folder / "t.xlsx"), tmp_path / "d")


@pytest.mark.parametrize("name", ["Image Path", "PATH", "file", "image-path"])
def test_column_names_may_be_spelled_otherwise(folder: Path, tmp_path: Path, name: str) -> None:
    header = [name, "Image ID", "Patient-ID", "LABEL", "Exam date", "View"]
    assert facts(from_table(written(folder / "t.csv", header=header), tmp_path / "c")) == EXPECTED


def test_images_may_lie_elsewhere(folder: Path, tmp_path: Path) -> None:
    written(tmp_path / "t.csv")
    assert facts(from_table(TableSource(tmp_path / "t.csv", images=folder), tmp_path / "c")) == EXPECTED


def test_paths_may_be_absolute_or_written_as_on_windows(folder: Path, tmp_path: Path) -> None:
    rows = changed(0, image_path=str(folder / "img/a.png"))
    rows[1][0] = "img\\b.png"
    assert facts(from_table(written(folder / "t.csv", rows), tmp_path / "c")) == EXPECTED


def test_the_label_may_come_from_the_pathology(folder: Path, tmp_path: Path) -> None:
    header = ["path", "image_id", "patient_id", "pathology"]
    rows = [[r[0], r[1], r[2], word] for r, word in zip(ROWS, ["benign", "high_risk", "dcis", "invasive"], strict=True)]
    out = from_table(written(folder / "t.csv", rows, header), tmp_path / "c")
    assert out.table["label"].tolist() == [0, 0, 1, 1]


def test_without_identifiers_the_file_names_are_taken(folder: Path, tmp_path: Path) -> None:
    header, rows = [h for h in HEADER if h != "image_id"], [[r[0], *r[2:]] for r in ROWS]
    assert facts(from_table(written(folder / "t.csv", rows, header), tmp_path / "c")) == EXPECTED


def test_columns_that_nothing_reads_are_told(folder: Path, tmp_path: Path) -> None:
    out = from_table(written(folder / "t.csv", [[*r, "x"] for r in ROWS], [*HEADER, "patientid"]), tmp_path / "c")
    entry = out.record["verdicts"]
    assert isinstance(entry, list)
    assert [v["message"] for v in entry] == ["Columns that nothing reads were passed over: patientid"]


def test_empty_rows_and_columns_of_a_workbook_are_passed_over(folder: Path, tmp_path: Path) -> None:
    rows = [*ROWS[:2], [None] * 6, [" "], *ROWS[2:], [None]]
    assert facts(from_table(workbook(folder / "t.xlsx", rows, [*HEADER, None]), tmp_path / "c")) == EXPECTED  # type: ignore[list-item]


def test_fit_keeps_what_the_table_says_of_padding(folder: Path, tmp_path: Path) -> None:
    (folder / "img/a.png").write_bytes(encode_png(picture(side=400)))
    rows = [[*r, "true" if r[1] == "b" else ""] for r in ROWS]
    out = from_table(written(folder / "t.csv", rows, [*HEADER, "padded"]), tmp_path / "c", IntakeSettings(fit=True))
    assert out.table["padded"].tolist() == ["true", "true", "false", "false"]


def test_a_table_of_phantoms_makes_a_synthetic_cohort(folder: Path, tmp_path: Path) -> None:
    assert not from_table(written(folder / "t.csv"), tmp_path / "plain").synthetic
    for path in folder.rglob("*.png"):
        path.write_bytes(with_mark(path.read_bytes()))
    out = from_table(written(folder / "t.csv"), tmp_path / "c")
    assert out.synthetic
    assert out.record["intake"]["synthetic"] == 4  # type: ignore[index]


def test_the_record_names_no_folder_of_the_machine(folder: Path, tmp_path: Path) -> None:
    rows = changed(0, image_path="img/none.png")
    out = from_table(written(folder / "t.csv", rows), tmp_path / "c", IntakeSettings(skip_bad=True))
    assert str(tmp_path) not in json.dumps(out.record)
    assert out.record["sources"] == [{"kind": "table", "name": "t.csv", "sheet": ""}]


# ---------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("row", "cells", "message"),
    [
        (1, {"label": "2"}, "line 3: label must be 0 (benign) or 1 (malignant); found '2'"),
        (2, {"patient_id": ""}, "line 4: patient_id must not be empty"),
        (3, {"exam_date": "5/3/2018"}, "line 5: exam_date must be a day of the calendar as YYYY-MM-DD"),
        (1, {"image_id": "a"}, "line 3: image_id must be unique; 'a' stands in line 2 already"),
        (1, {"image_path": "img/none.png"}, "line 3: the image file must exist; there is no img/none.png"),
        (1, {"image_path": "t.txt"}, "line 3: t.txt: an image must be a PNG, TIFF or JPEG file"),
        (
            1,
            {"image_id": "A"},
            "line 3: image_id must be unique; 'a' stands in line 2 already, and 'A' differs in upper",
        ),
        (1, {"image_path": ""}, "line 3: the image path must not be empty"),
        (1, {"image_path": "img"}, "line 3: the image file must exist; there is no img"),
        (1, {"image_path": "img/a.png"}, "line 3: an image file may stand in a table once; line 2 has it too"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_bad_row_refuses_the_whole_by_its_line(
    folder: Path, tmp_path: Path, kind: str, row: int, cells: dict[str, object], message: str
) -> None:
    make = written if kind == "csv" else workbook
    (folder / "t.txt").write_text("no image")
    with pytest.raises(InputError) as caught:
        from_table(make(folder / f"t.{kind}", changed(row, **cells)), tmp_path / "c")
    assert f"t.{kind}: every image must be usable; 1 of 4 are not:\n  {message}" in str(caught.value)
    assert names_in(tmp_path) == ["mine"]


def test_a_copy_with_another_label_is_refused_by_both_lines(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "img/a.png", folder / "img/c.png")
    with pytest.raises(InputError, match=r"line 2: a picture must stand in one class; line 4 is malignant") as caught:
        from_table(written(folder / "t.csv"), tmp_path / "c")
    assert "line 4: a picture must stand in one class; line 2 is benign" in str(caught.value)


def test_what_cannot_be_printed_is_told_in_signs_that_can(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no 'img/\\x00\.png' in the table's folder") as caught:
        from_table(written(folder / "t.csv", changed(1, image_path="img/\0.png")), tmp_path / "c")
    assert "\0" not in str(caught.value)


def test_bad_rows_and_bad_images_are_named_together_in_order(folder: Path, tmp_path: Path) -> None:
    (folder / "img/a.png").write_bytes(b"")
    rows = changed(2, view="XX", label=5)
    with pytest.raises(InputError, match="2 of 4 are not") as caught:
        from_table(written(folder / "t.csv", rows), tmp_path / "c")
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:4]] == [
        "line 2",
        "line 4",
        "line 4",
    ]


def test_bad_rows_can_be_left_out_with_a_verdict_on_each(folder: Path, tmp_path: Path) -> None:
    (folder / "img/a.png").write_bytes(b"")
    out = from_table(written(folder / "t.csv", changed(2, view="XX")), tmp_path / "c", IntakeSettings(skip_bad=True))
    assert out.table["image_id"].tolist() == ["b", "d"]
    entry = out.record["verdicts"]
    assert isinstance(entry, list)
    assert [(v["source"], v["accepted"], v["code"], v["image_id"]) for v in entry] == [
        ("line 2", False, "bad-image", "a"),
        ("line 4", False, "view", "c"),
    ]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            ["x", *HEADER[1:]],
            r"missing: image_path or path or file; found \['x', 'image_id'",
        ),
        (["path", "file", *HEADER[2:]], r"one column must hold the images' paths; found \['path', 'file'\]"),
        ([*HEADER[:5], "Label"], r"column label must stand in a table once; it is there as \['label', 'Label'\]"),
        (["path", "image_id", "patient", *HEADER[3:]], r"label or pathology; missing: patient_id; found \['path'"),
        (["path", *"abcde"], r"missing: patient_id; label or pathology; found \['path', 'a', .*'e'\]\. Name them"),
    ],
)
def test_a_table_with_wrong_columns_is_refused(folder: Path, tmp_path: Path, header: list[str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        from_table(written(folder / "t.csv", header=header), tmp_path / "c")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.xlsx", b"no workbook", "must be a readable XLSX file"),
        ("t.xlsx", b"", "must be a readable XLSX file"),
        ("t.xls", b"x", "this is the older XLS. Save it as XLSX or as CSV UTF-8"),
        ("t.csv", b"", "must begin with a line of column names"),
        ("t.csv", b"image_path,image_id,patient_id,label\n", "must hold at least one row"),
        ("t.csv", "image_path\nM\u00fcller".encode("cp1252"), "save it as 'CSV UTF-8'"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        from_table(TableSource(tmp_path / name), tmp_path / "c")


def test_a_truncated_workbook_is_refused(folder: Path, tmp_path: Path) -> None:
    path = workbook(folder / "t.xlsx").path
    content = path.read_bytes()
    for length in range(0, len(content), 97):
        path.write_bytes(content[:length])
        with pytest.raises(TableError, match="must be a readable XLSX file"):
            from_table(TableSource(path), tmp_path / "c")


def test_an_empty_sheet_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="must begin with a line of column names"):
        from_table(workbook(folder / "t.xlsx", [], []), tmp_path / "c")


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("t.csv", "t.xlsx"):
        with pytest.raises(TableError, match="No such file"):
            from_table(TableSource(tmp_path / name), tmp_path / "c")


def test_the_source_is_left_as_it_is(folder: Path, tmp_path: Path) -> None:
    source = written(folder / "t.csv")
    before = shutil.copytree(folder, tmp_path / "before")
    from_table(source, tmp_path / "c")
    for path in before.rglob("*.*"):
        assert path.read_bytes() == (folder / path.relative_to(before)).read_bytes()


def test_with_a_key_a_day_that_cannot_be_shifted_is_named_by_its_row(folder: Path, tmp_path: Path):
    source = written(folder / "t.csv", changed(1, exam_date="1900-01-01"))
    with pytest.raises(InputError, match=r"  line 3: an exam must be of 1980-01-01 to 2059-12-31 to be shifted\. Mend"):
        from_table(source, tmp_path / "c", IntakeSettings(key=tmp_path / "k"))
    made = from_table(source, tmp_path / "c", IntakeSettings(key=tmp_path / "k", skip_bad=True))
    assert len(made.table) == 3
    assert len(from_table(source, tmp_path / "open").table) == 4


DESCRIBED = [
    ("Pleomorphic", "clustered"),
    ("vascular", "Grouped"),
    ("spicules near clip", "unknown"),
    ("COARSE", "see Gundula"),
]
"""Morphology and distribution of the four images; the third distribution says nothing, so nothing is lost."""


def described(folder: Path) -> TableSource:
    rows = [[*row, *words] for row, words in zip(ROWS, DESCRIBED, strict=True)]
    return written(folder / "t.csv", rows, [*HEADER, "morphology", "distribution"])


def test_with_a_key_descriptions_come_in_words_of_bi_rads_and_losses_are_told(folder: Path, tmp_path: Path):
    made = from_table(described(folder), tmp_path / "c", IntakeSettings(key=tmp_path / "k"))
    assert made.table[["morphology", "distribution"]].to_numpy().tolist() == [
        ["fine_pleomorphic", "grouped"], ["vascular", "grouped"], ["", ""], ["coarse", ""],
    ]  # fmt: skip
    (told,) = [v for v in made.record["verdicts"] if v["code"] == "free-text"]
    assert told["accepted"]
    assert told["message"].startswith(
        "2 images: a description of the calcifications was left empty (morphology 1, distribution 1)"
    )
    assert f"({', '.join(made.table['image_id'][2:])})" in told["message"]
    for path in (made.folder / "cohort.csv", made.folder / "cohort.json"):
        assert "Gundula" not in path.read_text()


def test_pleomorphic_in_the_table_is_no_disclosure(folder: Path, tmp_path: Path):
    made = from_table(described(folder), tmp_path / "c", IntakeSettings(key=tmp_path / "k"))
    wanted = collect_texts([folder / "t.csv"]).wanted
    assert "see Gundula" in {text.text for text in wanted}
    found = check_cohort(made.folder, contents=False, more=privacy_checks(wanted)).findings
    assert not [f.message for f in found if f.code == "privacy-source"]


def test_without_a_key_descriptions_stay_as_written(folder: Path, tmp_path: Path):
    made = from_table(described(folder), tmp_path / "c")
    assert made.table["morphology"].tolist() == [morphology for morphology, _ in DESCRIBED]
    assert not [v for v in made.record["verdicts"] if v["code"] == "free-text"]
