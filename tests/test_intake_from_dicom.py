"""The hospital's way from DICOM and spreadsheet to cohort: ROIs, pseudonyms, flow, refusals."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pydicom", reason="pip install 'microcalc[dicom]'")

from dicom_folders import exam, film, sheet
from dicom_samples import with_text
from microcalc.cohort import Cohort, check_cohort, encode_png, read_roi
from microcalc.cohort.disclosure import privacy_checks
from microcalc.errors import CohortError, ImageError, InputError
from microcalc.intake.column_map import ColumnMap
from microcalc.intake.crop import Box, Scale
from microcalc.intake.dicom import NoteCode, Refusal, read_mammogram
from microcalc.intake.from_dicom import DicomSource, from_dicom, plan_from_dicom
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.identifiers import collect_texts
from microcalc.intake.lesions import CutRoi, CutSettings, Lesion, NotCut, cut_lesions
from microcalc.intake.masks import lesion_box
from microcalc.intake.workers import in_processes

COLUMNS = {
    "patient_id": "pid", "exam_date": "date", "laterality": "side", "view": "view", "roi_row": "y", "roi_col": "x",
    "pathology": "dx", "lesion_id": "lesion", "site": "site", "birads": "birads",
}  # fmt: skip
MAP = ColumnMap.model_validate({"columns": COLUMNS, "rules": {"mass": "mass", "history": "history"}})
HEADER = "pid,date,side,view,y,x,dx,lesion,site,birads,mass,history"
ROWS = (
    "Pat1,2018-03-05,L,CC,350,256,IDC,upper,North Hospital,4c,no,no",
    "Pat1,2018-03-05,L,MLO,300,100,IDC,upper,North Hospital,4c,no,no",
    "Pat1,2018-03-05,L,CC,600,100,IDC,lower,North Hospital,5,no,no",
    "Pat2,2017-01-02,R,CC,350,300,Fibrocystic change,1,South Hospital,4a,no,no",
    "Pat2,2017-01-02,R,MLO,350,300,Fibrocystic change,1,South Hospital,4a,yes,yes",
    "Pat3,2019-09-09,R,CC,350,300,ADH,1,South Hospital,4b,no,yes",
    "Pat3,2019-09-09,L,CC,350,300,,1,South Hospital,4b,no,no",
    "Pat4,2019-09-10,L,CC,350,300,DCIS,1,South Hospital,4b,no,no",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hospital") / "dicom"
    exam(root, "Pat1", "20180305", ["L CC", "L MLO"])
    exam(root, "Pat2", "20170102", ["R CC", "R MLO"])
    exam(root, "Pat3", "20190909", ["R CC", "L CC"])
    exam(root, "Pat4", "20190910", ["L CC"])
    return root


def made(
    folder: Path, tmp_path: Path, rows: Sequence[str] = ROWS, *, column_map: ColumnMap = MAP, **settings: object
) -> Cohort:
    source = DicomSource(folder, sheet(tmp_path / "results.csv", HEADER, *rows), column_map)
    key = tmp_path / "study.key"
    return from_dicom(source, plan_from_dicom(source), tmp_path / "cohort", HarvestSettings(**{"key": key, **settings}))


def test_every_row_becomes_a_square_of_its_mammogram(folder: Path, tmp_path: Path):
    cohort = made(folder, tmp_path)
    table = cohort.table
    assert len(table) == 5
    mammogram = read_mammogram(folder / "Pat1_20180305_0.dcm")
    assert not isinstance(mammogram, Refusal)
    grey = np.rint(mammogram.pixels * 65535).astype(np.uint16)
    assert (read_roi(cohort.image_paths()[0]) == grey[94:606, 0:512]).all()
    first = table.iloc[0]
    assert list(first[["laterality", "view", "pathology", "label", "birads", "padded"]]) == [
        "L", "CC", "invasive", 1, "4C", "false",
    ]  # fmt: skip
    assert (first["roi_row"], first["roi_col"], first["pixel_spacing_mm"], first["magnification"]) == (
        350,
        256,
        0.07,
        1.0,
    )
    assert not check_cohort(cohort.folder).has_errors


def test_two_views_of_a_lesion_share_its_number_and_lesions_do_not(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path).table
    own = table[table["patient_id"] == table["patient_id"].iloc[0]].set_index(["view", "roi_row"])["lesion_id"]
    assert own["CC", 350.0] == own["MLO", 300.0] == "1"
    assert own["CC", 600.0] == "2"


def test_the_flow_counts_each_rule_in_the_papers_order(folder: Path, tmp_path: Path):
    cohort = made(folder, tmp_path)
    assert cohort.record["flow"] == {
        "assessed": {"images": 8, "patients": 4},
        "left_out": [
            {"code": "mass", "reason": "mass with the calcifications", "images": 1, "patients": 1},
            {"code": "history", "reason": "history of breast cancer", "images": 1, "patients": 1},
            {"code": "implant", "reason": "breast implant", "images": 0, "patients": 0},
            {"code": "no_histopathology", "reason": "no histopathology", "images": 1, "patients": 1},
        ],
        "included": {"images": 5, "patients": 3},
    }
    verdicts = cohort.record["verdicts"]
    assert isinstance(verdicts, list)
    assert [(v["source"], v["code"]) for v in verdicts if not v["accepted"]] == [
        ("row 6", "mass"), ("row 7", "history"), ("row 8", "no_histopathology"),
    ]  # fmt: skip


def test_nothing_of_the_source_shows_through(folder: Path, tmp_path: Path):
    cohort = made(folder, tmp_path)
    texts = collect_texts([folder, tmp_path / "results.csv"])
    audit = check_cohort(cohort.folder, more=privacy_checks(texts.wanted, skipped=texts.skipped))
    assert [f.message for f in audit.findings if f.code.startswith("privacy") and f.severity == "error"] == []
    assert cohort.table["patient_id"].str.fullmatch("P[0-9a-f]{16}").all()
    assert cohort.table["source_uid"].str.startswith("2.25.").all()
    assert cohort.table["site"].str.fullmatch("S[0-9a-f]{6}").all()


def test_the_order_of_the_dates_is_kept(folder: Path, tmp_path: Path):
    table = made(folder, tmp_path).table
    assert table["exam_date"].iloc[3] < table["exam_date"].iloc[0] < table["exam_date"].iloc[4]
    assert (table["exam_date"] > "2100").all()


def test_the_same_key_gives_the_same_names(folder: Path, tmp_path: Path):
    first = made(folder, tmp_path).table
    (tmp_path / "cohort").rename(tmp_path / "before")
    assert made(folder, tmp_path).table.equals(first)
    assert made(folder, tmp_path / "before", key=tmp_path / "other.key").table["patient_id"].tolist() != (
        first["patient_id"].tolist()
    )


def test_a_key_inside_the_cohort_is_refused(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="the key must lie outside the cohort"):
        made(folder, tmp_path, key=tmp_path / "cohort" / "key")
    assert not (tmp_path / "cohort").exists()


def test_faults_refuse_the_whole_and_name_each_row(folder: Path, tmp_path: Path):
    rows = (*ROWS, "Nobody,2018-03-05,L,CC,3,2,IDC,1,,4c,no,no", "Pat4,2019-09-10,L,CC,,,DCIS,2,,4c,no,no")
    with pytest.raises(InputError, match="every ROI must be usable; 2 of 10 are not") as error:
        made(folder, tmp_path, rows)
    assert "  row 10: no file is of this patient\n  row 11: the row must say where the lesion lies" in str(error.value)
    assert "leave them out with --skip-bad. Nothing was written." in str(error.value)
    assert not (tmp_path / "cohort").exists()
    cohort = made(folder, tmp_path, rows, skip_bad=True)
    flow = cohort.record["flow"]
    assert isinstance(flow, dict)
    assert [s["code"] for s in flow["left_out"]] == [
        "mass", "history", "implant", "no_histopathology", "no-image", "no-place",
    ]  # fmt: skip


def test_a_day_that_cannot_be_shifted_is_a_fault_of_its_row(tmp_path: Path):
    exam(tmp_path / "dicom", "Pat1", "20180305")
    exam(tmp_path / "dicom", "Pat2", "19000101", ["R CC"])
    rows = (ROWS[0], ROWS[3].replace("2017-01-02", "1900-01-01"))
    with pytest.raises(
        InputError, match="  row 3: an exam must be of 1980-01-01 to 2059-12-31; mend the day of the row"
    ):
        made(tmp_path / "dicom", tmp_path, rows)
    assert len(made(tmp_path / "dicom", tmp_path, rows, skip_bad=True).table) == 1


def test_an_impossible_day_of_the_header_is_left_empty_with_a_remark(tmp_path: Path):
    exam(tmp_path / "dicom", "Pat1", "19000101", ["L CC"])
    columns = {name: header for name, header in COLUMNS.items() if name != "patient_id"} | {"image_file": "pid"}
    rows = [ROWS[0].replace("Pat1,2018-03-05", cells) for cells in ("Pat1_19000101_0,", "Pat1_19000101_0,2018-03-05")]
    rows[1] = rows[1].replace("350,256", "200,256")
    cohort = made(tmp_path / "dicom", tmp_path, rows, column_map=MAP.model_copy(update={"columns": columns}))
    assert [bool(day) for day in cohort.table["exam_date"].fillna("")] == [False, True]
    remark = "2 images: the day of the exam in the header must be of 1980-01-01 to 2059-12-31; it was taken as not told"
    assert remark in (cohort.folder / "cohort.json").read_text("utf-8")


def test_nothing_left_is_refused_with_the_reasons(folder: Path, tmp_path: Path):
    with pytest.raises(InputError, match="at least one ROI must be left for a cohort; none is") as error:
        made(folder, tmp_path, ROWS[4:5], skip_bad=True)
    assert "1 left out by rule: mass with the calcifications" in str(error.value)


def test_an_occupied_folder_is_refused(folder: Path, tmp_path: Path):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort/mine.txt").write_text("mine")
    with pytest.raises(CohortError, match="must be written to a new or empty folder"):
        made(folder, tmp_path)


def test_one_spacing_for_all_is_recorded(folder: Path, tmp_path: Path):
    cohort = made(folder, tmp_path, ROWS[:4], cut=CutSettings(Scale(0.05)))
    assert set(cohort.table["pixel_spacing_mm"]) == {0.05}
    assert cohort.record["roi"] == {"side": 512, "pixel_mm": 0.05}
    assert set(cohort.table["padded"]) == {"true", "false"}


def test_a_lesion_of_the_other_class_in_the_square_is_remarked_on(folder: Path, tmp_path: Path):
    rows = (*ROWS[:4], "Pat1,2018-03-05,L,CC,400,256,ADH,third,North Hospital,4c,no,no")
    verdicts = made(folder, tmp_path, rows).record["verdicts"]
    assert isinstance(verdicts, list)
    said = [v["message"] for v in verdicts if v["code"] == "two-classes"]
    assert said[0].startswith("3 images: the square also holds a lesion of the other class")


@pytest.mark.parametrize(("pixel_mm", "apart", "told"), [(0.07, 200, True), (0.14, 500, True), (0.035, 200, False)])
def test_the_square_of_another_scale_holds_other_lesions(tmp_path: Path, pixel_mm: float, apart: int, told: bool):
    exam(tmp_path / "dicom", "Q1", "20180305", ["L CC"])
    rows = [f"Q1,2018-03-05,L,CC,{row},300,{dx},{dx},,,no,no" for row, dx in ((50, "IDC"), (50 + apart, "ADH"))]
    labels = sheet(tmp_path / "l.csv", HEADER, *rows)
    source = DicomSource(tmp_path / "dicom", labels, MAP)
    settings = HarvestSettings(cut=CutSettings(Scale(pixel_mm)), key=tmp_path / "k")
    verdicts = from_dicom(source, plan_from_dicom(source), tmp_path / "c", settings).record["verdicts"]
    assert ("two-classes" in {verdict["code"] for verdict in verdicts}) is told


@pytest.mark.parametrize(("column", "remarked"), [(100, False), (330, True)])
def test_text_is_remarked_on_only_where_a_square_shows_it(tmp_path: Path, column: int, remarked: bool):
    exam(tmp_path / "dicom", "Pat1", "20180305", stored=with_text(film(), "DOE JANE", (400, 40)))
    mammogram = read_mammogram(tmp_path / "dicom" / "Pat1_20180305_0.dcm")
    assert any(note.code is NoteCode.BURNED_IN_SUSPECTED and note.places for note in mammogram.notes)
    row = f"Pat1,2018-03-05,L,CC,270,{column},IDC,upper,North Hospital,4c,no,no"
    remarks = [v for v in made(tmp_path / "dicom", tmp_path, [row]).record["verdicts"] if v["accepted"]]
    assert ("burned_in_suspected" in {v["code"] for v in remarks}) is remarked


def test_masks_of_png_mark_lesions(folder: Path, tmp_path: Path):
    mask = np.zeros(film().shape, np.uint16)
    mask[300:401, 250:281] = 65535
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/m.png").write_bytes(encode_png(mask))
    columns = {k: v for k, v in COLUMNS.items() if not k.startswith("roi")} | {"mask_file": "y"}
    column_map = ColumnMap(columns=columns)
    rows = ("Pat1,2018-03-05,L,CC,masks/m.png,,IDC,1,,4,,", r"Pat2,2017-01-02,R,CC,masks\m.png,,UDH,1,,4,,")
    cohort = made(folder, tmp_path, rows, column_map=column_map)
    assert cohort.table[["roi_row", "roi_col"]].to_numpy().tolist() == [[350, 265], [350, 265]]
    with pytest.raises(
        InputError, match=r"row 2: the mask file must exist; there is none\. Give its folder as --masks"
    ):
        made(folder, tmp_path, (rows[0].replace("m.png", "n.png"), rows[1]), column_map=column_map)


def saved_mask(path: Path, kind: str) -> Path:
    """Lesion at rows 30 to 40, columns 25 to 28, of 70 x 60, as programs write masks."""
    marked = np.zeros((70, 60), np.uint8)
    marked[30:41, 25:29] = 1
    picture = Image.fromarray(marked)
    if kind == "1 bit":
        picture = picture.point(lambda value: 255 * value).convert("1")
    elif kind.startswith("palette"):
        colours = [0, 0, 0, 128, 0, 0] if kind == "palette" else [255, 255, 255, 0, 0, 0]
        picture.putpalette(colours)
    elif kind == "colour":
        picture = picture.convert("RGB")
    picture.save(path)
    return path


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
@pytest.mark.parametrize("kind", ["8 bit", "1 bit", "palette"])
def test_masks_of_two_colours_or_of_a_palette_are_masks(tmp_path: Path, kind: str, name: str):
    path = saved_mask(tmp_path / name, kind)
    assert lesion_box([path], (70, 60), largest_pixels=10**6).box == Box(30, 25, 40, 28)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("palette of black on white", "in a mask with a palette colour 0, and no other, must be black"),
        ("colour", "a mask must be grey, black and white, or have a palette; it is colour"),
    ],
)
def test_a_mask_whose_0_may_be_meant_otherwise_is_refused(tmp_path: Path, kind: str, words: str):
    with pytest.raises(ImageError, match=words) as error:
        lesion_box([saved_mask(tmp_path / "m.png", kind)], (70, 60), largest_pixels=10**6)
    assert "m.png" not in str(error.value)


def test_a_file_that_breaks_after_its_header_is_a_fault(folder: Path, tmp_path: Path):
    root = tmp_path / "copy"
    exam(root, "Pat1", "20180305", ["L CC"])
    exam(root, "Pat2", "20170102", ["R CC"])
    path = root / "Pat1_20180305_0.dcm"
    path.write_bytes(path.read_bytes()[:-1000])
    rows = (ROWS[0], ROWS[3])
    with pytest.raises(InputError, match="row 2: the file ends before its pixel data do"):
        made(root, tmp_path, rows)
    cohort = made(root, tmp_path, rows, skip_bad=True)
    assert len(cohort.table) == 1


def test_several_processes_give_the_same_cohort(folder: Path):
    paths = sorted(folder.glob("*.dcm"))
    lesions = [
        Lesion(f"row {k}", paths[k % 7], {"patient_id": "p", "label": "0"}, box) for k, box in enumerate(_boxes(24))
    ]
    alone = list(cut_lesions(lesions, CutSettings()))
    together = list(cut_lesions(lesions, CutSettings(), processes=2))
    assert [a.png for a in alone if isinstance(a, CutRoi)] == [a.png for a in together if isinstance(a, CutRoi)]
    assert len(alone) == 24
    assert not [a for a in alone if isinstance(a, NotCut)]


@pytest.mark.slow
def test_a_process_that_dies_costs_its_item_alone():
    answers = list(in_processes(_dies_at_three, range(8), processes=2, died=_died))
    assert answers == [0, 1, 2, "died at 3", 4, 5, 6, 7]


def test_cohort_json_holds_no_folder_and_no_time(folder: Path, tmp_path: Path):
    cohort = made(folder, tmp_path)
    text = json.dumps(cohort.record)
    assert str(tmp_path) not in text
    assert "Pat1" not in text
    assert cohort.record["join"] == {
        "rows": 8, "joined_by": {"patient and date": 8}, "files": 7, "mammograms": 7, "no_mammograms": {},
    }  # fmt: skip


def _boxes(count: int) -> list[object]:
    from microcalc.intake.crop import Box  # noqa: PLC0415

    return [Box.around(300 + k, 200 + k) for k in range(count)]


def _dies_at_three(number: int) -> int | str:
    if number == 3:
        os._exit(1)
    return number


def _died(number: int) -> int | str:
    return f"died at {number}"
