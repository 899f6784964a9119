"""A finished picture, its mask, and its PNG read back by another program."""

import io
import time

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from microcalc.intake.phantom_image import GREY_STEP, compose, lesion_mask, to_png
from microcalc.intake.phantom_lesion import Arrangement, Projection, Sighting
from microcalc.vocabulary import Laterality

VIEW = Projection(0.0, 0.0, Laterality.LEFT, 1.0, 0.07, (255.5, 255.5))


def seen(*centres: tuple[float, float]) -> Sighting:
    n = len(centres)
    return Sighting(np.arange(n), np.array(centres, dtype=float).reshape(n, 2), np.full(n, 5.0), np.full(n, 1.0))


def dots(*centres_mm: tuple[float, float, float], contrast: float = 5_000.0) -> Arrangement:
    n = len(centres_mm)
    none = np.zeros((n, 3))
    sizes, contrasts = np.full(n, 0.5), np.full(n, contrast)
    return Arrangement(np.array(centres_mm), sizes, contrasts, np.arange(n), none, none, np.full(n, 0.25), 0.0)


@pytest.mark.parametrize("kind", [np.uint16, np.bool_])
def test_pillow_reads_the_png_back(kind):
    pixels = np.random.default_rng(0).integers(0, 65536, (37, 53)).astype(np.uint16)
    pixels = pixels if kind is np.uint16 else pixels > 30_000
    with Image.open(io.BytesIO(to_png(pixels))) as image:
        image.load()
        back = np.asarray(image)
    assert back.dtype == (np.uint16 if kind is np.uint16 else np.uint8)
    np.testing.assert_array_equal(back, pixels if kind is np.uint16 else pixels * 255)


def test_the_png_says_that_it_is_synthetic():
    with Image.open(io.BytesIO(to_png(np.zeros((4, 4), np.uint16)))) as image:
        assert "SYNTHETIC" in image.info["Title"]
        assert "not a patient" in image.info["Comment"]


def test_grey_levels_are_steps_of_the_detector_and_stay_in_range():
    tissue = np.full((512, 512), 65_000.0, np.float32)
    picture = compose(tissue, dots((0, 0, 0)), VIEW)
    assert picture.pixels.dtype == np.uint16
    assert (picture.pixels % GREY_STEP == 0).all()
    assert picture.pixels.max() == 65535 // GREY_STEP * GREY_STEP
    assert (tissue == 65_000).all()


def test_the_calcification_stands_out_by_its_contrast():
    picture = compose(np.full((512, 512), 20_000.0, np.float32), dots((1.0, 0, 0)), VIEW)
    row, col = np.unravel_index(picture.pixels.argmax(), picture.pixels.shape)
    assert (row, col) == pytest.approx(tuple(picture.sighting.centres[0]), abs=1)
    assert picture.pixels.max() - 20_000 == pytest.approx(5_000, rel=0.03)


def test_the_mask_joins_near_calcifications_and_parts_far_ones():
    near, far = seen((250, 200), (250, 240)), seen((250, 50), (250, 450))
    assert ndimage.label(lesion_mask(near, VIEW, 512))[1] == 1
    assert ndimage.label(lesion_mask(far, VIEW, 512))[1] == 2


def test_the_mask_leaves_a_millimetre_around_the_calcifications():
    mask = lesion_mask(seen((256, 256)), VIEW, 512)
    radius = np.sqrt(mask.sum() / np.pi) * 0.07
    assert radius == pytest.approx(1.0, abs=0.3)
    assert ndimage.center_of_mass(mask) == pytest.approx((256, 256), abs=4)


def test_the_mask_reaches_the_edge_with_the_lesion():
    mask = lesion_mask(seen((2, 256), (30, 256)), VIEW, 512)
    assert mask[0, 256]
    assert not mask[200, 256]


def test_nothing_in_sight_has_an_empty_mask():
    assert not lesion_mask(seen(), VIEW, 512).any()


def test_packing_is_quick_because_grain_does_not_repeat():
    grain = (np.random.default_rng(1).normal(30_000, 300, (512, 512)) // 16 * 16).astype(np.uint16)
    began = time.process_time()
    mine = len(to_png(grain))
    took = time.process_time() - began
    buffer = io.BytesIO()
    began = time.process_time()
    Image.fromarray(grain).save(buffer, "PNG")
    assert took < time.process_time() - began
    assert mine < 1.1 * len(buffer.getvalue())
