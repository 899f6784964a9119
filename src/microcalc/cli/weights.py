"""Commands about ImageNet weights: ``microcalc weights list | fetch | import | verify``.

Each parses, calls `microcalc.learn.weights` or `microcalc.learn.fetch`, and prints. Errors go up to the command line's
one handler. torch is loaded when a command runs, not when this module is imported.
"""

import importlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from microcalc.errors import MissingDependencyError, ProtocolError, WeightsError
from microcalc.protocol import NETWORKS

if TYPE_CHECKING:
    from microcalc.learn.weights import WeightStatus

__all__ = ["app"]

app = typer.Typer(
    help="ImageNet weights: fetch them where there is a network, import them where there is none.", no_args_is_help=True
)

_MEBIBYTE = 2**20

NetworksOption = Annotated[
    str | None, typer.Option("--networks", help=f"Comma-separated, of {', '.join(NETWORKS)}. Default: all.")
]


@app.command("list")
def list_() -> None:
    """Say which weights are installed, where, and under which licence (quick; `verify` reads the files)."""
    weights = _learn("weights")
    statuses = weights.list_weights()
    for status in statuses:
        typer.echo(_line(status))
    typer.echo(f"Folder: {weights.default_folder()}")
    if any(status.state != weights.WeightState.INSTALLED for status in statuses):
        typer.echo(weights.WAY_OUT)


@app.command()
def fetch(
    out: Annotated[Path, typer.Option("--out", help="Folder to carry to the other machine; made if need be.")],
    networks: NetworksOption = None,
) -> None:
    """Download the weights into a folder, as safetensors with a manifest. Needs a network connection.

    What is already there and complete is kept. HF_ENDPOINT, HF_TOKEN and the proxy variables are respected.
    """
    result = _learn("fetch").fetch_weights(out, names=_names(networks), report=typer.echo)
    for name in result.kept:
        typer.echo(f"{name}: complete already, kept")
    typer.echo(f"Made: {result.folder} ({len(result.fetched)} fetched, {len(result.kept)} kept)")
    typer.echo(f"Next, on the machine that trains: microcalc weights import {result.folder}")


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="Folder that `microcalc weights fetch` made.")],
    networks: NetworksOption = None,
) -> None:
    """Check the files in a folder against its manifest and their networks, and install them."""
    result = _learn("weights").import_weights(source, names=_names(networks))
    for name in result.installed:
        typer.echo(f"{name}: checked and installed")
    for name in result.absent:
        typer.echo(f"{name}: not in {source}")
    typer.echo(f"Installed in: {result.folder}")


@app.command()
def verify() -> None:
    """Hash every installed file again and check its tensors.

    Ends with exit code 3 if one is damaged or none is there.
    """
    weights = _learn("weights")
    statuses = weights.verify_weights()
    for status in statuses:
        typer.echo(_line(status))
    damaged = [status for status in statuses if status.state == weights.WeightState.DAMAGED]
    if damaged:
        raise WeightsError(f"{'; '.join(status.problem for status in damaged)}. {weights.WAY_OUT}")
    if all(status.state == weights.WeightState.MISSING for status in statuses):
        raise WeightsError(f"{weights.default_folder()} must hold weights; it has none. {weights.WAY_OUT}")
    typer.echo("Every installed file is whole.")


def _line(status: "WeightStatus") -> str:
    about = ""
    if status.file is not None:
        licence = status.file.license or "licence not stated"
        about = f"{status.file.bytes / _MEBIBYTE:7.1f} MB  {licence:<12}  sha256 {status.file.sha256[:12]}"
    return f"{status.name:<20} {status.timm_name:<28} {status.state:<10} {about}".rstrip()


def _names(networks: str | None) -> list[str] | None:
    if networks is None:
        return None
    names = [name.strip() for name in networks.split(",") if name.strip()]
    if not names:
        raise ProtocolError(f"--networks must name at least one of {', '.join(NETWORKS)}; got {networks!r}")
    return names


def _learn(module: str) -> ModuleType:
    """A module of the learning side; it brings torch along, so it is imported when a command needs it."""
    try:
        return importlib.import_module(f"microcalc.learn.{module}")
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"weights need the training packages; {error.name} is not installed. Install them: "
            "pip install 'microcalc[train]'"
        ) from error
