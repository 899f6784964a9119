"""How fast one training step is: ours against plain PyTorch, and against what the processor can do.

For each network, in one run and in turn: milliseconds per image of microcalc's step (posed batches, bf16 where the
hardware has it, channels last, fused Adam) and of a plain step (float32, default layout, inputs ready in memory, same
batch and size); their ratio; what share of the step went into making the batch; and the share of the machine's
measured matrix-product rate that the step's arithmetic (three times the forward pass) reached.

    python -m benchmarks.train [--repeats 3] [--networks resnet101,...] [--json FILE]

Goal on 2 cores with AVX512-BF16: geometric mean ratio at least 2.5, mean share of the peak at least 0.65, batches
under 5 % of the step.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, geometric_mean, median

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from microcalc.learn.batches import Batch, TrainingImages, plan_epoch, training_batches
from microcalc.learn.machine import Machine, open_fabric
from microcalc.learn.networks import NETWORK_TABLE, NetworkSpec, build_network
from microcalc.learn.train import make_optimiser
from microcalc.protocol import AugmentationSettings, TrainingSettings

FORWARD_AND_BACKWARD = 3  # the backward pass costs twice the forward pass


@dataclass(frozen=True)
class Row:
    """Figures of one network: milliseconds per image, and shares."""

    network: str
    ours_ms: float
    plain_ms: float
    ratio: float
    share_of_peak: float
    batch_share: float


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--networks", default=",".join(NETWORK_TABLE))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    fabric = open_fabric(Machine())
    precision = str(fabric.strategy.precision.precision)
    where = torch.cuda.get_device_name() if fabric.device.type == "cuda" else platform.processor() or "CPU"
    print(f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}, {precision}")
    rows, peaks = [], []
    print(f"{'network':<22}{'ours ms':>9}{'plain ms':>10}{'ratio':>8}{'of peak':>9}{'batches':>9}")
    for name in options.networks.split(","):
        peaks.append(matmul_rate(fabric, torch.bfloat16 if "bf16" in precision else torch.float32))
        row = measure(NETWORK_TABLE[name], fabric, options.repeats, peaks[-1])
        rows.append(row)
        print(
            f"{row.network:<22}{row.ours_ms:>9.1f}{row.plain_ms:>10.1f}{row.ratio:>8.2f}{row.share_of_peak:>9.2f}"
            f"{row.batch_share:>9.1%}",
            flush=True,
        )
    ratio, share = geometric_mean(r.ratio for r in rows), fmean(r.share_of_peak for r in rows)
    plain_peak = matmul_rate(fabric, torch.float32)
    print(f"geometric mean ratio {ratio:.2f}, mean share of the peak {share:.2f}")
    print(f"matrix products: {median(peaks) / 1e9:.0f} GFLOP/s, {plain_peak / 1e9:.0f} in float32")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=1), encoding="utf-8")


def measure(spec: NetworkSpec, fabric: Fabric, repeats: int, peak: float) -> Row:
    """Time both steps in turn, each as in a training: after a step of its own, which finds memory as that left it."""
    ours, batch_times = our_step(spec, fabric)
    plain = plain_step(spec, fabric.device)
    timed(ours)  # kernels are chosen in the first step
    pairs = [(timed_again(ours), timed_again(plain)) for _ in range(repeats)]
    ours_seconds, plain_seconds = (median(times) for times in zip(*pairs, strict=True))
    work = FORWARD_AND_BACKWARD * forward_flops(spec) * spec.batch_size
    return Row(
        network=spec.title,
        ours_ms=1000 * ours_seconds / spec.batch_size,
        plain_ms=1000 * plain_seconds / spec.batch_size,
        ratio=median(b / a for a, b in pairs),
        share_of_peak=work / ours_seconds / peak,
        batch_share=median(batch_times[2::2]) / ours_seconds,
    )


def our_step(spec: NetworkSpec, fabric: Fabric) -> tuple[Callable[[], None], list[float]]:
    """The step of `microcalc.learn.train`, with the batches that it makes; and the time that making them took."""
    network = build_network(spec.name, seed=0)
    model, optimiser = fabric.setup(network, make_optimiser(network, TrainingSettings()))
    batches = endless_batches(spec, fabric.device)
    batch_times: list[float] = []

    def step() -> None:
        began = time.perf_counter()
        batch = next(batches)
        synchronise(fabric.device)
        batch_times.append(time.perf_counter() - began)
        loss = nn.functional.cross_entropy(model(batch.inputs), batch.labels)
        fabric.backward(loss)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    return step, batch_times


def endless_batches(spec: NetworkSpec, device: torch.device) -> Iterator[Batch]:
    """Posed batches of random images, without end."""
    count = 2 * spec.batch_size
    prepared = np.random.default_rng(0).integers(0, 65_535, (count, 512, 512), dtype=np.uint16)
    images = TrainingImages(prepared, np.arange(count) % 2, np.arange(count), spec.input_size, (spec.mean, spec.std))
    epoch = 0
    while True:
        plan = plan_epoch(images.index, AugmentationSettings(), seed=0, epoch=epoch)
        yield from training_batches(images, plan, spec.batch_size, device)
        epoch += 1


def plain_step(spec: NetworkSpec, device: torch.device) -> Callable[[], None]:
    """What one writes without thinking of speed: float32, default layout, Adam as it comes."""
    model = build_network(spec.name, seed=0).to(device)
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-4, weight_decay=5e-4)
    inputs = torch.rand(spec.batch_size, 3, spec.input_size, spec.input_size, device=device)
    labels = torch.arange(spec.batch_size, device=device) % 2

    def step() -> None:
        optimiser.zero_grad()
        loss: torch.Tensor = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def forward_flops(spec: NetworkSpec) -> float:
    """Floating-point operations of the forward pass of one image."""
    with torch.device("meta"):
        model = build_network(spec.name, seed=0).eval()
        inputs = torch.empty(1, 3, spec.input_size, spec.input_size)
        with FlopCounterMode(display=False) as counter:
            model(inputs)
    return float(counter.get_total_flops())


def matmul_rate(fabric: Fabric, dtype: torch.dtype, repeats: int = 5) -> float:
    """Best rate of a large matrix product, operations per second."""
    size = 8192 if fabric.device.type == "cuda" else 2048
    a, b = (torch.randn(size, size, device=fabric.device).to(dtype) for _ in range(2))
    a @ b
    return max(2 * size**3 / timed(lambda: a @ b) for _ in range(repeats))


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes, the device's work included."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def timed_again(step: Callable[[], None]) -> float:
    """Seconds of the second of two steps."""
    timed(step)
    return timed(step)


def synchronise(device: torch.device) -> None:
    """Wait for a GPU's queue."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
