"""CMMD: the real clinical table, and pictures joined to boxes that somebody brings."""

import lzma
from pathlib import Path

import openpyxl
import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from dicom_folders import exam, sheet
from microcalc.errors import InputError, TableError
from microcalc.intake.cmmd import cmmd_lines, count_breasts, from_cmmd, plan_cmmd, read_cmmd_table
from microcalc.intake.harvest import HarvestSettings

REAL = Path(__file__).parent / "reference/cmmd/annotations.csv.xz"
CLINICAL = (
    "ID1,LeftRight,Age,number,abnormality,classification,subtype",
    "D1-0001,R,44,2,calcification,Benign,",
    "D1-0002,L,40,2,calcification,Malignant,",
    "D1-0003,L,39,2,both,Malignant,Luminal A",
    "D1-0003,R,39,2,mass,Benign,",
)
BOXES = "patient_id,laterality,view,box_top,box_left,box_bottom,box_right,lesion_id"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As TCIA lays it out: a folder for each patient, one for the study, one for the series."""
    root = tmp_path / "download"
    for patient, views in (
        ("D1-0001", ["R CC", "R MLO"]),
        ("D1-0002", ["L CC", "L MLO"]),
        ("D1-0003", ["L CC", "R CC"]),
    ):
        where = root / f"CMMD/{patient}/07-18-2010-NA-NA-79377/1.000000-NA-70244"
        exam(where, patient, "20100718", views, name="1-")
    sheet(root / "CMMD_clinicaldata_revision.csv", *CLINICAL)
    return root


def boxes(tmp_path: Path, *rows: str) -> Path:
    return sheet(tmp_path / "boxes.csv", BOXES, *rows)


def test_the_real_table_has_the_published_counts(tmp_path: Path):
    (tmp_path / "annotations.csv").write_bytes(lzma.decompress(REAL.read_bytes()))
    breasts = read_cmmd_table(tmp_path / "annotations.csv")
    assert (len(breasts), len({breast.patient for breast in breasts})) == (1872, 1775)
    counts = count_breasts(breasts)
    assert (counts["calcification", 0], counts["calcification", 1]) == (64, 198)
    assert (counts["both", 0], counts["both", 1]) == (80, 381)


def test_without_boxes_the_way_out_is_said(folder: Path):
    with pytest.raises(
        InputError, match=r"CMMD publishes none; its table has 1 benign and 1 malignant breasts with"
    ) as error:
        plan_cmmd(folder, None)
    assert "--boxes TABLE.csv" in str(error.value)


def test_boxes_get_the_label_of_their_breast(folder: Path, tmp_path: Path):
    table = boxes(
        tmp_path, "D1-0001,R,CC,300,200,339,259,1", "D1-0001,R,MLO,100,100,140,140,1", "D1-0002,L,CC,300,200,339,259,1",
        "D1-0003,L,CC,300,200,339,259,1", "D1-0003,R,CC,300,200,339,259,1",
    )  # fmt: skip
    plan = plan_cmmd(folder, table)
    cohort = from_cmmd(plan, table, tmp_path / "cohort", HarvestSettings())
    found = cohort.table.set_index(["patient_id", "view"])
    assert found["label"].to_dict() == {("D1-0001", "CC"): 0, ("D1-0001", "MLO"): 0, ("D1-0002", "CC"): 1}
    assert (found["roi_row"].iloc[0], found["roi_col"].iloc[0]) == (320, 230)
    assert set(found["exam_date"]) == {""}
    assert set(found["pathology"]) == {""}
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert [(s["code"], s["images"]) for s in flow["left_out"]] == [
        ("no_calcification", 1), ("mass", 1), ("no_histopathology", 0),
    ]  # fmt: skip
    assert "calcification: 1 benign, 1 malignant" in "\n".join(cmmd_lines(plan))


def test_calcifications_with_a_mass_can_be_kept(folder: Path, tmp_path: Path):
    table = boxes(
        tmp_path, "D1-0002,L,CC,300,200,339,259,1", "D1-0003,L,CC,300,200,339,259,1", "D1-0001,R,CC,300,200,339,259,1"
    )
    cohort = from_cmmd(plan_cmmd(folder, table, with_masses=True), table, tmp_path / "cohort", HarvestSettings())
    assert sorted(cohort.table["patient_id"]) == ["D1-0001", "D1-0002", "D1-0003"]


def test_boxes_of_unknown_patients_and_breasts_are_named(folder: Path, tmp_path: Path):
    table = boxes(tmp_path, "D1-9999,R,CC,1,1,2,2,1", "D1-0001,L,CC,1,1,2,2,1", "D1-0001,R,CC,300,200,339,259,1")
    join = plan_cmmd(folder, table).join
    assert [joined.faults[0].code if joined.faults else "" for joined in join.rows] == ["no-breast", "no-breast", ""]


def test_a_breast_that_the_clinical_table_lacks_is_a_fault_and_no_rule(folder: Path, tmp_path: Path):
    typed = ("D1-002,L,CC,300,200,339,259,1", "d1-0002,L,CC,300,200,339,259,1", "D1-0002,R,CC,300,200,339,259,1")
    good = ("D1-0001,R,CC,300,200,339,259,1", "D1-0002,L,MLO,300,200,339,259,1")
    table = boxes(tmp_path, *typed, *good)
    plan = plan_cmmd(folder, table)
    with pytest.raises(InputError, match="row 2: the clinical table has no such breast") as error:
        from_cmmd(plan, table, tmp_path / "cohort", HarvestSettings())
    assert [f"row {row}: the clinical table" in str(error.value) for row in (3, 4, 5)] == [True, True, False]
    cohort = from_cmmd(plan, table, tmp_path / "cohort", HarvestSettings(skip_bad=True))
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert flow["assessed"] == {"images": 5, "patients": 2}
    assert {s["code"]: s["images"] for s in flow["left_out"] if s["images"]} == {"no-breast": 3}


def test_the_clinical_table_may_be_the_published_workbook(folder: Path, tmp_path: Path):
    (folder / "CMMD_clinicaldata_revision.csv").unlink()
    book = openpyxl.Workbook()
    assert book.active is not None
    for line in CLINICAL:
        book.active.append(line.split(","))
    book.save(folder / "CMMD_clinicaldata_revision.xlsx")
    table = boxes(tmp_path, "D1-0002,L,CC,300,200,339,259,1")
    assert len(plan_cmmd(folder, table).breasts) == 4


def test_words_that_the_table_does_not_have_are_refused(tmp_path: Path):
    table = sheet(tmp_path / "c.csv", CLINICAL[0], "D1-0001,R,44,2,calcification,Maybe,")
    with pytest.raises(TableError, match=r"row 2: .* found 'R', 'calcification' and 'Maybe'"):
        read_cmmd_table(table)


def test_a_table_of_boxes_names_patient_and_side(folder: Path, tmp_path: Path):
    table = sheet(tmp_path / "b.csv", "view,roi_row,roi_col", "CC,1,2")
    with pytest.raises(TableError, match=r"\['patient_id', 'laterality'\] missing"):
        plan_cmmd(folder, table)
