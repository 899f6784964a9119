"""Who was counted in an evaluation, in the sentences that stand below every table."""

from microcalc.report.words import facts_text
from microcalc.stats.evaluation import Evaluation
from microcalc.stats.summary import Table1

__all__ = ["both_sets", "chooser", "test_set"]


def test_set(e: Evaluation) -> str:
    """Who was judged."""
    return f"Test set: {facts_text(e.table.test, e.table.unit)}."


test_set.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


def chooser(table: Table1) -> tuple[str, ...]:
    """Who chose the frozen cut-offs; nothing without a validation set."""
    if table.validation is None:
        return ()
    return (f"Validation set, which chose the frozen cut-offs: {facts_text(table.validation, table.unit)}.",)


def both_sets(e: Evaluation) -> tuple[str, ...]:
    """Who was judged and who chose."""
    return (test_set(e), *chooser(e.table))
