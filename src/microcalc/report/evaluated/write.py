"""The files of an evaluation: tables as CSV, Markdown and LaTeX, and the run as the report takes it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from microcalc.predictions import ScoreTable
from microcalc.report.content import ModelResult, RunContent
from microcalc.report.evaluated.frames import evaluation_frames
from microcalc.report.evaluated.sections import evaluation_sections, observed_scores, printed_tables
from microcalc.report.figure_set import slug
from microcalc.report.frames import write_frame
from microcalc.report.printed import PrintedTable
from microcalc.report.tables import intervals_printed, table1_printed, write_printed
from microcalc.report.words import Names
from microcalc.stats.evaluation import Evaluation

__all__ = ["evaluated_models", "run_content", "write_evaluation_tables"]


def write_evaluation_tables(
    evaluations: Sequence[Evaluation], folder: Path, names: Names | None = None, *, notes: Sequence[str] = ()
) -> tuple[Path, ...]:
    """Write every table, each under a temporary name first.

    Args:
        evaluations: one per run; a file holds all runs.
        folder: is made if it is not there.
        names: of models and scales, for the printed ones.
        notes: sentences about the scores, such as how many images were dropped; they stand below Table 1.

    Returns:
        The CSV files, then the Markdown and LaTeX files.
    """
    called = names or Names()
    paths = [write_frame(frame, folder / f"{name}.csv") for name, frame in evaluation_frames(evaluations).items()]
    printed: dict[str, list[PrintedTable]] = {"table1": [p for e in evaluations for p in _table1(e, called, notes)]}
    for e in evaluations:
        for name, tables in printed_tables(e, called).items():
            printed.setdefault(name, []).extend(tables)
    for name, part in printed.items():
        paths += write_printed(part, folder / name)
    return tuple(paths)


def _table1(e: Evaluation, names: Names, notes: Sequence[str]) -> list[PrintedTable]:
    first = [
        table1_printed(e.table, chosen_on=c, titles=names.titles, scales=names.scales, observed=observed_scores(e))
        for c in e.table.choices
    ]
    first = [replace(table, notes=(*table.notes, *notes)) for table in first]
    return first + [intervals_printed(e.table, chosen_on=c, titles=names.titles) for c in e.table.choices]


def evaluated_models(e: Evaluation, names: Names | None = None, *, by: str = "image") -> tuple[ModelResult, ...]:
    """The models of a run as the figures take them.

    Args:
        e: the evaluation.
        names: of the models.
        by: whose bootstrap the bands show, ``image`` (the paper's) or ``patient``.
    """
    called, areas = names or Names(), e.table.auc
    return tuple(
        ModelResult(
            model=model,
            curve=e.curves[model],
            auc=float(areas.auc[j]),
            low=float(areas.low[j]),
            high=float(areas.high[j]),
            reason=areas.reasons[j],
            points=tuple(p for p in e.table.points if p.model == model),
            band=e.bands[model][by] if not e.bands[model][by].reason else None,
            confidence=e.table.confidence,
            title=called.title(model),
            scale=called.scales.get(model, {}),
        )
        for j, model in enumerate(e.table.models)
    )


def run_content(e: Evaluation, *, title: str, names: Names | None = None, by: str = "image") -> RunContent:
    """A run as the report takes it, with all sections that the evaluation holds.

    Args:
        e: the evaluation.
        title: heading of the run.
        names: of models and scales.
        by: whose bootstrap the bands show.
    """
    scores: ScoreTable = e.test
    return RunContent(
        name=e.run,
        title=title,
        models=evaluated_models(e, names, by=by),
        table1=e.table,
        scores=scores,
        sections=evaluation_sections(e, names, stem=slug(e.run)),
    )
