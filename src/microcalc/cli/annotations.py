"""`microcalc cohort from-annotations`: the squares of the reading room become a cohort.

Parses, calls `microcalc.reader.room.cohort_export` and prints.
"""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from microcalc.cli.console import user_name
from microcalc.cli.meter import meter
from microcalc.cli.sources import Out, Processes, ScaleText, SkipBad, tell_cohort
from microcalc.errors import InputError, MissingDependencyError
from microcalc.intake.crop import Scale
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.lesions import CutSettings
from microcalc.intake.workers import process_count

__all__ = ["from_annotations"]


def from_annotations(
    data: Annotated[Path, typer.Argument(help="Data folder of the reading room (serve --data).")],
    out: Out = None,
    database: Annotated[str, typer.Option(help="URL of the database, if it is not in the data folder.")] = "",
    reader: Annotated[str, typer.Option(help="Whose squares; needed where several readers have marked.")] = "",
    scale: ScaleText = "pixels",
    key: Annotated[
        Path | None, typer.Option("--key", help="Key file of the pseudonyms, outside the cohort; default: OUT.key.")
    ] = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a cohort of the squares that a reader marked in the reading room, with pseudonyms."""
    if out is None:
        raise InputError("a cohort must have a folder: give --out FOLDER")
    if not data.is_dir():
        raise InputError(f"{data}: must be the data folder of a reading room (serve --data); there is none")
    if importlib.util.find_spec("sqlalchemy") is None:
        raise MissingDependencyError("the reading room needs its packages: pip install 'microcalc[reader]'")
    from microcalc.reader.room.cohort_export import Archive, export_cohort, marked_squares
    from microcalc.reader.room.room import open_store
    from microcalc.reader.settings import Settings
    from microcalc.reader.store.vault import Vault

    settings = HarvestSettings(
        cut=CutSettings(Scale.parse(scale)),
        processes=process_count(processes),
        skip_bad=skip_bad,
        key=key or out.with_name(f"{out.name}.key"),
    )
    store = open_store(Settings(study=None, data=data, database=database))
    try:
        squares = marked_squares(store, reader=reader)
        typer.echo(f"cohort from {len(squares)} squares of {squares[0].reader} in {data}, into {out}")
        archive = Archive(store, Vault(data), by=f"{user_name()} (command line)")
        with meter("ROIs") as progress:
            cohort = export_cohort(archive, squares, out, settings, progress=progress)
    finally:
        store.close()
    tell_cohort(cohort, key=settings.key)
