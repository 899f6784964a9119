"""`microcalc cohort phantom`: draw a cohort of made-up lesions. The drawing is done in `microcalc.intake.phantom`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from microcalc import RESEARCH_USE
from microcalc.cli.console import files_made
from microcalc.cli.meter import meter
from microcalc.cohort.table import Cohort
from microcalc.intake.phantom import PhantomSettings, Tissue, write_phantom_cohort

__all__ = ["phantom"]


def phantom(
    out: Annotated[Path, typer.Option("--out", help="Cohort folder to make: new or empty.")],
    images: Annotated[int | None, typer.Option(help="How many images; default: 640.")] = None,
    patients: Annotated[int | None, typer.Option(help="How many patients instead, of one to four images.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed and settings give the same files.")] = 0,
    tissue: Annotated[Tissue, typer.Option(help="Power-law noise, or tiles of real mammograms.")] = Tissue.NOISE,
    difficulty: Annotated[
        float, typer.Option(help="1: best possible AUC about 0.95; 2 about 0.84; 0.5 about 0.99.")
    ] = 1.0,
    processes: Annotated[int, typer.Option(min=0, help="How many draw; 0: one for each core, at most 8.")] = 0,
) -> None:
    """Draw a SYNTHETIC cohort: calcification clusters of every kind, their true places, and the best possible AUC."""
    settings = PhantomSettings(images=images, patients=patients, seed=seed, tissue=tissue, difficulty=difficulty)
    typer.echo(f"SYNTHETIC phantoms on {_TISSUE_WORDS[tissue]}, into {out}")
    with meter("images") as report:
        drawers = processes or min(os.cpu_count() or 1, 8)
        cohort = write_phantom_cohort(out, settings, progress=report, processes=drawers)
    _tell(cohort)


_TISSUE_WORDS = {
    Tissue.NOISE: "power-law tissue",
    Tissue.MAMMOGRAMS: "tiles of real mammograms (CBIS-DDSM, CC BY 3.0)",
}


def _tell(cohort: Cohort) -> None:
    table, facts = cohort.table, cohort.record["phantom"]
    malignant = int(table["label"].sum())
    typer.echo(
        f"{len(table)} images: {len(table) - malignant} benign, {malignant} malignant; "
        f"{table['patient_id'].nunique()} patients, {table['lesion_id'].nunique()} lesions"
    )
    if isinstance(facts, dict):
        best, error = float(facts["best_auc"]), float(facts["best_auc_standard_error"])
        typer.echo(f"best possible AUC of such lesions: {best:.3f} (standard error {error:.4f})")
    typer.echo(f"\nNot patients. {RESEARCH_USE}\nmade:")
    names = ("cohort.csv", "cohort.json", "rois", "masks", "truth.csv", "lesions.csv", "tissue.csv")
    files_made(*(cohort.folder / name for name in names if (cohort.folder / name).exists()))
    typer.echo(f"next: microcalc study {cohort.folder} --out STUDY")
