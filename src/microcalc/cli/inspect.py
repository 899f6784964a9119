"""`microcalc cohort inspect`: the verdict on each DICOM file, as a table on a terminal, as lines elsewhere."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from microcalc import RESEARCH_USE
from microcalc.cli.console import files_made, printable
from microcalc.cohort.storage import write_atomically
from microcalc.errors import InputError
from microcalc.intake.dicom import VERDICT_MEANING, ReadOptions, Verdict
from microcalc.intake.dicom.facts import LARGEST_PIXELS
from microcalc.intake.dicom.files import Record, inspect_files

__all__ = ["inspect"]

_SECONDS_BETWEEN_LINES = 10.0
"""Pace of the progress where verdicts are collected for a table."""


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, and folders with them inside.")],
    report: Annotated[Path | None, typer.Option("--json", help="Write the verdicts to this file as well.")] = None,
    processes: Annotated[int, typer.Option(min=0, help="Processes that read; 0: one for each core.")] = 0,
    for_processing: Annotated[bool, typer.Option("--for-processing", help="Accept raw detector values too.")] = False,
    largest_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images unread.")] = LARGEST_PIXELS,
    window: Annotated[int, typer.Option(min=0, help="Which of several windows is applied, from 0.")] = 0,
) -> None:
    """Say of each file whether it is read as a mammogram, with side, view and scale, or why not."""
    for path in paths:
        if not path.is_symlink() and not path.exists():
            raise InputError(f"files and folders to inspect must be there; {path} is not. Check its name")
    options = ReadOptions(for_processing, largest_pixels=largest_pixels, window=window)
    typer.echo(f"verdicts on the DICOM files in {', '.join(printable(str(p)) for p in paths)}")
    records = inspect_files(paths, options, processes=processes)
    kept = _as_table(records, paths) if _is_terminal() else _as_lines(records)
    _summary(kept)
    typer.echo(f"\n{RESEARCH_USE}")
    if report is not None:
        text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(report, text.encode("utf-8", "replace"))
        typer.echo("made:")
        files_made(report)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _as_lines(records: Iterator[Record]) -> list[Record]:
    kept = []
    for record in records:
        kept.append(record)
        path, code = printable(str(record["path"])), record["code"]
        if record["accepted"]:
            words = "; ".join((f"{_what(record)}, {_size(record)}, {_scale(record)}", *_note_codes(record)))
        else:
            words = printable(str(record["message"]))
        typer.echo(f"{path}: {code}: {words}")
    return kept


def _as_table(records: Iterator[Record], paths: list[Path]) -> list[Record]:
    console = Console()
    file, reason = Column("file", overflow="fold"), Column("notes or reason", ratio=1)
    table = Table(file, "verdict", "view", "pixels", "mm per pixel", reason)
    kept = []
    told = time.monotonic()
    for record in records:
        kept.append(record)
        accepted = bool(record["accepted"])
        words = ", ".join(_note_codes(record)) if accepted else printable(str(record["message"]))
        verdict = Text(str(record["code"]), style="green" if accepted else "red")
        cells = (_what(record), _size(record), _scale(record), words)
        table.add_row(Text(printable(_short(str(record["path"]), paths))), verdict, *(Text(cell) for cell in cells))
        if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
            told = time.monotonic()
            typer.echo(f"{len(kept)} files")
    console.print(table)
    return kept


def _short(name: str, paths: list[Path]) -> str:
    """Path inside the folder that was named."""
    path = Path(name)
    inside = next((folder for folder in paths if folder in path.parents), None)
    return str(path.relative_to(inside)) if inside else name


def _what(record: Record) -> str:
    """Side, view and modifiers."""
    modifiers = record["view_modifiers"]
    words = [record["laterality"], record["view"], *(modifiers if isinstance(modifiers, list) else [])]
    return " ".join(str(word) for word in words if word)


def _size(record: Record) -> str:
    return f"{record['rows']} x {record['columns']}" if record["rows"] else ""


def _scale(record: Record) -> str:
    spacing = record["pixel_spacing_mm"]
    return f"{spacing:.4f} mm" if isinstance(spacing, float) else "unknown mm" if record["accepted"] else ""


def _note_codes(record: Record) -> list[str]:
    notes = record["notes"]
    return [str(note["code"]) for note in notes] if isinstance(notes, list) else []


def _summary(records: list[Record]) -> None:
    """Counts by verdict, and by note among those accepted."""
    counts = Counter(str(record["code"]) for record in records)
    typer.echo(f"\n{len(records)} files: {counts.get(Verdict.ACCEPTED.value, 0)} accepted")
    for code, count in counts.most_common():
        if code != Verdict.ACCEPTED:
            typer.echo(f"{count:>7} {code}: {VERDICT_MEANING[Verdict(code)]}")
    notes = Counter(note for record in records if record["accepted"] for note in _note_codes(record))
    if notes:
        typer.echo("notes on those accepted: " + ", ".join(f"{count} {code}" for code, count in notes.most_common()))
