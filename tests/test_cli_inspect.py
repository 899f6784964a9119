"""`microcalc cohort inspect`: verdicts of files and folders, in order, whatever they hold."""

import json
import os
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dicom_samples import dataset, to_bytes, written
from microcalc import RESEARCH_USE
from microcalc.cli import inspect as command
from microcalc.cli.cohorts import app
from microcalc.errors import InputError
from microcalc.intake.dicom import ReadOptions, Refusal, Verdict, files
from microcalc.intake.dicom.files import dicom_files, inspect_files


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["inspect", *[str(a) for a in arguments]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two mammograms, one raw one, and a text, in two folders."""
    (tmp_path / "in/b").mkdir(parents=True)
    written(tmp_path / "in/a.dcm", to_bytes(dataset()))
    written(tmp_path / "in/b/c.dcm", to_bytes(dataset(ImageLaterality="R", ImagerPixelSpacing=[0.07, 0.07])))
    written(tmp_path / "in/b/d.dcm", to_bytes(dataset(PresentationIntentType="FOR PROCESSING")))
    written(tmp_path / "in/e.txt", b"no DICOM")
    return tmp_path / "in"


def test_each_file_has_a_line_and_each_verdict_a_count(folder):
    out = run(folder, "--processes", 1)
    assert out.exit_code == 0
    lines = out.output.splitlines()
    assert lines[0] == f"verdicts on the DICOM files in {folder}"
    assert lines[1].startswith(f"{folder}/a.dcm: accepted: L CC, 96 x 64, unknown mm; scale_unknown")
    assert lines[2].startswith(f"{folder}/b/c.dcm: accepted: R CC, 96 x 64, 0.0700 mm; scale_uncorrected")
    assert lines[3].startswith(f"{folder}/b/d.dcm: for_processing: ")
    assert lines[4].startswith(f"{folder}/e.txt: not_dicom: ")
    assert "4 files: 2 accepted" in lines
    assert any(line.split() == ["1", "not_dicom:", "the", "file", "is", "not", "DICOM"] for line in lines)
    assert RESEARCH_USE in lines


def test_the_json_is_a_list_of_all_verdicts(folder, tmp_path):
    out = run(folder, folder / "a.dcm", "--processes", 1, "--json", tmp_path / "v.json")
    records = json.loads((tmp_path / "v.json").read_text())
    assert [Path(r["path"]).name for r in records] == ["a.dcm", "c.dcm", "d.dcm", "e.txt", "a.dcm"]
    assert [r["accepted"] for r in records] == [True, True, False, False, True]
    assert records[0]["pixel_spacing_mm"] is None
    assert out.output.endswith(f"made:\n  {tmp_path / 'v.json'}\n")


def test_two_processes_give_what_one_gives(folder):
    alone = list(inspect_files([folder], processes=1))
    assert list(inspect_files([folder], processes=2)) == alone


def test_a_path_that_is_not_there_ends_the_command_before_it_begins(folder):
    out = run(folder, folder / "none")
    assert isinstance(out.exception, InputError)
    assert out.exception.exit_code == 2
    assert "accepted" not in out.output


def test_options_reach_the_reading(folder):
    out = run(folder / "b/d.dcm", "--processes", 1, "--for-processing")
    assert "1 files: 1 accepted" in out.output
    assert "for_processing_accepted" in out.output
    assert "too_large" in run(folder / "a.dcm", "--processes", 1, "--largest-pixels", 10).output


def test_on_a_terminal_there_is_a_table(folder, monkeypatch):
    monkeypatch.setattr(command, "_is_terminal", lambda: True)
    out = run(folder, "--processes", 1)
    assert out.exit_code == 0
    assert "verdict" in out.output
    assert "for_processing" in out.output


def test_folders_that_lead_back_into_themselves_are_named_once(folder):
    (folder / "b/up").symlink_to(folder)
    (folder / "again").symlink_to(folder / "b")
    (folder / "nothing").symlink_to(folder / "gone")
    (folder / "self").symlink_to(folder / "self")
    found = list(dicom_files([folder]))
    assert [Path(p).name for p in found if isinstance(p, Path)] == [
        "a.dcm",
        "c.dcm",
        "d.dcm",
        "e.txt",
        "nothing",
        "self",
    ]
    (loop,) = [r for r in found if isinstance(r, Refusal)]
    assert loop.code is Verdict.SYMLINK_LOOP
    codes = [r["code"] for r in inspect_files([folder], processes=1)]
    assert codes.count("symlink_loop") == 2  # the folder, and the link to itself
    assert "not_found" in codes


def test_a_deep_tree_is_walked(tmp_path):
    place = tmp_path
    for _ in range(300):
        place = place / "d"
        place.mkdir()
    written(place / "x", b"")
    assert len(list(dicom_files([tmp_path]))) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    (refusal,) = dicom_files([tmp_path])
    assert isinstance(refusal, Refusal)
    assert refusal.code is Verdict.UNREADABLE


def dying(item: Path | Refusal, options: ReadOptions) -> files.Record:
    """Stands for a codec that brings its process down."""
    if "killer" in str(item):
        os.kill(os.getpid(), signal.SIGKILL)
    return files.record_of(item, options)


def test_a_file_that_kills_its_process_is_left_out_and_the_others_are_read(tmp_path, monkeypatch):
    written(tmp_path / "a.dcm", to_bytes(dataset()))
    written(tmp_path / "killer.dcm", b"x")
    monkeypatch.setattr(files, "record_of", dying)
    records = list(inspect_files([tmp_path], processes=2))
    assert [(Path(str(r["path"])).name, r["code"]) for r in records] == [
        ("a.dcm", "accepted"), ("killer.dcm", "reader_died"),
    ]  # fmt: skip


def test_names_that_steer_a_terminal_are_printed_harmless(tmp_path):
    written(tmp_path / "a\x1b[31m.dcm", b"x")
    assert "\x1b" not in run(tmp_path, "--processes", 1).output
