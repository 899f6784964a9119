"""Millimetres per pixel at the breast, by which elements, and what is said where they are silent or contradict."""

import math

import pytest

from dicom_samples import code, dataset, to_bytes
from microcalc.intake.dicom import Facts, Mammogram, NoteCode, as_record, read_header, read_mammogram

IMAGER = {"ImagerPixelSpacing": [0.07, 0.07]}


def facts(**elements) -> Facts:
    found = read_header(to_bytes(dataset(**elements)))
    assert isinstance(found, Facts)
    return found


def notes(**elements) -> set[NoteCode]:
    answer = read_mammogram(to_bytes(dataset(**elements)))
    assert isinstance(answer, Mammogram)
    return {note.code for note in answer.notes}


def magnified(**elements):
    view = code("399162004", ViewModifierCodeSequence=[code("399163009")])
    return {"ViewCodeSequence": [view], "ViewPosition": None, **elements}


def test_the_imagers_spacing_is_divided_by_the_stated_magnification():
    found = facts(**IMAGER, EstimatedRadiographicMagnificationFactor="1.05")
    assert found.pixel_spacing_mm == pytest.approx(0.07 / 1.05)
    assert found.spacing_source == "ImagerPixelSpacing/EstimatedRadiographicMagnificationFactor"
    assert found.magnification == 1.05
    assert not found.spot_magnification


def test_the_distances_give_the_magnification_where_it_is_not_stated():
    found = facts(**IMAGER, DistanceSourceToDetector="660", DistanceSourceToPatient="352")
    assert found.magnification == pytest.approx(1.875)
    assert found.pixel_spacing_mm == pytest.approx(0.07 / 1.875)
    assert found.spacing_source == "ImagerPixelSpacing/DistanceSourceToDetector/DistanceSourceToPatient"
    assert found.spot_magnification


def test_stated_and_computed_magnification_that_differ_are_said():
    both = {"DistanceSourceToDetector": "660", "DistanceSourceToPatient": "352"}
    assert facts(**IMAGER, **both, EstimatedRadiographicMagnificationFactor="1.5").magnification == 1.5
    assert NoteCode.SCALE_CONTRADICTION in notes(**IMAGER, **both, EstimatedRadiographicMagnificationFactor="1.5")
    assert NoteCode.SCALE_CONTRADICTION not in notes(**IMAGER, **both, EstimatedRadiographicMagnificationFactor="1.875")


@pytest.mark.parametrize("kind", ["GEOMETRY", "FIDUCIAL"])
def test_a_calibrated_pixel_spacing_is_at_the_breast(kind):
    found = facts(PixelSpacing=[0.05, 0.05], PixelSpacingCalibrationType=kind, **IMAGER)
    assert found.pixel_spacing_mm == 0.05
    assert found.spacing_source == f"PixelSpacing/{kind}"
    assert math.isnan(found.magnification)


def test_a_calibration_that_contradicts_the_geometry_is_said():
    elements = {**IMAGER, "EstimatedRadiographicMagnificationFactor": "1.4", "PixelSpacing": [0.06, 0.06]}
    assert facts(**elements, PixelSpacingCalibrationType="FIDUCIAL").pixel_spacing_mm == pytest.approx(0.05)
    assert NoteCode.SCALE_CONTRADICTION in notes(**elements, PixelSpacingCalibrationType="FIDUCIAL")


def test_a_pixel_spacing_that_differs_from_the_imagers_has_been_corrected():
    found = facts(**IMAGER, PixelSpacing=[0.0667, 0.0667])
    assert (found.pixel_spacing_mm, found.spacing_source) == (pytest.approx(0.0667), "PixelSpacing")


@pytest.mark.parametrize(
    ("elements", "source"),
    [
        ({"ImagerPixelSpacing": [0.07, 0.07]}, "ImagerPixelSpacing"),
        ({"ImagerPixelSpacing": [0.07, 0.07], "PixelSpacing": [0.07, 0.07]}, "ImagerPixelSpacing"),
        ({"PixelSpacing": [0.07, 0.07]}, "PixelSpacing"),
        ({"DetectorElementSpacing": [0.07, 0.07]}, "DetectorElementSpacing"),
    ],
)
def test_a_contact_view_without_geometry_keeps_the_detectors_spacing_and_says_so(elements, source):
    found = facts(**elements)
    assert (found.pixel_spacing_mm, found.spacing_source) == (pytest.approx(0.07), source)
    assert math.isnan(found.magnification)
    assert NoteCode.SCALE_UNCORRECTED in notes(**elements)


def test_nothing_known_is_nan_in_memory_and_null_in_json():
    found = facts()
    assert math.isnan(found.pixel_spacing_mm)
    assert found.spacing_source == ""
    record = as_record(found)
    assert record["pixel_spacing_mm"] is record["spacing_source"] is record["magnification"] is None
    assert NoteCode.SCALE_UNKNOWN in notes()


def test_a_magnification_view_is_known_by_its_modifier_and_scaled_by_its_factor():
    found = facts(**magnified(**IMAGER, EstimatedRadiographicMagnificationFactor="1.8"))
    assert found.spot_magnification
    assert found.pixel_spacing_mm == pytest.approx(0.07 / 1.8)


def test_a_magnification_view_without_a_factor_has_no_scale():
    found = facts(**magnified(**IMAGER))
    assert found.spot_magnification
    assert math.isnan(found.pixel_spacing_mm)
    assert NoteCode.SCALE_UNKNOWN in notes(**magnified(**IMAGER))


def test_a_magnification_view_with_a_contact_factor_contradicts_itself():
    elements = magnified(**IMAGER, EstimatedRadiographicMagnificationFactor="1")
    assert math.isnan(facts(**elements).pixel_spacing_mm)
    assert NoteCode.SCALE_CONTRADICTION in notes(**elements)


@pytest.mark.parametrize("factor", ["0", "0.5", "-1", "40", ""])
def test_impossible_magnifications_are_not_used(factor):
    found = facts(**IMAGER, EstimatedRadiographicMagnificationFactor=factor)
    assert found.spacing_source == "ImagerPixelSpacing"
    assert math.isnan(found.magnification)


@pytest.mark.parametrize("spacing", [[0.07, 0.09], [0, 0], [-0.07, -0.07], [7, 7], [1e-9, 1e-9]])
def test_spacings_that_no_mammogram_has_are_not_used(spacing):
    found = facts(ImagerPixelSpacing=spacing)
    assert math.isnan(found.pixel_spacing_mm)
    assert NoteCode.SCALE_CONTRADICTION in notes(ImagerPixelSpacing=spacing)
