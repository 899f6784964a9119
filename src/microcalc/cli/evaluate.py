"""`microcalc evaluate`: from a table of scores, whoever made them, to the paper's statistics and those beside them."""

import gc
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microcalc import RESEARCH_USE, __version__
from microcalc.cli.console import files_made
from microcalc.errors import InputError, StatisticsError
from microcalc.intake.scores import ScoreColumns, ScoreFile, read_facts, read_score_file, test_and_validation
from microcalc.protocol import ENSEMBLE, EvaluationSettings
from microcalc.stats.calibration import Binning, Bins
from microcalc.stats.cutoffs import CutoffRule, RuleKind
from microcalc.stats.evaluation import Evaluation, EvaluationPlan, evaluate_scores
from microcalc.stats.levels import Aggregation
from microcalc.stats.subgroups import subgroup_columns
from microcalc.vocabulary import Split

if TYPE_CHECKING:
    pass

__all__ = ["evaluate"]

RECORD = "evaluation.json"
"""What was asked, beside the results; marks a folder as one that this command made."""

_PARTS = ("tables", "figures", "report.html", RECORD)


@dataclass(frozen=True)
class _Asked:
    """Texts of the command line that become a plan."""

    cutoffs: Sequence[str]
    sensitivities: str
    specificities: str
    prevalences: str


def evaluate(
    scores: Annotated[
        Path,
        typer.Argument(
            help="CSV or XLSX. Long: run, model, image_id, patient_id, split, label, score. Wide: a row per image, a"
            " column per model."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for tables, figures and report.")],
    label: Annotated[str | None, typer.Option(help="Column of the labels: 0 benign, 1 malignant.")] = None,
    patient: Annotated[str | None, typer.Option(help="Column of the patients.")] = None,
    image: Annotated[str | None, typer.Option(help="Column of the images' names.")] = None,
    models: Annotated[str, typer.Option(help="Columns of a wide table that are models; default: all others.")] = "",
    sheet: Annotated[str | None, typer.Option(help="Sheet of a workbook; default: the first.")] = None,
    facts: Annotated[Path | None, typer.Option(help="Table with image_id and facts, such as a cohort.csv.")] = None,
    complete_cases: Annotated[
        bool, typer.Option("--complete-cases", help="Drop images that a model did not score, and say how many.")
    ] = False,
    cutoff: Annotated[list[str] | None, typer.Option(help="Given cut-off, MODEL=VALUE or VALUE for all.")] = None,
    sensitivity: Annotated[str, typer.Option(help="Wanted sensitivities; a cut-off is chosen for each.")] = "0.95",
    specificity: Annotated[str, typer.Option(help="Wanted specificities; a cut-off is chosen for each.")] = "0.9",
    prevalence: Annotated[str, typer.Option(help="Prevalences to carry PPV and NPV to.")] = "0.1,0.2,0.3",
    subgroups: Annotated[str, typer.Option(help="Columns, e.g. view,site,year; or auto.")] = "",
    readers: Annotated[str, typer.Option(help="Models that are human readers; the others are compared to them.")] = "",
    margin: Annotated[float, typer.Option(help="Margin of non-inferiority, in AUC.")] = 0.05,
    aggregation: Annotated[Aggregation, typer.Option(help="Of the images of a lesion, breast or patient.")] = (
        Aggregation.MEAN
    ),
    ensemble: Annotated[str, typer.Option(help="The model that is made of the others.")] = ENSEMBLE,
    band: Annotated[str, typer.Option(help="What the bands of the ROC figures draw: image or patient.")] = "image",
    bins: Annotated[int, typer.Option(help="Bins of the reliability curve.")] = 10,
    equal_width: Annotated[bool, typer.Option("--equal-width", help="Bins of equal width, not equal count.")] = False,
    confidence: Annotated[float, typer.Option(min=0.51, max=0.9999, help="Level of all intervals.")] = 0.95,
    replicates: Annotated[int, typer.Option(min=100, max=1_000_000, help="Bootstrap replicates.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
) -> None:
    """Judge models or readers from a table of their scores: Table 1, comparisons, curves, calibration, report."""
    gc.disable()  # figures leave few circles behind, and looking for them takes a tenth of the time
    if band not in ("image", "patient"):
        raise StatisticsError(f"--band must be image or patient; {band!r} came")
    _refuse_foreign(out)
    named = ScoreColumns(label, patient, image, models=_words(models), others=_words(subgroups))
    read = read_score_file(scores, named, complete_cases=complete_cases, sheet=sheet)
    read = read_facts(read, facts) if facts else read
    asked = _Asked(cutoff or (), sensitivity, specificity, prevalence)
    wanted = subgroup_columns(read.facts) if subgroups == "auto" else _words(subgroups)
    plan = EvaluationPlan(
        settings=EvaluationSettings(confidence=confidence, bootstrap_replicates=replicates, seed=seed),
        ensemble=ensemble,
        rules=_rules(asked),
        given=_given(asked.cutoffs, read),
        prevalences=_numbers(asked.prevalences, "--prevalence"),
        bins=Bins(bins, Binning.WIDTH if equal_width else Binning.COUNT),
        aggregation=aggregation,
        subgroups=wanted,
        readers=_words(readers),
        margin=margin,
        ordinal=tuple(read.scales),
    )
    _announce(scores, read)
    evaluations = []
    for run in read.runs:
        test, validation = test_and_validation(read, run)
        evaluations.append(evaluate_scores(test, validation, run=run, plan=plan))
    _write(evaluations, read, scores, out, band)


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _words(text))
    except ValueError as error:
        raise StatisticsError(f"{option} must be numbers like 0.1,0.2; {text!r} came") from error


def _rules(asked: _Asked) -> tuple[CutoffRule, ...]:
    wanted = (
        (RuleKind.SENSITIVITY, asked.sensitivities, "--sensitivity"),
        (RuleKind.SPECIFICITY, asked.specificities, "--specificity"),
    )
    return tuple(CutoffRule(kind, value) for kind, text, option in wanted for value in _numbers(text, option))


def _given(cutoffs: Sequence[str], read: ScoreFile) -> dict[str, float]:
    models = tuple(dict.fromkeys(read.predictions["model"]))
    given: dict[str, float] = {}
    for text in cutoffs:
        name, _, value = text.rpartition("=")
        unknown = name and name not in models
        if unknown:
            raise StatisticsError(f"--cutoff {text}: the models are {list(models)}; {name!r} is none of them")
        for model in (name,) if name else models:
            given[model] = _cutoff(value.strip(), read.scales.get(model, {}), text)
    return given


def _cutoff(value: str, words: Mapping[float, str], text: str) -> float:
    for number, word in words.items():
        if value.casefold() == word.casefold():
            return number
    try:
        return float(value)
    except ValueError as error:
        known = f" or one of {list(words.values())}" if words else ""
        raise StatisticsError(f"--cutoff {text}: a cut-off must be a number{known}; {value!r} came") from error


def _refuse_foreign(out: Path) -> None:
    there = [part for part in _PARTS if (out / part).exists()]
    if there and RECORD not in there:
        raise InputError(
            f"{out}: the folder holds {', '.join(there)} that `microcalc evaluate` did not make, and would be replaced;"
            " name another folder with --out"
        )


def _announce(scores: Path, read: ScoreFile) -> None:
    table = read.predictions
    models, sets = list(dict.fromkeys(table["model"])), table.drop_duplicates("image_id")["split"].value_counts()
    judged = ", ".join(f"{sets[s]} {s}" for s in (Split.TEST, Split.VALIDATION) if s in sets)
    typer.echo(f"evaluating {scores}: {len(models)} models ({', '.join(models)}), {judged} images")
    for note in read.notes:
        typer.echo(f"note: {note}")
    if Split.VALIDATION not in sets:
        typer.echo("note: no validation set (column split), so every chosen cut-off is optimistic")


def _write(evaluations: Sequence[Evaluation], read: ScoreFile, scores: Path, out: Path, band: str) -> None:
    from microcalc.report.content import FactGroup, ReportContent
    from microcalc.report.document import write_report
    from microcalc.report.evaluated import observed_scores, run_content, write_evaluation_tables  # brings matplotlib
    from microcalc.report.tables import table1_printed
    from microcalc.report.words import Names

    names = Names(scales=read.scales)
    digest = hashlib.sha256(scores.read_bytes()).hexdigest()
    record, notes = _record(evaluations[0].plan, scores, digest), read.notes_to_publish
    staging = out / ".evaluation.partial"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        write_evaluation_tables(evaluations, staging / "tables", names, notes=notes)
        content = ReportContent(
            title=f"Evaluation of {scores.name}",
            runs=tuple(run_content(e, title=f"Run {e.run}", names=names, by=band) for e in evaluations),
            environment=(FactGroup("Evaluation", tuple((key, str(value)) for key, value in record.items())),),
            limits=notes,
            command=f"microcalc evaluate {scores.name} --out {out.name}",
            raster=True,
        )
        write_report(content, staging / "report.html", figures_folder=staging / "figures")
        (staging / RECORD).write_text(json.dumps(record | {"notes": list(notes)}, indent=1) + "\n", encoding="utf-8")
        _move(staging, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    for e in evaluations:
        table = table1_printed(
            e.table, chosen_on=e.table.usual_choice, scales=names.scales, observed=observed_scores(e)
        )
        typer.echo("\n" + table.to_text())
    typer.echo(f"\n{RESEARCH_USE}\nmade:")
    files_made(out / "tables", out / "figures", out / "report.html")


def _record(plan: EvaluationPlan, scores: Path, digest: str) -> dict[str, object]:
    settings = plan.settings
    return {
        "microcalc": __version__,
        "scores": scores.name,
        "sha256": digest,
        "confidence": settings.confidence,
        "bootstrap replicates": settings.bootstrap_replicates,
        "seed": settings.seed,
        "rules": ["youden", *(str(rule) for rule in plan.rules)],
        "given cut-offs": dict(plan.given),
        "prevalences": list(plan.prevalences),
        "bins": f"{plan.bins.count} of {plan.bins.binning}",
        "aggregation": str(plan.aggregation),
        "subgroups": list(plan.subgroups),
        "readers": list(plan.readers),
        "margin": plan.margin,
    }


def _move(staging: Path, out: Path) -> None:
    for part in _PARTS:
        place, old = out / part, staging / f"old-{part}"
        if place.exists():
            place.replace(old)
        (staging / part).replace(place)
