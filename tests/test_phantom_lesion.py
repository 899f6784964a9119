"""Calcifications: where they lie, what shape they have, how they look from a side."""

import numpy as np
import pytest

from microcalc.intake.phantom_lesion import (
    LARGEST_MM,
    SMALLEST_MM,
    Arrangement,
    Projection,
    arrange,
    draw,
    project,
)
from microcalc.intake.phantom_model import (
    DISTRIBUTIONS,
    MORPHOLOGIES,
    Descriptors,
    Lesion,
    label_model,
    lesion_from,
)
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Laterality

SIDE = 512


def lesion(morphology: CalcMorphology, distribution: CalcDistribution = CalcDistribution.GROUPED) -> Lesion:
    which = np.array([MORPHOLOGIES.index(morphology)]), np.array([DISTRIBUTIONS.index(distribution)])
    return lesion_from(Descriptors(*which, np.zeros((1, 4))), 0, label_model(1.0))


def laid_out(morphology: CalcMorphology, distribution: CalcDistribution = CalcDistribution.GROUPED, seed: int = 0):
    return arrange(lesion(morphology, distribution), np.random.default_rng(seed))


def view(**changes: object) -> Projection:
    values = {
        "tilt": 0.0,
        "turn": 0.0,
        "laterality": Laterality.LEFT,
        "magnification": 1.0,
        "pixel_mm": 0.07,
        "centre": (255.5, 255.5),
    }
    return Projection(**(values | changes))  # type: ignore[arg-type]


def ball(radius_mm: float, *, contrast: float = 1000.0, centre: tuple[float, float, float] = (0, 0, 0)) -> Arrangement:
    none = np.zeros((1, 3))
    return Arrangement(
        np.array([centre], dtype=float), np.array([2 * radius_mm]), np.array([contrast]), np.array([0]), none, none,
        np.array([radius_mm]), 0.0,
    )  # fmt: skip


def extents_mm(distribution: CalcDistribution, seed: int) -> np.ndarray:
    """Standard deviations along the principal axes of a projection, the largest first."""
    arrangement = laid_out(CalcMorphology.AMORPHOUS, distribution, seed)
    flat = view().pixels(arrangement.centres) * 0.07
    return np.sqrt(np.sort(np.linalg.eigvalsh(np.cov(flat.T)))[::-1])


@pytest.mark.parametrize("morphology", MORPHOLOGIES)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_sizes_are_two_to_ten_pixels(morphology, distribution):
    arrangement = laid_out(morphology, distribution)
    assert len(arrangement.centres) == lesion(morphology, distribution).number
    assert arrangement.sizes.min() >= SMALLEST_MM
    assert arrangement.sizes.max() <= LARGEST_MM
    np.testing.assert_allclose(np.array([SMALLEST_MM, LARGEST_MM]) / 0.07, [2, 10])


@pytest.mark.parametrize("morphology", MORPHOLOGIES)
def test_a_calcification_is_as_large_as_it_says(morphology):
    a = laid_out(morphology)
    tips = np.maximum(np.linalg.norm(a.starts, axis=1), np.linalg.norm(a.ends, axis=1)) + a.radii
    largest = [tips[a.owner == i].max() for i in range(len(a.sizes))]
    np.testing.assert_allclose(largest, a.sizes / 2)


def test_a_ball_is_drawn_where_the_truth_says():
    arrangement, at = ball(0.3, centre=(1.0, -2.0, 5.0)), view(centre=(200.25, 300.5))
    seen = project(arrangement, at, SIDE)
    picture = draw(arrangement, at, seen, SIDE).astype(float)
    rows, cols = np.indices(picture.shape)
    centroid = (rows * picture).sum() / picture.sum(), (cols * picture).sum() / picture.sum()
    assert centroid == pytest.approx(tuple(seen.centres[0]), abs=0.02)
    assert tuple(seen.centres[0]) == pytest.approx((200.25 + 2.0 / 0.07, 300.5 + 1.0 / 0.07))
    assert picture.max() == pytest.approx(1000, rel=0.02)


def test_a_ball_is_as_wide_as_the_truth_says():
    picture = draw(ball(0.3), view(), project(ball(0.3), view(), SIDE), SIDE)
    wide = np.flatnonzero(picture[255] > 0.3 * picture.max())
    assert len(wide) == pytest.approx(0.6 / 0.07, abs=1)


def test_calcifications_behind_each_other_add_up():
    one = ball(0.3)
    two = Arrangement(
        np.repeat(one.centres, 2, axis=0), np.repeat(one.sizes, 2), np.repeat(one.contrasts, 2), np.array([0, 1]),
        np.zeros((2, 3)), np.zeros((2, 3)), np.repeat(one.radii, 2), 0.0,
    )  # fmt: skip
    single, double = (draw(a, view(), project(a, view(), SIDE), SIDE) for a in (one, two))
    np.testing.assert_allclose(double, 2 * single, rtol=1e-5)


def test_a_lesion_beyond_the_edge_is_not_seen_and_one_on_the_edge_is_cut():
    away, edge = view(centre=(-5000.0, 255.5)), view(centre=(0.0, 255.5))
    assert len(project(ball(0.3), away, SIDE).index) == 0
    assert not draw(ball(0.3), away, project(ball(0.3), away, SIDE), SIDE).any()
    assert draw(ball(0.3), edge, project(ball(0.3), edge, SIDE), SIDE)[0].max() > 900


def test_spot_magnification_shows_the_lesion_larger():
    arrangement = laid_out(CalcMorphology.ROUND)
    contact, spot = (project(arrangement, view(magnification=m), SIDE) for m in (1.0, 1.6))
    np.testing.assert_allclose(spot.centres - 255.5, 1.6 * (contact.centres - 255.5))
    np.testing.assert_allclose(spot.sizes, 1.6 * contact.sizes)


def test_cc_looks_down_and_mlo_from_aside():
    up = np.array([[0.0, 0.0, 1.0]])
    np.testing.assert_allclose(view(tilt=0).pixels(up), [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(view(tilt=45).pixels(up) * 0.07, [[-np.sqrt(0.5), 0]], atol=1e-12)


def test_the_nipple_is_on_the_right_of_a_left_breast():
    towards_the_nipple = np.array([[1.0, 0.0, 0.0]])
    assert view().pixels(towards_the_nipple)[0, 1] > 0
    assert view(laterality=Laterality.RIGHT).pixels(towards_the_nipple)[0, 1] < 0


def test_two_views_show_one_arrangement():
    arrangement = laid_out(CalcMorphology.COARSE, CalcDistribution.REGIONAL)
    cc, mlo = (view(tilt=t).pixels(arrangement.centres) for t in (0.0, 45.0))
    np.testing.assert_allclose(cc[:, 1], mlo[:, 1])
    assert not np.allclose(cc[:, 0], mlo[:, 0])


def test_turning_keeps_distances():
    points = laid_out(CalcMorphology.ROUND).centres
    straight, turned = (np.linalg.norm(view(turn=t).pixels(points), axis=1) for t in (0.0, 33.0))
    np.testing.assert_allclose(straight, turned)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_small_a_region_large_and_diffuse_everywhere(seed):
    grouped, regional, diffuse = (
        extents_mm(d, seed)[0] for d in (CalcDistribution.GROUPED, CalcDistribution.REGIONAL, CalcDistribution.DIFFUSE)
    )
    assert grouped < 3 < regional < 8 < diffuse


@pytest.mark.parametrize("seed", range(5))
def test_linear_is_a_line_and_grouped_is_none(seed):
    line, group = extents_mm(CalcDistribution.LINEAR, seed), extents_mm(CalcDistribution.GROUPED, seed)
    assert line[0] > 5 * line[1]
    assert group[0] < 2.5 * group[1]


@pytest.mark.parametrize("seed", range(5))
def test_segmental_narrows_towards_the_nipple(seed):
    centres = laid_out(CalcMorphology.AMORPHOUS, CalcDistribution.SEGMENTAL, seed).centres
    axis = np.linalg.svd(centres - centres.mean(axis=0))[2][0]
    axis *= np.sign(axis[0])  # towards the nipple
    along = (centres - centres.mean(axis=0)) @ axis
    aside = np.linalg.norm(centres - centres.mean(axis=0) - along[:, None] * axis, axis=1)
    near, far = along > np.quantile(along, 0.75), along < np.quantile(along, 0.25)
    assert aside[near].mean() < 0.8 * aside[far].mean()


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("morphology", MORPHOLOGIES)
def test_something_is_seen_of_every_lesion_in_the_strongest_magnification(morphology, distribution):
    for seed in range(10):
        seen = project(laid_out(morphology, distribution, seed), view(magnification=1.8, centre=(235, 275)), SIDE)
        assert len(seen.index) >= 3


def test_fine_linear_calcifications_are_thin_and_lie_end_to_end():
    a = laid_out(CalcMorphology.FINE_LINEAR_BRANCHING, CalcDistribution.LINEAR)
    assert (2 * a.radii <= 0.4 * a.sizes[a.owner]).all()
    steps = np.linalg.norm(np.diff(a.centres, axis=0), axis=1)
    assert np.median(steps) < 1.0  # the next one is within a millimetre, as beads on a string


def test_pleomorphic_calcifications_differ_more_than_punctate_ones():
    spread = {}
    for morphology in (CalcMorphology.FINE_PLEOMORPHIC, CalcMorphology.PUNCTATE):
        sizes = np.concatenate([laid_out(morphology, seed=s).sizes for s in range(10)])
        spread[morphology] = sizes.std() / sizes.mean()
    assert spread[CalcMorphology.FINE_PLEOMORPHIC] > 2 * spread[CalcMorphology.PUNCTATE]


def test_amorphous_calcifications_have_no_edge():
    steepest = {}
    for morphology in (CalcMorphology.AMORPHOUS, CalcMorphology.PUNCTATE):
        arrangement = laid_out(morphology)
        picture = draw(arrangement, view(), project(arrangement, view(), SIDE), SIDE)
        steepest[morphology] = np.abs(np.diff(picture, axis=0)).max() / picture.max()
    assert steepest[CalcMorphology.AMORPHOUS] < 0.6 * steepest[CalcMorphology.PUNCTATE]


def test_the_same_numbers_lay_out_the_same_lesion():
    one, two, other = (laid_out(CalcMorphology.COARSE, seed=s) for s in (4, 4, 5))
    np.testing.assert_array_equal(one.starts, two.starts)
    assert not np.array_equal(one.centres, other.centres)
