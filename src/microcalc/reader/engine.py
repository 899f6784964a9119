"""What runs the networks: from a prepared input to the last features, in torch or OpenVINO, in float32 or bf16.

An engine holds all networks of a study, ready to run, and may be called from several threads. Pooling, the linear
layer and Grad-CAM come after it, in float32, and are the same for all (`microcalc.reader.reader`).

``auto`` takes OpenVINO where it is installed, else torch; and bf16 where the processor computes it in hardware, except
for the networks in `KEPT_IN_FLOAT32`. What that moves is measured in ``docs/reading.md``.
"""

import importlib.util
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol

import torch

from microcalc.errors import ProtocolError
from microcalc.learn.checkpoint import load_network
from microcalc.learn.inference import InferenceNetwork, folded_network
from microcalc.learn.machine import best_precision
from microcalc.learn.networks import empty_network, network_spec
from microcalc.reader.finished_study import FinishedStudy

__all__ = [
    "KEPT_IN_FLOAT32",
    "RUNTIMES",
    "Engine",
    "LoadedNetwork",
    "Precision",
    "Runtime",
    "TorchEngine",
    "chosen_runtime",
    "engine_name",
    "load_networks",
    "precisions_of",
]

Precision = Literal["f32", "bf16"]
Runtime = Literal["auto", "torch-f32", "torch-bf16", "torch-mixed", "openvino-f32", "openvino-bf16", "openvino-mixed"]
RUNTIMES: tuple[Runtime, ...] = (
    "auto",
    "torch-f32",
    "torch-bf16",
    "torch-mixed",
    "openvino-f32",
    "openvino-bf16",
    "openvino-mixed",
)
"""Program and precision; mixed is bf16 but for `KEPT_IN_FLOAT32`."""

KEPT_IN_FLOAT32 = frozenset({"inception_v3"})
"""Without skip connections rounding errors grow from layer to layer: bf16 moves its scores by up to 0.17."""


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network and the size that it looks at.

    Attributes:
        model: folded; an engine takes its features over.
        size: side of its input, pixels.
    """

    model: InferenceNetwork
    size: int


class Engine(Protocol):
    """Runs the first half of every network."""

    @property
    def name(self) -> str:
        """What stands in a reading: ``torch bf16``."""

    @property
    def order(self) -> tuple[str, ...]:
        """Networks in the order in which they had best be started."""

    def start(self, network: str, image: torch.Tensor) -> "Future[torch.Tensor]":
        """Begin with one image (1, 3, size, size) float32; the result is the last features (1, c, h, w) float32."""


class TorchEngine:
    """Runs folded networks in torch, in channels-last layout, one after the other, each on all of torch's threads.

    Args:
        models: by name; their weights are converted.
        precisions: of each network's features.
    """

    def __init__(self, models: Mapping[str, LoadedNetwork], precisions: Mapping[str, Precision]) -> None:
        self._models = {name: loaded.model for name, loaded in models.items()}
        for name, model in self._models.items():
            model.run_in(torch.float32 if precisions[name] == "f32" else torch.bfloat16)
        self.name = engine_name("torch", precisions)
        self.order = tuple(models)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="torch")

    def start(self, network: str, image: torch.Tensor) -> "Future[torch.Tensor]":
        """Begin with one image (1, 3, size, size) float32; the result is the last features (1, c, h, w) float32."""
        return self._pool.submit(self._features, network, image)

    def _features(self, network: str, image: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self._models[network].forward_features(image).float()


def load_networks(study: FinishedStudy) -> dict[str, LoadedNetwork]:
    """Load and fold the networks of a study.

    Raises:
        WeightsError: weights are missing, damaged, or others than those of the study.
    """
    loaded = {}
    for name in study.networks:
        study.check_weights(name)
        spec, model = network_spec(name), empty_network(name)
        load_network(study.weights(name), model)
        size = study.protocol.values_for(name).input_size or spec.input_size
        loaded[name] = LoadedNetwork(folded_network(model, spec), size)
    return loaded


def chosen_runtime(asked: str) -> Runtime:
    """The runtime that is meant: ``auto`` becomes the best one here.

    Raises:
        ProtocolError: no such runtime.
    """
    for runtime in RUNTIMES:
        if runtime == asked != "auto":
            return runtime
    if asked != "auto":
        raise ProtocolError(f"a runtime must be one of {', '.join(RUNTIMES)}; got {asked!r}")
    fast = best_precision("cpu") == "bf16-mixed"
    if importlib.util.find_spec("openvino") is None:
        return "torch-mixed" if fast else "torch-f32"
    return "openvino-mixed" if fast else "openvino-f32"


def precisions_of(networks: Mapping[str, LoadedNetwork], runtime: Runtime) -> dict[str, Precision]:
    """Precision of each network in a runtime."""
    kind = runtime.rpartition("-")[2]
    if kind == "mixed":
        return {name: "f32" if name in KEPT_IN_FLOAT32 else "bf16" for name in networks}
    return dict.fromkeys(networks, "f32" if kind == "f32" else "bf16")


def engine_name(program: str, precisions: Mapping[str, Precision]) -> str:
    """In words: ``openvino bf16, inception_v3 f32``."""
    kinds = set(precisions.values())
    if len(kinds) == 1:
        return f"{program} {kinds.pop()}"
    exact = ", ".join(name for name, precision in precisions.items() if precision == "f32")
    return f"{program} bf16, {exact} f32"
