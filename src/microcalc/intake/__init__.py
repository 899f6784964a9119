"""From what a person brings to a cohort folder: class folders, spreadsheets, and phantoms made up on the spot.

Each source has its module and ends in the same place, a `microcalc.cohort.CohortWriter`; files that a person brings go
through `microcalc.intake.gathering`. Phantoms are imported by their own module, `microcalc.intake.phantom`.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from microcalc.intake.folders import PATIENTS_UNKNOWN, from_folders
    from microcalc.intake.gathering import IntakeSettings
    from microcalc.intake.spreadsheet import PATH_COLUMNS, TableSource, from_table

__all__ = ["PATH_COLUMNS", "PATIENTS_UNKNOWN", "IntakeSettings", "TableSource", "from_folders", "from_table"]

_HOMES = {
    "PATH_COLUMNS": "spreadsheet",
    "PATIENTS_UNKNOWN": "folders",
    "IntakeSettings": "gathering",
    "TableSource": "spreadsheet",
    "from_folders": "folders",
    "from_table": "spreadsheet",
}
"""Module of each name. It is imported when it is asked for: a process that only reads DICOM starts without pandas."""


def __getattr__(name: str) -> object:
    """The name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
