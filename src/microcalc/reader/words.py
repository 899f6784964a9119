"""A reading in words: lines for a terminal, and the caption of its picture.

Numbers come from the reading as they are; nothing is computed here.
"""

import math

import numpy as np

from microcalc import RESEARCH_USE
from microcalc.protocol import ENSEMBLE
from microcalc.reader.reading import Interval, Meaning, Reading
from microcalc.report.words import grid_words, model_title

__all__ = ["caption", "reading_lines"]

_NAME_WIDTH = 22


def reading_lines(reading: Reading) -> list[str]:
    """Everything that a person must know of a reading, one line each.

    Args:
        reading: to be told.
    """
    place, networks = reading.roi, len(reading.networks)
    pad = "; filled by reflection where it leaves the image" if place.padded else ""
    lines = [
        f"square of {place.side:g} pixels around row {place.row}, column {place.col}{pad}",
        "probability of malignancy",
        *(f"  {model_title(name):<{_NAME_WIDTH}}{score:.3f}" for name, score in reading.networks.items()),
    ]
    if networks > 1:
        lines.append(f"  {model_title(ENSEMBLE):<{_NAME_WIDTH}}{reading.ensemble:.3f}  mean of the {networks} networks")
    if reading.calibrated is not None:
        lines.append(
            f"  {'calibrated':<{_NAME_WIDTH}}{reading.calibrated:.3f}  by Platt's line of the study's validation set"
        )
    lines += [_call(reading), *_meaning_lines(reading.meaning)]
    lines += [f"warning: {warning.message}" for warning in reading.warnings]
    return lines


def caption(reading: Reading, network: str) -> str:
    """Words below the picture of one heatmap."""
    score = reading.ensemble if network == ENSEMBLE else reading.networks[network]
    words = (
        f"{model_title(network)}: probability of malignancy {score:.3f}. "
        f"{_call(reading).capitalize()}. Heatmap for malignant"
    )
    empty = not np.any(reading.heatmaps[network])
    grid = grid_words(reading.grids.get(network))
    words += f", {grid}" if grid else ""
    words += ": empty, no place speaks for malignancy." if empty else ", scaled to its maximum."
    if network == ENSEMBLE and len(reading.networks) > 1:
        words += " Mean of the networks' heatmaps."
    words += "".join(f" Warning: {warning.message}." for warning in reading.warnings)
    return f"{words} {RESEARCH_USE}"


def _call(reading: Reading) -> str:
    chosen = f"chosen on the {reading.chosen_on} set and frozen"
    if not math.isfinite(reading.cutoff):
        return f"called malignant: the study's rule calls every image malignant; {chosen}"
    call, side = ("malignant", "above") if reading.called else ("benign", "not above")
    return f"called {call}: {reading.ensemble:.3f} is {side} the cut-off {reading.cutoff:.3f}, {chosen}"


def _meaning_lines(meaning: Meaning) -> list[str]:
    level = f"{100 * meaning.confidence:g} % limits"
    return [
        f"on the study's test set ({meaning.images} images of {meaning.patients} patients) this cut-off has "
        f"sensitivity {_percent(meaning.sensitivity)} and specificity {_percent(meaning.specificity)} ({level})",
        f"where {100 * meaning.prevalence:.3g} % of such lesions are malignant: PPV {_percent(meaning.ppv)}, "
        f"NPV {_percent(meaning.npv)}",
    ]


def _percent(value: Interval) -> str:
    if not math.isfinite(value.value):
        return "undefined"
    if not (math.isfinite(value.low) and math.isfinite(value.high)):
        return f"{100 * value.value:.1f} % (limits undefined)"
    return f"{100 * value.value:.1f} % ({100 * value.low:.1f} to {100 * value.high:.1f})"
