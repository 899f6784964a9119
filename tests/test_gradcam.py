"""Grad-CAM: the closed form, the gradient and an independent library give the same map."""

import dataclasses
import importlib

import numpy as np
import pytest
import torch
from torch import nn

from microcalc.errors import ProtocolError
from microcalc.learn._timm import import_with_torchvision
from microcalc.learn.gradcam import class_maps, grad_cam, grad_cam_by_gradient, heatmaps
from microcalc.learn.networks import NETWORK_TABLE, network_spec
from settled_networks import images, settled_network


@pytest.fixture(scope="module", params=list(NETWORK_TABLE))
def network(request):
    return network_spec(request.param), settled_network(request.param)


@pytest.fixture(scope="module")
def views():
    return images(2, seed=11)


@pytest.fixture(scope="module")
def library():
    """The package grad-cam; it imports torchvision, so it goes through the cure."""
    cam = import_with_torchvision("pytorch_grad_cam")
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    return cam.GradCAM, targets.ClassifierOutputTarget


def largest_difference(one, other):
    """Relative to the largest value of each map."""
    return float(((one - other).abs().amax(dim=(1, 2)) / other.amax(dim=(1, 2))).max())


def assert_alive(maps):
    assert maps.shape[1] > 1, "a map of one position proves nothing"
    assert bool((maps.amax(dim=(1, 2)) > 0).all()), "a map of zeros proves nothing"


@pytest.mark.parametrize("target", [0, 1])
def test_the_closed_form_is_the_gradient(network, views, target):
    spec, model = network
    closed = grad_cam(model, spec, views, target=target)
    assert_alive(closed.class_maps.amax(dim=1))
    gradient = grad_cam_by_gradient(model, spec.last_features, views, target=target)
    assert closed.maps.dtype == torch.float32
    assert float(gradient.max()) > 0
    tolerance = 1e-5 * gradient.amax(dim=(1, 2), keepdim=True)
    assert bool(((closed.maps - gradient).abs() <= tolerance).all())


@pytest.mark.parametrize("target", [0, 1])
def test_the_grad_cam_library_gives_the_same_map(network, views, library, target):
    spec, model = network
    gradcam_class, output_target = library
    layer = model.get_submodule(spec.last_features)
    targets = [output_target(target)] * len(views)
    with gradcam_class(model=model, target_layers=[layer]) as cam:
        scaled = torch.from_numpy(cam(input_tensor=views.clone(), targets=targets))
        recorder = cam.activations_and_grads
        features, gradients = (kept[0].detach().numpy() for kept in (recorder.activations, recorder.gradients))
        raw = cam.get_cam_image(views, layer, targets, features, gradients)
    theirs = torch.from_numpy(raw).clamp(min=0)
    ours = grad_cam(model, spec, views, target=target).maps
    by_gradient = grad_cam_by_gradient(model, spec.last_features, views, target=target)
    tolerance = 1e-4 * theirs.amax(dim=(1, 2), keepdim=True)
    assert float(theirs.max()) > 0
    assert bool(((ours - theirs).abs() <= tolerance).all())
    assert bool(((by_gradient - theirs).abs() <= tolerance).all())
    # Its picture is stretched to a minimum of 0 as well; where ours has one, both are the same, up to the
    # rounded interpolation weights of its image library.
    touching_zero = ours.amin(dim=(1, 2)) == 0
    enlarged = heatmaps(ours, side=views.shape[-1])
    torch.testing.assert_close(enlarged[touching_zero], scaled[touching_zero], rtol=0, atol=1e-3)


def test_each_image_may_have_its_own_target(network, views):
    spec, model = network
    both = grad_cam(model, spec, views, target=torch.tensor([1, 0]))
    assert torch.equal(both.maps, torch.stack([both.class_maps[0, 1], both.class_maps[1, 0]]))
    gradient = grad_cam_by_gradient(model, spec.last_features, views, target=torch.tensor([1, 0]))
    torch.testing.assert_close(both.maps, gradient, rtol=1e-4, atol=float(gradient.max()) * 1e-5)


def test_scores_come_from_the_same_pass(network, views):
    spec, model = network
    cam = grad_cam(model, spec, views, target=1)
    with torch.inference_mode():
        assert torch.equal(cam.logits, model(views))
    torch.testing.assert_close(cam.probabilities.sum(dim=1), torch.ones(2))


def test_under_autocast_maps_and_scores_stay_float32(network, views):
    spec, model = network
    with torch.autocast("cpu", torch.bfloat16):
        cam = grad_cam(model, spec, views, target=1)
    assert cam.maps.dtype == cam.class_maps.dtype == cam.logits.dtype == torch.float32


class Spots(nn.Module):
    """Two features: the red and the green channel. Benign looks at green, malignant at red minus green."""

    def __init__(self):
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1, bias=False)
        self.colours.weight.data = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]).reshape(2, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(2, 2)
        self.fc.weight.data = torch.tensor([[0.0, 2.0], [4.0, -3.0]])

    def forward_features(self, x):
        return self.relu(self.colours(x))

    def forward_head(self, features):
        return self.fc(features.mean(dim=(2, 3)))

    def forward(self, x):
        return self.forward_head(self.forward_features(x))


SPOTS = dataclasses.replace(network_spec("xception"), classifier="fc", last_features="relu")


@pytest.fixture
def spotted():
    """Red 5 at (1, 2), green 6 at (3, 0), negative red at (0, 0), on 4 x 4."""
    image = torch.zeros(1, 3, 4, 4)
    image[0, 0, 1, 2], image[0, 1, 3, 0], image[0, 0, 0, 0] = 5.0, 6.0, -9.0
    return image


@pytest.mark.parametrize(("target", "place", "value"), [(0, (3, 0), 2 * 6 / 16), (1, (1, 2), 4 * 5 / 16)])
def test_a_planted_spot_is_where_the_map_is(spotted, target, place, value):
    expected = torch.zeros(1, 4, 4)
    expected[0][place] = value
    model = Spots().eval()
    torch.testing.assert_close(grad_cam(model, SPOTS, spotted, target=target).maps, expected)
    torch.testing.assert_close(grad_cam_by_gradient(model, "relu", spotted, target=target), expected)


def test_a_relu_in_place_does_not_change_the_features_before_it(spotted):
    # Before the ReLU the negative red still counts: its gradient is cut, the others' are W/16 at one of 16 places.
    maps = grad_cam_by_gradient(Spots().eval(), "colours", spotted, target=1)
    assert maps[0, 0, 0] == 0
    red, green = 4 / 16 / 16, -3 / 16 / 16  # mean over positions: only the one lit place lets the gradient through
    torch.testing.assert_close(maps[0, 1, 2], torch.tensor(red * 5))
    assert maps[0, 3, 0] == max(0.0, green * 6)


def test_the_gradient_way_takes_frozen_networks_and_inference_images(spotted):
    model = Spots().eval().requires_grad_(False)
    with torch.inference_mode():
        maps = grad_cam_by_gradient(model, "relu", spotted * 1.0, target=1)
    assert float(maps.max()) == pytest.approx(4 * 5 / 16)
    assert not model.relu._forward_hooks, "the hook must go"


def test_a_model_in_training_mode_is_refused(spotted):
    with pytest.raises(ProtocolError, match=r"evaluation mode.*model\.eval\(\)"):
        grad_cam(Spots(), SPOTS, spotted, target=1)
    with pytest.raises(ProtocolError, match="evaluation mode"):
        grad_cam_by_gradient(Spots(), "relu", spotted, target=1)


@pytest.mark.parametrize("target", [2, -1])
def test_a_target_that_is_no_class_is_refused(spotted, target):
    with pytest.raises(ProtocolError, match=f"from 0 to 1; got {target}"):
        grad_cam(Spots().eval(), SPOTS, spotted, target=target)


@pytest.mark.parametrize(
    ("layer", "text"),
    [("nowhere", "must have the layer 'nowhere'"), ("fc", r"feature maps \(n, c, h, w\); got the shape \(1, 2\)")],
)
def test_a_layer_without_feature_maps_is_refused(spotted, layer, text):
    with pytest.raises(ProtocolError, match=text):
        grad_cam_by_gradient(Spots().eval(), layer, spotted, target=1)


def test_a_layer_that_runs_twice_is_refused(spotted):
    model = Spots().eval()
    model.forward_features = lambda x: model.relu(model.relu(model.colours(x)))
    with pytest.raises(ProtocolError, match="'relu' must run once in a forward pass; it ran 2 times"):
        grad_cam_by_gradient(model, "relu", spotted, target=1)


def test_class_maps_are_the_weighted_sums_written_out():
    generator = torch.Generator().manual_seed(0)
    features, head = torch.randn(2, 5, 3, 4, generator=generator), nn.Linear(5, 2)
    weight = head.weight.detach().numpy()
    expected = np.zeros((2, 2, 3, 4), dtype=np.float64)
    for n, k, row, column in np.ndindex(expected.shape):
        expected[n, k, row, column] = max(0.0, sum(weight[k, c] * float(features[n, c, row, column]) for c in range(5)))
    np.testing.assert_allclose(class_maps(features, head).numpy(), expected / 12, atol=1e-7)


def test_heatmaps_reach_1_and_zeros_stay_zeros():
    maps = torch.stack([torch.tensor([[0.0, 3.0], [0.0, 0.0]]), torch.zeros(2, 2)])
    enlarged = heatmaps(maps, side=8)
    assert enlarged.shape == (2, 8, 8)
    assert float(enlarged[0].max()) == 1.0
    assert float(enlarged[0].min()) == 0.0
    assert float(enlarged[1].abs().max()) == 0.0


def test_heatmaps_are_interpolated_between_pixel_centres():
    # Centres of 2 cells lie at pixels 1.5 and 5.5 of 8: linear between them, constant outside.
    row = heatmaps(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), side=8)[0, 0]
    torch.testing.assert_close(row, torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]))


def test_a_crops_heatmap_lies_in_the_middle_of_its_roi():
    whole = heatmaps(torch.ones(1, 2, 2), side=4, roi_side=8)[0]
    assert whole.shape == (8, 8)
    assert float(whole[2:6, 2:6].min()) == 1.0
    assert float(whole.sum()) == 16.0


def test_a_crop_larger_than_its_roi_is_refused():
    with pytest.raises(ProtocolError, match="a crop of 8 from an ROI of 4"):
        heatmaps(torch.ones(1, 2, 2), side=8, roi_side=4)
