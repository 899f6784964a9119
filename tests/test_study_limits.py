"""What a study says of its sets: patients on two sides."""

from types import SimpleNamespace
from typing import cast

import pandas as pd
import pytest

from microcalc.protocol import Protocol
from microcalc.study.content import limits
from microcalc.study.plan import Plan


def planned(split: str) -> Plan:
    """A plan of six images of four patients: a, a, b, c, d, d."""
    table = pd.DataFrame({"patient_id": list("aabcdd")})
    told = SimpleNamespace(
        protocol=Protocol(),
        cohort=SimpleNamespace(table=table, record={}),
        split=SimpleNamespace(by="image", test_by="table", split=pd.Series(split.split())),
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
