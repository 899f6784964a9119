"""``microcalc pacs``, run in process against a real Orthanc."""

import io
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from digital_mammogram import digital_mammogram
from microcalc import RESEARCH_USE
from microcalc.cli import app
from microcalc.errors import InputError, PacsError, ProtocolError
from pacs_clients import settings_of
from report_readings import finding, objects_of
from services import Orthanc

SOURCE = digital_mammogram(300, 250, number=91)
RUN = CliRunner()


@pytest.fixture(params=["dicomweb", "get"])
def pacs_file(request: pytest.FixtureRequest, pacs_server: Orthanc, tmp_path: Path) -> Path:
    buffer = io.BytesIO()
    SOURCE.save_as(buffer, enforce_file_format=True)
    pacs_server.put(buffer.getvalue())
    path = tmp_path / "pacs.yaml"
    path.write_text(yaml.safe_dump(settings_of(pacs_server, request.param)))
    return path


def run(*words: object) -> str:
    result = RUN.invoke(app, ["pacs", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_echo_says_who_answers(pacs_file: Path):
    assert "answers" in run("echo", "--pacs", pacs_file)


def test_find_lists_studies(pacs_file: Path):
    lines = run("find", "--patient", "P91", "--pacs", pacs_file).splitlines()
    assert lines[0].split("\t")[:4] == [SOURCE.StudyInstanceUID, "20190304", "P91", "Müller^Ottilie"]
    assert lines[-1] == "1 study"


def test_fetch_makes_files(pacs_file: Path, tmp_path: Path):
    out = tmp_path / "new" / "folder"
    text = run("fetch", SOURCE.StudyInstanceUID, "--out", out, "--pacs", pacs_file)
    assert text == f"Made: {out / SOURCE.SOPInstanceUID}.dcm\n"
    assert [path.name for path in out.iterdir()] == [f"{SOURCE.SOPInstanceUID}.dcm"]


def test_fetching_a_study_that_is_not_there_fails(pacs_file: Path, tmp_path: Path):
    with pytest.raises(PacsError, match="the PACS has none of it"):
        run("fetch", "1.2.3.4", "--out", tmp_path, "--pacs", pacs_file)


def test_send_stores_files(pacs_file: Path, pacs_server: Orthanc, tmp_path: Path):
    paths, objects = [], objects_of(SOURCE, finding(100, 100, side=64, reading_id=str(pacs_file)))
    for made in objects:
        path = tmp_path / f"{made.Modality}.dcm"
        made.save_as(path, enforce_file_format=True)
        paths.append(path)
    text = run("send", *paths, "--pacs", pacs_file)
    assert text.count("the PACS has it") == 3
    assert (
        objects_of(SOURCE, finding(100, 100, side=64, reading_id=str(pacs_file)))[0].SOPInstanceUID
        in pacs_server.held()
    )


def test_sending_what_is_no_dicom_fails_before_anything_is_sent(tmp_path: Path, pacs_file: Path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear colleague")
    with pytest.raises(InputError, match=r"letter\.txt: must be a DICOM file, 128 bytes and then DICM"):
        run("send", path, "--pacs", pacs_file)


def test_a_missing_file_of_settings_is_named(tmp_path: Path):
    with pytest.raises(ProtocolError, match=r"none\.yaml"):
        run("echo", "--pacs", tmp_path / "none.yaml")


def test_the_help_says_research_use():
    assert " ".join(RESEARCH_USE.split()) in " ".join(run("--help").replace("│", " ").split())
