"""A meter for work on many files: a bar with the time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["meter"]

_SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[int, int], None]
"""Called with what is done and all of it."""


@contextmanager
def meter(noun: str) -> Iterator[Report]:
    """Show the progress of some work.

    Args:
        noun: what is counted, in the plural.
    """
    if not sys.stdout.isatty():
        yield _lines(noun)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(), transient=True) as bars:
        task = bars.add_task(noun, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def _lines(noun: str) -> Report:
    last = time.monotonic()

    def line(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            typer.echo(f"{done} of {total} {noun}")

    return line
