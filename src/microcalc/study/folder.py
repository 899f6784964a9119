"""The study folder: what was asked, with what, and what is done; and who may write into it.

`protocol.yaml`, `environment.json` and `study.json` stand here; what the jobs and the results write is theirs. A
folder that holds another study is refused before anything in it is touched.
"""

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from microcalc import RESEARCH_USE, __version__
from microcalc.cohort.storage import write_atomically
from microcalc.errors import StudyError
from microcalc.learn.machine import Machine, best_precision
from microcalc.protocol import Protocol, read_protocol

__all__ = ["SCHEMA_VERSION", "StudyFolder", "open_study", "read_json"]

SCHEMA_VERSION = 1

_PACKAGES = (
    "torch",
    "timm",
    "lightning-fabric",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "pillow",
    "safetensors",
)


class StudyFolder:
    """Paths of a study and its three records.

    Args:
        path: of the folder; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.protocol = path / "protocol.yaml"
        self.environment = path / "environment.json"
        self.record = path / "study.json"
        self.split = path / "split.csv"
        self.predictions = path / "predictions.csv"
        self.report = path / "report.html"

    def network(self, run: str, network: str) -> Path:
        """Folder of one trained network."""
        return self.path / "networks" / run / network

    def check_fits(self, protocol: Protocol, cohort: dict[str, str]) -> None:
        """Make sure that what is there, if anything, is this very study.

        Args:
            protocol: that is asked for.
            cohort: what tells the cohort apart from others; see `plan`.

        Raises:
            StudyError: the folder holds something else, or a study of another protocol or cohort.
        """
        if not self.path.exists() or not any(p.name != ".lock" for p in self.path.iterdir()):
            return
        if not self.record.exists() or not self.protocol.exists():
            raise StudyError(
                f"{self.path}: a study needs an empty folder, or one that holds the same study; this one holds other "
                "files. Choose another --out"
            )
        differing = _differences(read_protocol(self.protocol), protocol)
        if differing:
            raise StudyError(
                f"{self.path}: holds a study of another protocol ({differing}). Choose another --out, or give the "
                f"protocol that it was made with: --protocol {self.protocol}"
            )
        if read_json(self.record).get("cohort") != cohort:
            raise StudyError(
                f"{self.path}: holds a study of other images, labels or sets. If the cohort was changed on purpose, "
                "choose another --out; if not, run: microcalc cohort check"
            )

    def begin(self, protocol: Protocol, cohort: dict[str, str], machine: Machine) -> None:
        """Write what was asked and with what; a study that goes on keeps its first environment."""
        if not self.record.exists():
            write_atomically(self.protocol, protocol.to_yaml().encode())
            self.update(cohort=cohort, finished=[], complete=False)
        if not self.environment.exists():
            write_atomically(self.environment, _json(environment(machine)))

    def update(self, **facts: object) -> None:
        """Add or replace entries of study.json."""
        old = read_json(self.record) if self.record.exists() else {}
        start = {"schema": SCHEMA_VERSION, "microcalc": __version__, "research_use": RESEARCH_USE}
        write_atomically(self.record, _json(start | old | facts))


@contextmanager
def open_study(path: Path) -> Iterator[StudyFolder]:
    """Hold a study folder for writing.

    Raises:
        StudyError: another process works in it, or it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path}: a study needs a folder; this is a file. Choose another --out")
    path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise StudyError(f"{path}: another process is working on this study; wait for it or stop it") from error
    try:
        for half_written in path.rglob(".*.partial"):  # left by a process that was killed; nobody else writes here now
            if half_written.is_file():
                half_written.unlink(missing_ok=True)
        yield StudyFolder(path)
    finally:
        lock.release()


def environment(machine: Machine) -> dict[str, object]:
    """Versions, processor, device and precision."""
    on_gpu = machine.accelerator == "cuda" or (machine.accelerator == "auto" and torch.cuda.is_available())
    precision = best_precision("cuda" if on_gpu else "cpu") if machine.precision == "auto" else machine.precision
    return {
        "microcalc": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": torch.cuda.get_device_name(machine.device_index) if on_gpu else "CPU",
        "precision": precision,
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "research_use": RESEARCH_USE,
    }


def read_json(path: Path) -> dict[str, object]:
    """Read one of the records.

    Raises:
        StudyError: it is damaged.
    """
    try:
        content: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: must be readable JSON; {error}") from error
    return content


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def _differences(there: Protocol, asked: Protocol) -> str:
    old, new = there.model_dump(mode="json"), asked.model_dump(mode="json")
    return "; ".join(f"{key}: there {old[key]}, asked {new[key]}" for key in old if old[key] != new[key])


def _processor() -> str:
    if sys.platform.startswith("linux"):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
