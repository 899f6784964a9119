"""`microcalc read`: what a finished study's networks say of one lesion, or of a whole table of them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from microcalc import RESEARCH_USE, __version__
from microcalc.cli.console import files_made, needs_training_packages, user_name
from microcalc.cli.meter import meter
from microcalc.cohort.storage import explained_write_errors, write_atomically
from microcalc.errors import ImageError, InputError
from microcalc.protocol import ENSEMBLE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from microcalc.intake.dicom import Mammogram, ReadOptions
    from microcalc.reader.case_table import AskedCase
    from microcalc.reader.image_source import Square
    from microcalc.reader.reader import Reader
    from microcalc.reader.reading import Reading

__all__ = ["read"]

Place = tuple[float, float]


@dataclass(frozen=True)
class _Outputs:
    """What is wanted of one reading besides the words."""

    heatmap: Path | None
    heatmap_of: str
    report: Path | None
    as_json: bool


def read(
    study: Annotated[Path, typer.Argument(help="Folder of a finished study.")],
    image: Annotated[Path | None, typer.Argument(help="Mammogram (DICOM), or a square of 512 x 512 (PNG).")] = None,
    roi: Annotated[str, typer.Option("--roi", help="ROW,COL of the lesion in the mammogram, from 0.")] = "",
    table: Annotated[
        Path | None, typer.Option("--table", help="CSV with path, row, col (and id): read all of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="CSV of the results of --table.")] = None,
    heatmap: Annotated[Path | None, typer.Option("--heatmap", help="Write the heatmap as PNG.")] = None,
    heatmap_of: Annotated[str, typer.Option(help="Whose heatmap: ensemble, or a network's name.")] = ENSEMBLE,
    sr: Annotated[
        Path | None, typer.Option("--sr", help="Write a DICOM Structured Report, and beside it what it refers to.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reading as JSON and nothing else.")] = False,
    prevalence: Annotated[
        float | None, typer.Option(help="Share of malignant lesions for PPV and NPV; default: the test set's.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Which run of the study reads; default: its first.")] = None,
    runtime: Annotated[
        str, typer.Option(help="auto, or torch-f32 (as the study computed), torch-mixed, openvino-f32, ...")
    ] = "auto",
    for_processing: Annotated[bool, typer.Option("--for-processing", help="Accept raw detector values too.")] = False,
) -> None:
    """Read one lesion, or a table of lesions, with a finished study's networks; a table that was stopped goes on."""
    outputs = _Outputs(heatmap, heatmap_of, sr, as_json)
    _check(image, table, out, outputs)
    place = _place(roi) if roi else None
    needs_training_packages()
    from microcalc.intake.dicom import ReadOptions
    from microcalc.reader.reader import Reader  # torch comes with it

    options = ReadOptions(accept_for_processing=for_processing)
    if image is not None:
        opened = _opened(image, place, options, outputs)
        _make_folders(outputs)
        reader = Reader.open(study, runtime=runtime, run=run)
        _one(reader, image, opened, place=place, prevalence=prevalence, outputs=outputs)
    elif table is not None and out is not None:
        from microcalc.reader.case_table import read_cases

        cases = read_cases(table)
        typer.echo(f"reading {len(cases)} cases of {table} with the study {study}")
        _many(Reader.open(study, runtime=runtime, run=run), cases, out, options)


def _check(image: Path | None, table: Path | None, out: Path | None, outputs: _Outputs) -> None:
    """One image or one table, and only the options that belong to it."""
    if (image is None) == (table is None):
        raise InputError("either an image must be given, or a table of cases: --table CASES.csv --out RESULTS.csv")
    if (table is None) != (out is None):
        raise InputError("--table and --out belong together: --table CASES.csv --out RESULTS.csv")
    if table is not None and (outputs.heatmap or outputs.report or outputs.as_json):
        raise InputError("--heatmap, --sr and --json are for one image; with --table leave them away")


def _place(text: str) -> Place:
    """ROW,COL as numbers."""
    try:
        row, col = (float(part) for part in text.split(","))
    except ValueError:
        row = col = math.nan
    if not (math.isfinite(row) and math.isfinite(col)):
        raise InputError(f"--roi must be ROW,COL in pixels from 0, such as 1200,850; got {text!r}")
    return row, col


def _opened(image: Path, place: Place | None, options: "ReadOptions", outputs: _Outputs) -> "Square | Mammogram":
    """The image, before the seconds that the networks take to load; with the options that fit it."""
    from microcalc.reader.image_source import Square, mammogram_or_error

    opened = mammogram_or_error(image, options)
    if isinstance(opened, Square):
        if place is not None:
            raise ImageError(f"{image}: a square that is cut already is read as a whole; leave --roi away")
        if outputs.report is not None:
            raise ImageError(f"{image}: a Structured Report belongs to a DICOM image; leave --sr away")
    elif place is None:
        raise ImageError(f"{image}: a mammogram needs the place of the lesion: --roi ROW,COL")
    return opened


def _make_folders(outputs: _Outputs) -> None:
    """Make the folders of what is wanted now: after the reading its minutes would be lost."""
    for path in (outputs.heatmap, outputs.report):
        if path is not None and path.is_dir():
            raise InputError(f"{path}: must be the name of a file; it is a folder. Name a file in it")
        if path is not None:
            with explained_write_errors(path, way_out="choose a folder that you may write to"):
                path.parent.mkdir(parents=True, exist_ok=True)


def _one(
    reader: "Reader",
    image: Path,
    opened: "Square | Mammogram",
    *,
    place: Place | None,
    prevalence: float | None,
    outputs: _Outputs,
) -> None:
    from microcalc.intake.dicom import Mammogram
    from microcalc.reader.many import read_image, square_pixels
    from microcalc.reader.words import reading_lines

    if outputs.heatmap is not None and outputs.heatmap_of not in (*reader.study.networks, ENSEMBLE):
        names = ", ".join((ENSEMBLE, *reader.study.networks))
        raise InputError(f"--heatmap-of must be one of {names}; got {outputs.heatmap_of!r}")
    reading = read_image(reader, opened, place, prevalence=prevalence)
    notes = opened.notes if isinstance(opened, Mammogram) else ()
    made = []
    if outputs.heatmap is not None:
        pixels = square_pixels(reader, opened, place)
        write_atomically(outputs.heatmap, _picture(pixels, reading, outputs.heatmap_of))
        made.append(outputs.heatmap)
    if outputs.report is not None:
        made += _write_report(reader, image, reading, outputs.report)
    if outputs.as_json:
        facts = {"image": str(image), "study": reader.study.name, "run": reader.study.run,
                 "notes": [{"code": n.code.value, "message": n.message} for n in notes],
                 "made": [str(path) for path in made]}  # fmt: skip
        typer.echo(json.dumps(facts | reading.as_record(), indent=1, allow_nan=False))
        return
    typer.echo(f"{image}, read by the study {reader.study.name} (run {reader.study.run}; {reading.runtime})")
    for line in reading_lines(reading):
        typer.echo(line)
    for note in notes:
        typer.echo(f"note on the image: {note.message}")
    typer.echo(f"\n{RESEARCH_USE}")
    if made:
        typer.echo("made:")
        files_made(*made)


def _picture(pixels: "NDArray[np.uint16]", reading: "Reading", network: str) -> bytes:
    from microcalc.reader.words import caption
    from microcalc.report.panels import panel_png  # matplotlib comes with it

    return panel_png(pixels, reading.heatmaps[network], caption=caption(reading, network))


def _write_report(reader: "Reader", image: Path, reading: "Reading", out: Path) -> list[Path]:
    """The Structured Report under the name that was asked for; presentation state and heatmap beside it."""
    from microcalc.reader.objects.finding import Observer, StudyFacts
    from microcalc.reader.objects.report_files import write_report_files

    study = reader.study
    facts = StudyFacts(study.name, __version__, study.fingerprint, reading.chosen_on)
    observer = Observer(user_name(), user_name())
    return write_report_files(image, reading, out, observer=observer, study=facts, at=datetime.now(UTC))


def _many(reader: "Reader", cases: "Sequence[AskedCase]", out: Path, options: "ReadOptions") -> None:
    from microcalc.reader.many import read_many

    with meter("cases") as progress:
        done = read_many(reader, cases, out, options=options, progress=progress)
    if done.before:
        typer.echo(f"{done.before} of them were read before and stayed as they were")
    typer.echo(f"{done.cases - done.refused} read, {done.refused} refused\n\n{RESEARCH_USE}\nmade:")
    files_made(done.out, done.record)
    if done.refused:
        raise InputError(f"{done.refused} of {done.cases} cases could not be read; the results say why for each")
