"""The folded network scores and looks as the network itself does."""

import copy

import pytest
import torch
from torch import nn

from microcalc.learn.gradcam import grad_cam
from microcalc.learn.inference import inference_network
from microcalc.learn.networks import NETWORK_TABLE, head_of, network_spec
from settled_networks import images, settled_network

MAY_STAY = {"densenet201": 102}  # batch norms before a convolution: 98 in the layers, 3 in transitions, 1 at the end


@pytest.fixture(scope="module", params=list(NETWORK_TABLE))
def network(request):
    return network_spec(request.param), settled_network(request.param)


@pytest.fixture(scope="module")
def views():
    return images(4, seed=11)


def differences(one, other):
    scores = float((one.probabilities - other.probabilities).abs().max())
    maps = float((one.class_maps - other.class_maps).abs().max() / other.class_maps.max())
    return scores, maps


def test_in_float32_folding_changes_nothing_but_rounding(network, views):
    spec, model = network
    before = {key: value.clone() for key, value in model.state_dict().items()}
    folded = inference_network(model, spec)
    scores, maps = differences(grad_cam(folded, spec, views, target=1), grad_cam(model, spec, views, target=1))
    assert scores < 1e-3
    assert maps < 1e-3
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_every_batch_norm_behind_a_convolution_is_gone(network):
    spec, model = network
    folded = inference_network(copy.deepcopy(model).train(), spec)
    left = [module for module in folded.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(left) == MAY_STAY.get(spec.name, 0)
    assert not folded.training
    assert not any(parameter.requires_grad for parameter in folded.parameters())


def test_in_bf16_it_errs_no_more_than_autocast_and_scores_keep_float32(network, views):
    spec, model = network
    exact = grad_cam(model, spec, views, target=1)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = grad_cam(model, spec, views, target=1)
    folded = inference_network(model, spec, precision=torch.bfloat16)
    read = grad_cam(folded, spec, views, target=1)
    assert folded.forward_features(views).dtype == torch.bfloat16
    assert head_of(folded, spec).weight.dtype == read.logits.dtype == torch.float32
    assert not torch.equal(read.logits, read.logits.bfloat16().float()), "scores were rounded to bf16"
    for mine, usual in zip(differences(read, exact), differences(autocast, exact), strict=True):
        assert mine < 3 * usual + 0.01
