"""The five networks: what the table says is what timm builds, and scores keep their resolution."""

import functools
import subprocess
import sys

import pytest
import torch

from microcalc.errors import ProtocolError
from microcalc.learn import networks
from microcalc.learn._timm import pretrained_cfg
from microcalc.learn.networks import (
    NETWORK_TABLE,
    build_network,
    check_input_size,
    features_and_logits,
    head_of,
    logits,
    network_features,
    network_spec,
    network_tensors,
)
from microcalc.protocol import NETWORKS

NAMES = list(NETWORK_TABLE)
SMALL = {"resnet101": 64, "xception": 64, "inception_v3": 75, "inception_resnet_v2": 75, "densenet201": 64}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@functools.cache
def on_meta(name):
    with torch.device("meta"):
        return networks._create(network_spec(name)).eval()


def test_the_table_has_the_papers_networks_in_its_order():
    assert tuple(NETWORK_TABLE) == NETWORKS
    assert [s.input_size for s in NETWORK_TABLE.values()] == [224, 299, 299, 299, 224]
    assert [s.batch_size for s in NETWORK_TABLE.values()] == [16, 32, 32, 16, 8]


def test_mean_std_and_size_are_those_of_the_weights(name):
    spec, facts = network_spec(name), pretrained_cfg(network_spec(name).timm_name)
    assert (spec.mean, spec.std) == (facts.mean, facts.std)
    assert facts.input_size == (3, spec.input_size, spec.input_size)
    assert facts.classifier == spec.classifier


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(ProtocolError, match=r"one of resnet101, xception, .*; got 'vgg16'"):
        build_network("vgg16", seed=0)


# Parameters with 1,000 classes as torchvision, Keras and timm publish them.
PUBLISHED = {
    "resnet101": 44_549_160,
    "xception": 22_855_952,
    "inception_v3": 23_834_568,
    "inception_resnet_v2": 55_843_464,
    "densenet201": 20_013_928,
}


def test_parameters_with_1000_classes_are_the_published_ones(name):
    features = network_features(name)
    assert features.parameters_imagenet == PUBLISHED[name]
    assert features.parameters < features.parameters_imagenet
    assert features.size_mb == pytest.approx(features.parameters * 4 / 1024 / 1024)


def test_features_count_what_is_built():
    model = build_network("xception", seed=0)
    assert network_features("xception").parameters == sum(p.numel() for p in model.parameters())
    assert set(network_tensors("xception")) == set(model.state_dict())


@pytest.mark.parametrize("size", [96, 128, 224, 299, 512])
def test_every_network_takes_every_size(name, size):
    model = on_meta(name)
    features, scores = features_and_logits(model, torch.empty(3, 3, size, size, device="meta"))
    assert scores.shape == (3, 2)
    assert features.shape[:2] == (3, head_of(model, network_spec(name)).in_features)


def test_the_smallest_input_of_the_table_is_the_smallest_that_works(name):
    model, smallest = on_meta(name), network_spec(name).smallest_input
    features, _ = features_and_logits(model, torch.empty(1, 3, smallest, smallest, device="meta"))
    assert min(features.shape[2:]) >= 1
    check_input_size(name, smallest)
    with pytest.raises(ProtocolError, match=f"at least {smallest} pixels.*got {smallest - 1}"):
        check_input_size(name, smallest - 1)


@pytest.mark.parametrize("inception", ["inception_v3", "inception_resnet_v2"])
def test_a_smaller_input_would_vanish_in_an_inception(inception):
    with pytest.raises(RuntimeError):
        on_meta(inception)(torch.empty(1, 3, 74, 74, device="meta"))


def test_the_last_features_layer_gives_what_enters_the_pooling(name):
    seen = []
    model = on_meta(name)
    layer = model.get_submodule(network_spec(name).last_features)
    handle = layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    features, _ = features_and_logits(model, torch.empty(1, 3, 96, 96, device="meta"))
    handle.remove()
    assert len(seen) == 1
    assert seen[0] is features


@pytest.fixture(scope="module", params=NAMES)
def built(request):
    before = torch.get_rng_state()
    model = build_network(request.param, seed=5)
    assert torch.equal(torch.get_rng_state(), before), "global random state was touched"
    return request.param, model


@pytest.fixture(scope="module")
def images(built):
    size = SMALL[built[0]]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, size, size, generator=generator).contiguous(memory_format=torch.channels_last)


def test_all_parameters_are_trainable_and_convolutions_channels_last(built):
    model = built[1]
    assert all(p.requires_grad for p in model.parameters())
    kernels = [p for p in model.parameters() if p.ndim == 4]
    assert all(k.is_contiguous(memory_format=torch.channels_last) for k in kernels)


def test_scores_are_float32_under_autocast_and_free_of_ties(built, images):
    model = built[1].eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features, scores = features_and_logits(model, images)
        again = model(images)
    assert features.dtype == torch.bfloat16
    assert scores.dtype == torch.float32
    assert torch.equal(scores, again)
    assert len(set(scores.flatten().tolist())) == scores.numel()
    pooled = features.float().mean(dim=(2, 3))
    head = head_of(model, network_spec(built[0]))
    expected = pooled @ head.weight.T + head.bias
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-6)
    assert not torch.equal(scores, scores.bfloat16().float()), "scores were rounded to bf16"


def test_gradients_reach_every_parameter_under_autocast(built, images):
    model = built[1].train()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.autocast("cpu", torch.bfloat16):
        loss = torch.nn.functional.cross_entropy(logits(model, images), torch.tensor([0, 1, 0, 1]))
    loss.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())
    model.zero_grad()
    model.load_state_dict(state)


def test_the_seed_alone_decides_the_weights():
    torch.manual_seed(1)
    first = build_network("xception", seed=7).state_dict()
    torch.manual_seed(2)
    second = build_network("xception", seed=7).state_dict()
    other = build_network("xception", seed=8).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


# A torchvision of another build registers against operators that its compiled part did not bring along.
BROKEN = """
import torch
torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: dets)
torch.library.register_fake("torchvision::qnms")(lambda dets, scores, iou_threshold: dets)
"""
TIMM = "import torchvision\ncreate_model = get_pretrained_cfg = print\n"
IMPORT = "import microcalc.learn._timm, torch; print(hasattr(torch.ops.torchvision, 'nms'))"


def import_timm_beside(torchvision, folder):
    """Import microcalc's timm module in a process of its own, with made-up packages in the place of the real ones."""
    (folder / "torchvision.py").write_text(torchvision)
    (folder / "timm.py").write_text(TIMM)
    script = f"import sys; sys.path.insert(0, {str(folder)!r}); {IMPORT}"
    return subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)


def test_a_torchvision_of_another_build_is_cured(tmp_path):
    done = import_timm_beside(BROKEN, tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr


def test_nothing_is_declared_where_torchvision_imports(tmp_path):
    done = import_timm_beside("", tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr


def test_another_failure_of_torchvision_is_not_hidden(tmp_path):
    done = import_timm_beside("raise RuntimeError('no such driver')", tmp_path)
    assert done.returncode != 0
    assert "no such driver" in done.stderr
