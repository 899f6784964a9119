"""Training: what is chosen, when it stops, and that an interruption changes nothing."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from microcalc.errors import ProtocolError, TrainingError, WeightsError
from microcalc.learn import train as training
from microcalc.learn.batches import TrainingImages
from microcalc.learn.checkpoint import load_state, save_state
from microcalc.learn.job import Job, Progress
from microcalc.learn.machine import Machine, open_fabric
from microcalc.learn.networks import build_network
from microcalc.learn.predict import predict, read_scores
from microcalc.learn.train import BEST, HISTORY, RECORD, STATE, Epoch, learning_rate_at, make_optimiser, train
from microcalc.protocol import TrainingSettings

MakeJob = Callable[..., Job]


class InterruptedHereError(Exception):
    """Stands for a kill at a given step."""


def ignore(_step: Progress) -> None:
    pass


def stop_at(done: int) -> Callable[[Progress], None]:
    def report(step: Progress) -> None:
        if step.stage == "train" and step.done == done and not step.message:
            raise InterruptedHereError

    return report


def outcome(job: Job) -> list[bytes]:
    return [(job.folder / name).read_bytes() for name in (BEST, HISTORY)]


def test_an_interrupted_training_ends_in_the_same_bytes(tiny_job: MakeJob):
    whole = tiny_job(folder="whole")
    train(whole, ignore)
    for step in (1, 3, 5, 8):  # within the first epoch, at its end, within the second, within the third
        job = tiny_job(folder=f"stopped at {step}")
        with pytest.raises(InterruptedHereError):
            train(job, stop_at(step))
        assert not (job.folder / RECORD).exists()
        train(job, ignore)
        assert outcome(job) == outcome(whole)
    assert not (whole.folder / STATE).exists()


def test_a_finished_training_is_not_done_again(tiny_job: MakeJob):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    before = (job.folder / BEST).stat().st_mtime_ns
    train(job, stop_at(1))
    assert (job.folder / BEST).stat().st_mtime_ns == before


def test_weights_that_were_changed_afterwards_are_trained_anew(tiny_job: MakeJob):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    good = (job.folder / BEST).read_bytes()
    (job.folder / BEST).write_bytes(good[:-1])
    train(job, ignore)
    assert (job.folder / BEST).read_bytes() == good


def test_a_state_of_other_values_is_refused(tiny_job: MakeJob):
    job = tiny_job()
    with pytest.raises(InterruptedHereError):
        train(job, stop_at(5))
    with pytest.raises(TrainingError, match=r"last\.ckpt: a training must go on .* other than now: protocol\. Give"):
        train(tiny_job(l2=0.1), ignore)


def test_a_training_does_not_go_on_in_another_precision(tiny_job: MakeJob):
    job = tiny_job()
    begun = replace(job, machine=replace(job.machine, precision="bf16-mixed"))
    with pytest.raises(InterruptedHereError):
        train(begun, stop_at(5))
    with pytest.raises(TrainingError, match=r"now: precision .*precision bf16-mixed then, 32-true now: --accelerator"):
        train(replace(job, machine=replace(job.machine, precision="32-true")), ignore)


def test_a_state_that_does_not_tell_device_and_precision_goes_on(tiny_job: MakeJob):
    """States were written before these were noted."""
    whole, job = tiny_job(folder="whole"), tiny_job()
    train(whole, ignore)
    with pytest.raises(InterruptedHereError):
        train(job, stop_at(5))
    network = build_network(job.network, seed=1)
    optimiser = make_optimiser(network, job.protocol.training)
    record = load_state(job.folder / STATE, network, optimiser)
    for key in ("device", "precision"):
        del record["values"][key]  # type: ignore[attr-defined]
    save_state(job.folder / STATE, network, optimiser, record)
    train(job, ignore)
    assert outcome(job) == outcome(whole)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_a_damaged_record_of_a_finished_training_is_named(tiny_job: MakeJob, content: str):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    (job.folder / RECORD).write_text(content)
    with pytest.raises(TrainingError, match=r"network\.json: must be the whole record of a finished training"):
        train(job, ignore)


def test_a_damaged_state_is_named(tiny_job: MakeJob):
    job = tiny_job()
    with pytest.raises(InterruptedHereError):
        train(job, stop_at(5))
    content = (job.folder / STATE).read_bytes()
    (job.folder / STATE).write_bytes(content[: len(content) // 2])
    with pytest.raises(WeightsError, match=r"last\.ckpt: must be a whole safetensors file"):
        train(job, ignore)


def test_the_history_tells_every_epoch_and_the_chosen_one(tiny_job: MakeJob):
    job = tiny_job(max_epochs=2)
    train(job, ignore)
    rows = list(csv.DictReader((job.folder / HISTORY).read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert sum(int(row["chosen"]) for row in rows) == 1
    record = json.loads((job.folder / RECORD).read_text())
    chosen = next(row for row in rows if row["chosen"] == "1")
    assert record["best_epoch"] == int(chosen["epoch"])
    assert record["best_validation_auc"] == max(float(row["validation_auc"]) for row in rows)
    assert record["starting_weights"] == "random"


def test_the_network_learns_to_see_a_square(tiny_job: MakeJob):
    job = tiny_job("densenet201", max_epochs=3)
    train(job, ignore)
    predict(job, ignore)
    scores = read_scores(job.folder)
    label = job.images.labels[scores.rows]
    assert scores.probability[label == 1].min() > scores.probability[label == 0].max()


def test_scores_come_from_the_chosen_weights_and_are_kept(tiny_job: MakeJob):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    predict(job, ignore)
    scores = read_scores(job.folder)
    assert list(scores.rows) == [*job.images.validation, *job.images.test]
    assert scores.maps.shape[:2] == (12, 2)
    assert scores.maps.min() >= 0
    before = (job.folder / "scores.npz").stat().st_mtime_ns
    predict(job, ignore)
    assert (job.folder / "scores.npz").stat().st_mtime_ns == before


def test_damaged_scores_are_made_again_and_unreadable_ones_are_named(tiny_job: MakeJob):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    predict(job, ignore)
    good = read_scores(job.folder).probability
    (job.folder / "scores.npz").write_bytes(b"PK nothing")
    with pytest.raises(WeightsError, match=r"scores\.npz: must be a readable score file"):
        read_scores(job.folder)
    predict(job, ignore)
    assert (read_scores(job.folder).probability == good).all()
    whole = (job.folder / "scores.npz").read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 30):
        (job.folder / "scores.npz").write_bytes(whole[:length])
        with pytest.raises(WeightsError, match=r"scores\.npz: must be a readable score file"):
            read_scores(job.folder)
    predict(job, ignore)
    assert (read_scores(job.folder).probability == good).all()


def test_a_loss_that_is_no_number_stops_with_advice(tiny_job: MakeJob):
    job = tiny_job(learning_rates=[1e30])
    bad = Job(job.run, 1e30, job.network, job.folder, job.protocol, job.images, job.machine)
    with pytest.raises(TrainingError, match=r"DenseNet-201, lr1e-3, epoch 1: the loss .* Try a lower learning rate"):
        train(bad, ignore)
    assert not (job.folder / RECORD).exists()


def test_an_input_too_small_for_the_network_is_refused(tiny_job: MakeJob):
    with pytest.raises(ProtocolError, match="Inception-v3 needs an input of at least 75 pixels"):
        train(tiny_job("inception_v3"), ignore)


def epochs(*results: tuple[float, float]) -> list[Epoch]:
    return [Epoch(k + 1, 1e-4, 0.5, loss, auc) for k, (loss, auc) in enumerate(results)]


def test_the_best_auc_is_chosen_and_ties_go_to_the_lower_loss_then_to_the_earlier():
    best = training._best
    assert best(epochs((0.5, 0.8), (0.6, 0.9), (0.4, 0.7))).epoch == 2
    assert best(epochs((0.5, 0.9), (0.4, 0.9), (0.4, 0.9))).epoch == 2


def test_patience_counts_epochs_since_the_loss_was_last_lower():
    over = training._patience_is_over
    assert not over([], 2)
    assert not over(epochs((0.5, 0), (0.6, 0)), 2)
    assert over(epochs((0.5, 0), (0.6, 0), (0.5, 0)), 2)  # equal is not lower
    assert not over(epochs((0.5, 0), (0.6, 0), (0.4, 0), (0.5, 0)), 2)


def test_a_constant_rate_is_constant_and_one_cycle_climbs_and_falls():
    constant, cycle = TrainingSettings(), TrainingSettings(schedule="one_cycle")
    assert {learning_rate_at(s, 100, constant, 1e-4) for s in range(100)} == {1e-4}
    rates = np.array([learning_rate_at(s, 100, cycle, 1.0) for s in range(100)])
    assert rates[0] == pytest.approx(1 / 25)
    assert rates.argmax() == 30
    assert rates.max() == 1
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
    assert rates[-1] < 0.001


def test_the_optimiser_is_adam_with_l2_in_the_gradient_as_written_out_by_hand():
    """Two steps on one weight and one bias: m, v, bias correction, L2 on the weight alone."""
    layer = nn.Linear(1, 1)
    settings = TrainingSettings(l2=0.1)
    optimiser = make_optimiser(layer, settings)
    weight, bias = layer.weight.item(), layer.bias.item()
    moments = {"w": [0.0, 0.0], "b": [0.0, 0.0]}
    for step in (1, 2):
        optimiser.zero_grad()
        (3 * layer.weight.sum() + 2 * layer.bias.sum()).backward()
        optimiser.step()
        for key, gradient in (("w", 3 + 0.1 * weight), ("b", 2.0)):
            m = 0.9 * moments[key][0] + 0.1 * gradient
            v = 0.999 * moments[key][1] + 0.001 * gradient**2
            moments[key] = [m, v]
            move = 1e-4 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            if key == "w":
                weight -= move
            else:
                bias -= move
    assert layer.weight.item() == pytest.approx(weight, rel=1e-6)
    assert layer.bias.item() == pytest.approx(bias, rel=1e-6)


def test_a_state_brings_back_moments_in_the_layout_of_the_weights(tmp_path: Path):
    """Fused Adam walks weight and moment side by side in memory, so a channels-last weight needs such a moment."""

    def stepped(network: nn.Module, optimiser: torch.optim.Optimizer, seed: int) -> None:
        torch.manual_seed(seed)
        for p in network.parameters():
            p.grad = torch.empty_like(p).copy_(torch.randn(p.shape))
        optimiser.step()

    a, b = (build_network("resnet101", seed=0) for _ in range(2))
    first, second = (make_optimiser(n, TrainingSettings()) for n in (a, b))
    stepped(a, first, 1)
    save_state(tmp_path / "s", a, first, {"epoch": 1, "loss": 0.1 + 0.2})
    assert load_state(tmp_path / "s", b, second) == {"epoch": 1, "loss": 0.1 + 0.2}
    stepped(a, first, 2)
    stepped(b, second, 2)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_a_weight_file_holds_tensors_and_says_what_it_is(tiny_job: MakeJob):
    job = tiny_job(max_epochs=1)
    train(job, ignore)
    tensors = load_file(job.folder / BEST)
    assert tensors["classifier.weight"].shape == (2, 1920)


def test_batch_norm_statistics_are_those_of_the_training_images(tiny_job: MakeJob):
    """Re-estimated statistics of the first layer: mean over the very images, computed here by hand."""
    job = tiny_job(max_epochs=1, batchnorm_images=12)
    train(job, ignore)
    tensors = load_file(job.folder / BEST)
    assert tensors["features.norm0.num_batches_tracked"].item() == 1  # one batch of all 12, from zero


@pytest.mark.parametrize("count", [33, 40, 65])
def test_batch_norm_statistics_weigh_every_image_alike(count: int):
    """However the images fall into batches, and never a batch of one, which has no variance."""
    random = np.random.default_rng(0)
    upright = (random.random((count, 1, 1)) * np.ones((count, 8, 8)) * 60_000).astype(np.uint16)
    images = TrainingImages(upright, np.zeros(count, np.int64), np.arange(count), 8, ((0, 0, 0), (1, 1, 1)))
    norm = nn.BatchNorm2d(3)
    fabric = open_fabric(Machine(accelerator="cpu", precision="32-true", threads=1))
    training._reestimate_batchnorm(norm, upright, images, count, fabric)
    assert norm.running_mean is not None
    assert norm.running_mean[0].item() == pytest.approx(upright.mean() / 65535, rel=1e-5)
    assert norm.momentum == 0.1
