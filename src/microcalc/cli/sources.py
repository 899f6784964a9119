"""`microcalc cohort from-dicom` and its helper `columns`: a hospital's mammograms and spreadsheet become a cohort.

Commands parse, call and print; the work is done in `microcalc.intake`.
"""

from pathlib import Path
from typing import Annotated

import typer

from microcalc import RESEARCH_USE
from microcalc.cli.console import counted, files_made, printable
from microcalc.cli.meter import meter
from microcalc.cohort.storage import write_atomically
from microcalc.cohort.table import Cohort
from microcalc.cohort.writer import refuse_occupied
from microcalc.errors import InputError, ProtocolError
from microcalc.intake.column_fields import FIELDS, PLACE_FIELDS
from microcalc.intake.column_guess import SURE, Guess, draft_of_guesses, guess_columns, map_of_guesses
from microcalc.intake.column_map import ColumnMap, column_map_yaml, read_column_map
from microcalc.intake.crop import Scale
from microcalc.intake.dicom import ReadOptions
from microcalc.intake.dicom.facts import LARGEST_PIXELS
from microcalc.intake.from_dicom import DicomSource, plan_from_dicom
from microcalc.intake.from_dicom import from_dicom as make_from_dicom
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.join_report import join_lines, join_table
from microcalc.intake.lesions import CutSettings
from microcalc.intake.sheets import read_sheet
from microcalc.intake.workers import process_count

__all__ = ["columns", "from_dicom", "tell_cohort", "write_listing"]

Out = Annotated[Path | None, typer.Option("--out", help="Cohort folder to make: new or empty.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would join and what not; write nothing.")]
ScaleText = Annotated[
    str,
    typer.Option(
        "--scale", help="pixels: the mammogram's own, as in the paper. mm:0.07: all ROIs at 0.07 mm per pixel."
    ),
]
Processes = Annotated[int, typer.Option(min=0, help="How many read; 0: one for each core, at most 8.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and keep a note of each.")]

Listing = Annotated[
    Path | None, typer.Option("--list", help="Write every row with its file and its fate to this CSV file.")
]


def columns(
    spreadsheet: Annotated[Path, typer.Argument(help="CSV (UTF-8) or XLSX with the biopsy results.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the proposed map to this file.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of the workbook; default: the first.")] = None,
) -> None:
    """Propose a column map from the headers of a spreadsheet; look at it and mend it before you use it."""
    if out is not None and out.exists():
        raise InputError(f"{out}: a map must be a new file, since you may have mended this one; name another")
    guesses = guess_columns(read_sheet(spreadsheet, sheet=sheet, needed=_none_yet))
    _show_guesses(guesses)
    text, missing = draft_of_guesses(guesses, comment=_map_comment(spreadsheet))
    for reason in missing:
        typer.echo(typer.style("missing", fg="yellow") + f": {reason}")
    if missing:
        names = ", ".join(repr(guess.header) for guess in guesses[:8])
        typer.echo(f"the first line of the sheet must hold the names of the columns; it holds {names}")
    _show_gaps({guess.field for guess in guesses if guess.confidence >= SURE})
    if out is None:
        typer.echo(f"\n{text}\nto keep it: microcalc cohort columns {spreadsheet} --out MAP.yaml")
        return
    write_atomically(out, text.encode())
    typer.echo("\nmade:")
    files_made(out)
    look = f"fill in what is missing in {out}" if missing else f"look at {out}"
    typer.echo(
        f"next: {look}, then microcalc cohort from-dicom FOLDER --labels {spreadsheet} --columns {out} --dry-run"
    )


def from_dicom(
    folder: Annotated[Path, typer.Argument(help="Folder with the DICOM files, searched to its depth.")],
    labels: Annotated[Path, typer.Option("--labels", help="Spreadsheet, CSV (UTF-8) or XLSX.")],
    column_map: Annotated[Path | None, typer.Option("--columns", help="Column map; see `cohort columns`.")] = None,
    out: Out = None,
    dry_run: DryRun = False,
    sheet: Annotated[str | None, typer.Option(help="Sheet of the workbook; default: the first.")] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of the mask files; default: the spreadsheet's own.")
    ] = None,
    scale: ScaleText = "pixels",
    key: Annotated[
        Path | None,
        typer.Option("--key", help="Key file of the pseudonyms, outside the cohort; default: OUT.key beside it."),
    ] = None,
    listing: Listing = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
    for_processing: Annotated[
        bool,
        typer.Option("--for-processing", "--accept-for-processing", help="Take raw detector images too, with a note."),
    ] = False,
    largest_pixels: Annotated[int, typer.Option(min=1, help="Refuse larger images unread.")] = LARGEST_PIXELS,
    window: Annotated[int, typer.Option(min=0, help="Which of several windows is applied, from 0.")] = 0,
) -> None:
    """Make a cohort of DICOM mammograms and a spreadsheet of biopsy results."""
    if out is None and not dry_run:
        raise InputError("a cohort must have a folder: give --out FOLDER, or --dry-run to see what would join")
    if out is not None and not dry_run:
        refuse_occupied(out)
    options = ReadOptions(for_processing, largest_pixels=largest_pixels, window=window)
    settings = HarvestSettings(
        cut=CutSettings(Scale.parse(scale), options),
        processes=process_count(processes),
        skip_bad=skip_bad,
        key=key or (out.with_name(f"{out.name}.key") if out is not None else None),
    )
    source = DicomSource(folder, labels, _map(labels, sheet, column_map, dry_run), sheet, masks, settings.cut.options)
    typer.echo(
        f"cohort from the mammograms in {folder} and the rows of {labels}" + ("" if dry_run else f", into {out}")
    )
    with meter("files") as progress:
        join = plan_from_dicom(source, processes=settings.processes, progress=progress)
    for line in join_lines(join):
        typer.echo(printable(line))
    if listing is not None:
        write_listing(listing, out, join_table(join))
    if dry_run or out is None:
        typer.echo("dry run: nothing was cut and no cohort was written")
        return
    with meter("ROIs") as progress:
        cohort = make_from_dicom(source, join, out, settings, progress=progress)
    tell_cohort(cohort, key=settings.key)


def tell_cohort(cohort: Cohort, *, key: Path | None) -> None:
    """Say what a cohort came to, and what a person must know of it.

    Args:
        cohort: that was made.
        key: file of its pseudonyms, if there is one.
    """
    table, record = cohort.table, cohort.record
    malignant = int(table["label"].sum())
    typer.echo(
        f"{len(table)} ROI images of {table['patient_id'].nunique()} patients: "
        f"{len(table) - malignant} benign, {malignant} malignant"
    )
    flow = record.get("flow")
    steps = flow.get("left_out", []) if isinstance(flow, dict) else []
    for step in steps:
        patients = f" ({counted(step['patients'], 'patient')})" if step["images"] else ""
        typer.echo(f"  left out, {step['images']}{patients}: {step['reason']}")
    entry = record.get("verdicts")
    for verdict in entry if isinstance(entry, list) else []:
        if verdict["accepted"]:
            typer.echo(typer.style("remark", fg="yellow") + f" {verdict['code']}: {verdict['message']}")
    padded = int((table["padded"] == "true").sum())
    if padded:
        typer.echo(f"{padded} squares left their mammogram and were mirrored at its edge (column padded)")
    typer.echo(f"\n{RESEARCH_USE}\nmade:")
    files_made(cohort.folder / "cohort.csv", cohort.folder / "cohort.json", cohort.folder / "rois")
    if key is not None:
        files_made(key)
        typer.echo(
            f"{key} leads back to the patients: keep it secret, keep it safe, and never give it away with the cohort"
        )
    privacy = "" if key is None else " --privacy --source FOLDER --source TABLE"
    typer.echo(f"next: microcalc cohort check {cohort.folder}{privacy}")


def _none_yet(_header: str) -> bool:
    """No column must show all its cells before the map says which are read."""
    return False


def _map(labels: Path, sheet: str | None, path: Path | None, dry_run: bool) -> ColumnMap:
    """The map that was given; in a dry run without one, the one that would be proposed."""
    if path is not None:
        return read_column_map(path)
    if not dry_run:
        raise ProtocolError(
            "the columns of the spreadsheet must be mapped before a cohort is made: "
            f"microcalc cohort columns {labels} --out MAP.yaml, look at MAP.yaml, then give it as --columns MAP.yaml"
        )
    guesses = guess_columns(read_sheet(labels, sheet=sheet, needed=_none_yet))
    proposed = map_of_guesses(guesses, source=str(labels))
    typer.echo("columns, as guessed from their headers (no --columns was given):")
    typer.echo(column_map_yaml(proposed).rstrip())
    aside = [guess.header for guess in guesses if guess.confidence < SURE]
    typer.echo(f"columns that were left aside: {', '.join(aside) or 'none'}\n")
    return proposed


def _show_guesses(guesses: list[Guess]) -> None:
    width = max(len(guess.header) for guess in guesses)
    typer.echo("column, what it may hold, how sure, examples:")
    for guess in sorted(guesses, key=lambda g: -g.confidence):
        if not guess.field:
            typer.echo(f"  {guess.header:{width}}  (nothing reads it)")
            continue
        sure = f"{guess.confidence:.0%}" + ("" if guess.confidence >= SURE else ", too unsure to be proposed")
        bad = f"; {guess.unreadable:.0%} of its words are not known" if guess.unreadable else ""
        typer.echo(f"  {guess.header:{width}}  {guess.field}: {FIELDS[guess.field].meaning}, {sure}{bad}")
        typer.echo(f"  {'':{width}}    {' | '.join(guess.examples)[:80]}")


def _show_gaps(known: set[str]) -> None:
    if not any(known.issuperset(place) for place in PLACE_FIELDS):
        typer.echo(
            typer.style("missing", fg="yellow") + ": no column says where the lesion lies. Add one: a point "
            "(roi_row, roi_col), a box (box_top, box_left, box_bottom, box_right) or a mask_file"
        )
    if "patient_id" not in known:
        typer.echo("note: no column holds the patient; the Patient ID of the images will be taken")


def _map_comment(spreadsheet: Path) -> str:
    return (
        f"Column map for {spreadsheet.name}: field: header of the spreadsheet. Look at each line.\n"
        "What a row tells of its mammogram: sop_uid, or image_file, or accession_number, or patient_id and exam_date;\n"
        "laterality and view narrow it down. Where words are not known, give their meaning:\n"
        "  words: {pathology: {B5a: dcis}}"
    )


def write_listing(path: Path, out: Path | None, content: bytes) -> None:
    """Write the list of all rows and what became of them, outside the cohort.

    Raises:
        InputError: it would lie inside.
    """
    if out is not None and out.resolve() in path.resolve().parents:
        raise InputError(f"{path}: the list names files and so patients; it must lie outside the cohort {out}")
    write_atomically(path, content)
    typer.echo(f"list of all rows, for your eyes only: {path}")
