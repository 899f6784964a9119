"""EMBED: both tables as published, ROIs joined to findings, and what is not unambiguous left out by name."""

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from dicom_folders import exam
from microcalc.errors import InputError, TableError
from microcalc.intake.embed import EmbedPlan, embed_lines, from_embed, plan_embed
from microcalc.intake.embed_tables import read_embed_findings, read_embed_pictures
from microcalc.intake.harvest import HarvestSettings

METADATA = [
    "", "empi_anon", "acc_anon", "cohort_num", "study_date_anon", "StudyDescription", "SeriesDescription",
    "FinalImageType", "ImageLateralityFinal", "ViewPosition", "spot_mag", "png_path", "anon_dicom_path", "num_roi",
    "ROI_coords", "match_level",
]  # fmt: skip
CLINICAL = [
    "", "empi_anon", "acc_anon", "study_date_anon", "desc", "tissueden", "asses", "numfind", "side", "massshape",
    "massmargin", "calcfind", "calcdistri", "calcnumber", "implanfind", "bside", "path1", "path_severity",
]  # fmt: skip
ROI = "[[300, 200, 339, 259]]"
NAS = "/mnt/NAS2/mammo/anon_dicom/cohort_1"


def picture(patient: str = "10000003", exam: str = "500", **changes: str) -> list[str]:
    values = {
        "empi_anon": patient, "acc_anon": exam, "FinalImageType": "2D", "ImageLateralityFinal": "L",
        "ViewPosition": "CC", "spot_mag": "0.0", "anon_dicom_path": f"{NAS}/{patient}/{exam}/{patient}_20150101_0.dcm",
        "num_roi": "1", "ROI_coords": ROI, "study_date_anon": "2015-01-01",
    } | changes  # fmt: skip
    return [values.get(name, "") for name in METADATA]


def finding(patient: str = "10000003", exam: str = "500", **changes: str) -> list[str]:
    values = {
        "empi_anon": patient, "acc_anon": exam, "asses": "S", "numfind": "1", "side": "L", "calcfind": "K",
        "calcdistri": "G", "path_severity": "1.0", "bside": "L", "path1": "DC",
    } | changes  # fmt: skip
    return [values.get(name, "") for name in CLINICAL]


def tables(root: Path, pictures: Sequence[list[str]], findings: Sequence[list[str]], *, reduced: bool = False) -> None:
    (root / "tables").mkdir(parents=True, exist_ok=True)
    ending = "_reduced" if reduced else ""
    for name, header, rows in (("metadata", METADATA, pictures), ("clinical", CLINICAL, findings)):
        with (root / f"tables/EMBED_OpenData_{name}{ending}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """images/cohort_1/PATIENT/STUDY/SOP.dcm, as the open release lays them out."""
    for patient, number in (("10000003", "500"), ("10000004", "600")):
        exam(tmp_path / f"embed/images/cohort_1/{patient}/{number}", patient, "20150101", ["L CC"])
    return tmp_path / "embed"


def codes(plan: EmbedPlan) -> list[str]:
    return [roi.code for roi in plan.rois]


def test_a_roi_of_the_only_finding_is_cut(folder: Path, tmp_path: Path):
    tables(folder, [picture(), picture("10000004", "600")], [finding(), finding("10000004", "600", path_severity="4")])
    cohort = from_embed(plan_embed(folder), tmp_path / "cohort", HarvestSettings())
    first, second = cohort.table.to_dict(orient="records")
    assert (first["patient_id"], first["pathology"], first["label"], first["birads"]) == ("10000003", "dcis", 1, "4")
    assert (first["morphology"], first["distribution"]) == ("fine_pleomorphic", "grouped")
    assert (first["roi_row"], first["roi_col"], first["exam_date"]) == (320, 230, "")
    assert (second["pathology"], second["label"]) == ("benign", 0)


@pytest.mark.parametrize(
    ("severity", "pathology"),
    [("0", "invasive"), ("1", "dcis"), ("2", "high_risk"), ("3", "high_risk"), ("4", "benign"), ("5", "benign")],
)
def test_severities_become_pathologies(folder: Path, tmp_path: Path, severity: str, pathology: str):
    tables(folder, [picture()], [finding(path_severity=severity)], reduced=True)
    cohort = from_embed(plan_embed(folder), tmp_path / "cohort", HarvestSettings())
    assert cohort.table["pathology"].tolist() == [pathology]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"path_severity": ""}, "no_histopathology"), ({"path_severity": "6"}, "other-cancer"),
        ({"massshape": "X"}, "mass"), ({"massshape": "N"}, ""), ({"implanfind": "R"}, "implant"),
        ({"calcfind": "", "calcdistri": ""}, "no-calcification"), ({"side": "R"}, "no-finding"),
        ({"side": "B"}, ""), ({"side": ""}, ""), ({"bside": "R"}, "no_histopathology"),
    ],
)  # fmt: skip
def test_findings_that_cannot_be_used_leave_their_roi_out(folder: Path, changes: dict[str, str], code: str):
    tables(folder, [picture()], [finding(**changes)])
    assert codes(plan_embed(folder)) == [code]


def test_whose_roi_it_is_among_several_findings_is_not_guessed(folder: Path, tmp_path: Path):
    tables(
        folder, [picture(), picture("10000004", "600")], [finding(), finding(numfind="2"), finding("10000004", "600")]
    )
    plan = plan_embed(folder)
    assert codes(plan) == ["several-findings", ""]
    assert "  1 left out: several findings in this breast" in list(embed_lines(plan))
    verdicts = from_embed(plan, tmp_path / "cohort", HarvestSettings()).record["verdicts"]
    assert isinstance(verdicts, list)
    assert [(v["source"], v["code"]) for v in verdicts if not v["accepted"]] == [
        ("metadata row 2, ROI 1", "several-findings")
    ]


def test_of_several_specimens_the_gravest_counts(folder: Path):
    tables(folder, [picture()], [finding(path_severity="4"), finding(path_severity="0"), finding(path_severity="2")])
    (roi,) = plan_embed(folder).used
    assert roi.finding is not None
    assert roi.finding.worst == 0


@pytest.mark.parametrize("side", ["B", "", "R"])
def test_a_specimen_of_the_other_breast_says_nothing_of_this_one(folder: Path, side: str):
    pictures = [picture(), picture(ImageLateralityFinal="R")]
    tables(folder, pictures, [finding(side=side, bside="R", path_severity="0")])
    assert codes(plan_embed(folder)) == ["no-finding" if side == "R" else "no_histopathology", ""]


def test_a_finding_of_both_breasts_has_the_pathology_of_each(folder: Path):
    specimens = [finding(side="B", bside="R", path_severity="0"), finding(side="B", bside="L", path_severity="4")]
    tables(folder, [picture(), picture(ImageLateralityFinal="R")], specimens)
    assert [roi.finding and roi.finding.worst for roi in plan_embed(folder).used] == [4, 0]


def test_pictures_computed_from_tomosynthesis_are_left_out(folder: Path):
    tables(folder, [picture(FinalImageType="cview"), picture(FinalImageType="3D"), picture()], [finding()])
    assert codes(plan_embed(folder)) == ["synthetic-view", "synthetic-view", ""]


def test_several_rois_of_one_finding_become_images_of_one_lesion(folder: Path, tmp_path: Path):
    two = "[[300, 200, 339, 259], [500, 100, 520, 130], [9, 9, 1, 1]]"
    tables(folder, [picture(num_roi="3", ROI_coords=two)], [finding()])
    plan = plan_embed(folder)
    assert codes(plan) == ["", "", "bad-box"]
    with pytest.raises(InputError, match="metadata row 2, ROI 3: ROI is no box"):
        from_embed(plan, tmp_path / "cohort", HarvestSettings())
    cohort = from_embed(plan, tmp_path / "cohort", HarvestSettings(skip_bad=True))
    assert cohort.table["lesion_id"].nunique() == 1


def test_spot_and_magnification_views_are_counted(folder: Path):
    tables(folder, [picture(spot_mag="1.0")], [finding(path_severity="3")])
    text = "\n".join(embed_lines(plan_embed(folder)))
    assert "special-views: 1 ROIs are of spot or magnification views" in text
    assert "borderline: 1 ROIs of borderline lesions were taken as high-risk (label 0)" in text


def test_a_missing_file_is_named(folder: Path):
    tables(folder, [picture(anon_dicom_path=f"{NAS}/1/2/3.dcm")], [finding()])
    plan = plan_embed(folder)
    assert codes(plan) == ["no-image"]
    assert f"    not found: {NAS}/1/2/3.dcm" in list(embed_lines(plan))


def test_only_pictures_with_rois_are_kept(folder: Path):
    tables(
        folder, [picture(num_roi="0", ROI_coords="[]"), picture(num_roi="0.0", ROI_coords=""), picture()], [finding()]
    )
    assert len(read_embed_pictures(folder / "tables/EMBED_OpenData_metadata.csv")) == 1


def test_coordinates_that_are_no_list_are_refused(folder: Path):
    tables(folder, [picture(ROI_coords="__import__('os')")], [finding()])
    with pytest.raises(TableError, match=r"row 2: ROI_coords must be a list of \[ymin, xmin, ymax, xmax\]"):
        plan_embed(folder)


def test_a_table_without_a_needed_column_is_refused(folder: Path):
    (folder / "tables").mkdir()
    (folder / "tables/x.csv").write_text("empi_anon,acc_anon\n1,2\n")
    with pytest.raises(TableError, match=r"\['asses', 'bside', .*'side'\] missing"):
        read_embed_findings(folder / "tables/x.csv")


def test_a_folder_without_tables_is_refused(folder: Path):
    with pytest.raises(InputError, match=r"must hold EMBED_OpenData_metadata\.csv or its reduced form"):
        plan_embed(folder)
