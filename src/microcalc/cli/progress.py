"""Progress of a study: bars with the time left on a terminal, plain lines in a log."""

import sys
import time
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["StudyProgress", "duration"]


class JobStep(Protocol):
    """What a job tells; see `microcalc.learn.job.Progress`."""

    @property
    def run(self) -> str:
        """Name of the run."""

    @property
    def network(self) -> str:
        """Name of the network."""

    @property
    def stage(self) -> str:
        """What the job is doing."""

    @property
    def done(self) -> int:
        """Steps done."""

    @property
    def total(self) -> int:
        """Steps in all."""

    @property
    def message(self) -> str:
        """A line worth keeping, or nothing."""


class StudyProgress:
    """Shows the steps of jobs; a context manager that is called with each step.

    Args:
        jobs: how many there are.
        plain: lines instead of bars; default: when the output is no terminal.
    """

    def __init__(self, jobs: int, *, plain: bool | None = None) -> None:
        self._jobs = jobs
        self._done = 0
        self._plain = not sys.stdout.isatty() if plain is None else plain
        self._began: dict[tuple[str, str], tuple[float, int]] = {}
        self._tasks: dict[tuple[str, str], TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description}", justify="left"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps, left at most"),
            TimeRemainingColumn(),
            console=Console(),
            disable=self._plain,
        )

    def __enter__(self) -> Self:
        """Start the bars."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bars."""
        self._bars.stop()

    def __call__(self, step: JobStep) -> None:
        """Show one step."""
        if step.stage == "done":
            self._done += 1
            self._say(f"{step.network}, {step.run}: done ({self._done} of {self._jobs})")
            self._finish(step)
        elif step.stage == "train":
            self._train(step)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._say(text)

    def _train(self, step: JobStep) -> None:
        key = (step.run, step.network)
        began, first = self._began.setdefault(key, (time.monotonic(), step.done))
        left = ""
        if step.done > first:
            seconds = (time.monotonic() - began) * (step.total - step.done) / (step.done - first)
            left = f", at most {duration(seconds)} left for this network"
        if step.message:
            self._say(step.message + left)
        if not self._plain:
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(f"{step.network} {step.run}", total=step.total)
            self._bars.update(self._tasks[key], completed=step.done, total=step.total)

    def _finish(self, step: JobStep) -> None:
        task = self._tasks.pop((step.run, step.network), None)
        if task is not None:
            self._bars.remove_task(task)

    def _say(self, text: str) -> None:
        if self._plain:
            typer.echo(text)
        else:
            self._bars.console.print(text, highlight=False, markup=False)


def duration(seconds: float) -> str:
    """Seconds in words: ``45 s``, ``12 min``, ``3 h 20 min``, ``2 days 4 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} days {minutes % 1440 // 60} h"
