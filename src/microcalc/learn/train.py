"""Training of one network by the protocol of the paper: the loop, top to bottom.

Adam with the L2 term added to the gradient; stop when the validation loss was not lower for `patience` epochs; keep
the epoch with the best validation AUC (ties: the lower validation loss). After each epoch everything needed to go on
is on disk, and everything random is a function of seed and epoch number, so an interrupted training ends in the same
bytes as an uninterrupted one. Batches are made in `batches`, files written by `checkpoint`.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from lightning_fabric import Fabric
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from microcalc import RESEARCH_USE
from microcalc.cohort.images import ROI_SIDE, sha256_of_file
from microcalc.cohort.storage import write_atomically
from microcalc.errors import TrainingError
from microcalc.learn.batches import TrainingImages, batches_per_epoch, plan_epoch, training_batches, upright_batches
from microcalc.learn.checkpoint import load_state, save_network, save_state
from microcalc.learn.inputs import Grey, prepared_images, reduced_images
from microcalc.learn.job import Job, Progress, Report
from microcalc.learn.machine import open_fabric
from microcalc.learn.networks import build_network, check_input_size
from microcalc.learn.weights import load_imagenet_weights
from microcalc.protocol import TrainingSettings

__all__ = ["BEST", "HISTORY", "RECORD", "STATE", "Epoch", "is_finished", "learning_rate_at", "make_optimiser", "train"]

BEST, STATE, HISTORY, RECORD = "best.safetensors", "last.ckpt", "history.csv", "network.json"

_EVALUATION_BATCH = 32
_MACHINE = ("device", "precision")
"""What a training must keep besides its values; a state that was written before they were noted goes on."""
_WARM_UP, _START_FRACTION, _END_FRACTION = 0.3, 1 / 25, 1e-4
"""One-cycle: share of the steps that climb, and what the first and the last step have of the peak."""


@dataclass(frozen=True)
class Epoch:
    """Result of one epoch; a row of history.csv. ``epoch`` counts from 1."""

    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_auc: float


def train(job: Job, report: Report) -> None:
    """Train a network, or go on where an earlier call was interrupted; afterwards the job's folder is complete.

    Leaves ``best.safetensors``, ``history.csv`` and ``network.json``; while training also ``last.ckpt``. A finished
    job is not done again.

    Raises:
        WeightsError: ImageNet weights were asked for and are not there; or a file of the job is damaged.
        TrainingError: the loss is not a number; the training was begun with other values, images, device or precision;
            or its record is damaged.
        ProtocolError: the input size is too small for the network.
    """
    check_input_size(job.network, job.input_size)
    job.folder.mkdir(parents=True, exist_ok=True)
    with FileLock(job.folder / ".lock"):
        if not is_finished(job.folder):
            _train(job, report)


def is_finished(folder: Path) -> bool:
    """Whether the folder holds a finished training: its record, and the very weights that the record names.

    Raises:
        TrainingError: the record is damaged.
    """
    record, best = folder / RECORD, folder / BEST
    if not record.exists() or not best.exists():
        return False
    try:
        named = json.loads(record.read_text(encoding="utf-8"))["best_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{record}: must be the whole record of a finished training; it is damaged ({error!r}). Bring it back from "
            "a copy, or delete it to train the network anew"
        ) from error
    return bool(named == sha256_of_file(best))


def _train(job: Job, report: Report) -> None:
    settings = job.protocol.training
    fabric = open_fabric(job.machine)
    report(Progress(job.run, job.network, "prepare"))
    images = _training_images(job)
    upright = reduced_images(job.images.source, job.protocol.image, job.input_size)
    network, start = _starting_network(job)
    model, optimiser = fabric.setup(network, make_optimiser(network, settings))
    values = _values(job, fabric)
    history, seconds = _resume(job.folder / STATE, network, optimiser, values)
    steps = batches_per_epoch(len(images.index) * job.protocol.augmentation.copies, job.batch_size)

    while len(history) < job.max_epochs and not _patience_is_over(history, settings.patience):
        began, epoch = time.perf_counter(), len(history)
        torch.manual_seed(_seed_of(job, epoch))
        plan = plan_epoch(
            images.index, job.protocol.augmentation, seed=_seed_of(job, epoch), epoch=epoch, crop=_crop(job)
        )
        model.train()
        losses, rate = [], 0.0
        for step, batch in enumerate(training_batches(images, plan, job.batch_size, fabric.device)):
            rate = learning_rate_at(epoch * steps + step, job.max_epochs * steps, settings, job.peak_learning_rate)
            for group in optimiser.param_groups:
                group["lr"] = rate
            loss = nn.functional.cross_entropy(model(batch.inputs), batch.labels)
            fabric.backward(loss)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            losses.append(loss.detach())
            report(Progress(job.run, job.network, "train", epoch * steps + step + 1, job.max_epochs * steps))
        if settings.batchnorm_images:
            _reestimate_batchnorm(network, upright, images, settings.batchnorm_images, fabric)
        validation_loss, validation_auc = _validate(network, upright, job, fabric)
        train_loss = torch.stack(losses).mean().item()
        _refuse_nan(train_loss, validation_loss, job, epoch)
        history.append(Epoch(epoch + 1, rate, train_loss, validation_loss, validation_auc))
        if _best(history) is history[-1]:
            save_network(job.folder / BEST, network, {"network": job.network, "research_use": RESEARCH_USE})
        _write_history(job.folder / HISTORY, history)
        seconds.append(time.perf_counter() - began)
        save_state(job.folder / STATE, network, optimiser, _state_record(history, seconds, values))
        report(_epoch_report(job, history, steps))

    _write_record(job, history, seconds, start, values)
    (job.folder / STATE).unlink(missing_ok=True)


def make_optimiser(network: nn.Module, settings: TrainingSettings) -> torch.optim.Adam:
    """Adam with coupled L2 on everything but the biases of convolutions and linear layers.

    That is what MATLAB's trainNetwork does: its factor for biases is 0, for batch-norm scales and offsets it is 1.
    """
    biases = {id(m.bias) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear) and m.bias is not None}
    groups = [
        {"params": [p for p in network.parameters() if id(p) not in biases], "weight_decay": settings.l2},
        {"params": [p for p in network.parameters() if id(p) in biases], "weight_decay": 0.0},
    ]
    betas = (settings.beta1, settings.beta2)
    return torch.optim.Adam(groups, lr=settings.learning_rates[0], betas=betas, eps=settings.epsilon, fused=True)


def learning_rate_at(step: int, steps: int, settings: TrainingSettings, peak: float) -> float:
    """Learning rate of a step: constant (the paper), or one cycle: a cosine up to the peak, then one down to nothing.

    Args:
        step: counted from 0 over all epochs.
        steps: of all epochs that are allowed.
        settings: which schedule.
        peak: largest learning rate.
    """
    if settings.schedule == "constant":
        return peak
    climb = max(_WARM_UP * steps, 1.0)
    if step < climb:
        low, high, share = _START_FRACTION * peak, peak, step / climb
    else:
        low, high, share = peak, _END_FRACTION * peak, (step - climb) / max(steps - climb, 1.0)
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def _training_images(job: Job) -> TrainingImages:
    prepared = prepared_images(job.images.source, job.protocol.image, job.input_size)
    return TrainingImages(prepared, job.images.labels, job.images.train, job.input_size, (job.spec.mean, job.spec.std))


def _starting_network(job: Job) -> tuple[nn.Module, str]:
    """The network before training, and where its weights come from."""
    network = build_network(job.network, seed=_seed_of(job, -1))
    if job.protocol.weights == "none":
        return network, "random"
    return network, f"ImageNet, sha256 {load_imagenet_weights(network, job.network, folder=job.weights)}"


def _seed_of(job: Job, epoch: int) -> int:
    """Seed of one epoch of one network; the same for every learning rate, so that runs differ in nothing else."""
    text = f"{job.protocol.training.seed}/{job.network}/{epoch}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def _crop(job: Job) -> int:
    return job.protocol.image.crop or ROI_SIDE


def _resume(
    state: Path, network: nn.Module, optimiser: torch.optim.Optimizer, values: dict[str, object]
) -> tuple[list[Epoch], list[float]]:
    if not state.exists():
        return [], []
    record = load_state(state, network, optimiser)
    before = record["values"]
    assert isinstance(before, dict)
    differing = [key for key in values if before.get(key, values[key] if key in _MACHINE else None) != values[key]]
    if differing:
        told = "; ".join(f"{key} {before[key]} then, {values[key]} now" for key in _MACHINE if key in differing)
        raise TrainingError(
            f"{state}: a training must go on as it was begun; other than now: {', '.join(sorted(differing))}"
            f"{f' ({told}: --accelerator and --precision choose)' if told else ''}. Give the study another folder, or "
            "delete this file to train the network anew"
        )
    history, seconds = record["history"], record["seconds"]
    assert isinstance(history, list)
    assert isinstance(seconds, list)
    return [Epoch(**row) for row in history], [float(s) for s in seconds]


def _state_record(history: list[Epoch], seconds: list[float], values: dict[str, object]) -> dict[str, object]:
    return {"history": [asdict(row) for row in history], "seconds": seconds, "values": values}


def _values(job: Job, fabric: Fabric) -> dict[str, object]:
    """All that decides the outcome of a training, as JSON knows it."""
    sets = [job.images.labels, job.images.train, job.images.validation]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(s, dtype="<i8").tobytes() + b"/" for s in sets)).hexdigest()
    values = {
        "network": job.network,
        "learning_rate": job.peak_learning_rate,
        "input_size": job.input_size,
        "batch_size": job.batch_size,
        "max_epochs": job.max_epochs,
        "images": job.images.source.key,
        "sets": digest,
        "device": fabric.device.type,
        "precision": str(fabric.strategy.precision.precision),
        "protocol": job.protocol.model_dump(
            mode="json", include={"weights": True, "image": True, "augmentation": True, "training": True}
        ),
    }
    parsed: dict[str, object] = json.loads(json.dumps(values))
    return parsed


def _patience_is_over(history: list[Epoch], patience: int) -> bool:
    losses = [row.validation_loss for row in history]
    return bool(losses) and len(losses) - 1 - losses.index(min(losses)) >= patience


def _best(history: list[Epoch]) -> Epoch:
    return max(history, key=lambda row: (row.validation_auc, -row.validation_loss, -row.epoch))


def _refuse_nan(train_loss: float, validation_loss: float, job: Job, epoch: int) -> None:
    if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
        raise TrainingError(
            f"{job.spec.title}, {job.run}, epoch {epoch + 1}: the loss must be a finite number; training loss is "
            f"{train_loss}, validation loss {validation_loss}. Try a lower learning rate or --precision 32-true"
        )


@torch.no_grad()
def _reestimate_batchnorm(model: nn.Module, upright: Grey, images: TrainingImages, count: int, fabric: Fabric) -> None:
    """Replace running averages by the plain mean over ``count`` training images, spread over the set.

    Batches are as equal as can be, since one of a single image has no variance, and weigh by their images.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
    rows = images.index[np.linspace(0, len(images.index) - 1, min(count, len(images.index))).astype(np.int64)]
    seen = 0
    model.train()
    with fabric.autocast():  # as the running averages that they replace
        for part in np.array_split(rows, math.ceil(len(rows) / _EVALUATION_BATCH)):
            seen += len(part)
            for norm in norms:
                norm.momentum = len(part) / seen
            (inputs,) = upright_batches(upright, part, len(part), images.channels, fabric.device)
            model(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


@torch.inference_mode()
def _validate(model: nn.Module, upright: Grey, job: Job, fabric: Fabric) -> tuple[float, float]:
    """Mean cross-entropy and AUC on the validation set, in float32 as the scores of the study (see `predict`)."""
    model.eval()
    rows, channels = job.images.validation, (job.spec.mean, job.spec.std)
    logits = torch.cat(
        [model(inputs).cpu() for inputs in upright_batches(upright, rows, _EVALUATION_BATCH, channels, fabric.device)]
    )
    labels: NDArray[np.int64] = job.images.labels[rows]
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()
    if not math.isfinite(loss):
        return loss, math.nan
    return loss, float(roc_auc_score(labels, logits.double().softmax(dim=1)[:, 1].numpy()))


def _write_history(path: Path, history: list[Epoch]) -> None:
    best = _best(history)
    lines = ["epoch,learning_rate,train_loss,validation_loss,validation_auc,chosen"]
    lines += [",".join([*(repr(v) for v in asdict(row).values()), str(int(row is best))]) for row in history]
    write_atomically(path, ("\n".join(lines) + "\n").encode())


def _write_record(job: Job, history: list[Epoch], seconds: list[float], start: str, values: dict[str, object]) -> None:
    best = _best(history)
    over = _patience_is_over(history, job.protocol.training.patience)
    record = {
        "network": job.network,
        "title": job.spec.title,
        "run": job.run,
        "starting_weights": start,
        "best_epoch": best.epoch,
        "best_validation_auc": best.validation_auc,
        "best_validation_loss": best.validation_loss,
        "epochs": len(history),
        "stopped": "validation loss no longer lower" if over else "all epochs done",
        "best_sha256": sha256_of_file(job.folder / BEST),
        "seconds": [round(s, 3) for s in seconds],
        "device": values["device"],
        "precision": values["precision"],
        "torch": torch.__version__,
        "values": values,
        "research_use": RESEARCH_USE,
    }
    write_atomically(job.folder / RECORD, (json.dumps(record, indent=2) + "\n").encode())


def _epoch_report(job: Job, history: list[Epoch], steps: int) -> Progress:
    last, best = history[-1], _best(history)
    text = (
        f"{job.spec.title}, {job.run}: epoch {last.epoch} of at most {job.max_epochs}, loss {last.train_loss:.4f}, "
        f"validation loss {last.validation_loss:.4f}, AUC {last.validation_auc:.4f} (best {best.validation_auc:.4f})"
    )
    return Progress(job.run, job.network, "train", last.epoch * steps, job.max_epochs * steps, text)
