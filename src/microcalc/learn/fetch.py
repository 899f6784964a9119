"""Collect the five networks' ImageNet weights on a connected machine, ready to be carried to another.

Four come as safetensors from timm's repositories on the Hugging Face hub; `legacy_xception` is published as a .pth
only and is converted once, here: its hash is checked against the one in its name, and torch opens it with
``weights_only=True``, the one place in microcalc where anything but safetensors is read. What is done with the
folder afterwards lives in ``weights``.
"""

import errno
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from safetensors.torch import save_file
from torch.hub import download_url_to_file

from microcalc.cohort.storage import explained_write_errors, sha256_of_file
from microcalc.errors import MicrocalcError, WeightsError
from microcalc.learn._timm import pretrained_cfg
from microcalc.learn.networks import NETWORK_TABLE, network_spec
from microcalc.learn.weights import (
    MANIFEST,
    Manifest,
    WeightFile,
    check_tensors,
    read_manifest,
    weight_path,
    write_manifest,
)

__all__ = ["FetchResult", "Origin", "fetch_weights", "origin_of"]

_HUB_FILE = "model.safetensors"
_PARTIAL = ".partial"
_LOCK = ".lock"
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth$")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ABOUT_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

Report = Callable[[str], None]


@dataclass(frozen=True)
class Origin:
    """Where timm publishes the weights of a network.

    Attributes:
        timm_name: architecture and tag.
        hub_repository: on the Hugging Face hub; empty if it is not there.
        url: of a .pth, used where there is no repository.
        license: as timm states it, empty if it does not.
    """

    timm_name: str
    hub_repository: str
    url: str
    license: str


@dataclass(frozen=True)
class FetchResult:
    """What a fetch did.

    Attributes:
        folder: with the files and their manifest.
        fetched: networks that were downloaded now.
        kept: networks whose files were complete already.
    """

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]


def origin_of(name: str) -> Origin:
    """Ask timm where the weights of a network are published.

    Raises:
        ProtocolError: no such network.
        WeightsError: the installed timm does not know the weights.
    """
    spec = network_spec(name)
    facts = pretrained_cfg(spec.timm_name)
    repository, url, licence = (str(getattr(facts, key, None) or "") for key in ("hf_hub_id", "url", "license"))
    if not repository and not _HASH_IN_NAME.search(url):
        raise WeightsError(
            f"timm must know where {spec.timm_name} is published; the installed release does not. "
            "Install timm 1.0.12 or later"
        )
    return Origin(spec.timm_name, repository, url, licence)


def fetch_weights(folder: Path, *, names: Iterable[str] | None = None, report: Report | None = None) -> FetchResult:
    """Download weights into a folder as safetensors with a manifest.

    A file that is already there and complete is kept, so an interrupted fetch goes on where it was. Nothing
    half-written is left under a final name. ``HF_ENDPOINT``, ``HF_TOKEN`` and the usual proxy variables are respected.

    Args:
        folder: made if need be; to be carried to the other machine as a whole.
        names: networks to fetch; None: all five.
        report: called with a line of text before each download.

    Raises:
        WeightsError: a file cannot be had, or what came is not what it should be.
        MicrocalcError: the disk is full, or the folder cannot be written.
    """
    wanted = [network_spec(name).name for name in (NETWORK_TABLE if names is None else names)]
    fetched: list[str] = []
    with explained_write_errors(folder, way_out="choose a folder that you may write to"):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / _LOCK):
            for name in wanted:
                if _is_complete(folder, name):
                    continue
                if report is not None:
                    report(f"{name}: fetching {origin_of(name).timm_name}")
                _fetch_one(folder, name)
                fetched.append(name)
    return FetchResult(folder, tuple(fetched), tuple(name for name in wanted if name not in fetched))


def _is_complete(folder: Path, name: str) -> bool:
    if not (folder / MANIFEST).exists():
        return False
    file, path = read_manifest(folder).files.get(name), weight_path(folder, name)
    return file is not None and path.is_file() and sha256_of_file(path) == file.sha256


def _fetch_one(folder: Path, name: str) -> None:
    """Download, convert and check in a folder of its own, then rename and enter it into the manifest."""
    origin, partial = origin_of(name), folder / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        whole = partial / weight_path(folder, name).name
        try:
            get = _from_hub if origin.hub_repository else _from_pth
            source, source_sha256 = get(origin, partial, whole)
        except MicrocalcError:
            raise
        except Exception as error:  # the download libraries change their HTTP client, and so what they raise
            if isinstance(error, OSError) and error.errno in _ABOUT_THE_DISK:
                raise
            address, told = origin.hub_repository or origin.url, " ".join(str(error).split()).rstrip(".")
            raise WeightsError(
                f"{origin.timm_name} must be fetched from {address}; got {type(error).__name__}: {told}. "
                "Check the connection (HF_ENDPOINT, proxy) and start the same command again; what is complete is kept"
            ) from error
        file = WeightFile(
            sha256=sha256_of_file(whole),
            bytes=whole.stat().st_size,
            tensors=check_tensors(whole, name),
            timm_name=origin.timm_name,
            source=source,
            source_sha256=source_sha256,
            license=origin.license,
        )
        whole.replace(weight_path(folder, name))
        known = read_manifest(folder).files if (folder / MANIFEST).exists() else {}
        write_manifest(folder, Manifest(files={**known, name: file}))
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _from_hub(origin: Origin, partial: Path, whole: Path) -> tuple[str, str]:
    """Get a safetensors file from the hub as ``whole``; return its address, with the commit, and its SHA-256."""
    repository = origin.hub_repository
    endpoint = os.environ.get("HF_ENDPOINT")  # the library reads it only once, when it is imported
    metadata = get_hf_file_metadata(hf_hub_url(repository, _HUB_FILE, endpoint=endpoint))
    commit = metadata.commit_hash
    path = Path(hf_hub_download(repository, _HUB_FILE, revision=commit, local_dir=partial, endpoint=endpoint))
    digest = sha256_of_file(path)
    expected = metadata.etag or ""
    if _SHA256.fullmatch(expected) and digest != expected:
        raise WeightsError(
            f"{repository}/{_HUB_FILE} must have the SHA-256 {expected} as the hub says; got {digest}. "
            "Start the same command again"
        )
    path.replace(whole)
    return hf_hub_url(repository, _HUB_FILE, revision=commit, endpoint=endpoint), digest


def _from_pth(origin: Origin, partial: Path, whole: Path) -> tuple[str, str]:
    """Get a .pth, whose name holds the beginning of its SHA-256, and convert it; return its address and SHA-256."""
    found = _HASH_IN_NAME.search(origin.url)
    prefix = found.group(1) if found else ""
    path = partial / "published.pth"
    download_url_to_file(origin.url, str(path), hash_prefix=prefix, progress=sys.stderr.isatty())
    digest = sha256_of_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    # Clones, because safetensors refuses tensors that share memory or skip elements.
    contiguous = torch.contiguous_format
    tensors = {key: value.clone(memory_format=contiguous) for key, value in state.items() if torch.is_tensor(value)}
    save_file(tensors, whole, metadata={"format": "pt", "source": origin.url, "source_sha256": digest})
    return origin.url, digest
