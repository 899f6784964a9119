"""What the training runs on: device, precision, threads. Chosen once, recorded with the results.

bf16 autocast is used where the processor or the GPU computes bf16 in hardware; everywhere else float32.
"""

import ctypes
import logging
import sys
from dataclasses import dataclass
from typing import Literal

import torch
from lightning_fabric import Fabric

from microcalc.errors import ProtocolError

__all__ = ["Machine", "best_precision", "keep_freed_memory", "open_fabric"]

Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "bf16-mixed", "32-true"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_GIBIBYTE = 2**30


@dataclass(frozen=True)
class Machine:
    """What to train on.

    Attributes:
        accelerator: auto takes a GPU if there is one.
        precision: auto is bf16 where the hardware has it, else float32.
        threads: of one process on the CPU; 0 leaves it to torch.
        device_index: which GPU, where there are several.
    """

    accelerator: Accelerator = "auto"
    precision: Precision = "auto"
    threads: int = 0
    device_index: int = 0


def best_precision(accelerator: str) -> Precision:
    """bf16-mixed where bf16 is computed in hardware (AVX512-BF16, AMX, Ampere and later), else 32-true."""
    if accelerator == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if accelerator == "cpu" and _cpu_has_bf16():
        return "bf16-mixed"
    return "32-true"


def _cpu_has_bf16() -> bool:
    # torch tells of the instruction set only by names with a leading underscore; older releases lack some of them.
    tells = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(tell is not None and tell() for tell in tells)


def open_fabric(machine: Machine) -> Fabric:
    """Fabric with the device and precision of ``machine``.

    Raises:
        ProtocolError: the accelerator that was asked for is not here.
    """
    accelerator = machine.accelerator
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ProtocolError("a GPU was asked for, but torch sees none; leave --accelerator out, or say cpu")
    if machine.threads:
        torch.set_num_threads(machine.threads)
    if accelerator == "cpu":
        keep_freed_memory()
        devices: int | list[int] = 1
    else:
        devices = [machine.device_index % max(torch.cuda.device_count(), 1)]
        torch.backends.cudnn.benchmark = True
    precision = best_precision(accelerator) if machine.precision == "auto" else machine.precision
    # Fabric tells every process that bf16 is on; the study's record says so already.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    return Fabric(accelerator=accelerator, devices=devices, precision=precision)


def keep_freed_memory() -> None:
    """Ask the C library to keep large freed blocks instead of handing them back to the system.

    A training step allocates and frees the same hundreds of megabytes every time; fetching them anew from the kernel
    (page faults) costs a noticeable share of a step on a CPU. Only glibc has the call; elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never
