"""Batches of posed training images: the augmentation of the paper as one affine warp per image.

Every pose of an epoch is a pure function of seed and epoch number, so a run that was interrupted sees the same images
in the same poses as one that was not, with no random state to keep. Here poses are drawn and batches made; filtering
and reduction live in `inputs`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from microcalc.cohort.images import ROI_SIDE
from microcalc.learn.inputs import GREY_MAXIMUM, Grey, Triple, network_input, warp
from microcalc.protocol import AugmentationSettings

__all__ = [
    "Batch",
    "EpochPlan",
    "TrainingImages",
    "batches_per_epoch",
    "plan_epoch",
    "training_batches",
    "upright_batches",
]


@dataclass(frozen=True)
class TrainingImages:
    """What the training batches of one network are made of.

    Attributes:
        prepared: (n, 512, 512) uint16, all images of the cohort.
        labels: (n,) int64, 0 or 1.
        index: (m,) rows that are trained on.
        size: side of the network's input, pixels.
        channels: mean and standard deviation of the network's three channels.
    """

    prepared: Grey
    labels: NDArray[np.int64]
    index: NDArray[np.int64]
    size: int
    channels: tuple[Triple, Triple]


@dataclass(frozen=True)
class EpochPlan:
    """Which image is seen when, and in which pose, in one epoch.

    Attributes:
        rows: (k,) row of the cohort for each image seen, k = images times copies.
        poses: (k, 2, 3) float32, see `inputs.warp`.
    """

    rows: NDArray[np.int64]
    poses: NDArray[np.float32]


@dataclass(frozen=True)
class Batch:
    """Inputs (b, 3, size, size) float32 channels-last and labels (b,) int64, on the device."""

    inputs: Tensor
    labels: Tensor


def plan_epoch(
    index: NDArray[np.int64], settings: AugmentationSettings, *, seed: int, epoch: int, crop: int = ROI_SIDE
) -> EpochPlan:
    """Draw order and poses of one epoch.

    Args:
        index: (m,) rows that are trained on.
        settings: flips, rotation, translation, copies.
        seed: of the training.
        epoch: counted from 0.
        crop: side of the central square that the network sees, ROI pixels.
    """
    random = np.random.default_rng([seed, epoch])
    rows = random.permutation(np.tile(index, settings.copies))
    count = len(rows)
    angle = np.radians(random.uniform(*settings.rotation_degrees, size=count))
    flip_x = np.where(random.random(count) < 0.5 * settings.horizontal_flip, -1.0, 1.0)
    flip_y = np.where(random.random(count) < 0.5 * settings.vertical_flip, -1.0, 1.0)
    reach = 2 * settings.translation_pixels / ROI_SIDE
    shift = random.uniform(-reach, reach, size=(count, 2))
    scale, cos, sin = crop / ROI_SIDE, np.cos(angle), np.sin(angle)
    poses = np.empty((count, 2, 3))
    poses[:, 0, 0], poses[:, 0, 1] = scale * cos * flip_x, -scale * sin * flip_y
    poses[:, 1, 0], poses[:, 1, 1] = scale * sin * flip_x, scale * cos * flip_y
    poses[:, :, 2] = shift
    return EpochPlan(rows, poses.astype(np.float32))


def batches_per_epoch(images_seen: int, batch_size: int) -> int:
    """Full batches only, as MATLAB's trainNetwork does; the rest of an epoch is left out, unless it is all there is."""
    return max(images_seen // batch_size, 1)


def training_batches(images: TrainingImages, plan: EpochPlan, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Posed batches of one epoch; while the network works on one, the pixels of the next are fetched."""
    parts = [slice(b * batch_size, (b + 1) * batch_size) for b in range(batches_per_epoch(len(plan.rows), batch_size))]

    def fetch(part: slice) -> Tensor:
        return torch.from_numpy(images.prepared[plan.rows[part]])

    with ThreadPoolExecutor(1) as fetcher:
        coming = fetcher.submit(fetch, parts[0])
        for part, following in zip(parts, [*parts[1:], None], strict=True):
            pixels = coming.result()
            if following is not None:
                coming = fetcher.submit(fetch, following)
            grey = warp(pixels.to(device), torch.from_numpy(plan.poses[part]).to(device), images.size)
            labels = torch.from_numpy(images.labels[plan.rows[part]])
            yield Batch(network_input(grey, *images.channels), labels.to(device))


def upright_batches(
    reduced: Grey, index: NDArray[np.int64], batch_size: int, channels: tuple[Triple, Triple], device: torch.device
) -> Iterator[Tensor]:
    """Batches (b, 3, size, size) of reduced images in the order of ``index``, none posed, none left out.

    Args:
        reduced: (n, size, size) uint16, from `inputs.reduced_images`.
        index: (m,) rows wanted.
        batch_size: images at a time.
        channels: mean and standard deviation of the network's channels.
        device: where the batches shall be.
    """
    for start in range(0, len(index), batch_size):
        pixels = torch.from_numpy(reduced[index[start : start + batch_size]]).to(device)
        yield network_input(pixels.to(torch.float32).div_(GREY_MAXIMUM).unsqueeze(1), *channels)
