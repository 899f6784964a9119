"""Identifiers planted in every text element of a hospital's files, nested and private too: none reaches the cohort."""

import warnings
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

import pydicom
from typer.testing import CliRunner

from dicom_folders import exam, sheet
from dicom_plants import plant
from microcalc.cli import cohort as commands
from microcalc.cohort import Cohort, check_cohort
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.search import passages
from microcalc.intake.column_map import ColumnMap
from microcalc.intake.from_dicom import DicomSource, from_dicom, plan_from_dicom
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.identifiers import CARRIED_ELEMENTS, collect_texts
from microcalc.intake.join_report import join_lines

HEADER = "pid,date,side,view,y,x,dx,site,note"
ROWS = [
    f"{pid},{day},{side},CC,350,300,{dx},North Hospital,Frau Zwillinger {pid} rief am 0170-5551234 an"
    for pid, day, side, dx in (
        ("Zwillinger-1", "2018-03-05", "L", "IDC"),
        ("Zwillinger-2", "2017-01-02", "R", "Fibrocystic change"),
        ("Zwillinger-3", "2019-09-09", "L", "DCIS"),
        ("Zwillinger-4", "2016-09-09", "L", "Fibrocystic change"),
        ("Zwillinger-5", "2016-10-09", "L", "Fibrocystic change"),
    )
]
COLUMNS = {
    "patient_id": "pid", "exam_date": "date", "laterality": "side", "view": "view", "roi_row": "y", "roi_col": "x",
    "pathology": "dx", "site": "site",
}  # fmt: skip
MAP = ColumnMap.model_validate({"columns": COLUMNS})


def planted_exam(folder: Path, row: str) -> dict[str, str]:
    """One file of the exam in this row of the spreadsheet, with plants wherever its own elements are not."""
    pid, day, side, *_ = row.split(",")
    (path,) = exam(folder, pid, day.replace("-", ""), [f"{side} CC"], name=f"Zwillinger_Ottilie_{pid}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        refusing = {"SpecificCharacterSet", "BurnedInAnnotation", "LossyImageCompression", "PixelPaddingValue"}
        carried = {pydicom.datadict.keyword_for_tag(tag) for tag in CARRIED_ELEMENTS}
        plants = plant(dataset, leave=frozenset({*dataset.dir(), *refusing, *carried}))
        dataset.save_as(path)
    return plants


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    root = tmp_path_factory.mktemp("hospital")
    plants: dict[str, str] = {}
    for row in ROWS[:4]:  # the fifth has no file
        plants |= planted_exam(root / "dicom", row)
    (root / "dicom/Zwillinger_Hedwig.dcm").write_bytes(b"not DICOM at all")
    sheet(root / "Zwillinger.csv", HEADER, *ROWS)
    return root, plants


@pytest.fixture(scope="module")
def cohort(source: tuple[Path, dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    root, _ = source
    out = tmp_path_factory.mktemp("made")
    what = DicomSource(root / "dicom", root / "Zwillinger.csv", MAP)
    settings = HarvestSettings(key=out / "study.key", skip_bad=True)
    return from_dicom(what, plan_from_dicom(what), out / "cohort", settings)


def test_none_of_the_plants_is_in_any_byte_of_the_cohort(source: tuple[Path, dict[str, str]], cohort: Cohort) -> None:
    assert len(cohort.table) == 4
    everything = b"\n".join(p.content for p in passages(cohort.folder)).lower()
    plants = {*source[1].values(), "Zwillinger", "Ottilie", "Hedwig", "North Hospital", "5551234", "20180305"}
    assert len(plants) > 150
    for value in plants:  # a plain search, independent of the one that is tested
        for encoding in ("utf-8", "utf-16-le"):
            assert value.lower().encode(encoding) not in everything, value


def test_free_text_of_the_spreadsheet_stays_out_of_a_cohort_with_a_key(tmp_path: Path) -> None:
    rows = []
    for number, (morphology, result) in enumerate(
        [("granular (bx of 2019.03.04 pt Zwetschgenbaum)", "DCIS"), ("Vascular", "Fibrocystic change")]
    ):
        exam(tmp_path / "dicom", f"Q{number}", "20180305", ["L CC"])
        rows.append(f"Q{number},2018-03-05,L,CC,350,300,{result},{morphology},see Gundula Pfefferkorn")
    sheet(tmp_path / "l.csv", "pid,date,side,view,y,x,dx,form,spread", *rows)
    columns = {**COLUMNS, "morphology": "form", "distribution": "spread"}
    del columns["site"]
    what = DicomSource(tmp_path / "dicom", tmp_path / "l.csv", ColumnMap.model_validate({"columns": columns}))
    made = from_dicom(what, plan_from_dicom(what), tmp_path / "c", HarvestSettings(key=tmp_path / "k"))
    assert made.table[["morphology", "distribution"]].to_numpy().tolist() == [["", ""], ["vascular", ""]]
    told = [str(v["message"]) for v in made.record["verdicts"] if v["code"] == "free-text"]
    assert len(told) == 1
    assert told[0].startswith(
        "2 images: a description of the calcifications was left empty (morphology 1, distribution 2)"
    )
    assert f"({', '.join(made.table['image_id'])})" in told[0]
    wanted = collect_texts([tmp_path / "dicom", tmp_path / "l.csv"]).wanted
    audit = check_cohort(made.folder, contents=False, more=privacy_checks(wanted))
    assert not [f for f in audit.findings if f.severity == "error" and f.code.startswith("privacy-")]
    bare = from_dicom(what, plan_from_dicom(what), tmp_path / "bare", HarvestSettings())
    audit = check_cohort(bare.folder, contents=False, more=privacy_checks())
    assert {"privacy-free-text", "privacy-date"} <= {finding.code for finding in audit.findings}


DESCRIBED = [
    ("punctate and amorphous", "grouped calcifications"), ("amorphous calcifications", "linear distribution"),
    ("무정형", "군집"), ("fine pleomorphic", "clip"), ("like a worm", "grouped"),
]  # fmt: skip


def described(folder: Path, words: dict[str, dict[str, str]] | None = None) -> DicomSource:
    rows = []
    for number, (morphology, distribution) in enumerate(DESCRIBED):
        exam(folder / "dicom", f"Q{number}", "20180305", ["L CC"])
        rows.append(f"Q{number},2018-03-05,L,CC,350,300,{('DCIS', 'ADH')[number % 2]},{morphology},{distribution}")
    sheet(folder / "l.csv", "pid,date,side,view,y,x,dx,form,spread", *rows)
    columns = {**COLUMNS, "morphology": "form", "distribution": "spread"}
    del columns["site"]
    column_map = ColumnMap.model_validate({"columns": columns, "words": words or {}})
    return DicomSource(folder / "dicom", folder / "l.csv", column_map)


def test_descriptions_in_words_of_bi_rads_are_kept_with_a_key(tmp_path: Path) -> None:
    what = described(tmp_path)
    made = from_dicom(what, plan_from_dicom(what), tmp_path / "c", HarvestSettings(key=tmp_path / "k"))
    assert made.table[["morphology", "distribution"]].to_numpy().tolist() == [
        ["amorphous", "grouped"], ["amorphous", "linear"], ["amorphous", "grouped"],
        ["fine_pleomorphic", ""], ["", "grouped"],
    ]  # fmt: skip
    (told,) = [str(v["message"]) for v in made.record["verdicts"] if v["code"] == "free-text"]
    assert told.startswith("2 images: ")
    assert "(morphology 1, distribution 1): the text holds no word of BI-RADS that microcalc knows" in told
    assert "under words in the column map" in told


def test_the_dry_run_lists_descriptions_that_a_key_would_leave_out(tmp_path: Path) -> None:
    lines = list(join_lines(plan_from_dicom(described(tmp_path))))
    start = next(n for n, line in enumerate(lines) if line.startswith("no words of BI-RADS that microcalc knows"))
    assert sorted(lines[start + 1 : start + 3]) == [
        "  distribution: 'clip' (1 row)",
        "  morphology: 'like a worm' (1 row)",
    ]


def test_the_map_gives_the_meaning_of_a_description(tmp_path: Path) -> None:
    words = {"morphology": {"Like a worm": "fine_linear_branching"}, "distribution": {"clip": ""}}
    what = described(tmp_path, words)
    join = plan_from_dicom(what)
    assert not [line for line in join_lines(join) if line.startswith("no words of BI-RADS")]
    made = from_dicom(what, join, tmp_path / "c", HarvestSettings(key=tmp_path / "k"))
    assert made.table["morphology"].tolist()[-1] == "fine_linear_branching"
    assert not [v for v in made.record["verdicts"] if v["code"] == "free-text"]


HEADER_TEXTS = (
    {
        "WindowCenter": [2000, 1900], "WindowWidth": [4000, 3000],
        "WindowCenterWidthExplanation": ["NORMAL", "Prof. Albrecht Zwetschgenbaum"],
    },
    {"VOILUTFunction": "ZWETSCHGENBAUM"},
    {"PixelSpacing": [0.05, 0.05], "PixelSpacingCalibrationType": "ZWETSCHGENBAUM"},
)  # fmt: skip
"""Elements whose texts a note of the reader quotes."""


@pytest.mark.parametrize("elements", HEADER_TEXTS)
def test_no_text_of_the_header_comes_with_a_remark(tmp_path: Path, elements: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for patient in ("Q1", "Q2"):
            exam(tmp_path / "dicom", patient, "20180305", ["L CC"], **elements)
    rows = [f"{pid},2018-03-05,L,CC,350,300,{dx},," for pid, dx in (("Q1", "DCIS"), ("Q2", "Fibrocystic change"))]
    sheet(tmp_path / "l.csv", HEADER, *rows)
    what = DicomSource(tmp_path / "dicom", tmp_path / "l.csv", MAP)
    made = from_dicom(what, plan_from_dicom(what), tmp_path / "c", HarvestSettings(key=tmp_path / "k"))
    codes = {str(verdict["code"]) for verdict in made.record["verdicts"]}
    assert codes & {"several_windows", "window_ignored", "scale_contradiction"}
    assert b"zwetschgenbaum" not in b"\n".join(p.content for p in passages(made.folder)).lower()
    wanted = collect_texts([tmp_path / "dicom"]).wanted
    audit = check_cohort(made.folder, contents=False, more=privacy_checks(wanted))
    assert [f for f in audit.findings if f.severity == "error" and f.code.startswith("privacy-")] == []


def test_the_check_passes_it_and_fails_a_cohort_without_pseudonyms(
    source: tuple[Path, dict[str, str]], cohort: Cohort, tmp_path: Path
) -> None:
    root, _ = source
    found = CliRunner().invoke(commands.app, ["check", str(cohort.folder), "--source", str(root)])
    assert "error privacy" not in found.output, found.output
    what = DicomSource(root / "dicom", root / "Zwillinger.csv", MAP)
    bare = from_dicom(what, plan_from_dicom(what), tmp_path / "bare", HarvestSettings(skip_bad=True))
    texts = collect_texts([root])
    audit = check_cohort(bare.folder, contents=False, more=privacy_checks(texts.wanted))
    codes = {f.code for f in audit.findings if f.severity == "error"}
    assert {"privacy-patient-id", "privacy-uid", "privacy-date", "privacy-source"} <= codes
