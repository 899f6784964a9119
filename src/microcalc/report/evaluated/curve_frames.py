"""Curves, bands, bins and partial areas as data frames in full precision."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from microcalc.report.frames import facts_cells
from microcalc.stats.calibration import Coefficient
from microcalc.stats.evaluation import CalibrationRow, Evaluation

__all__ = ["curve_frames"]


def curve_frames(evaluations: Sequence[Evaluation]) -> dict[str, pd.DataFrame]:
    """Frames by the stem of their file."""
    return {
        "roc": _joined(_roc(e) for e in evaluations),
        "roc_band": _joined(_bands(e) for e in evaluations),
        "partial_auc": _joined(_partial(e) for e in evaluations),
        "precision_recall": _joined(_precision(e) for e in evaluations),
        "average_precision": _joined(_average_precision(e) for e in evaluations),
        "calibration": pd.DataFrame([_calibration(e, row) for e in evaluations for row in e.calibration]),
        "reliability": _joined(_reliability(e) for e in evaluations),
        "decision_curve": _joined(_decision(e) for e in evaluations),
    }


def _joined(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    there = [part for part in parts if len(part)]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()


def _stacked(frames: Iterable[dict[str, object]]) -> pd.DataFrame:
    return _joined(pd.DataFrame(frame) for frame in frames)


def _roc(e: Evaluation) -> pd.DataFrame:
    return _stacked(
        {
            "run": e.run,
            "model": name,
            "cutoff": curve.cutoffs,
            "false_positive_rate": curve.false_positive_rate,
            "sensitivity": curve.sensitivity,
        }
        | facts_cells(e.table.test)
        for name, curve in e.curves.items()
    )


def _bands(e: Evaluation) -> pd.DataFrame:
    return _stacked(
        {
            "run": e.run,
            "model": name,
            "by": by,
            "false_positive_rate": band.false_positive_rate,
            "sensitivity": band.sensitivity,
            "low": band.low,
            "high": band.high,
            "auc_low": band.auc_low,
            "auc_high": band.auc_high,
            "replicates": band.replicates,
            "used": band.used,
        }
        | facts_cells(e.table.test)
        for name, both in e.bands.items()
        for by, band in both.items()
    )


def _partial(e: Evaluation) -> pd.DataFrame:
    rows: list[dict[str, object]] = [
        {
            "run": e.run,
            "model": name,
            "axis": str(part.axis),
            "from": part.low,
            "to": part.high,
            "area": part.area,
            "low": part.limits[0],
            "high": part.limits[1],
            "standardised": part.standardised,
            "standardised_low": part.limits_standardised[0],
            "standardised_high": part.limits_standardised[1],
            "interpolation": "linear",
            "by": part.by,
            "reason": part.reason,
        }
        for name, parts in e.partial.items()
        for part in parts
    ]
    return pd.DataFrame([row | facts_cells(e.table.test) for row in rows])


def _precision(e: Evaluation) -> pd.DataFrame:
    return _stacked(
        {"run": e.run, "model": name, "recall": curve.recall, "precision": curve.precision} | facts_cells(e.table.test)
        for name, curve in e.precision.items()
    )


def _average_precision(e: Evaluation) -> pd.DataFrame:
    rows: list[dict[str, object]] = [
        {
            "run": e.run,
            "model": name,
            "average_precision": curve.average_precision,
            "low": curve.low,
            "high": curve.high,
            "prevalence": curve.prevalence,
            "interpolation": "step",
            "by": curve.by,
            "reason": curve.reason,
        }
        for name, curve in e.precision.items()
    ]
    return pd.DataFrame([row | facts_cells(e.table.test) for row in rows])


def _calibration(e: Evaluation, row: CalibrationRow) -> dict[str, object]:
    result = row.result
    learnt = row.learnt if row.learnt is not None and not row.learnt.reason else None
    cells: dict[str, object] = {"run": e.run, "model": row.model, "recalibration": row.method}
    cells |= _coefficient("intercept", result.intercept) | _coefficient("slope", result.slope)
    cells |= {
        "brier": result.brier.score,
        "brier_low": result.brier.low,
        "brier_high": result.brier.high,
        "brier_reliability": result.brier.reliability,
        "brier_resolution": result.brier.resolution,
        "brier_uncertainty": result.brier.uncertainty,
        "brier_within": result.brier.within,
        "expected_calibration_error": result.expected_error,
        "bins": len(result.bins),
        "binning": str(result.binning),
        "cluster": result.cluster,
        "clipped": result.clipped,
        "learnt_intercept": learnt.intercept if learnt else np.nan,
        "learnt_slope": learnt.slope if learnt else np.nan,
        "learnt_images": learnt.images if learnt else 0,
        "reason": result.reason,
    }
    return cells | facts_cells(e.table.test)


def _coefficient(name: str, value: Coefficient) -> dict[str, object]:
    return {
        name: value.estimate,
        f"{name}_low": value.low,
        f"{name}_high": value.high,
        f"{name}_reason": value.reason,
    }


def _reliability(e: Evaluation) -> pd.DataFrame:
    rows = [
        {
            "run": e.run,
            "model": row.model,
            "recalibration": row.method,
            "from": part.low,
            "to": part.high,
            "mean": part.mean,
            "observed": part.observed.estimate,
            "low": part.observed.low,
            "high": part.observed.high,
            "malignant": part.observed.successes,
            "images": part.observed.n,
            "patients": patients,
        }
        for row in e.calibration
        for part, patients in zip(row.result.bins, _patients_in_bins(e, row), strict=True)
    ]
    return pd.DataFrame(rows)


def _patients_in_bins(e: Evaluation, row: CalibrationRow) -> list[int]:
    score = e.test.scores[:, e.test.models.index(row.model)]
    probability = score if row.learnt is None else row.learnt.apply(score)
    patient = pd.factorize(e.test.patients)[0]
    inside = ((probability >= part.low) & (probability <= part.high) for part in row.result.bins)
    return [np.unique(patient[part]).size for part in inside]


def _decision(e: Evaluation) -> pd.DataFrame:
    return _stacked(
        {
            "run": e.run,
            "model": name,
            "threshold": curve.thresholds,
            "net_benefit": curve.net_benefit,
            "low": curve.low,
            "high": curve.high,
            "treat_all": curve.treat_all,
            "treat_all_low": curve.treat_all_low,
            "treat_all_high": curve.treat_all_high,
            "treat_none": 0.0,
            "advantage_low": curve.advantage_low,
            "advantage_high": curve.advantage_high,
            "by": curve.by,
        }
        | facts_cells(e.table.test)
        for name, curve in e.decision.items()
        if not curve.reason
    )
