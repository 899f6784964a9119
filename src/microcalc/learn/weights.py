"""ImageNet weights on this machine: the folder, its manifest, import, verification, loading into a network.

A folder of weights holds one ``NETWORK.safetensors`` per network and ``manifest.json``, which says of each file its
SHA-256, size, origin and licence. ``fetch`` makes such a folder on a connected machine; ``import_weights`` checks it
and copies it to where a study looks. Only safetensors are opened here, so no code runs when a file is read. What
cannot be had is an error: nothing goes on with random weights instead.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import torch
from filelock import FileLock
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import nn

from microcalc.cohort.storage import explained_write_errors, sha256_of_file, write_atomically
from microcalc.errors import WeightsError
from microcalc.learn.networks import NETWORK_TABLE, NetworkSpec, TensorKind, network_spec, network_tensors

__all__ = [
    "MANIFEST",
    "WAY_OUT",
    "ImportResult",
    "Manifest",
    "WeightFile",
    "WeightState",
    "WeightStatus",
    "check_tensors",
    "default_folder",
    "import_weights",
    "list_weights",
    "load_imagenet_weights",
    "read_manifest",
    "unusable_weights",
    "verify_weights",
    "weight_path",
    "write_manifest",
]

MANIFEST = "manifest.json"
"""Name of the manifest in a folder of weights."""

_FOLDER_VARIABLE = "MICROCALC_WEIGHTS"
_LOCK = ".lock"

_TOLERATED_EXTRAS: Mapping[str, tuple[str, ...]] = {"inception_v3": ("AuxLogits.",)}
"""Tensors that a file may hold beyond the network: Inception-v3's auxiliary classifier, which helps training only."""

_FLOATING = ("F64", "F32", "F16", "BF16")
"""Safetensors' names of the number types that weights may have; they are loaded as float32."""

_MAY_BE_MISSING = ".num_batches_tracked"
"""Counters of batch norm that files older than torch 0.4.1 do not have; training does not use them."""

WAY_OUT = (
    "On a connected machine: `microcalc weights fetch --out DIR`; carry DIR here; then `microcalc weights import DIR`. "
    "To train from scratch on purpose: `--weights none`"
)
"""What to do when weights are not there or not right."""


class WeightFile(BaseModel):
    """What the manifest says of one file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    tensors: int = Field(gt=0)
    timm_name: str
    """Architecture and tag in timm; the tag says which weights they are."""
    source: str
    """Address that the weights came from."""
    source_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the file as published; the same as ``sha256`` unless the file was converted."""
    license: str
    """As timm states it; empty if it does not."""


def _known_network(name: str) -> str:
    if name not in NETWORK_TABLE:
        raise ValueError(f"a network must be one of {', '.join(NETWORK_TABLE)}; got {name!r}")
    return name


class Manifest(BaseModel):
    """The manifest of a folder of weights: what is known of each network's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    files: dict[Annotated[str, AfterValidator(_known_network)], WeightFile] = Field(default_factory=dict)
    """By network name; the file is ``NETWORK.safetensors``."""


class WeightState(StrEnum):
    """How a network's weights stand."""

    INSTALLED = "installed"
    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class WeightStatus:
    """How one network's weights stand in a folder.

    Attributes:
        name: of the network.
        timm_name: architecture and tag in timm.
        path: where the file is, or would be.
        state: installed, missing or damaged.
        file: what the manifest says; None if it is missing.
        problem: what is wrong, empty if nothing is.
    """

    name: str
    timm_name: str
    path: Path
    state: WeightState
    file: WeightFile | None
    problem: str = ""


@dataclass(frozen=True)
class ImportResult:
    """What an import did.

    Attributes:
        folder: where the weights are now.
        installed: networks whose files were checked and copied.
        absent: networks that the source does not hold.
    """

    folder: Path
    installed: tuple[str, ...]
    absent: tuple[str, ...]


def default_folder() -> Path:
    """Where weights are installed: ``$MICROCALC_WEIGHTS``, else ``microcalc/weights`` in the user's cache folder."""
    chosen = os.environ.get(_FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "microcalc" / "weights"


def weight_path(folder: Path, name: str) -> Path:
    """Path of a network's file in a folder of weights."""
    return folder / f"{name}.safetensors"


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder of weights.

    Raises:
        WeightsError: there is none, or it is not of this schema.
    """
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsError(
            f"{folder} must be a folder of weights with a {MANIFEST}; got none there ({error.strerror}). {WAY_OUT}"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise WeightsError(
            f"{path} must be a manifest as `microcalc weights fetch` writes it; {where}: {first['msg']}. {WAY_OUT}"
        ) from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder of weights, whole or not at all."""
    content = json.dumps(manifest.model_dump(by_alias=True), indent=2) + "\n"
    write_atomically(folder / MANIFEST, content.encode())


def list_weights(folder: Path | None = None) -> tuple[WeightStatus, ...]:
    """Say of each of the five networks whether its weights are installed, without reading the files.

    Args:
        folder: of the weights; None: the default one.

    Raises:
        WeightsError: the manifest is damaged.
    """
    return _statuses(folder, deep=False)


def verify_weights(folder: Path | None = None) -> tuple[WeightStatus, ...]:
    """Like ``list_weights``, but hash every installed file again and check its tensors against the network.

    Raises:
        WeightsError: the manifest is damaged.
    """
    return _statuses(folder, deep=True)


def unusable_weights(names: Iterable[str], folder: Path | None = None) -> str:
    """Say in one sentence which of some networks cannot start from their ImageNet weights, and why.

    Args:
        names: of the networks.
        folder: of the weights; None: the default one.

    Returns:
        What is missing, all at once, then what is damaged; empty if all can be used.

    Raises:
        WeightsError: the manifest is damaged.
    """
    wanted = set(names)
    statuses = [status for status in verify_weights(folder) if status.name in wanted]
    missing = [network_spec(s.name).title for s in statuses if s.state is WeightState.MISSING]
    problems = [_none_of(missing, default_folder() if folder is None else folder)] if missing else []
    return "; ".join([*problems, *(s.problem for s in statuses if s.state is WeightState.DAMAGED)])


def import_weights(source: Path, *, names: Iterable[str] | None = None, folder: Path | None = None) -> ImportResult:
    """Check a folder that ``fetch`` made and install its files; all of them, or none if one is not right.

    Args:
        source: folder with the files and their manifest.
        names: networks to import, all of which must be there; None: those that the source holds.
        folder: where to install; None: the default one.

    Raises:
        WeightsError: no manifest, a file missing, damaged, or not of its network.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    offered = read_manifest(source).files
    wanted = tuple(offered if names is None else names)
    for name in wanted:
        problem = _problem(source, name, offered.get(name), deep=True)
        if problem:
            raise WeightsError(f"{problem}. Nothing was installed. {WAY_OUT}")
    folder = default_folder() if folder is None else folder
    with explained_write_errors(folder, way_out=f"set {_FOLDER_VARIABLE} to a folder that you may write to"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            _install(source, {name: offered[name] for name in wanted}, folder)
    return ImportResult(folder, installed=wanted, absent=tuple(name for name in NETWORK_TABLE if name not in offered))


def load_imagenet_weights(model: nn.Module, name: str, *, folder: Path | None = None) -> str:
    """Load a network's ImageNet weights, all but the classifier, which stays as it is.

    The file is hashed first; it must be the one that was installed.

    Args:
        model: from ``build_network(name)``, changed in place.
        name: of the network.
        folder: of the weights; None: the default one.

    Returns:
        SHA-256 of the file.

    Raises:
        WeightsError: the weights are missing, damaged, or not of this network.
    """
    spec = network_spec(name)
    folder = default_folder() if folder is None else folder
    known = read_manifest(folder).files.get(name)
    problem = _problem(folder, name, known, deep=True)
    if known is None or problem:
        raise WeightsError(f"{problem}. {WAY_OUT}")
    with safe_open(weight_path(folder, name), framework="pt") as file, torch.no_grad():
        given = set(file.keys())
        for key, tensor in model.state_dict().items():
            if key in given and not _is_of_classifier(key, spec):
                tensor.copy_(file.get_tensor(key))
    return known.sha256


def check_tensors(path: Path, name: str) -> int:
    """Make sure that a safetensors file holds the weights of a network, and return how many tensors it has.

    The classifier may have any number of classes, since it is replaced. Every other tensor must be there under its
    name, in its shape, in floating point where the network is; nothing else may be there, except the extras that are
    tolerated by name. No values are read.

    Raises:
        WeightsError: not a whole safetensors file, or not of this network.
    """
    spec = network_spec(name)
    found = _tensors_in_file(path)
    expected = {key: kind for key, kind in network_tensors(name).items() if not _is_of_classifier(key, spec)}
    given = {key: kind for key, kind in found.items() if not _is_of_classifier(key, spec)}
    missing = [key for key in expected if key not in given and not key.endswith(_MAY_BE_MISSING)]
    extras = _TOLERATED_EXTRAS.get(name, ())
    unknown = [key for key in given if key not in expected and not key.startswith(extras)]
    reshaped = [key for key in expected if key in given and given[key] != expected[key]]
    faults = (("missing", missing), ("unknown", unknown), ("of another shape or type", reshaped))
    told = "; ".join(f"{len(keys)} {fault}, e.g. {keys[0]}" for fault, keys in faults if keys)
    if told:
        raise WeightsError(f"{path.name} must hold the tensors of {spec.title} ({spec.timm_name}); got {told}")
    return len(found)


def _tensors_in_file(path: Path) -> dict[str, TensorKind]:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  (the handle is no mapping)
            return {
                key: TensorKind(tuple(part.get_shape()), floating=part.get_dtype() in _FLOATING)
                for key, part in slices.items()
            }
    except (OSError, SafetensorError) as error:
        raise WeightsError(
            f"{path.name} must be a whole safetensors file (pickles are never opened); got {error}"
        ) from error


def _is_of_classifier(key: str, spec: NetworkSpec) -> bool:
    return key.startswith(f"{spec.classifier}.")


def _statuses(folder: Path | None, *, deep: bool) -> tuple[WeightStatus, ...]:
    folder = default_folder() if folder is None else folder
    files = read_manifest(folder).files if (folder / MANIFEST).exists() else {}
    return tuple(_status(folder, spec, files.get(spec.name), deep=deep) for spec in NETWORK_TABLE.values())


def _status(folder: Path, spec: NetworkSpec, file: WeightFile | None, *, deep: bool) -> WeightStatus:
    path = weight_path(folder, spec.name)
    problem = _problem(folder, spec.name, file, deep=deep)
    if file is None:
        return WeightStatus(spec.name, spec.timm_name, path, WeightState.MISSING, None, problem)
    state = WeightState.DAMAGED if problem else WeightState.INSTALLED
    return WeightStatus(spec.name, spec.timm_name, path, state, file, problem)


def _problem(folder: Path, name: str, file: WeightFile | None, *, deep: bool) -> str:
    """What keeps the network's file in ``folder`` from being used; empty if nothing does."""
    spec, path = network_spec(name), weight_path(folder, name)
    if file is None:
        return _none_of([spec.title], folder)
    if file.timm_name != spec.timm_name:
        return f"{path} must be {spec.timm_name}; the manifest says {file.timm_name}"
    if not path.is_file():
        return f"{path} must be there, since the manifest names it; it is not"
    size = path.stat().st_size
    if size != file.bytes:
        return f"{path} must have {file.bytes} bytes as the manifest says; it has {size}"
    return _problem_inside(path, name, file) if deep else ""


def _none_of(titles: Iterable[str], folder: Path) -> str:
    return f"{folder} must hold the ImageNet weights of {', '.join(titles)}; it has none"


def _problem_inside(path: Path, name: str, file: WeightFile) -> str:
    digest = sha256_of_file(path)
    if digest != file.sha256:
        return f"{path} is damaged: its SHA-256 must be {file.sha256} as the manifest says; it is {digest}"
    try:
        check_tensors(path, name)
    except WeightsError as error:
        return f"{path.parent}: {error}"
    return ""


def _install(source: Path, files: Mapping[str, WeightFile], folder: Path) -> None:
    """Copy checked files under temporary names, check the copies, then rename them and write the manifest."""
    copies = {name: folder / f".{name}.{os.getpid()}.partial" for name in files}
    try:
        for name, copy in copies.items():
            shutil.copyfile(weight_path(source, name), copy)
            if sha256_of_file(copy) != files[name].sha256:
                raise WeightsError(
                    f"{weight_path(source, name)} must not change while it is copied; its copy differs. Import it again"
                )
        installed = read_manifest(folder).files if (folder / MANIFEST).exists() else {}
        for name, copy in copies.items():
            copy.replace(weight_path(folder, name))
        write_manifest(folder, Manifest(files={**installed, **files}))
    finally:
        for copy in copies.values():
            copy.unlink(missing_ok=True)
