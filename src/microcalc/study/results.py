"""From finished jobs to tables, figures, heatmaps and report.

Results are made in a folder of their own and moved into place when all of them are there, so a study never shows half
of them. Making them again from the same jobs gives the same bytes.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from microcalc.learn.job import Job
from microcalc.predictions import write_predictions
from microcalc.report.content import HeatmapPanel, RunContent
from microcalc.report.document import write_report
from microcalc.report.evaluated import run_content, write_evaluation_tables
from microcalc.report.panels import caption_words, panel_png
from microcalc.stats import OperatingPoint, Table1
from microcalc.stats.evaluation import Evaluation, EvaluationPlan, evaluate_scores
from microcalc.stats.subgroups import subgroup_columns
from microcalc.study.content import ensemble_members, study_content, training_history
from microcalc.study.folder import StudyFolder
from microcalc.study.heatmaps import heatmap_panel, localisation
from microcalc.study.plan import Plan
from microcalc.study.scores import gather_predictions, scores_with_facts
from microcalc.vocabulary import Split

__all__ = ["write_results"]

_PARTS = ("tables", "figures", "heatmaps")


def write_results(plan: Plan, folder: StudyFolder, say: Callable[[str], None]) -> list[Table1]:
    """Judge the finished jobs of a study and write all that it shows.

    Args:
        plan: of the study; every job is done.
        folder: of the study.
        say: told what is being made.

    Returns:
        Table 1 of each run.
    """
    predictions = gather_predictions(plan)
    write_predictions(predictions, folder.predictions)
    say("judging the test scores")
    judged = [_judge(predictions, run, plan) for run in plan.runs]
    staging = folder.path / ".results.partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        say("drawing figures and heatmaps")
        runs = tuple(_run(plan, evaluation, staging) for evaluation in judged)
        write_evaluation_tables(judged, staging / "tables")
        content = study_content(plan, folder, runs)
        write_report(content, staging / folder.report.name, figures_folder=staging / "figures")
        _move_into_place(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return [evaluation.table for evaluation in judged]


def _judge(predictions: pd.DataFrame, run: str, plan: Plan) -> Evaluation:
    test, validation = (scores_with_facts(predictions, plan, run=run, split=s) for s in (Split.TEST, Split.VALIDATION))
    asked = EvaluationPlan(settings=plan.protocol.evaluation, subgroups=subgroup_columns(test.images))
    return evaluate_scores(test, validation, run=run, plan=asked)


def _run(plan: Plan, evaluation: Evaluation, staging: Path) -> RunContent:
    table = evaluation.table
    jobs = [job for job in plan.jobs if job.run == table.run]
    frozen = {p.model: p for p in table.points_of(Split.VALIDATION)}
    panels = tuple(_panel(plan, job, frozen[job.network], staging) for job in jobs)
    return replace(
        run_content(evaluation, title=f"Learning rate {plan.runs[table.run]:g}"),
        ensemble_of=ensemble_members(plan, table),
        histories=tuple(training_history(job) for job in jobs),
        heatmaps=panels,
        localisation=tuple(row for job in jobs for row in localisation(plan, job)),
    )


def _panel(plan: Plan, job: Job, point: OperatingPoint, staging: Path) -> HeatmapPanel:
    panel = heatmap_panel(plan, job, point)
    folder = staging / panel.folder
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(panel.examples):
        name = f"{number + 1:02d}-{example.outcome.value}-{example.image_id}.png"
        caption = caption_words(example, synthetic=plan.cohort.synthetic)
        png = panel_png(example.original, example.heatmap, caption=caption, mask=example.mask)
        (folder / name).write_bytes(png)
    return panel


def _move_into_place(staging: Path, folder: StudyFolder) -> None:
    for part in _PARTS:
        new, old, place = staging / part, staging / f"old-{part}", folder.path / part
        if place.exists():
            place.replace(old)
        if new.exists():
            new.replace(place)
    (staging / folder.report.name).replace(folder.report)
