"""What people write in spreadsheets, in the contract's words; what is not known is None, never a guess."""

import pytest

from microcalc.intake.terms import (
    is_empty,
    plain,
    read_birads,
    read_day,
    read_laterality,
    read_sided_view,
    read_truth,
    read_view,
    read_yes_no,
)


@pytest.mark.parametrize(
    ("text", "pathology"),
    [
        ("IDC", "invasive"), ("Invasive ductal carcinoma, grade 2", "invasive"), ("invasive", "invasive"),
        ("IDC with DCIS", "invasive"), ("DCIS + microinvasion", "invasive"), ("ILC/LCIS", "invasive"),
        ("침윤성 유방암", "invasive"), ("Mucinous carcinoma", "invasive"), ("DCIS with IDC, focal", "invasive"),
        ("DCIS", "dcis"), ("ductal carcinoma in-situ", "dcis"), ("DCIS, high nuclear grade, comedo type", "dcis"),
        ("pTis", "dcis"), ("관상피내암", "dcis"), ("DCIS and ADH", "dcis"), ("Non-invasive cancer", "dcis"),
        ("ADH", "high_risk"), ("Flat epithelial atypia", "high_risk"), ("LCIS", "high_risk"),
        ("intraductal papilloma", "high_risk"), ("ADH, UDH", "high_risk"), ("high-risk", "high_risk"),
        ("benign", "benign"), ("Fibrocystic change with microcalcification", "benign"), ("양성", "benign"),
        ("Sclerosing adenosis / apocrine metaplasia", "benign"), ("UDH", "benign"),
        ("Negative for malignancy", "benign"),
        ("usual ductal hyperplasia and columnar cell change with calcifications", "benign"),
    ],
)  # fmt: skip
def test_histopathology_is_read(text: str, pathology: str):
    truth = read_truth(text)
    assert truth is not None
    assert truth.pathology == pathology
    assert truth.label == (pathology in ("dcis", "invasive"))
    assert truth.biopsied


@pytest.mark.parametrize(("text", "label"), [("MALIGNANT", 1), ("악성", 1), ("cancer", 1), ("1", 1), ("0", 0)])
def test_some_words_tell_the_label_only(text: str, label: int):
    truth = read_truth(text)
    assert truth is not None
    assert (truth.pathology, truth.label, truth.biopsied) == ("", label, True)


def test_benign_without_callback_is_benign_without_tissue():
    truth = read_truth("BENIGN_WITHOUT_CALLBACK")
    assert truth is not None
    assert (truth.pathology, truth.label, truth.biopsied) == ("", 0, False)


@pytest.mark.parametrize("text", ["", "N/A", "-", "not done", "pending", "미시행", "no biopsy"])
def test_some_cells_say_that_there_is_no_result(text: str):
    truth = read_truth(text)
    assert truth is not None
    assert truth.label is None


@pytest.mark.parametrize(
    "text",
    [
        "see report", "B5a", "phyllodes", "atypical", "IDC?", "no DCIS", "suspicious for DCIS", "r/o IDC",
        "DCIS vs ADH", "pleomorphic LCIS", "benign, see note", "not malignant", "3",
    ],
)  # fmt: skip
def test_words_that_are_not_known_are_not_guessed(text: str):
    assert read_truth(text) is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("4b", "4B"), ("BI-RADS 4b", "4B"), ("BIRADS4A", "4A"), ("C4c", "4C"), ("4 a", "4A"), ("4-b", "4B"),
        ("category 5", "5"), ("Cat. 0", "0"), ("3", "3"), ("4.0", "4"), ("ACR BI-RADS: 2", "2"), ("", ""),
        ("7", None), ("4d", None), ("benign", None), ("3-4", None), ("45", None),
    ],
)  # fmt: skip
def test_birads_categories(text: str, category: str | None):
    assert read_birads(text) == category


@pytest.mark.parametrize(
    ("text", "side"),
    [("Left", "L"), ("RT", "R"), ("l", "L"), ("우측", "R"), ("왼쪽", "L"), ("", ""), ("both", None), ("B", None)],
)
def test_sides(text: str, side: str | None):
    assert read_laterality(text) == side


@pytest.mark.parametrize("text", ["LAT", "lat.", "RAT", "mag LAT", "L LAT", "lateral"])
def test_lateral_is_not_taken_for_the_left_axillary_tail(text: str):
    assert read_sided_view(text) is None


@pytest.mark.parametrize(
    ("text", "side"), [("AT", ""), ("L AT", "L"), ("R-AT", "R"), ("Lt.AT", "L"), ("R_AT spot", "R"), ("left AT", "L")]
)
def test_an_axillary_tail_is_read_where_its_side_stands_apart(text: str, side: str):
    assert read_sided_view(text) == (side, "AT")


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("CC", "CC"), ("mlo", "MLO"), ("LMLO", "MLO"), ("R-CC", "CC"), ("RCC", "CC"), ("LM", "LM"), ("LML", "ML"),
        ("LLM", "LM"), ("ML", "ML"), ("LMO", "LMO"), ("Cranio-caudal", "CC"), ("mediolateral oblique view", "MLO"),
        ("spot CC", "CC"), ("Mag ML", "ML"), ("left CC mag", "CC"), ("XCCL", "XCCL"), ("", ""),
        ("PA", None), ("CC/MLO", None), ("L", None),
    ],
)  # fmt: skip
def test_views(text: str, view: str | None):
    assert read_view(text) == view


@pytest.mark.parametrize(
    ("text", "meaning"),
    [("Yes", True), ("1", True), ("있음", True), ("+", True), ("no", False), ("", False), ("무", False), ("-", False),
     ("0", False), ("x", None), ("O", None), ("maybe", None), ("2", None)],
)  # fmt: skip
def test_yes_and_no(text: str, meaning: bool | None):
    assert read_yes_no(text) is meaning


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2018-03-05", "2018-03-05"), ("20180305", "2018-03-05"), ("2018.3.5", "2018-03-05"),
        ("2018. 3. 5.", "2018-03-05"),
        ("2018/03/05", "2018-03-05"), ("2018-03-05 00:00:00", "2018-03-05"), ("2018년 3월 5일", "2018-03-05"),
        ("2018-03-05T10:20:30", "2018-03-05"), ("", ""), ("5/3/2018", None), ("2018-02-30", None),
        ("5.3.2018", "2018-03-05"), ("05. 03. 2018", "2018-03-05"), ("31.02.2018", None), ("05.03.18", None),
        ("March 2018", None),
        ("18-03-05", None), ("2018-03/05", None),
    ],
)  # fmt: skip
def test_days(text: str, day: str | None):
    assert read_day(text) == day


def test_texts_are_compared_regardless_of_case_width_and_punctuation():
    assert plain("  Patient–ID (Ｎｏ.) ") == "patient id no"
    assert is_empty("N/A")
    assert not is_empty("0")


def test_german_is_read():
    found = [read_truth(text) for text in ("invasives Mammakarzinom NST", "Fibroadenom mit Mikrokalk", "DCIS und ADH")]
    assert [truth and truth.pathology for truth in found] == ["invasive", "benign", "dcis"]
    assert [read_laterality(text) for text in ("links", "Re.")] == ["L", "R"]
    assert [read_yes_no(text) for text in ("ja", "Nein", "vielleicht")] == [True, False, None]
    assert [read_birads(text) for text in ("IVa", "BI-RADS V", "iii", "IIII")] == ["4A", "5", "3", None]
