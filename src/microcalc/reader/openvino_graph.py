"""From a folded network in torch to the same network in OpenVINO, node by node, without tracing.

The folded networks are plain graphs of a dozen operations (`microcalc.learn.inference`), so writing them down anew
takes well under a second each; OpenVINO's own converter traces them first and took 7 to 30 seconds each. Whatever the
table below does not know is refused, never guessed.
"""

import operator
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn
from torch.nn import functional

from microcalc.errors import ProtocolError

__all__ = ["openvino_model"]


class Output(Protocol):
    """A node of OpenVINO; its package brings no types."""


def openvino_model(openvino: ModuleType, opset: ModuleType, network: nn.Module, *, size: int) -> object:
    """Write a folded network down for OpenVINO.

    Args:
        openvino: the package.
        opset: its operations.
        network: folded (a graph), in float32, from images (1, 3, size, size) to features.
        size: side of the input, pixels.

    Returns:
        An ``openvino.Model`` with the same input and output.

    Raises:
        ProtocolError: the network is no graph, or has an operation that is not known here.
    """
    if not isinstance(network, fx.GraphModule):
        raise _unknown(f"no graph of operations but a {type(network).__name__}")
    image = opset.parameter([1, 3, size, size], np.float32)
    last = _Writer(opset, network).write(image)
    return openvino.Model([last], [image], "features")


class _Writer:
    """Walks through the nodes of one network in their order."""

    def __init__(self, opset: ModuleType, network: fx.GraphModule) -> None:
        self._ops = opset
        self._network = network
        self._modules = dict(network.named_modules())
        self._made: dict[fx.Node, Output] = {}

    def write(self, image: Output) -> Output:
        """The node that the network ends in."""
        for node in self._network.graph.nodes:
            if node.op == "placeholder":
                self._made[node] = image
            elif node.op == "output":
                return self._input(node)
            elif node.op == "call_module":
                self._made[node] = self._module(self._modules[str(node.target)], self._input(node))
            else:
                self._made[node] = self._function(node)
        raise ProtocolError("a network must have an output; this one has none")

    def _input(self, node: fx.Node) -> Output:
        return self._made[cast("fx.Node", node.args[0])]

    def _module(self, module: nn.Module, x: Output) -> Output:
        for kind, write in self._module_table().items():
            if isinstance(module, kind):
                return write(module, x)
        raise _unknown(type(module).__name__)

    def _module_table(self) -> "dict[type[nn.Module], Callable[..., Output]]":
        return {
            nn.Conv2d: self._convolution,
            nn.BatchNorm2d: self._batch_norm,
            nn.ReLU: lambda _, x: self._ops.relu(x),
            nn.Identity: lambda _, x: x,
            nn.MaxPool2d: lambda m, x: self._max_pool(x, **_settings(m, "dilation", "return_indices")),
            nn.AvgPool2d: lambda m, x: self._mean_pool(x, **_settings(m, "count_include_pad")),
        }

    def _function(self, node: fx.Node) -> Output:
        target = node.target
        if target is operator.add:
            return cast("Output", self._ops.add(*(self._made[n] for n in cast("tuple[fx.Node, ...]", node.args))))
        if target is operator.mul and isinstance(node.args[1], float | int):
            return cast("Output", self._ops.multiply(self._input(node), np.float32(node.args[1])))
        if target is torch.cat:
            parts, axis = cast("tuple[list[fx.Node], int]", node.args)
            return cast("Output", self._ops.concat([self._made[n] for n in parts], axis))
        if target is functional.avg_pool2d:
            return self._mean_pool(self._input(node), *node.args[1:], **_known(node.kwargs))
        if target is functional.max_pool2d:
            return self._max_pool(self._input(node), *node.args[1:], **_known(node.kwargs))
        raise _unknown(str(target))

    def _convolution(self, module: nn.Conv2d, x: Output) -> Output:
        weight, strides, dilations = _array(module.weight), list(module.stride), list(module.dilation)
        if isinstance(module.padding, str) or module.padding_mode != "zeros":
            raise _unknown(f"a convolution padded by {module.padding_mode} {module.padding}")
        pads = list(module.padding)
        if module.groups == 1:
            out = self._ops.convolution(x, self._constant(weight), strides, pads, pads, dilations)
        else:
            outputs, inputs, *kernel = weight.shape
            grouped = weight.reshape(module.groups, outputs // module.groups, inputs, *kernel)
            out = self._ops.group_convolution(x, self._constant(grouped), strides, pads, pads, dilations)
        return out if module.bias is None else self._per_channel(self._ops.add, out, _array(module.bias))

    def _batch_norm(self, module: nn.BatchNorm2d, x: Output) -> Output:
        """A scale and a shift per channel, and timm's activation behind them."""
        mean, variance = module.running_mean, module.running_var
        if mean is None or variance is None:
            raise _unknown("a batch norm without running statistics")
        scale = _array(module.weight) / np.sqrt(_array(variance) + np.float32(module.eps))
        shift = _array(module.bias) - _array(mean) * scale
        out = self._per_channel(self._ops.add, self._per_channel(self._ops.multiply, x, scale), shift)
        activation = getattr(module, "act", None)  # of timm's BatchNormAct2d
        return out if activation is None else self._module(activation, out)

    def _per_channel(self, operation: Callable[..., Output], x: Output, values: NDArray[np.float32]) -> Output:
        """An operation with (c,) values, one for each channel of (1, c, h, w)."""
        return operation(x, self._constant(values.reshape(1, -1, 1, 1)))

    def _constant(self, values: NDArray[np.float32]) -> Output:
        """A constant; operations that are given an array themselves walk through it number by number."""
        return cast("Output", self._ops.constant(values))

    def _max_pool(
        self, x: Output, kernel_size: object, *, stride: object = None, padding: object = 0, dilation: object = 1
    ) -> Output:
        window = _Window.of(kernel_size, stride, padding)
        pool = self._ops.max_pool(x, window.strides, _pair(dilation), window.pads, window.pads, window.kernel)
        return cast("Output", pool.output(0))

    def _mean_pool(
        self,
        x: Output,
        kernel_size: object,
        *,
        stride: object = None,
        padding: object = 0,
        count_include_pad: bool = True,
    ) -> Output:
        window = _Window.of(kernel_size, stride, padding)
        leave_out = not count_include_pad
        pool = self._ops.avg_pool(x, window.strides, window.pads, window.pads, window.kernel, leave_out)
        return cast("Output", pool)


class _Window(NamedTuple):
    """A pooling's window, its steps and its zeros at the edge, each (rows, columns)."""

    kernel: list[int]
    strides: list[int]
    pads: list[int]

    @classmethod
    def of(cls, kernel_size: object, stride: object, padding: object) -> "_Window":
        """As torch has it: without a stride the windows lie side by side."""
        kernel = _pair(kernel_size)
        return cls(kernel, kernel if stride is None else _pair(stride), _pair(padding))


def _settings(module: nn.Module, *more: str) -> dict[str, Any]:
    """A pooling module's settings as its function takes them."""
    names = ("kernel_size", "stride", "padding", "ceil_mode", *more)
    return _known({name: getattr(module, name) for name in names})


def _known(settings: Mapping[str, object]) -> dict[str, Any]:
    """Settings of a pooling without the two that may only be off."""
    for name in ("ceil_mode", "return_indices"):
        if settings.get(name):
            raise _unknown(f"a pooling with {name}")
    return {name: value for name, value in settings.items() if name not in ("ceil_mode", "return_indices")}


def _array(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().float().numpy())


def _pair(value: object) -> list[int]:
    if isinstance(value, int):
        return [value, value]
    if isinstance(value, tuple | list) and len(value) == 2:
        return [int(v) for v in value]
    raise _unknown(f"a window of {value!r}")


def _unknown(what: str) -> ProtocolError:
    return ProtocolError(f"a network must be made of known operations to run in OpenVINO; it has {what}. Use torch")
