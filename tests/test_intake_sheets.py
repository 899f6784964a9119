"""Tables as spreadsheet programs write them: columns without a name, merged cells, formulas."""

import re
import zipfile
from pathlib import Path

import pytest

from microcalc.cohort.cells import read_csv_texts
from microcalc.errors import TableError
from microcalc.intake.sheets import read_sheet, workbook_rows


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def workbook(path: Path, *rows: list[object]) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def merged(path: Path, rows: list[list[object]], *areas: str) -> Path:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for area in areas:
        book.active.merge_cells(area)
    book.save(path)
    return path


def test_columns_with_neither_name_nor_content_are_left_out(tmp_path: Path):
    path = written(tmp_path / "t.csv", "a;b;;", "1;2;;", "3;4; ;")
    for table in (read_sheet(path), read_csv_texts(path, delimiters=";").table):
        assert table.columns.tolist() == ["a", "b"]
        assert table.to_numpy().tolist() == [["1", "2"], ["3", "4"]]


def test_columns_with_content_alone_are_named_by_their_letter(tmp_path: Path):
    path = workbook(tmp_path / "t.xlsx", ["a", None, None, None, "b"], ["1", "x", None, None, "2"], ["", "", "", "y"])
    assert read_sheet(path).columns.tolist() == ["a", "(column B)", "(column D)", "b"]
    wide = written(tmp_path / "t.csv", ",".join([*(f"c{k}" for k in range(26)), "", "z"]), ",".join("1" * 28))
    assert read_sheet(wide).columns[26] == "(column AA)"


def test_a_name_that_stands_twice_is_refused(tmp_path: Path):
    path = written(tmp_path / "t.csv", "a,b,a,", "1,2,3,")
    with pytest.raises(TableError, match=r"line 1: a column may stand in a table once; \['a'\] stand there twice"):
        read_sheet(path)
    with pytest.raises(TableError, match="stand there twice"):
        read_csv_texts(path)


ROWS: list[list[object]] = [["id", "mass", "dx"], ["1", "no", "ADH"], ["2", "yes", "IDC"], ["3", None, None]]


LEGEND: list[list[object]] = [[], ["a legend", None, None, "=1+1"], [], [None, None, None, "x"], []]


def test_a_merged_cell_has_its_value_in_each_of_its_rows(tmp_path: Path):
    path = merged(tmp_path / "t.xlsx", ROWS, "B3:B4", "C3:C4")
    assert read_sheet(path).to_numpy().tolist() == [["1", "no", "ADH"], ["2", "yes", "IDC"], ["3", "yes", "IDC"]]
    assert workbook_rows(path)[3] == ("3",)


def test_cells_that_are_merged_beyond_the_last_row_make_no_rows(tmp_path: Path):
    rows = [*ROWS, [None, None, None, "under no name"], [None, None, None]]
    path = merged(tmp_path / "t.xlsx", rows, "B3:B200", "C3:C40")
    assert read_sheet(path).to_numpy().tolist() == [["1", "no", "ADH"], ["2", "yes", "IDC"], ["3", "yes", "IDC"]]


def test_merged_cells_across_columns_or_with_the_header_are_refused_by_name(tmp_path: Path):
    path = merged(tmp_path / "t.xlsx", ROWS, "B2:C2", "A1:B1")
    with pytest.raises(TableError, match="must lie in one column, below the column names; others: B2:C2, A1:B1"):
        read_sheet(path)


def test_a_merged_line_of_text_below_the_table_hides_nothing(tmp_path: Path):
    path = merged(tmp_path / "t.xlsx", [*ROWS, ["a note"], [None, None, "x"]], "A5:C5", "A6:B6")
    assert read_sheet(path).to_numpy().tolist()[3:] == [["a note", "", ""], ["", "", "x"]]


def test_merged_cells_and_formulas_beside_the_table_are_of_no_concern(tmp_path: Path):
    rows = [*ROWS, [None, "=COUNTA(A2:A4)"]]
    rows = [[*row, None, None, None, None][:5] + more for row, more in zip(rows, LEGEND, strict=True)]
    path = merged(tmp_path / "t.xlsx", rows, "F2:H4", "D2:E3")
    assert read_sheet(path).to_numpy().tolist()[2] == ["3", "", ""]


def test_a_line_of_totals_in_the_last_row_is_read_as_it_stands(tmp_path: Path):
    path = merged(tmp_path / "t.xlsx", [[*ROWS[0], "n"], *ROWS[1:], ["total", None, None, 3]], "A5:C5")
    assert read_sheet(path).to_numpy().tolist()[3] == ["total", "", "", "3"]
    path = merged(tmp_path / "t.xlsx", [*ROWS[:3], ["3", None, "UDH"], ["4", "no", "UDH"]], "A4:B4")
    with pytest.raises(TableError, match="others: A4:B4"):
        read_sheet(path)


def test_only_columns_that_are_needed_must_show_all(tmp_path: Path):
    rows: list[list[object]] = [["id", "mass", "remarks", None], ["1", "no", "=1+1", "x"], ["2", "no", "see", "y"]]
    path = merged(tmp_path / "t.xlsx", [*rows, ["3", "no", "a", "b"]], "C1:D1", "C3:D3")
    assert read_sheet(path, needed={"id", "mass"}.__contains__)["mass"].tolist() == ["no", "no", "no"]
    with pytest.raises(TableError, match="without one: C2"):
        read_sheet(path)
    path = merged(tmp_path / "t.xlsx", [rows[0], rows[2]], "C1:D1")
    with pytest.raises(TableError, match="others: C1:D1"):
        read_sheet(path)
    path = merged(tmp_path / "t.xlsx", [rows[0], rows[2]], "B2:C2")
    with pytest.raises(TableError, match="others: B2:C2"):
        read_sheet(path, needed={"remarks"}.__contains__)
    unnamed = merged(tmp_path / "t.xlsx", [["id", "mass", None, "dx"], ["1", "no", "x", "ADH"]], "B2:C2")
    assert read_sheet(unnamed, needed={"mass", "dx"}.__contains__)["mass"].tolist() == ["no"]
    with pytest.raises(TableError, match="others: B2:C2"):
        read_sheet(unnamed, needed={"(column C)"}.__contains__)


def test_rows_that_are_formulas_alone_are_not_lost(tmp_path: Path):
    path = workbook(tmp_path / "t.xlsx", ["id", "mass"], ["1", "no"], ["=A2+1", "=B2"])
    with pytest.raises(TableError, match="without one: A3, B3"):
        read_sheet(path)
    path = workbook(tmp_path / "t.xlsx", ["id"], ["1"], ["=A2+1"])
    with pytest.raises(TableError, match="without one: A3"):
        read_sheet(path)


def test_a_formula_that_was_never_calculated_is_refused_by_name(tmp_path: Path):
    path = workbook(tmp_path / "t.xlsx", ["id", "mass"], ["1", '=IF(1=1,"yes","no")'], ["2", "no"])
    with pytest.raises(
        TableError, match=r"a formula must have its value in the file; without one: B2\. Open the workbook"
    ):
        read_sheet(path)
    assert workbook_rows(path)[1] == ("1", None)


@pytest.mark.parametrize("kind", ["str", "n"])
def test_a_formula_whose_value_is_empty_text_is_an_empty_cell(tmp_path: Path, kind: str):
    path = workbook(tmp_path / "raw.xlsx", ["id", "mass"], ["1", '=IF(1=1,"","no")'])
    calculated = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(calculated, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'<c r="B2">', f'<c r="B2" t="{kind}">'.encode()))
    if kind == "str":
        assert read_sheet(calculated).to_numpy().tolist() == [["1", ""]]
    else:
        with pytest.raises(TableError, match="without one: B2"):
            read_sheet(calculated)


def test_values_of_calculated_formulas_are_read(tmp_path: Path):
    path = workbook(tmp_path / "raw.xlsx", ["id", "mass"], ["1", "=1+1"])
    calculated = tmp_path / "t.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(calculated, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"(</f>)<v ?/>|(</f>)<v></v>", rb"</f><v>2</v>", old.read(name)))
    assert read_sheet(calculated).to_numpy().tolist() == [["1", "2"]]
