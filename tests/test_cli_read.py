"""`microcalc read` as its user calls it: words, JSON, pictures, DICOM, tables, and what it refuses."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dicom_samples import breast, dataset, to_bytes
from microcalc.cli import app
from microcalc.errors import MicrocalcError


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.dcm"
    path.write_bytes(to_bytes(dataset(breast(620, 560))))
    return path


@pytest.fixture(scope="module")
def square(planted_alone: Path) -> Path:
    return sorted((planted_alone.parent / "cohort/rois/malignant").iterdir())[0]


def read(*words: object) -> Result:
    return CliRunner().invoke(app, ["read", *map(str, words), "--runtime", "torch-f32"])


def error_of(*words: object) -> MicrocalcError:
    error = read(*words).exception
    assert isinstance(error, MicrocalcError), error
    return error


def test_a_mammogram_is_told_in_words_with_a_picture(planted_alone: Path, film: Path, tmp_path: Path):
    done = read(planted_alone, film, "--roi", "300,200", "--heatmap", tmp_path / "h.png", "--prevalence", "0.1")
    assert done.exit_code == 0, done.exception
    for words in (
        "read by the study tiny (run lr1e-03; torch f32)",
        "square of 512 pixels around row 300, column 200; filled by reflection",
        "ResNet-101",
        "chosen on the validation set and frozen",
        "on the study's test set (8 images of 4 patients)",
        "where 10 % of such lesions are malignant: PPV",
        "warning: the image is from a device of Maker",
        "Research use only",
        "made:",
    ):
        assert words in done.output
    picture = np.asarray(Image.open(tmp_path / "h.png"))
    assert picture.shape[0] > 512
    assert picture.shape[1] > 2 * 512


def test_json_alone_stands_on_the_output(planted_alone: Path, square: Path):
    record = json.loads(read(planted_alone, square, "--json").output)
    assert set(record["networks"]) == {"resnet101"}
    assert record["roi"] == {"row": 256, "col": 256, "side": 512, "padded": False}
    assert record["image"] == str(square)
    assert "research_use" in record


@pytest.mark.skipif(find_spec("highdicom") is None, reason="pip install 'microcalc[reader]'")
def test_a_report_is_written_with_what_it_refers_to(planted_alone: Path, film: Path, tmp_path: Path):
    from pydicom import dcmread  # noqa: PLC0415

    done = read(planted_alone, film, "--roi", "300,200", "--sr", tmp_path / "r.dcm")
    assert done.exit_code == 0, done.exception
    made = {path.name: dcmread(path) for path in tmp_path.iterdir()}
    assert set(made) == {"r.dcm", "r-presentation.dcm", "r-heatmap.dcm"}
    assert {ds.StudyInstanceUID for ds in made.values()} == {"1.2.3"}
    assert made["r.dcm"].Modality == "SR"
    assert all(name in done.output for name in made)


@pytest.mark.skipif(find_spec("highdicom") is None, reason="pip install 'microcalc[reader]'")
def test_a_file_without_preamble_is_reported_into_a_folder_that_is_made(
    planted_alone: Path, film: Path, tmp_path: Path
):
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(film.read_bytes()[132:])
    done = read(planted_alone, bare, "--roi", "300,200", "--sr", tmp_path / "new/sr/r.dcm", "--heatmap",
                tmp_path / "pictures/h.png")  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert len(list((tmp_path / "new/sr").iterdir())) == 3
    assert (tmp_path / "pictures/h.png").is_file()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(film: Path, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    nowhere = tmp_path / "no study"
    for out, words in ((tmp_path / "file/r.dcm", "cannot be written"), (tmp_path, "must be the name of a file")):
        for option in ("--sr", "--heatmap"):
            assert words in str(error_of(nowhere, film, "--roi", "300,200", option, out))


def test_a_table_is_read_and_refusals_end_in_exit_code_2(planted_alone: Path, film: Path, square: Path, tmp_path: Path):
    (tmp_path / "cases.csv").write_text(f"path,row,col\n{film},300,200\n{square},,\n{film},,\n")
    out = tmp_path / "results.csv"
    done = read(planted_alone, "--table", tmp_path / "cases.csv", "--out", out)
    assert "2 read, 1 refused" in done.output
    assert isinstance(done.exception, MicrocalcError)
    assert done.exception.exit_code == 2
    assert "1 of 3 cases could not be read" in str(done.exception)
    with out.open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["read", "read", "refused"]
    again = read(planted_alone, "--table", tmp_path / "cases.csv", "--out", out)
    assert "3 of them were read before" in again.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "either an image must be given, or a table"),
        (["FILM", "--table", "c.csv", "--out", "r.csv"], "either an image must be given, or a table"),
        (["--table", "c.csv"], "--table and --out belong together"),
        (["FILM", "--out", "r.csv"], "--table and --out belong together"),
        (["--table", "c.csv", "--out", "r.csv", "--json"], "are for one image"),
        (["FILM"], "needs the place of the lesion: --roi ROW,COL"),
        (["FILM", "--roi", "12"], "--roi must be ROW,COL"),
        (["FILM", "--roi", "nan,3"], "--roi must be ROW,COL"),
        (["FILM", "--roi", "9000,3"], "must lie in its mammogram"),
        (["SQUARE", "--roi", "1,2"], "leave --roi away"),
        (["SQUARE", "--sr", "r.dcm"], "belongs to a DICOM image"),
        (["SQUARE", "--heatmap", "h.png", "--heatmap-of", "vgg"], "must be one of ensemble, resnet101; got 'vgg'"),
        (["SQUARE", "--prevalence", "2"], "between 0 and 1"),
        (["nowhere.dcm", "--roi", "1,2"], "there is no file"),
    ],
)
def test_what_does_not_fit_together_is_refused_with_the_way_out(planted_alone, film, square, words, message):
    places = {"FILM": film, "SQUARE": square}
    error = error_of(planted_alone, *(places.get(word, word) for word in words))
    assert message in str(error)
    assert error.exit_code == 2


def test_a_folder_that_is_no_study_is_refused_with_its_own_exit_code(square: Path, tmp_path: Path):
    error = error_of(tmp_path, square)
    assert "must be the folder of a study" in str(error)
    assert error.exit_code == 4
