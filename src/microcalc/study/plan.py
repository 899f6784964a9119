"""What a study will do, worked out before anything is done: sets, jobs, and how long it will take here.

A plan is made of the cohort, the protocol and the machine; it writes nothing. Jobs are carried out in `jobs`.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from microcalc.cohort import Cohort, SplitResult, assign_splits, check_cohort, cohort_pixels, read_cohort
from microcalc.cohort.films import films_warning
from microcalc.errors import CohortError, SplitError
from microcalc.learn.batches import batches_per_epoch
from microcalc.learn.inputs import CohortPixels
from microcalc.learn.job import Job, StudyImages
from microcalc.learn.machine import Machine
from microcalc.learn.networks import check_input_size
from microcalc.learn.timing import StepTime, measure_step
from microcalc.protocol import Protocol
from microcalc.study.folder import StudyFolder
from microcalc.vocabulary import Split

__all__ = ["Estimate", "Plan", "StudyOptions", "estimate", "make_plan", "run_name"]


_NO_PIXELS = CohortPixels(Path("pixels that were not asked for"), "")


@dataclass(frozen=True)
class StudyOptions:
    """How a study is carried out; nothing here may change a result but the machine's rounding.

    Attributes:
        machine: device, precision, threads.
        processes: jobs at a time.
        weights: folder of the ImageNet weights; None: the usual one.
        cache: folder of the pixel cache; None: inside the cohort.
        allow: codes of severe findings of the cohort check that shall not stop the study.
    """

    machine: Machine = Machine()
    processes: int = 1
    weights: Path | None = None
    cache: Path | None = None
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A study before it is carried out.

    Attributes:
        cohort: that is studied.
        split: who is in which set, in the order of the cohort's table, and how that came about.
        protocol: of the study.
        options: how it is carried out.
        jobs: one for each run and network, in the protocol's order.
        warnings: of the cohort check and the split.
    """

    cohort: Cohort
    split: SplitResult
    protocol: Protocol
    options: StudyOptions
    jobs: tuple[Job, ...]
    warnings: tuple[str, ...]

    @property
    def runs(self) -> dict[str, float]:
        """Learning rate of each run, in the protocol's order."""
        return {run_name(rate): rate for rate in self.protocol.training.learning_rates}

    @property
    def identity(self) -> dict[str, str]:
        """What tells this study's data from others: hashes of pixels, labels and sets."""
        table = self.cohort.table.assign(split=self.split.split)[["image_id", "patient_id", "label", "split"]]
        text = table.to_csv(index=False, lineterminator="\n")
        return {"pixels": self.jobs[0].images.source.key, "table": hashlib.sha256(text.encode()).hexdigest()}


@dataclass(frozen=True)
class Estimate:
    """Measured time of one network's step, and what follows for its job.

    Attributes:
        job: that is judged.
        step: measured here, in this run.
        epoch_seconds: of one epoch, validation included.
        training_seconds: of all epochs, if none is saved by early stopping.
        scoring_seconds: of the forward passes over validation and test images.
    """

    job: Job
    step: StepTime
    epoch_seconds: float
    training_seconds: float
    scoring_seconds: float


def run_name(learning_rate: float) -> str:
    """Name of a run: ``lr1e-04`` for 0.0001."""
    mantissa, _, exponent = f"{learning_rate:e}".partition("e")
    return f"lr{mantissa.rstrip('0').rstrip('.')}e{exponent}"


def make_plan(
    cohort_folder: Path, out: Path, protocol: Protocol, options: StudyOptions, *, only_look: bool = False
) -> Plan:
    """Read and check the cohort, divide it, and list the jobs.

    Args:
        cohort_folder: a cohort.
        out: folder of the study; nothing is written there.
        protocol: of the study.
        options: how it is carried out.
        only_look: leave the pixel cache unbuilt; such a plan can be timed but not carried out.

    Raises:
        CohortError: the cohort has severe faults; run `microcalc cohort check` for all of them.
        SplitError: it cannot be divided as asked.
    """
    cohort = read_cohort(cohort_folder)
    by_image = protocol.split.by == "image"
    try:
        split = assign_splits(cohort.table, protocol.split)
    except SplitError:
        _check(cohort, options.allow, by_image=by_image)  # a fault of the cohort may be why
        raise
    warnings = _check(cohort, options.allow, by_image=by_image, split=split)
    images = _images(cohort, split, _NO_PIXELS if only_look else _pixels(cohort, options.cache))
    jobs = []
    for rate in protocol.training.learning_rates:
        for name in protocol.networks:
            folder = StudyFolder(out).network(run_name(rate), name)
            job = Job(run_name(rate), rate, name, folder, protocol, images, options.machine, options.weights)
            check_input_size(name, job.input_size)
            jobs.append(job)
    warnings = (*warnings, *split.warnings, *films_warning(cohort.record, split))
    return Plan(cohort, split, protocol, options, tuple(jobs), warnings)


def _pixels(cohort: Cohort, cache: Path | None) -> CohortPixels:
    pixels, key = cohort_pixels(cohort, cache=cache)
    return CohortPixels(Path(str(pixels.filename)), key)


def _check(
    cohort: Cohort, allowed: tuple[str, ...], *, by_image: bool, split: SplitResult | None = None
) -> tuple[str, ...]:
    """Warnings of the audit, with leaks judged by the sets of this very study.

    Raises:
        CohortError: there are severe findings that were not allowed.
    """
    findings = check_cohort(cohort.folder, split=None if split is None else split.split.tolist()).findings
    if by_image:  # a leak that was asked for is told by the split's own warning
        findings = tuple(f for f in findings if "leak" not in f.code)
    severe = [f for f in findings if f.severity == "error" and f.code not in allowed]
    if severe:
        lines = "\n".join(f"  {f.code}: {f.message}" for f in severe[:10])
        raise CohortError(
            f"{cohort.folder}: the cohort must be free of severe faults; {len(severe)} found:\n{lines}\n"
            "Mend them (microcalc cohort check tells all), or accept one by its code: --allow CODE"
        )
    return tuple(f.message for f in findings if f.severity != "note")


def _images(cohort: Cohort, split: SplitResult, source: CohortPixels) -> StudyImages:
    labels = cohort.table["label"].to_numpy(dtype=np.int64)
    rows = {s: np.flatnonzero((split.split == s.value).to_numpy()) for s in Split}
    for name, index in rows.items():
        if len(np.unique(labels[index])) < 2:
            raise SplitError(
                f"the {name} set must hold benign and malignant images; it holds {len(index)} images of "
                f"{'one class' if len(index) else 'no class'}. Bring more patients or change split in the protocol"
            )
    return StudyImages(source, labels, rows[Split.TRAIN], rows[Split.VALIDATION], rows[Split.TEST])


def estimate(plan: Plan) -> list[Estimate]:
    """Time one training step and one forward pass of every network here, and reckon the jobs' time from them.

    What comes before and after the jobs (reading the images, statistics, heatmaps, report) is not in it.
    """
    measured: dict[str, StepTime] = {}
    out = []
    for job in plan.jobs:
        if job.network not in measured:
            measured[job.network] = measure_step(job)
        step, images = measured[job.network], job.images
        seen = batches_per_epoch(len(images.train) * plan.protocol.augmentation.copies, job.batch_size) * job.batch_size
        looked_at = len(images.validation) + min(plan.protocol.training.batchnorm_images, len(images.train))
        epoch = seen * step.train_seconds + looked_at * step.predict_seconds
        scoring = (len(images.validation) + len(images.test)) * step.predict_seconds
        out.append(Estimate(job, step, epoch, epoch * job.max_epochs, scoring))
    return out
