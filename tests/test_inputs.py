"""What a network sees of a ROI: nothing lost in the reduction, nothing invented at the border."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from microcalc.learn.inputs import (
    CohortPixels,
    lowpass_sigma,
    network_input,
    prepare,
    prepared_images,
    reduced_images,
    warp,
)
from microcalc.learn.job import StudyImages
from microcalc.protocol import ImageSettings, LocalContrast

SIZES = (224, 299)


def pose(degrees: float, *, scale: float = 1.0, shift: tuple[float, float] = (0, 0)) -> torch.Tensor:
    a = math.radians(degrees)
    return torch.tensor(
        [[[scale * math.cos(a), -scale * math.sin(a), shift[0]], [scale * math.sin(a), scale * math.cos(a), shift[1]]]]
    )


def calcification(row: float, column: float, diameter: float = 3.0) -> np.ndarray:
    """Bright disc of ``diameter`` pixels with a soft edge on even tissue."""
    y, x = np.mgrid[:512, :512]
    disc = np.clip(diameter / 2 + 0.5 - np.hypot(y - row, x - column), 0, 1)
    return (20_000 + 30_000 * disc).astype(np.uint16)


@pytest.mark.parametrize("size", SIZES)
def test_a_calcification_of_3_pixels_is_still_there_at_every_rotation(size: int):
    prepared = torch.from_numpy(prepare(calcification(250.3, 260.8), ImageSettings(), size)[None])
    tissue, peaks, masses = 20_000 / 65_535, [], []
    for degrees in range(0, 360, 7):
        seen = warp(prepared, pose(degrees), size)[0, 0] - tissue
        peaks.append(seen.max().item())
        masses.append(seen.sum().item() * (512 / size) ** 2)
    mass = (calcification(250.3, 260.8).astype(float) / 65_535 - tissue).sum()
    assert min(peaks) > 0.35 * 30_000 / 65_535  # a third of its contrast at the least, whatever the angle
    assert max(peaks) / min(peaks) < 1.6  # how its centre falls between the new pixels
    assert masses == pytest.approx([mass] * len(masses), rel=0.08)  # none of its light is lost


def test_plain_bilinear_reduction_would_lose_it():
    """The reason for the filter: without it the same calcification comes and goes with the angle."""
    raw = torch.from_numpy(calcification(250.3, 260.8, diameter=1.5)[None])
    filtered = torch.from_numpy(prepare(calcification(250.3, 260.8, diameter=1.5), ImageSettings(), 224)[None])
    spread = []
    for pixels in (raw, filtered):
        masses = [(warp(pixels, pose(d), 224)[0, 0] - 20_000 / 65_535).sum().item() for d in range(0, 360, 7)]
        spread.append(np.std(masses) / np.mean(masses))
    assert spread[0] > 4 * spread[1]


@pytest.mark.parametrize("size", SIZES)
def test_stripes_finer_than_the_new_pixels_do_not_come_back_as_coarse_ones(size: int):
    stripes = np.tile((32_768 + 30_000 * np.cos(2 * np.pi * 0.45 * np.arange(512))).astype(np.uint16), (512, 1))
    filtered = warp(torch.from_numpy(prepare(stripes, ImageSettings(), size)[None]), pose(0), size)
    plain = warp(torch.from_numpy(stripes[None]), pose(0), size)
    seen, false = (w[0, 0, 8:-8, 8:-8].std().item() for w in (filtered, plain))
    assert false > 0.1  # what plain bilinear sampling makes of them
    assert seen < {224: 0.04, 299: 0.13}[size] * 0.32  # of the stripes' own contrast


def test_the_upright_pose_agrees_with_an_independent_resampling():
    random = np.random.default_rng(1)
    image = (ndimage.gaussian_filter(random.random((512, 512)), 6) * 60_000).astype(np.uint16)
    seen = warp(torch.from_numpy(image[None]), pose(0), 224)[0, 0].numpy() * 65_535
    centres = (np.arange(224) + 0.5) * 512 / 224 - 0.5
    expected = ndimage.map_coordinates(image.astype(float), np.meshgrid(centres, centres, indexing="ij"), order=1)
    assert np.abs(seen - expected).max() < 1


def test_rotation_and_shift_agree_with_an_independent_resampling():
    random = np.random.default_rng(2)
    image = (ndimage.gaussian_filter(random.random((512, 512)), 6) * 60_000).astype(np.uint16)
    seen = warp(torch.from_numpy(image[None]), pose(30, scale=0.5, shift=(0.1, -0.05)), 128)[0, 0].numpy() * 65_535
    u = (np.arange(128) + 0.5) / 64 - 1
    x, y = np.meshgrid(u, u)
    a = math.radians(30)
    source_x = 0.5 * (math.cos(a) * x - math.sin(a) * y) + 0.1
    source_y = 0.5 * (math.sin(a) * x + math.cos(a) * y) - 0.05
    at = [(source_y + 1) * 256 - 0.5, (source_x + 1) * 256 - 0.5]
    expected = ndimage.map_coordinates(image.astype(float), at, order=1)
    assert np.abs(seen - expected).max() < 2


def test_corners_that_a_rotation_brings_in_are_mirrored_not_black():
    grey = np.full((1, 512, 512), 30_000, np.uint16)
    seen = warp(torch.from_numpy(grey), pose(45, shift=(0.1, 0.1)), 224)
    assert seen.min().item() == pytest.approx(30_000 / 65_535, rel=1e-4)


def test_no_reduction_means_no_filter():
    assert lowpass_sigma(512, 512) == 0
    image = np.random.default_rng(0).integers(0, 65_535, (512, 512)).astype(np.uint16)
    assert (prepare(image, ImageSettings(), 512) == image).all()


def test_local_contrast_removes_the_slope_of_the_tissue_and_keeps_the_speck():
    slope = np.linspace(10_000, 40_000, 512)[None].repeat(512, axis=0)
    slope[250:256, 250:256] += 6_000
    seen = prepare(slope.astype(np.uint16), ImageSettings(local_contrast=LocalContrast(sigma=16, gain=3)), 512)
    away = seen[64:-64, 64:200]
    assert np.abs(away.astype(int) - 32_768).max() < 100
    assert seen[253, 253] > 32_768 + 2 * 6_000


def test_grey_becomes_three_channels_with_the_networks_own_mean_and_deviation():
    grey = torch.full((2, 1, 4, 4), 0.6)
    seen = network_input(grey, (0.5, 0.4, 0.6), (0.1, 0.2, 0.5))
    assert seen.shape == (2, 3, 4, 4)
    assert torch.allclose(seen[0, :, 0, 0], torch.tensor([1.0, 1.0, 0.0]), atol=1e-6)
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_prepared_and_reduced_images_are_kept_and_found_again(tiny_images: StudyImages):
    source, settings = tiny_images.source, ImageSettings()
    first = prepared_images(source, settings, 224)
    assert (first[5] == prepare(source.pixels[5], settings, 224)).all()
    assert prepared_images(source, settings, 224).filename == first.filename  # type: ignore[attr-defined]
    reduced = reduced_images(source, settings, 224)
    assert reduced.shape == (24, 224, 224)
    upright = warp(torch.from_numpy(first[[5]]), pose(0), 224)[0, 0].numpy() * 65_535
    assert np.abs(reduced[5] - upright).max() <= 0.51


def test_other_pixels_make_another_cache(tiny_images: StudyImages):
    other = CohortPixels(tiny_images.source.path, "other key")
    first = prepared_images(tiny_images.source, ImageSettings(), 64)
    assert prepared_images(other, ImageSettings(), 64).filename != first.filename  # type: ignore[attr-defined]


def test_the_filters_are_scipys_gaussian_with_mirrored_borders():
    grey = np.random.default_rng(5).integers(0, 65_536, (512, 512)).astype(np.uint16)
    settings = ImageSettings(crop=352, local_contrast=LocalContrast(sigma=16, gain=3))
    image = grey / np.float64(65_535)
    image = np.clip(0.5 + 3 * (image - ndimage.gaussian_filter(image, 16, mode="reflect", truncate=3)), 0, 1)
    image = ndimage.gaussian_filter(image, lowpass_sigma(352, 96), mode="reflect", truncate=3)
    assert np.abs(prepare(grey, settings, 96) - image * 65_535).max() < 0.6
