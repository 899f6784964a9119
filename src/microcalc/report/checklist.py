"""STARD 2015 as a table: which items this report answers and where, and which ones the authors must write.

The items are paraphrased; the list itself is Bossuyt et al., BMJ 351:h5527 (2015). Whether a section is in the report
is decided by its anchor.
"""

from collections.abc import Collection
from dataclasses import dataclass

__all__ = ["STARD_2015", "ChecklistRow", "StardItem", "checklist"]


@dataclass(frozen=True)
class StardItem:
    """One item.

    Attributes:
        number: in the list, for instance ``12a``.
        topic: what to report, paraphrased.
        anchor: of the section that holds it; empty where only the authors can.
        remark: what the section gives, or what the authors must add.
    """

    number: str
    topic: str
    anchor: str = ""
    remark: str = ""


@dataclass(frozen=True)
class ChecklistRow:
    """An item and whether this report holds its section."""

    item: StardItem
    answered: bool


STARD_2015 = (
    StardItem("1", "Title names a study of diagnostic accuracy and a measure of accuracy"),
    StardItem("2", "Structured abstract"),
    StardItem("3", "Background, intended use and role of the index test"),
    StardItem("4", "Objectives and hypotheses"),
    StardItem("5", "Prospective or retrospective"),
    StardItem("6", "Eligibility criteria", "cohort", "counts of what was left out; the criteria are the authors'"),
    StardItem("7", "How participants were identified"),
    StardItem("8", "Setting, location, dates", "cohort", "dates, as far as the table holds them"),
    StardItem("9", "Consecutive, random or convenience series"),
    StardItem("10a", "Index test, so that it can be repeated", "protocol", "whole protocol, versions, seeds"),
    StardItem("10b", "Reference standard, so that it can be repeated"),
    StardItem("11", "Why this reference standard"),
    StardItem("12a", "Cut-offs of the index test, pre-specified or exploratory", "results", "both, each labelled"),
    StardItem("12b", "Cut-offs of the reference standard"),
    StardItem("13a", "What was known to those who ran the index test"),
    StardItem("13b", "What was known to those who assessed the reference standard"),
    StardItem("14", "Methods of estimating and comparing accuracy", "results", "notes under each table"),
    StardItem("15", "Indeterminate results"),
    StardItem("16", "Missing data", "cohort", "what was left out, by reason"),
    StardItem("17", "Variability of accuracy, pre-specified or exploratory"),
    StardItem("18", "Sample size and how it was determined"),
    StardItem("19", "Flow of participants, as a diagram", "cohort", "flow diagram"),
    StardItem(
        "20", "Characteristics of participants", "characteristics", "those in the table; age and symptoms are not"
    ),
    StardItem(
        "21a", "Severity of disease in those who have it", "characteristics", "histopathology, as far as it is there"
    ),
    StardItem(
        "21b", "Other diagnoses in those who have it not", "characteristics", "high-risk lesions, as far as stated"
    ),
    StardItem("22", "Time between index test and reference standard"),
    StardItem("23", "Cross tabulation of index test by reference standard", "cross-tabulation", "for every model"),
    StardItem("24", "Accuracy and its precision", "results", "with intervals"),
    StardItem("25", "Adverse events"),
    StardItem("26", "Limitations", "limits", "those that the numbers show; the authors know more"),
    StardItem("27", "Implications for practice"),
    StardItem("28", "Registration"),
    StardItem("29", "Where the protocol can be read", "protocol", "printed here in full"),
    StardItem("30", "Funding"),
)


def checklist(anchors: Collection[str]) -> tuple[ChecklistRow, ...]:
    """The items in order; an item is answered if the section that holds it is among ``anchors`` of the report."""
    return tuple(ChecklistRow(item, bool(item.anchor) and item.anchor in anchors) for item in STARD_2015)
