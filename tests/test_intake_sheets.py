"""Tables as spreadsheet programs write them: columns without a name, merged cells, formulas."""

from pathlib import Path

import pytest

from microcalc.cohort.cells import read_csv_texts
from microcalc.errors import TableError
from microcalc.intake.sheets import read_sheet


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
