"""From what a person brings to a cohort folder: class folders, spreadsheets, and phantoms made up on the spot.

Each source has its module and ends in the same place, a `microcalc.cohort.CohortWriter`; files that a person brings go
through `microcalc.intake.gathering`. Phantoms are imported by their own module, `microcalc.intake.phantom`.
"""

from microcalc.intake.folders import PATIENTS_UNKNOWN, from_folders
from microcalc.intake.gathering import IntakeSettings
from microcalc.intake.spreadsheet import PATH_COLUMNS, TableSource, from_table

__all__ = ["PATH_COLUMNS", "PATIENTS_UNKNOWN", "IntakeSettings", "TableSource", "from_folders", "from_table"]
