"""The calcifications of a phantom lesion: where they lie in the breast, what shape they have, how they look in a view.

Every calcification is a few capsules (a line segment with a radius) in millimetres of the breast, so that all views of
a lesion show the same arrangement from another side. Axes of the breast: x towards the nipple, y towards the middle, z
upwards; origin in the middle of the lesion. Axes of an image: (row, col) in pixels, row downwards. Tissue, noise and
labels live elsewhere.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microcalc.intake.phantom_model import Lesion
from microcalc.vocabulary import CalcDistribution, CalcMorphology, Laterality

__all__ = ["Arrangement", "Projection", "Sighting", "arrange", "draw", "project"]

Placement = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Points (n, 3) in mm, and the unit direction (n, 3) of the duct at each."""

Points = NDArray[np.float64]
"""(n, 3) millimetres, or (n, 2) pixels."""

SMALLEST_MM = 0.14
LARGEST_MM = 0.70
"""Sizes of calcifications: 2 to 10 pixels of 0.07 mm."""

EDGE_PIXELS = 1.3
"""Width of a calcification's edge, 10 to 90 %: detector and scatter."""


STRING_LENGTH = 8
STRING_STEP_MM = 0.80
"""Fine linear branching: calcifications in a forked string, and from one to the next."""


@dataclass(frozen=True)
class Arrangement:
    """A lesion in the breast.

    Attributes:
        centres: (n, 3) mm, one calcification each.
        sizes: (n,) mm, diameter of the ball around it.
        contrasts: (n,) grey levels at full thickness.
        owner: (k,) which calcification each capsule belongs to, ascending.
        starts, ends: (k, 3) mm, the ends of each capsule's axis, relative to its calcification's centre.
        radii: (k,) mm.
        softness: 0 for a sharp edge, 1 for a haze without one.
    """

    centres: Points
    sizes: NDArray[np.float64]
    contrasts: NDArray[np.float64]
    owner: NDArray[np.int64]
    starts: Points
    ends: Points
    radii: NDArray[np.float64]
    softness: float


@dataclass(frozen=True)
class Projection:
    """How a view looks at the breast.

    Attributes:
        tilt: degrees between the beam and the vertical: 0 CC, about 45 MLO.
        turn: degrees by which the breast is turned in the image plane.
        laterality: the nipple is on the right of a left breast's image, and on the left of a right one's.
        magnification: 1, or 1.5 to 1.8 for a spot magnification.
        pixel_mm: pixel spacing at the detector.
        centre: (row, col) pixel on which the lesion's middle falls.
    """

    tilt: float
    turn: float
    laterality: Laterality
    magnification: float
    pixel_mm: float
    centre: tuple[float, float]

    @property
    def pixels_per_mm(self) -> float:
        """Pixels of the image for one millimetre in the breast."""
        return self.magnification / self.pixel_mm

    def pixels(self, offsets: Points) -> Points:
        """(n, 2) displacement in pixels of (n, 3) displacements in the breast."""
        tilt, turn = np.deg2rad(self.tilt), np.deg2rad(self.turn)
        side = 1.0 if self.laterality is Laterality.LEFT else -1.0
        col = side * offsets[:, 0]
        row = -(np.cos(tilt) * offsets[:, 1] + np.sin(tilt) * offsets[:, 2])
        turned = np.stack([np.cos(turn) * row + np.sin(turn) * col, np.cos(turn) * col - np.sin(turn) * row], axis=1)
        return np.asarray(turned * self.pixels_per_mm)


@dataclass(frozen=True)
class Sighting:
    """What of a lesion is seen in one image.

    Attributes:
        index: (m,) which calcifications of the arrangement.
        centres: (m, 2) row and col in pixels.
        sizes: (m,) pixels, magnified.
        contrasts: (m,) grey levels.
    """

    index: NDArray[np.int64]
    centres: Points
    sizes: NDArray[np.float64]
    contrasts: NDArray[np.float64]


# Where: distributions ------------------------------------------------------------------------------------------------


def _unit(vectors: Points) -> Points:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _ductal(rng: np.random.Generator, n: int, spread: float) -> Points:
    """(n, 3) unit vectors along ducts, that is mainly towards the nipple."""
    return _unit(np.array([1.0, 0.0, 0.0]) + spread * rng.standard_normal((n, 3)))


def _in_ellipsoid(rng: np.random.Generator, n: int, semi_axes: Points) -> Placement:
    """Evenly in an ellipsoid of any orientation."""
    points = _unit(rng.standard_normal((n, 3))) * rng.random((n, 1)) ** (1 / 3) * semi_axes
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return points @ turn, _ductal(rng, n, 0.6)


def _grouped(rng: np.random.Generator, n: int) -> Placement:
    return _in_ellipsoid(rng, n, rng.uniform(3.0, 5.0) * rng.uniform(0.75, 1.0, 3))


def _regional(rng: np.random.Generator, n: int) -> Placement:
    return _in_ellipsoid(rng, n, rng.uniform(11.0, 14.0) * rng.uniform(0.8, 1.0, 3))


def _diffuse(rng: np.random.Generator, n: int) -> Placement:
    """All over the image and beyond."""
    points = rng.uniform(-19.0, 19.0, (n, 3))
    points[:3] *= 0.25  # so that no view is empty, however magnified
    return points, _ductal(rng, n, 0.6)


def _linear(rng: np.random.Generator, n: int) -> Placement:
    """Along one duct, gently bent."""
    half, bend = rng.uniform(7.0, 10.0), rng.uniform(0.0, 0.02)
    along = half * (2 * (np.arange(n) + rng.random(n)) / n - 1)
    direction = _ductal(rng, 1, 0.45)
    aside = _unit(np.cross(direction, rng.standard_normal((1, 3))))
    points = along[:, None] * direction + bend * along[:, None] ** 2 * aside + 0.35 * rng.standard_normal((n, 3))
    return points, _unit(direction + 2 * bend * along[:, None] * aside)


def _segmental(rng: np.random.Generator, n: int) -> Placement:
    """A wedge of the breast with its tip towards the nipple."""
    length, half_angle = rng.uniform(20.0, 25.0), np.deg2rad(rng.uniform(13.0, 19.0))
    axis = _ductal(rng, 1, 0.3)
    across = np.cross(axis, _unit(rng.standard_normal((n, 3)))) * np.sqrt(rng.random((n, 1))) * np.tan(half_angle)
    along = length * np.sqrt(rng.uniform(0.01, 1.0, (n, 1)))
    return length * 0.6 * axis - along * (axis + across), _unit(axis + across)


_PLACES: Mapping[CalcDistribution, Callable[[np.random.Generator, int], Placement]] = {
    CalcDistribution.DIFFUSE: _diffuse,
    CalcDistribution.REGIONAL: _regional,
    CalcDistribution.GROUPED: _grouped,
    CalcDistribution.LINEAR: _linear,
    CalcDistribution.SEGMENTAL: _segmental,
}


def _branches(rng: np.random.Generator, places: Callable[[np.random.Generator, int], Placement], n: int) -> Placement:
    """Casts of ducts: strings of calcifications that fork, begun at places of the distribution."""
    strings = max(1, round(n / STRING_LENGTH))
    starts, directions = places(rng, strings)
    share = np.full(strings, n // strings) + (np.arange(strings) < n % strings)
    pieces = [_string(rng, starts[i], directions[i], int(share[i])) for i in range(strings)]
    return np.concatenate([p for p, _ in pieces]), np.concatenate([d for _, d in pieces])


def _string(rng: np.random.Generator, start: Points, direction: Points, n: int) -> Placement:
    """One forked string of n steps: a main line, and a branch from its middle."""
    main = max(1, round(0.6 * n))
    step = STRING_STEP_MM * rng.uniform(0.85, 1.15, (n, 1))
    wander = 0.16 * rng.standard_normal((n, 3))
    fork = _unit(np.cross(direction, rng.standard_normal(3)))
    trunk = _unit(direction + np.cumsum(wander[:main], axis=0))
    branch = _unit(direction + 0.9 * fork + np.cumsum(wander[main:], axis=0))
    points = start + np.cumsum(step[:main] * trunk, axis=0)
    forked = points[main // 2] + np.cumsum(step[main:] * branch, axis=0)
    centred = np.concatenate([points, forked]) - main / 2 * STRING_STEP_MM * direction
    return centred, np.concatenate([trunk, branch])


# What: morphologies --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Capsules:
    """Capsules of n calcifications, c each, brought to size later; arrays (n, c, 3) and (n, c)."""

    starts: Points
    ends: Points
    radii: NDArray[np.float64]


def _balls(rng: np.random.Generator, tangents: Points) -> _Capsules:
    """Round and punctate: nearly spheres."""
    half = 0.04 * rng.standard_normal((len(tangents), 1, 3))
    return _Capsules(-half, half, np.full((len(tangents), 1), 0.47))


def _lumps(rng: np.random.Generator, tangents: Points) -> _Capsules:
    """Coarse heterogeneous: several thick pieces grown together."""
    n = len(tangents)
    middle = _unit(rng.standard_normal((n, 5, 3))) * rng.uniform(0.14, 0.26, (n, 5, 1))
    half = 0.08 * rng.standard_normal((n, 5, 3))
    return _Capsules(middle - half, middle + half, rng.uniform(0.17, 0.27, (n, 5)))


def _shards(rng: np.random.Generator, tangents: Points) -> _Capsules:
    """Fine pleomorphic: crushed stone, no two alike."""
    n = len(tangents)
    middle = _unit(rng.standard_normal((n, 3, 3))) * rng.uniform(0.05, 0.28, (n, 3, 1))
    half = 0.12 * rng.standard_normal((n, 3, 3))
    return _Capsules(middle - half, middle + half, rng.uniform(0.08, 0.24, (n, 3)))


def _casts(rng: np.random.Generator, tangents: Points) -> _Capsules:
    """Fine linear: thin casts along the duct, with a bend in the middle."""
    n = len(tangents)
    bend = 0.10 * rng.standard_normal((n, 3))
    along = _unit(tangents + 0.25 * rng.standard_normal((n, 3)))
    starts = np.stack([-0.42 * along, bend], axis=1)
    ends = np.stack([bend, 0.42 * along], axis=1)
    return _Capsules(starts, ends, rng.uniform(0.10, 0.19, (n, 2)))


_SHAPES: Mapping[CalcMorphology, Callable[[np.random.Generator, Points], _Capsules]] = {
    CalcMorphology.ROUND: _balls,
    CalcMorphology.PUNCTATE: _balls,
    CalcMorphology.COARSE: _lumps,
    CalcMorphology.AMORPHOUS: _balls,
    CalcMorphology.FINE_PLEOMORPHIC: _shards,
    CalcMorphology.FINE_LINEAR_BRANCHING: _casts,
}


def arrange(lesion: Lesion, rng: np.random.Generator) -> Arrangement:
    """Lay a lesion's calcifications out in the breast.

    Args:
        lesion: its descriptors decide number, sizes, contrasts, shapes and places.
        rng: everything else.
    """
    places, n = _PLACES[lesion.distribution], lesion.number
    branching = lesion.morphology is CalcMorphology.FINE_LINEAR_BRANCHING
    centres, tangents = _branches(rng, places, n) if branching else places(rng, n)
    spread = np.clip(1 + lesion.size_variation * rng.standard_normal(n), 0.35, 2.0)
    sizes = np.clip(lesion.size_mm * spread, SMALLEST_MM, LARGEST_MM)
    brightness = (sizes / lesion.size_mm) ** 0.7 * np.exp(lesion.size_variation * 0.5 * rng.standard_normal(n))
    shape = _SHAPES[lesion.morphology](rng, tangents)
    reach = np.maximum(np.linalg.norm(shape.starts, axis=2), np.linalg.norm(shape.ends, axis=2)) + shape.radii
    scale = (sizes / (2 * reach.max(axis=1)))[:, None]
    return Arrangement(
        centres=centres,
        sizes=sizes,
        contrasts=lesion.contrast * np.clip(brightness, 0.4, 1.8),
        owner=np.repeat(np.arange(n), shape.radii.shape[1]),
        starts=(shape.starts * scale[..., None]).reshape(-1, 3),
        ends=(shape.ends * scale[..., None]).reshape(-1, 3),
        radii=(shape.radii * scale).ravel(),
        softness=1.0 if lesion.morphology is CalcMorphology.AMORPHOUS else 0.0,
    )


# How it looks --------------------------------------------------------------------------------------------------------


def project(arrangement: Arrangement, view: Projection, side: int) -> Sighting:
    """Which calcifications fall on an image of side x side pixels, and where."""
    centres = view.pixels(arrangement.centres) + np.asarray(view.centre)
    index = np.flatnonzero(((centres >= 0) & (centres <= side - 1)).all(axis=1))
    return Sighting(
        index=index,
        centres=centres[index],
        sizes=arrangement.sizes[index] * view.pixels_per_mm,
        contrasts=arrangement.contrasts[index],
    )


def draw(arrangement: Arrangement, view: Projection, sighting: Sighting, side: int) -> NDArray[np.float32]:
    """(side, side) grey levels that the calcifications add to the tissue.

    Each is drawn on a small patch: the brightest of its capsules at every pixel, so that overlapping capsules of one
    calcification do not add up, while calcifications behind each other do.
    """
    spread = 2.0 if arrangement.softness else 0.75
    reach = int(np.ceil(spread * float(sighting.sizes.max(initial=1.0)) + 3))
    canvas = np.zeros((side + 2 * reach, side + 2 * reach), dtype=np.float32)
    whole = np.rint(sighting.centres).astype(np.int64)
    patches = _patches(arrangement, view, sighting, reach)
    for (row, col), patch in zip(whole, patches, strict=True):
        canvas[row : row + 2 * reach + 1, col : col + 2 * reach + 1] += patch
    return canvas[reach : reach + side, reach : reach + side]


def _patches(arrangement: Arrangement, view: Projection, sighting: Sighting, reach: int) -> NDArray[np.float32]:
    """(m, 2 reach + 1, 2 reach + 1) one patch for each calcification in sight."""
    mine = np.isin(arrangement.owner, sighting.index)
    fraction = sighting.centres - np.rint(sighting.centres)
    owner = np.searchsorted(sighting.index, arrangement.owner[mine])
    start = (view.pixels(arrangement.starts[mine]) + fraction[owner]).astype(np.float32)[:, :, None, None]
    axis = view.pixels(arrangement.ends[mine] - arrangement.starts[mine]).astype(np.float32)[:, :, None, None]
    radius = (arrangement.radii[mine] * view.pixels_per_mm).astype(np.float32)[:, None, None]
    grid = np.arange(-reach, reach + 1, dtype=np.float32)
    row, col = grid[:, None] - start[:, 0], grid[None, :] - start[:, 1]
    length = np.maximum((axis**2).sum(axis=1), np.float32(1e-6))
    along = np.clip((row * axis[:, 0] + col * axis[:, 1]) / length, 0, 1)
    distance = np.hypot(row - along * axis[:, 0], col - along * axis[:, 1])
    profile = _haze(distance, radius) if arrangement.softness else _solid(distance, radius)
    first = np.searchsorted(owner, np.arange(len(sighting.index)))
    if not len(first):
        return np.zeros((0, len(grid), len(grid)), dtype=np.float32)
    return np.maximum.reduceat(profile, first, axis=0) * sighting.contrasts.astype(np.float32)[:, None, None]


def _solid(distance: NDArray[np.float32], radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """A dome with a blurred edge; 1 in the middle."""
    thickness = np.sqrt(np.maximum(1 - (distance / (radius + EDGE_PIXELS)) ** 2, 0))
    edge = np.clip((radius - distance) / EDGE_PIXELS + 0.5, 0, 1)
    return np.asarray(thickness * edge * edge * (3 - 2 * edge), dtype=np.float32)


def _haze(distance: NDArray[np.float32], radius: NDArray[np.float32]) -> NDArray[np.float32]:
    """No edge at all."""
    squared = (distance / (radius + EDGE_PIXELS)) ** 2
    return np.asarray(0.75 * np.exp(-squared) + 0.25 * np.exp(-squared / 5), dtype=np.float32)
