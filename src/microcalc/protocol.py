"""The protocol of a study as data: what is split, trained, chosen and compared, with the paper's values as defaults.

A protocol is a YAML file (`protocols/paper.yaml`, `protocols/demo.yaml`) checked against the models below; every
unknown key is refused. What a protocol does is written elsewhere; here it is only said. Values of the paper are
those of Kang et al., Sci Rep 11:23925 (2021); where the paper is silent the comment says so.
"""

import datetime as dt
import difflib
import reprlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from microcalc.errors import ProtocolError

__all__ = [
    "ENSEMBLE",
    "NETWORKS",
    "AugmentationSettings",
    "EvaluationSettings",
    "ImageSettings",
    "LocalContrast",
    "NetworkOverride",
    "Protocol",
    "SplitSettings",
    "TrainingSettings",
    "built_in_protocol",
    "checked_protocol",
    "read_protocol",
]

NETWORKS = ("resnet101", "xception", "inception_v3", "inception_resnet_v2", "densenet201")
"""The paper's five networks, in its order; each is also the name of a model in the predictions table."""

ENSEMBLE = "ensemble"
"""Model name of the mean of the networks' probabilities."""

Positive = Annotated[float, Field(gt=0)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitSettings(_Settings):
    """Who is trained on, who chooses the epoch and the cut-off, who is the judge."""

    by: Literal["auto", "date", "patient", "image", "table"] = "auto"
    """auto: the table's own split if it is filled, else by date where dates exist, else by patient.
    image: the table's own split if it is filled, leaks included, else single images are drawn for validation."""
    test_from: dt.date | None = None
    """By date: exams from this day on are the test set; without it the latest ``test_fraction`` of the images."""
    test_fraction: float = Field(default=0.165, gt=0, lt=1)
    """260 of 1,579 images in the paper."""
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    """198 of 1,319 images in the paper."""
    seed: int = Field(default=0, ge=0)


class LocalContrast(_Settings):
    """Subtract the local mean (Gaussian of ``sigma`` pixels) and multiply by ``gain``; 0.5 is the new mean."""

    sigma: Positive = 16.0
    gain: Positive = 3.0


class ImageSettings(_Settings):
    """From the 512-pixel ROI to the network's input."""

    input_size: int | None = Field(default=None, ge=64, le=1024)
    """None: each network's own size (224 or 299)."""
    crop: int | None = Field(default=None, ge=64, le=512)
    """Side of the central square that the network sees, in ROI pixels; None: all 512."""
    local_contrast: LocalContrast | None = None


class AugmentationSettings(_Settings):
    """Random pose of a training image; drawn anew for every copy in every epoch."""

    horizontal_flip: bool = True
    vertical_flip: bool = True
    rotation_degrees: tuple[float, float] = (1.0, 359.0)
    translation_pixels: float = Field(default=30.0, ge=0, le=256)
    """Both ways, in x and y, in pixels of the 512-pixel ROI."""
    copies: int = Field(default=5, ge=1, le=100)
    """How often an epoch sees each training image: the paper's "fivefold"."""


class NetworkOverride(_Settings):
    """What one network does otherwise; what is None stays as the protocol, or the network's own row, says."""

    learning_rate_factor: Positive = 1.0
    """Multiplies the run's learning rate."""
    batch_size: int | None = Field(default=None, ge=2, le=4096)
    max_epochs: int | None = Field(default=None, ge=1, le=10_000)
    input_size: int | None = Field(default=None, ge=64, le=1024)


class TrainingSettings(_Settings):
    """Optimiser, schedule, stopping. Adam with the L2 term added to the gradient, as MATLAB does."""

    learning_rates: tuple[Positive, ...] = Field(default=(1e-4,), min_length=1)
    """One run of the whole study for each; the paper's main text has 1e-4, its supplement 1e-5."""
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: Positive = 1e-8
    l2: float = Field(default=0.0005, ge=0)
    schedule: Literal["constant", "one_cycle"] = "constant"
    batch_size: int | None = Field(default=None, ge=2, le=4096)
    """None: the paper's size for each network (8, 16 or 32)."""
    max_epochs: int = Field(default=100, ge=1, le=10_000)
    """The paper names no limit; 100 is ours."""
    patience: int = Field(default=20, ge=1)
    """Stop when the validation loss was not lower for this many epochs."""
    batchnorm_images: int = Field(default=0, ge=0)
    """Re-estimate the batch-norm statistics on this many training images before each validation; 0: never.
    For runs from scratch that are too short for running averages to settle."""
    seed: int = Field(default=0, ge=0)


class EvaluationSettings(_Settings):
    """How the test scores are judged."""

    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    bootstrap_replicates: int = Field(default=1000, ge=100, le=1_000_000)
    heatmap_examples: int = Field(default=2, ge=0, le=50)
    """Images per panel: true positives, false negatives, true negatives, false positives."""
    seed: int = Field(default=0, ge=0)


class Protocol(_Settings):
    """A whole study. The defaults are the paper's."""

    name: str = "paper"
    networks: tuple[str, ...] = Field(default=NETWORKS, min_length=1)
    weights: Literal["imagenet", "none"] = "imagenet"
    """Starting weights; none: from scratch."""
    split: SplitSettings = SplitSettings()
    image: ImageSettings = ImageSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()
    per_network: dict[str, NetworkOverride] = {}
    evaluation: EvaluationSettings = EvaluationSettings()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        unknown = sorted((set(self.per_network) | set(self.networks)) - set(NETWORKS))
        if unknown:
            raise ValueError(f"networks must be some of {', '.join(NETWORKS)}; got {', '.join(unknown)}")
        if len(set(self.networks)) != len(self.networks):
            raise ValueError(f"networks must differ from each other; got {', '.join(self.networks)}. Name each once")
        rates = self.training.learning_rates
        if len(set(rates)) != len(rates):
            raise ValueError(f"learning rates must differ; got {', '.join(f'{r:g}' for r in rates)}. Name each once")
        return self

    def values_for(self, network: str) -> NetworkOverride:
        """Values of the protocol for one network, its overrides first; what is None is the network's own."""
        own = self.per_network.get(network, NetworkOverride())
        return NetworkOverride(
            learning_rate_factor=own.learning_rate_factor,
            batch_size=own.batch_size or self.training.batch_size,
            max_epochs=own.max_epochs or self.training.max_epochs,
            input_size=own.input_size or self.image.input_size,
        )

    def to_yaml(self) -> str:
        """Every value, defaults included, so that the file alone says what was done."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_protocol(path: Path) -> Protocol:
    """Read and check a protocol file; keys that are left out have the paper's values.

    Raises:
        ProtocolError: the file is missing, is not YAML, or holds a key or value that is not allowed.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ProtocolError(f"{path}: a protocol must be a readable YAML file; {error}") from error
    if not isinstance(content, dict):
        raise ProtocolError(f"{path}: a protocol must be a mapping of settings; it holds a {type(content).__name__}")
    return checked_protocol(content, source=str(path))


def checked_protocol(content: Mapping[str, object], *, source: str) -> Protocol:
    """Protocol from its values; what is left out has the paper's value.

    Args:
        content: as in the YAML file.
        source: where it came from, for the error.

    Raises:
        ProtocolError: a key or value is not allowed.
    """
    try:
        return Protocol.model_validate(content)
    except ValidationError as error:
        lines = [f"  {_fault(e)}" for e in error.errors()]
        raise ProtocolError(
            f"{source}: these settings are not allowed:\n{chr(10).join(lines)}\n"
            "Mend them, or leave them out to have the paper's values"
        ) from error


def _fault(error: ErrorDetails) -> str:
    """One broken rule in words: the setting, what must hold, what came."""
    where, kind = error["loc"], error["type"]
    name = ".".join(map(str, where))
    if kind == "value_error":  # said by this module's own rules, in whole sentences
        return f"{name}: " * bool(name) + str(error["ctx"]["error"])
    if kind == "extra_forbidden":
        allowed = list(_settings_at(where[:-1]).model_fields)
        near = difflib.get_close_matches(str(where[-1]), allowed, 1)
        meant = f" Is {near[0]} meant?" if near else ""
        return f"{name}: a setting here must be one of {', '.join(allowed)}; got {where[-1]}.{meant}"
    rule = error["msg"][0].lower() + error["msg"][1:]
    if kind.startswith("date"):
        rule = "must be a day of the calendar as YYYY-MM-DD"
    return f"{name}: {rule.replace('input should', 'must', 1)}; got {reprlib.repr(error['input'])}"


def _settings_at(where: tuple[int | str, ...]) -> type[_Settings]:
    """The settings that a place in a protocol holds, such as ``TrainingSettings`` for ``training``."""
    found: type[_Settings] = Protocol
    for part in where:
        field = found.model_fields.get(str(part))  # names of networks are no fields: they lead to one kind of settings
        found = found if field is None else _settings_in(field.annotation) or found
    return found


def _settings_in(annotation: object) -> type[_Settings] | None:
    if isinstance(annotation, type) and issubclass(annotation, _Settings):
        return annotation
    return next(filter(None, map(_settings_in, get_args(annotation))), None)


def built_in_protocol(name: str) -> Protocol:
    """Protocol that comes with the package: ``paper`` or ``demo``."""
    source = resources.files("microcalc") / "protocols" / f"{name}.yaml"
    with resources.as_file(source) as path:
        return read_protocol(path)
