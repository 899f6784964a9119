"""The whole study, as its user starts it: what it leaves, that a kill changes nothing, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from microcalc.cli.study import _changed, _Changes
from microcalc.cohort import CohortWriter, encode_png
from microcalc.errors import CohortError, SplitError, StudyError, WeightsError
from microcalc.learn.machine import Machine
from microcalc.learn.predict import SCORES
from microcalc.learn.train import HISTORY
from microcalc.predictions import read_predictions
from microcalc.protocol import ENSEMBLE, Protocol, checked_protocol
from microcalc.report.panels import caption_words, panel_png
from microcalc.study import Plan, StudyOptions, estimate, make_plan, open_study, run_name, run_study
from microcalc.study.content import training_history
from microcalc.study.heatmaps import heatmap_panel, localisation

PROTOCOL = {
    "name": "tiny",
    "networks": ["resnet101", "densenet201"],
    "weights": "none",
    "split": {"by": "table"},
    "image": {"input_size": 64},
    "augmentation": {"copies": 1},
    "training": {"learning_rates": [1e-3], "batch_size": 8, "max_epochs": 2, "batchnorm_images": 8},
    "evaluation": {"bootstrap_replicates": 100, "heatmap_examples": 1},
}


def write_cohort(folder: Path, *, images: int = 40, synthetic: bool = False, **columns: object) -> Path:
    """Textured squares; a bright block of varying contrast in the malignant ones. Two images a patient."""
    random = np.random.default_rng(0)
    mask = np.zeros((512, 512), np.uint16)
    mask[200:300, 200:300] = 65_535
    with CohortWriter(folder, sources=[{"kind": "made by a test"}], synthetic=synthetic) as writer:
        for i in range(images):
            patient = i // 2
            label = patient % 2
            pixels = 20_000 + 4_000 * ndimage.gaussian_filter(random.normal(size=(512, 512)), 3)
            pixels[200:300, 200:300] += label * random.uniform(0, 6_000)
            split = ("train", "train", "validation", "test")[(patient // 2) % 4]
            row = {"image_id": f"i{i:02d}", "patient_id": f"p{patient:02d}", "label": label, "split": split}
            writer.add(row | columns, pixels.clip(0, 65_535).astype(np.uint16))
            if synthetic:
                writer.attach(f"masks/i{i:02d}.png", encode_png(mask))
    return folder


def protocol(**changes: object) -> Protocol:
    return checked_protocol(PROTOCOL | changes, source="test")


def plan(cohort: Path, out: Path, asked: Protocol, *, processes: int = 1) -> Plan:
    return make_plan(cohort, out, asked, StudyOptions(Machine(accelerator="cpu", threads=1), processes))


def carry_out(cohort: Path, out: Path, asked: Protocol, *, processes: int = 1) -> None:
    run_study(plan(cohort, out, asked, processes=processes), out, report=lambda _: None, say=lambda _: None)


def bytes_of(study: Path) -> dict[str, bytes]:
    """Everything that must not depend on interruptions."""
    wanted = [study / "predictions.csv", study / "protocol.yaml", *sorted((study / "tables").iterdir())]
    wanted += sorted((study / "networks").rglob("best.safetensors"))
    wanted += sorted((study / "networks").rglob("history.csv"))
    wanted += sorted((study / "heatmaps").rglob("*.png"))
    return {str(path.relative_to(study)): path.read_bytes() for path in wanted}


def plant_scores(folder: Path, maps: np.ndarray, rows: np.ndarray) -> None:
    """Leave scores of one network, (m, 2, h, w) maps among them, as if it had been trained."""
    folder.mkdir(parents=True)
    np.savez(folder / SCORES, weights="none", rows=rows, probability=np.linspace(0, 1, len(rows)), maps=maps)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("study") / "cohort", synthetic=True)


@pytest.fixture(scope="module")
def study(cohort: Path) -> Path:
    """An uninterrupted study in one process."""
    out = cohort.parent / "study"
    carry_out(cohort, out, protocol())
    return out


def test_a_study_leaves_what_the_design_says(study: Path):
    for name in ("protocol.yaml", "environment.json", "study.json", "predictions.csv", "report.html", "split.csv"):
        assert (study / name).is_file(), name
    for network in PROTOCOL["networks"]:  # type: ignore[attr-defined]
        folder = study / "networks" / "lr1e-03" / network
        assert {p.name for p in folder.iterdir()} >= {"best.safetensors", "history.csv", "network.json"}
        assert not (folder / "last.ckpt").exists()
    assert (study / "tables" / "table1.csv").is_file()
    assert any((study / "figures").glob("*.pdf"))
    assert any((study / "heatmaps").rglob("*.png"))
    assert not list(study.rglob("*.partial*"))
    record = json.loads((study / "study.json").read_text())
    assert record["complete"]
    assert record["finished"] == ["lr1e-03/densenet201", "lr1e-03/resnet101"]
    assert (record["trained_on"]["images"], record["trained_on"]["synthetic"]) == (24, True)


def test_the_ensemble_is_the_mean_of_the_networks(study: Path):
    table = read_predictions(study / "predictions.csv")
    wide = table.pivot(index="image_id", columns="model", values="score")
    assert np.allclose(wide[ENSEMBLE], wide[["resnet101", "densenet201"]].mean(axis=1), atol=1e-15)
    assert set(table["split"]) == {"validation", "test"}


def test_the_report_says_that_phantoms_are_synthetic_and_how_the_heatmaps_meet_the_lesions(study: Path):
    text = (study / "report.html").read_text(encoding="utf-8")
    for words in ("SYNTHETIC", "Research use only", "Heatmaps against lesions", "Learning curves", "How to cite"):
        assert words in text
    assert "The ensemble is the mean of the probabilities of 2 networks" in text


def test_chance_of_the_heatmaps_is_reckoned_in_the_square_that_the_network_sees(cohort: Path, tmp_path: Path):
    asked = protocol(image={"input_size": 64, "crop": 256}, networks=["densenet201"])
    planned = plan(cohort, tmp_path, asked)
    job = planned.jobs[0]
    rows = job.images.test
    plant_scores(job.folder, np.ones((len(rows), 2, 3, 3), np.float32), rows)
    for row in localisation(planned, job):
        assert row.share_expected == pytest.approx(100**2 / 256**2)
        assert row.share_inside == pytest.approx(row.share_expected)
        assert row.hits == row.images  # the middle of nine cells lies on the lesion
        assert row.hits_by_chance == pytest.approx(1 / 9)


def test_empty_heatmaps_are_counted_misses_and_have_no_share(cohort: Path, tmp_path: Path):
    planned = plan(cohort, tmp_path, protocol(networks=["densenet201"]))
    job = planned.jobs[0]
    rows = job.images.test
    maps = np.zeros((len(rows), 2, 3, 3), np.float32)
    first = int(np.flatnonzero(job.images.labels[rows] == 1)[0])
    maps[first, 1, 1, 1] = 1.0  # strongest in the middle, on the lesion
    plant_scores(job.folder, maps, rows)
    malignant, benign = localisation(planned, job)
    assert (malignant.hits, malignant.empty) == (1, malignant.images - 1)
    assert malignant.share_inside > malignant.share_expected > 0
    assert (benign.hits, benign.empty, benign.reason) == (0, benign.images, "all benign heatmaps are empty")
    assert np.isnan([benign.share_inside, benign.share_expected]).all()


def test_a_heatmap_of_one_cell_cannot_point(cohort: Path, tmp_path: Path):
    planned = plan(cohort, tmp_path, protocol(networks=["densenet201", "resnet101"]))
    one, four = planned.jobs
    rows = one.images.test
    random = np.random.default_rng(0)
    for job, side in ((one, 1), (four, 2)):
        plant_scores(job.folder, random.uniform(0.1, 1, (len(rows), 2, side, side)).astype(np.float32), rows)
    assert {(row.hits, row.grid, row.reason) for row in localisation(planned, one)} == {
        (None, (1, 1), "a grid of 1 × 1 cannot point")
    }
    assert all(row.hits is not None and row.grid == (2, 2) and not row.reason for row in localisation(planned, four))


def test_the_pictures_of_phantoms_do_not_speak_of_histopathology(cohort: Path, study: Path):
    planned = plan(cohort, study, protocol())
    job = planned.jobs[0]
    rows = pd.read_csv(study / "tables" / "table1.csv").query("model == @job.network and chosen_on == 'validation'")
    point = SimpleNamespace(cutoff=float(rows["cutoff"].iloc[0]), chosen_on="validation")
    panel = heatmap_panel(planned, job, point)  # type: ignore[arg-type]  # all that it asks of a point
    assert panel.examples
    for example, file in zip(panel.examples, sorted((study / panel.folder).iterdir()), strict=True):
        caption = caption_words(example, synthetic=True)
        assert caption.startswith(("Malignant (phantom)", "Benign (phantom)"))
        assert file.read_bytes() == panel_png(example.original, example.heatmap, caption=caption, mask=example.mask)


def test_no_patient_is_on_two_sides(study: Path):
    sets = pd.read_csv(study / "split.csv")
    assert sets.groupby("patient_id")["split"].nunique().max() == 1


def test_started_again_it_does_nothing_twice_and_changes_nothing(cohort: Path, study: Path):
    before = bytes_of(study)
    times = {p: p.stat().st_mtime_ns for p in (study / "networks").rglob("*") if p.name != ".lock" and p.is_file()}
    carry_out(cohort, study, protocol())
    assert bytes_of(study) == before
    assert all(p.stat().st_mtime_ns == t for p, t in times.items())


def test_processes_side_by_side_give_the_same_bytes(cohort: Path, study: Path, tmp_path: Path):
    carry_out(cohort, tmp_path / "s", protocol(), processes=2)
    assert bytes_of(tmp_path / "s") == bytes_of(study)


COMMAND = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_study import plan, protocol
from microcalc.study import run_study

def say(step):
    print(getattr(step, "stage", step), getattr(step, "network", ""), getattr(step, "done", ""), flush=True)

if __name__ == "__main__":
    cohort, out, processes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[4])
    run_study(plan(cohort, out, protocol(), processes=processes), out, report=say, say=say)
"""


def start(cohort: Path, out: Path, processes: int = 1) -> "subprocess.Popen[str]":
    script = out.parent / "command.py"
    script.write_text(COMMAND)
    words = [sys.executable, str(script), str(cohort), str(out), str(Path(__file__).parent), str(processes)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, start_new_session=True)


def kill_at(process: "subprocess.Popen[str]", line: str) -> bool:
    """Kill -9 when the study says ``line``; false if it ended before."""
    assert process.stdout is not None
    with process.stdout as lines:
        for said in lines:
            if said.startswith(line):
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
    process.wait()
    return False


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_again_and_again_it_ends_in_the_same_bytes(cohort: Path, study: Path, tmp_path: Path, processes: int):
    """Kill -9 in the first epoch, at its end, in the second network, while scoring, while results are written."""
    out = tmp_path / "study"
    moments = ("train resnet101 2", "train resnet101 3", "predict resnet101", "train densenet201 1", "drawing")
    killed = [kill_at(start(cohort, out, processes), moment) for moment in moments]
    assert sum(killed) >= (5 if processes == 1 else 2)  # side by side, a later moment may be over already
    if all(killed):
        assert not (out / "report.html").exists()
    last = start(cohort, out, processes)
    assert not kill_at(last, "never said")
    assert last.returncode == 0
    assert bytes_of(out) == bytes_of(study)
    assert not [p for p in out.iterdir() if "partial" in p.name]


def test_a_folder_with_a_study_of_another_protocol_is_refused(cohort: Path, study: Path):
    before = bytes_of(study)
    with pytest.raises(StudyError, match=r"another protocol \(training: there .*patience.*asked"):
        carry_out(cohort, study, protocol(training=PROTOCOL["training"] | {"patience": 3}))  # type: ignore[operator]
    assert bytes_of(study) == before


def test_a_folder_with_a_study_of_other_images_is_refused(study: Path, tmp_path: Path):
    other = write_cohort(tmp_path / "other", images=32)
    with pytest.raises(StudyError, match="of other images, labels or sets"):
        carry_out(other, study, protocol())


def test_a_folder_with_something_else_is_left_alone(cohort: Path, tmp_path: Path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("me")
    with pytest.raises(StudyError, match="an empty folder, or one that holds the same study"):
        carry_out(cohort, tmp_path / "letters", protocol())
    assert [p.name for p in (tmp_path / "letters").iterdir() if p.name != ".lock"] == ["dear.txt"]


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path: Path):
    left = tmp_path / "s" / "networks" / "lr1e-04" / "xception" / ".best.safetensors.123.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    with open_study(tmp_path / "s"):
        assert not left.exists()


def test_two_processes_do_not_work_on_one_study(tmp_path: Path):
    with (
        open_study(tmp_path / "s"),
        pytest.raises(StudyError, match="another process is working"),
        open_study(tmp_path / "s"),
    ):
        pass


def test_a_set_of_one_class_only_is_refused(tmp_path: Path):
    with CohortWriter(tmp_path / "c", sources=[]) as writer:
        for i in range(12):
            split = ("train", "validation", "test")[i % 3]
            label = int(split != "test" and i > 5)
            row = {"image_id": f"i{i}", "patient_id": f"p{i}", "label": label, "split": split}
            writer.add(row, np.full((512, 512), 1000 + i, np.uint16))
    with pytest.raises(SplitError, match="test set"):
        plan(tmp_path / "c", tmp_path / "s", protocol())
    assert not (tmp_path / "s").exists()


def test_a_cohort_with_severe_faults_is_refused_with_their_codes(tmp_path: Path):
    folder = write_cohort(tmp_path / "c")
    image = next((folder / "rois" / "benign").iterdir())
    image.write_bytes(image.read_bytes()[:-20])
    with pytest.raises(CohortError, match=r"free of severe faults; .* found"):
        plan(folder, tmp_path / "s", protocol())


def test_a_history_that_was_cut_is_named(cohort: Path, study: Path, tmp_path: Path):
    out = Path(shutil.copytree(study, tmp_path / "s"))
    (job, *_) = plan(cohort, out, protocol()).jobs
    whole = (job.folder / HISTORY).read_text()
    assert training_history(job).peak_rate == 1e-3
    for cut in ("", whole[:20], whole[: len(whole) * 2 // 3]):
        (job.folder / HISTORY).write_text(cut)
        with pytest.raises(StudyError, match=r"history\.csv: must be the whole history of a finished training"):
            training_history(job)


def test_an_input_size_of_the_command_line_is_that_of_every_network():
    asked = protocol(per_network={"densenet201": {"input_size": 96, "learning_rate_factor": 2}})
    changed = _changed(asked, _Changes("", "", "", 80, None))
    assert {name: changed.values_for(name).input_size for name in changed.networks} == {
        "resnet101": 80, "densenet201": 80,
    }  # fmt: skip
    assert changed.values_for("densenet201").learning_rate_factor == 2


def test_the_plan_names_every_job_once(cohort: Path, tmp_path: Path):
    training = PROTOCOL["training"] | {"learning_rates": [1e-4, 1e-5]}  # type: ignore[operator]
    jobs = plan(cohort, tmp_path, protocol(training=training)).jobs
    assert [(j.run, j.network) for j in jobs] == [
        (r, n) for r in ("lr1e-04", "lr1e-05") for n in ("resnet101", "densenet201")
    ]


def test_an_estimate_tells_training_from_scoring(cohort: Path, tmp_path: Path):
    (one,) = estimate(plan(cohort, tmp_path, protocol(networks=["densenet201"])))
    images = one.job.images
    assert one.training_seconds == pytest.approx(2 * one.epoch_seconds)
    assert one.scoring_seconds == pytest.approx((len(images.validation) + len(images.test)) * one.step.predict_seconds)


def test_runs_are_named_after_their_learning_rate():
    assert [run_name(r) for r in (1e-4, 1e-5, 2.5e-4, 5e-4)] == ["lr1e-04", "lr1e-05", "lr2.5e-04", "lr5e-04"]


def test_imagenet_weights_that_are_not_there_stop_the_study_before_anything_is_written(cohort: Path, tmp_path: Path):
    options = StudyOptions(Machine(accelerator="cpu", threads=1), weights=tmp_path / "no weights")
    asked = make_plan(cohort, tmp_path / "s", protocol(weights="imagenet"), options)
    said = r"no weights must hold the ImageNet weights of ResNet-101, DenseNet-201; it has none\. .*--weights none"
    with pytest.raises(WeightsError, match=said):
        run_study(asked, tmp_path / "s", report=lambda _: None, say=lambda _: None)
    assert not (tmp_path / "s").exists()


def test_a_look_writes_nothing(tmp_path: Path):
    folder = write_cohort(tmp_path / "c")
    before = sorted(tmp_path.rglob("*"))
    make_plan(folder, tmp_path / "s", protocol(), StudyOptions(), only_look=True)
    assert sorted(tmp_path.rglob("*")) == before
