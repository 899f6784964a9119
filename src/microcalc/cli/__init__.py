"""The command line: every command parses, calls and prints, nothing more.

Each command says what it will do, shows progress, and ends by naming the files that it made. Errors that microcalc
raises on purpose become one message and the exit code of their class; torch is imported only by commands that need
it, at the one place `needs_training_packages` guards. Each command is imported when it is called.
"""

import atexit
import errno
import gc
import sys
from typing import ClassVar

import typer

from microcalc import RESEARCH_USE, __version__
from microcalc.cli.console import errors_to
from microcalc.cli.lazy import LazyGroup
from microcalc.errors import MicrocalcError

__all__ = ["app", "main"]


class _Commands(LazyGroup):
    places: ClassVar = {
        "cohort": ("microcalc.cli.cohorts", "app"),
        "study": ("microcalc.cli.study", "study"),
        "demo": ("microcalc.cli.study", "demo"),
        "evaluate": ("microcalc.cli.evaluate", "evaluate"),
        "weights": ("microcalc.cli.weights", "app"),
        "read": ("microcalc.cli.read", "read"),
        "serve": ("microcalc.cli.serve", "app"),
        "pacs": ("microcalc.cli.pacs", "app"),
    }


app = typer.Typer(
    cls=_Commands,
    name="microcalc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=f"The microcalcification study of Kang et al. (2021) as software. {RESEARCH_USE}",
)
_FULL_DISK = (errno.ENOSPC, errno.EDQUOT)
_INTERRUPTED = 130


@app.callback(invoke_without_command=True)
def _version(
    version: bool = typer.Option(False, "--version", help="Print the version and stop.", is_eager=True),
) -> None:
    if version:
        typer.echo(f"microcalc {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a foreseen error ends it with one message and an exit code that is not zero."""
    atexit.register(gc.freeze)  # at the end nothing is searched for cycles: the system takes it all back, 0.2 s sooner
    try:
        app()
    except MicrocalcError as error:
        errors_to(sys.stderr, str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        full = error.errno in _FULL_DISK
        hint = "the disk is full; free some space and start the same command again" if full else "see the path above"
        errors_to(sys.stderr, f"{error.filename or ''}: {error.strerror or error}; {hint}")
        sys.exit(1)
    except KeyboardInterrupt:
        errors_to(sys.stderr, "stopped; the same command goes on from here")
        sys.exit(_INTERRUPTED)
