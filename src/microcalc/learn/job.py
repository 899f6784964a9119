"""One job of a study: which network to train on which images, with which values, into which folder.

A job holds only plain values and paths, so it can be sent to another process or machine. What is done with it is in
`train` and `predict`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microcalc.learn.inputs import CohortPixels
from microcalc.learn.machine import Machine
from microcalc.learn.networks import NetworkSpec, network_spec
from microcalc.protocol import Protocol

__all__ = ["Job", "Progress", "Report", "StudyImages"]

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class StudyImages:
    """The images of a study and who is in which set.

    Attributes:
        source: pixels of all n images, in the order of the cohort's table.
        labels: (n,) 0 benign, 1 malignant.
        train, validation, test: rows of each set.
    """

    source: CohortPixels
    labels: Rows
    train: Rows
    validation: Rows
    test: Rows


@dataclass(frozen=True)
class Job:
    """Train one network at one learning rate, then score the validation and test images with it.

    Attributes:
        run: name of the run, e.g. ``lr1e-04``.
        learning_rate: of the run.
        network: name of the network.
        folder: where its files go.
        protocol: of the study.
        images: of the study.
        machine: what to train on.
        weights: folder of the ImageNet weights; None: the usual one.
    """

    run: str
    learning_rate: float
    network: str
    folder: Path
    protocol: Protocol
    images: StudyImages
    machine: Machine = Machine()
    weights: Path | None = None

    @property
    def spec(self) -> NetworkSpec:
        """Row of the network table."""
        return network_spec(self.network)

    @property
    def input_size(self) -> int:
        """Side of the network's input, pixels."""
        return self.protocol.values_for(self.network).input_size or self.spec.input_size

    @property
    def batch_size(self) -> int:
        """Training images per step."""
        return self.protocol.values_for(self.network).batch_size or self.spec.batch_size

    @property
    def max_epochs(self) -> int:
        """Epochs at most."""
        return self.protocol.values_for(self.network).max_epochs or self.protocol.training.max_epochs

    @property
    def peak_learning_rate(self) -> float:
        """The run's learning rate times the network's own factor."""
        return self.learning_rate * self.protocol.values_for(self.network).learning_rate_factor


@dataclass(frozen=True)
class Progress:
    """Where a job is: told after every step.

    Attributes:
        run, network: which job.
        stage: what it is doing.
        done, total: steps of the stage; over all epochs when training.
        message: one line worth keeping (an epoch's result), else empty.
    """

    run: str
    network: str
    stage: Literal["prepare", "train", "predict", "done"]
    done: int = 0
    total: int = 0
    message: str = ""


Report = Callable[[Progress], None]
"""Takes the progress of a job."""
