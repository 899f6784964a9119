"""Days that an exam can be of: those that the secret calendar of a key knows (`microcalc.intake.privacy`)."""

import datetime as dt

__all__ = ["FIRST_TRUE_DAY", "LAST_TRUE_DAY", "can_be_shifted"]

FIRST_TRUE_DAY, LAST_TRUE_DAY = dt.date(1980, 1, 1), dt.date(2059, 12, 31)
"""Days that the secret calendar knows; no digital or digitised mammogram of a study is older."""


def can_be_shifted(day: str) -> bool:
    """Whether the secret calendar knows a day (YYYY-MM-DD), or there is none ("")."""
    return not day or FIRST_TRUE_DAY.isoformat() <= day <= LAST_TRUE_DAY.isoformat()
