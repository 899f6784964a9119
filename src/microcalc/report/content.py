"""What a report can hold, as frozen data classes: the one door through which facts come into the report.

Whoever has results (the study, the evaluation of a table of scores) fills these; figures and document only read them.
All parts but the title and the runs may be left out, and the report then leaves out their sections. Numbers that are
undefined are NaN with a stated reason. The cohort's part is in `cohort_summary`. No drawing, no HTML, no statistics.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from microcalc import RESEARCH_USE
from microcalc.predictions import ScoreTable
from microcalc.report.cohort_summary import CohortSummary, SyntheticNotice
from microcalc.report.printed import PrintedTable
from microcalc.report.words import model_title
from microcalc.stats import OperatingPoint, RocBand, RocCurve, Table1
from microcalc.vocabulary import MALIGNANT, Split

__all__ = [
    "Departure",
    "FactGroup",
    "HeatmapExample",
    "HeatmapPanel",
    "LocalisationRow",
    "ModelResult",
    "NetworkRow",
    "Outcome",
    "ReportContent",
    "ReportFigure",
    "RunContent",
    "Section",
    "TrainingHistory",
]

FloatArray = NDArray[np.float64]

Grid = tuple[int, int]
"""Rows and columns of the cells of a heatmap, before it is enlarged."""

_NAN = float("nan")


class Outcome(StrEnum):
    """What became of an image at the cut-off, in the order of the paper's panels."""

    TP = "TP"
    FN = "FN"
    TN = "TN"
    FP = "FP"

    @property
    def words(self) -> str:
        """For instance ``true positive``."""
        first = "true" if self in (Outcome.TP, Outcome.TN) else "false"
        return f"{first} {'positive' if self in (Outcome.TP, Outcome.FP) else 'negative'}"


# ---- results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelResult:
    """One model on the test set.

    Attributes:
        model: name in the predictions table.
        curve: its ROC curve; NaN with a reason where one class is missing.
        auc: NaN if undefined.
        low: lower limit of the AUC's interval; NaN if undefined.
        high: upper limit.
        reason: why the AUC or its interval is undefined, in words.
        points: operating points to mark and to cross-tabulate.
        band: bootstrap band, if computed.
        confidence: level of the interval.
        title: as people write it; by default from the name.
        scale: the word of each score, where scores are words such as BI-RADS categories.
    """

    model: str
    curve: RocCurve
    auc: float
    low: float = _NAN
    high: float = _NAN
    reason: str = ""
    points: tuple[OperatingPoint, ...] = ()
    band: RocBand | None = None
    confidence: float = 0.95
    title: str = ""
    scale: Mapping[float, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As people write it."""
        return self.title or model_title(self.model)


@dataclass(frozen=True)
class TrainingHistory:
    """How one network learned.

    Attributes:
        network: name.
        epoch: (e,) counted from 1.
        train_loss: (e,) mean cross-entropy.
        validation_loss: (e,) likewise.
        validation_auc: (e,), NaN where undefined.
        learning_rate: (e,) of each epoch's last step, or empty.
        chosen_epoch: the epoch whose weights were kept; 0 if unknown.
        stopped: why training ended, in words.
        peak_rate: highest learning rate of all steps; 0 if unknown.
    """

    network: str
    epoch: NDArray[np.int64]
    train_loss: FloatArray
    validation_loss: FloatArray
    validation_auc: FloatArray
    learning_rate: FloatArray
    chosen_epoch: int = 0
    stopped: str = ""
    peak_rate: float = 0.0


@dataclass(frozen=True)
class HeatmapExample:
    """One image with its heatmap.

    Attributes:
        outcome: at the cut-off.
        image_id: of the cohort.
        label: 1 malignant, 0 benign by histopathology.
        probability: of malignancy, by this network.
        original: (h, w) uint16 grey.
        heatmap: (h, w) float32 in [0, 1], upsampled to the image.
        explained: the class whose evidence the heatmap shows.
        grid: rows and columns of cells that the heatmap was enlarged from; None if unknown.
        mask: (h, w) bool, where the lesion is; only phantoms know it.
    """

    outcome: Outcome
    image_id: str
    label: int
    probability: float
    original: NDArray[np.uint16]
    heatmap: NDArray[np.float32]
    explained: int = MALIGNANT
    mask: NDArray[np.bool_] | None = None
    grid: Grid | None = None

    @property
    def is_empty(self) -> bool:
        """Whether the heatmap is 0 everywhere: nothing in the features speaks for the class, and no place is shown."""
        return not bool(self.heatmap.any())


@dataclass(frozen=True)
class HeatmapPanel:
    """The examples of one network; outcomes without an image are said to be empty.

    Attributes:
        network: name.
        examples: in any order.
        cutoff: that made the outcomes.
        cutoff_chosen_on: the set that chose it.
        folder: where all panels lie in full resolution, relative to the report; empty if nowhere.
    """

    network: str
    examples: tuple[HeatmapExample, ...]
    cutoff: float = _NAN
    cutoff_chosen_on: str = Split.VALIDATION
    folder: str = ""

    @property
    def grid(self) -> Grid | None:
        """Rows and columns of cells of its heatmaps; None if unknown."""
        return next((e.grid for e in self.examples if e.grid is not None), None)


@dataclass(frozen=True)
class LocalisationRow:
    """How well the heatmaps of one network meet the phantoms' lesions.

    Attributes:
        network: name.
        images: judged.
        share_inside: mean share of the heatmap's sum that lies inside the mask, over the heatmaps that are not empty;
            NaN if all are.
        share_expected: what an even heatmap would reach: of the square that the network saw, the mean share that the
            mask covers, over the same images.
        hits: images whose strongest cell has its centre on the mask or near it (pointing game); an empty heatmap is a
            miss; None if undefined.
        hits_by_chance: mean share of the heatmap's cells that would hit; NaN if unknown.
        tolerance: how near, pixels of the ROI.
        group: which images, for instance ``malignant``; empty for all.
        grid: rows and columns of cells that the heatmaps were enlarged from; None if unknown.
        empty: images whose heatmap is 0 everywhere.
        reason: why something is undefined, in words.
    """

    network: str
    images: int
    share_inside: float
    share_expected: float
    hits: int | None
    hits_by_chance: float = math.nan
    tolerance: int = 15
    group: str = ""
    grid: Grid | None = None
    empty: int = 0
    reason: str = ""


@dataclass(frozen=True)
class ReportFigure:
    """A drawn figure with its words.

    Attributes:
        name: stem of its files.
        title: bold beginning of the caption.
        caption: the rest of it.
        alt: the figure in words, for those who cannot see it.
        figure: the drawing, one journal column wide.
    """

    name: str
    title: str
    caption: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """A further part of a run: comparisons, calibration, subgroups.

    Attributes:
        title: heading.
        paragraphs: plain text before the tables.
        tables: to print.
        figures: to show, two beside each other; they are saved as files too, so their names must differ between runs.
        notes: plain text after them.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[PrintedTable, ...] = ()
    figures: tuple[ReportFigure, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunContent:
    """Everything of one run, that is, of one learning rate, or of one evaluated table.

    Attributes:
        name: of the run in the predictions table; part of file names.
        title: heading, for instance ``Learning rate 1e-4``.
        models: in the order of the tables, the ensemble last.
        table1: everything that Table 1 prints.
        tables: further tables, printed after Table 1.
        scores: of the test set, for the score distributions.
        ensemble_of: names of the networks whose mean is the ensemble; empty: there is none.
        histories: one for each trained network.
        heatmaps: one panel for each network.
        localisation: phantoms only.
        main_model: whose ROC band is drawn large; default Inception-ResNet-v2 as in the paper, else the ensemble.
        notes: sentences under the heading.
        sections: further results.
    """

    name: str
    title: str
    models: tuple[ModelResult, ...]
    table1: Table1 | None = None
    tables: tuple[PrintedTable, ...] = ()
    scores: ScoreTable | None = None
    ensemble_of: tuple[str, ...] = ()
    histories: tuple[TrainingHistory, ...] = ()
    heatmaps: tuple[HeatmapPanel, ...] = ()
    localisation: tuple[LocalisationRow, ...] = ()
    main_model: str = ""
    notes: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()


# ---- the study -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkRow:
    """One row of the table of features (the paper's supplement).

    Attributes:
        name: of the network.
        depth: layers with weights on the longest path.
        parameters: trained.
        size_mb: of the float32 weights, units of 2**20 bytes.
        input_size: side of the square input as used, pixels.
        batch_size: as used.
        weights: where training started: ``ImageNet`` or ``random``.
    """

    name: str
    depth: int
    parameters: int
    size_mb: float
    input_size: int
    batch_size: int
    weights: str = ""


@dataclass(frozen=True)
class FactGroup:
    """A block of the environment table: title, then pairs of name and value."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Departure:
    """Where a protocol does otherwise than the paper: setting, the paper's value, the value here."""

    setting: str
    paper: str
    here: str


@dataclass(frozen=True)
class ReportContent:
    """A whole report.

    Attributes:
        title: of the document.
        runs: at least one.
        subtitle: a line under the title.
        cohort: flow, split, characteristics.
        synthetic: present if the images are phantoms.
        networks: table of features.
        environment: versions, machine, seeds, hashes, time.
        protocol_yaml: the whole protocol.
        departures: from the paper.
        limits: of this very study, added to those that every study of this kind has.
        command: the line that makes the study again.
        research_use: the sentence in the head and foot of every page.
        raster: the page shows its figures as the PNG files, not as SVG: a larger page, made faster.
    """

    title: str
    runs: tuple[RunContent, ...]
    subtitle: str = ""
    cohort: CohortSummary | None = None
    synthetic: SyntheticNotice | None = None
    networks: tuple[NetworkRow, ...] = ()
    environment: tuple[FactGroup, ...] = ()
    protocol_yaml: str = ""
    departures: tuple[Departure, ...] = ()
    limits: tuple[str, ...] = ()
    command: str = ""
    research_use: str = RESEARCH_USE
    raster: bool = False
