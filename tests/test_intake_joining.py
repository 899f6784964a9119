"""Rows of a spreadsheet joined to mammograms: by UID, file, accession number, or patient and day; never by a guess."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from dicom_folders import exam, film, sheet
from dicom_samples import TOMOSYNTHESIS, code, item
from microcalc.errors import InputError, TableError
from microcalc.intake.column_map import ColumnMap
from microcalc.intake.from_dicom import DicomSource, plan_from_dicom
from microcalc.intake.image_files import ImageIndex, read_image_files
from microcalc.intake.join_report import join_lines, join_table
from microcalc.intake.joining import Join, JoinedRow, join_rows
from microcalc.intake.labels import label_rows, read_labels

COLUMNS = {
    "sop_uid": "uid", "image_file": "file", "accession_number": "acc", "patient_id": "pid", "exam_date": "date",
    "laterality": "side", "view": "view", "roi_row": "y", "roi_col": "x", "pathology": "dx", "lesion_id": "lesion",
}  # fmt: skip
MAP = ColumnMap.model_validate({"columns": COLUMNS, "rules": {"mass": "mass"}})
HEADER = "uid,file,acc,pid,date,side,view,y,x,dx,lesion,mass"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two patients: the first with two exams, a magnification view and a tomosynthesis; IDs with leading zeros."""
    root = tmp_path_factory.mktemp("hospital")
    exam(root / "a", "00123", "20180305", ["L CC", "L MLO", "R CC"])
    exam(root / "a", "00123", "20190401", ["L CC"])
    magnification = [code("399163009", meaning="Magnification")]
    view = [
        item(
            CodeValue="399162004",
            CodingSchemeDesignator="SCT",
            CodeMeaning="cc",
            ViewModifierCodeSequence=magnification,
        )
    ]
    exam(root / "b", "00456", "20180305", ["R CC"])
    exam(root / "b", "00456", "20180305", ["R CC"], name="mag", SOPInstanceUID="1.2.826.99", ViewCodeSequence=view)
    exam(root / "b", "00456", "20200101", ["L CC"], name="tomo", SOPClassUID=TOMOSYNTHESIS)
    exam(root / "b", "00789", "20200101", ["L CC"], BreastImplantPresent="YES")
    (root / "b/broken.dcm").write_bytes(b"nothing")
    (root / "b/notes.txt").write_text("nothing")
    return root


@pytest.fixture(scope="module")
def index(folder: Path) -> ImageIndex:
    return ImageIndex(read_image_files(folder))


def row(**cells: str) -> str:
    values = {"y": "300", "x": "200", "dx": "ADH"} | cells
    return ",".join(values.get(name, "") for name in HEADER.split(","))


def joined(index: ImageIndex, tmp_path: Path, *rows: str) -> Join:
    table = sheet(tmp_path / "results.csv", HEADER, *rows)
    return join_rows(read_labels(table, MAP), index)


def one(index: ImageIndex, tmp_path: Path, **cells: str) -> JoinedRow:
    return joined(index, tmp_path, row(**cells)).rows[0]


def name(found: JoinedRow) -> str:
    return found.image.name if found.image else f"{found.faults[0].code}: {found.faults[0].message}"


def test_by_sop_instance_uid(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, uid="1.2.826.99")
    assert (name(found), found.by, found.patient) == ("b/mag_20180305_0.dcm", "SOP Instance UID", "00456")
    assert name(one(index, tmp_path, uid="1.2.3")) == "no-image: no file has this SOP Instance UID"


def test_by_file_with_path_or_without_and_however_slashes_are_written(index: ImageIndex, tmp_path: Path):
    for written in ("b/mag_20180305_0.dcm", "mag_20180305_0.dcm", "MAG_20180305_0", r"b\mag_20180305_0.dcm"):
        assert name(one(index, tmp_path, file=written)) == "b/mag_20180305_0.dcm"
    assert name(one(index, tmp_path, file="20180305_0.dcm")).startswith("no-image")


def test_by_accession_number_side_and_view(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, acc="ACC0012320180305", side="L", view="MLO")
    assert (name(found), found.by) == ("a/00123_20180305_1.dcm", "accession number")


def test_by_patient_day_side_and_view(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, pid="00123", date="2018-03-05", side="left", view="LCC")
    assert (name(found), found.by) == ("a/00123_20180305_0.dcm", "patient and date")
    assert name(one(index, tmp_path, pid="00123", date="2018-03-05", side="R")) == "a/00123_20180305_2.dcm"


def test_the_side_before_the_view_counts_as_the_side(index: ImageIndex, tmp_path: Path):
    exam_of_both = {"pid": "00123", "date": "2018-03-05"}
    assert name(one(index, tmp_path, **exam_of_both, view="RCC")) == "a/00123_20180305_2.dcm"
    assert name(one(index, tmp_path, **exam_of_both, view="Lt CC")) == "a/00123_20180305_0.dcm"
    assert name(one(index, tmp_path, pid="00123", date="2019-04-01", view="RCC")) == (
        "no-image: no file of this exam has the row's side; there is L CC"
    )
    assert name(one(index, tmp_path, uid="1.2.826.99", view="LCC")) == (
        "contradiction: side of the row and of the file must agree; they do not"
    )


def test_a_row_that_tells_two_sides_is_named(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, pid="00123", date="2018-03-05", side="L", view="RCC")
    assert [(fault.code, fault.message) for fault in found.faults] == [
        ("left-and-right", "columns 'side', 'view' must name one side; they name two")
    ]


def test_leading_zeros_that_a_spreadsheet_dropped_are_found_again(index: ImageIndex, tmp_path: Path):
    join = joined(index, tmp_path, row(pid="123", date="2019-04-01"))
    assert name(join.rows[0]) == "a/00123_20190401_0.dcm"
    assert join.rows[0].patient == "00123"
    assert any("lack the leading zeros" in line for line in join_lines(join))


def test_a_number_is_ambiguous_where_only_leading_zeros_part_two(tmp_path: Path):
    for patient in ("00123", "123", "00456"):
        exam(tmp_path, patient, "20180305")
    index = ImageIndex(read_image_files(tmp_path))
    day = {"date": "2018-03-05"}
    text = "ambiguous: 2 numbers of the images are this but for leading zeros. Write the zeros, or name the file"
    assert name(one(index, tmp_path, pid="123", **day)) == text
    assert name(one(index, tmp_path, pid="00123", **day)) == "00123_20180305_0.dcm"
    assert name(one(index, tmp_path, pid="456", **day)) == "00456_20180305_0.dcm"
    assert name(one(index, tmp_path, file="00123_20180305_0", pid="123")) == "00123_20180305_0.dcm"
    assert name(one(index, tmp_path, file="00123_20180305_0", pid="456")).startswith("contradiction: patient of")
    (tmp_path / "00456_20180305_0.dcm").unlink()
    exam(tmp_path, "1", "20180305", AccessionNumber="077")
    exam(tmp_path, "2", "20180305", AccessionNumber="77")
    index = ImageIndex(read_image_files(tmp_path))
    assert name(one(index, tmp_path, acc="77")) == text
    assert name(one(index, tmp_path, acc="77", pid="1")) == text


def test_a_row_without_image_counts_for_the_patient_whose_zeros_it_lacks(index: ImageIndex, tmp_path: Path):
    join = joined(index, tmp_path, row(pid="00123", date="2018-03-05"), row(pid="123", date="2001-01-01", mass="yes"))
    assert [found.patient for found in join.rows] == ["00123", "00123"]


def test_what_fits_several_mammograms_is_ambiguous(index: ImageIndex, tmp_path: Path):
    assert name(one(index, tmp_path, pid="00123", date="2018-03-05", side="L")).startswith(
        "ambiguous: 2 mammograms fit: L CC, L MLO. Name the mammogram by its SOP Instance UID"
    )
    assert "R CC, R CC magnified" in name(one(index, tmp_path, pid="00456", date="2018-03-05", view="CC"))


def test_magnification_in_the_cell_of_the_view_decides(index: ImageIndex, tmp_path: Path):
    assert name(one(index, tmp_path, pid="00456", date="2018-03-05", view="mag CC")) == "b/mag_20180305_0.dcm"
    assert name(one(index, tmp_path, pid="00456", date="2018-03-05", view="contact CC")) == "b/00456_20180305_0.dcm"


def test_spot_is_not_taken_for_magnified(tmp_path: Path):
    spot, magnified = "399055006", "399163009"
    for file, codes in {"contact": [], "spot": [spot], "both": [spot, magnified]}.items():
        modifiers = [code(value) for value in codes]
        view = code("399162004", ViewModifierCodeSequence=modifiers)
        exam(tmp_path, "7", "20180305", name=file, SOPInstanceUID=f"1.2.{len(codes)}", ViewCodeSequence=[view])
    images = read_image_files(tmp_path)
    cells = {"pid": "7", "date": "2018-03-05"}
    index = ImageIndex(images)
    assert name(one(index, tmp_path, **cells, view="CC mag")) == "both_20180305_0.dcm"
    assert name(one(index, tmp_path, **cells, view="CC spot mag")) == "both_20180305_0.dcm"
    assert name(one(index, tmp_path, **cells, view="CC contact")) == "contact_20180305_0.dcm"
    assert name(one(index, tmp_path, **cells, view="CC spot")).startswith(
        "ambiguous: 2 mammograms fit: L CC magnified spot, L CC spot. Name"
    )
    alone = ImageIndex(image for image in images if not image.name.startswith("both"))
    assert name(one(alone, tmp_path, **cells, view="spot CC")) == "spot_20180305_0.dcm"
    assert name(one(alone, tmp_path, **cells, view="mag CC")) == (
        "no-image: no file of this exam has the row's magnification; there is L CC, L CC spot"
    )


def test_what_is_missing_is_said_step_by_step(index: ImageIndex, tmp_path: Path):
    assert name(one(index, tmp_path, pid="9", date="2018-03-05")) == "no-image: no file is of this patient"
    assert name(one(index, tmp_path, pid="123", date="2018-03-06")) == (
        "no-image: no file of this exam has the row's day; there are exams of 2 other days"
    )
    assert name(one(index, tmp_path, pid="123", date="2018-03-05", side="R", view="MLO")) == (
        "no-image: no file of this exam has the row's view; there is R CC"
    )
    assert name(one(index, tmp_path)).startswith("no-key: the row must name its mammogram")


def test_a_row_that_contradicts_the_header_is_named(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, uid="1.2.826.99", side="L", date="2018-03-04", pid="77")
    assert name(found) == "contradiction: patient, day, side of the row and of the file must agree; they do not"


def test_a_file_that_is_no_mammogram_is_named_by_its_verdict(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, file="tomo_20200101_0")
    assert name(found).startswith("tomosynthesis: its file cannot be used: tomosynthesis")


def test_rules_count_before_faults_and_implants_of_the_header_too(index: ImageIndex, tmp_path: Path):
    excluded = one(index, tmp_path, pid="9", date="2018-03-05", mass="yes", dx="???")
    assert excluded.left_out is not None
    assert excluded.left_out.code == "mass"
    implant = one(index, tmp_path, pid="789", date="2020-01-01")
    assert implant.left_out is not None
    assert implant.left_out.reason == "breast implant"
    untold = one(index, tmp_path, uid="1.2.826.99", dx="not done")
    assert untold.left_out is not None
    assert untold.left_out.code == "no_histopathology"


def test_a_lesion_outside_its_mammogram_is_noticed_before_any_pixel_is_read(index: ImageIndex, tmp_path: Path):
    found = one(index, tmp_path, uid="1.2.826.99", y="700")
    assert found.faults[0].code == "outside"
    assert "700 rows x 600 columns; its middle is row 700, column 200" in found.faults[0].message


def test_what_could_get_no_pseudonym_is_a_fault_of_its_row(tmp_path: Path):
    exam(tmp_path, "7", "20180305")
    exam(tmp_path, "", "20180305", name="nobody")
    index = ImageIndex(read_image_files(tmp_path))
    old, nobody, named = joined(
        index,
        tmp_path,
        row(pid="7", date="1900-01-01"),
        row(file="nobody_20180305_0"),
        row(file="nobody_20180305_0", pid="8"),
    ).rows
    assert [(fault.code, fault.message) for fault in (*old.faults, *nobody.faults)] == [
        ("bad-date", "an exam must be of 1980-01-01 to 2059-12-31; mend the day of the row"),
        ("no-image", "no file of this exam has the row's day; there are exams of 1 other days"),
        ("no-patient", "the patient must be known, by the header of the image or a column patient_id; both are empty"),
    ]
    assert (named.patient, named.faults) == ("8", ())


@pytest.mark.parametrize("key", [{"uid": "1.2.7"}, {"file": "7_19000101_0"}, {"acc": "1"}])
def test_an_impossible_day_of_the_header_is_not_told_and_the_rows_stands(tmp_path: Path, key: dict[str, str]):
    exam(tmp_path, "7", "19000101", AccessionNumber="1", SOPInstanceUID="1.2.7")
    index = ImageIndex(read_image_files(tmp_path))
    found, untold, wrong = joined(
        index, tmp_path, row(**key, date="2018-03-05"), row(**key, y="200"), row(**key, date="1900-01-01", y="100")
    ).rows
    assert (name(found), found.faults, name(untold), untold.faults) == ("7_19000101_0.dcm", (), "7_19000101_0.dcm", ())
    assert [fault.code for fault in wrong.faults] == ["bad-date"]


def test_an_impossible_day_of_the_header_finds_no_patient_and_day(tmp_path: Path):
    exam(tmp_path, "7", "19000101")
    exam(tmp_path, "7", "19000101", name="taken", SOPInstanceUID="1.2.8", AcquisitionDate="20180305")
    index = ImageIndex(read_image_files(tmp_path))
    assert name(one(index, tmp_path, pid="7", date="2018-03-05")) == "taken_19000101_0.dcm"
    assert name(one(index, tmp_path, pid="7", date="2018-03-06")) == (
        "no-image: no file of this exam has the row's day; there are exams of 1 other days; 1 file tells no possible "
        "day: name it by its SOP Instance UID, its file or its accession number"
    )


def test_the_same_place_twice_is_one_lesion(index: ImageIndex, tmp_path: Path):
    join = joined(index, tmp_path, row(uid="1.2.826.99"), row(uid="1.2.826.99", y="310"), row(uid="1.2.826.99"))
    assert [found.usable for found in join.rows] == [True, True, False]
    assert join.rows[2].faults[0].message.endswith("row 2 has the same place")


def test_a_lesion_with_two_labels_is_named_in_all_its_rows(index: ImageIndex, tmp_path: Path):
    cells = {"pid": "123", "date": "2018-03-05", "lesion": "1"}
    join = joined(
        index, tmp_path, row(**cells, side="L", view="CC", dx="ADH"), row(**cells, side="L", view="MLO", dx="IDC"),
        row(**cells, side="R", dx="IDC"),
    )  # fmt: skip
    assert [found.faults[0].code if found.faults else "" for found in join.rows] == [
        "lesion-labels",
        "lesion-labels",
        "",
    ]


def test_a_copy_of_a_file_is_counted_and_the_first_taken(folder: Path, tmp_path: Path):
    images = read_image_files(folder)
    twice = ImageIndex([*images, *images[:2]])
    assert len(twice.copies) == 2
    assert len(twice.images) == len(images)
    assert name(one(twice, tmp_path, pid="123", date="2018-03-05", side="L", view="CC")) == "a/00123_20180305_0.dcm"


def of_one_uid(folder: Path, **files: np.ndarray | None) -> Path:
    """Files of one SOP Instance UID; None: the same picture as the others, in another header."""
    for file, stored in files.items():
        exam(folder, "7", "20180305", name=file, stored=film() if stored is None else stored, SOPInstanceUID="1.2.7",
             SeriesDescription=file)  # fmt: skip
    return folder


def test_files_with_one_uid_and_different_pictures_are_no_copies(tmp_path: Path):
    folder = of_one_uid(tmp_path / "dicom", a=None, b=film()[:, ::-1].copy(), c=None)
    index = ImageIndex(read_image_files(folder))
    assert [(first.name, copy.name) for first, copy in index.copies] == [("a_20180305_0.dcm", "c_20180305_0.dcm")]
    assert name(one(index, tmp_path, file="b_20180305_0")) == "b_20180305_0.dcm"
    assert name(one(index, tmp_path, file="c_20180305_0")) == "a_20180305_0.dcm"
    assert name(one(index, tmp_path, uid="1.2.7", file="b_20180305_0")) == "b_20180305_0.dcm"
    assert name(one(index, tmp_path, uid="1.2.7")) == (
        "ambiguous: 2 files have this SOP Instance UID but not the same picture; name the file as well"
    )
    assert name(one(index, tmp_path, pid="7", date="2018-03-05")).startswith("ambiguous: 2 mammograms fit: L CC, L CC")


FULL = {"pid": "7", "date": "2018-03-05", "acc": "1"}


def exported_twice(folder: Path, first: dict[str, object], second: dict[str, object]) -> ImageIndex:
    """One mammogram in two files, whose headers differ."""
    for file, header in (("a", first), ("b", second)):
        told = {"AccessionNumber": "1", "SOPInstanceUID": "1.2.7", **header}
        exam(folder, "7", "20180305", name=file, stored=film(), **told)
    return ImageIndex(read_image_files(folder))


@pytest.mark.parametrize(
    "blank", [{"AccessionNumber": ""}, {"PatientID": ""}, {"ViewPosition": ""}, {"AcquisitionDate": None}]
)
def test_what_a_header_does_not_tell_parts_no_copies(tmp_path: Path, blank: dict[str, object]):
    for order, headers in enumerate(((blank, {}), ({}, blank))):
        index = exported_twice(tmp_path / str(order), *headers)
        assert len(index.copies) == 1
        full = "ba"[order] + "_20180305_0.dcm"
        for cells in (FULL, {"uid": "1.2.7"}, {"uid": "1.2.7"} | FULL, {"pid": "7", "date": "2018-03-05"}):
            assert name(one(index, tmp_path, **cells)) == full


def test_a_row_chooses_among_files_of_its_uid_by_what_else_it_tells(tmp_path: Path):
    index = exported_twice(tmp_path / "dicom", {}, {"AccessionNumber": "2"})
    assert index.copies == []
    for acc, file in (("1", "a"), ("2", "b")):
        assert name(one(index, tmp_path, uid="1.2.7", acc=acc)) == f"{file}_20180305_0.dcm"
        assert name(one(index, tmp_path, acc=acc)) == f"{file}_20180305_0.dcm"
    assert name(one(index, tmp_path, uid="1.2.7", acc="3")).startswith("contradiction: accession number of")


def test_what_parts_files_of_one_uid_is_told_with_a_way_out_that_works(tmp_path: Path):
    index = exported_twice(tmp_path / "dicom", {"BreastImplantPresent": "YES"}, {"AccessionNumber": "2"})
    assert name(one(index, tmp_path, uid="1.2.7")) == (
        "ambiguous: 2 files have this SOP Instance UID but not the same accession number, implant in their headers; "
        "name the file as well"
    )
    assert name(one(index, tmp_path, pid="7", date="2018-03-05")) == (
        "ambiguous: 2 mammograms fit: L CC, L CC. Name the mammogram by its file: they share a SOP Instance UID"
    )
    for cells in ({"uid": "1.2.7"}, {"pid": "7", "date": "2018-03-05"}):
        assert name(one(index, tmp_path, file="b_20180305_0", **cells)) == "b_20180305_0.dcm"


def test_files_of_one_uid_and_one_name_are_told_apart_by_their_path(tmp_path: Path):
    for folder, number in (("one", "1"), ("two", "2")):
        exam(tmp_path / "d" / folder, "7", "20180305", stored=film(), AccessionNumber=number, SOPInstanceUID="1.2.7")
    index = ImageIndex(read_image_files(tmp_path / "d"))
    assert name(one(index, tmp_path, uid="1.2.7", file="7_20180305_0")).endswith("headers; write more of the path")
    assert name(one(index, tmp_path, uid="1.2.7", file="two/7_20180305_0")) == "two/7_20180305_0.dcm"


def test_a_copy_that_is_broken_off_does_not_stand_for_a_whole_one(tmp_path: Path):
    folder = of_one_uid(tmp_path / "dicom", a=None, b=None, c=None)
    whole = (folder / "a_20180305_0.dcm").read_bytes()
    (folder / "a_20180305_0.dcm").write_bytes(whole[:-1000])
    (folder / "b_20180305_0.dcm").write_bytes(whole[: -film().nbytes - 12])
    index = ImageIndex(read_image_files(folder))
    assert [image.name for image in index.images] == ["c_20180305_0.dcm"]
    assert len(index.copies) == 2
    for cells in ({"uid": "1.2.7"}, {"pid": "7", "date": "2018-03-05"}, {"file": "c_20180305_0.dcm"}):
        assert name(one(index, tmp_path, **cells)) == "c_20180305_0.dcm"
    assert name(one(index, tmp_path, file="a_20180305_0")).startswith("truncated: its file cannot be used: ")
    assert name(one(index, tmp_path, file="b_20180305_0")).startswith("no_pixel_data: its file cannot be used: ")
    (folder / "c_20180305_0.dcm").write_bytes(whole[:-2000])
    broken = ImageIndex(read_image_files(folder))
    assert [image.name for image in broken.images] == ["a_20180305_0.dcm"]
    assert name(one(broken, tmp_path, uid="1.2.7")).startswith("truncated: its file cannot be used: ")


def test_the_report_counts_rows_and_files_and_lists_unknown_words(index: ImageIndex, tmp_path: Path):
    join = joined(
        index, tmp_path, row(uid="1.2.826.99"), row(uid="1.2.826.99", dx="B5a"), row(pid="9", date="2018-03-05"),
        row(pid="123", date="2018-03-05", side="R", dx="IDC"), row(uid="1.2.826.99", mass="yes"),
    )  # fmt: skip
    text = "\n".join(join_lines(join))
    assert (
        "rows of the spreadsheet: 5\n  joined to a mammogram: 4 (3 by SOP Instance UID; 1 by patient and date)" in text
    )
    assert "  left out by rule: 1\n    1 (1 patient): mass with the calcifications" in text
    assert "  cannot be used: 2\n" in text
    assert "      row 4: no file is of this patient" in text
    assert "  column 'dx': 'B5a' (1 row)" in text
    assert "files read: 9\n  mammograms: 7; 2 named by a row, 5 by none" in text
    assert "  no mammograms that can be used: 2\n" in text
    assert "ROI images to cut: 2 of 2 patients; 1 benign, 1 malignant" in text
    listed = join_table(join).decode("utf-8-sig").splitlines()
    assert listed[0] == "row,file,found_by,outcome,code,message"
    assert listed[1] == "2,b/mag_20180305_0.dcm,SOP Instance UID,used,,"
    assert listed[5].startswith("6,b/mag_20180305_0.dcm,SOP Instance UID,left out,mass,")


def test_messages_hold_nothing_of_what_names_a_patient(index: ImageIndex, tmp_path: Path):
    join = joined(
        index, tmp_path, row(pid="Secret77", date="2018-03-05"), row(acc="Secret77"), row(uid="1.2.Secret77"),
        row(uid="1.2.826.99", pid="Secret77"), row(file="Secret77.dcm"), row(uid="1.2.826.99", dx="Secret77"),
        row(uid="1.2.826.99", y="Secret77"), row(pid="Secret77", date="Secret77"),
    )  # fmt: skip
    assert len(join.faulty) == 8
    assert "Secret77" not in " ".join(fault.message for found in join.faulty for fault in found.faults)


# --------------------------------------------------------------------------------------------- rows


def test_a_row_says_where_its_lesion_lies(tmp_path: Path):
    columns = {"sop_uid": "uid", "label": "y", **{f: f for f in ("roi_row", "roi_col", "box_top", "box_left",
               "box_width", "box_height", "mask_file")}}  # fmt: skip
    table = sheet(
        tmp_path / "t.csv", "uid,y,roi_row,roi_col,box_top,box_left,box_width,box_height,mask_file",
        "1.2,0,10,20,,,,,", "1.2,0,,,10,20,5,3,", "1.2,0,,,,,,,m.png", "1.2,0,1,,,,,,", "1.2,0,1,a,,,,,",
        "1.2,0,,,10,20,0,3,",
    )  # fmt: skip
    rows = read_labels(table, ColumnMap(columns=columns))
    assert [r.box.centre if r.box else r.mask for r in rows[:3]] == [(10, 20), (11, 22), "m.png"]
    assert [r.faults[0].code for r in rows[3:]] == ["no-place", "bad-place", "bad-place"]


def test_the_map_gives_words_their_meaning(tmp_path: Path):
    column_map = ColumnMap(
        columns={**COLUMNS}, words={"pathology": {"B5a": "dcis", "B2": "benign"}, "view": {"cranial": "CC"}}
    )
    table = sheet(tmp_path / "t.csv", HEADER, row(uid="1.2", dx="b5A", view="Cranial"), row(uid="1.2", dx="B2"))
    rows = read_labels(table, column_map)
    assert [r.values["pathology"] for r in rows] == ["dcis", "benign"]
    assert rows[0].values["view"] == "CC"


def test_only_columns_of_the_map_must_show_all_their_cells(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    rows = [["uid", "Final\npathology", "who", "remarks"], ["1.2", "ADH", "x", "=1+1"], ["1.3", "IDC", "y", "z"]]
    for cells in rows:
        book.active.append(cells)
    book.active.merge_cells("C3:D3")
    book.save(tmp_path / "t.xlsx")
    columns = {"sop_uid": "uid", "pathology": "Final pathology"}
    assert [r.values["pathology"] for r in read_labels(tmp_path / "t.xlsx", ColumnMap(columns=columns))] == [
        "high_risk", "invasive",
    ]  # fmt: skip
    for more, words in ({"site": "remarks"}, "without one: D2"), ({"view": "who", "site": "remarks"}, "without one"):
        with pytest.raises(TableError, match=words):
            read_labels(tmp_path / "t.xlsx", ColumnMap.model_validate({"columns": {**columns, **more}}))


def test_label_and_pathology_must_agree(tmp_path: Path):
    column_map = ColumnMap(columns={"sop_uid": "uid", "pathology": "dx", "label": "y", "roi_row": "r", "roi_col": "c"})
    table = sheet(tmp_path / "t.csv", "uid,dx,y,r,c", "1.2,ADH,1,5,5", "1.2,ADH,0,5,5", "1.2,,1,5,5", "1.2,IDC,,5,5")
    rows = read_labels(table, column_map)
    assert [r.faults[0].code if r.faults else r.values["label"] for r in rows] == ["label-pathology", "0", "1", "1"]


def test_a_column_of_the_map_that_is_not_there_is_named(tmp_path: Path):
    table = sheet(tmp_path / "t.csv", "uid,y", "1.2,0")
    with pytest.raises(TableError, match=r"'View' \(view\), 'Mass' \(mass\) missing, found \['uid', 'y'\]"):
        read_labels(
            table,
            ColumnMap.model_validate(
                {"columns": {"sop_uid": "uid", "label": "y", "view": "View"}, "rules": {"mass": "Mass"}}
            ),
        )


def test_rows_are_numbered_as_in_the_spreadsheet(tmp_path: Path):
    table = sheet(tmp_path / "t.csv", "uid,y", "1.2,0", ",", "1.3,1")
    import pandas as pd  # noqa: PLC0415

    assert [r.number for r in read_labels(table, ColumnMap(columns={"sop_uid": "uid", "label": "y"}))] == [2, 4]
    frame = pd.DataFrame({"uid": ["1.2"], "y": ["0"]}, index=[7])
    assert label_rows(frame, ColumnMap(columns={"sop_uid": "uid", "label": "y"}), source="x")[0].name == "row 9"


def test_an_empty_folder_is_refused(tmp_path: Path):
    table = sheet(tmp_path / "t.csv", "uid,y", "1.2,0")
    (tmp_path / "empty").mkdir()
    source = DicomSource(tmp_path / "empty", table, ColumnMap(columns={"sop_uid": "uid", "label": "y"}))
    with pytest.raises(InputError, match="must hold DICOM files; it holds none"):
        plan_from_dicom(source)


def test_places_with_a_decimal_comma_are_read_and_what_is_no_number_is_named(tmp_path: Path):
    path = tmp_path / "semicolons.csv"
    path.write_text("uid;dx;y;x\n1.2;ADH;10,5;20\n1.2;ADH;1,234;20\n1.2;ADH;left;nan\n", "utf-8")
    columns = {"sop_uid": "uid", "pathology": "dx", "roi_row": "y", "roi_col": "x"}
    first, second, third = read_labels(path, ColumnMap(columns=columns))
    assert first.box is not None
    assert first.box.centre == (10.5, 20)
    assert [fault.message for fault in (*second.faults, *third.faults)] == [
        "column 'y' must hold a number like 716 or 716.5; the cell is none",
        "the row must say where the lesion lies: a point (roi_row, roi_col), a box (box_top, box_left, and "
        "box_bottom, box_right or box_width, box_height) or a mask_file; it has none",
    ]


def test_words_that_are_not_known_are_told_once_each(index: ImageIndex, tmp_path: Path):
    join = joined(index, tmp_path, *(row(uid="1.2.826.99", dx="puzzling") for _ in range(30)))
    text = "\n".join(join_lines(join))
    assert "    unknown-word, 30, told below word by word" in text
    assert text.count("puzzling") == 1
    assert "its word is not known" not in text
