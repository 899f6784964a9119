"""The report: tables, figures and one self-contained page from the results of a study or of a table of scores.

`content` says what a report can hold, `document` makes the page, `figure_set` the files; `panels` draws heatmaps over
mammograms for whoever has them. Nothing here trains, predicts or estimates; torch is never imported.
"""

from microcalc.report.cohort_summary import (
    Characteristic,
    CohortFlow,
    CohortSummary,
    Exclusion,
    SetCounts,
    SyntheticNotice,
    cohort_flow,
    cohort_summary,
    set_counts,
    synthetic_notice,
)
from microcalc.report.content import (
    Departure,
    FactGroup,
    HeatmapExample,
    HeatmapPanel,
    LocalisationRow,
    ModelResult,
    NetworkRow,
    Outcome,
    ReportContent,
    ReportFigure,
    RunContent,
    Section,
    TrainingHistory,
)
from microcalc.report.departures import departures_from_paper
from microcalc.report.document import render_report, write_report
from microcalc.report.figure_set import FigureSet, draw_figures, save_figures
from microcalc.report.panels import caption_words, overlay, panel_png
from microcalc.report.results import model_results

__all__ = [
    "Characteristic",
    "CohortFlow",
    "CohortSummary",
    "Departure",
    "Exclusion",
    "FactGroup",
    "FigureSet",
    "HeatmapExample",
    "HeatmapPanel",
    "LocalisationRow",
    "ModelResult",
    "NetworkRow",
    "Outcome",
    "ReportContent",
    "ReportFigure",
    "RunContent",
    "Section",
    "SetCounts",
    "SyntheticNotice",
    "TrainingHistory",
    "caption_words",
    "cohort_flow",
    "cohort_summary",
    "departures_from_paper",
    "draw_figures",
    "model_results",
    "overlay",
    "panel_png",
    "render_report",
    "save_figures",
    "set_counts",
    "synthetic_notice",
    "write_report",
]
