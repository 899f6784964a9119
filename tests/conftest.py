"""Small things that many tests need: a tiny study of planted squares, and quiet threads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from microcalc.cohort import cached_array
from microcalc.learn.inputs import CohortPixels
from microcalc.learn.job import Job, StudyImages
from microcalc.learn.machine import Machine
from microcalc.protocol import Protocol, checked_protocol

pytest_plugins = ("services",)

torch.set_num_threads(1)  # several tests share the cores

TINY = {
    "name": "tiny",
    "weights": "none",
    "image": {"input_size": 64},
    "augmentation": {"copies": 2},
    "training": {"learning_rates": [1e-3], "batch_size": 8, "max_epochs": 3, "batchnorm_images": 8},
    "evaluation": {"bootstrap_replicates": 100, "heatmap_examples": 1},
}


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> StudyImages:
    """24 noise images, 12 of them with a bright square; 12 to train on, 6 and 6 to judge."""
    folder = tmp_path_factory.mktemp("pixels")
    labels = np.arange(24) % 2

    def fill(out: np.ndarray) -> None:
        random = np.random.default_rng(0)
        for i, label in enumerate(labels):
            out[i] = random.integers(20_000, 30_000, (512, 512))
            if label:
                out[i, 200:300, 200:300] = 60_000

    cached_array(folder, "pixels-tiny", (24, 512, 512), np.uint16, fill)
    source = CohortPixels(folder / "pixels-tiny.npy", "tiny")
    return StudyImages(source, labels, np.arange(12), np.arange(12, 18), np.arange(18, 24))


@pytest.fixture
def tiny_job(tiny_images: StudyImages, tmp_path: Path) -> Callable[..., Job]:
    """Makes a job of one small network; keywords change the protocol's training values."""

    def make(network: str = "densenet201", *, folder: str = "job", **training: object) -> Job:
        values = TINY | {"training": TINY["training"] | training}  # type: ignore[operator]
        protocol: Protocol = checked_protocol(values, source="test")
        machine = Machine(accelerator="cpu", threads=1)
        return Job("lr1e-3", 1e-3, network, tmp_path / folder, protocol, tiny_images, machine)

    return make


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two networks with two input sizes, beside its cohort; see `planted_study`."""
    from planted_study import planted_study  # noqa: PLC0415  (torch and the study are not for every test)

    sizes = {"inception_v3": {"input_size": 96}}
    networks = ("resnet101", "inception_v3")
    return planted_study(tmp_path_factory.mktemp("planted") / "study", networks, per_network=sizes)


@pytest.fixture(scope="session")
def planted_alone(planted: Path) -> Path:
    """A finished study of the same cohort with one network."""
    from planted_study import planted_study  # noqa: PLC0415

    return planted_study(planted.parent / "alone", ("resnet101",))
