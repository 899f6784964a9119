"""The paper's five networks as rows of one table, built on timm with two outputs.

What differs between them stands in ``NETWORK_TABLE`` and nowhere else. Here they are described, built and run to
features and logits; their ImageNet weights live in ``weights``, training in ``train``, heatmaps in ``gradcam``.

Every network ends alike: last features (n, c, h, w), global average pooling, one linear layer. Pooling and linear
layer always compute in float32, also under bf16 autocast: eight bits of mantissa would give many images the same
score, and ties spoil a ROC curve.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, cast

import torch
from torch import nn

from microcalc.errors import ProtocolError
from microcalc.learn._timm import create_model

__all__ = [
    "BENIGN_AND_MALIGNANT",
    "NETWORK_TABLE",
    "NetworkFeatures",
    "NetworkSpec",
    "TensorKind",
    "build_network",
    "check_input_size",
    "empty_network",
    "features_and_logits",
    "head_of",
    "logits",
    "network_features",
    "network_spec",
    "network_tensors",
    "without_autocast",
]

BENIGN_AND_MALIGNANT = 2
"""Outputs of every network: logit 0 is benign, logit 1 is malignant."""

_IMAGENET_CLASSES = 1000
_BYTES_PER_FLOAT32 = 4
_MEBIBYTE = 2**20

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5)

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class NetworkSpec:
    """One network: a row of the table.

    Attributes:
        name: key in ``NETWORK_TABLE`` and model name in the predictions table.
        title: as people write it.
        timm_name: timm's architecture and tag; the tag says which ImageNet weights.
        input_size: side of the square input of the paper, pixels.
        batch_size: images per step in the paper.
        mean: of each channel on the scale 0 to 1, as the ImageNet weights were trained with.
        std: likewise, standard deviation.
        last_features: path of the module whose output is the last feature maps (what Grad-CAM looks at).
        classifier: path of the linear layer.
        depth: layers on the longest path with weights, as in the supplement of the paper (MATLAB's count).
        smallest_input: below this side the feature maps would vanish, pixels.
    """

    name: str
    title: str
    timm_name: str
    input_size: int
    batch_size: int
    mean: Triple
    std: Triple
    last_features: str
    classifier: str
    depth: int
    smallest_input: int


# fmt: off
_ROWS = (
    NetworkSpec("resnet101", "ResNet-101", "resnet101.tv_in1k",
                224, 16, _IMAGENET_MEAN, _IMAGENET_STD, "layer4", "fc", 101, 32),
    NetworkSpec("xception", "Xception", "legacy_xception.tf_in1k",
                299, 32, _HALF, _HALF, "act4", "fc", 71, 32),
    NetworkSpec("inception_v3", "Inception-v3", "inception_v3.tf_in1k",
                299, 32, _HALF, _HALF, "Mixed_7c", "fc", 48, 75),
    NetworkSpec("inception_resnet_v2", "Inception-ResNet-v2", "inception_resnet_v2.tf_in1k",
                299, 16, _HALF, _HALF, "conv2d_7b", "classif", 164, 75),
    NetworkSpec("densenet201", "DenseNet-201", "densenet201.tv_in1k",
                224, 8, _IMAGENET_MEAN, _IMAGENET_STD, "features", "classifier", 201, 32),
)
# fmt: on

NETWORK_TABLE: Mapping[str, NetworkSpec] = MappingProxyType({spec.name: spec for spec in _ROWS})
"""The five networks by name, in the paper's order."""


@dataclass(frozen=True)
class NetworkFeatures:
    """What the supplement of the paper tells of a network.

    Attributes:
        name: key in ``NETWORK_TABLE``.
        title: as people write it.
        depth: layers, MATLAB's count.
        parameters: with the two outputs that the study trains.
        parameters_imagenet: with ImageNet's 1,000 outputs, as the literature counts.
        size_mb: the parameters of the two-output network in float32, units of 2**20 bytes (MATLAB's MB).
        input_size: side of the square input of the paper, pixels.
        batch_size: images per step in the paper.
    """

    name: str
    title: str
    depth: int
    parameters: int
    parameters_imagenet: int
    size_mb: float
    input_size: int
    batch_size: int


class TensorKind(NamedTuple):
    """What a tensor of a network must be like."""

    shape: tuple[int, ...]
    floating: bool


class _Float32Pool(nn.Module):
    """Global average pooling of (n, c, h, w) to (n, c) in float32 at least, whatever autocast says."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return _at_least_float32(features).mean(dim=(2, 3))


class _Float32Linear(nn.Linear):
    """A linear layer that computes in float32 at least, whatever autocast or the precision of its weights says."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  (torch's own name)
        values = _at_least_float32(input)
        with without_autocast(values.device):
            return nn.functional.linear(values, self.weight.to(values.dtype), self.bias.to(values.dtype))


def without_autocast(device: torch.device) -> AbstractContextManager[None]:
    """Context in which autocast is off on a device; also for the meta device, which has none."""
    if torch.amp.is_autocast_available(device.type):
        return cast("AbstractContextManager[None]", torch.autocast(device.type, enabled=False))
    return nullcontext()


def network_spec(name: str) -> NetworkSpec:
    """Return the row of the network ``name``.

    Raises:
        ProtocolError: no such network.
    """
    if name not in NETWORK_TABLE:
        raise ProtocolError(f"a network must be one of {', '.join(NETWORK_TABLE)}; got {name!r}")
    return NETWORK_TABLE[name]


def check_input_size(name: str, size: int) -> None:
    """Make sure that the network can look at images of ``size`` x ``size`` pixels.

    Raises:
        ProtocolError: too small, the feature maps would vanish.
    """
    spec = network_spec(name)
    if size < spec.smallest_input:
        raise ProtocolError(
            f"{spec.title} needs an input of at least {spec.smallest_input} pixels, else its feature maps vanish; "
            f"got {size}. Choose a larger input_size or leave this network out"
        )


def build_network(name: str, *, seed: int) -> nn.Module:
    """Build a network with two outputs and random weights, all of them trainable, in channels-last layout.

    The weights depend on ``seed`` alone; no global random state is read or changed.

    Args:
        name: key in ``NETWORK_TABLE``.
        seed: of torch's CPU generator.

    Returns:
        A module on the CPU in training mode; input (n, 3, h, w), output logits (n, 2) float32.

    Raises:
        ProtocolError: no such network.
    """
    spec = network_spec(name)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would also seed the GPUs, which fork_rng(devices=[]) does not put back.
        torch.default_generator.manual_seed(seed)
        model = _create(spec)
    # Module.to has no overload for a layout alone, although it takes one.
    return cast("nn.Module", model.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def empty_network(name: str) -> nn.Module:
    """Build a network without memory for its weights, which `learn.checkpoint.load_network` brings; saves seconds.

    Raises:
        ProtocolError: no such network.
    """
    return _create_without_memory(network_spec(name))


def network_features(name: str) -> NetworkFeatures:
    """Count what the supplement of the paper tells of a network, without allocating it.

    Raises:
        ProtocolError: no such network.
    """
    spec = network_spec(name)
    model = _create_without_memory(spec)
    parameters = sum(p.numel() for p in model.parameters())
    outputs_more = _IMAGENET_CLASSES - BENIGN_AND_MALIGNANT
    return NetworkFeatures(
        name=spec.name,
        title=spec.title,
        depth=spec.depth,
        parameters=parameters,
        parameters_imagenet=parameters + outputs_more * (head_of(model, spec).in_features + 1),
        size_mb=parameters * _BYTES_PER_FLOAT32 / _MEBIBYTE,
        input_size=spec.input_size,
        batch_size=spec.batch_size,
    )


def network_tensors(name: str) -> dict[str, TensorKind]:
    """Return the weights and buffers of a network by name, as its state dict has them, without allocating them.

    Raises:
        ProtocolError: no such network.
    """
    state = _create_without_memory(network_spec(name)).state_dict()
    return {key: TensorKind(tuple(tensor.shape), tensor.is_floating_point()) for key, tensor in state.items()}


def features_and_logits(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a network of the table and keep its last feature maps.

    Args:
        model: from ``build_network``.
        images: (n, 3, h, w), normalised.

    Returns:
        Features (n, c, h', w') in the precision of the network or of autocast, and logits (n, 2) float32. The logits
        are those of ``model(images)``, bit for bit.
    """
    forward_features = cast("Callable[[torch.Tensor], torch.Tensor]", model.forward_features)
    forward_head = cast("Callable[[torch.Tensor], torch.Tensor]", model.forward_head)
    features = forward_features(images)
    return features, forward_head(features)


def logits(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the logits (n, 2) of ``images`` (n, 3, h, w), float32 also where the features are bf16."""
    return features_and_logits(model, images)[1]


def head_of(model: nn.Module, spec: NetworkSpec) -> nn.Linear:
    """Return the linear layer at the end of a network."""
    return cast("nn.Linear", model.get_submodule(spec.classifier))


def _create(spec: NetworkSpec) -> nn.Module:
    model = create_model(spec.timm_name, pretrained=False, num_classes=BENIGN_AND_MALIGNANT)
    random_head = head_of(model, spec)
    head = _Float32Linear(random_head.in_features, random_head.out_features)
    head.weight, head.bias = random_head.weight, random_head.bias
    model.set_submodule(spec.classifier, head)
    model.set_submodule("global_pool", _Float32Pool())
    return model


def _create_without_memory(spec: NetworkSpec) -> nn.Module:
    with torch.device("meta"):
        return _create(spec)


def _at_least_float32(values: torch.Tensor) -> torch.Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
