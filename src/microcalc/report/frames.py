"""Results as data frames in full precision, as they go to the CSV files.

Takes results of `stats` and computes nothing new. Columns are fixed, so that others can build on them. How the same
numbers are printed is in `tables`.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from microcalc.stats.judged import Fraction, OperatingPoint
from microcalc.stats.operating_point import Measure
from microcalc.stats.summary import SetFacts, Table1

__all__ = ["auc_frame", "facts_cells", "operating_points_frame", "table1_frame", "write_frame", "write_text"]


def table1_frame(tables: Iterable[Table1]) -> pd.DataFrame:
    """Table 1 in full precision, one row per run, choice of cut-off and model.

    Columns: run, model, chosen_on, rule, cutoff, auc with DeLong's limits, and for each measure its numerator,
    denominator, estimate and the limits of every method (``paper`` in percent as printed); then who was counted, and
    Obuchowski's limits of the auc.
    """
    rows = []
    for table in tables:
        for point in table.points:
            j = table.models.index(point.model)
            row: dict[str, object] = {
                "run": table.run,
                "model": point.model,
                "chosen_on": str(point.chosen_on),
                "rule": point.rule,
                "cutoff": point.cutoff,
                "auc": table.auc.auc[j],
                "auc_low": table.auc.low[j],
                "auc_high": table.auc.high[j],
            }
            for measure, fraction in point.fractions.items():
                row |= _fraction_cells(measure, fraction)
            clustered = {
                "auc_low_clustered": table.auc_clustered.low[j],
                "auc_high_clustered": table.auc_clustered.high[j],
            }
            rows.append(row | facts_cells(table.test) | clustered)
    return pd.DataFrame(rows)


def auc_frame(tables: Iterable[Table1], *, level: str = "image") -> pd.DataFrame:
    """Areas in full precision: run, model, level, auc, se, low, high, then the patient-clustered ones, and more."""
    rows = []
    for table in tables:
        plain, clustered = table.auc, table.auc_clustered
        for j, model in enumerate(table.models):
            row: dict[str, object] = {
                "run": table.run,
                "model": model,
                "level": level,
                "auc": plain.auc[j],
                "se": plain.standard_error[j],
                "low": plain.low[j],
                "high": plain.high[j],
                "se_clustered": clustered.standard_error[j],
                "low_clustered": clustered.low[j],
                "high_clustered": clustered.high[j],
                "low_logit": plain.low_logit[j],
                "high_logit": plain.high_logit[j],
                "reason": plain.reasons[j],
                "reason_clustered": clustered.reasons[j],
            }
            rows.append(row | facts_cells(table.test))
    return pd.DataFrame(rows)


def operating_points_frame(
    tables: Iterable[Table1], others: Mapping[str, Iterable[OperatingPoint]] | None = None
) -> pd.DataFrame:
    """Cut-offs with their counts on the test set; every Youden maximiser has a row, ``used`` marks the one used.

    Args:
        tables: one per run.
        others: further operating points, by run.

    Columns: run, model, rule, chosen_on, cutoff, tp, fn, tn, fp, used, optimistic, then the Youden index and the
    counts on the set where the cut-off was chosen, and the reason where there is none.
    """
    rows = []
    for table in tables:
        for point in (*table.points, *(others or {}).get(table.run, ())):
            rows += _point_rows(table, point)
    return pd.DataFrame(rows)


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """Write a data frame as CSV with all digits, under a temporary name first."""
    return write_text(frame.to_csv(index=False, lineterminator="\n"), path)


def write_text(text: str, path: Path) -> Path:
    """Write a text file under a temporary name, then rename; its folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def facts_cells(facts: SetFacts) -> dict[str, object]:
    """Say who was counted, as cells of a row."""
    return {
        "images": facts.images,
        "patients": facts.patients,
        "malignant": facts.malignant,
        "benign": facts.benign,
    }


def _fraction_cells(measure: Measure, fraction: Fraction) -> dict[str, object]:
    paper = fraction.paper
    cells: dict[str, object] = {
        f"{measure}_k": fraction.successes,
        f"{measure}_n": fraction.n,
        f"{measure}": fraction.estimate,
        f"{measure}_paper": paper.estimate,
        f"{measure}_paper_low": paper.low,
        f"{measure}_paper_high": paper.high,
    }
    limits = {
        "wald": fraction.wald,
        "wilson": fraction.wilson,
        "clopper_pearson": fraction.clopper_pearson,
        "robust": fraction.robust,
        "bootstrap": fraction.bootstrap,
    }
    for method, value in limits.items():
        cells |= {f"{measure}_{method}_low": value.low, f"{measure}_{method}_high": value.high}
    return cells | {f"{measure}_reason": fraction.wilson.reason or fraction.wald.reason}


def _point_rows(table: Table1, point: OperatingPoint) -> list[dict[str, object]]:
    choice = point.choice
    cutoffs = choice.maximisers or (point.cutoff,)
    judged = point.maximiser_counts or (point.counts,)
    chosen = choice.maximiser_counts or (choice.counts,)
    rows: list[dict[str, object]] = []
    for position, cutoff in enumerate(cutoffs):
        row: dict[str, object] = {
            "run": table.run,
            "model": point.model,
            "rule": point.rule,
            "chosen_on": str(point.chosen_on),
            "cutoff": cutoff,
        }
        row |= asdict(judged[position])
        row |= {"used": position == 0, "optimistic": point.optimistic, "youden_index": choice.index}
        row |= {f"{name}_chosen": count for name, count in asdict(chosen[position]).items()}
        rows.append(row | {"reason": point.reason} | facts_cells(table.test))
    return rows
