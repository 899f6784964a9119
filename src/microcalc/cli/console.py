"""What the commands share: plain lines, errors, who runs them, and the guard before the packages of the training."""

import getpass
import importlib.util
import os
from typing import TextIO

import typer

from microcalc.errors import MissingDependencyError

__all__ = ["counted", "errors_to", "files_made", "needs_training_packages", "printable", "user_name"]

_TRAINING = ("torch", "timm", "lightning_fabric", "safetensors")


def needs_training_packages() -> None:
    """Make sure that networks can be run.

    Raises:
        MissingDependencyError: with the install line.
    """
    missing = [name for name in _TRAINING if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"training needs the packages {', '.join(missing)}, which are not installed: pip install 'microcalc[train]'"
        )


def counted(count: int, noun: str) -> str:
    """For instance ``1 patient``, ``2 patients``; as the report has it, whose import would be heavy here."""
    return f"{count} {noun}{'s' * (count != 1)}"


def errors_to(stream: TextIO, message: str) -> None:
    """Print an error, line by line, without signs that would steer the terminal."""
    lines = map(printable, f"microcalc: {message}".split("\n"))
    print("\n".join(lines), file=stream)


def files_made(*paths: object) -> None:
    """Name the files that a command made, the last words of every command."""
    for path in paths:
        typer.echo(f"  {path}")


def printable(text: str) -> str:
    """A text without signs that would steer the terminal or that no encoding has (names of files may hold any byte)."""
    return "".join(c if c.isprintable() else "?" for c in text)


def user_name() -> str:
    """Name of whoever runs the command; ``uid 1234`` where the system has no name for it, as in some containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # which of them depends on the version of Python and on the system
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "owner"
