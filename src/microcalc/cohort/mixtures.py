"""Checks of what is mixed in a cohort: sites and devices that tell the label, film and digital, several pixel sizes.

None of it is wrong in itself; but a network learns whatever tells the classes apart, and a calcification of two pixels
in one image should not be four in another. How well a thing tells the label is worked out in
`microcalc.cohort.confounding`.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from microcalc.cohort.confounding import Confounder
from microcalc.cohort.evidence import Evidence, mapping_or_empty
from microcalc.cohort.findings import Finding, error, note, warning

__all__ = ["MIXTURE_CHECKS"]

TELLS_NEARLY_ALL = 0.8
"""AUC of a thing that is no disease from which a cohort should not be used: as good as a network may hope to be."""

TELLS_SOMETHING = 0.05
"""AUC beyond chance from which somebody should look."""

BEYOND_CHANCE = 0.001
"""Largest p of a finding."""

SAME_SCALE = 1.1
"""Ratio of the largest to the smallest pixel that passes as one scale: detectors' nominal sizes differ by that."""

_MAGNIFIED_FROM = 1.2
_SHOWN = 6


def _confounded(evidence: Evidence) -> Iterator[Finding]:
    for thing in evidence.confounders:
        if thing.p <= BEYOND_CHANCE and thing.auc - thing.by_chance >= TELLS_SOMETHING:
            severe = thing.auc >= TELLS_NEARLY_ALL
            yield (error if severe else warning)(f"confounded-{thing.name}", _telling(thing))


def _telling(thing: Confounder) -> str:
    return (
        f"{thing.name} alone tells the label of a patient with an AUC of {thing.auc:.2f} ({thing.by_chance:.2f} by "
        f"chance, p {'<' if thing.p < BEYOND_CHANCE else '='} {max(thing.p, BEYOND_CHANCE):.3f}); malignant: "
        f"{thing.words()}. A network can learn it instead of the disease. Balance the classes within each, or test on "
        "patients among whom it tells nothing"
    )


def _film(evidence: Evidence) -> Iterator[Finding]:
    counts = Counter(str(kind) for kind in evidence.fact("detector") if kind)
    if not counts:
        recorded = mapping_or_empty(mapping_or_empty(evidence.record.get("mammograms")).get("detector"))
        counts = Counter({str(kind): n for kind, n in recorded.items() if isinstance(n, int)})
    if counts["film"] and counts["digital"]:
        yield warning(
            "film-and-digital",
            f"{counts['film']} images of scanned film and {counts['digital']} of digital detectors: their grain and "
            "contrast differ. Keep to one, or report both apart",
        )


def _spacing(evidence: Evidence) -> Iterator[Finding]:
    spacing = evidence.table["pixel_spacing_mm"].to_numpy(dtype=np.float64)
    known = spacing[np.isfinite(spacing) & (spacing > 0)]
    if not len(known):
        return
    if len(known) < len(spacing):
        yield note("spacing-unknown", f"pixel_spacing_mm is known of {len(known)} of {len(spacing)} images only")
    ratio = float(known.max() / known.min())
    if ratio > SAME_SCALE:
        sizes = Counter(f"{mm:.4g}" for mm in known).most_common()
        more = f" and {len(sizes) - _SHOWN} more sizes" if len(sizes) > _SHOWN else ""
        shown = ", ".join(f"{mm} mm in {n}" for mm, n in sizes[:_SHOWN])
        yield warning(
            "spacing-mixed",
            f"pixels of several sizes ({shown}{more} images): a calcification has up to {ratio:.2g} times as many in "
            "one image as in another. Make the cohort again with one (--scale mm:0.07)",
        )


def _magnification(evidence: Evidence) -> Iterator[Finding]:
    factor = evidence.table["magnification"].to_numpy(dtype=np.float64)
    magnified, contact = int((factor >= _MAGNIFIED_FROM).sum()), int((factor < _MAGNIFIED_FROM).sum())
    if magnified and contact:
        yield note(
            "magnification-mixed",
            f"{magnified} magnification views and {contact} contact views, as in the paper; report both apart",
        )


MIXTURE_CHECKS = (_confounded, _film, _spacing, _magnification)
"""In the order of the report."""
