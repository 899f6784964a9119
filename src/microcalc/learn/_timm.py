"""The one place where timm is imported, and the cure for a torchvision that does not fit the installed torch.

timm imports torchvision. The package index serves torchvision as a build for CUDA; beside a CPU build of torch its
compiled part does not load, and the import ends with "operator torchvision::nms does not exist", although nothing
that the networks use needs that operator. Declaring the two operators that its Python part registers against is
enough. Nothing is declared where torchvision imports as it is. No networks live here.
"""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import cast

import torch
from torch import nn

__all__ = ["create_model", "import_with_torchvision", "pretrained_cfg"]

_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_MISSING_OPERATORS = ("torchvision::nms", "torchvision::qnms")


def import_with_torchvision(name: str) -> ModuleType:
    """Import the module ``name``, which needs torchvision, declaring torchvision's two missing operators if need be.

    Raises:
        ImportError: the module or torchvision is not installed.
        RuntimeError: torchvision fails in any other way than the known one.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
        for operator in _MISSING_OPERATORS:
            torch.library.define(operator, _SCHEMA)
    return importlib.import_module(name)


_timm = import_with_torchvision("timm")

create_model = cast("Callable[..., nn.Module]", _timm.create_model)
"""``timm.create_model``."""

pretrained_cfg = cast("Callable[[str], object]", _timm.get_pretrained_cfg)
"""``timm.get_pretrained_cfg``: what timm knows of a tag (address, licence, mean, standard deviation)."""
