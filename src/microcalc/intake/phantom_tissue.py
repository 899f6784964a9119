"""Breast tissue without a breast: power-law texture with strands, and the noise of a detector.

The texture is Gaussian noise whose power falls with the third power of the frequency, as Burgess, Jacobson and Judy
(Med Phys 28:419, 2001) measured in mammograms. Gently bent strands stand in for ligaments, ducts and vessels, which
are not Gaussian. Grey levels are those of an image for presentation: 0 black to 65535 white. Calcifications are drawn
elsewhere, tiles of real mammograms live in `microcalc.intake.phantom_mammograms`.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

__all__ = ["EXPONENT", "Grey", "draw_noise_tissue", "power_law_texture"]

Grey = NDArray[np.float32]
"""(side, side) grey levels, 0 to 65535."""

EXPONENT = 3.0
"""Power over frequency: P(f) = f ** -EXPONENT (Burgess 2001)."""

MARGIN = 64
"""Pixels drawn beyond the image and cut off, because the Fourier transform joins opposite edges."""

NOISE = 200.0
"""Standard deviation of the detector's noise, grey levels, at every frequency alike."""

MEAN_GREY = (17_000.0, 33_000.0)
TEXTURE_GREY = (1_500.0, 2_400.0)
"""Limits of the mean and of the standard deviation of the texture."""

RAMP_GREY = 1_500.0
"""Standard deviation of the change from the middle to an edge: the breast is thicker towards the chest wall."""

STRANDS = 14.0
"""Strands in an image, on average."""

STRAND_GREY = (300.0, 1_300.0)
STRAND_PIXELS = (1.2, 4.0)
"""Limits of a strand's contrast and of the standard deviation of its profile."""


def draw_noise_tissue(rng: np.random.Generator, *, magnification: float, side: int) -> Grey:
    """Draw tissue with detector noise, without a lesion.

    Args:
        magnification: of a spot view; structures grow with it, and a power law keeps its form: at equal frequency in
            pixels its amplitude grows by ``magnification ** ((EXPONENT - 2) / 2)``.
        side: rows and columns.
    """
    growth = magnification ** ((EXPONENT - 2) / 2)
    image = power_law_texture(rng, side=side, deviation=rng.uniform(*TEXTURE_GREY) * growth, noise=NOISE)
    for _ in range(rng.poisson(STRANDS)):
        _add_strand(rng, image, magnification)
    across = np.linspace(-1, 1, side, dtype=np.float32)
    ramp = (RAMP_GREY * rng.standard_normal(2)).astype(np.float32)
    image += np.float32(rng.uniform(*MEAN_GREY)) + ramp[0] * across[:, None] + ramp[1] * across[None, :]
    return image


def power_law_texture(rng: np.random.Generator, *, side: int, deviation: float, noise: float) -> Grey:
    """Draw Gaussian texture of zero mean and power-law spectrum, with white noise in it.

    Both spectra are added before the transform: one transform serves both.

    Args:
        side: rows and columns.
        deviation: standard deviation of the texture over the area that is transformed.
        noise: standard deviation of the white noise.
    """
    whole = side + MARGIN
    spectrum = np.sqrt(np.float32(deviation**2) * _power_law(whole) + np.float32(noise**2 * whole**2 / 2))
    spectrum[0, 0] = 0
    waves = rng.standard_normal((whole, whole // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0]
    texture = scipy.fft.irfft2(waves * spectrum, s=(whole, whole), overwrite_x=True)
    first = MARGIN // 2
    return np.ascontiguousarray(texture[first : first + side, first : first + side], dtype=np.float32)


@lru_cache(maxsize=4)
def _power_law(whole: int) -> Grey:
    """(whole, whole // 2 + 1) mean power of each wave for a texture of variance 1."""
    frequency = np.hypot(scipy.fft.fftfreq(whole)[:, None], scipy.fft.rfftfreq(whole)[None, :])
    frequency[0, 0] = 1
    power = frequency**-EXPONENT
    power[0, 0] = 0
    twice = np.full(whole // 2 + 1, 2.0)  # rfft keeps one of two conjugate waves
    twice[0] = twice[-1] = 1
    normalised = np.asarray(power * (whole**4 / 2 / (power * twice).sum()), dtype=np.float32)
    normalised.setflags(write=False)
    return normalised


def _add_strand(rng: np.random.Generator, image: Grey, magnification: float) -> None:
    """Add one bent, fading line to an image, mainly along the ducts, that is along the rows."""
    side = len(image)
    slope, target = float(np.tan(rng.normal(0, 0.5))), image
    if abs(slope) > 1:  # steep: go down the columns instead
        slope, target = 1 / slope, image.T
    place, length = rng.uniform(-256, 256), rng.uniform(80, 260)
    period, phase, swing = rng.uniform(150, 400), rng.random(), rng.normal(0, 6)
    height, bend = rng.uniform(-60, side + 60), rng.normal(0, 0.12)
    width = rng.uniform(*STRAND_PIXELS) * magnification * np.sqrt(1 + slope**2)
    along = np.arange(side) - side / 2
    columns = np.flatnonzero(np.abs(along - place) < 2 * length)
    along = along[columns]
    middle = height + slope * along + bend * along**2 / 256 + swing * np.sin(2 * np.pi * (along / period + phase))
    contrast = rng.uniform(*STRAND_GREY) * np.exp(-(((along - place) / length) ** 2))
    reach = int(3 * width) + 1
    rows = np.rint(middle).astype(np.int64) + np.arange(-reach, reach + 1)[:, None]
    profile = contrast * np.exp(-0.5 * ((rows - middle) / width) ** 2)
    inside = (rows >= 0) & (rows < side)
    target[rows[inside], np.broadcast_to(columns, rows.shape)[inside]] += profile[inside].astype(np.float32)
