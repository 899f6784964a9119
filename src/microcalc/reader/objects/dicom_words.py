"""Codes of a report: DICOM's, SNOMED's and, where neither has a word, our own scheme 99MICROCALC.

Only words live here. Sources: DICOM PS3.16, context groups 6010 (calcification types), 6012 (calcification
distribution), 6027 (assessment from BI-RADS); names as pydicom has them, but for the assessments: its names of those
are longer than the 64 letters that a code's meaning may have.
"""

from collections.abc import Mapping
from typing import Final

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from microcalc.vocabulary import CalcDistribution, CalcMorphology, Pathology

__all__ = [
    "ALGORITHM",
    "ASSESSMENT",
    "ASSESSMENTS",
    "BREAST",
    "CALCIFICATIONS",
    "CALIBRATION",
    "CALL",
    "CALLED",
    "CALL_VALUES",
    "COMMENT",
    "CUTOFF",
    "DISTRIBUTION",
    "DISTRIBUTIONS",
    "GRADCAM",
    "MEAN",
    "MORPHOLOGIES",
    "MORPHOLOGY",
    "OUR_SCHEME",
    "PATHOLOGIES",
    "PATHOLOGY",
    "PERCENT",
    "PROBABILITY",
    "PROCEDURE",
    "QUALITATIVE",
    "SIDES",
    "SOURCE_IMAGE",
    "SPATIAL",
    "TITLE",
]

OUR_SCHEME: Final = "99MICROCALC"


def _ours(value: str, meaning: str) -> Code:
    return Code(value, OUR_SCHEME, meaning)


def _snomed(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


TITLE: Final = codes.DCM.ImagingMeasurementReport
PROCEDURE: Final = codes.SCT.Mammography
CALCIFICATIONS: Final = codes.SCT.CalcificationCluster
BREAST: Final = codes.SCT.BreastStructure
SIDES: Final[Mapping[str, Code]] = {"L": codes.SCT.Left, "R": codes.SCT.Right}

PROBABILITY: Final = codes.DCM.ProbabilityOfCancer
PERCENT: Final = codes.UCUM.Percent
MEAN: Final = codes.SCT.Mean
CALIBRATION: Final = _ours("PLATT", "Platt calibration on the validation set")
CUTOFF: Final = _ours("CUTOFF", "Cut-off of the probability, frozen before the test")

CALL: Final = _ours("CALL", "Call at the frozen cut-off")
CALLED: Final = _ours("ABOVE", "Above the cut-off: called malignant")
CALL_VALUES: Final[Mapping[bool, Code]] = {True: CALLED, False: _ours("NOT_ABOVE", "Not above the cut-off")}

ALGORITHM: Final = codes.DCM.ArtificialIntelligence
GRADCAM: Final = codes.DCM.GradientWeightedClassActivation
SPATIAL: Final = codes.SCT.SpatialAndRelationalConcept

COMMENT: Final = codes.DCM.Comment
SOURCE_IMAGE: Final = codes.cid7202.SourceImageForImageProcessingOperation
QUALITATIVE: Final = Code("C0034375", "UMLS", "Qualitative Evaluations")

ASSESSMENT: Final = codes.DCM.AssessmentCategory
ASSESSMENTS: Final[Mapping[str, Code]] = {
    "0": _snomed("397138000", "0 - Incomplete - Need additional imaging evaluation +/- priors"),
    "1": _snomed("397140005", "1 - Negative"),
    "2": _snomed("397141009", "2 - Benign"),
    "3": _snomed("397143007", "3 - Probably Benign"),
    "4": _snomed("397144001", "4 - Suspicious"),
    "4A": _ours("BIRADS4A", "BI-RADS 4A: low suspicion for malignancy"),
    "4B": _ours("BIRADS4B", "BI-RADS 4B: moderate suspicion for malignancy"),
    "4C": _ours("BIRADS4C", "BI-RADS 4C: high suspicion for malignancy"),
    "5": _snomed("397145000", "5 - Highly suggestive of malignancy"),
    "6": _ours("BIRADS6", "BI-RADS 6: known biopsy-proven malignancy"),
}

MORPHOLOGY: Final = codes.DCM.CalcificationType
MORPHOLOGIES: Final[Mapping[str, Code]] = {
    CalcMorphology.ROUND: codes.cid6010.RoundShapedCalcification,
    CalcMorphology.PUNCTATE: codes.cid6010.PunctateCalcification,
    CalcMorphology.COARSE: codes.cid6010.HeterogeneousCalcification,
    CalcMorphology.AMORPHOUS: codes.cid6010.AmorphousCalcification,
    CalcMorphology.FINE_PLEOMORPHIC: codes.cid6010.FinePleomorphicCalcification,
    CalcMorphology.FINE_LINEAR_BRANCHING: codes.cid6010.FineLinearBranchingCastingCalcification,
}

DISTRIBUTION: Final = codes.DCM.CalcificationDistribution
DISTRIBUTIONS: Final[Mapping[str, Code]] = {
    CalcDistribution.DIFFUSE: codes.cid6012.DiffuseCalcificationDistribution,
    CalcDistribution.REGIONAL: codes.cid6012.RegionalCalcificationDistribution,
    CalcDistribution.GROUPED: codes.cid6012.GroupedCalcificationDistribution,
    CalcDistribution.LINEAR: codes.cid6012.LinearCalcificationDistribution,
    CalcDistribution.SEGMENTAL: codes.cid6012.SegmentalCalcificationDistribution,
}

PATHOLOGY: Final = codes.DCM.Pathology
PATHOLOGIES: Final[Mapping[str, Code]] = {
    Pathology.BENIGN: codes.SCT.Benign,
    Pathology.HIGH_RISK: _ours("HIGH_RISK", "High-risk lesion"),
    Pathology.DCIS: _ours("DCIS", "Ductal carcinoma in situ"),
    Pathology.INVASIVE: _ours("INVASIVE", "Invasive carcinoma of the breast"),
}
