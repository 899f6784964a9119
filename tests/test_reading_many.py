"""A table of cases is read to its end: refusals included, killed or not, nothing twice and nothing half."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dicom_samples import breast, dataset, to_bytes
from microcalc.cohort import encode_png
from microcalc.errors import InputError, TableError
from microcalc.reader.case_table import read_cases
from microcalc.reader.journal import open_journal
from microcalc.reader.many import read_many
from microcalc.reader.reader import Reader

COUNT = 6


@pytest.fixture(scope="module")
def reader(planted_alone: Path) -> Reader:
    return Reader.open(planted_alone, runtime="torch-f32")


@pytest.fixture
def table(planted_alone: Path, tmp_path: Path) -> Path:
    """Five squares of the cohort, and a mammogram."""
    squares = sorted((planted_alone.parent / "cohort/rois/malignant").iterdir())[3 : COUNT + 2]
    (tmp_path / "film.dcm").write_bytes(to_bytes(dataset(breast(620, 560))))
    lines = [f"{os.path.relpath(path, tmp_path)},,,{path.stem}" for path in squares]
    (tmp_path / "cases.csv").write_text("\n".join(["path,row,col,id", *lines, "film.dcm,300,200,film", ""]))
    return tmp_path / "cases.csv"


def rows_of(results: Path) -> list[dict[str, str]]:
    with results.open(newline="") as file:
        return list(csv.DictReader(file))


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cases.csv", "film.dcm"}


def test_every_case_has_its_row_with_the_scores_of_a_single_reading(reader: Reader, table: Path):
    out = table.parent / "results.csv"
    done = read_many(reader, read_cases(table), out)
    assert (done.cases, done.refused, done.before) == (COUNT, 0, 0)
    rows = rows_of(out)
    assert [row["id"] for row in rows][-1] == "film"
    assert {row["status"] for row in rows} == {"read"}
    scores = dict(zip(reader.study.test.images["image_id"], reader.study.test.scores[:, 0], strict=True))
    known = [row for row in rows if row["id"] in scores]
    assert known
    for row in known:
        assert float(row["resnet101"]) == float(row["ensemble"]) == pytest.approx(scores[row["id"]], abs=2e-4)
        assert row["called"] == ("malignant" if float(row["ensemble"]) > reader.cutoff else "benign")
    assert (rows[-1]["padded"], rows[-1]["row"]) == ("true", "300")
    assert "padded" in rows[-1]["warnings"].split()
    assert left_in(table.parent) == {"results.csv", "results.csv.json"}
    record = json.loads((table.parent / "results.csv.json").read_text())
    assert record["counts"] == {"read": COUNT, "refused": 0}
    assert "Research use only" in record["research_use"]


def test_what_cannot_be_read_has_a_row_that_says_why(reader: Reader, tmp_path: Path):
    (tmp_path / "film.dcm").write_bytes(to_bytes(dataset(breast(620, 560))))
    (tmp_path / "small.png").write_bytes(encode_png(np.zeros((100, 100), np.uint16)))
    (tmp_path / "letter.txt").write_text("Dear colleague" * 20)
    table = tmp_path / "cases.csv"
    table.write_text("path;row;col\nfilm.dcm;;\nfilm.dcm;9999;3\nsmall.png;;\nletter.txt;1;1\nnowhere.dcm;1;1\n")
    done = read_many(reader, read_cases(table), tmp_path / "results.csv")
    assert (done.cases, done.refused) == (5, 5)
    rows = rows_of(tmp_path / "results.csv")
    assert [row["id"] for row in rows] == ["1", "2", "3", "4", "5"]
    words = ("needs the place", "must lie in its mammogram", "512 rows", "DICOM", "there is no file")
    assert [row["code"] for row in rows] == ["image", "image", "image", "not_dicom", "not_found"]
    for row, word in zip(rows, words, strict=True):
        assert (row["status"], row["ensemble"]) == ("refused", "")
        assert word in row["message"]


class Killed(BaseException):
    """Stands for a kill between two rows."""


def stop_at(count: int):
    def progress(done: int, total: int) -> None:
        assert total == COUNT
        if done == count:
            raise Killed

    return progress


def test_a_run_that_was_stopped_goes_on_and_reads_nothing_twice(reader: Reader, table: Path):
    whole = table.parent / "whole.csv"
    read_many(reader, read_cases(table), whole)
    out = table.parent / "results.csv"
    journal = table.parent / "results.csv.journal"
    with pytest.raises(Killed):
        read_many(reader, read_cases(table), out, progress=stop_at(2))
    assert not out.exists()
    begun = journal.read_bytes()
    journal.write_bytes(begun + b'{"id": "half a r')  # as a kill leaves it
    with pytest.raises(Killed):
        read_many(reader, read_cases(table), out, progress=stop_at(4))
    assert journal.read_bytes().startswith(begun)
    done = read_many(reader, read_cases(table), out)
    assert done.before == 4
    assert out.read_bytes() == whole.read_bytes()
    assert not journal.exists()


def test_finished_results_stay_as_they_are(reader: Reader, table: Path):
    out = table.parent / "results.csv"
    read_many(reader, read_cases(table), out)
    before = out.stat().st_mtime_ns

    def never(done: int, total: int) -> None:
        raise AssertionError("nothing was left to read")

    done = read_many(reader, read_cases(table), out, progress=never)
    assert (done.before, done.refused) == (COUNT, 0)
    assert out.stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["other cases", "other runtime", "edited results"])
def test_results_of_something_else_are_never_overwritten(reader: Reader, table: Path, monkeypatch, change: str):
    out = table.parent / "results.csv"
    read_many(reader, read_cases(table), out)
    if change == "other cases":
        table.write_text(table.read_text().replace("film.dcm,300", "film.dcm,310"))
    elif change == "other runtime":
        monkeypatch.setattr(type(reader), "runtime", "abacus")
    else:
        out.write_text(out.read_text().replace("film", "another"))
    before = out.read_bytes()
    with pytest.raises(InputError, match="results are never overwritten"):
        read_many(reader, read_cases(table), out)
    assert out.read_bytes() == before


def test_a_journal_of_another_table_is_refused(reader: Reader, table: Path):
    out = table.parent / "results.csv"
    with pytest.raises(Killed):
        read_many(reader, read_cases(table), out, progress=stop_at(1))
    table.write_text(table.read_text().replace("film.dcm,300", "film.dcm,310"))
    with pytest.raises(InputError, match=r"same table, study and runtime; cases differ"):
        read_many(reader, read_cases(table), out)


def test_two_processes_do_not_write_the_same_results(reader: Reader, table: Path):
    out = table.parent / "results.csv"

    def second(_done: int, _total: int) -> None:
        read_many(reader, read_cases(table), out)

    with pytest.raises(InputError, match="another process writes these results"):
        read_many(reader, read_cases(table), out, progress=second)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,row\na.png,1\n", "col missing, found path, row"),
        ("path,row,col\n", "at least one row"),
        ("path,row,col\n,1,1\n", "line 2: path must not be empty"),
        ("path,row,col\na.png,1,\n", "line 2: row and col must be numbers, or both empty; found '1' and ''"),
        ("path,row,col\na.png,one,2\n", "found 'one' and '2'"),
        ("path,row,col\na.png,nan,2\n", "found 'nan' and '2'"),
        ("path,row,col,id\na.png,1,2,x\nb.png,1,2,x\n", "line 3: id must be unique; 'x' stands in line 2 too"),
        ("path,row,col,id\na.png,1,2,\n", "line 2: id must not be empty"),
    ],
)
def test_a_table_with_faults_is_refused_before_anything_is_read(tmp_path: Path, text: str, words: str):
    (tmp_path / "cases.csv").write_text(text)
    with pytest.raises(TableError) as caught:
        read_cases(tmp_path / "cases.csv")
    assert words in str(caught.value)


def test_a_row_is_on_the_disk_when_it_is_added(tmp_path: Path):
    with open_journal(tmp_path / "j", {"of": 1}) as journal:
        journal.add({"id": 1})
        assert (tmp_path / "j").read_text().splitlines() == ['{"of": 1}', '{"id": 1}']
    with open_journal(tmp_path / "j", {"of": 1}) as journal:
        assert journal.rows == [{"id": 1}]


COMMAND = """
import sys
import time
from pathlib import Path
import torch
from microcalc.reader.case_table import read_cases
from microcalc.reader.many import read_many
from microcalc.reader.reader import Reader

torch.set_num_threads(1)  # as in the tests: another number changes the last digits
reader = Reader.open(Path(sys.argv[1]), runtime="torch-f32")
cases, out = read_cases(Path(sys.argv[2])), Path(sys.argv[3])
def told(done, total):
    print(done, flush=True)
    time.sleep(0.5)  # so that it is killed here, and not some rows later
read_many(reader, cases, out, progress=told)
"""


@pytest.mark.slow
def test_killed_with_9_again_and_again_it_ends_in_the_same_bytes(reader: Reader, planted_alone: Path, table: Path):
    whole, out = table.parent / "whole.csv", table.parent / "results.csv"
    read_many(reader, read_cases(table), whole)
    for moment in ("1", "3", "4"):
        words = [sys.executable, "-c", COMMAND, str(planted_alone), str(table), str(out)]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert any(line.strip() == moment for line in process.stdout)
            os.kill(process.pid, signal.SIGKILL)
        assert not out.exists()
    assert read_many(reader, read_cases(table), out).before >= 4
    assert out.read_bytes() == whole.read_bytes()
