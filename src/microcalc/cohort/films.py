"""Phantoms on tiles of real mammograms: whether a split keeps the films of its test set out of the others.

Only the table's own split was drawn film by film; sets made otherwise know of patients and dates, not of films.
"""

from collections.abc import Mapping

from microcalc.cohort.splits import SplitResult

__all__ = ["films_may_be_shared", "films_warning"]

_MAMMOGRAMS = "mammograms"
"""Entry ``phantom.tissue`` of ``cohort.json`` where the phantoms lie on real films."""


def films_may_be_shared(record: Mapping[str, object], split: SplitResult) -> bool:
    """Whether one film may lie under images of the test set and of another.

    Args:
        record: content of ``cohort.json``.
        split: of that cohort.
    """
    phantom = record.get("phantom")
    on_films = isinstance(phantom, Mapping) and phantom.get("tissue") == _MAMMOGRAMS
    return on_films and split.test_by != "table"


def films_warning(record: Mapping[str, object], split: SplitResult) -> tuple[str, ...]:
    """That films may be shared, in one sentence; nothing where they are not. Arguments as `films_may_be_shared`."""
    if not films_may_be_shared(record, split):
        return ()
    return (
        f"The phantoms lie on tiles of real mammograms, and the test set is made by {split.test_by}: only the table's "
        "own split keeps the films of the test set out of the others, so here the same film may lie in training and "
        "test.",
    )
