"""Files that stand in both classes: the same bytes, called benign once and malignant once.

One of the labels must be wrong, and nobody but the person who brought the files can say which. Pictures that are
merely alike are the audit's business (`microcalc.cohort.leaks`).
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from microcalc.cohort.storage import sha256_of_file

__all__ = ["LabelledFile", "in_both_classes"]


@dataclass(frozen=True)
class LabelledFile:
    """A file and its class: ``source`` is its name for messages, ``label`` 0 or 1."""

    source: str
    path: Path
    label: int


def in_both_classes(files: Sequence[LabelledFile]) -> dict[str, str]:
    """Find files of the same bytes in both classes.

    Only files of one size are read. What cannot be read is left aside: the reading of images says so.

    Args:
        files: with different sources.

    Returns:
        For the source of each such file the source of the first one of the other class.
    """
    found: dict[str, str] = {}
    for alike in _two_labelled((_size(file), file) for file in files):
        for same in _two_labelled((_digest(file), file) for file in alike):
            first = {label: next(f.source for f in same if f.label == label) for label in (0, 1)}
            found |= {file.source: first[1 - file.label] for file in same}
    return found


def _two_labelled(keyed: Iterable[tuple[Hashable, LabelledFile]]) -> list[list[LabelledFile]]:
    """Files of one key, where both classes are among them; those without a key are left aside."""
    groups: dict[Hashable, list[LabelledFile]] = defaultdict(list)
    for key, file in keyed:
        if key is not None:
            groups[key].append(file)
    return [group for group in groups.values() if len({file.label for file in group}) > 1]


def _size(file: LabelledFile) -> int | None:
    try:
        return file.path.stat().st_size or None  # an empty file is damaged, not contradictory
    except OSError:
        return None


def _digest(file: LabelledFile) -> str | None:
    try:
        return sha256_of_file(file.path)
    except OSError:
        return None
