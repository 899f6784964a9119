"""How long one step of a network takes on this machine: measured, for the plan of a study and the benchmarks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
from torch import nn

from microcalc.learn.inputs import network_input
from microcalc.learn.job import Job
from microcalc.learn.machine import open_fabric
from microcalc.learn.networks import build_network
from microcalc.learn.train import make_optimiser

__all__ = ["StepTime", "measure_step"]


@dataclass(frozen=True)
class StepTime:
    """Seconds per image of a training step, and of a forward pass."""

    train_seconds: float
    predict_seconds: float


def measure_step(job: Job, *, repeats: int = 1) -> StepTime:
    """Time the training step of a job on random images, after one step to warm up.

    Args:
        job: network, sizes and machine; its images are not touched.
        repeats: timed steps; the median counts.
    """
    fabric = open_fabric(job.machine)
    network = build_network(job.network, seed=0)
    model, optimiser = fabric.setup(network, make_optimiser(network, job.protocol.training))
    grey = torch.rand(job.batch_size, 1, job.input_size, job.input_size, device=fabric.device)
    inputs = network_input(grey, job.spec.mean, job.spec.std)
    labels = torch.arange(job.batch_size, device=fabric.device) % 2

    def train_step() -> None:
        fabric.backward(nn.functional.cross_entropy(model(inputs), labels))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    def predict_step() -> None:
        with torch.inference_mode():
            model(inputs)

    train = [_seconds(train_step) for _ in range(repeats + 1)][1:]
    model.eval()
    predict = [_seconds(predict_step) for _ in range(repeats + 1)][1:]
    return StepTime(median(train) / job.batch_size, median(predict) / job.batch_size)


def _seconds(step: Callable[[], None]) -> float:
    _wait_for_device()
    began = time.perf_counter()
    step()
    _wait_for_device()
    return time.perf_counter() - began


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
