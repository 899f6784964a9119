"""What runs the networks: from a prepared input to the last features, by torch or OpenVINO, in float32 or bf16.

An engine holds all networks of a study, ready to run, and may be called from several threads. Pooling, the linear
layer and Grad-CAM come after it, in float32, and are the same for all (`microcalc.reader.reader`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from microcalc.errors import ProtocolError
from microcalc.learn.checkpoint import load_network
from microcalc.learn.inference import InferenceNetwork, inference_network
from microcalc.learn.machine import best_precision
from microcalc.learn.networks import build_network, network_spec
from microcalc.reader.finished_study import FinishedStudy

__all__ = ["RUNTIMES", "Engine", "LoadedNetwork", "Runtime", "TorchEngine", "load_networks", "open_engine"]

Runtime = Literal["auto", "torch-f32", "torch-bf16"]
RUNTIMES: tuple[Runtime, ...] = ("auto", "torch-f32", "torch-bf16")


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network and the size that it looks at.

    Attributes:
        model: folded, float32.
        size: side of its input, pixels.
    """

    model: InferenceNetwork
    size: int


class Engine(Protocol):
    """Runs the first half of every network."""

    @property
    def name(self) -> str:
        """What stands in a reading: ``torch bf16``."""

    def features(self, network: str, image: torch.Tensor) -> torch.Tensor:
        """Last features (1, c, h, w) float32 of a network for one image (1, 3, size, size) float32."""


class TorchEngine:
    """Runs folded networks in torch, in channels-last layout.

    Args:
        models: by name.
        precision: of the features.
    """

    def __init__(self, models: Mapping[str, LoadedNetwork], *, precision: torch.dtype) -> None:
        self._models = {name: loaded.model.in_precision(precision) for name, loaded in models.items()}
        self._precision = precision

    @property
    def name(self) -> str:
        """What stands in a reading."""
        return "torch bf16" if self._precision == torch.bfloat16 else "torch f32"

    def features(self, network: str, image: torch.Tensor) -> torch.Tensor:
        """Last features (1, c, h, w) float32 for one image (1, 3, size, size)."""
        with torch.inference_mode():
            return self._models[network].forward_features(image).float()


def load_networks(study: FinishedStudy) -> dict[str, LoadedNetwork]:
    """Load and fold the networks of a study.

    Raises:
        WeightsError: weights are missing or damaged.
    """
    loaded = {}
    for name in study.networks:
        spec = network_spec(name)
        model = build_network(name, seed=0)
        load_network(study.weights(name), model)
        size = study.protocol.values_for(name).input_size or spec.input_size
        loaded[name] = LoadedNetwork(inference_network(model, spec), size)
    return loaded


def open_engine(models: Mapping[str, LoadedNetwork], runtime: Runtime) -> Engine:
    """Make an engine of loaded networks.

    Raises:
        ProtocolError: no such runtime.
    """
    if runtime not in RUNTIMES:
        raise ProtocolError(f"a runtime must be one of {', '.join(RUNTIMES)}; got {runtime!r}")
    fast = runtime == "torch-bf16" or (runtime == "auto" and best_precision("cpu") == "bf16-mixed")
    return TorchEngine(models, precision=torch.bfloat16 if fast else torch.float32)
