"""Everything of an evaluation as data frames in full precision, one per CSV file.

File names and first columns are fixed, so that others can build on them; `docs/statistics.md` lists them. Curves, bands
and bins are in `curve_frames`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from microcalc.report.evaluated.curve_frames import curve_frames
from microcalc.report.frames import auc_frame, facts_cells, operating_points_frame, table1_frame
from microcalc.stats.comparison import AucDifference
from microcalc.stats.cutoffs import YOUDEN
from microcalc.stats.evaluation import Evaluation
from microcalc.stats.gee import Gee, GeeTest
from microcalc.stats.judged import OperatingPoint
from microcalc.stats.multiplicity import holm
from microcalc.stats.noninferiority import NonInferiority
from microcalc.stats.subgroups import SubgroupAuc, SubgroupCounts
from microcalc.vocabulary import Split

__all__ = ["evaluation_frames"]

_YOUDEN = str(YOUDEN)

_GEE_STATISTICS = ("wald_logit", "p_wald_logit", "score", "p_score", "wald_identity", "p_wald_identity")


def evaluation_frames(evaluations: Sequence[Evaluation]) -> dict[str, pd.DataFrame]:
    """Make every data frame.

    Args:
        evaluations: one per run.

    Returns:
        Frames by the stem of their file. Those that would be empty (subgroups that nobody asked for) are left out.
    """
    tables = [e.table for e in evaluations]
    levels = [(level, level.table) for e in evaluations for level in e.levels if level.table is not None]
    areas = [auc_frame(tables)] + [auc_frame([table], level=level.level) for level, table in levels]
    of_levels = [
        table1_frame([table]).assign(level=str(level.level), aggregation=str(level.aggregation))
        for level, table in levels
    ]
    frames = {
        "table1": table1_frame(tables),
        "auc": pd.concat(areas, ignore_index=True),
        "auc_pairs": _pairs(evaluations),
        "auc_overall": _overall(evaluations),
        "gee": _gee(evaluations, Split.TEST),
        "gee_frozen": _gee(evaluations, Split.VALIDATION),
        "operating_points": operating_points_frame(tables, _other_points(evaluations)),
        "consequences": _consequences(evaluations),
        "predictive_values": _predictive(evaluations),
        "levels": pd.concat(of_levels, ignore_index=True) if of_levels else pd.DataFrame(),
        "subgroups": _subgroups(evaluations),
        "interactions": _interactions(evaluations),
        "readers": _readers(evaluations),
        **curve_frames(evaluations),
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def _other_points(evaluations: Sequence[Evaluation]) -> dict[str, list[OperatingPoint]]:
    return {e.run: [*(j.point for j in e.points if j.point.rule != _YOUDEN), *e.refused] for e in evaluations}


def _pairs(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows = []
    for e in evaluations:
        both = zip(e.pairs.plain, e.pairs.clustered, e.pairs.p_holm, e.pairs.p_holm_clustered, strict=True)
        for plain, clustered, p_holm, p_holm_clustered in both:
            rows.append(
                {"run": e.run}
                | _difference(plain, p_holm)
                | {f"{k}_clustered": v for k, v in _difference(clustered, p_holm_clustered).items() if k not in "ab"}
                | facts_cells(e.table.test)
            )
    return pd.DataFrame(rows)


def _difference(pair: AucDifference, p_holm: float) -> dict[str, object]:
    return {
        "a": pair.a,
        "b": pair.b,
        "difference": pair.difference,
        "low": pair.low,
        "high": pair.high,
        "z": pair.z,
        "p": pair.p,
        "p_holm": p_holm,
        "se": pair.standard_error,
        "reason": pair.reason,
    }


def _overall(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows = []
    for e in evaluations:
        for which in ("all", "networks"):
            plain, clustered = e.table.auc_tests.get((which, "image")), e.table.auc_tests.get((which, "patient"))
            if plain is None or clustered is None:
                continue
            rows.append(
                {
                    "run": e.run,
                    "models": " ".join(plain.models),
                    "chi2": plain.chi2,
                    "df": plain.df,
                    "p": plain.p,
                    "reason": plain.reason,
                    "chi2_clustered": clustered.chi2,
                    "p_clustered": clustered.p,
                    "reason_clustered": clustered.reason,
                    "which": which,
                }
                | facts_cells(e.table.test)
            )
    return pd.DataFrame(rows)


def _gee(evaluations: Iterable[Evaluation], chosen_on: Split) -> pd.DataFrame:
    rows = []
    for e in evaluations:
        for tests in e.table.tests:
            if tests.chosen_on == chosen_on:
                for comparison in tests.measures.values():
                    rows += _gee_rows(e, comparison, tests.cluster, str(chosen_on))
    return pd.DataFrame(rows)


def _gee_rows(e: Evaluation, comparison: Gee, cluster: str, chosen_on: str) -> list[dict[str, object]]:
    corrected = {
        f"p_holm_{name}": holm([getattr(pair, f"p_{name}") for pair in comparison.pairs])
        for name in ("wald_logit", "score", "wald_identity")
    }
    rows = []
    for position, test in enumerate((comparison.overall, *comparison.pairs)):
        beside = {name: values[position - 1] if position else np.nan for name, values in corrected.items()}
        rows.append(
            {"run": e.run, "measure": str(comparison.measure), "cluster": cluster}
            | _gee_cells(test)
            | beside
            | {"chosen_on": chosen_on, "clusters": comparison.clusters}
            | facts_cells(e.table.test)
        )
    return rows


def _gee_cells(test: GeeTest) -> dict[str, object]:
    cells: dict[str, object] = {"a": test.a, "b": test.b, "df": test.df}
    cells |= {name: getattr(test, name) for name in _GEE_STATISTICS}
    return cells | {"difference": test.difference, "low": test.low, "high": test.high, "reason": test.reason}


def _consequences(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Per 100 lesions of the class; Wilson's limits, then those of a bootstrap of patients."""
    rows = []
    for e in evaluations:
        for judged in e.points:
            row: dict[str, object] = _point_cells(e, judged.point)
            both = {
                "avoided_per_100_benign": (judged.consequences.avoided, judged.consequences.avoided_patient),
                "missed_per_100_malignant": (judged.consequences.missed, judged.consequences.missed_patient),
            }
            for name, (value, drawn) in both.items():
                row |= {
                    name: 100 * value.estimate,
                    f"{name}_low": 100 * value.low,
                    f"{name}_high": 100 * value.high,
                    f"{name}_low_patient": 100 * drawn[0],
                    f"{name}_high_patient": 100 * drawn[1],
                }
            rows.append(row | facts_cells(e.table.test))
    return pd.DataFrame(rows)


def _predictive(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows = [
        _point_cells(e, judged.point) | asdict(value) | facts_cells(e.table.test)
        for e in evaluations
        for judged in e.points
        for value in judged.consequences.predictive
    ]
    return pd.DataFrame(rows)


def _point_cells(e: Evaluation, point: OperatingPoint) -> dict[str, object]:
    return {"run": e.run} | {name: getattr(point, name) for name in ("model", "rule", "chosen_on", "cutoff")}


def _subgroups(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows = [
        {"run": e.run, "variable": part.variable} | _area_cells(row) | _called(row.counts)
        for e in evaluations
        for part in e.subgroups
        for row in part.rows
    ]
    return pd.DataFrame(rows)


def _area_cells(row: SubgroupAuc) -> dict[str, object]:
    return {name: value for name, value in asdict(row).items() if name != "counts"}


def _called(counts: SubgroupCounts | None) -> dict[str, object]:
    """What the cut-off calls in a group, with Wilson's limits and those by patients."""
    if counts is None:
        return {}
    cells: dict[str, object] = {name: getattr(counts, name) for name in ("cutoff", "tp", "fn", "tn", "fp")}
    for name, share, (low, high) in (
        ("sensitivity", counts.sensitivity, counts.sensitivity_patient),
        ("specificity", counts.specificity, counts.specificity_patient),
    ):
        cells |= {name: share.estimate, f"{name}_low": share.low, f"{name}_high": share.high}
        cells |= {f"{name}_low_patient": low, f"{name}_high_patient": high}
    return cells


def _interactions(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows: list[Mapping[str, object]] = [
        {"run": e.run, "variable": part.variable}
        | asdict(test)
        | {"groups": " | ".join(test.groups)}
        | facts_cells(e.table.test)
        for e in evaluations
        for part in e.subgroups
        for test in part.interactions
    ]
    return pd.DataFrame(rows)


def _readers(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    rows = []
    for e in evaluations:
        for plain, clustered in zip(e.readers, e.readers_clustered, strict=True):
            beside = {f"{k}_clustered": v for k, v in _reader_cells(clustered).items() if k not in ("model", "reader")}
            rows.append({"run": e.run} | _reader_cells(plain) | beside | facts_cells(e.table.test))
    return pd.DataFrame(rows)


def _reader_cells(row: NonInferiority) -> dict[str, object]:
    return asdict(row)
