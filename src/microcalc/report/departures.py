"""Where a protocol does otherwise than the paper, and what it does where the paper is silent.

The defaults of `Protocol` are the paper's values, so a departure is a value that is not the default. Nothing is judged:
the report lists them.
"""

from collections.abc import Iterator, Mapping

from microcalc.protocol import NetworkOverride, Protocol
from microcalc.report.cohort_summary import TEST_SET_WORDS
from microcalc.report.content import Departure

__all__ = ["WHERE_THE_PAPER_IS_SILENT", "departures_from_paper"]

_SILENT = (
    "training.max_epochs",
    "training.epsilon",
    "training.batchnorm_images",
    "training.schedule",
    "evaluation.heatmap_examples",
    "image.local_contrast",
    "image.crop",
)
"""Settings (and what lies below them) whose default is ours because the paper does not say."""

_OF_EACH_NETWORK = {
    "image.input_size": "224 or 299 pixels, by network",
    "training.batch_size": "8, 16 or 32, by network",
}
"""Settings that the paper has for each network; here None stands for that."""

_NO_DEPARTURE = {"name", "evaluation.seed", "training.seed", "split.seed", "training.learning_rates", "split.by"}
"""Names and seeds say nothing about the method; learning rates and split have words of their own below."""

WHERE_THE_PAPER_IS_SILENT = (
    "Squares that leave the image are padded by reflection, and the cohort's table says which.",
    "Patients stay on one side of the split unless it is made by image; the paper divided training and validation "
    "“randomly”.",
    "Fivefold augmentation is read as: every epoch sees each training image five times, each time in another random "
    "pose.",
    "Two outputs with softmax cross-entropy; the grey image is repeated to three channels and normalised with the mean "
    "and standard deviation of each network's ImageNet weights.",
    "512 pixels are reduced to the network's size with an antialiased filter, so that a calcification of a few pixels "
    "survives.",
    "The L2 term is added to the gradient (coupled), as in MATLAB; Adam's epsilon is 1e-8; at most 100 epochs.",
    "The chosen epoch has the best validation AUC; among equals, the lowest validation loss.",
    "The main cut-off is chosen on the validation set and frozen; the paper's, chosen on the test set, is given too.",
)
"""Choices that the paper leaves open, each a sentence."""


def departures_from_paper(protocol: Protocol, *, test_by: str = "") -> tuple[Departure, ...]:
    """List every setting that differs from the paper's value, in the order of the protocol.

    Args:
        protocol: of the study.
        test_by: how its test set came about: ``date``, ``patient`` or ``table``; empty: judge by the protocol alone.
    """
    paper = dict(_flat(Protocol().model_dump(mode="json")))
    unchanged = NetworkOverride().model_dump(mode="json")
    found = []
    for name, value in _flat(protocol.model_dump(mode="json")):
        # What a protocol says of one network has no counterpart in the paper; its own default is "as the others".
        default = unchanged.get(name.rpartition(".")[2]) if name.startswith("per_network.") else paper.get(name)
        if name not in _NO_DEPARTURE and value != default:
            found.append(Departure(name, _papers(name, default), _words(value)))
    return tuple(found + _learning_rates(protocol) + _split(protocol, test_by))


def _papers(name: str, value: object) -> str:
    if name.startswith("per_network."):
        return "as for every network" if value is None else _words(value)
    if name.startswith(_SILENT):
        return f"not stated ({_words(value)} here by default)"
    return _OF_EACH_NETWORK.get(name, _words(value))


def _learning_rates(protocol: Protocol) -> list[Departure]:
    rates = protocol.training.learning_rates
    if set(rates) <= {1e-4, 1e-5}:
        return []
    return [Departure("training.learning_rates", "0.0001 (supplement: 1e-05)", ", ".join(f"{r:g}" for r in rates))]


def _split(protocol: Protocol, test_by: str) -> list[Departure]:
    """By image is the paper's own way; what departs is a test set that is not by date."""
    by = protocol.split.by
    made = test_by or by
    if made not in ("patient", "table"):
        return []
    here = by if by == made else f"{by}; the test set {TEST_SET_WORDS[made]}"
    return [Departure("split.by", "test set by date; validation at random", here)]


def _flat(settings: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _words(value: object) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_words(v) for v in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
