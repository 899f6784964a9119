"""The networks in OpenVINO: compiled once when a study is opened, run side by side on the processor's cores.

As many networks as there are cores run at the same time, each on its share of them: five networks of many small layers
wait less for each other than the threads within one layer do. Nothing is written to disk and nothing is sent: the
package's telemetry is kept out before the package is imported.
"""

import importlib
import os
import sys
import time
from collections.abc import Mapping
from concurrent.futures import Future
from threading import Lock
from types import ModuleType
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from microcalc.errors import MissingDependencyError
from microcalc.reader.engine import LoadedNetwork, Precision, engine_name
from microcalc.reader.openvino_graph import openvino_model
from microcalc.reader.threads import small_work_pool

__all__ = ["OpenVinoEngine", "import_openvino"]

TELEMETRY = "openvino_telemetry"
"""Package that comes with OpenVINO and reports its use to the maker over the network."""


class _Request(Protocol):
    """A compiled network with its memory; for one caller at a time."""

    def infer(self, inputs: list[NDArray[np.float32]]) -> Mapping[int, NDArray[np.float32]]: ...


class OpenVinoEngine:
    """Runs folded networks in OpenVINO.

    Args:
        models: by name; their features are let go, to hold the weights once.
        precisions: of each network's features.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
        ProtocolError: a network has an operation that cannot be written down for OpenVINO.
    """

    def __init__(self, models: Mapping[str, LoadedNetwork], precisions: Mapping[str, Precision]) -> None:
        openvino, opset = import_openvino()
        cores = _cores()
        lanes = max(1, min(cores, len(models)))
        core = openvino.Core()
        self._requests: dict[str, _Request] = {}
        for name, loaded in models.items():
            graph = openvino_model(openvino, opset, loaded.model.folded, size=loaded.size)
            loaded.model.drop_features()
            settings = {
                "INFERENCE_PRECISION_HINT": precisions[name],
                "PERFORMANCE_HINT": "LATENCY",
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": max(1, cores // lanes),
                "ENABLE_CPU_PINNING": False,  # else every network would sit on the first core
            }
            self._requests[name] = core.compile_model(graph, "CPU", settings).create_infer_request()
        self._locks = {name: Lock() for name in models}
        self._pool = small_work_pool(lanes, name="openvino")
        self.name = engine_name("openvino", precisions)
        self.order = self._slowest_first(models)

    def start(self, network: str, image: torch.Tensor) -> "Future[torch.Tensor]":
        """Begin with one image (1, 3, size, size) float32; the result is the last features (1, c, h, w) float32."""
        return self._pool.submit(self._features, network, image)

    def _features(self, network: str, image: torch.Tensor) -> torch.Tensor:
        pixels = image.contiguous().numpy()
        with self._locks[network]:
            features = self._requests[network].infer([pixels])[0]
            return torch.from_numpy(np.array(features, dtype=np.float32))

    def _slowest_first(self, models: Mapping[str, LoadedNetwork]) -> tuple[str, ...]:
        """Run every network twice, which also gets its memory ready, and sort by the second time."""
        seconds: dict[str, float] = {}
        for name, loaded in models.items():
            blank = torch.zeros(1, 3, loaded.size, loaded.size)
            for _ in range(2):
                start = time.perf_counter()
                self._features(name, blank)
                seconds[name] = time.perf_counter() - start
        return tuple(sorted(models, key=seconds.__getitem__, reverse=True))


def import_openvino() -> tuple[ModuleType, ModuleType]:
    """OpenVINO and its operations, without its telemetry.

    Importing the package reports that to its maker if the telemetry package is there; with None in its place the
    import fails, and OpenVINO uses a stand-in of its own that does nothing.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]  # the documented way to forbid an import
    try:
        return importlib.import_module("openvino"), importlib.import_module("openvino.opset13")
    except ImportError as error:
        raise MissingDependencyError(
            f"this runtime needs OpenVINO, which cannot be imported ({error}): pip install 'microcalc[reader]'. "
            "Or choose torch: --runtime torch-f32"
        ) from error


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
