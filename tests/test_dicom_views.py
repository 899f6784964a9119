"""Side, view and modifiers: every code of context groups 4014 and 4015, the older words, and text as last resort."""

import pytest
from pydicom.sr._cid_dict import cid_concepts
from pydicom.sr._concepts_dict import concepts
from pydicom.sr._snomed_dict import mapping

from dicom_samples import SECONDARY_CAPTURE, code, dataset, item, to_bytes
from microcalc.intake.dicom import Facts, Mammogram, NoteCode, Refusal, Verdict, read_header, read_mammogram
from microcalc.vocabulary import View, ViewModifier

# The codes as pydicom lists them (SCT) with its table of older identifiers (SRT), not as our own tables have them.
VIEWS = {
    "MedioLateralProjection": "ML", "MedioLateralObliqueProjection": "MLO", "LateroMedial": "LM",
    "LateroMedialOblique": "LMO", "CranioCaudal": "CC", "CaudoCranial": "FB",
    "SuperolateralToInferomedialOblique": "SIO", "InferomedialToSuperolateralOblique": "ISO",
    "CranioCaudalExaggeratedLaterally": "XCCL", "CranioCaudalExaggeratedMedially": "XCCM",
}  # fmt: skip
MODIFIERS = {
    "Cleavage": "cleavage", "AxillaryTail": "axillary_tail", "RolledLateral": "rolled_lateral",
    "RolledMedial": "rolled_medial", "RolledInferior": "rolled_inferior", "RolledSuperior": "rolled_superior",
    "ImplantDisplaced": "implant_displaced", "Magnification": "magnification", "SpotCompression": "spot_compression",
    "Tangential": "tangential", "NippleInProfile": "nipple_in_profile", "AnteriorCompression": "anterior_compression",
    "InfraMammaryFold": "inframammary_fold", "AxillaryTissue": "axillary_tissue",
}  # fmt: skip


def codes_of(group: int) -> dict[str, tuple[str, str]]:
    """Name -> present code and older identifier."""
    older = mapping["SCT"]
    found = {}
    for name in cid_concepts[group]["SCT"]:
        (value,) = (v for v, (_, groups) in concepts["SCT"][name].items() if group in groups)
        found[name] = (value, older[value])
    return found


def facts(**elements) -> Facts:
    found = read_header(to_bytes(dataset(**elements)))
    assert isinstance(found, Facts), found
    return found


def notes(**elements) -> set[NoteCode]:
    answer = read_mammogram(to_bytes(dataset(**elements)))
    assert isinstance(answer, Mammogram)
    return {note.code for note in answer.notes}


def test_every_view_of_context_group_4014_is_known_by_both_codes():
    group = codes_of(4014)
    assert set(group) == {*VIEWS, "TissueSpecimenFromBreast"}
    for name, view in VIEWS.items():
        for value, scheme in zip(group[name], ("SCT", "SRT"), strict=True):
            found = facts(ViewCodeSequence=[code(value, scheme)], ViewPosition=None)
            assert found.view == View(view), name
            assert found.view_modifiers == ()


def test_every_modifier_of_context_group_4015_is_known_by_both_codes():
    group = codes_of(4015)
    assert set(group) == set(MODIFIERS)
    for name, modifier in MODIFIERS.items():
        for value in group[name]:
            view = code("399368009", ViewModifierCodeSequence=[code(value)])
            found = facts(ViewCodeSequence=[view], ViewPosition=None)
            assert found.view == View.MLO
            assert found.view_modifiers == (ViewModifier(modifier),), name


@pytest.mark.parametrize(
    ("old", "view"), [("Y-X1770", View.XCCL), ("Y-X1771", View.XCCM), ("R-102CF", View.XCC), ("r-10242", View.CC)]
)
def test_codes_that_earlier_versions_had_are_known(old, view):
    assert facts(ViewCodeSequence=[code(old, "SNM3")], ViewPosition=None).view == view


def test_several_modifiers_keep_their_order():
    view = code("399162004", ViewModifierCodeSequence=[code("399055006"), code("399163009")])
    found = facts(ViewCodeSequence=[view])
    assert found.view_modifiers == (ViewModifier.SPOT_COMPRESSION, ViewModifier.MAGNIFICATION)


def test_modifiers_beside_the_view_code_count_as_well():
    found = facts(ViewCodeSequence=[code("399162004")], ViewModifierCodeSequence=[code("R-102D5", "SRT")])
    assert found.view_modifiers == (ViewModifier.IMPLANT_DISPLACED,)
    assert found.implant


def test_a_specimen_code_is_a_verdict():
    for value in codes_of(4014)["TissueSpecimenFromBreast"]:
        answer = read_header(to_bytes(dataset(ViewCodeSequence=[code(value)], ViewPosition=None)))
        assert isinstance(answer, Refusal)
        assert answer.code is Verdict.SPECIMEN


@pytest.mark.parametrize(
    ("position", "view", "modifiers"),
    [
        ("CC", "CC", ()),
        ("mlo", "MLO", ()),
        ("XCCL", "XCCL", ()),
        ("CV", "CV", ("cleavage",)),
        ("AT", "AT", ("axillary_tail",)),
        ("MCC", "CC", ("magnification",)),
        ("SMLO", "MLO", ("spot_compression",)),
        ("SMCC", "CC", ("spot_compression", "magnification")),
        ("CCRL", "CC", ("rolled_lateral",)),
        ("MLOID", "MLO", ("implant_displaced",)),
        ("MLO ID", "MLO", ("implant_displaced",)),
        ("CCIMF", "CC", ("inframammary_fold",)),
        ("ML", "ML", ()),
        ("MML", "ML", ("magnification",)),
        ("TAN", "", ("tangential",)),
        ("AP", "", ()),
        ("CCXYZ", "", ()),
    ],
)
def test_view_position_in_the_words_of_the_acr(position, view, modifiers):
    found = facts(ViewPosition=position)
    assert (found.view, tuple(m.value for m in found.view_modifiers)) == (view, modifiers)


def test_the_code_beats_the_word_and_the_difference_is_said():
    elements = {"ViewCodeSequence": [code("399162004")], "ViewPosition": "MLO"}
    assert facts(**elements).view == "CC"
    assert NoteCode.VIEW_CONTRADICTION in notes(**elements)


def test_an_unknown_code_leaves_the_word():
    assert facts(ViewCodeSequence=[code("12345")], ViewPosition="MLO").view == "MLO"


def test_patient_orientation_counts_only_where_it_names_a_view():
    film = {"SOPClassUID": SECONDARY_CAPTURE, "ViewPosition": None, "ImageLaterality": None, "Laterality": "R"}
    found = facts(**film, PatientOrientation="MLO")
    assert (found.laterality, found.view) == ("R", "MLO")
    answer = read_header(to_bytes(dataset(**film, PatientOrientation=["A", "R"])))
    assert isinstance(answer, Refusal)
    assert answer.code is Verdict.SECONDARY_CAPTURE


@pytest.mark.parametrize(
    ("image", "series", "side"), [("L", "R", "L"), (None, "R", "R"), ("B", "L", "L"), ("u", "", "")]
)
def test_the_images_side_comes_before_the_series(image, series, side):
    assert facts(ImageLaterality=image, Laterality=series).laterality == side


def test_an_unknown_side_is_said():
    assert NoteCode.SIDE_UNKNOWN in notes(ImageLaterality=None)


@pytest.mark.parametrize(
    ("text", "side", "view"),
    [("R CC", "R", "CC"), ("LMLO", "L", "MLO"), ("Left mlo", "L", "MLO"), ("R and L CC", "", "CC"), ("CC/MLO", "", "")],
)
def test_a_description_is_the_last_resort_and_said(text, side, view):
    elements = {"ImageLaterality": None, "ViewPosition": None, "SeriesDescription": text}
    found = facts(**elements)
    assert (found.laterality, found.view) == (side, view)
    assert (NoteCode.SIDE_FROM_TEXT in notes(**elements)) == bool(side)
    assert (NoteCode.VIEW_FROM_TEXT in notes(**elements)) == bool(view)


def test_a_description_that_contradicts_no_element_changes_nothing():
    found = facts(SeriesDescription="R MLO")
    assert (found.laterality, found.view) == ("L", "CC")


def test_implants_and_partial_views_are_flagged():
    assert facts(BreastImplantPresent="YES").implant
    assert not facts(BreastImplantPresent="NO").implant
    assert {NoteCode.IMPLANT, NoteCode.PARTIAL_VIEW} <= notes(BreastImplantPresent="YES", PartialView="YES")


def test_broken_code_sequences_are_passed_over():
    assert facts(ViewCodeSequence=[item(), item(CodeValue="")], ViewPosition="CC").view == "CC"
