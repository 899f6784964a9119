"""The statistics of the paper, exact, and the ones that belong beside them: plain functions on arrays.

Definitions are in `docs/statistics.md`. `evaluate_scores` computes everything at once; calibration, decision curves,
subgroups and consequences are in the modules of these names. Nothing here knows networks, files or pictures.
"""

from microcalc.stats.auc import DeLong, clustered_delong, delong
from microcalc.stats.bootstrap import BootstrapInterval, RocBand, bootstrap_auc, roc_band
from microcalc.stats.comparison import AucDifference, OverallTest, auc_overall, auc_pairs
from microcalc.stats.cutoffs import CutoffChoice, CutoffRule, RuleKind, choose_cutoff
from microcalc.stats.evaluation import Evaluation, EvaluationPlan, evaluate_scores
from microcalc.stats.gee import Gee, GeeTest, gee
from microcalc.stats.judged import Fraction, OperatingPoint, OverallTests
from microcalc.stats.levels import Aggregation, Level, aggregate
from microcalc.stats.multiplicity import holm
from microcalc.stats.noninferiority import NonInferiority, non_inferiority
from microcalc.stats.operating_point import Counts, Measure, Youden, confusion, youden
from microcalc.stats.proportions import PaperLimits, Proportion, clopper_pearson, paper_limits, wald, wilson
from microcalc.stats.recalibration import Recalibration, RecalibrationMethod, fit_recalibration
from microcalc.stats.replicates import resampling
from microcalc.stats.roc import Axis, PartialAuc, PrecisionRecall, RocCurve, partial_auc, precision_recall, roc_curve
from microcalc.stats.summary import SetFacts, Table1, set_facts, table1

__all__ = [
    "Aggregation",
    "AucDifference",
    "Axis",
    "BootstrapInterval",
    "Counts",
    "CutoffChoice",
    "CutoffRule",
    "DeLong",
    "Evaluation",
    "EvaluationPlan",
    "Fraction",
    "Gee",
    "GeeTest",
    "Level",
    "Measure",
    "NonInferiority",
    "OperatingPoint",
    "OverallTest",
    "OverallTests",
    "PaperLimits",
    "PartialAuc",
    "PrecisionRecall",
    "Proportion",
    "Recalibration",
    "RecalibrationMethod",
    "RocBand",
    "RocCurve",
    "RuleKind",
    "SetFacts",
    "Table1",
    "Youden",
    "aggregate",
    "auc_overall",
    "auc_pairs",
    "bootstrap_auc",
    "choose_cutoff",
    "clopper_pearson",
    "clustered_delong",
    "confusion",
    "delong",
    "evaluate_scores",
    "fit_recalibration",
    "gee",
    "holm",
    "non_inferiority",
    "paper_limits",
    "partial_auc",
    "precision_recall",
    "resampling",
    "roc_band",
    "roc_curve",
    "set_facts",
    "table1",
    "wald",
    "wilson",
    "youden",
]
