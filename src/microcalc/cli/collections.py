"""`microcalc cohort from-cbis-ddsm`, `from-cmmd`, `from-inbreast`, `from-embed`: public collections become cohorts.

Commands parse, call and print; the work is done in `microcalc.intake`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from microcalc.cli.console import printable
from microcalc.cli.meter import meter
from microcalc.cli.sources import DryRun, Listing, Out, Processes, ScaleText, SkipBad, tell_cohort, write_listing
from microcalc.cohort.writer import refuse_occupied
from microcalc.errors import InputError
from microcalc.intake.cbis_ddsm import cbis_lines, cbis_table, plan_cbis_ddsm
from microcalc.intake.cbis_ddsm import from_cbis_ddsm as make_from_cbis_ddsm
from microcalc.intake.cmmd import cmmd_lines, plan_cmmd
from microcalc.intake.cmmd import from_cmmd as make_from_cmmd
from microcalc.intake.crop import Scale
from microcalc.intake.embed import embed_lines, plan_embed
from microcalc.intake.embed import from_embed as make_from_embed
from microcalc.intake.harvest import HarvestSettings
from microcalc.intake.inbreast import InbreastRules, LabelRule, inbreast_lines, plan_inbreast
from microcalc.intake.inbreast import from_inbreast as make_from_inbreast
from microcalc.intake.join_report import join_lines
from microcalc.intake.lesions import CutSettings
from microcalc.intake.workers import process_count

__all__ = ["from_cbis_ddsm", "from_cmmd", "from_embed", "from_inbreast"]

Folder = Annotated[Path, typer.Argument(help="Folder with the download, in whatever folders it lies.")]
Tables = Annotated[Path | None, typer.Option("--tables", help="Folder of the tables; default: the same.")]
Key = Annotated[
    Path | None, typer.Option("--key", help="Replace the published names by pseudonyms of this key file as well.")
]
WithMasses = Annotated[bool, typer.Option("--with-masses", help="Keep calcifications with a mass; the paper did not.")]


def from_cbis_ddsm(
    folder: Folder,
    out: Out = None,
    tables: Tables = None,
    biopsied_only: Annotated[
        bool, typer.Option("--biopsied-only", help="Leave out benign lesions without callback: they had no biopsy.")
    ] = False,
    dry_run: DryRun = False,
    scale: ScaleText = "pixels",
    key: Key = None,
    listing: Listing = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a cohort of the calcifications of CBIS-DDSM; its official training and test sets are kept."""
    settings = _settings(out, dry_run, scale, key, processes, skip_bad)
    typer.echo(f"cohort from CBIS-DDSM in {folder}")
    with meter("files") as progress:
        plan = plan_cbis_ddsm(
            folder, tables=tables, biopsied_only=biopsied_only, processes=settings.processes, progress=progress
        )
    _say(cbis_lines(plan))
    if listing is not None:
        write_listing(listing, out, cbis_table(plan))
    if _is_dry(out, dry_run):
        return
    with meter("ROIs") as progress:
        cohort = make_from_cbis_ddsm(plan, _folder(out), settings, progress=progress)
    tell_cohort(cohort, key=key)


def from_cmmd(
    folder: Folder,
    boxes: Annotated[
        Path | None, typer.Option("--boxes", help="Table of the lesions' places, CSV or XLSX: CMMD publishes none.")
    ] = None,
    out: Out = None,
    with_masses: WithMasses = False,
    dry_run: DryRun = False,
    scale: ScaleText = "pixels",
    key: Key = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a cohort of CMMD; its labels are those of the breast, the places of the lesions are yours."""
    settings = _settings(out, dry_run, scale, key, processes, skip_bad)
    typer.echo(f"cohort from CMMD in {folder}")
    with meter("files") as progress:
        plan = plan_cmmd(folder, boxes, with_masses=with_masses, processes=settings.processes, progress=progress)
    _say(cmmd_lines(plan))
    _say(join_lines(plan.join))
    if _is_dry(out, dry_run) or boxes is None:
        return
    with meter("ROIs") as progress:
        cohort = make_from_cmmd(plan, boxes, _folder(out), settings, progress=progress)
    tell_cohort(cohort, key=key)


def from_inbreast(
    folder: Folder,
    out: Out = None,
    label_rule: Annotated[
        str | None,
        typer.Option(
            "--label-rule", help="BI-RADS as labels, e.g. 'benign:1,2,3 malignant:5,6': no biopsies are given."
        ),
    ] = None,
    group_mm: Annotated[
        float | None, typer.Option("--group-mm", help="Put single calcifications within this distance together.")
    ] = None,
    with_masses: WithMasses = False,
    dry_run: DryRun = False,
    scale: ScaleText = "pixels",
    key: Key = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a cohort of the outlined calcifications of INbreast; the label is a rule on BI-RADS that you state."""
    settings = _settings(out, dry_run, scale, key, processes, skip_bad)
    rules = None if label_rule is None else InbreastRules(LabelRule.parse(label_rule), group_mm, with_masses)
    typer.echo(f"cohort from INbreast in {folder}")
    _say(inbreast_lines(plan_inbreast(folder), rules))
    if _is_dry(out, dry_run):
        return
    if rules is None:
        raise InputError(
            f"{folder}: an image must have a label, and INbreast publishes BI-RADS per picture, no histopathology. "
            "State your rule, e.g. --label-rule 'benign:1,2,3 malignant:5,6'; the cohort will say that it is one"
        )
    with meter("ROIs") as progress:
        cohort = make_from_inbreast(folder, _folder(out), settings, rules, progress=progress)
    tell_cohort(cohort, key=key)


def from_embed(
    folder: Folder,
    out: Out = None,
    tables: Tables = None,
    with_masses: WithMasses = False,
    dry_run: DryRun = False,
    scale: ScaleText = "pixels",
    key: Key = None,
    processes: Processes = 0,
    skip_bad: SkipBad = False,
) -> None:
    """Make a cohort of the calcifications of EMBED whose ROI belongs to one finding with a biopsy result."""
    settings = _settings(out, dry_run, scale, key, processes, skip_bad)
    typer.echo(f"cohort from EMBED in {folder}")
    plan = plan_embed(folder, tables=tables, with_masses=with_masses)
    _say(embed_lines(plan))
    if _is_dry(out, dry_run):
        return
    with meter("ROIs") as progress:
        cohort = make_from_embed(plan, _folder(out), settings, progress=progress)
    tell_cohort(cohort, key=key)


def _settings(
    out: Path | None, dry_run: bool, scale: str, key: Path | None, processes: int, skip_bad: bool
) -> HarvestSettings:
    if out is None and not dry_run:
        raise InputError("a cohort must have a folder: give --out FOLDER, or --dry-run to see what is there")
    if out is not None and not dry_run:
        refuse_occupied(out)
    return HarvestSettings(CutSettings(Scale.parse(scale)), process_count(processes), skip_bad, key)


def _is_dry(out: Path | None, dry_run: bool) -> bool:
    if dry_run or out is None:
        typer.echo("dry run: nothing was cut and no cohort was written")
        return True
    return False


def _folder(out: Path | None) -> Path:
    if out is None:
        raise InputError("a cohort must have a folder: give --out FOLDER")
    return out


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(printable(line))
