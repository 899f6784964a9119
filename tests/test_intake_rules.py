"""Inclusion and exclusion: named rules, the first of which counts, and the numbers of the flow diagram."""

import pytest

from microcalc.intake.column_map import ColumnMap
from microcalc.intake.rules import Flow, UnknownWordError, first_rule, rules_of

MAP = ColumnMap.model_validate(
    {
        "columns": {"sop_uid": "uid", "label": "y"},
        "rules": {
            "mass": "Mass",
            "symptoms": {"column": "Symptom", "yes": ["lump", "x"], "no": ["screening"]},
            "male": {"column": "Sex", "yes": ["M"], "no": ["F"], "reason": "men"},
        },
    }
)


def rule_of(mass: str = "", symptom: str = "", sex: str = "F") -> str:
    rule = first_rule(rules_of(MAP), {"Mass": mass, "Symptom": symptom, "Sex": sex})
    return rule.reason if rule else ""


def test_yes_leaves_a_row_out_and_no_keeps_it():
    assert rule_of(mass="yes") == "mass with the calcifications"
    assert rule_of(mass="no", symptom="none") == ""


def test_the_first_rule_counts():
    assert rule_of(mass="1", symptom="lump", sex="M") == "mass with the calcifications"
    assert rule_of(mass="0", symptom="lump", sex="M") == "symptoms"
    assert rule_of(sex="M") == "men"


def test_words_of_the_map_are_known_and_others_are_not():
    assert rule_of(symptom="X") == "symptoms"
    assert rule_of(symptom="Screening") == ""
    with pytest.raises(UnknownWordError) as error:
        rule_of(symptom="some pain")
    assert error.value.args == ("Symptom", "some pain")


def test_an_unknown_word_behind_a_yes_does_no_harm():
    assert rule_of(mass="yes", symptom="???") == "mass with the calcifications"


def test_the_flow_counts_images_and_patients_in_the_order_of_its_reasons():
    flow = Flow({"mass": "a mass", "history": "history", "no-image": "no image"})
    for code, patient in (("no-image", ""), ("mass", "p1"), ("mass", "p1"), ("mass", "p2"), ("other", "p3")):
        flow.leave_out(code, f"reason {code}", patient)
    for patient in ("p1", "p4", "p4"):
        flow.keep(patient)
    assert flow.record() == {
        "assessed": {"images": 8, "patients": 4},
        "left_out": [
            {"code": "mass", "reason": "a mass", "images": 3, "patients": 2},
            {"code": "no-image", "reason": "no image", "images": 1, "patients": 0},
            {"code": "other", "reason": "reason other", "images": 1, "patients": 1},
        ],
        "included": {"images": 3, "patients": 2},
    }


def test_a_rule_that_left_nobody_out_is_told_in_its_place():
    flow = Flow({"mass": "a mass", "history": "history", "no-image": "no image"}, asked=("mass", "history"))
    flow.leave_out("history", "history", "p1")
    flow.keep("p2")
    assert flow.record()["left_out"] == [
        {"code": "mass", "reason": "a mass", "images": 0, "patients": 0},
        {"code": "history", "reason": "history", "images": 1, "patients": 1},
    ]
