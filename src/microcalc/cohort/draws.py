"""Drawing sets of images at random, whole patients or single images, the same on every machine.

Orders come from SHA-256 of salt and name, so a draw does not depend on the order of the rows or on the version of a
random generator. Which sets are wanted, and what is said about them, lives in `microcalc.cohort.splits`.
"""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microcalc.vocabulary import BENIGN, MALIGNANT, Split

__all__ = [
    "MIN_PATIENTS",
    "Draft",
    "Images",
    "Mask",
    "best_draft",
    "core_pairs",
    "draw_images",
    "draw_patients",
    "poor_sets",
    "wanted_images",
]

MIN_PATIENTS = 2
"""Patients that each set must hold: one patient has no spread."""

_DRAWS = 200
"""Random orders of the patients that are tried until the wanted numbers are met exactly."""
_DRAWN_PATIENTS = 200_000
"""Limit on draws times patients, so that large cohorts, where one draw suffices, stay fast."""

Mask = NDArray[np.bool_]
"""(n,) which of the images."""


@dataclass(frozen=True)
class Images:
    """The table's columns as arrays of n images, ordered by image_id, and those of its k patients, ordered by name."""

    image_id: NDArray[np.object_]
    label: NDArray[np.int64]
    date: NDArray[np.datetime64]
    given: NDArray[np.object_]
    patient: NDArray[np.int64]
    """(n,) position of each image's patient in ``patient_names``."""
    patient_names: NDArray[np.object_]

    def counts(self, images: Mask) -> NDArray[np.int64]:
        """(k, 2) benign and malignant images of each patient among some images."""
        cells = self.patient[images] * 2 + self.label[images]
        counts: NDArray[np.int64] = np.bincount(cells, minlength=2 * len(self.patient_names)).astype(np.int64)
        return counts.reshape(-1, 2)


@dataclass(frozen=True)
class Draft:
    """Sets in the making: (n,) masks of test and validation; the rest trains."""

    test: Mask
    validation: Mask
    warnings: tuple[str, ...] = ()
    test_from: dt.date | None = None

    def words(self) -> NDArray[np.object_]:
        """(n,) train, validation or test."""
        out = np.full(len(self.test), Split.TRAIN.value, dtype=object)
        out[self.validation] = Split.VALIDATION.value
        out[self.test] = Split.TEST.value
        return out


def wanted_images(images: Images, among: Mask, fraction: float) -> NDArray[np.int64]:
    """(2,) benign and malignant images that a set should get: its fraction of each class, at least one."""
    available = images.counts(among).sum(axis=0)
    wanted: NDArray[np.int64] = np.maximum(1, np.floor(available * fraction + 0.5)).astype(np.int64)
    return wanted


def core_pairs(images: Images, among: Mask, salt: str, *, sets: int) -> list[list[int]]:
    """Two patients for each set that hold both classes together, so that no set can turn out poor.

    A patient with benign images only goes with one with malignant images only; those that are left over go with
    patients with both, who also go with each other. No other way yields more pairs.

    Args:
        images: what is drawn from.
        among: (n,) images that the sets are made of.
        salt: says which patients.
        sets: how many pairs.

    Returns:
        Pairs of positions in ``patient_names``; empty where there are not that many.
    """
    counts = images.counts(among)
    order = _random_order(images.patient_names, salt)
    of_kind: list[list[int]] = []
    for benign, malignant in ((True, False), (False, True), (True, True)):
        kind = ((counts[order] > 0) == (benign, malignant)).all(axis=1)
        of_kind.append(order[kind][: 2 * sets].tolist())
    only_benign, only_malignant, both = of_kind
    single_pairs = min(len(only_benign), len(only_malignant))
    left = only_benign[single_pairs:] + only_malignant[single_pairs:]
    rest = both[len(left) :]
    pairs = [*zip(only_benign, only_malignant, strict=False), *zip(left, both, strict=False)]
    pairs += zip(rest[::2], rest[1::2], strict=False)
    return [list(pair) for pair in pairs[:sets]] if len(pairs) >= sets else []


def draw_patients(
    images: Images, among: Mask, wanted: NDArray[np.int64], salt: str, *, core: list[int], spared: list[int]
) -> tuple[int, Mask]:
    """Draw whole patients until the wanted images of both classes are reached.

    Patients are taken in random order; one that would overshoot is passed over. What is lacking at the end is filled
    with the patients that bring the numbers closest.

    Args:
        images: what is drawn from.
        among: (n,) images that may be taken.
        wanted: (2,) benign and malignant images.
        salt: says which order.
        core: patients that are taken first.
        spared: patients that are left to other sets.

    Returns:
        How many images the set is off, both classes together; and the (n,) mask of its images.
    """
    counts = images.counts(among)
    taken = np.zeros(len(counts), dtype=bool)
    taken[core] = True
    free = counts.any(axis=1) & ~taken
    free[spared] = False
    order = _random_order(images.patient_names, salt)
    order = order[free[order]]
    lacking_benign, lacking_malignant = np.maximum(wanted - counts[taken].sum(axis=0), 0).tolist()
    for patient, (benign, malignant) in zip(order.tolist(), counts[order].tolist(), strict=True):
        if benign <= lacking_benign and malignant <= lacking_malignant:
            taken[patient] = True
            lacking_benign -= benign
            lacking_malignant -= malignant
            if not lacking_benign and not lacking_malignant:
                break
    while (filler := _filler(counts, order[~taken[order]], wanted - counts[taken].sum(axis=0))) is not None:
        taken[filler] = True
    return int(np.abs(wanted - counts[taken].sum(axis=0)).sum()), among & taken[images.patient]


def _filler(counts: NDArray[np.int64], left: NDArray[np.int64], lacking: NDArray[np.int64]) -> int | None:
    """Patient that brings a set closest to what it lacks; None where every one makes it worse."""
    if not len(left):
        return None
    miss = np.abs(lacking - counts[left]).sum(axis=1)
    return int(left[miss.argmin()]) if miss.min() < np.abs(lacking).sum() else None


def draw_images(images: Images, among: Mask, wanted: NDArray[np.int64], salt: str) -> Mask:
    """Draw single images of each class; returns their (n,) mask."""
    order = _random_order(images.image_id, salt)
    chosen = np.zeros(len(among), dtype=bool)
    for label in (BENIGN, MALIGNANT):
        candidates = order[among[order] & (images.label[order] == label)]
        chosen[candidates[: wanted[label]]] = True
    return chosen


def _random_order(names: NDArray[np.object_], salt: str) -> NDArray[np.int64]:
    """Positions in the order of SHA-256 of salt and name."""
    digests = b"".join(hashlib.sha256(f"{salt} {name}".encode()).digest()[:8] for name in names)
    order: NDArray[np.int64] = np.argsort(np.frombuffer(digests, dtype=">u8"), kind="stable").astype(np.int64)
    return order


def best_draft(images: Images, draft: Callable[[int], tuple[int, Draft]]) -> Draft:
    """Best of many drafts: the first that misses nothing, else the one with the fewest poor sets, then smallest miss.

    Args:
        images: what is drawn from.
        draft: makes draft number i; returns how many images its sets are off, and the sets.
    """
    best_cost, best = _cost(images, *draft(0))
    for number in range(1, max(1, min(_DRAWS, _DRAWN_PATIENTS // len(images.patient_names)))):
        if best_cost == (0, 0):
            break
        cost, candidate = _cost(images, *draft(number))
        if cost < best_cost:
            best_cost, best = cost, candidate
    return best


def _cost(images: Images, miss: int, draft: Draft) -> tuple[tuple[int, int], Draft]:
    return (len(poor_sets(images, draft)), miss), draft


def poor_sets(images: Images, draft: Draft) -> list[str]:
    """What is wrong with sets that lack a class or have fewer than ``MIN_PATIENTS`` patients, set by set."""
    out = []
    train = ~draft.test & ~draft.validation
    for name, mask in ((Split.TRAIN, train), (Split.VALIDATION, draft.validation), (Split.TEST, draft.test)):
        benign, malignant = np.bincount(images.label[mask], minlength=2)
        patients = len(np.unique(images.patient[mask]))
        if not benign or not malignant or patients < MIN_PATIENTS:
            out.append(
                f"the {name} set holds {benign} benign and {malignant} malignant images of {patients} patient(s)"
            )
    return out
