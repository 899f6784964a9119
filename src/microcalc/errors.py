"""Every error that microcalc raises on purpose, and the exit code that the command line gives it.

    MicrocalcError                     1
    ├── InputError                     2   a file, table or image that a person brought
    │   ├── TableError                     a row or column of a table
    │   ├── ImageError                     an image file
    │   └── CohortError                    a cohort folder as a whole
    ├── ProtocolError                  2   settings that contradict each other or the data
    ├── SplitError                     2   a division into sets that cannot be made, or would leak
    ├── StatisticsError                2   scores that a statistic cannot answer for
    ├── WeightsError                   3   ImageNet weights or network files missing, damaged, or of another shape
    ├── StudyError                     4   a study folder that does not fit what was asked
    ├── TrainingError                  5   training that came to nothing (a loss that is not a number)
    ├── MissingDependencyError         6   an optional package that is not installed
    └── PacsError                      7   a PACS that cannot be reached, refuses, or answers nonsense

A message says what must hold, what came, and the way out. Nothing else lives here.
"""

__all__ = [
    "CohortError",
    "ImageError",
    "InputError",
    "MicrocalcError",
    "MissingDependencyError",
    "PacsError",
    "ProtocolError",
    "SplitError",
    "StatisticsError",
    "StudyError",
    "TableError",
    "TrainingError",
    "WeightsError",
]


class MicrocalcError(Exception):
    """Base of all; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class InputError(MicrocalcError):
    """A file, table or image that a person brought is not usable as it is."""

    exit_code = 2


class TableError(InputError):
    """A row or column of a table breaks the contract; the message names the file and the row."""


class ImageError(InputError):
    """An image file is truncated, of a wrong size or kind; the message names the file."""


class CohortError(InputError):
    """A cohort folder is incomplete, changed since it was written, or of another schema."""


class ProtocolError(MicrocalcError):
    """Settings contradict each other or ask for what the data do not hold."""

    exit_code = 2


class SplitError(MicrocalcError):
    """A division into train, validation and test cannot be made, or puts a patient on two sides."""

    exit_code = 2


class StatisticsError(MicrocalcError):
    """The scores do not admit the statistic that was asked for."""

    exit_code = 2


class WeightsError(MicrocalcError):
    """Weights are missing, damaged, or do not fit the network."""

    exit_code = 3


class StudyError(MicrocalcError):
    """A study folder holds another protocol or cohort, or is in use."""

    exit_code = 4


class TrainingError(MicrocalcError):
    """Training came to nothing: the loss is not a number."""

    exit_code = 5


class MissingDependencyError(MicrocalcError):
    """An optional package is needed; the message holds the install line."""

    exit_code = 6


class PacsError(MicrocalcError):
    """A PACS cannot be reached, refuses, or answers what nobody can understand; trying again later may help."""

    exit_code = 7
