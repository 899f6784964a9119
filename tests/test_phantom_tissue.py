"""Tissue: the power law is there, and so is the noise; tiles of mammograms are cut where they say."""

import numpy as np
import pytest

from microcalc.intake.phantom_tissue import EXPONENT, NOISE, draw_noise_tissue, power_law_texture

SIDE = 256


def radial_power(images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean power over rings of equal frequency, of windowed images: an independent look at the spectrum."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    power = np.mean([np.abs(np.fft.fft2((i - i.mean()) * window)) ** 2 for i in images], axis=0)
    f = np.fft.fftfreq(SIDE)
    ring = np.rint(np.hypot(f[:, None], f[None, :]) * SIDE).astype(int)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel())
    return np.arange(len(mean)) / SIDE, mean


def slope(images: list[np.ndarray], lowest: int = 6, highest: int = 60) -> float:
    frequency, power = radial_power(images)
    return float(np.polyfit(np.log(frequency[lowest:highest]), np.log(power[lowest:highest]), 1)[0])


def test_power_falls_with_the_third_power_of_the_frequency():
    rng = np.random.default_rng(0)
    images = [power_law_texture(rng, side=SIDE, deviation=2000.0, noise=0.0) for _ in range(12)]
    assert slope(images) == pytest.approx(-EXPONENT, abs=0.15)
    assert EXPONENT == 3.0


def test_finished_tissue_keeps_the_power_law_where_noise_does_not_hide_it():
    rng = np.random.default_rng(1)
    images = [draw_noise_tissue(rng, magnification=1.0, side=SIDE) for _ in range(12)]
    assert slope(images, 6, 40) == pytest.approx(-EXPONENT, abs=0.4)


def test_texture_has_the_deviation_that_was_asked_for():
    rng = np.random.default_rng(2)
    variances = [power_law_texture(rng, side=SIDE, deviation=1000.0, noise=0.0).var() for _ in range(60)]
    # The cut-off margin takes a little of the variance of the longest waves with it.
    assert np.sqrt(np.mean(variances)) == pytest.approx(1000, rel=0.15)


def test_noise_is_white_and_as_strong_as_asked_for():
    image = power_law_texture(np.random.default_rng(3), side=SIDE, deviation=0.0, noise=50.0)
    assert image.std() == pytest.approx(50, rel=0.02)
    assert abs(np.corrcoef(image[:-1].ravel(), image[1:].ravel())[0, 1]) < 0.02


def test_the_finest_detail_of_tissue_is_the_detectors_noise():
    image = draw_noise_tissue(np.random.default_rng(4), magnification=1.0, side=SIDE)
    highest = np.diff(np.diff(image, axis=0), axis=1)[::2, ::2]  # variance 4 for white noise
    assert highest.std() / 2 == pytest.approx(NOISE, rel=0.25)


def test_opposite_edges_are_strangers():
    rng = np.random.default_rng(5)
    images = [power_law_texture(rng, side=SIDE, deviation=1000.0, noise=0.0) for _ in range(30)]
    across = np.mean([np.abs(i[:, 0] - i[:, -1]).mean() for i in images])
    neighbours = np.mean([np.abs(i[:, 0] - i[:, 1]).mean() for i in images])
    assert across > 4 * neighbours


def test_structures_grow_with_magnification():
    spread = {}
    for magnification in (1.0, 4.0):
        rng = np.random.default_rng(6)
        images = [draw_noise_tissue(rng, magnification=magnification, side=SIDE) for _ in range(10)]
        frequency, power = radial_power(images)
        spread[magnification] = np.sqrt(power[10:30].mean())
        del frequency
    assert spread[4.0] / spread[1.0] == pytest.approx(2.0, rel=0.3)


def test_grey_levels_are_those_of_a_breast():
    rng = np.random.default_rng(7)
    for _ in range(5):
        image = draw_noise_tissue(rng, magnification=1.5, side=SIDE)
        assert image.dtype == np.float32
        assert 5_000 < image.min() < image.max() < 55_000


def test_tissue_is_the_same_for_the_same_numbers():
    one, two = (draw_noise_tissue(np.random.default_rng(8), magnification=1.0, side=SIDE) for _ in range(2))
    np.testing.assert_array_equal(one, two)
