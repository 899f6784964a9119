"""ImageNet weights: import checks everything, loading never goes on without them."""

import errno
import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file

from microcalc.errors import MicrocalcError, WeightsError
from microcalc.learn import weights
from microcalc.learn.networks import build_network
from microcalc.learn.weights import (
    Manifest,
    WeightState,
    check_tensors,
    default_folder,
    import_weights,
    list_weights,
    load_imagenet_weights,
    read_manifest,
    unusable_weights,
    verify_weights,
    weight_path,
    write_manifest,
)
from weight_files import entry, folder_with, imagenet_state, shapes_of, write_hollow

NET = "densenet201"
WAY_OUT = r"weights fetch --out DIR.*weights import DIR.*--weights none"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with one network's full file; tests copy it before they spoil it."""
    return folder_with(tmp_path_factory.mktemp("published") / "carried", NET, imagenet_state(NET))


@pytest.fixture
def carried(published, tmp_path):
    return shutil.copytree(published, tmp_path / "carried")


@pytest.fixture
def hollow(tmp_path):
    """Like `carried`, but zeros and therefore quick."""
    return folder_with(tmp_path / "carried", NET)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MICROCALC_WEIGHTS", str(tmp_path / "installed"))
    return tmp_path / "installed"


def files_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock") if folder.exists() else []


def state_of(name, statuses):
    return {status.name: status for status in statuses}[name]


def test_the_folder_is_chosen_by_variable_then_cache_then_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MICROCALC_WEIGHTS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_folder() == tmp_path / ".cache/microcalc/weights"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_folder() == tmp_path / "cache/microcalc/weights"
    monkeypatch.setenv("MICROCALC_WEIGHTS", str(tmp_path / "mine"))
    assert default_folder() == tmp_path / "mine"


def test_all_that_is_missing_is_said_at_once_and_by_name(folder):
    names = ("resnet101", "inception_v3")
    problem = unusable_weights(names)
    assert problem == f"{folder} must hold the ImageNet weights of ResNet-101, Inception-v3; it has none"
    assert all(str(folder) in status.problem for status in list_weights())


def test_what_is_missing_is_said_beside_what_is_damaged(hollow, folder):
    import_weights(hollow)
    assert unusable_weights([NET]) == ""
    weight_path(folder, NET).unlink()
    problem = unusable_weights([NET, "xception"])
    assert problem.startswith(f"{folder} must hold the ImageNet weights of Xception; it has none; ")
    assert "since the manifest names it; it is not" in problem


def test_where_nothing_is_installed_all_five_are_missing(folder):
    assert [status.state for status in list_weights()] == [WeightState.MISSING] * 5
    assert not folder.exists(), "looking must not write"


def test_imported_weights_load_except_for_the_classifier(carried, folder):
    result = import_weights(carried)
    assert (result.installed, result.folder) == ((NET,), folder)
    assert set(result.absent) == {"resnet101", "xception", "inception_v3", "inception_resnet_v2"}
    assert files_in(folder) == [f"{NET}.safetensors", "manifest.json"]
    assert state_of(NET, verify_weights()).state == WeightState.INSTALLED

    model = build_network(NET, seed=1)
    classifier = model.get_submodule("classifier").weight.detach().clone()
    digest = load_imagenet_weights(model, NET)
    assert digest == read_manifest(carried).files[NET].sha256
    assert torch.equal(model.get_submodule("classifier").weight, classifier)
    given = load_file(weight_path(carried, NET))
    loaded = {key: value for key, value in model.state_dict().items() if not key.startswith("classifier.")}
    assert set(loaded) == {key for key in given if not key.startswith("classifier.")}
    assert all(torch.equal(loaded[key], given[key]) for key in loaded)
    kernel = model.get_submodule("features.conv0").weight
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert kernel.requires_grad


def test_missing_weights_stop_with_the_way_out(folder):
    model = build_network("xception", seed=0)
    before = model.state_dict()["conv1.weight"].clone()
    with pytest.raises(WeightsError, match=WAY_OUT):
        load_imagenet_weights(model, "xception")
    assert torch.equal(model.state_dict()["conv1.weight"], before)


def test_weights_of_another_network_only_are_missing_too(hollow, folder):
    import_weights(hollow)
    with pytest.raises(WeightsError, match=f"weights of Xception; it has none.*{WAY_OUT}"):
        load_imagenet_weights(build_network("xception", seed=0), "xception")


def flip(path, position):
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def test_one_flipped_bit_is_noticed_before_anything_is_loaded(hollow, folder):
    import_weights(hollow)
    flip(weight_path(folder, NET), 1_000_000)
    assert state_of(NET, list_weights()).state == WeightState.INSTALLED, "list does not read the files"
    damaged = state_of(NET, verify_weights())
    assert damaged.state == WeightState.DAMAGED
    assert "is damaged: its SHA-256 must be" in damaged.problem
    model = build_network(NET, seed=0)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=f"is damaged.*{WAY_OUT}"):
        load_imagenet_weights(model, NET)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_file_that_vanished_is_noticed_without_reading(hollow, folder):
    import_weights(hollow)
    weight_path(folder, NET).unlink()
    status = state_of(NET, list_weights())
    assert status.state == WeightState.DAMAGED
    assert "since the manifest names it; it is not" in status.problem


def spoil_nothing(_folder):
    """The control: without it the refusals below could have any reason."""


def spoil_bits(folder):
    flip(weight_path(folder, NET), 1_000_000)


def spoil_end(folder):
    path = weight_path(folder, NET)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)


def spoil_file(folder):
    weight_path(folder, NET).unlink()


def spoil_network(folder):
    path = write_hollow(weight_path(folder, NET), shapes_of("xception"))
    write_manifest(folder, Manifest(files={NET: entry(path, NET)}))


def spoil_header(folder):
    path = weight_path(folder, NET)
    flip(path, 8)  # the brace that opens the header
    write_manifest(folder, Manifest(files={NET: entry(path, NET)}))


def spoil_tag(folder):
    write_manifest(folder, Manifest(files={NET: entry(weight_path(folder, NET), NET, timm_name="densenet201.x")}))


SPOILED = [
    (spoil_bits, "is damaged: its SHA-256 must be"),
    (spoil_end, "bytes as the manifest says; it has"),
    (spoil_file, "must be there, since the manifest names it"),
    (
        spoil_network,
        r"must hold the tensors of DenseNet-201 .*; got \d+ missing, e.g. features.conv0.weight; \d+ unknown",
    ),
    (spoil_header, "must be a whole safetensors file"),
    (spoil_tag, r"must be densenet201.tv_in1k; the manifest says densenet201.x"),
]


@pytest.mark.parametrize(("spoil", "text"), SPOILED, ids=lambda v: getattr(v, "__name__", ""))
def test_what_is_not_right_is_not_imported(hollow, folder, spoil, text):
    spoil(hollow)
    with pytest.raises(WeightsError, match=f"{text}.*Nothing was installed"):
        import_weights(hollow)
    assert files_in(folder) == []


def test_what_is_right_is_imported(hollow, folder):
    assert import_weights(hollow).installed == (NET,)
    assert import_weights(hollow).installed == (NET,), "again is no error"


def test_all_are_imported_or_none(hollow, folder):
    path = write_hollow(weight_path(hollow, "xception"), shapes_of("xception"))
    whole = read_manifest(hollow).files
    write_manifest(hollow, Manifest(files={**whole, "xception": entry(path, "xception", bytes=1)}))
    with pytest.raises(WeightsError, match="must have 1 bytes"):
        import_weights(hollow)
    assert files_in(folder) == []
    assert import_weights(hollow, names=[NET]).installed == (NET,)


def test_a_second_import_keeps_the_first(hollow, folder, tmp_path):
    import_weights(hollow)
    import_weights(folder_with(tmp_path / "more", "xception"))
    assert [s.name for s in list_weights() if s.state == WeightState.INSTALLED] == ["xception", NET]


def test_a_network_that_the_source_has_not_is_refused(hollow, folder):
    with pytest.raises(WeightsError, match="weights of Xception; it has none"):
        import_weights(hollow, names=["xception"])


def test_a_full_disk_leaves_earlier_weights_untouched(hollow, folder, monkeypatch):
    import_weights(hollow)
    before = {name: (folder / name).read_bytes()[:1000] for name in files_in(folder)}

    def full(_source, copy):
        copy.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights.shutil, "copyfile", full)
    with pytest.raises(MicrocalcError, match="the disk is full"):
        import_weights(hollow)
    assert {name: (folder / name).read_bytes()[:1000] for name in files_in(folder)} == before


class Evil:
    """A pickle that makes a file when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_named_safetensors_is_refused_and_never_opened(hollow, folder, tmp_path):
    trace = tmp_path / "code-ran"
    path = weight_path(hollow, NET)
    path.write_bytes(pickle.dumps({"features.conv0.weight": Evil(trace)}))
    write_manifest(hollow, Manifest(files={NET: entry(path, NET)}))
    with pytest.raises(WeightsError, match=r"whole safetensors file \(pickles are never opened\)"):
        import_weights(hollow)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "must be a folder of weights with a manifest.json; got none there"),
        ("{", "must be a manifest as `microcalc weights fetch` writes it; file: Invalid JSON"),
        ('{"schema": 2, "files": {}}', "schema: Input should be 1"),
        ('{"schema": 1, "files": {"vgg16": {}}}', "must be one of resnet101"),
        ('{"schema": 1, "files": {"xception": {"sha256": "x"}}}', "files.xception.sha256"),
    ],
)
def test_a_folder_without_a_sound_manifest_is_refused(tmp_path, content, text):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(WeightsError, match=text):
        import_weights(tmp_path)


def test_the_manifest_on_disk_is_plain_json(hollow):
    content = json.loads((hollow / "manifest.json").read_text())
    assert content["schema"] == 1
    assert content["files"][NET]["timm_name"] == "densenet201.tv_in1k"


class TestTensors:
    """What a file may hold; hollow files, since only names, shapes and types are looked at."""

    def check(self, tmp_path, name, tensors):
        return check_tensors(write_hollow(tmp_path / "weights.safetensors", tensors), name)

    @pytest.mark.parametrize("name", ["resnet101", "xception", "inception_v3", "inception_resnet_v2", "densenet201"])
    @pytest.mark.parametrize("classes", [1000, 1001])
    def test_a_published_file_of_any_number_of_classes_passes(self, tmp_path, name, classes):
        tensors = shapes_of(name, classes)
        assert self.check(tmp_path, name, tensors) == len(tensors)

    def test_counters_that_old_files_lack_may_be_missing(self, tmp_path):
        tensors = {key: kind for key, kind in shapes_of("xception").items() if not key.endswith("num_batches_tracked")}
        self.check(tmp_path, "xception", tensors)

    def test_the_auxiliary_classifier_is_tolerated_in_inception_v3_only(self, tmp_path):
        auxiliary = {"AuxLogits.fc.weight": ("F32", (1000, 768))}
        self.check(tmp_path, "inception_v3", shapes_of("inception_v3") | auxiliary)
        with pytest.raises(WeightsError, match=r"1 unknown, e.g. AuxLogits.fc.weight"):
            self.check(tmp_path, "xception", shapes_of("xception") | auxiliary)

    def test_a_missing_tensor_is_named(self, tmp_path):
        tensors = shapes_of("xception")
        del tensors["conv3.pointwise.weight"]
        with pytest.raises(
            WeightsError, match=r"Xception \(legacy_xception.tf_in1k\); got 1 missing, e.g. conv3.point"
        ):
            self.check(tmp_path, "xception", tensors)

    @pytest.mark.parametrize("kind", [("F32", (32, 3, 5, 5)), ("I32", (32, 3, 3, 3))])
    def test_another_shape_or_type_is_named(self, tmp_path, kind):
        with pytest.raises(WeightsError, match=r"1 of another shape or type, e\.g\. conv1\.weight"):
            self.check(tmp_path, "xception", shapes_of("xception") | {"conv1.weight": kind})
