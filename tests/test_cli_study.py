"""The commands as people type them: what they print, what they refuse, and with which exit code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from microcalc.cli import app, main
from microcalc.cli.progress import StudyProgress, duration
from microcalc.learn.job import Progress
from test_study import write_cohort

TINY = """
name: tiny
networks: [densenet201]
weights: none
split: {by: table}
image: {input_size: 64}
augmentation: {copies: 1}
training: {learning_rates: [1.0e-3], batch_size: 8, max_epochs: 1, batchnorm_images: 8}
evaluation: {bootstrap_replicates: 100, heatmap_examples: 1}
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("cli") / "cohort")


@pytest.fixture
def protocol(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    """In process, through `main`, so that exit codes are those of the shell."""
    return CliRunner().invoke(app, [str(w) for w in words])  # type: ignore[return-value]


def exit_code_of(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["microcalc", *(str(w) for w in words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_study_ends_with_table_1_and_the_files_that_it_made(cohort: Path, protocol: Path, tmp_path: Path):
    done = run("study", cohort, "--out", tmp_path / "s", "--protocol", protocol, "--accelerator", "cpu")
    assert done.exit_code == 0, done.output
    assert re.search(r"study of .*: \d+ train, \d+ validation, \d+ test images \(split by table\)", done.output)
    assert "random weights (from scratch)" in done.output
    assert re.search(r"DenseNet-201, lr1e-03: epoch 1 of at most 1, loss", done.output)
    assert "Table 1. Diagnostic performance" in done.output
    assert "Research use only" in done.output
    assert done.output.rstrip().endswith(str(tmp_path / "s" / "report.html"))


def test_a_plan_times_the_networks_and_does_nothing_else(cohort: Path, protocol: Path, tmp_path: Path):
    done = run(
        "study", cohort, "--out", tmp_path / "s", "--protocol", protocol, "--plan", "--learning-rates", "1e-3,1e-4"
    )
    assert done.exit_code == 0, done.output
    assert len(re.findall(r"lr1e-0[34] +DenseNet-201 +\d+\.\d", done.output)) == 2
    assert "Nothing was done." in done.output
    assert re.search(r"training: about \d.*; scoring: about \d", done.output)
    assert "Reading the images, statistics, heatmaps and report come on top and were not timed." in done.output
    assert "at most" not in done.output
    assert not (tmp_path / "s").exists()


def test_a_plan_says_that_the_study_would_stop_for_want_of_weights(
    cohort: Path, protocol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MICROCALC_WEIGHTS", str(tmp_path / "none here"))
    words = ("study", cohort, "--out", tmp_path / "s", "--protocol", protocol, "--plan")
    lacking, scratch = run(*words, "--weights", "imagenet"), run(*words)
    assert (lacking.exit_code, scratch.exit_code) == (0, 0)
    warning = next(line for line in lacking.output.splitlines() if "would stop at once" in line)
    assert warning.startswith(f"warning: this study would stop at once: {tmp_path / 'none here'} must hold")
    assert "DenseNet-201; it has none. On a connected machine: `microcalc weights fetch" in warning
    assert "would stop" not in scratch.output
    assert "1 network to train" in scratch.output


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--networks", "vgg16"), 2, "networks must be some of resnet101"),
        (("--learning-rates", "fast"), 2, "--learning-rates must be numbers like 1e-4,1e-5; got 'fast'"),
        (("--weights", "mine"), 2, "weights: must be 'imagenet' or 'none'; got 'mine'"),
        (("--input-size", "32"), 2, "image.input_size"),
        (("--precision", "8"), 2, "--precision must be one of auto, bf16-mixed, 32-true; got '8'"),
        (("--accelerator", "tpu"), 2, "--accelerator must be one of"),
        (("--protocol", "nowhere.yaml"), 2, "nowhere.yaml: a protocol must be a readable YAML file"),
        (("--weights", "imagenet"), 3, "microcalc weights fetch"),
    ],
)
def test_what_cannot_be_is_refused_with_a_code_and_a_way_out(
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    message: str,
):
    monkeypatch.setenv("MICROCALC_WEIGHTS", str(tmp_path / "none here"))
    options = ("--weights", "none") if "--weights" not in words else ()
    assert exit_code_of(monkeypatch, "study", cohort, "--out", tmp_path / "s", *options, *words) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_a_cohort_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert exit_code_of(monkeypatch, "study", tmp_path / "gone", "--out", tmp_path / "s") == 2
    assert "gone" in capsys.readouterr().err


def test_a_study_of_another_protocol_ends_with_code_4(
    cohort: Path, protocol: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    run("study", cohort, "--out", tmp_path / "s", "--protocol", protocol)
    before = (tmp_path / "s" / "predictions.csv").read_bytes()
    words = ("study", cohort, "--out", tmp_path / "s", "--protocol", protocol, "--seed", 5)
    assert exit_code_of(monkeypatch, *words) == 4
    assert "holds a study of another protocol" in capsys.readouterr().err
    assert (tmp_path / "s" / "predictions.csv").read_bytes() == before


def test_the_version_is_told():
    assert run("--version").output.startswith("microcalc 0.")


def test_time_is_said_in_words():
    assert [duration(s) for s in (5, 600, 12_000, 200_000)] == ["5 s", "10 min", "3 h 20 min", "2 days 7 h"]


def test_a_log_gets_one_plain_line_for_each_epoch(capsys: pytest.CaptureFixture[str]):
    with StudyProgress(1, plain=True) as progress:
        for done in range(1, 5):
            progress(Progress("r", "xception", "train", done, 8, "epoch 1 done" if done == 4 else ""))
        progress(Progress("r", "xception", "done"))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch 1 done, at most ")
    assert lines[1:] == ["xception, r: done (1 of 1)"]
