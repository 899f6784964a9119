"""What could be learned instead of the disease: how well site, device, year or spacing alone tell the label.

Each patient counts once, as malignant if any of the images is, and stands in the group where most of the images are.
The score of a group is its share of malignant patients; the area under its ROC curve says how well the group alone
tells the label. Such a score is fitted to the very patients that it is judged on, so even a thing without any meaning
comes out above 0.5; what comes by chance is found by exchanging the labels among the patients at random.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from microcalc.vocabulary import BENIGN, MALIGNANT

__all__ = ["PERMUTATIONS", "Confounder", "confounders"]

PERMUTATIONS = 2000
"""Random exchanges of the labels; the smallest p is one in 2001."""

FEWEST_OF_A_CLASS = 10
"""Patients of each class below which nothing is said."""

_FEWEST_OF_A_GROUP = 5
_MOST_GROUPS = 40
_SMALL = "(small groups)"
_UNKNOWN = "(unknown)"
_MAGNIFIED_FROM = 1.2
"""Factor from which a view is a magnification view; contact views have 1.0 to 1.1."""


@dataclass(frozen=True)
class Confounder:
    """How well one thing tells the label.

    Attributes:
        name: of the thing: site, manufacturer, year, spacing, magnification, padded, detector.
        groups: patients and malignant patients of each group, by falling share of the malignant.
        auc: area under the ROC curve of the groups' shares.
        by_chance: mean of the same after random exchange of the labels.
        p: share of the exchanges that reach ``auc``, the observed one counted.
    """

    name: str
    groups: Mapping[str, tuple[int, int]]
    auc: float
    by_chance: float
    p: float

    def words(self, most: int = 4) -> str:
        """Malignant and all patients of the groups at both ends."""
        texts = [f"{name} {malignant} of {patients}" for name, (patients, malignant) in self.groups.items()]
        if len(texts) > most:
            texts = [*texts[: most // 2], "...", *texts[-(most // 2) :]]
        return ", ".join(texts)


def confounders(table: pd.DataFrame) -> tuple[Confounder, ...]:
    """Judge every thing that a cohort table knows beyond the disease; those with one group only are left out.

    Args:
        table: cohort table, and ``detector`` where it is known.

    Returns:
        In a fixed order; nothing where a class has too few patients.
    """
    known = table[table["label"].isin([BENIGN, MALIGNANT])]
    malignant = known.groupby("patient_id", sort=True)["label"].max().to_numpy()
    if min(np.bincount(malignant, minlength=2)) < FEWEST_OF_A_CLASS:
        return ()
    judged = (
        _judge(name, _group_of_patients(known["patient_id"], values), malignant) for name, values in _things(known)
    )
    return tuple(thing for thing in judged if thing is not None)


def _things(table: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    magnified = (table["magnification"] >= _MAGNIFIED_FROM).map({True: "magnified", False: "contact"})
    things = {
        "site": table["site"],
        "manufacturer": table["manufacturer"],
        "detector": table["detector"] if "detector" in table else pd.Series("", index=table.index),
        "year": table["exam_date"].str.slice(0, 4),
        "spacing": table["pixel_spacing_mm"].map(lambda mm: f"{mm:.3f} mm" if np.isfinite(mm) else ""),
        "magnification": magnified.where(table["magnification"].notna(), ""),
        "padded": table["padded"].map({"true": "padded", "false": "whole"}).fillna(""),
    }
    return list(things.items())


def _group_of_patients(patients: pd.Series, values: pd.Series) -> NDArray[np.object_]:
    """Most frequent value of each patient, the first by name among equals, patients in the order of their names."""
    sizes = pd.DataFrame({"patient": patients, "value": values.where(values != "", _UNKNOWN)})
    counted = sizes.groupby(["patient", "value"], sort=True).size().rename("images").reset_index()
    order = counted.sort_values(["patient", "images", "value"], ascending=[True, False, True])
    out: NDArray[np.object_] = order.drop_duplicates("patient")["value"].to_numpy(dtype=object)
    return out


def _judge(name: str, group: NDArray[np.object_], malignant: NDArray[np.int64]) -> Confounder | None:
    names, codes, sizes = np.unique(group.astype(str), return_inverse=True, return_counts=True)
    keep = np.argsort(-sizes, kind="stable")[:_MOST_GROUPS]
    small = (sizes < _FEWEST_OF_A_GROUP) | ~np.isin(np.arange(len(names)), keep)
    if small.any():
        group = np.where(small[codes], _SMALL, names[codes])
        names, codes, sizes = np.unique(group.astype(str), return_inverse=True, return_counts=True)
    if len(names) < 2:
        return None
    found = np.bincount(codes, weights=malignant, minlength=len(names)).astype(np.int64)
    auc = float(_auc(found[None], sizes)[0])
    rng = np.random.default_rng(0)
    exchanged = rng.multivariate_hypergeometric(sizes, int(found.sum()), size=PERMUTATIONS, method="marginals")
    chance = _auc(exchanged, sizes)
    p = (1 + int((chance >= auc - 1e-12).sum())) / (1 + PERMUTATIONS)
    order = np.argsort(-found / sizes, kind="stable")
    groups = {str(names[k]): (int(sizes[k]), int(found[k])) for k in order}
    return Confounder(name, groups, auc, float(chance.mean()), p)


def _auc(malignant: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """AUC of the groups' malignant shares.

    Args:
        malignant: (n, groups) malignant patients of each group.
        sizes: (groups,) patients.

    Returns:
        (n,): probability that a malignant patient's group has a larger share than a benign one's, ties half.
    """
    share = malignant / sizes
    total = np.zeros(len(malignant))
    for one in range(len(sizes)):
        ahead = (share[:, [one]] > share) + 0.5 * (share[:, [one]] == share)
        total += malignant[:, one] * (ahead * (sizes - malignant)).sum(axis=1)
    out: NDArray[np.float64] = total / (malignant.sum(axis=1) * (sizes - malignant).sum(axis=1))
    return out
