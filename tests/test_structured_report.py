"""What goes back to the PACS: valid objects in the image's study, the same whenever they are made again."""

import io
from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, Sequence

from digital_mammogram import digital_mammogram
from microcalc import RESEARCH_USE
from microcalc.errors import ImageError, InputError
from microcalc.reader.objects.dicom_words import ASSESSMENTS
from microcalc.reader.objects.evidence import person_name
from microcalc.reader.objects.finding import BIRADS, Labels
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Pathology
from report_readings import LABELS, MadeUpReading, Warned, film, finding, objects_of, spot
from services import dicom_errors, dumped_report

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
NAMES = ("report", "presentation", "heatmap")


def written(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def check(objects: list[Dataset], folder: Path) -> None:
    for name, made in zip(NAMES, objects, strict=True):
        path = folder / f"{name}.dcm"
        path.write_bytes(written(made))
        assert dicom_errors(path) == []


@pytest.fixture(scope="module")
def of_film() -> list[Dataset]:
    return objects_of(film(0), finding(2000, 1000))


@pytest.fixture(scope="module")
def of_digital() -> list[Dataset]:
    return objects_of(digital_mammogram(), finding(450, 300), finding(800, 600, reading_id="reading 2", lesion=""))


@pytest.mark.parametrize("number", range(8))
def test_the_objects_of_each_film_are_valid(number: int, tmp_path: Path):
    objects = objects_of(film(number, pixels=number == 0), finding(2000, 1000))
    check(objects, tmp_path)
    assert objects[2].SOPClassUID == SECONDARY_CAPTURE


def test_the_objects_of_a_digital_mammogram_are_valid(of_digital: list[Dataset], tmp_path: Path):
    check(of_digital, tmp_path)
    assert of_digital[2].SOPClassUID == SEGMENTATION


def test_a_magnification_view_with_monochrome1_keeps_its_polarity(tmp_path: Path):
    source = digital_mammogram(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    objects = objects_of(source)
    check(objects, tmp_path)
    assert objects[1].PresentationLUTShape == "INVERSE"


def test_dcmtk_reads_the_report(of_film: list[Dataset], tmp_path: Path):
    path = tmp_path / "report.dcm"
    path.write_bytes(written(of_film[0]))
    text = dumped_report(path)
    for line in (
        'NUM:(,,"Probability of cancer")="41.5" (%,UCUM,"Percent")',
        'NUM:(,,"Probability of cancer")="52.0" (%,UCUM,"Percent")',
        'TEXT:(,,"Algorithm Parameters")="network=xception"',
        'TEXT:(,,"Algorithm Parameters")="study=demo"',
        'CODE:(,,"Call at the frozen cut-off")=(ABOVE,99MICROCALC,',
        'CODE:(,,"Calcification Type")=(129760005,SCT,"Amorphous calcification")',
        'SCOORD:(,,"Image Region")=(POLYLINE,744/1744,1256/1744,1256/2256,744/2256,744/1744)',
        'TEXT:(,,"Comment")="Warning: film against digital"',
        f'TEXT:(,,"Comment")="{RESEARCH_USE}"',
    ):
        assert line in text


def test_the_objects_lie_in_the_study_of_the_image_and_refer_to_it(of_film: list[Dataset]):
    source = film(0, pixels=False)
    report, presentation, heatmap = of_film
    assert {made.StudyInstanceUID for made in of_film} == {source.StudyInstanceUID}
    assert len({made.SeriesInstanceUID for made in of_film}) == 3
    referred = [
        image.ReferencedSOPInstanceUID
        for study in (
            *report.CurrentRequestedProcedureEvidenceSequence,
            *report.get("PertinentOtherEvidenceSequence", ()),
        )
        for series in study.ReferencedSeriesSequence
        for image in series.ReferencedSOPSequence
    ]
    assert set(referred) == {source.SOPInstanceUID, presentation.SOPInstanceUID, heatmap.SOPInstanceUID}
    assert heatmap.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID


def test_the_same_reading_gives_the_same_bytes(of_film: list[Dataset]):
    again = objects_of(film(0), finding(2000, 1000))
    assert [written(made) for made in of_film] == [written(made) for made in again]


def test_another_reading_gives_other_uids(of_film: list[Dataset]):
    first = {made.SOPInstanceUID for made in of_film}
    for other in (
        finding(2000, 1001),
        finding(2000, 1000, reading_id="reading 9"),
        finding(2000, 1000, reading=replace(MadeUpReading(), ensemble=0.5)),
        finding(2000, 1000, labels=Labels()),
        finding(2000, 1000, reading=MadeUpReading(heatmaps={"ensemble": spot() / 2})),
    ):
        assert first.isdisjoint(made.SOPInstanceUID for made in objects_of(film(0, pixels=False), other))


def test_the_segmentation_lies_where_the_square_lies(of_digital: list[Dataset]):
    planes = hd.seg.segread(io.BytesIO(written(of_digital[2]))).get_pixels_by_source_instance(
        [digital_mammogram().SOPInstanceUID], ignore_spatial_locations=True, rescale_fractional=False
    )[0]
    assert planes.shape == (900, 700, 2)
    inside = planes[450 - 256 : 450 + 256, 300 - 256 : 300 + 256, 0]
    np.testing.assert_array_equal(inside, np.rint(spot() * 255))
    assert planes[..., 0].sum() == inside.sum()
    assert planes[800 - 256 + 100, 600 - 256 + 300, 1] == 255


def test_a_square_of_another_size_is_resampled():
    made = objects_of(digital_mammogram(), finding(450, 300, side=256))[2]
    plane = made.pixel_array.reshape(900, 700)
    top, left = 450 + 0.5 - 256.5 / 2, 300 + 0.5 - 256.5 / 2
    assert plane[int(top + 125 / 2), int(left + 350 / 2)] == 255
    assert abs(float(plane.sum()) / 255 - spot().sum() / 4) < 0.02 * spot().sum() / 4


def test_the_secondary_capture_says_research_use_and_shows_the_greys(of_film: list[Dataset]):
    heatmap = of_film[2]
    assert heatmap.ImageComments == RESEARCH_USE
    pixels = heatmap.pixel_array
    assert pixels.shape[2] == 3
    assert pixels[:512, :512].std() > 10  # the mammogram, not a plain grey


def test_every_object_says_research_use(of_film: list[Dataset], of_digital: list[Dataset]):
    for made in (*of_film, *of_digital):
        assert "research use only" in made.SeriesDescription
    assert RESEARCH_USE in of_film[1].GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue


def test_whoever_sees_only_the_picture_sees_the_warnings(of_film: list[Dataset]):
    text = of_film[1].GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert ". Warning: film against digital. Research use only." in text


def test_many_warnings_are_cut_so_that_the_text_stays_valid():
    many = finding(2000, 1000, reading=MadeUpReading(warnings=tuple(Warned(f"warning {n} " * 9) for n in range(40))))
    made = objects_of(film(0), many)[1]
    text = made.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    assert "(more in the report). Research use only" in text
    assert len(text) <= 1024


def test_the_presentation_state_draws_the_square_on_the_pixels(of_film: list[Dataset]):
    square = of_film[1].GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    assert square.GraphicData == [744, 1744, 1256, 1744, 1256, 2256, 744, 2256, 744, 1744]
    assert square.GraphicAnnotationUnits == "PIXEL"


def test_a_square_beyond_the_edge_is_cut_at_the_edge():
    report = objects_of(digital_mammogram(), finding(10, 690))[0]
    group = report.ContentSequence[-2].ContentSequence[0]
    region = next(item for item in group.ContentSequence if item.ValueType == "SCOORD")
    assert region.GraphicData == [434, 0, 700, 0, 700, 266, 434, 266, 434, 0]


def test_an_image_without_identity_is_refused():
    source = digital_mammogram(SeriesInstanceUID=None)
    with pytest.raises(ImageError, match="it lacks SeriesInstanceUID"):
        objects_of(source)


def test_a_finding_beside_the_image_is_refused():
    with pytest.raises(InputError, match="must lie on its image of 900 rows x 700 columns"):
        objects_of(digital_mammogram(), finding(5000, 300))


@pytest.mark.parametrize("number", range(len(BIRADS)))
def test_every_label_of_the_page_can_be_sent(number: int, tmp_path: Path):
    words = [list(each)[number % len(each)] for each in (Pathology, CalcMorphology, CalcDistribution)]
    labels = Labels(words[0], BIRADS[number], words[1], words[2])
    check(objects_of(digital_mammogram(), finding(labels=labels)), tmp_path)
    report = dumped_report(tmp_path / "report.dcm")
    assert f'"{ASSESSMENTS[BIRADS[number]].meaning}"' in report
    assert BIRADS[number] in ASSESSMENTS[BIRADS[number]].meaning


def test_a_label_that_is_no_word_of_the_contract_is_refused():
    with pytest.raises(InputError, match=r"the label birads must be one of 0, 1, .*; got '7'"):
        objects_of(digital_mammogram(), finding(labels=replace(LABELS, birads="7")))


def test_a_study_that_calls_everything_malignant_has_no_cut_off(tmp_path: Path):
    reading = MadeUpReading(cutoff=float("-inf"), calibrated=None)
    objects = objects_of(digital_mammogram(), finding(reading=reading))
    check(objects, tmp_path)
    text = dumped_report(tmp_path / "report.dcm")
    assert "Cut-off of the probability" not in text
    assert "cut-off=none, everything is called malignant" in text


def test_a_reading_without_heatmap_is_refused():
    with pytest.raises(InputError, match="must have a finite heatmap of 512 x 512"):
        objects_of(digital_mammogram(), finding(reading=MadeUpReading(heatmaps={})))


def test_a_file_of_the_wild_still_gives_valid_objects(tmp_path: Path):
    source = digital_mammogram(
        PatientBirthDate=None, PatientName=None, PatientSex="Female", StudyTime=None, AccessionNumber=None,
        WindowWidth=None, SpecificCharacterSet="ISO_IR 192", StudyID=None, ReferringPhysicianName=None,
    )  # fmt: skip
    source.PatientName = "홍^길동"
    objects = objects_of(source, finding(labels=replace(LABELS, note="미세석회화 " * 40)))
    check(objects, tmp_path)
    assert str(pydicom.dcmread(tmp_path / "report.dcm").PatientName) == "홍^길동"


def broken_table() -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [0, 0, 16]
    return Sequence([item])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("FrameOfReferenceUID", "1.2.3"), ("PatientBirthDate", "19XX"), ("PatientBirthDate", "1950.01.01"),
        ("StudyDate", "20190304-20190305"), ("StudyTime", "99:99"), ("PatientSex", "?"),
        ("PhotometricInterpretation", None), ("VOILUTSequence", broken_table()),
        ("ModalityLUTSequence", broken_table()),
        ("RescaleSlope", None), ("RescaleSlope", "0"), ("StudyID", "s" * 40), ("AccessionNumber", "a\\b"),
        ("PatientOrientation", ["junk", "more"]), ("ImageLaterality", "Q"), ("PixelSpacing", [0, 0]),
        ("PatientAge", "old"), ("StudyDescription", "d" * 300), ("Modality", None),
        ("DeidentificationMethodCodeSequence", Sequence([Dataset()])), ("PatientIdentityRemoved", "YES"),
        ("PatientName", "<script>alert(1)</script>"), ("BitsAllocated", None), ("SpecificCharacterSet", "ISO_IR 999"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
def test_what_cannot_be_right_in_an_image_is_not_taken_over(keyword: str, value: object, tmp_path: Path):
    check(objects_of(digital_mammogram(**{keyword: value})), tmp_path)


@pytest.mark.parametrize(("keyword", "value"), [("PatientID", "y" * 80), ("PatientName", "a^b^c^d^e^f^g")])
def test_the_patient_stays_the_one_that_the_archive_knows(keyword: str, value: str):
    for made in objects_of(digital_mammogram(**{keyword: value})):
        assert str(made[keyword].value) == value


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SOPInstanceUID"])
def test_an_image_with_a_uid_that_is_none_is_refused(keyword: str):
    with pytest.raises(ImageError, match=f"it lacks {keyword}"):
        objects_of(digital_mammogram(**{keyword: "patient-17"}))


def test_words_of_readers_do_not_break_the_objects(tmp_path: Path):
    labels = replace(LABELS, note="line one\nline two \x00\x1b[31m <b>" + "x" * 3000)
    made = finding(lesion="L\\1\n" + "y" * 200, labels=labels)
    check(objects_of(digital_mammogram(), made), tmp_path)


@pytest.mark.parametrize(
    ("given", "taken"),
    [("Curie^Marie", "Curie^Marie"), ("a=b\\c\n", "a b c"), ("", "unknown"), ("x" * 90, "x" * 64), ("^^", "unknown")],
)
def test_names_of_persons_are_made_fit(given: str, taken: str):
    assert person_name(given) == taken
