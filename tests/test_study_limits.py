"""What a study says of its sets: patients on two sides, and phantoms whose films are."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from cohort_samples import cohort, table
from microcalc.cohort import check_cohort
from microcalc.protocol import Protocol, SplitSettings
from microcalc.study.content import limits
from microcalc.study.plan import Plan, StudyOptions, make_plan

ON_FILMS = {"synthetic": True, "phantom": {"tissue": "mammograms"}}


def planned(split: str, *, record: dict[str, object] | None = None, test_by: str = "table") -> Plan:
    """A plan of six images of four patients: a, a, b, c, d, d."""
    table = pd.DataFrame({"patient_id": list("aabcdd")})
    told = SimpleNamespace(
        protocol=Protocol(),
        cohort=SimpleNamespace(table=table, record=record or {}),
        split=SimpleNamespace(by="image", test_by=test_by, split=pd.Series(split.split())),
    )
    return cast(Plan, told)


@pytest.mark.parametrize(
    ("split", "told"),
    [
        ("train train validation test test test", None),
        ("train validation train test test test", "1 patient has images in training and in validation"),
        ("train validation train validation train test", "1 patient has images in the test set and outside it"),
        ("train test train validation train test", "2 patients have images in the test set and outside it"),
    ],
)
def test_the_limits_call_optimistic_only_what_patients_on_two_sides_flatter(split: str, told: str | None):
    said = limits(planned(split))
    assert [line.startswith(told or "") for line in said] == ([] if told is None else [True])


@pytest.mark.parametrize(
    ("record", "test_by", "told"),
    [
        (ON_FILMS, "table", False),
        (ON_FILMS, "patient", True),
        (ON_FILMS, "date", True),
        ({"phantom": {"tissue": "noise"}}, "patient", False),
        ({}, "patient", False),
        ({"phantom": "scrambled"}, "patient", False),
    ],
)
def test_the_limits_name_films_on_two_sides_of_phantoms(record: dict[str, object], test_by: str, told: bool):
    said = limits(planned("train train validation test test test", record=record, test_by=test_by))
    assert any("the same real mammograms" in line for line in said) == told


@pytest.fixture
def on_films(tmp_path: Path) -> Path:
    """Twenty images of ten patients, marked as phantoms on mammograms, without a split of their own."""
    rows = table([f"p{k // 2}" for k in range(20)], [0, 0, 1, 1] * 5)
    folder = cohort(tmp_path / "c", rows).folder
    path = folder / "cohort.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | ON_FILMS))
    return folder


def test_the_plan_warns_of_films_on_two_sides(on_films: Path, tmp_path: Path):
    asked = Protocol(split=SplitSettings(by="patient"), weights="none")
    warnings = make_plan(on_films, tmp_path / "st", asked, StudyOptions(), only_look=True).warnings
    assert (
        "The phantoms lie on tiles of real mammograms, and the test set is made by patient: only the table's own split "
        "keeps the films of the test set out of the others, so here the same film may lie in training and test."
    ) in warnings


def test_the_cohort_check_warns_of_films_where_it_foretells_other_sets(on_films: Path):
    messages = {f.code: f.message for f in check_cohort(on_films).findings}
    assert "the same film may lie in training and test" in messages["default-split"]
