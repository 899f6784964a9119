"""Time of one reading: five networks and their five heatmaps for one ROI, against the grad-cam library in float32.

    python benchmarks/read.py [--repetitions 15] [--threads 2] [--device cpu]

About two minutes on 2 cores. Three ways, interleaved in one run, each on one normalised image of the network's size:

* library: the package grad-cam, a forward and a backward pass in float32, default memory layout;
* closed: our closed form on the same float32 network, channels last, no backward pass;
* ours: the closed form on the folded network (`microcalc.learn.inference`), bf16 where the hardware has it, with the
  heatmap enlarged to the ROI's 512 pixels.

The ratio library : ours is taken within each repetition, of the sums over the networks; the goal on a 2-core
AVX512-BF16 CPU is a median of at least 5. The networks have random weights; one pass over noise sets the batch
norms' statistics, so that no value under- or overflows and slows a way down. Reading and resizing the ROI costs all
ways the same and is left out. That all ways give the same scores and maps is shown by `tests/test_gradcam.py` and
`tests/test_inference.py`. Other work on the machine disturbs two threads more than one.
"""

import argparse
import importlib
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from microcalc.learn._timm import import_with_torchvision
from microcalc.learn.gradcam import grad_cam, heatmaps
from microcalc.learn.inference import inference_network
from microcalc.learn.machine import best_precision
from microcalc.learn.networks import NETWORK_TABLE, NetworkSpec, build_network

MALIGNANT = 1
ROI_SIDE = 512
GOAL = 5.0
WARM_UP = 2

Way = Callable[[], object]


@dataclass(frozen=True)
class Contest:
    """The ways to read one network, each a function without arguments."""

    spec: NetworkSpec
    ways: dict[str, Way]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time of one reading against the grad-cam library.")
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    precision = torch.bfloat16 if best_precision(device.type) == "bf16-mixed" else torch.float32
    where = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or platform.machine()
    print(f"torch {torch.__version__}, {where}, {options.threads} threads, library float32, ours {precision}")
    contests = [prepare(spec, device, precision) for spec in NETWORK_TABLE.values()]
    report(contests, measure(contests, options.repetitions, device))


def prepare(spec: NetworkSpec, device: torch.device, precision: torch.dtype) -> Contest:
    """Build the network and its ways of being read."""
    generator = torch.Generator().manual_seed(0)
    plain = settled(build_network(spec.name, seed=0), spec, generator).to(device)
    channels_last: nn.Module = build_network(spec.name, seed=0).eval().to(device)
    channels_last.load_state_dict(plain.state_dict())
    folded = inference_network(channels_last, spec, precision=precision)
    image = torch.randn(1, 3, spec.input_size, spec.input_size, generator=generator).to(device)

    library = import_with_torchvision("pytorch_grad_cam")
    targets = importlib.import_module("pytorch_grad_cam.utils.model_targets")
    cam = library.GradCAM(model=plain, target_layers=[plain.get_submodule(spec.last_features)])

    def by_library() -> object:
        return cam(input_tensor=image, targets=[targets.ClassifierOutputTarget(MALIGNANT)])

    def read(model: nn.Module) -> object:
        result = grad_cam(model, spec, image, target=MALIGNANT)
        return result.probabilities.cpu(), heatmaps(result.maps, side=ROI_SIDE).cpu()

    ways: dict[str, Way] = {
        "library": by_library,
        "closed": lambda: read(channels_last),
        "ours": lambda: read(folded),
    }
    return Contest(spec, ways)


def settled(model: nn.Module, spec: NetworkSpec, generator: torch.Generator) -> nn.Module:
    """The network in evaluation mode and default layout, its batch norms fitted to noise."""
    model = model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, spec.input_size, spec.input_size, generator=generator))
    return model.eval()


def measure(contests: list[Contest], repetitions: int, device: torch.device) -> dict[str, list[list[float]]]:
    """Milliseconds: way -> repetition -> network. The ways take turns, each going first in turn."""
    names = list(contests[0].ways)
    times: dict[str, list[list[float]]] = {name: [] for name in names}
    for repetition in range(WARM_UP + repetitions):
        turn = repetition % len(names)
        rows: dict[str, list[float]] = {name: [] for name in names}
        for contest in contests:
            for name in names[turn:] + names[:turn]:
                rows[name].append(milliseconds(contest.ways[name], device))
        if repetition >= WARM_UP:
            for name in names:
                times[name].append(rows[name])
    return times


def milliseconds(way: Way, device: torch.device) -> float:
    """Wall-clock time of one call."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    way()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def report(contests: list[Contest], times: dict[str, list[list[float]]]) -> None:
    """Print medians and ratios."""
    tables = {name: np.array(rows) for name, rows in times.items()}  # (repetitions, networks)
    print(f"{'network':<20} {'library ms':>10} {'closed ms':>10} {'ours ms':>10} {'ratio':>6}")
    for i, contest in enumerate(contests):
        library, closed, ours = (float(np.median(table[:, i])) for table in tables.values())
        print(f"{contest.spec.title:<20} {library:10.1f} {closed:10.1f} {ours:10.1f} {library / ours:6.2f}")
    sums = {name: table.sum(axis=1) for name, table in tables.items()}
    library, closed, ours = (float(np.median(values)) for values in sums.values())
    ratios = sums["library"] / sums["ours"]
    ratio = float(np.median(ratios))
    print(f"{'all five':<20} {library:10.1f} {closed:10.1f} {ours:10.1f} {ratio:6.2f}")
    print(
        f"library : ours, median of {len(ratios)} repetitions {ratio:.2f} "
        f"(from {ratios.min():.2f} to {ratios.max():.2f}); the goal is {GOAL:.0f}"
    )


if __name__ == "__main__":
    main()
