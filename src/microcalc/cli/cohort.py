"""`microcalc cohort`: bring images in from folders or a table, and check a cohort.

Each command says what it will do, shows progress, and ends by naming the files that it made. The work is done in
`microcalc.intake` and `microcalc.cohort`.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from microcalc import RESEARCH_USE
from microcalc.cli.console import counted, files_made, printable
from microcalc.cli.meter import meter
from microcalc.cohort.audit import Audit, Severity, check_cohort
from microcalc.cohort.disclosure import privacy_checks
from microcalc.cohort.evidence import Check
from microcalc.cohort.storage import write_atomically
from microcalc.cohort.table import Cohort
from microcalc.intake import IntakeSettings, TableSource
from microcalc.intake import from_folders as make_from_folders
from microcalc.intake import from_table as make_from_table
from microcalc.intake.identifiers import collect_texts
from microcalc.intake.privacy import Pseudonyms

__all__ = ["app", "check", "from_folders", "from_table", "shifted_day"]

app = typer.Typer(help="Make a cohort of ROI images, and check it.", no_args_is_help=True, add_completion=False)

Out = Annotated[Path, typer.Option("--out", help="Cohort folder to make: new or empty.")]
Fit = Annotated[bool, typer.Option("--fit", help="Cut or mirror images of other sizes to 512 x 512; else refuse them.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave bad images out, and keep a note of each.")]
StoredBits = Annotated[
    int,
    typer.Option(
        "--stored-bits", min=9, max=16, help="Bits that 16-bit files really use, e.g. 12; they are stretched."
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        help="Key file of pseudonyms, outside the cohort; without it IDs, days and file names stay as they are.",
    ),
]

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: None}


@app.command("from-folders")
def from_folders(
    folder: Annotated[Path, typer.Argument(help="Folder with the folders benign and malignant inside.")],
    out: Out,
    fit: Fit = False,
    skip_bad: SkipBad = False,
    stored_bits: StoredBits = 16,
    patient_pattern: Annotated[
        str | None,
        typer.Option(help="Regular expression with the group (?P<patient>...), searched in each file name."),
    ] = None,
    key: Key = None,
) -> None:
    """Make a cohort of the paper's own layout: benign/ and malignant/ with PNG, TIFF or JPEG, 8 or 16 bit grey."""
    settings = IntakeSettings(fit=fit, skip_bad=skip_bad, stored_bits=stored_bits, key=key)
    typer.echo(f"cohort from the folders benign and malignant in {folder}, into {out}")
    with meter("images") as progress:
        cohort = make_from_folders(folder, out, settings, patient_pattern=patient_pattern, progress=progress)
    _tell(cohort, key)


@app.command("from-table")
def from_table(
    table: Annotated[Path, typer.Argument(help="CSV (UTF-8) or XLSX with the cohort's columns and image_path.")],
    out: Out,
    images: Annotated[Path | None, typer.Option(help="Folder of the image paths; default: the table's own.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of the workbook; default: the first.")] = None,
    fit: Fit = False,
    skip_bad: SkipBad = False,
    stored_bits: StoredBits = 16,
    key: Key = None,
) -> None:
    """Make a cohort of a table with one row per image: patients, labels, dates, views, and the path of each image."""
    settings = IntakeSettings(fit=fit, skip_bad=skip_bad, stored_bits=stored_bits, key=key)
    typer.echo(f"cohort from the table {table}, into {out}")
    with meter("images") as progress:
        cohort = make_from_table(TableSource(table, images, sheet), out, settings, progress=progress)
    _tell(cohort, key)


@app.command("check")
def check(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder.")],
    report: Annotated[Path | None, typer.Option("--json", help="Write the findings to this file as well.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the images: table and file names only.")] = False,
    privacy: Annotated[bool, typer.Option("--privacy", help="Also look for what tells who the patients are.")] = False,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="With --privacy: folder or file that the cohort was made from, again for each of them."),
    ] = None,
) -> None:
    """Say what a cohort holds and what is wrong with it; exit code 1 where there are errors."""
    typer.echo(f"check of the cohort {cohort}" + (", without reading its images" if quick else ""))
    more = _privacy_checks(source or []) if privacy or source else ()
    with meter("images") as progress:
        audit = check_cohort(cohort, contents=not quick, progress=progress, more=more)
    _show(audit)
    typer.echo(f"\n{RESEARCH_USE}")
    if report is not None:
        write_atomically(report, (json.dumps(audit.as_record(), indent=1, ensure_ascii=False) + "\n").encode())
        typer.echo("made:")
        files_made(report)
    if audit.has_errors:
        raise typer.Exit(1)


@app.command("shifted-day")
def shifted_day(
    day: Annotated[dt.datetime, typer.Argument(formats=["%Y-%m-%d"], help="True day, YYYY-MM-DD.")],
    key: Annotated[Path, typer.Option("--key", help="Key file that the cohort was made with.")],
) -> None:
    """Print the day of a cohort's shifted calendar that stands for a true day, for split.test_from of a protocol."""
    typer.echo(Pseudonyms.open(key).day(day.date()).isoformat())


def _privacy_checks(sources: list[Path]) -> tuple[Check, ...]:
    if not sources:
        return privacy_checks()
    texts = collect_texts(sources)
    typer.echo(f"privacy: {len(texts.wanted)} texts of {texts.files} files of the source will be looked for")
    return privacy_checks(texts.wanted, skipped=texts.skipped)


def _tell(cohort: Cohort, key: Path | None) -> None:
    """What intake made, and what a person must know of it."""
    table = cohort.table
    malignant = int(table["label"].sum())
    patients = table["patient_id"].nunique()
    classes = f"{len(table) - malignant} benign, {malignant} malignant"
    typer.echo(f"{counted(len(table), 'image')}: {classes}; {counted(patients, 'patient')}")
    entry = cohort.record["verdicts"]
    verdicts = entry if isinstance(entry, list) else []
    for verdict in verdicts:
        if verdict["accepted"]:
            typer.echo(typer.style("warning", fg="yellow") + f": {_lines(verdict['message'])}")
    left_out = [v for v in verdicts if not v["accepted"]]
    if left_out:
        typer.echo(f"left out, {len(left_out)}:")
    for verdict in left_out:
        typer.echo(f"  {printable(verdict['source'])}: {_lines(verdict['message'])}")
    padded = int((table["padded"] == "true").sum())
    if padded:
        were = "was" if padded == 1 else "were"
        typer.echo(f"{counted(padded, 'image')} {were} mirrored at the edges to reach 512 x 512 (column padded)")
    typer.echo(f"\n{RESEARCH_USE}\nmade:")
    files_made(cohort.folder / "cohort.csv", cohort.folder / "cohort.json", cohort.folder / "rois")
    if key is None:
        typer.echo("IDs, days and file names stand in it as you gave them: no pseudonyms (--key FILE makes them)")
    else:
        files_made(key)
        typer.echo(f"{key} leads back to the patients: keep it secret, and never give it away with the cohort")
    typer.echo(f"next: microcalc cohort check {cohort.folder}{'' if key is None else ' --privacy --source SOURCE'}")


def _show(audit: Audit) -> None:
    typer.echo(f"{counted(audit.images, 'image')} of {counted(audit.patients, 'patient')}")
    for title, counts in (("set", audit.by_split), ("class", audit.by_class), ("view", audit.by_view)):
        if len(counts):
            typer.echo("\n" + _aligned(title, counts))
    if audit.confounders:
        typer.echo("\nhow well what is no disease tells the label of a patient (AUC; 0.5: not at all)")
        typer.echo(_confounder_table(audit))
    typer.echo("")
    for finding in audit.findings:
        word = typer.style(finding.severity.value, fg=_COLOURS[finding.severity], bold=True)
        typer.echo(f"{word} {finding.code}: {_lines(finding.message)}")
    errors, warnings = len(audit.of(Severity.ERROR)), len(audit.of(Severity.WARNING))
    if errors:
        verdict = "do not use this cohort before the errors are mended"
    else:
        verdict = "look at the warnings before you use it" if warnings else "nothing is wrong with this cohort"
    typer.echo(f"errors: {errors}, warnings: {warnings}; {verdict}")


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _confounder_table(audit: Audit) -> str:
    things = audit.confounders
    rows = {
        "groups": [str(len(thing.groups)) for thing in things],
        "AUC": [f"{thing.auc:.2f}" for thing in things],
        "by chance": [f"{thing.by_chance:.2f}" for thing in things],
        "p": ["<0.001" if thing.p < 0.001 else f"{thing.p:.3f}" for thing in things],
    }
    return pd.DataFrame(rows, index=[thing.name for thing in things]).to_string()


def _aligned(title: str, counts: pd.DataFrame) -> str:
    return counts.rename_axis(columns=title).to_string()
