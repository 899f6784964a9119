"""INbreast: table, outlines as property lists, and a label that somebody has to state."""

import plistlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from dicom_folders import film, sheet
from dicom_samples import dataset, to_bytes
from microcalc.errors import InputError, ProtocolError
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.inbreast import InbreastRules, LabelRule, from_inbreast, inbreast_lines, plan_inbreast
from microcalc.intake.outlines import group_points, read_outlines

HEADER = "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads"
RULE = LabelRule.parse("benign:1,2,3 malignant:5,6")
RULE4 = LabelRule.parse("benign:1,2,3 malignant:4,5,6")
Shape = tuple[str, Sequence[tuple[float, float]]]
"""Name of an outline and its points as (column, row)."""

CLUSTER: Shape = ("Cluster", [(200.5, 300.25), (259.0, 300.0), (259.5, 339.5), (200.0, 339.0)])
POINTS: list[Shape] = [("Calcification", [(200.0 + 10 * k, 300.0), (202.0 + 10 * k, 302.0)]) for k in range(6)]


def property_list(path: Path, shapes: Sequence[Shape]) -> None:
    """As OsiriX writes it, with the keys that the collection's files have."""
    rois = [
        {
            "Area": 0.0, "Center": "(0, 0, 0)", "Dev": 0.0, "IndexInImage": k, "Max": 0.0, "Mean": 0.0, "Min": 0.0,
            "Name": name, "NumberOfPoints": len(points), "Point_mm": ["(0, 0, 0)"] * len(points),
            "Point_px": [f"({column:f}, {row:f})" for column, row in points], "Total": 0.0, "Type": 15,
        }
        for k, (name, points) in enumerate(shapes)
    ]  # fmt: skip
    content = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(plistlib.dumps(content))


def picture(root: Path, number: str, patient: str, side: str, view: str) -> None:
    path = root / f"AllDICOMs/{number}_{patient}_MG_{side}_{view}_ANON.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    elements = {"PatientID": "removed", "PatientName": "removed", "SOPInstanceUID": f"1.2.{int(number)}"}
    path.write_bytes(to_bytes(dataset(film(int(number)), ImageLaterality=side, ViewPosition=view, **elements)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "INbreast Release 1.0"
    rows, pictures = [], {
        "20586908": ("aa01", "R", "CC", "2", [CLUSTER]),
        "20586934": ("aa01", "L", "CC", "5", [CLUSTER, *POINTS]),
        "20586960": ("bb02", "R", "ML", "4b", [CLUSTER]),
        "20586986": ("bb02", "L", "ML", "6", [("Mass", [(1, 1), (90, 90)]), CLUSTER]),
        "20587054": ("cc03", "R", "CC", "2", POINTS),
        "20587080": ("cc03", "L", "CC", "1", []),
    }  # fmt: skip
    for number, (patient, side, view, birads, shapes) in pictures.items():
        rows.append(f"removed;removed;{side};{'MLO' if view == 'ML' else view};201001;{number};2;{birads}")
        picture(root, number, patient, side, view)
        if shapes:
            property_list(root / f"AllXML/{number}.xml", shapes)
    (root / "INbreast.csv").write_text("\n".join([HEADER, *rows, "some note;;;;;;;"]))
    return root


def test_clusters_are_cut_and_labelled_by_the_stated_rule(folder: Path, tmp_path: Path):
    cohort = from_inbreast(folder, tmp_path / "cohort", HarvestSettings(), InbreastRules(RULE))
    table = cohort.table.set_index("image_id")
    assert table["label"].to_dict() == {"20586908_1": 0, "20586934_1": 1}
    assert list(table.loc["20586908_1", ["patient_id", "laterality", "view", "birads", "pathology"]]) == [
        "aa01", "R", "CC", "2", "",
    ]  # fmt: skip
    assert (table["roi_row"].iloc[0], table["roi_col"].iloc[0]) == (320, 230)  # of 300 to 339.5, 200 to 259.5
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert [(s["code"], s["images"]) for s in flow["left_out"]] == [
        ("mass", 1),
        ("birads-undecided", 1),
        ("no-cluster", 1),
    ]
    verdicts = {v["code"]: v["message"] for v in cohort.record["verdicts"]}
    assert "BI-RADS categories (benign:1,2,3 malignant:5,6), not histopathology" in verdicts["label-by-birads"]
    sources = cohort.record["sources"]
    assert isinstance(sources, list)
    assert sources[0]["label_rule"] == "benign:1,2,3 malignant:5,6"


def test_single_calcifications_can_be_put_together(folder: Path, tmp_path: Path):
    rules = InbreastRules(RULE, group_mm=1.0)
    cohort = from_inbreast(folder, tmp_path / "cohort", HarvestSettings(), rules)
    grouped = cohort.table.set_index("image_id").loc["20587054_1"]
    assert (grouped["roi_row"], grouped["roi_col"]) == (301, 226)  # middles of six marks from 201 to 251


def test_masses_can_be_kept(folder: Path, tmp_path: Path):
    cohort = from_inbreast(folder, tmp_path / "cohort", HarvestSettings(), InbreastRules(RULE, with_masses=True))
    assert "20586986_1" in set(cohort.table["image_id"])


def test_spicules_in_the_spelling_of_the_collection_are_of_a_mass(folder: Path, tmp_path: Path):
    property_list(folder / "AllXML/20586934.xml", [("Espiculated Region", [(1, 1), (90, 90)]), CLUSTER])
    cohort = from_inbreast(folder, tmp_path / "cohort", HarvestSettings(skip_bad=True), InbreastRules(RULE4))
    assert set(cohort.table["image_id"]) == {"20586908_1", "20586960_1"}


def test_what_is_there_is_said_without_a_rule(folder: Path):
    text = "\n".join(inbreast_lines(plan_inbreast(folder), None))
    assert "pictures in the table: 6, 6 with a DICOM file" in text
    assert "with outlined calcifications: 5; clusters outlined: 4" in text
    assert "BI-RADS of these: 2: 2, 4B: 1, 5: 1, 6: 1" in text
    ruled = "\n".join(inbreast_lines(plan_inbreast(folder), InbreastRules(RULE)))
    assert "ROI images to cut: 2, label by benign:1,2,3 malignant:5,6" in ruled


def test_a_missing_picture_is_a_fault(folder: Path, tmp_path: Path):
    next((folder / "AllDICOMs").glob("20586908*")).unlink()
    with pytest.raises(InputError, match="20586908: no file has a name that begins with the picture's digits"):
        from_inbreast(folder, tmp_path / "cohort", HarvestSettings(), InbreastRules(RULE))


@pytest.mark.parametrize(
    "content", [b"not xml", b"<plist><dict></dict></plist>", b'<?xml version="1.0"?><plist><dict>', b""]
)
def test_outlines_that_cannot_be_read_are_named(tmp_path: Path, content: bytes):
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(InputError, match="must be a property list of OsiriX"):
        read_outlines(tmp_path / "a.xml")


def test_an_xml_bomb_is_refused(tmp_path: Path):
    (tmp_path / "a.xml").write_bytes(
        b'<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
        b"<plist><string>&b;</string></plist>"
    )
    with pytest.raises(InputError, match="must be a property list of OsiriX"):
        read_outlines(tmp_path / "a.xml")


def test_points_become_rows_and_columns(tmp_path: Path):
    property_list(tmp_path / "a.xml", [("Cluster ", [(10.5, 20.25)])])
    (outline,) = read_outlines(tmp_path / "a.xml")
    assert outline.is_cluster
    assert outline.points.tolist() == [[20.25, 10.5]]


def test_groups_are_chains_of_neighbours():
    points = np.array([[0, 0], [0, 3], [0, 6], [50, 50], [50, 54], [90, 90]], dtype=float)
    assert [group.tolist() for group in group_points(points, 4.0)] == [[0, 1, 2], [3, 4], [5]]
    assert [group.tolist() for group in group_points(points[:1], 4.0)] == [[0]]


@pytest.mark.parametrize(
    "text",
    ["", "benign:1", "benign:1 malignant:1", "benign:4a malignant:4", "benign:1 malignant:9", "good:1 bad:2", "1,2,3"],
)
def test_a_rule_that_says_too_little_is_refused(text: str):
    with pytest.raises(ProtocolError, match="must be like 'benign:1,2,3 malignant:5,6'"):
        LabelRule.parse(text)


def test_a_rule_leaves_the_other_categories_open():
    rule = LabelRule.parse("malignant:4c,5,6 benign:2,3")
    assert [rule.label(category) for category in ("2", "4C", "4A", "5")] == [0, 1, None, 1]


def test_category_4_is_4a_4b_and_4c():
    assert [RULE4.label(category) for category in ("4", "4A", "4B", "4C", "3")] == [1, 1, 1, 1, 0]
    assert str(RULE4) == "benign:1,2,3 malignant:4,4A,4B,4C,5,6"


def test_a_folder_without_the_table_is_refused(tmp_path: Path):
    (tmp_path / "INbreast.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(InputError, match=r"it holds none; save INbreast\.xls as XLSX or CSV UTF-8"):
        plan_inbreast_without_pictures(tmp_path)


def plan_inbreast_without_pictures(folder: Path) -> None:
    sheet(folder / "other.csv", "a,b", "1,2")
    plan_inbreast(folder)
