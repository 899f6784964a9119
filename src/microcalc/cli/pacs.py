"""Commands about the PACS: ``microcalc pacs echo | find | fetch | send``.

Each parses, calls `microcalc.reader.pacs.client`, and prints. Which PACS is asked stands in a file, ``pacs.yaml``.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from microcalc import RESEARCH_USE
from microcalc.errors import InputError, MissingDependencyError, PacsError

if TYPE_CHECKING:
    from pydicom import Dataset

    from microcalc.reader.pacs.archive import FoundStudy, PacsClient

__all__ = ["app"]

app = typer.Typer(
    help=f"Ask a PACS, fetch images from it, send results to it. {RESEARCH_USE}",
    no_args_is_help=True,
    add_completion=False,
)

PacsFile = Annotated[
    Path,
    typer.Option("--pacs", envvar="MICROCALC_PACS", help="Which PACS and how it is reached; docs/pacs.md shows one."),
]
PACS_FILE = Path("pacs.yaml")


@app.command()
def echo(pacs: PacsFile = PACS_FILE) -> None:
    """Say whether the PACS answers."""
    typer.echo(_client(pacs).echo())


@app.command()
def find(
    patient: Annotated[str, typer.Option("--patient", help="Patient ID; * and ? stand for letters.")] = "",
    name: Annotated[str, typer.Option("--name", help="Name as FAMILY^GIVEN; * and ? stand for letters.")] = "",
    date: Annotated[str, typer.Option("--date", help="YYYYMMDD, or a range YYYYMMDD-YYYYMMDD.")] = "",
    accession: Annotated[str, typer.Option("--accession", help="Accession number.")] = "",
    study: Annotated[str, typer.Option("--study", help="Study Instance UID.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many studies at most.")] = 50,
    pacs: PacsFile = PACS_FILE,
) -> None:
    """List mammography studies: study UID, date, patient ID, name, images, description, parted by tabs."""
    values = _pacs("archive")
    query = values.PacsQuery(
        patient_id=patient, patient_name=name, date=date, accession=accession, study_uid=study, limit=limit
    )
    found = _client(pacs).query(query)
    for one in found.studies:
        typer.echo(_line(one))
    noun = "study" if len(found.studies) == 1 else "studies"
    more = " (there may be more: --limit)" if found.more else ""
    typer.echo(f"{len(found.studies)} {noun}{more}", err=True)


@app.command()
def fetch(
    study: Annotated[str, typer.Argument(help="Study Instance UID, as `find` lists it.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the files; made if need be.")] = Path("fetched"),
    pacs: PacsFile = PACS_FILE,
) -> None:
    """Bring the mammograms of a study as DICOM files. They hold the patient's name."""
    out.mkdir(parents=True, exist_ok=True)
    paths = _client(pacs).fetch(study, out)
    for path in paths:
        typer.echo(f"Made: {path}")
    if not paths:
        raise PacsError(f"the study {study} must have mammograms; the PACS has none of it, or not this study")


@app.command()
def send(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, e.g. what `microcalc read --sr` made.")],
    pacs: PacsFile = PACS_FILE,
) -> None:
    """Send DICOM files. One that the PACS has already is not sent a second time by it: its UID is the same."""
    objects = [_object(path) for path in files]
    answers = _client(pacs).store(objects)
    for path, answer in zip(files, answers, strict=True):
        typer.echo(f"{path}: {'the PACS has it' if answer.accepted else answer.reason}")
    refused = sum(not answer.accepted for answer in answers)
    if refused:
        raise PacsError(f"the PACS must take every file; it refused {refused} of {len(files)}, for the reasons above")


def _line(study: "FoundStudy") -> str:
    return "\t".join(
        (study.study_uid, study.date, study.patient_id, study.patient_name, str(study.images or ""), study.description)
    )


def _object(path: Path) -> "Dataset":
    library = importlib.import_module("microcalc.intake.dicom.library")
    pydicom = library.pydicom_module("pydicom")
    try:
        with library.quiet():
            read: Dataset = pydicom.dcmread(path)
            _ = read.SOPInstanceUID, read.SOPClassUID, read.file_meta.TransferSyntaxUID
    except pydicom.errors.InvalidDicomError as error:
        raise InputError(f"{path}: must be a DICOM file, 128 bytes and then DICM; this one begins otherwise") from error
    except library.CONTENT_ERRORS as error:
        raise InputError(f"{path}: must be a DICOM file with its identity; {type(error).__name__}: {error}") from error
    return read


def _client(pacs: Path) -> "PacsClient":
    settings = _pacs("settings").read_pacs_settings(pacs)
    client: PacsClient = _pacs("client").open_pacs(settings)
    return client


def _pacs(module: str) -> ModuleType:
    """A module of the reader's PACS room; what it needs is imported when a command needs it."""
    try:
        return importlib.import_module(f"microcalc.reader.pacs.{module}")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the PACS needs the packages of the reading room; {error.name} is not installed. Install them: "
            "pip install 'microcalc[reader]'"
        ) from error
