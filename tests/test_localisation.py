"""Mass inside a mask and the pointing game, on maps that can be counted by hand."""

import math

import numpy as np
import pytest
import torch

from microcalc.errors import StatisticsError
from microcalc.learn.gradcam import heatmaps
from microcalc.learn.localisation import cells_on_lesion, even_share, pointing_hit, share_inside

MASK = np.zeros((40, 40), dtype=bool)
MASK[10:20, 10:20] = True


def near(mask, cells, **options):
    return cells_on_lesion(mask, np.shape(cells), **options)


def spot(row, column, value=1.0):
    heatmap = np.zeros((40, 40))
    heatmap[row, column] = value
    return heatmap


def test_the_share_of_an_even_heatmap_is_the_share_of_the_area():
    assert share_inside(np.ones((40, 40)), MASK) == pytest.approx(100 / 1600)


@pytest.mark.parametrize("side", [40, 30, 21])
def test_the_even_share_is_what_an_even_heatmap_of_the_seen_square_reaches(side):
    even = heatmaps(torch.ones(1, 3, 3), side=side, roi_side=40)[0].numpy()
    assert even_share(MASK, seen_side=side) == pytest.approx(share_inside(even, MASK))


@pytest.mark.parametrize("side", [0, 41])
def test_a_seen_square_outside_the_mask_is_refused(side):
    with pytest.raises(StatisticsError, match=rf"got \(40, 40\) and side {side}"):
        even_share(MASK, seen_side=side)


def test_the_share_counts_mass():
    assert share_inside(spot(12, 12, 3.0) + spot(30, 30, 1.0), MASK) == pytest.approx(0.75)


def test_the_share_of_nothing_is_undefined():
    assert math.isnan(share_inside(np.zeros((40, 40)), MASK))


def test_masks_of_0_and_255_are_masks():
    assert share_inside(spot(12, 12), MASK.astype(np.uint8) * 255) == 1.0


def test_float32_mass_is_summed_in_float64():
    assert share_inside(np.full((4096, 1024), 0.1, np.float32), np.ones((4096, 1024), bool)) == 1.0


@pytest.mark.parametrize(
    ("row", "column", "hit"), [(15, 15, True), (10, 10, True), (24, 15, True), (25, 15, False), (22, 23, True)]
)
def test_pointing_allows_a_miss_of_five_pixels(row, column, hit):
    # The mask ends at 19; row 24 is 5 away, row 25 is 6; (22, 23) is at distance 5 = hypot(3, 4) of its corner.
    assert pointing_hit(spot(row, column), near(MASK, spot(row, column), seen_side=40, tolerance_pixels=5)) is hit


def test_pointing_at_the_mask_needs_no_tolerance():
    assert pointing_hit(spot(19, 19), near(MASK, spot(19, 19), seen_side=40, tolerance_pixels=0))
    assert not pointing_hit(spot(20, 20), near(MASK, spot(20, 20), seen_side=40, tolerance_pixels=0))


def test_a_plateau_points_with_its_middle():
    plateau = np.zeros((40, 40))
    plateau[0:31, 15] = 1.0  # from the border to beyond the mask; its middle, row 15, is inside
    assert pointing_hit(plateau, near(MASK, plateau, seen_side=40, tolerance_pixels=0))


def test_a_heatmap_of_zeros_and_an_empty_mask_are_misses():
    assert not pointing_hit(np.zeros((40, 40)), near(MASK, np.zeros((40, 40)), seen_side=40))
    assert not pointing_hit(spot(1, 1), near(np.zeros((40, 40), bool), spot(1, 1), seen_side=40))


def test_what_is_no_heatmap_is_refused():
    with pytest.raises(StatisticsError, match=r"got \(4, 4\) and \(40, 40\)"):
        share_inside(np.ones((4, 4)), MASK)
    with pytest.raises(StatisticsError, match=r"got \(4,\) and \(40, 40\)"):
        pointing_hit(np.ones(4), MASK)
    for value in (-1.0, np.nan):
        with pytest.raises(StatisticsError, match="finite and not negative"):
            share_inside(spot(1, 1, value), MASK)
        with pytest.raises(StatisticsError, match="finite and not negative"):
            pointing_hit(spot(1, 1, value), near(MASK, spot(1, 1, value), seen_side=40))
    with pytest.raises(StatisticsError, match="the seen square must lie in the mask"):
        cells_on_lesion(MASK, (4, 4), seen_side=41)


@pytest.mark.parametrize(("side", "count"), [(512, 7), (352, 3), (352, 2)])
def test_every_cell_points_with_its_own_middle_also_at_the_border(side, count):
    """The middles are those of the enlargement: a mask of 4 x 4 pixels around each is hit by that cell alone."""
    offset, width = (512 - side) / 2, side / count
    for i, j in ((0, 0), (count - 1, 0), (1, count - 1)):
        cells = np.zeros((count, count))
        cells[i, j] = 1.0
        row, column = (round(offset + (k + 0.5) * width) for k in (i, j))
        mask = np.zeros((512, 512), bool)
        mask[row - 2 : row + 2, column - 2 : column + 2] = True
        assert pointing_hit(cells, near(mask, cells, seen_side=side, tolerance_pixels=0.8))
        assert pointing_hit(1 - cells, near(mask, 1 - cells, seen_side=side, tolerance_pixels=0.8)) is False
        found = cells_on_lesion(mask, cells.shape, seen_side=side, tolerance_pixels=0.8)
        np.testing.assert_array_equal(found, cells > 0)


def test_the_chance_of_a_hit_is_the_share_of_the_cells():
    found = cells_on_lesion(MASK, (40, 40), seen_side=40, tolerance_pixels=0)
    np.testing.assert_array_equal(found, MASK)
    assert cells_on_lesion(MASK, (40, 40), seen_side=40, tolerance_pixels=1).sum() == 100 + 4 * 10
    assert not cells_on_lesion(np.zeros((40, 40), bool), (4, 4), seen_side=40).any()
