"""Training state and network weights on disk: safetensors only, so that no code runs when a file is opened.

A kill or a power cut leaves the old file or the new one, never half of one. What the numbers mean is `train`'s
business.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from microcalc.cohort.storage import write_atomically
from microcalc.errors import WeightsError

__all__ = ["load_network", "load_state", "save_network", "save_state"]

_MODEL, _OPTIMISER, _RECORD = "model.", "optimiser.", "record"


def save_network(path: Path, network: nn.Module, facts: Mapping[str, str]) -> None:
    """Write the weights and buffers of a network; ``facts`` go into the file's header."""
    write_atomically(path, to_bytes(_plain(network.state_dict()), metadata=_header(facts)))


def load_network(path: Path, network: nn.Module) -> Mapping[str, object]:
    """Load weights into a network of the same architecture and return the header's facts.

    A network without memory (`learn.networks.empty_network`) takes over the file's tensors.

    Raises:
        WeightsError: the file is missing, damaged, or of another architecture.
    """
    tensors, facts = _read(path)
    try:
        network.load_state_dict(tensors, assign=any(p.is_meta for p in network.parameters()))
    except RuntimeError as error:
        raise WeightsError(f"{path}: the weights must be of this architecture; {error}") from error
    return facts


def save_state(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, record: Mapping[str, object]) -> None:
    """Write all that a training needs to go on: weights, the optimiser's moments and step counts, and a record.

    Args:
        path: of the file.
        network: trained so far.
        optimiser: of it.
        record: anything that JSON holds; floats keep all their digits.
    """
    tensors = {_MODEL + name: value for name, value in network.state_dict().items()}
    for number, values in enumerate(optimiser.state[p] for p in _parameters(optimiser)):
        tensors |= {f"{_OPTIMISER}{number}.{name}": value for name, value in values.items()}
    write_atomically(path, to_bytes(_plain(tensors), metadata=_header(record)))


def load_state(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, object]:
    """Put network and optimiser back as `save_state` found them; return the record.

    Raises:
        WeightsError: the file is damaged or of another architecture.
    """
    tensors, facts = _read(path)
    model = {name.removeprefix(_MODEL): value for name, value in tensors.items() if name.startswith(_MODEL)}
    try:
        network.load_state_dict(model)
        for number, parameter in enumerate(_parameters(optimiser)):
            prefix = f"{_OPTIMISER}{number}."
            optimiser.state[parameter] = {
                name.removeprefix(prefix): _laid_out_like(parameter, value)
                for name, value in tensors.items()
                if name.startswith(prefix)
            }
    except (RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(
            f"{path}: not a state of this training; delete it to start the network anew; {error}"
        ) from error
    return facts


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _laid_out_like(parameter: nn.Parameter, value: Tensor) -> Tensor:
    """A moment must lie in memory as its weight does (channels last): fused Adam walks both side by side."""
    if value.shape != parameter.shape:
        return value.clone()
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


def _header(facts: Mapping[str, object]) -> dict[str, str]:
    """One entry alone: the library writes several in random order, and the same network must give the same bytes."""
    return {_RECORD: json.dumps(facts, sort_keys=True)}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
            return tensors, json.loads((file.metadata() or {}).get(_RECORD, "{}"))
    except (OSError, SafetensorError, ValueError) as error:
        raise WeightsError(
            f"{path}: must be a whole safetensors file; {error}. Delete it and start the same command again"
        ) from error
