"""The limits of what a report shows, in plain sentences that depend on what is in it.

A reader of the report should not have to know the literature to see how far its numbers carry. Sentences only; what a
limit is about stands elsewhere in the report.
"""

import math

import numpy as np

from microcalc.report.content import ReportContent, RunContent

__all__ = ["limits_of"]

SMALL_CLASS = 50
"""Fewer malignant or benign test images than this are called few."""


def limits_of(content: ReportContent) -> tuple[str, ...]:
    """Every limit that holds for this report, the general ones first, then those that came with the content."""
    sentences = [
        *_of_images(content),
        *_of_the_cohort(content),
        *_of_the_cut_off(content),
        *_of_the_statistics(content),
        *_of_training(content),
        *_of_heatmaps(content),
    ]
    return (*sentences, *content.limits)


def _of_images(content: ReportContent) -> list[str]:
    if content.synthetic is None:
        found = (
            "Regions of interest were placed by people around lesions that were known. The results are about telling "
            "benign from malignant calcifications, not about finding them."
        )
        return [found] if content.cohort is not None else []
    return [
        "The images are synthetic phantoms. The results show that the software works; they say nothing about patients, "
        "and no number of this report may be quoted as a clinical result."
    ]


def _of_the_cohort(content: ReportContent) -> list[str]:
    sentences = []
    if content.synthetic is None and content.cohort is not None:
        sentences.append(
            "Only lesions with histopathology are included, so benign lesions that were never biopsied are missing, "
            "and PPV and NPV hold for the share of malignant images in this test set, not for another population."
        )
        sentences.append(
            "Training, validation and test set come from one cohort. How the models do at another centre, on other "
            "devices, was not tested."
        )
    return sentences + [_few(run) for run in content.runs[:1] if _few(run)]


def _few(run: RunContent) -> str:
    if run.table1 is None:
        return ""
    test = run.table1.test
    smallest = min(test.malignant, test.benign)
    plain, clustered = run.table1.auc, run.table1.auc_clustered
    widths = np.concatenate([plain.high - plain.low, clustered.high - clustered.low])
    width = max(widths[np.isfinite(widths)], default=float("nan"))
    words = (
        f"The test set has {test.malignant:,} malignant and {test.benign:,} benign images of {test.patients:,} "
        f"patient{'s' * (test.patients != 1)}"
    )
    if math.isfinite(width):
        words += f"; the interval of an AUC, by patients or images, is up to {width:.2f} wide"
        words += ", so differences between models need the paired tests" * (len(run.models) > 1)
    return words + (". That is few." if smallest < SMALL_CLASS else ".")


def _of_the_cut_off(content: ReportContent) -> list[str]:
    if not any(p.optimistic for run in content.runs for m in run.models for p in m.points):
        return []
    return [
        "Cut-offs chosen on the test set, as in the paper, make sensitivity and specificity look better than they "
        "would be on new patients; the values with the cut-off frozen from validation are the ones to expect."
    ]


def _of_the_statistics(content: ReportContent) -> list[str]:
    models = max((len(run.models) for run in content.runs), default=0)
    sentences = [
        "Intervals in the paper's way treat every image as independent, although several images belong to one patient; "
        "they tend to be too narrow. Those that respect patients stand beside them."
    ]
    if models > 1:
        comparisons = models * (models - 1) // 2
        sentences.append(
            f"{models} models make {comparisons} pairs, and several measures are compared for each: some small p "
            "values are to be expected by chance alone. The model with the highest value here need not be the best one."
        )
    return sentences


def _of_training(content: ReportContent) -> list[str]:
    sentences = []
    if any(row.weights and row.weights.lower() != "imagenet" for row in content.networks):
        sentences.append(
            "The networks started from random weights, not from ImageNet as in the paper; with real images and the "
            "paper's weights other results are to be expected."
        )
    if any(run.histories for run in content.runs):
        sentences.append(
            "Each network was trained once. Another seed would give other weights and somewhat other numbers; the "
            "intervals do not contain that variation."
        )
    return sentences


def _of_heatmaps(content: ReportContent) -> list[str]:
    if not any(run.heatmaps for run in content.runs):
        return []
    return [
        "Heatmaps show where the last features of a network spoke for a class, on a coarse grid. They do not prove "
        "that the network looked at the calcifications, nor do they outline a lesion."
    ]
