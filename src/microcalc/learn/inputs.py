"""From the cohort's pixels to what a network sees: local contrast, the filter before the reduction, the reduction.

A calcification is 2 to 10 pixels wide, so nothing is ever reduced by plain bilinear sampling. The filter is a
Gaussian: it looks alike from every side, hence filtering first and turning afterwards is the same as turning first.
So each image is filtered once and kept in a memory-mapped array (`prepared_images`), and a pose of it costs no more
than one bilinear warp (`batches`). Images that are never posed (validation, test) are also reduced once
(`reduced_images`). Nothing random lives here.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor, nn

from microcalc.cohort.images import ROI_SIDE, cached_array
from microcalc.protocol import ImageSettings, LocalContrast

__all__ = [
    "GREY_MAXIMUM",
    "CohortPixels",
    "lowpass_sigma",
    "network_input",
    "prepare",
    "prepared_images",
    "reduced",
    "reduced_images",
    "warp",
]

GREY_MAXIMUM = 65535.0
"""White of a 16-bit image; networks see grey values divided by it."""

_GAUSSIAN_REACH = 3.0
"""Gaussians end at three standard deviations; beyond lies 0.3 % of their weight."""

_SOURCE_BLUR = 0.5
"""Blur that a well-sampled image has already, as a standard deviation in pixels."""

Grey = NDArray[np.uint16]
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class CohortPixels:
    """The images of a cohort in the order of its table.

    Attributes:
        path: `.npy` file of the (n, 512, 512) uint16 array; what is computed from it is kept in the same folder.
        key: SHA-256 over the image files.
    """

    path: Path
    key: str

    @property
    def pixels(self) -> Grey:
        """(n, 512, 512) uint16, memory-mapped."""
        pixels: Grey = np.load(self.path, mmap_mode="r")
        return pixels


def lowpass_sigma(crop: int, size: int) -> float:
    """Standard deviation, in ROI pixels, of the Gaussian that goes before a reduction of ``crop`` to ``size`` pixels.

    The reduced image should be as blurred, in its own larger pixels, as a well-sampled image is: sigma 0.5. What the
    source brings already is subtracted (variances add). No reduction, no filter.
    """
    factor = crop / size
    return _SOURCE_BLUR * float(np.sqrt(factor**2 - 1)) if factor > 1 else 0.0


def prepare(pixels: Grey, settings: ImageSettings, size: int) -> Grey:
    """Everything that is done to one image before its pose is chosen; each step looks alike from every side.

    Args:
        pixels: (512, 512) uint16.
        settings: local contrast and crop.
        size: side of the network's input, pixels.

    Returns:
        (512, 512) uint16.
    """
    image = pixels.astype(np.float32) / np.float32(GREY_MAXIMUM)
    if settings.local_contrast is not None:
        image = _local_contrast(image, settings.local_contrast)
    sigma = lowpass_sigma(settings.crop or ROI_SIDE, size)
    if sigma > 0:
        image = _blur(image, sigma)
    grey: Grey = np.rint(np.clip(image, 0, 1) * np.float32(GREY_MAXIMUM)).astype(np.uint16)
    return grey


def _local_contrast(image: NDArray[np.float32], contrast: LocalContrast) -> NDArray[np.float32]:
    local_mean = _blur(image, contrast.sigma)
    raised: NDArray[np.float32] = np.clip(np.float32(0.5) + np.float32(contrast.gain) * (image - local_mean), 0, 1)
    return raised


def _blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian filter of an image that goes on as its mirror image: a product of cosine transforms, whatever its width.

    The same as summing over the kernel's pixels, in a ninth of the time at a standard deviation of 16.
    """
    down, across = (_response(side, sigma) for side in image.shape)
    blurred: NDArray[np.float32] = fft.idctn(fft.dctn(image) * (down[:, None] * across))
    return blurred


@functools.cache
def _response(side: int, sigma: float) -> NDArray[np.float32]:
    """(side,) what the sampled Gaussian leaves of each cosine of a row of ``side`` pixels."""
    offsets = np.arange(1, round(_GAUSSIAN_REACH * sigma) + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    waves = np.cos(np.pi / side * np.outer(np.arange(side), offsets))
    response: NDArray[np.float32] = ((1 + 2 * waves @ weights) / (1 + 2 * weights.sum())).astype(np.float32)
    return response


def prepared_images(source: CohortPixels, settings: ImageSettings, size: int) -> Grey:
    """(n, 512, 512) uint16, memory-mapped: `prepare` of every image, computed once and kept."""

    pixels = source.pixels

    def fill(out: Grey) -> None:
        def one(i: int) -> None:
            out[i] = prepare(pixels[i], settings, size)

        _in_threads(one, len(out))

    return cached_array(source.path.parent, _key("prepared", source, settings, size), pixels.shape, np.uint16, fill)


def reduced_images(source: CohortPixels, settings: ImageSettings, size: int) -> Grey:
    """(n, size, size) uint16, memory-mapped: every image upright, reduced for one network, computed once and kept."""
    prepared = prepared_images(source, settings, size)

    def fill(out: Grey) -> None:
        for i in range(len(out)):
            out[i] = reduced(prepared[i], settings, size)

    shape = (len(prepared), size, size)
    return cached_array(source.path.parent, _key("reduced", source, settings, size), shape, np.uint16, fill)


def reduced(prepared: Grey, settings: ImageSettings, size: int) -> Grey:
    """(size, size) uint16: one prepared image (512, 512), upright, its central crop reduced for one network."""
    upright = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]]) * ((settings.crop or ROI_SIDE) / ROI_SIDE)
    grey = warp(torch.from_numpy(np.array(prepared))[None], upright, size)  # a copy: mapped files are read-only
    pixels: Grey = torch.round(grey[0, 0] * GREY_MAXIMUM).numpy().astype(np.uint16)
    return pixels


def warp(prepared: Tensor, pose: Tensor, size: int) -> Tensor:
    """One affine warp: flip, rotation, translation and reduction together.

    Args:
        prepared: (b, 512, 512) uint16, from `prepare`.
        pose: (b, 2, 3) float32, from output to input coordinates, both running from -1 to 1 over the image.
        size: side of the output, pixels.

    Returns:
        (b, 1, size, size) float32 in [0, 1]; what lies outside the ROI is its mirror image.
    """
    grey = prepared.to(torch.float32).div_(GREY_MAXIMUM).unsqueeze(1)
    grid = nn.functional.affine_grid(pose, [len(prepared), 1, size, size], align_corners=False)
    return nn.functional.grid_sample(grey, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def network_input(grey: Tensor, mean: Triple, std: Triple) -> Tensor:
    """Grey to three equal channels, each with the network's own mean and standard deviation.

    Args:
        grey: (b, 1, h, w) float32 in [0, 1].
        mean: of each channel.
        std: of each channel.

    Returns:
        (b, 3, h, w) float32 in channels-last layout.
    """
    centre = torch.tensor(mean, device=grey.device).view(1, 3, 1, 1)
    scale = torch.tensor(std, device=grey.device).view(1, 3, 1, 1)
    return ((grey - centre) / scale).contiguous(memory_format=torch.channels_last)


def _key(kind: str, source: CohortPixels, settings: ImageSettings, size: int) -> str:
    facts = settings.model_dump(mode="json", exclude={"input_size"}) | {"size": size}
    digest = hashlib.sha256(json.dumps([source.key, facts], sort_keys=True).encode()).hexdigest()
    return f"{kind}{size}-{digest[:32]}"


def _in_threads(work: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for _ in pool.map(work, range(count)):
            pass
