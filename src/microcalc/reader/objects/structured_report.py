"""The structured report of a reading: TID 1500 Measurement Report in a Comprehensive SR, and all objects of a report.

Each finding is a planar region (TID 1410) with its probabilities as measurements (unit percent, each with the
algorithm that gave it), the call at the frozen cut-off and the person's labels as qualitative evaluations, warnings
and note as comments. Presentation state and heatmap are made in the modules beside this one.
"""

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from highdicom import sr
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom import Dataset

from microcalc import RESEARCH_USE, __version__
from microcalc.errors import InputError
from microcalc.intake.dicom.library import quiet
from microcalc.reader.objects import dicom_words as words
from microcalc.reader.objects.evidence import MANUFACTURER, MODEL, Report, one_line, person_name
from microcalc.reader.objects.finding import ENSEMBLE, Finding, Labels, Observer, StudyFacts
from microcalc.reader.objects.heatmap import heatmap_object
from microcalc.reader.objects.presentation import cutoff_words, presentation_state
from microcalc.reader.objects.source_header import UTF_8
from microcalc.reader.objects.uids import child_uid

__all__ = ["report_objects", "structured_report"]

SERIES_NUMBER = 7101
"""High, as archives expect of series that software adds."""

PERCENT_DIGITS = 4
"""Decimals of a probability in percent."""


def report_objects(
    source: Dataset, findings: Sequence[Finding], *, observer: Observer, study: StudyFacts, at: datetime
) -> list[Dataset]:
    """Make the objects that go back to the PACS for one image.

    The same arguments give the same objects, byte for byte, with the same SOPInstanceUIDs, so that an object sent
    again is never a second one.

    Args:
        source: the image, with its pixels where the heatmap shall be drawn on them.
        findings: squares that were read on it.
        observer: who read.
        study: with which networks.
        at: when it was read.

    Returns:
        Structured report, grayscale softcopy presentation state, and the heatmap: a fractional segmentation, or a
        secondary capture where the image cannot carry one.

    Raises:
        ImageError: the image lacks what identifies it.
        InputError: a finding does not lie on it, or a label is not one of the contract's words.
    """
    report = Report.of(source, findings, observer=observer, study=study, at=at)
    with quiet():  # names of patients are taken as they are
        heatmap = heatmap_object(report, source)
        presentation = presentation_state(report)
        return [structured_report(report, [presentation, heatmap]), presentation, heatmap]


def structured_report(report: Report, beside: Sequence[Dataset] = ()) -> Dataset:
    """Make the structured report.

    Args:
        report: what it says.
        beside: other objects of the same report, recorded as evidence.

    Raises:
        InputError: a label is not one of the contract's words.
    """
    content = sr.MeasurementReport(
        observation_context=_context(report),
        procedure_reported=words.PROCEDURE,
        imaging_measurements=[_group(report, number, finding) for number, finding in enumerate(report.findings, 1)],
        title=words.TITLE,
    )
    content[0].ContentSequence.append(_remarks())
    made = sr.ComprehensiveSR(
        evidence=[report.source, *beside],
        content=content,
        series_instance_uid=report.uid("sr series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=report.uid("sr"),
        instance_number=1,
        is_complete=True,
        is_final=False,
        coding_schemes=[_scheme()],
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        specific_character_set=UTF_8,
    )
    return report.finish(made)


def _scheme() -> CodingSchemeIdentificationItem:
    return CodingSchemeIdentificationItem(words.OUR_SCHEME, name="microcalc", responsible_organization=MANUFACTURER)


def _context(report: Report) -> sr.ObservationContext:
    person = sr.PersonObserverIdentifyingAttributes(
        name=person_name(report.observer.name),
        login_name=report.observer.login or None,
        organization_name=report.observer.organization or None,
    )
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=child_uid("device", __version__), name="microcalc", manufacturer_name=MANUFACTURER, model_name=MODEL
    )
    return sr.ObservationContext(
        observer_person_context=sr.ObserverContext(sr.CodedConcept(*_PERSON), person),
        observer_device_context=sr.ObserverContext(sr.CodedConcept(*_DEVICE), device),
    )


_PERSON = ("121006", "DCM", "Person")
_DEVICE = ("121007", "DCM", "Device")


def _remarks() -> sr.ContainerContentItem:
    """Row 12 of TID 1500: what holds for the report as a whole."""
    container = sr.ContainerContentItem(name=words.QUALITATIVE, relationship_type=sr.RelationshipTypeValues.CONTAINS)
    container.ContentSequence = sr.ContentSequence([_comment(RESEARCH_USE)])
    return container


def _comment(text: str) -> sr.TextContentItem:
    return sr.TextContentItem(words.COMMENT, text, relationship_type=sr.RelationshipTypeValues.CONTAINS)


def _group(report: Report, number: int, finding: Finding) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=report.uid(f"finding {number}"), identifier=one_line(finding.lesion) or f"finding {number}"
        ),
        referenced_region=_region(report, finding),
        finding_type=words.CALCIFICATIONS,
        algorithm_id=_algorithm(report, finding, ENSEMBLE),
        finding_sites=[sr.FindingSite(words.BREAST, laterality=words.SIDES.get(report.side))],
        measurements=_measurements(report, finding),
        qualitative_evaluations=_evaluations(finding),
    )
    for text in _texts(finding):
        group[0].ContentSequence.append(_comment(text))
    return group


def _region(report: Report, finding: Finding) -> sr.ImageRegion:
    """Closed polyline around the square, as far as it lies on the image; columns before rows, as DICOM counts."""
    top, left, bottom, right = finding.visible_box(int(report.source.Rows), int(report.source.Columns))
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)])
    image = sr.SourceImageForRegion(report.source.SOPClassUID, report.source.SOPInstanceUID)
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, corners, image)


def _algorithm(report: Report, finding: Finding, network: str) -> sr.AlgorithmIdentification:
    study = report.study
    parameters = [f"study={study.name}", f"network={network}", f"cut-off={cutoff_words(finding.reading.cutoff)}"]
    if study.identity:
        parameters.append(f"study identity={study.identity}")
    if study.chosen_on:
        parameters.append(f"cut-off chosen on={study.chosen_on}")
    return sr.AlgorithmIdentification(
        name="microcalc",
        version=study.version,
        parameters=parameters,
        family=words.ALGORITHM,
        manufacturer=MANUFACTURER,
    )


def _measurements(report: Report, finding: Finding) -> list[sr.Measurement]:
    """The ensemble first, then the calibrated probability where there is one, then each network."""
    reading = finding.reading
    ensemble = _algorithm(report, finding, ENSEMBLE)
    made = [sr.Measurement(words.PROBABILITY, _percent(reading.ensemble), words.PERCENT, derivation=words.MEAN,
                           algorithm_id=ensemble)]  # fmt: skip
    if reading.calibrated is not None:
        made.append(
            sr.Measurement(words.PROBABILITY, _percent(reading.calibrated), words.PERCENT, method=words.CALIBRATION,
                           algorithm_id=ensemble)
        )  # fmt: skip
    made += [
        sr.Measurement(
            words.PROBABILITY, _percent(score), words.PERCENT, algorithm_id=_algorithm(report, finding, network)
        )
        for network, score in reading.networks.items()
    ]
    if math.isfinite(reading.cutoff):  # a study's rule may call everything malignant
        made.append(sr.Measurement(words.CUTOFF, _percent(reading.cutoff), words.PERCENT))
    return made


def _percent(probability: float) -> float:
    if not 0.0 <= probability <= 1.0:
        raise InputError(f"a probability in a report must lie between 0 and 1; it is {probability}")
    return round(100 * probability, PERCENT_DIGITS)


def _evaluations(finding: Finding) -> list[sr.QualitativeEvaluation]:
    labels = finding.labels
    said = (
        ("pathology", words.PATHOLOGY, words.PATHOLOGIES, labels.pathology),
        ("birads", words.ASSESSMENT, words.ASSESSMENTS, labels.birads),
        ("morphology", words.MORPHOLOGY, words.MORPHOLOGIES, labels.morphology),
        ("distribution", words.DISTRIBUTION, words.DISTRIBUTIONS, labels.distribution),
    )
    made = [sr.QualitativeEvaluation(words.CALL, words.CALL_VALUES[finding.reading.called])]
    for field, name, values, value in said:
        if not value:
            continue
        if value not in values:
            raise InputError(f"the label {field} must be one of {', '.join(map(str, values))}, or empty; got {value!r}")
        made.append(sr.QualitativeEvaluation(name, values[value]))
    return made


def _texts(finding: Finding) -> list[str]:
    labels: Labels = finding.labels
    texts = [f"Warning: {note.message}" for note in finding.reading.warnings]
    if labels.note.strip():
        texts.append(f"Note of the reader: {labels.note.strip()}")
    return ["".join(letter for letter in text if letter.isprintable() or letter == "\n") for text in texts]
