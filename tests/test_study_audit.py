"""A study looks at its cohort first: severe findings stop it, judged by the sets that it will use."""

from pathlib import Path

import numpy as np
import pytest

from microcalc.cohort import CohortWriter, Severity, check_cohort
from microcalc.errors import CohortError
from microcalc.learn.machine import Machine
from microcalc.study import Plan, StudyOptions, make_plan
from test_cohort_likeness import square, tissue, windowed
from test_study import protocol


def exported_twice(folder: Path, **columns: list[str]) -> Path:
    """24 patients, one exam a month; the last one's picture is that of the first with another window."""
    fields = [tissue(k) for k in range(8)]
    with CohortWriter(folder, sources=[]) as writer:
        for k in range(24):
            pixels = np.rot90(square(fields[k % 8]), k // 8)
            if k == 23:
                pixels = windowed(square(fields[0], down=4), 5, 97)
            date = f"{2010 + k // 12}-{1 + k % 12:02d}-01"
            row: dict[str, object] = {"image_id": f"i{k}", "patient_id": f"p{k}", "label": k % 2, "exam_date": date}
            row["label"] = 0 if k == 23 else row["label"]
            writer.add(row | {name: values[k] for name, values in columns.items()}, np.ascontiguousarray(pixels))
    return folder


def plan(folder: Path, *allow: str, by: str = "date") -> Plan:
    options = StudyOptions(Machine(accelerator="cpu", threads=1), allow=allow)
    asked = protocol(split={"by": by, "test_fraction": 0.25, "validation_fraction": 0.25})
    return make_plan(folder, folder.parent / "study", asked, options, only_look=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_twice(tmp_path_factory.mktemp("audit") / "cohort")


def test_leaks_are_judged_by_the_sets_of_the_study(folder: Path) -> None:
    alone = {f.code: f.severity for f in check_cohort(folder).findings}
    assert alone["near-duplicate-patients"] == Severity.WARNING
    with pytest.raises(CohortError, match=r"(?s)near-duplicate-leak: 1 group .*: i0 = i23.*--allow CODE") as refused:
        plan(folder)
    assert "severe faults; 1 found" in str(refused.value)


def test_a_severe_finding_can_be_allowed_by_its_code(folder: Path) -> None:
    assert len(plan(folder, "near-duplicate-leak").jobs) == 2


def test_a_device_that_tells_the_label_stops_a_study_unless_it_is_allowed(tmp_path: Path) -> None:
    devices = ["B" if k % 2 and k != 23 else "A" for k in range(24)]
    cohort = exported_twice(tmp_path / "c", manufacturer=devices)
    with pytest.raises(CohortError, match="confounded-manufacturer: manufacturer alone tells the label"):
        plan(cohort, "near-duplicate-leak")
    assert plan(cohort, "near-duplicate-leak", "confounded-manufacturer").jobs
