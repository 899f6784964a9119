"""A network made ready for reading single images fast: batch norm folded away, weights in the precision they run in.

In evaluation mode a batch norm behind a convolution is a scale and a shift per channel, so it goes into the
convolution's own weights; and where the processor computes bf16 in hardware the weights are converted once instead of
at every call. What comes out has the same two halves as any network of the table (``forward_features``,
``forward_head``) and the same classifier path, so Grad-CAM takes it as it is. It cannot be trained. Pooling and the
linear layer stay in float32. Training and the scores of a study use the network itself.

What bf16 costs: on 48 test phantoms and the demo's networks the probability of malignancy moved by 0.001 to 0.003 in
the median and 0.02 at most, but that of Inception-v3, which has no skip connections to damp rounding errors, by 0.014
and 0.17 (under autocast by 0.019 and 0.27). Float32, the default here, moved none by more than 0.0001.
"""

import copy
from typing import cast

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from microcalc.learn.networks import NetworkSpec, head_of

__all__ = ["InferenceNetwork", "folded_network", "inference_network"]


class InferenceNetwork(nn.Module):
    """A folded network in evaluation mode; made by ``inference_network``.

    Args:
        features: from images (n, 3, h, w) to the last features (n, c, h', w').
        pool: from features to (n, c).
        head: the linear layer to two logits.
        spec: row of ``NETWORK_TABLE``.
        precision: of the features.
    """

    def __init__(
        self, features: nn.Module, pool: nn.Module, head: nn.Linear, *, spec: NetworkSpec, precision: torch.dtype
    ) -> None:
        super().__init__()
        self.folded = features
        self.pool = pool
        self.add_module(spec.classifier, head)
        self.precision = precision
        self._classifier = spec.classifier
        self.requires_grad_(False).eval()

    def run_in(self, precision: torch.dtype) -> None:
        """Convert the weights of the features to a precision, and to the layout that torch is fastest in."""
        self.folded.to(dtype=precision)
        self.folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = precision

    def drop_features(self) -> None:
        """Let go of the features, where another program computes them: pooling and the linear layer remain."""
        self.folded = nn.Identity()

    def forward_features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last features of images (n, 3, h, w) in the network's precision."""
        images = images.to(dtype=self.precision, memory_format=torch.channels_last)
        return cast("torch.Tensor", self.folded(images))

    def forward_head(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, 2) float32 of features."""
        return cast("torch.Tensor", self.get_submodule(self._classifier)(self.pool(features)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits (n, 2) float32 of images (n, 3, h, w)."""
        return self.forward_head(self.forward_features(images))


def inference_network(
    model: nn.Module, spec: NetworkSpec, *, precision: torch.dtype = torch.float32
) -> InferenceNetwork:
    """Fold a network for fast reading; the network itself stays as it is.

    Args:
        model: from ``build_network``, trained; in whichever mode.
        spec: row of ``NETWORK_TABLE``.
        precision: of weights and features: bfloat16 where the hardware has it, else float32.
    """
    network = folded_network(copy.deepcopy(model), spec)
    network.run_in(precision)
    return network


def folded_network(model: nn.Module, spec: NetworkSpec) -> InferenceNetwork:
    """Fold a network, in float32 and as its weights lie; the network itself is used up.

    Args:
        model: trained; in whichever mode.
        spec: row of ``NETWORK_TABLE``.
    """
    model.eval()
    folded = fx.GraphModule(_Features(model), _Tracer().trace(_Features(model)))
    _fold_batch_norms(folded)
    pool = model.get_submodule("global_pool")
    return InferenceNetwork(folded, pool, head_of(model, spec), spec=spec, precision=torch.float32)


class _Features(nn.Module):
    """The first half of a network as a module of its own, for tracing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return cast("torch.Tensor", self.model.forward_features(images))  # type: ignore[operator]


class _Tracer(fx.Tracer):
    """Keeps timm's batch norms whole, activation included, although they are no modules of torch."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Take a batch norm's scale and shift into the convolution before it."""
    mean, variance = cast("torch.Tensor", norm.running_mean), cast("torch.Tensor", norm.running_var)
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    convolution.weight, convolution.bias = weight, bias


def _fold_batch_norms(network: fx.GraphModule) -> None:
    """Fold every batch norm that follows a convolution, and nothing else does, into that convolution."""
    modules = dict(network.named_modules())
    for node in list(network.graph.nodes):
        norm = modules.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d):
            continue
        source = node.args[0]
        convolution = modules.get(str(source.target)) if source.op == "call_module" else None
        if not isinstance(convolution, nn.Conv2d) or len(source.users) > 1:
            continue
        _fold(convolution, norm)
        activation = getattr(norm, "act", None)  # of timm's BatchNormAct2d
        if activation is None:
            node.replace_all_uses_with(source)
            network.graph.erase_node(node)
        else:
            network.set_submodule(str(node.target), activation)
    network.delete_all_unused_submodules()
    network.recompile()
