"""The cohort: its table, its images, their division into sets, and the check of all three.

Each noun has its module; the names that other parts use are gathered here. How a cohort is made from what a person
brings lives in `microcalc.intake`.
"""

from microcalc.cohort.audit import Audit, Finding, Severity, check_cohort
from microcalc.cohort.images import (
    ROI_SIDE,
    cached_array,
    cohort_pixels,
    encode_png,
    fit_to_square,
    read_roi,
    sha256_of_file,
)
from microcalc.cohort.splits import SplitResult, assign_splits, patients_on_two_sides
from microcalc.cohort.table import (
    COLUMNS,
    REQUIRED,
    SCHEMA_VERSION,
    Cohort,
    CohortWriter,
    Verdict,
    read_cohort,
    validate_table,
)

__all__ = [
    "COLUMNS",
    "REQUIRED",
    "ROI_SIDE",
    "SCHEMA_VERSION",
    "Audit",
    "Cohort",
    "CohortWriter",
    "Finding",
    "Severity",
    "SplitResult",
    "Verdict",
    "assign_splits",
    "cached_array",
    "check_cohort",
    "cohort_pixels",
    "encode_png",
    "fit_to_square",
    "patients_on_two_sides",
    "read_cohort",
    "read_roi",
    "sha256_of_file",
    "validate_table",
]
