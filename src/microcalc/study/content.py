"""From a finished study to the content of its report: facts are collected here and drawn by `report`."""

from pathlib import Path

import numpy as np
import pandas as pd

from microcalc.cohort.films import films_may_be_shared
from microcalc.cohort.splits import patients_of_the_test_outside, patients_on_two_sides
from microcalc.errors import StudyError
from microcalc.learn.batches import batches_per_epoch
from microcalc.learn.job import Job
from microcalc.learn.networks import network_features
from microcalc.learn.train import HISTORY, RECORD, learning_rate_at
from microcalc.protocol import ENSEMBLE
from microcalc.report.cohort_summary import cohort_summary, synthetic_notice
from microcalc.report.content import (
    FactGroup,
    NetworkRow,
    ReportContent,
    RunContent,
    TrainingHistory,
)
from microcalc.report.departures import departures_from_paper
from microcalc.stats import Table1
from microcalc.study.folder import StudyFolder, read_json
from microcalc.study.plan import Plan

__all__ = ["environment_facts", "network_rows", "study_content", "training_history"]


def study_content(plan: Plan, folder: StudyFolder, runs: tuple[RunContent, ...]) -> ReportContent:
    """Everything of a study that its report tells; ``runs`` are made in `results`."""
    record = plan.cohort.record
    return ReportContent(
        title="Microcalcifications: a study by the protocol of Kang et al. (2021)",
        subtitle=f"Protocol {plan.protocol.name}; cohort {plan.cohort.folder.name}",
        runs=runs,
        cohort=cohort_summary(
            plan.cohort.table,
            record,
            split=plan.split.split,
            by=plan.split.by,
            test_by=plan.split.test_by,
            warnings=plan.warnings,
        ),
        synthetic=synthetic_notice(record),
        networks=network_rows(plan),
        environment=environment_facts(plan, folder),
        protocol_yaml=folder.protocol.read_text(encoding="utf-8"),
        departures=departures_from_paper(plan.protocol, test_by=plan.split.test_by),
        limits=limits(plan),
        command=f"microcalc study {plan.cohort.folder.name} --out {folder.path.name} --protocol protocol.yaml",
    )


def training_history(job: Job) -> TrainingHistory:
    """How one network learned, from its history.csv and network.json."""
    record = read_json(job.folder / RECORD)
    table = _history_table(job.folder / HISTORY, epochs=record["epochs"])
    columns = {c: table[c].to_numpy(dtype=np.float64) for c in table.columns if c not in ("epoch", "chosen")}
    return TrainingHistory(
        network=job.network,
        epoch=table["epoch"].to_numpy(dtype=np.int64),
        chosen_epoch=int(table.loc[table["chosen"] == 1, "epoch"].iloc[0]),
        stopped=str(record["stopped"]),
        peak_rate=_peak_rate(job, len(table)),
        **columns,
    )


def _peak_rate(job: Job, epochs: int) -> float:
    """Highest learning rate of all steps of the epochs that were trained."""
    settings = job.protocol.training
    steps = batches_per_epoch(len(job.images.train) * job.protocol.augmentation.copies, job.batch_size)
    total = job.max_epochs * steps
    return max(learning_rate_at(step, total, settings, job.peak_learning_rate) for step in range(epochs * steps))


def _history_table(path: Path, *, epochs: object) -> pd.DataFrame:
    """The history of a finished training of so many epochs, whole.

    Raises:
        StudyError: it is missing or damaged.
    """
    try:
        table = pd.read_csv(path)
        if len(table) != epochs or table.isna().any(axis=None) or list(table["chosen"]).count(1) != 1:
            raise ValueError(f"{epochs} epochs, one of them chosen, were trained")
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(
            f"{path}: must be the whole history of a finished training; it is damaged ({error}). Bring it back from a "
            f"copy, or delete {RECORD} beside it to train the network anew"
        ) from error
    return table


def network_rows(plan: Plan) -> tuple[NetworkRow, ...]:
    """The supplement's table of the networks, with the sizes that this study used."""
    rows = []
    for name in plan.protocol.networks:
        job, features = next(j for j in plan.jobs if j.network == name), network_features(name)
        weights = "ImageNet" if plan.protocol.weights == "imagenet" else "random"
        sizes = (features.size_mb, job.input_size, job.batch_size)
        rows.append(NetworkRow(name, features.depth, features.parameters, *sizes, weights))
    return tuple(rows)


def environment_facts(plan: Plan, folder: StudyFolder) -> tuple[FactGroup, ...]:
    """Versions, machine, seeds, hashes and training times."""
    record = read_json(folder.environment)
    packages = record["packages"]
    assert isinstance(packages, dict)
    versions = {"microcalc": record["microcalc"], "Python": record["python"]} | packages
    machine = {key: record[key] for key in ("system", "processor", "cores", "device", "precision")}
    machine["processes at a time"] = plan.options.processes
    seeds = {
        "split": plan.protocol.split.seed,
        "training": plan.protocol.training.seed,
        "evaluation": plan.protocol.evaluation.seed,
    }
    times = {}
    for job in plan.jobs:
        trained = read_json(job.folder / RECORD)
        seconds = trained["seconds"]
        assert isinstance(seconds, list)
        times[f"{job.spec.title}, {job.run}"] = f"{sum(seconds):.0f} s, {len(seconds)} epochs; {trained['device']}"
    return (
        FactGroup("Software", _facts(versions)),
        FactGroup("Machine", _facts(machine)),
        FactGroup("Seeds", _facts(seeds)),
        FactGroup("Data (SHA-256)", _facts({k: v[:16] + "…" for k, v in plan.identity.items()})),
        FactGroup("Training time", _facts(times)),
    )


def _facts(values: dict[str, object] | dict[str, str] | dict[str, int]) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in values.items())


def limits(plan: Plan) -> tuple[str, ...]:
    """What a reader must know of this very study; what holds for all of its kind is the report's to say."""
    out = []
    if len(plan.protocol.networks) < 5:
        count = len(plan.protocol.networks)
        out.append(f"Only {count} of the paper's five networks {'was' if count == 1 else 'were'} trained.")
    out += _shared_patients(plan)
    if films_may_be_shared(plan.cohort.record, plan.split):
        out.append(
            "Tiles of the same real mammograms may lie under training and test images, for the test set is not the "
            "table's own; the results do not hold for tissue that the networks never saw."
        )
    return tuple(out)


def _shared_patients(plan: Plan) -> list[str]:
    """What patients in several sets mean for the results; nothing where there are none."""
    patients, split = plan.cohort.table["patient_id"], plan.split.split
    tested, shared = len(patients_of_the_test_outside(patients, split)), len(patients_on_two_sides(patients, split))
    if tested:
        have = "1 patient has" if tested == 1 else f"{tested} patients have"
        return [f"{have} images in the test set and outside it, so the results may be optimistic."]
    if shared:
        have = "1 patient has" if shared == 1 else f"{shared} patients have"
        return [
            f"{have} images in training and in validation, so what is told of the validation set may be optimistic; "
            "the epochs and the frozen cut-offs were chosen by it. No patient of the test set stands elsewhere."
        ]
    return []


def ensemble_members(plan: Plan, table: Table1) -> tuple[str, ...]:
    """Networks whose mean is the ensemble; empty where there is none."""
    return plan.protocol.networks if ENSEMBLE in table.models else ()
