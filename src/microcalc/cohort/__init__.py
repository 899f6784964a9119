"""The cohort: its table, its images, their division into sets, and the check of all three.

Each noun has its module; the names that other parts use are gathered here. How a cohort is made from what a person
brings lives in `microcalc.intake`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_HOMES = {
    "Audit": "audit",
    "COLUMNS": "table",
    "Cohort": "table",
    "CohortWriter": "table",
    "Finding": "audit",
    "REQUIRED": "table",
    "ROI_SIDE": "images",
    "SCHEMA_VERSION": "table",
    "Severity": "audit",
    "SplitResult": "splits",
    "Verdict": "table",
    "assign_splits": "splits",
    "cached_array": "images",
    "check_cohort": "audit",
    "cohort_pixels": "images",
    "encode_png": "images",
    "fit_to_square": "images",
    "patients_on_two_sides": "splits",
    "read_cohort": "table",
    "read_roi": "images",
    "sha256_of_file": "images",
    "validate_table": "table",
}
"""Module of each name. It is imported when it is asked for: a process that only cuts ROIs starts without pandas."""


def __getattr__(name: str) -> object:
    """The name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
