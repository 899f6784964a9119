"""What a reader is warned of: each fact of the case against the same fact of the training images."""

import math
from dataclasses import replace

import numpy as np
import pytest

from microcalc.intake.dicom import Facts
from microcalc.reader.caution import Case, case_warnings, score_warnings, square_warnings
from microcalc.reader.reading import WarningCode
from microcalc.study.training_facts import TrainingFacts, facts_of_record
from microcalc.vocabulary import View

TRAINED = TrainingFacts(
    images=100,
    views={"CC": 60, "MLO": 40},
    magnified={"magnified": 0, "contact": 100},
    manufacturers={"Lightworks, Inc.": 90, "Raysoft": 10},
    spacing_mm=(0.065, 0.1),
    spacing_known=100,
    padded=3,
    detectors={"digital": 130},
)
LIKE_THEM = Facts(
    view=View.CC, manufacturer="LIGHTWORKS INC", pixel_spacing_mm=0.07, magnification=1.0, detector="digital"
)


def warned(facts: Facts | None = LIKE_THEM, trained: TrainingFacts | None = TRAINED, **case: object):
    return {w.code: w.message for w in case_warnings(Case(facts, **case), trained)}


def test_a_case_like_the_training_images_raises_no_warning():
    assert warned() == {}


def test_manufacturers_are_the_same_however_their_legal_form_is_written():
    for name in ("Lightworks", "LIGHTWORKS, INC.", "Lightworks Ltd", "raysoft G.m.b.H."):
        assert warned(replace(LIKE_THEM, manufacturer=name)) == {}, name


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"manufacturer": "Other AG"}, WarningCode.OTHER_DEVICE, "from a device of Other AG; the training images "
         "are from Lightworks, Inc. (90), Raysoft (10)"),
        ({"view": View.ML}, WarningCode.OTHER_VIEW, "the view of the image is ML; the training images are CC "
         "(60), MLO (40)"),
        ({"magnification": 1.8, "spot_magnification": True}, WarningCode.OTHER_MAGNIFICATION, "is a magnified view; "
         "the training images are all contact views"),
        ({"pixel_spacing_mm": 0.05}, WarningCode.OTHER_SPACING, "0.05 mm wide; those of the training images are 0.065 "
         "to 0.1 mm"),
        ({"detector": "film"}, WarningCode.OTHER_DETECTOR, "a scanned film; the training images are digital (130)"),
    ],
)  # fmt: skip
def test_each_fact_that_differs_is_named_with_both_sides(changed, code, words):
    found = warned(replace(LIKE_THEM, **changed))
    assert set(found) == {code}
    assert words in found[code]


def test_a_digital_case_is_told_from_a_cohort_of_films():
    found = warned(trained=replace(TRAINED, detectors={"film": 50, "unknown": 2}))
    assert "a digital mammogram; the training images are film (50)" in found[WarningCode.OTHER_DETECTOR]


@pytest.mark.parametrize(("spacing", "warns"), [(0.0640, False), (0.0630, True), (0.1019, False), (0.1025, True)])
def test_spacings_that_differ_by_rounding_are_the_same(spacing, warns):
    assert (WarningCode.OTHER_SPACING in warned(replace(LIKE_THEM, pixel_spacing_mm=spacing))) is warns


def test_the_spacing_of_a_resampled_square_counts_not_that_of_its_mammogram():
    assert warned(replace(LIKE_THEM, pixel_spacing_mm=0.035), factor=2.0) == {}


def test_a_padded_square_is_named_with_how_many_of_the_training_images_were():
    found = warned(padded=True)
    assert "filled by reflection; so were 3 of the 100 training images" in found[WarningCode.PADDED]


def test_phantoms_say_nothing_about_patients():
    assert "SYNTHETIC" in warned(trained=replace(TRAINED, synthetic=True))[WarningCode.SYNTHETIC_TRAINING]


def test_what_one_side_does_not_say_is_told_and_never_taken_for_equal():
    found = warned(replace(LIKE_THEM, view="", pixel_spacing_mm=math.nan), replace(TRAINED, manufacturers={"": 100}))
    assert set(found) == {WarningCode.NOT_COMPARED}
    for words in ("view (the image does not say)", "size of a pixel (the image", "device (the study does not say)"):
        assert words in found[WarningCode.NOT_COMPARED]


def test_of_a_cut_out_without_facts_nothing_can_be_compared():
    message = warned(None)[WarningCode.NOT_COMPARED]
    for fact in ("device", "view", "magnification", "size of a pixel", "film or digital"):
        assert f"{fact} (the image does not say)" in message


def test_a_study_that_keeps_no_facts_is_named_with_the_way_out():
    assert "Carry the study out again" in warned(trained=None)[WarningCode.NOT_COMPARED]


@pytest.mark.parametrize(("score", "words"), [(0.1, ""), (0.9, ""), (0.0999, "below the lowest"), (0.95, "above the")])
def test_a_score_outside_the_range_ever_seen_is_named(score, words):
    found = score_warnings(score, (0.1, 0.9))
    assert bool(found) is bool(words)
    if words:
        assert found[0].code is WarningCode.SCORE_OUTSIDE
        assert words in found[0].message


def test_training_facts_survive_their_record():
    assert facts_of_record({"trained_on": TRAINED.as_record() | {"spacing_mm": [0.065, 0.1]}}) == TRAINED
    for broken in ({}, {"trained_on": None}, {"trained_on": {}}, {"trained_on": {"images": "many"}}):
        assert facts_of_record(broken) is None


@pytest.mark.parametrize(("share", "grey"), [(1.0, 0), (0.8, 0), (1.0, 65535), (1.0, 30000)])
def test_a_square_of_one_grey_shows_nothing(share, grey):
    square = np.linspace(0, 65535, 512 * 512).astype(np.uint16)
    square[: round(share * square.size)] = grey
    (found,) = square_warnings(square.reshape(512, 512))
    assert found.code is WarningCode.BLANK
    assert f"{100 * share:.0f} % of the square is" in found.message


def test_a_square_at_the_edge_of_the_breast_shows_something():
    square = np.linspace(0, 65535, 512 * 512).astype(np.uint16)
    square[: round(0.6 * square.size)] = 0
    assert square_warnings(square.reshape(512, 512)) == ()
