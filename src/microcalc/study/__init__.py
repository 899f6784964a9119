"""The whole study in one call: plan, jobs, results.

`plan` works out what is to be done, `jobs` does it, `results` judges and shows it, `folder` keeps the record. Needs
the packages of the extra `train`.
"""

from collections.abc import Callable
from pathlib import Path

from microcalc.cohort.storage import write_atomically
from microcalc.errors import WeightsError
from microcalc.learn.job import Job, Progress, Report
from microcalc.learn.train import is_finished
from microcalc.learn.weights import WAY_OUT, unusable_weights
from microcalc.stats import Table1
from microcalc.study.folder import StudyFolder, open_study
from microcalc.study.jobs import run_job, run_jobs
from microcalc.study.plan import Estimate, Plan, StudyOptions, estimate, make_plan, run_name
from microcalc.study.results import write_results
from microcalc.study.training_facts import training_facts

__all__ = [
    "Estimate",
    "Job",
    "Plan",
    "Progress",
    "Report",
    "StudyFolder",
    "StudyOptions",
    "estimate",
    "make_plan",
    "open_study",
    "run_job",
    "run_jobs",
    "run_name",
    "run_study",
    "weights_problem",
]


def run_study(plan: Plan, out: Path, *, report: Report, say: Callable[[str], None]) -> list[Table1]:
    """Carry out a study, or what is left of it, and write its results.

    Args:
        plan: from `make_plan`.
        out: folder of the study, new or of this very study.
        report: told of every step of every job.
        say: told one line for each stage.

    Returns:
        Table 1 of each run.

    Raises:
        WeightsError: ImageNet weights were asked for, and those of a network are missing or damaged.
        StudyError: the folder holds another study, or another process works in it.
        MicrocalcError: see `learn.train.train`.
    """
    _check_weights(plan)
    with open_study(out) as folder:
        folder.check_fits(plan.protocol, plan.identity)
        folder.begin(plan.protocol, plan.identity, plan.options.machine)
        sets = plan.cohort.table.assign(split=plan.split.split)[["image_id", "patient_id", "split"]]
        write_atomically(folder.split, sets.to_csv(index=False, lineterminator="\n").encode())
        finished: list[str] = []

        def done(job: Job) -> None:
            finished.append(f"{job.run}/{job.network}")
            folder.update(finished=sorted(finished))

        run_jobs(plan.jobs, processes=plan.options.processes, report=report, finished=done)
        tables = write_results(plan, folder, say)
        folder.update(complete=True, trained_on=training_facts(plan.cohort, plan.split.split).as_record())
        return tables


def weights_problem(plan: Plan) -> str:
    """Say why the ImageNet weights that a study needs cannot be had here, all networks at once, and the way out.

    Empty if nothing is missing: every network that is not trained yet has its own weights, or none were asked for.

    Raises:
        WeightsError: the manifest of the weights is damaged.
    """
    if plan.protocol.weights == "none":
        return ""
    problem = unusable_weights({job.network for job in plan.jobs if not is_finished(job.folder)}, plan.options.weights)
    return f"{problem}. {WAY_OUT}" if problem else ""


def _check_weights(plan: Plan) -> None:
    """Look before hours of work; nothing ever goes on with other weights."""
    problem = weights_problem(plan)
    if problem:
        raise WeightsError(problem)
