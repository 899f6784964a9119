"""What a phantom lesion is, and which phantom lesions are malignant: descriptors, label model, best possible AUC.

A lesion's descriptors are drawn from a prior, its label from the descriptors by a logistic model, and its pixels from
the descriptors alone. Pixels therefore tell nothing about the label that the descriptors do not tell, and no reader
of pixels can rank better than the true probability does: its AUC is the best possible one. Patients, views and pixels
are drawn elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from microcalc.vocabulary import CalcDistribution, CalcMorphology, Pathology

__all__ = [
    "DISTRIBUTIONS",
    "MALIGNANT_SHARE",
    "MORPHOLOGIES",
    "TRAITS",
    "Descriptors",
    "LabelModel",
    "Lesion",
    "auc_of_probabilities",
    "birads_category",
    "draw_descriptors",
    "draw_pathology",
    "label_model",
    "lesion_from",
]

MALIGNANT_SHARE = 589 / 1579
"""Share of malignant images in Kang et al. (2021)."""

HIGH_RISK_SHARE = 0.15
"""Of the benign lesions; our choice."""

INVASIVE_SHARE = 0.30
"""Of the malignant lesions; our choice: most cancers that show as calcifications alone are in situ."""

READER_NOISE = 0.7
"""Standard deviation, on the logit scale, of the reader who gives the BI-RADS category."""

TRAIT_LIMIT = 2.0
"""Standard scores of the continuous descriptors stay within this, so that no lesion is empty or absurd."""

MORPHOLOGIES = tuple(CalcMorphology)
DISTRIBUTIONS = tuple(CalcDistribution)
TRAITS = ("number", "size", "size_variation", "contrast")
"""Continuous descriptors, each a standard score around what is usual for the lesion's pattern."""


class _Morphology(NamedTuple):
    """One morphology: how common, how suspicious, and what a usual lesion of it looks like."""

    share: float
    weight: float
    distributions: tuple[float, ...]  # prior of each of DISTRIBUTIONS
    number: float  # calcifications in a group
    size_mm: float
    size_variation: float  # standard deviation of the size over its mean
    contrast: float  # grey levels of 65535, of a calcification of usual size


_MORPHOLOGY: Mapping[CalcMorphology, _Morphology] = {
    # share, weight, (diffuse, regional, grouped, linear, segmental), number, size, size variation, contrast
    CalcMorphology.ROUND: _Morphology(0.17, -3.4, (0.20, 0.25, 0.45, 0.04, 0.06), 6, 0.42, 0.16, 6000),
    CalcMorphology.PUNCTATE: _Morphology(0.17, -2.6, (0.16, 0.22, 0.46, 0.06, 0.10), 9, 0.26, 0.10, 6000),
    CalcMorphology.COARSE: _Morphology(0.14, -1.9, (0.08, 0.20, 0.56, 0.06, 0.10), 5, 0.64, 0.12, 7500),
    CalcMorphology.AMORPHOUS: _Morphology(0.15, 0.3, (0.08, 0.20, 0.44, 0.10, 0.18), 60, 0.19, 0.15, 3000),
    CalcMorphology.FINE_PLEOMORPHIC: _Morphology(0.22, 2.2, (0.02, 0.08, 0.46, 0.18, 0.26), 66, 0.42, 0.34, 10500),
    CalcMorphology.FINE_LINEAR_BRANCHING: _Morphology(0.15, 3.4, (0.01, 0.05, 0.30, 0.32, 0.32), 70, 0.62, 0.12, 10500),
}


class _Distribution(NamedTuple):
    """One distribution: how suspicious, and how many times the calcifications of a group it holds."""

    weight: float
    number: float


_DISTRIBUTION: Mapping[CalcDistribution, _Distribution] = {
    CalcDistribution.DIFFUSE: _Distribution(-1.6, 2.4),
    CalcDistribution.REGIONAL: _Distribution(-0.6, 1.5),
    CalcDistribution.GROUPED: _Distribution(0.0, 1.0),
    CalcDistribution.LINEAR: _Distribution(1.2, 1.0),
    CalcDistribution.SEGMENTAL: _Distribution(1.6, 1.7),
}

_TRAIT_WEIGHT = {"number": 0.35, "size": -0.2, "size_variation": 0.15, "contrast": -0.2}
_TRAIT_SPREAD = {"number": 0.32, "size": 0.14, "size_variation": 0.30, "contrast": 0.22}
"""Natural logarithm by which one standard score changes the property."""

_PROPERTY = {"number": "number", "size": "size_mm", "size_variation": "size_variation", "contrast": "contrast"}


@dataclass(frozen=True)
class Descriptors:
    """What is known of n lesions before anything is drawn.

    Attributes:
        morphology: (n,) index into MORPHOLOGIES.
        distribution: (n,) index into DISTRIBUTIONS.
        traits: (n, 4) standard scores, columns as TRAITS.
    """

    morphology: NDArray[np.int64]
    distribution: NDArray[np.int64]
    traits: NDArray[np.float64]


@dataclass(frozen=True)
class Lesion:
    """One lesion, in the units of the drawing: number of calcifications, mm, grey levels of 65535; and its traits."""

    morphology: CalcMorphology
    distribution: CalcDistribution
    number: int
    size_mm: float
    size_variation: float
    contrast: float
    traits: tuple[float, ...]
    probability: float


@dataclass(frozen=True)
class LabelModel:
    """logit P(malignant) = intercept + (w[morphology] + w[distribution] + sum of w[trait] * trait) / difficulty."""

    intercept: float
    difficulty: float

    def probability(self, lesions: Descriptors) -> NDArray[np.float64]:
        """(n,) true probability that each lesion is malignant."""
        return np.asarray(expit(self.intercept + _score(lesions) / self.difficulty), dtype=np.float64)

    def record(self) -> dict[str, object]:
        """The whole model in plain values, as it stands in ``cohort.json``."""
        return {
            "formula": "logit P(malignant) = intercept + (morphology + distribution + sum of traits) / difficulty",
            "intercept": self.intercept,
            "difficulty": self.difficulty,
            "morphology": {m.value: p.weight for m, p in _MORPHOLOGY.items()},
            "distribution": {d.value: p.weight for d, p in _DISTRIBUTION.items()},
            "traits": dict(_TRAIT_WEIGHT),
            "trait_meaning": "standard score: ln(property / what is usual for the pattern) / trait_spread",
            "trait_spread": dict(_TRAIT_SPREAD),
            "trait_limit": TRAIT_LIMIT,
            "usual": {m.value: {t: getattr(p, _PROPERTY[t]) for t in TRAITS} for m, p in _MORPHOLOGY.items()},
            "usual_number_factor": {d.value: p.number for d, p in _DISTRIBUTION.items()},
            "prior": {m.value: p.share for m, p in _MORPHOLOGY.items()},
            "prior_distribution": {
                m.value: dict(zip((d.value for d in DISTRIBUTIONS), p.distributions, strict=True))
                for m, p in _MORPHOLOGY.items()
            },
            "malignant_share": MALIGNANT_SHARE,
        }


def draw_descriptors(rng: np.random.Generator, n: int) -> Descriptors:
    """Draw the descriptors of n lesions from the prior; traits are normal, clipped at ``TRAIT_LIMIT``."""
    shares = np.cumsum([p.share for p in _MORPHOLOGY.values()])
    morphology = np.searchsorted(shares, rng.random(n) * shares[-1], side="right")
    table = np.cumsum([p.distributions for p in _MORPHOLOGY.values()], axis=1)
    distribution = (rng.random(n)[:, None] * table[morphology, -1:] >= table[morphology]).sum(axis=1)
    traits = np.clip(rng.standard_normal((n, len(TRAITS))), -TRAIT_LIMIT, TRAIT_LIMIT)
    return Descriptors(morphology.astype(np.int64), distribution.astype(np.int64), traits)


def _score(lesions: Descriptors) -> NDArray[np.float64]:
    by_morphology = np.array([p.weight for p in _MORPHOLOGY.values()])
    by_distribution = np.array([p.weight for p in _DISTRIBUTION.values()])
    by_trait = np.array([_TRAIT_WEIGHT[t] for t in TRAITS])
    # Summed, not multiplied as matrices: the same bits however many threads there are.
    traits = (lesions.traits * by_trait).sum(axis=1)
    return np.asarray(by_morphology[lesions.morphology] + by_distribution[lesions.distribution] + traits)


@lru_cache
def label_model(difficulty: float) -> LabelModel:
    """Label model of a difficulty, with the intercept that makes ``MALIGNANT_SHARE`` of the lesions malignant.

    The intercept is found on a sample of fixed seed: it is a property of the difficulty, not of a cohort.

    Args:
        difficulty: divides all weights; 1 is the default, less separates the classes better, more makes them overlap.
    """
    score = _score(draw_descriptors(np.random.default_rng(0), 200_000)) / difficulty

    def excess(intercept: float) -> float:
        return float(expit(intercept + score).mean()) - MALIGNANT_SHARE

    limit = float(np.abs(score).max()) + 10.0
    return LabelModel(intercept=float(brentq(excess, -limit, limit, xtol=1e-10)), difficulty=difficulty)


def lesion_from(lesions: Descriptors, index: int, model: LabelModel) -> Lesion:
    """One lesion of a draw, its standard scores turned into number, mm and grey levels."""
    morphology = MORPHOLOGIES[int(lesions.morphology[index])]
    distribution = DISTRIBUTIONS[int(lesions.distribution[index])]
    usual, spread = _MORPHOLOGY[morphology], _DISTRIBUTION[distribution]
    factor = {t: float(np.exp(_TRAIT_SPREAD[t] * z)) for t, z in zip(TRAITS, lesions.traits[index], strict=True)}
    return Lesion(
        morphology=morphology,
        distribution=distribution,
        number=max(3, round(usual.number * spread.number * factor["number"])),
        size_mm=usual.size_mm * factor["size"],
        size_variation=usual.size_variation * factor["size_variation"],
        contrast=usual.contrast * factor["contrast"],
        traits=tuple(lesions.traits[index].tolist()),
        probability=float(model.probability(lesions)[index]),
    )


def draw_pathology(rng: np.random.Generator, label: int) -> Pathology:
    """Four-way pathology of a lesion of known label; the pixels know nothing of the finer division."""
    if label:
        return Pathology.INVASIVE if rng.random() < INVASIVE_SHARE else Pathology.DCIS
    return Pathology.HIGH_RISK if rng.random() < HIGH_RISK_SHARE else Pathology.BENIGN


def birads_category(rng: np.random.Generator, probability: float) -> str:
    """BI-RADS category that a reader gives who feels the true probability with an error (``READER_NOISE``).

    Limits are those of the ACR BI-RADS Atlas, 5th edition: 2, 10, 50 and 95 % likelihood of malignancy.
    """
    felt = float(expit(logit(np.clip(probability, 1e-9, 1 - 1e-9)) + READER_NOISE * rng.standard_normal()))
    return ("3", "4A", "4B", "4C", "5")[int(np.searchsorted([0.02, 0.10, 0.50, 0.95], felt, side="right"))]


def auc_of_probabilities(probability: ArrayLike, weight: ArrayLike | None = None) -> float:
    """AUC that the true probability itself reaches as a score, in expectation over the labels.

    Lesion i counts as malignant with mass w p and as benign with mass w (1 - p); the AUC is the share of malignant
    times benign mass that is ranked rightly, ties counting half. Labels are not drawn, which halves the error of a
    Monte Carlo with labels.

    Args:
        probability: (n,) true probabilities of malignancy.
        weight: (n,) how many images each lesion has; default one.

    Returns:
        the AUC, NaN where all mass is of one class.
    """
    p = np.asarray(probability, dtype=np.float64)
    w = np.ones_like(p) if weight is None else np.asarray(weight, dtype=np.float64)
    _, level = np.unique(p, return_inverse=True)
    malignant = np.bincount(level, weights=w * p)
    benign = np.bincount(level, weights=w * (1 - p))
    pairs = malignant.sum() * benign.sum()
    below = np.cumsum(benign) - benign
    return float((malignant * (below + benign / 2)).sum() / pairs) if pairs > 0 else float("nan")
