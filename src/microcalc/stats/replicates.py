"""Bootstrap replicates as weights: how often each image was drawn, by image or by patient.

All replicates of a statistic are computed together from these weights, in pieces so that memory stays linear in the
number of images. Images are drawn within their class, as the paper and pROC do: the share of malignant ones is given.
Patients are drawn with all their images and without strata: who comes is left to chance, and so is the share of
malignant images, on which predictive values, net benefit, precision and the Brier score depend. (Patients drawn within
strata gave them limits that held the truth in 65 to 90 of 100 studies instead of 95.) What limits are made of
replicates is in `bootstrap`.

Source: Field and Welsh, J R Stat Soc B 69:369 (2007) on drawing clusters.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from microcalc.errors import StatisticsError
from microcalc.stats.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    checked_clusters,
    checked_confidence,
    checked_labels,
)

__all__ = ["CountArray", "Descending", "Resampling", "percentiles", "resampling", "weighted_sums"]

CountArray = NDArray[np.int32]
"""Whole numbers below two thousand million: how often, how many."""

_CHUNK = 1 << 22
"""Weights held at once; keeps the memory linear in the number of images."""


@dataclass(frozen=True)
class Resampling:
    """How replicates are drawn.

    Attributes:
        strata: for each stratum the (c,) position of its images and the (c,) number of the unit that each belongs to.
        images: n.
        replicates: how many.
        seed: of the generator; the same seed gives the same replicates, whatever the memory.
        by: ``image`` or ``patient``.
    """

    strata: tuple[tuple[IntArray, IntArray], ...]
    images: int
    replicates: int
    seed: int
    by: str

    def weights(self) -> Iterator[CountArray]:
        """All replicates, some rows at a time: (b, n) how often each image was drawn; read only."""
        if self._small:
            yield self._kept
        else:
            yield from self._drawn()

    def counts(self, malignant: BoolArray, score: FloatArray) -> Iterator[tuple[CountArray, CountArray]]:
        """True and false positives of each replicate at each cut-off, some rows at a time; see `Descending.counts`.

        The counts of the last score are kept while they are small, for several statistics ask for the same.
        """
        descending = Descending.of(malignant, score)
        if not self._small:
            for weights in self.weights():
                yield descending.counts(weights)
            return
        key = score.tobytes() + malignant.tobytes()
        if key not in self._last:
            self._last.clear()
            self._last[key] = descending.counts(self._kept)
        yield self._last[key]

    @cached_property
    def reason(self) -> str:
        """Why the replicates say nothing; empty where they do."""
        units = sum(int(part.max()) + 1 for _, part in self.strata)
        return f"a bootstrap needs at least 2 {self.by}s; there is 1" if units < 2 else ""

    @property
    def _small(self) -> bool:
        return self.images * self.replicates <= _CHUNK

    @cached_property
    def _last(self) -> dict[bytes, tuple[CountArray, CountArray]]:
        return {}

    @cached_property
    def _kept(self) -> CountArray:
        return next(self._drawn())

    def _drawn(self) -> Iterator[CountArray]:
        streams = np.random.SeedSequence(self.seed).spawn(len(self.strata))
        generators = [np.random.default_rng(stream) for stream in streams]
        rows = max(1, _CHUNK // self.images)
        for start in range(0, self.replicates, rows):
            count = min(rows, self.replicates - start)
            out = np.empty((count, self.images), dtype=np.int32)
            for (positions, units), generator in zip(self.strata, generators, strict=True):
                size = int(units.max()) + 1
                drawn = generator.integers(0, size, size=(count, size))
                drawn += np.arange(count)[:, None] * size
                times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
                out[:, positions] = times[:, units]
            out.setflags(write=False)
            yield out


def resampling(
    y_true: ArrayLike, *, clusters: ArrayLike | None = None, replicates: int = 1000, seed: int = 0
) -> Resampling:
    """Lay out a bootstrap: by image within the classes, or by patient.

    Args:
        y_true: (n,) 0 benign, 1 malignant.
        clusters: (n,) patient of each image; without it images are drawn.
        replicates: how many, at least 2.
        seed: of the generator.

    Raises:
        StatisticsError: labels or clusters that are not usable, fewer than 2 replicates.
    """
    malignant = checked_labels(y_true)
    if replicates < 2:
        raise StatisticsError(f"a bootstrap needs at least 2 replicates, better 1000; {replicates} came")
    if clusters is None:
        every = np.arange(malignant.size)
        strata = tuple(_units(np.flatnonzero(part), every) for part in (malignant, ~malignant) if part.any())
        return Resampling(strata, malignant.size, replicates, seed, "image")
    group = checked_clusters(clusters, images=malignant.size)
    return Resampling((_units(np.arange(malignant.size), group),), malignant.size, replicates, seed, "patient")


def percentiles(values: FloatArray, plan: Resampling, *, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper limits of quantities, from their replicates.

    Args:
        values: (B, ...) each replicate's value; NaN or left away where it is undefined.
        plan: that they were drawn by.
        confidence: level of the limits.

    Returns:
        Two arrays of the shape of one replicate; NaN where the plan says nothing, or where fewer than half of its
        replicates have a value.
    """
    tails = [(1 - checked_confidence(confidence)) / 2, (1 + confidence) / 2]
    usable = 2 * np.isfinite(values).sum(axis=0) >= plan.replicates
    out = np.full((2, *values.shape[1:]), np.nan)
    if not plan.reason and values.size:
        whole = np.isfinite(values).all(axis=0)
        out[:, usable & whole] = np.quantile(values[:, usable & whole], tails, axis=0)
        if (usable & ~whole).any():
            out[:, usable & ~whole] = np.nanquantile(values[:, usable & ~whole], tails, axis=0)
    return out[0], out[1]


def weighted_sums(values: FloatArray, plan: Resampling) -> FloatArray:
    """Sum columns over the images of each replicate.

    Args:
        values: (n, q).
        plan: made for the same images.

    Returns:
        (B, q).
    """
    return np.concatenate([weights.astype(np.float64) @ values for weights in plan.weights()])


@dataclass(frozen=True)
class Descending:
    """Images from the highest score down, for counting positives at every cut-off of every replicate.

    Attributes:
        order: (n,) positions of the images, falling score.
        malignant: (n,) in that order.
        ends: (u,) where each run of equal scores ends.
        values: (u,) the observed scores, falling.
    """

    order: IntArray
    malignant: BoolArray
    ends: IntArray
    values: FloatArray

    @classmethod
    def of(cls, malignant: BoolArray, score: FloatArray) -> "Descending":
        """Sort (n,) scores."""
        order = np.argsort(-score)
        ordered = score[order]
        ends = np.append(np.flatnonzero(np.diff(ordered)), score.size - 1)
        return cls(order, malignant[order], ends, ordered[ends])

    def counts(self, weights: CountArray) -> tuple[CountArray, CountArray]:
        """Weighted true and false positives of each replicate at each cut-off, (b, u + 1), from none to all."""
        ordered = np.take(weights, self.order, axis=1)
        everything = np.cumsum(ordered, axis=1, dtype=np.int32)[:, self.ends]
        ordered *= self.malignant
        found = np.cumsum(ordered, axis=1, dtype=np.int32)[:, self.ends]
        zero = np.zeros((weights.shape[0], 1), dtype=np.int32)
        return np.hstack([zero, found]), np.hstack([zero, everything - found])


def _units(positions: IntArray, group: IntArray) -> tuple[IntArray, IntArray]:
    _, units = np.unique(group[positions], return_inverse=True)
    return positions, units
