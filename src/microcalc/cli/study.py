"""`microcalc study` and `microcalc demo`: from a cohort to the tables and pictures of the paper."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microcalc import RESEARCH_USE
from microcalc.cli.console import counted, files_made, needs_training_packages
from microcalc.cli.progress import StudyProgress, duration
from microcalc.errors import ProtocolError
from microcalc.intake.phantom import PhantomSettings, write_phantom_cohort
from microcalc.predictions import read_predictions, score_table
from microcalc.protocol import NETWORKS, Protocol, built_in_protocol, checked_protocol, read_protocol
from microcalc.report.tables import table1_printed
from microcalc.vocabulary import Split

if TYPE_CHECKING:
    from microcalc.learn.machine import Machine
    from microcalc.study import Plan

__all__ = ["demo", "study"]

Out = Annotated[Path, typer.Option("--out", help="Folder of the study: new, or of this very study to go on with it.")]
Processes = Annotated[int, typer.Option(min=1, help="Networks trained side by side; the cores are shared out.")]
Accelerator = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto (bf16 where the hardware has it), bf16-mixed or 32-true.")]

_ACCELERATORS = ("auto", "cpu", "cuda", "mps")
_PRECISIONS = ("auto", "bf16-mixed", "32-true")


@dataclass(frozen=True)
class _Changes:
    """What the command line says otherwise than the protocol; empty: as the protocol says."""

    networks: str
    learning_rates: str
    weights: str
    input_size: int
    seed: int | None


def study(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder; see `microcalc cohort`.")],
    out: Out,
    protocol: Annotated[Path | None, typer.Option(help="Protocol file; default: the paper's.")] = None,
    networks: Annotated[str, typer.Option(help=f"Some of {','.join(NETWORKS)}.")] = "",
    learning_rates: Annotated[str, typer.Option(help="One run for each, e.g. 1e-4,1e-5.")] = "",
    weights: Annotated[str, typer.Option(help="Starting weights: imagenet, or none (from scratch).")] = "",
    input_size: Annotated[int, typer.Option(help="Side of the networks' input, pixels; default: their own.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of split, training and evaluation.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print the jobs and their measured time; do nothing.")] = False,
    allow: Annotated[list[str] | None, typer.Option(help="Code of a severe finding that shall not stop it.")] = None,
    weights_dir: Annotated[Path | None, typer.Option(help="Folder of the ImageNet weights.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of the pixel cache; default: in the cohort.")] = None,
    processes: Processes = 1,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """Split, train, predict, combine, evaluate, draw, report: the whole study; go on with it if it was interrupted."""
    needs_training_packages()
    from microcalc.study import StudyOptions, make_plan  # torch comes with it

    asked = read_protocol(protocol) if protocol else built_in_protocol("paper")
    asked = _changed(asked, _Changes(networks, learning_rates, weights, input_size, seed))
    machine = _machine(accelerator, precision, processes)
    options = StudyOptions(machine, processes, weights_dir, cache, tuple(allow or ()))
    planned = make_plan(cohort, out, asked, options, only_look=plan)
    _announce(planned, out)
    if plan:
        _warn_of_weights(planned)
        _print_estimate(planned)
    else:
        _carry_out(planned, out)


def demo(
    out: Out,
    seed: Annotated[int, typer.Option(min=0, help="Seed of phantoms and training.")] = 0,
    processes: Annotated[int, typer.Option(min=0, help="Networks side by side; 0: one for each core, at most 5.")] = 0,
    accelerator: Accelerator = "auto",
    precision: Precision = "auto",
) -> None:
    """The whole study on synthetic phantoms, all five networks from scratch: minutes on a laptop."""
    needs_training_packages()
    from microcalc.study import StudyOptions, make_plan  # torch comes with it

    protocol = _changed(built_in_protocol("demo"), _Changes("", "", "", 0, seed))
    cores = os.cpu_count() or 1
    cohort, side_by_side = out / "cohort", processes or min(cores, len(protocol.networks))
    typer.echo("microcalc demo: all five networks, from scratch, on SYNTHETIC phantoms (no real patients).")
    typer.echo(RESEARCH_USE)
    if not (cohort / "cohort.json").exists():
        typer.echo(f"drawing phantoms into {cohort}")
        write_phantom_cohort(cohort, PhantomSettings(seed=seed), processes=cores)
    options = StudyOptions(_machine(accelerator, precision, side_by_side), side_by_side)
    planned = make_plan(cohort, out / "study", protocol, options)
    _announce(planned, out / "study")
    _carry_out(planned, out / "study")


def _changed(protocol: Protocol, changes: _Changes) -> Protocol:
    """The protocol with what the command line says; checked like a file."""
    values = protocol.model_dump(mode="json")
    if changes.networks:
        values["networks"] = [name.strip() for name in changes.networks.split(",")]
    if changes.learning_rates:
        values["training"]["learning_rates"] = _numbers(changes.learning_rates)
    if changes.weights:
        values["weights"] = changes.weights
    if changes.input_size:
        values["image"]["input_size"] = changes.input_size
        for own in values["per_network"].values():
            own["input_size"] = None
    if changes.seed is not None:
        for part in ("split", "training", "evaluation"):
            values[part]["seed"] = changes.seed
    return checked_protocol(values, source="command line")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ProtocolError(f"--learning-rates must be numbers like 1e-4,1e-5; got {text!r}") from error


def _machine(accelerator: str, precision: str, processes: int) -> "Machine":
    from microcalc.learn.machine import Machine  # torch comes with it

    for value, allowed, option in ((accelerator, _ACCELERATORS, "accelerator"), (precision, _PRECISIONS, "precision")):
        if value not in allowed:
            raise ProtocolError(f"--{option} must be one of {', '.join(allowed)}; got {value!r}")
    threads = max(1, (os.cpu_count() or 1) // processes) if processes > 1 else 0
    return Machine(accelerator, precision, threads)  # type: ignore[arg-type]  # checked above


def _announce(plan: "Plan", out: Path) -> None:
    counts = plan.split.split.value_counts()
    sets = ", ".join(f"{counts[s]} {s}" for s in Split)
    start = "ImageNet weights" if plan.protocol.weights == "imagenet" else "random weights (from scratch)"
    typer.echo(f"study of {plan.cohort.folder} into {out}: {sets} images (split by {plan.split.by})")
    typer.echo(f"{counted(len(plan.jobs), 'network')} to train from {start}, protocol {plan.protocol.name}")
    if plan.cohort.synthetic:
        typer.echo("the cohort is SYNTHETIC: results say nothing about patients")
    for warning in plan.warnings:
        typer.echo(f"warning: {warning}")


def _warn_of_weights(plan: "Plan") -> None:
    """A plan can be timed without the ImageNet weights, but must say that the study will stop for want of them."""
    from microcalc.study import weights_problem  # torch comes with it

    problem = weights_problem(plan)
    if problem:
        typer.echo(f"warning: this study would stop at once: {problem}")


def _print_estimate(plan: "Plan") -> None:
    from microcalc.study import estimate  # torch comes with it

    typer.echo("timing one step of each network")
    typer.echo(f"{'run':<10} {'network':<22} {'ms per image':>12} {'epoch':>12} {'all epochs':>16} {'scoring':>12}")
    training = scoring = 0.0
    for item in estimate(plan):
        training, scoring = training + item.training_seconds, scoring + item.scoring_seconds
        name, milliseconds = item.job.spec.title, f"{1000 * item.step.train_seconds:.1f}"
        times = f"{duration(item.epoch_seconds):>12} {duration(item.training_seconds):>16}"
        typer.echo(f"{item.job.run:<10} {name:<22} {milliseconds:>12} {times} {duration(item.scoring_seconds):>12}")
    trained, scored = (duration(seconds / plan.options.processes) for seconds in (training, scoring))
    typer.echo(
        f"training: about {trained}, less where a network stops early; scoring: about {scored}, both reckoned from one "
        "timed step of each network.\nReading the images, statistics, heatmaps and report come on top and were not "
        "timed. Nothing was done."
    )


def _carry_out(plan: "Plan", out: Path) -> None:
    from microcalc.study import run_study  # torch comes with it

    with StudyProgress(len(plan.jobs)) as progress:
        tables = run_study(plan, out, report=progress, say=progress.say)
    predictions = read_predictions(out / "predictions.csv")
    for table in tables:
        test = score_table(predictions, run=table.run, split=Split.TEST, models=table.models)
        observed = dict(zip(test.models, test.scores.T, strict=True))
        typer.echo("\n" + table1_printed(table, chosen_on=table.usual_choice, observed=observed).to_text())
    typer.echo(f"\n{RESEARCH_USE}\nmade:")
    files_made(out / "predictions.csv", out / "tables", out / "figures", out / "heatmaps", out / "report.html")
