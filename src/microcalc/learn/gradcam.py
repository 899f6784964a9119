"""Grad-CAM heatmaps (Selvaraju et al. 2017) of any network, layer and class.

Two ways to the same map. The closed one needs no backward pass: all five networks end in global average pooling and
one linear layer, so the gradient of the logit of class k at the last features (c, h, w) is the same at every
position, W[k, c] / (h w), and its mean over positions is the weight of Grad-CAM. The gradient way works for any layer
that gives feature maps, and proves the closed one in the tests. How well a heatmap hits a lesion is measured in
``localisation``; colours and pictures are the report's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from microcalc.errors import ProtocolError
from microcalc.learn.networks import NetworkSpec, features_and_logits, head_of, without_autocast

__all__ = ["GradCam", "class_maps", "grad_cam", "grad_cam_by_gradient", "heatmaps"]


@dataclass(frozen=True)
class GradCam:
    """Heatmaps and scores of n images from one forward pass.

    Attributes:
        maps: (n, h, w) float32, of each image's target class, at the resolution of the features, not scaled, >= 0.
        class_maps: (n, 2, h, w) float32, likewise for both classes (0 benign, 1 malignant).
        logits: (n, 2) float32.
        probabilities: (n, 2) float32, softmax of the logits.
    """

    maps: torch.Tensor
    class_maps: torch.Tensor
    logits: torch.Tensor
    probabilities: torch.Tensor


def grad_cam(model: nn.Module, spec: NetworkSpec, images: torch.Tensor, *, target: int | torch.Tensor) -> GradCam:
    """Compute the Grad-CAM of the last features in closed form, with the scores, from one forward pass.

    Runs under the caller's autocast, if any; maps and scores are float32 all the same.

    Args:
        model: network of the row ``spec``, in evaluation mode.
        spec: row of ``NETWORK_TABLE``.
        images: (n, 3, height, width), normalised.
        target: class whose map is wanted (0 benign, 1 malignant), one for all images or (n,) one for each.

    Raises:
        ProtocolError: the model is in training mode, or ``target`` is no class.

    Source:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2; the shortcut is their section 3.1.
    """
    _check_evaluation(model)
    with torch.inference_mode():
        features, logits = features_and_logits(model, images)
        maps = class_maps(features, head_of(model, spec))
    chosen = _targets(target, logits)
    rows = torch.arange(len(images), device=maps.device)
    return GradCam(maps=maps[rows, chosen], class_maps=maps, logits=logits, probabilities=torch.softmax(logits, dim=1))


def class_maps(features: torch.Tensor, head: nn.Linear) -> torch.Tensor:
    """Return the Grad-CAM of every class from features that are averaged over positions and enter ``head``.

    Args:
        features: (n, c, h, w).
        head: linear layer from c to k classes.

    Returns:
        (n, k, h, w) float32, >= 0, not scaled.
    """
    positions = features.shape[2] * features.shape[3]
    weight = head.weight.detach().float() / positions
    with without_autocast(features.device):
        maps = torch.einsum("kc,nchw->nkhw", weight, features.float())
    return functional.relu(maps).contiguous()


def grad_cam_by_gradient(
    model: nn.Module, layer: str, images: torch.Tensor, *, target: int | torch.Tensor
) -> torch.Tensor:
    """Compute the Grad-CAM of any layer with a backward pass from the logit down to it.

    Args:
        model: any network with logits (n, k), in evaluation mode.
        layer: path of a module that runs once and whose output is (n, c, h, w).
        images: (n, 3, height, width), normalised.
        target: class whose map is wanted, one for all images or (n,) one for each.

    Returns:
        (n, h, w) float32, >= 0, not scaled.

    Raises:
        ProtocolError: the model is in training mode, ``target`` is no class, or the layer does not exist, does not
            run exactly once, or gives no feature maps.

    Source:
        Selvaraju et al., Grad-CAM, ICCV 2017, equations 1 and 2.
    """
    _check_evaluation(model)
    # An image that was made in inference mode could not be kept for the backward pass; a copy can.
    with torch.inference_mode(mode=False), torch.enable_grad(), _recorded(model, layer) as outputs:
        logits: torch.Tensor = model(images.clone())
        features = _only_feature_maps(outputs, layer)
        score = logits.gather(1, _targets(target, logits)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, features)
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    return functional.relu((weights * features.detach().float()).sum(dim=1))


def heatmaps(maps: torch.Tensor, *, side: int, roi_side: int | None = None) -> torch.Tensor:
    """Enlarge maps to the pixels of the ROI and scale each to a maximum of 1.

    Args:
        maps: (n, h, w), >= 0, as ``GradCam.maps``.
        side: side in ROI pixels of the square that the network saw (512, or the central crop).
        roi_side: side of the whole ROI where the network saw its central crop only; outside the crop the heatmap is
            0. None: the network saw all of it.

    Returns:
        (n, side, side), or (n, roi_side, roi_side), float32 in [0, 1]. A map that is 0 everywhere stays 0.

    Raises:
        ProtocolError: the crop is larger than the ROI.
    """
    enlarged = functional.interpolate(maps[:, None].float(), size=(side, side), mode="bilinear", align_corners=False)
    enlarged = enlarged[:, 0]
    largest = enlarged.amax(dim=(1, 2), keepdim=True)
    scaled = torch.where(largest > 0, enlarged / largest, torch.zeros_like(enlarged))
    if roi_side is None or roi_side == side:
        return scaled
    if roi_side < side:
        raise ProtocolError(f"a crop must not be larger than its ROI; got a crop of {side} from an ROI of {roi_side}")
    before = (roi_side - side) // 2
    after = roi_side - side - before
    return functional.pad(scaled, (before, after, before, after))


def _check_evaluation(model: nn.Module) -> None:
    if model.training:
        raise ProtocolError(
            "Grad-CAM explains the network that scores, so it must be in evaluation mode; got one in training mode. "
            "Call model.eval() first"
        )


def _targets(target: int | torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The target class of each of the n images, (n,) int64."""
    count, classes = logits.shape
    targets = torch.as_tensor(target, dtype=torch.int64, device=logits.device).expand(count)
    if bool(((targets < 0) | (targets >= classes)).any()):
        raise ProtocolError(f"target must be a class from 0 to {classes - 1}; got {target}")
    return targets


@contextmanager
def _recorded(model: nn.Module, layer: str) -> Iterator[list[torch.Tensor]]:
    """Collect what the module ``layer`` gives, cut from what comes before and open to gradients from what follows."""
    outputs: list[torch.Tensor] = []

    def record(_module: nn.Module, _inputs: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        features = output.detach().requires_grad_()
        outputs.append(features)
        # The clone goes on: a ReLU in place behind the layer must not change what was recorded.
        return features.clone()

    try:
        module = model.get_submodule(layer)
    except AttributeError as error:
        raise ProtocolError(f"the network must have the layer {layer!r}; {error}") from error
    handle = module.register_forward_hook(record)
    try:
        yield outputs
    finally:
        handle.remove()


def _only_feature_maps(outputs: list[torch.Tensor], layer: str) -> torch.Tensor:
    if len(outputs) != 1:
        raise ProtocolError(f"the layer {layer!r} must run once in a forward pass; it ran {len(outputs)} times")
    if outputs[0].ndim != 4:
        raise ProtocolError(
            f"the layer {layer!r} must give feature maps (n, c, h, w); got the shape {tuple(outputs[0].shape)}"
        )
    return outputs[0]
