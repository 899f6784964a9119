"""The statistics of the paper, exact, and the ones that belong beside them: plain functions on arrays.

Definitions are in `docs/statistics.md`. Nothing here knows networks, files or pictures.
"""

from microcalc.stats.auc import DeLong, clustered_delong, delong
from microcalc.stats.bootstrap import BootstrapInterval, RocBand, bootstrap_auc, roc_band
from microcalc.stats.comparison import AucDifference, OverallTest, auc_overall, auc_pairs
from microcalc.stats.gee import Gee, GeeTest, gee
from microcalc.stats.judged import Fraction, OperatingPoint, OverallTests
from microcalc.stats.operating_point import Counts, Measure, Youden, confusion, youden
from microcalc.stats.proportions import PaperLimits, Proportion, clopper_pearson, paper_limits, wald, wilson
from microcalc.stats.replicates import resampling
from microcalc.stats.roc import RocCurve, roc_curve
from microcalc.stats.summary import SetFacts, Table1, set_facts, table1

__all__ = [
    "AucDifference",
    "BootstrapInterval",
    "Counts",
    "DeLong",
    "Fraction",
    "Gee",
    "GeeTest",
    "Measure",
    "OperatingPoint",
    "OverallTest",
    "OverallTests",
    "PaperLimits",
    "Proportion",
    "RocBand",
    "RocCurve",
    "SetFacts",
    "Table1",
    "Youden",
    "auc_overall",
    "auc_pairs",
    "bootstrap_auc",
    "clopper_pearson",
    "clustered_delong",
    "confusion",
    "delong",
    "gee",
    "paper_limits",
    "resampling",
    "roc_band",
    "roc_curve",
    "set_facts",
    "table1",
    "wald",
    "wilson",
    "youden",
]
