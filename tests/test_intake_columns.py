"""Column maps: proposed from headers, written as YAML, read back, and refused where they say too little."""

from pathlib import Path

import pandas as pd
import pytest

from microcalc.errors import ProtocolError, TableError
from microcalc.intake.column_guess import SURE, draft_of_guesses, guess_columns, map_of_guesses
from microcalc.intake.column_map import ColumnMap, RuleColumn, column_map_yaml, read_column_map


def guessed(**columns: list[str]) -> dict[str, str]:
    """Field of each header, where the guess is sure."""
    longest = max(map(len, columns.values()))
    table = pd.DataFrame({k: v + [""] * (longest - len(v)) for k, v in columns.items()})
    return {g.header: g.field for g in guess_columns(table) if g.confidence >= SURE}


def test_english_headers_are_recognised_however_they_are_spelled():
    table = pd.DataFrame(
        [["7", "2018-03-05", "Left", "MLO", "IDC", "10", "20", "no", "yes"]],
        columns=["Patient_ID", "Study Date", "SIDE", "view-position", "Final Pathology", "X center", "roi_row",
                 "Associated mass", "breast implants"],
    )  # fmt: skip
    fields = [g.field for g in guess_columns(table)]
    assert fields == [
        "patient_id", "exam_date", "laterality", "view", "pathology", "roi_col", "roi_row", "mass", "implant",
    ]  # fmt: skip


def test_korean_headers_are_recognised():
    assert guessed(등록번호=["12"], 검사일자=["2018.3.5"], 좌우=["좌"], 조직검사결과=["양성"], 보형물=["무"]) == {
        "등록번호": "patient_id", "검사일자": "exam_date", "좌우": "laterality", "조직검사결과": "pathology",
        "보형물": "implant",
    }  # fmt: skip


def test_german_headers_are_recognised():
    assert guessed(**{
        "Pat.-Nr.": ["421"], "Untersuchungsdatum": ["2018-03-05"], "Zugangsnr.": ["A1"], "Seite": ["links"],
        "Pos. X (Pixel)": ["7"], "Histologie": ["DCIS"], "Tastbefund": ["nein"], "Vor-OP": ["ja"],
    }) == {
        "Pat.-Nr.": "patient_id", "Untersuchungsdatum": "exam_date", "Zugangsnr.": "accession_number",
        "Seite": "laterality", "Pos. X (Pixel)": "roi_col", "Histologie": "pathology", "Tastbefund": "symptoms",
        "Vor-OP": "operation",
    }  # fmt: skip


@pytest.mark.parametrize("header", ["Birth date", "Geb.-Datum", "Biopsy Date", "Patient name", "Patient age", "Seitr"])
def test_a_header_that_means_something_else_is_left_aside(header: str):
    assert guessed(**{header: ["1950-01-02"]}) == {}


def test_misspelled_headers_are_recognised_with_less_confidence():
    guesses = guess_columns(pd.DataFrame({"pathologie": ["IDC"], "acession number": ["A1"], "pathology": ["IDC"]}))
    assert [(g.field, g.confidence >= SURE) for g in guesses] == [
        ("", False),
        ("accession_number", True),
        ("pathology", True),
    ]
    assert guesses[1].confidence < guesses[2].confidence


def test_cells_that_cannot_be_read_lower_the_confidence():
    good, bad = (guess_columns(pd.DataFrame({"side": cells}))[0] for cells in (["L", "R"], ["up", "down"]))
    assert good.confidence == 1.0
    assert bad.confidence == SURE  # an exact header is believed, and its words will be listed
    assert bad.unreadable == 1.0
    inexact = guess_columns(pd.DataFrame({"breast side noted": ["up", "down"]}))[0]
    assert inexact.confidence < SURE


def test_headers_that_mean_nothing_are_left_aside():
    assert guessed(Remarks=["x"], Age=["50"], radiologist=["Kim"]) == {}


def test_x_and_y_beside_width_and_height_are_a_corner():
    assert guessed(x=["1"], y=["2"], width=["3"], height=["4"]) == {
        "x": "box_left", "y": "box_top", "width": "box_width", "height": "box_height",
    }  # fmt: skip
    assert guessed(x=["1"], y=["2"]) == {"x": "roi_col", "y": "roi_row"}


def test_each_field_is_proposed_once():
    assert guessed(patient=["1"], patient_id=["1"]) == {"patient_id": "patient_id"}


def test_a_map_is_written_with_its_meanings_and_read_back(tmp_path: Path):
    made = ColumnMap(
        columns={"patient_id": "환자: 번호", "exam_date": "Date", "pathology": "Dx #1"},
        rules={
            "mass": RuleColumn(column="Mass"),
            "male": RuleColumn(column="Sex", yes=("M",), no=("F",), reason="men"),
        },
        words={"pathology": {"B5a": "dcis"}},
        implants="keep",
    )
    text = column_map_yaml(made, comment="made for a test")
    assert "# made for a test" in text
    assert "patient_id: '환자: 번호'  # Patient ID as in the images" in text
    (tmp_path / "map.yaml").write_text(text, encoding="utf-8")
    assert read_column_map(tmp_path / "map.yaml") == made


def test_the_proposed_map_of_a_usable_sheet_can_be_used():
    table = pd.DataFrame({"PatientID": ["1"], "Exam date": ["2018-01-01"], "diagnosis": ["ADH"], "symptom": ["no"]})
    made = map_of_guesses(guess_columns(table), source="x")
    assert made.columns == {"patient_id": "PatientID", "exam_date": "Exam date", "pathology": "diagnosis"}
    assert list(made.rules) == ["symptoms"]
    assert not made.has_place


def test_a_sheet_that_names_no_mammogram_gives_no_map():
    with pytest.raises(TableError, match="rows must name their mammogram"):
        map_of_guesses(guess_columns(pd.DataFrame({"pathology": ["ADH"]})), source="results.xlsx")


def test_a_draft_says_what_is_missing_and_keeps_what_is_unsure():
    table = pd.DataFrame({"MRN": ["1"], "breast side noted": ["up"], "pathology": ["ADH"], "Remark": ["x"]})
    text, missing = draft_of_guesses(guess_columns(table), comment="look")
    assert [reason[:29] for reason in missing] == ["rows must name their mammogra"]
    for line in (
        "# look",
        "  patient_id: MRN",
        "#   laterality: breast side noted",
        "# other columns: Remark",
    ):
        assert line in text
    assert "# MISSING: rows must name their mammogram: map sop_uid" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {patient: x}", "no such field as patient"),
        ("columns: {patient_id: x, pathology: p}", "rows must name their mammogram"),
        ("columns: {sop_uid: x}", "map pathology, or label"),
        ("columns:", "rows must name their mammogram"),
        ("columns: {sop_uid: x, label: y, mass: z}", "mass must stand under rules"),
        ("columns: {sop_uid: x, label: y}\nwords: {site: {a: b}}", "words: may be given for"),
        ("columns: {sop_uid: x, label: y}\nimplants: maybe", "implants"),
        ("columns: {sop_uid: x, label: y}\nmore: 1", "more: Extra inputs"),
        ("- a\n- b", "must be a mapping with the entry columns"),
        ("columns: [", "must be a readable YAML file"),
    ],
)
def test_a_map_that_says_too_little_or_too_much_is_refused(tmp_path: Path, text: str, message: str):
    (tmp_path / "map.yaml").write_text(text)
    with pytest.raises(ProtocolError, match=message):
        read_column_map(tmp_path / "map.yaml")


def test_yes_and_no_may_stand_without_quotes_in_a_rule(tmp_path: Path):
    (tmp_path / "map.yaml").write_text(
        "columns: {sop_uid: u, label: y}\nrules:\n  mass: {column: m, yes: [yes, x, 1], no: [no, 0]}\n"
    )
    rule = read_column_map(tmp_path / "map.yaml").rules["mass"]
    assert rule.yes == ("yes", "x", "1")
    assert rule.no == ("no", "0")
