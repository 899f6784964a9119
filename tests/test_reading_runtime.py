"""The runtimes: OpenVINO says what torch says, in float32 exactly enough, and tells nobody about it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import fx, nn

from microcalc.cohort import read_cohort, read_roi
from microcalc.errors import MissingDependencyError, ProtocolError
from microcalc.learn.inference import inference_network
from microcalc.learn.networks import NETWORK_TABLE, features_and_logits, network_spec
from microcalc.reader import engine, openvino_engine
from microcalc.reader.engine import LoadedNetwork, chosen_runtime, engine_name, precisions_of
from microcalc.reader.openvino_engine import OpenVinoEngine, import_openvino
from microcalc.reader.openvino_graph import openvino_model
from microcalc.reader.reader import Reader
from microcalc.reader.threads import small_work_pool
from settled_networks import SIDE, images, settled_network

# Looked for, not imported: the package would bring its telemetry along.
pytestmark = pytest.mark.skipif(find_spec("openvino") is None, reason="pip install 'microcalc[reader]'")


@pytest.mark.parametrize("name", list(NETWORK_TABLE))
def test_every_network_written_down_for_openvino_gives_the_same_features(name):
    spec, model = network_spec(name), settled_network(name)
    view = images(1, seed=11)
    with torch.inference_mode():
        features, logits = features_and_logits(model, view)
    loaded = {name: LoadedNetwork(inference_network(model, spec), SIDE)}
    written = OpenVinoEngine(loaded, {name: "f32"}).start(name, view).result()
    assert written.shape == features.shape
    assert float((written - features).abs().max() / features.abs().max()) < 1e-3
    with torch.inference_mode():
        assert loaded[name].model.forward_head(written) == pytest.approx(logits, abs=1e-3)


def test_a_study_read_by_openvino_in_float32_has_its_own_scores(planted: Path):
    reader = Reader.open(planted, runtime="openvino-f32")
    cohort, test = read_cohort(planted.parent / "cohort"), reader.study.test
    for i, name in enumerate(test.images["image_id"]):
        reading = reader.read_roi(read_roi(cohort.image_path(name)))
        assert [*reading.networks.values(), reading.ensemble] == pytest.approx(test.scores[i], abs=2e-4)
    assert reading.runtime == "openvino f32"


class Odd(nn.Module):
    """Has an operation that none of the networks has."""

    def forward(self, image):
        return torch.sin(image)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Odd(), "built-in method sin"),
        (nn.Sequential(nn.GELU()), "it has GELU"),
        (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), "a pooling with ceil_mode"),
        (nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")), "padded by reflect"),
    ],
)
def test_what_is_not_known_is_refused_and_never_guessed(module, words):
    with pytest.raises(ProtocolError, match=words):
        openvino_model(*import_openvino(), fx.symbolic_trace(module), size=8)


@pytest.mark.parametrize(
    "module",
    [
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.AvgPool2d(3, stride=1, padding=1),
        nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 6, (1, 5), padding=(0, 2), stride=(1, 2), dilation=(1, 2)),
        nn.Conv2d(3, 6, 3, groups=3, bias=False),
    ],
)
def test_each_operation_by_itself_is_torchs(module):
    openvino, opset = import_openvino()
    view = torch.randn(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    model = openvino_model(openvino, opset, fx.symbolic_trace(nn.Sequential(module)), size=9)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    written = openvino.Core().compile_model(model, "CPU", settings)([view.numpy()])[0]
    with torch.inference_mode():
        assert np.asarray(written) == pytest.approx(module(view).numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("bf16", "openvino", "chosen"),
    [
        (True, True, "openvino-mixed"),
        (False, True, "openvino-f32"),
        (True, False, "torch-mixed"),
        (False, False, "torch-f32"),
    ],
)
def test_auto_takes_openvino_where_it_is_and_bf16_where_the_processor_has_it(monkeypatch, bf16, openvino, chosen):
    monkeypatch.setattr(engine, "best_precision", lambda _: "bf16-mixed" if bf16 else "32-true")
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda _: object() if openvino else None)
    assert chosen_runtime("auto") == chosen
    assert chosen_runtime("torch-f32") == "torch-f32"


def test_mixed_keeps_inception_v3_in_float32_and_says_so():
    networks = dict.fromkeys(("xception", "inception_v3"))
    precisions = precisions_of(networks, "openvino-mixed")
    assert precisions == {"xception": "bf16", "inception_v3": "f32"}
    assert engine_name("openvino", precisions) == "openvino bf16, inception_v3 f32"
    assert engine_name("torch", precisions_of(networks, "torch-bf16")) == "torch bf16"


def test_a_missing_openvino_is_named_with_the_install_line(monkeypatch, planted_alone: Path):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'microcalc\[reader\]'.*--runtime torch-f32"):
        Reader.open(planted_alone, runtime="openvino-f32")


def test_threads_read_in_openvino_what_one_reads(planted_alone: Path):
    reader = Reader.open(planted_alone, runtime="openvino-f32")
    squares = [read_roi(path) for path in sorted((planted_alone.parent / "cohort/rois/benign").iterdir())[:6]]
    alone = [reader.read_roi(square).networks for square in squares]
    with ThreadPoolExecutor(3) as pool:
        assert [reading.networks for reading in pool.map(reader.read_roi, squares)] == alone


WITHOUT_A_NETWORK = """
import sys
asked = []
sys.addaudithook(lambda event, args: asked.append(event) if event.startswith(("socket.", "urllib.", "http.")) else None)
import numpy as np
from pathlib import Path
from microcalc.reader.reader import Reader
from microcalc.reader.threads import small_work_pool
reader = Reader.open(Path(sys.argv[1]), runtime="openvino-f32")
reader.read_roi(np.full((512, 512), 20_000, np.uint16))
telemetry = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module]
print(asked, telemetry, reader.runtime)
"""


def test_opening_and_reading_touches_no_network_and_leaves_nothing_at_home(planted_alone: Path, tmp_path: Path):
    home = {**os.environ, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    command = [sys.executable, "-c", WITHOUT_A_NETWORK, str(planted_alone)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=home)
    assert done.stdout.strip() == "[] [] openvino f32"
    assert not list(tmp_path.rglob("*openvino*"))
    assert not (tmp_path / "intel").exists()


def test_the_telemetry_package_stays_out_where_it_is_installed():
    import_openvino()
    assert sys.modules[openvino_engine.TELEMETRY] is None


def test_small_work_uses_one_thread_and_leaves_torchs_number_elsewhere_alone():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        pool = small_work_pool(3, name="test")
        assert {pool.submit(torch.get_num_threads).result() for _ in range(6)} == {1}
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as other:
            assert other.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
