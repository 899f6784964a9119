"""Fetching weights from a hub that runs on this machine."""

import errno
import hashlib
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from hub_server import COMMIT, running_hub
from microcalc.errors import MicrocalcError, ProtocolError, WeightsError
from microcalc.learn import fetch
from microcalc.learn.fetch import Origin, fetch_weights, origin_of
from microcalc.learn.networks import NETWORK_TABLE, build_network, network_spec
from microcalc.learn.weights import import_weights, load_imagenet_weights, read_manifest, weight_path
from weight_files import imagenet_state, shapes_of, write_hollow

NET = "densenet201"
ADDRESS = f"/timm/densenet201.tv_in1k/resolve/{COMMIT}/model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Published files: one with random weights, one hollow."""
    folder = tmp_path_factory.mktemp("hub")
    save_file(imagenet_state(NET), folder / "densenet201")
    write_hollow(folder / "inception_v3", shapes_of("inception_v3"))
    return folder


@pytest.fixture
def hub(models, monkeypatch):
    with running_hub() as hub:
        for name in (NET, "inception_v3"):
            hub.add_model(network_spec(name).timm_name, models / name)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield hub


def files_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_timm_says_where_every_network_is_published():
    origins = {name: origin_of(name) for name in NETWORK_TABLE}
    assert {name for name, origin in origins.items() if not origin.hub_repository} == {"xception"}
    assert origins["resnet101"].hub_repository == "timm/resnet101.tv_in1k"
    assert origins["xception"].url.endswith("/xception-43020ad28.pth")
    assert {origin.license for origin in origins.values()} == {"apache-2.0", "bsd-3-clause"}


def test_a_fetched_file_is_the_published_one_with_its_manifest(hub, models, tmp_path):
    said = []
    result = fetch_weights(tmp_path / "out", names=[NET], report=said.append)
    assert (result.fetched, result.kept) == ((NET,), ())
    assert said == ["densenet201: fetching densenet201.tv_in1k"]
    assert files_in(result.folder) == ["densenet201.safetensors", "manifest.json"]
    content = (models / NET).read_bytes()
    assert weight_path(result.folder, NET).read_bytes() == content
    file = read_manifest(result.folder).files[NET]
    assert file.sha256 == file.source_sha256 == hashlib.sha256(content).hexdigest()
    assert (file.bytes, file.tensors) == (len(content), len(imagenet_state(NET)))
    assert (file.timm_name, file.license) == ("densenet201.tv_in1k", "apache-2.0")
    assert file.source == hub.url + ADDRESS


def test_what_is_complete_is_kept_and_what_is_damaged_is_fetched_again(hub, tmp_path):
    fetch_weights(tmp_path, names=[NET])
    assert fetch_weights(tmp_path, names=[NET]).kept == (NET,)
    assert hub.downloads() == [ADDRESS]
    with weight_path(tmp_path, NET).open("r+b") as file:
        file.truncate(1000)
    assert fetch_weights(tmp_path, names=[NET]).fetched == (NET,)
    assert hub.downloads() == [ADDRESS, ADDRESS]


def test_a_fetched_folder_imports_and_loads(hub, tmp_path):
    fetch_weights(tmp_path / "out", names=[NET])
    import_weights(tmp_path / "out", folder=tmp_path / "installed")
    model = build_network(NET, seed=0)
    load_imagenet_weights(model, NET, folder=tmp_path / "installed")
    published = load_file(weight_path(tmp_path / "out", NET))
    assert torch.equal(model.state_dict()["features.conv0.weight"], published["features.conv0.weight"])


def test_bytes_changed_on_the_way_are_refused(hub, tmp_path):
    hub.spoil.add(ADDRESS)
    with pytest.raises(WeightsError, match=r"must have the SHA-256 [0-9a-f]{64} as the hub says; got"):
        fetch_weights(tmp_path, names=[NET])
    assert files_in(tmp_path) == []


def test_a_file_of_another_network_is_refused(hub, models, tmp_path):
    hub.files[ADDRESS] = hub.files[ADDRESS.replace(COMMIT, "main")] = models / "inception_v3"
    with pytest.raises(WeightsError, match="must hold the tensors of DenseNet-201"):
        fetch_weights(tmp_path, names=[NET])
    assert files_in(tmp_path) == []


def test_a_file_that_the_hub_has_not_is_an_error_and_earlier_ones_stay(hub, tmp_path):
    with pytest.raises(WeightsError, match=r"resnet101.tv_in1k must be fetched from timm/resnet101.tv_in1k.*is kept"):
        fetch_weights(tmp_path, names=[NET, "resnet101"])
    assert files_in(tmp_path) == ["densenet201.safetensors", "manifest.json"]


def test_without_a_connection_the_error_says_what_to_check(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(WeightsError, match=r"Check the connection \(HF_ENDPOINT, proxy\)"):
        fetch_weights(tmp_path, names=[NET])
    assert files_in(tmp_path) == []


def test_a_full_disk_is_said_as_such(hub, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "hf_hub_download", full)
    with pytest.raises(MicrocalcError, match="the disk is full"):
        fetch_weights(tmp_path, names=[NET])
    assert files_in(tmp_path) == []


def test_an_unknown_network_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ProtocolError, match="got 'vgg16'"):
        fetch_weights(tmp_path / "out", names=["vgg16"])
    assert not (tmp_path / "out").exists()


def test_a_timm_that_does_not_know_the_weights_is_refused(monkeypatch):
    monkeypatch.setattr(fetch, "pretrained_cfg", lambda _name: None)
    with pytest.raises(WeightsError, match="Install timm"):
        origin_of("xception")


def test_a_killed_fetch_goes_on_where_it_was(hub, tmp_path):
    second = "/timm/inception_v3.tf_in1k/resolve/" + COMMIT + "/model.safetensors"
    hub.stall.add(second)
    arguments = ["fetch", "--out", str(tmp_path), "--networks", f"{NET},inception_v3"]
    code = f"from microcalc.cli.weights import app; app({arguments!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert hub.stalled.wait(120), "the second download must have begun"
        os.kill(process.pid, signal.SIGKILL)
    assert weight_path(tmp_path, NET).exists()
    assert not weight_path(tmp_path, "inception_v3").exists()
    assert list(read_manifest(tmp_path).files) == [NET]
    hub.stall.clear()
    result = fetch_weights(tmp_path, names=[NET, "inception_v3"])
    assert (result.kept, result.fetched) == ((NET,), ("inception_v3",))
    assert files_in(tmp_path) == ["densenet201.safetensors", "inception_v3.safetensors", "manifest.json"]


# Xception: only a .pth is published, with the beginning of its SHA-256 in its name.


@pytest.fixture(scope="module")
def xception_state():
    """As the published file of 2018: without the counters that torch added to batch norm later."""
    return {k: v for k, v in imagenet_state("xception").items() if not k.endswith("num_batches_tracked")}


def serve_pth(hub, monkeypatch, path, prefix=None):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    address = f"/release/xception-{prefix or digest[:8]}.pth"
    hub.files[address] = path
    monkeypatch.setattr(
        fetch, "origin_of", lambda _name: Origin("legacy_xception.tf_in1k", "", hub.url + address, "apache-2.0")
    )
    return digest


@pytest.mark.parametrize("zipped", [False, True], ids=["legacy", "zip"])
def test_a_pth_is_converted_once_and_removed(hub, xception_state, tmp_path, monkeypatch, zipped):
    path = tmp_path / "published.pth"
    torch.save(xception_state, path, _use_new_zipfile_serialization=zipped)
    digest = serve_pth(hub, monkeypatch, path)
    folder = fetch_weights(tmp_path / "out", names=["xception"]).folder
    assert files_in(folder) == ["manifest.json", "xception.safetensors"]
    converted = load_file(weight_path(folder, "xception"))
    assert set(converted) == set(xception_state)
    assert all(torch.equal(converted[key], xception_state[key]) for key in converted)
    file = read_manifest(folder).files["xception"]
    assert file.source_sha256 == digest
    assert file.sha256 == hashlib.sha256(weight_path(folder, "xception").read_bytes()).hexdigest()
    assert file.sha256 != digest


def test_a_pth_whose_hash_is_not_the_one_in_its_name_is_refused(hub, tmp_path, monkeypatch):
    path = tmp_path / "published.pth"
    torch.save({"conv1.weight": torch.zeros(1)}, path)
    serve_pth(hub, monkeypatch, path, prefix="43020ad28")
    with pytest.raises(WeightsError, match=r'invalid hash value \(expected "43020ad28"'):
        fetch_weights(tmp_path / "out", names=["xception"])
    assert files_in(tmp_path / "out") == []


class Evil:
    """A pickle that makes a file when it is opened without `weights_only`."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pth_that_would_run_code_is_refused(hub, tmp_path, monkeypatch):
    trace, path = tmp_path / "code-ran", tmp_path / "published.pth"
    torch.save({"conv1.weight": Evil(trace)}, path)
    serve_pth(hub, monkeypatch, path)
    with pytest.raises(WeightsError, match="UnpicklingError"):
        fetch_weights(tmp_path / "out", names=["xception"])
    assert not trace.exists()
    assert files_in(tmp_path / "out") == []


@pytest.mark.slow
def test_all_five_are_fetched_imported_and_loaded(hub, tmp_path, monkeypatch, xception_state):
    real = fetch.origin_of
    for name in ("resnet101", "inception_v3", "inception_resnet_v2"):
        save_file(imagenet_state(name), tmp_path / name)
        hub.add_model(network_spec(name).timm_name, tmp_path / name)
    path = tmp_path / "published.pth"
    torch.save(xception_state, path, _use_new_zipfile_serialization=False)
    serve_pth(hub, monkeypatch, path)
    pth = fetch.origin_of
    monkeypatch.setattr(fetch, "origin_of", lambda name: pth(name) if name == "xception" else real(name))
    fetch_weights(tmp_path / "out")
    assert import_weights(tmp_path / "out", folder=tmp_path / "in").installed == tuple(NETWORK_TABLE)
    for name, spec in NETWORK_TABLE.items():
        model = build_network(name, seed=3)
        load_imagenet_weights(model, name, folder=tmp_path / "in")
        given = load_file(weight_path(tmp_path / "in", name))
        state = {k: v for k, v in model.state_dict().items() if not k.startswith(spec.classifier + ".")}
        compared = [key for key in state if key in given]
        assert len(compared) > 200
        assert all(torch.equal(state[key], given[key]) for key in compared)
