"""The words of the field as enumerations: DICOM's, BI-RADS's, and those of the cohort contract.

Only words live here, no logic. Values are what stands in the files.
"""

from enum import StrEnum

__all__ = [
    "BENIGN",
    "MALIGNANT",
    "CalcDistribution",
    "CalcMorphology",
    "Laterality",
    "Pathology",
    "Split",
    "TypicallyBenign",
    "View",
    "ViewModifier",
]

BENIGN = 0
"""Label of every pathology that is not cancer, high-risk lesions included (Kang 2021)."""

MALIGNANT = 1
"""Label of ductal carcinoma in situ and of invasive cancer (Kang 2021)."""


class Laterality(StrEnum):
    """Side of the breast, DICOM Image Laterality (0020,0062)."""

    LEFT = "L"
    RIGHT = "R"


class View(StrEnum):
    """Mammographic projection, DICOM View Position (0018,5101); abbreviations of context group 4014."""

    CC = "CC"
    MLO = "MLO"
    ML = "ML"
    LM = "LM"
    LMO = "LMO"
    FB = "FB"
    SIO = "SIO"
    ISO = "ISO"
    XCC = "XCC"
    XCCL = "XCCL"
    XCCM = "XCCM"
    AT = "AT"
    CV = "CV"


class ViewModifier(StrEnum):
    """What changes a mammographic projection; context group 4015 of DICOM PS3.16."""

    CLEAVAGE = "cleavage"
    AXILLARY_TAIL = "axillary_tail"
    ROLLED_LATERAL = "rolled_lateral"
    ROLLED_MEDIAL = "rolled_medial"
    ROLLED_INFERIOR = "rolled_inferior"
    ROLLED_SUPERIOR = "rolled_superior"
    IMPLANT_DISPLACED = "implant_displaced"
    MAGNIFICATION = "magnification"
    SPOT_COMPRESSION = "spot_compression"
    TANGENTIAL = "tangential"
    NIPPLE_IN_PROFILE = "nipple_in_profile"
    ANTERIOR_COMPRESSION = "anterior_compression"
    INFRAMAMMARY_FOLD = "inframammary_fold"
    AXILLARY_TISSUE = "axillary_tissue"


class Pathology(StrEnum):
    """Histopathology in four steps; the label is derived from it."""

    BENIGN = "benign"
    HIGH_RISK = "high_risk"
    DCIS = "dcis"
    INVASIVE = "invasive"

    @property
    def label(self) -> int:
        """1 for DCIS and invasive cancer, else 0 (high-risk lesions count as benign, as in the paper)."""
        return MALIGNANT if self in (Pathology.DCIS, Pathology.INVASIVE) else BENIGN


class Split(StrEnum):
    """The set that an image belongs to."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class CalcMorphology(StrEnum):
    """Morphology of calcifications (ACR BI-RADS Atlas, 5th edition), in the order of rising suspicion."""

    ROUND = "round"
    PUNCTATE = "punctate"
    COARSE = "coarse"
    AMORPHOUS = "amorphous"
    FINE_PLEOMORPHIC = "fine_pleomorphic"
    FINE_LINEAR_BRANCHING = "fine_linear_branching"


class TypicallyBenign(StrEnum):
    """Typically benign calcifications (ACR BI-RADS Atlas, 4th and 5th edition); no morphology of suspicion."""

    SKIN = "skin"
    VASCULAR = "vascular"
    POPCORN = "popcorn"
    LARGE_RODLIKE = "large_rodlike"
    LUCENT_CENTER = "lucent_center"
    LUCENT_CENTERED = "lucent_centered"
    EGGSHELL = "eggshell"
    RIM = "rim"
    DYSTROPHIC = "dystrophic"
    MILK_OF_CALCIUM = "milk_of_calcium"
    SUTURE = "suture"


class CalcDistribution(StrEnum):
    """Distribution of calcifications (ACR BI-RADS Atlas, 5th edition), in the order of rising suspicion."""

    DIFFUSE = "diffuse"
    REGIONAL = "regional"
    GROUPED = "grouped"
    LINEAR = "linear"
    SEGMENTAL = "segmental"
