"""What a study keeps of its training images comes from the cohort as the intake really writes it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from microcalc.cohort import read_cohort
from microcalc.intake.crop import Scale
from microcalc.intake.lesions import CutSettings
from microcalc.study.training_facts import facts_of_record, training_facts
from test_intake_from_dicom import ROWS, folder, made  # noqa: F401  (folder is a fixture)
from test_study import write_cohort


def split_of(cohort, *names: str) -> "pd.Series[str]":
    return pd.Series(names or ("train",) * len(cohort.table))


def test_of_dicom_scale_detector_device_and_view_are_known(folder: Path, tmp_path: Path):  # noqa: F811
    cohort = made(folder, tmp_path, ROWS[:4], cut=CutSettings(Scale(0.05)))
    facts = training_facts(cohort, split_of(cohort))
    assert facts.roi_spacing_mm == 0.05
    assert facts.spacing_mm == (0.05, 0.05)
    assert sum(facts.detectors.values()) == facts.images == len(cohort.table)
    assert set(facts.detectors) <= {"digital", "film", "unknown"}
    assert sum(facts.views.values()) == facts.images
    assert all(facts.manufacturers)
    assert facts_of_record({"trained_on": json.loads(json.dumps(facts.as_record()))}) == facts


def test_squares_in_their_mammograms_own_pixels_have_no_common_spacing(folder: Path, tmp_path: Path):  # noqa: F811
    cohort = made(folder, tmp_path, ROWS[:4])
    assert training_facts(cohort, split_of(cohort)).roi_spacing_mm is None


def test_only_training_images_are_counted(folder: Path, tmp_path: Path):  # noqa: F811
    cohort = made(folder, tmp_path, ROWS[:4])
    facts = training_facts(cohort, split_of(cohort, "train", *("test",) * (len(cohort.table) - 1)))
    assert facts.images == sum(facts.detectors.values()) == sum(facts.views.values()) == 1


@pytest.mark.parametrize(("factor", "kind"), [(1.0, "contact"), (1.8, "magnified")])
def test_of_pictures_what_the_table_says_is_kept_and_the_rest_stays_open(tmp_path: Path, factor: float, kind: str):
    cohort = read_cohort(write_cohort(tmp_path / "c", images=8, synthetic=True, magnification=factor))
    facts = training_facts(cohort, split_of(cohort))
    assert facts.synthetic
    assert facts.magnified[kind] == 8
    assert (facts.detectors, facts.spacing_mm, facts.roi_spacing_mm) == ({}, None, None)
    assert facts.views == {"": 8}
