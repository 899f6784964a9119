"""The smaller tables and sentences of the page, made from the content: at a glance, cross tabulation, networks, ...

Table 1 and its companions are made in `tables`. Here nothing is estimated but the share of hits of the pointing game.
"""

import math
from collections.abc import Sequence

from microcalc.protocol import ENSEMBLE, NETWORKS
from microcalc.report.content import (
    Departure,
    LocalisationRow,
    ModelResult,
    NetworkRow,
    ReportContent,
    RunContent,
    TrainingHistory,
)
from microcalc.report.figures import undefined_words
from microcalc.report.printed import NOT_AVAILABLE, PrintedTable
from microcalc.report.training_curves import rate_words
from microcalc.report.words import CUTOFF_DIGITS, cutoff_text, interval_text, model_title, next_above, number_text
from microcalc.stats import OperatingPoint, wilson

__all__ = [
    "cross_table",
    "departures_table",
    "ensemble_words",
    "glance_facts",
    "glance_table",
    "localisation_table",
    "networks_table",
    "reached_words",
    "training_table",
]


def glance_facts(content: ReportContent) -> tuple[tuple[str, str], ...]:
    """Name and value of what a reader asks first."""
    facts = []
    if content.cohort is not None:
        whole = content.cohort.flow.included
        facts.append(
            ("Cohort", f"{_people(whole.images, whole.patients)}, {_share(whole.malignant, whole.images)} malignant")
        )
        facts += [("Sets", content.cohort.split_method)] if content.cohort.split_method else []
    first = content.runs[0]
    if first.table1 is not None:
        test = first.table1.test
        facts.append(
            ("Test set", f"{_people(test.images, test.patients)}, {_share(test.malignant, test.images)} malignant")
        )
    facts.append(("Models", ", ".join(m.name for m in first.models)))
    weights = list(dict.fromkeys(row.weights for row in content.networks if row.weights))
    facts += [("Training began from", f"{' and '.join(weights)} weights")] if weights else []
    if len(content.runs) > 1:
        facts.append(("Runs", ", ".join(run.title for run in content.runs)))
    return tuple(facts)


def glance_table(content: ReportContent) -> PrintedTable:
    """AUC of every model in every run, and what is best possible where the images are phantoms."""
    names = list(dict.fromkeys(m.model for run in content.runs for m in run.models))
    titles = {m.model: m.name for run in content.runs for m in run.models}
    rows = [(titles[name], *(_area(run, name) for run in content.runs)) for name in names]
    notes = [undefined_words([m for run in content.runs for m in run.models])]
    if content.synthetic is not None and math.isfinite(content.synthetic.best_auc):
        best = f"{content.synthetic.best_auc:.3f}"
        rows.append(("Best possible on these phantoms", *(best for _ in content.runs)))
        notes.append(
            "Best possible: the AUC of the model that drew the labels, by Monte Carlo"
            + _standard_error(content.synthetic.best_auc_standard_error)
            + "."
        )
    percent = f"{content.runs[0].models[0].confidence:.0%}" if content.runs[0].models else "95%"
    return PrintedTable(
        title=f"Area under the ROC curve on the test set, with {percent} interval (DeLong)",
        columns=("Model", *(run.title for run in content.runs)),
        rows=tuple(rows),
        notes=tuple(n for n in notes if n),
    )


def reached_words(run: RunContent) -> str:
    """What a run reached, for the banner of phantoms: ``networks 0.79 to 0.88, ensemble 0.91``."""
    alone = [m.auc for m in run.models if m.model != ENSEMBLE and math.isfinite(m.auc)]
    together = [m.auc for m in run.models if m.model == ENSEMBLE and math.isfinite(m.auc)]
    words = []
    if len(alone) == 1:
        words.append(f"the network {alone[0]:.3f}")
    elif alone:
        words.append(f"the {len(alone)} networks {min(alone):.3f} to {max(alone):.3f}")
    words += [f"their ensemble {together[0]:.3f}"] if together else []
    return ", ".join(words) or "no AUC is defined"


def ensemble_words(run: RunContent) -> str:
    """Which networks the ensemble is made of, or that there is none."""
    members = [model_title(name) for name in run.ensemble_of]
    if not members:
        return (
            ""
            if any(m.model == ENSEMBLE for m in run.models) or not run.histories
            else "There is no ensemble in this run."
        )
    noun = "network" if len(members) == 1 else "networks"
    words = f"The ensemble is the mean of the probabilities of {len(members)} {noun}: {', '.join(members)}."
    if len(members) < len(NETWORKS):
        words += f" The paper's has {len(NETWORKS)}."
    return words


def cross_table(run: RunContent) -> PrintedTable:
    """Index test against reference standard for every model and cut-off (STARD item 23)."""
    rows = [_cross_row(m, p) for m in run.models for p in sorted(m.points, key=lambda p: p.optimistic)]
    reasons = dict.fromkeys(f"{m.name}: {p.reason}." for m in run.models for p in m.points if p.reason)
    return PrintedTable(
        title=f"Calls against the reference standard on the test set, in images; {run.title}",
        columns=("Model", "Cut-off chosen on", "Cut-off", "TP", "FN", "TN", "FP"),
        rows=tuple(rows),
        notes=(
            "TP, FN: malignant images called malignant, benign; TN, FP: benign images called benign, malignant.",
            CUTOFF_DIGITS,
            *reasons,
        ),
    )


def networks_table(rows: Sequence[NetworkRow]) -> PrintedTable:
    """The paper's supplementary table of the networks, with the values as used."""
    weights = any(row.weights for row in rows)
    body = [
        (
            model_title(row.name),
            str(row.depth),
            f"{row.parameters / 1e6:.1f}",
            f"{row.size_mb:.0f}",
            f"{row.input_size} × {row.input_size}",
            str(row.batch_size),
            *((row.weights,) if weights else ()),
        )
        for row in rows
    ]
    columns = ("Network", "Depth", "Parameters (millions)", "Size (MB)", "Input (pixels)", "Batch (images)")
    return PrintedTable(
        title="Features of the networks",
        columns=(*columns, *(("Starting weights",) if weights else ())),
        rows=tuple(body),
        notes=("Depth: layers with weights on the longest path. Parameters and size (float32) with two outputs.",),
    )


def training_table(histories: Sequence[TrainingHistory]) -> PrintedTable:
    """How long each network was trained, and which epoch was kept."""
    rows = [
        (
            model_title(h.network),
            str(len(h.epoch)),
            str(h.chosen_epoch) if h.chosen_epoch else NOT_AVAILABLE,
            number_text(_chosen_auc(h), 3),
            rate_words(h) or "not stated",
        )
        for h in histories
    ]
    ends = [f"{model_title(h.network)} ended because: {h.stopped}." for h in histories if h.stopped]
    if len({h.stopped for h in histories}) == 1 and ends:
        ends = [f"All ended because: {histories[0].stopped}."]
    return PrintedTable(
        title="Training",
        columns=("Network", "Epochs", "Chosen epoch", "Validation AUC there", "Learning rate"),
        rows=tuple(rows),
        notes=("Chosen: the epoch with the best validation AUC.", *ends),
    )


def _chosen_auc(history: TrainingHistory) -> float:
    at = history.validation_auc[history.epoch == history.chosen_epoch]
    return float(at[0]) if at.size else float("nan")


def localisation_table(rows: Sequence[LocalisationRow], *, confidence: float = 0.95) -> PrintedTable:
    """Heatmaps against the phantoms' lesion masks."""
    groups, grids = any(row.group for row in rows), any(row.grid for row in rows)
    reasons = dict.fromkeys(f"{model_title(row.network)}: {row.reason}." for row in rows if row.reason)
    fineness = "Grid: cells of the heatmap over the square that the network sees; it shows no place finer than a cell."
    return PrintedTable(
        title="Do the heatmaps meet the lesions? Test phantoms, whose lesions are known",
        columns=(
            "Network",
            *(("Grid",) if grids else ()),
            *(("Images",) if not groups else ("Group", "Images")),
            "Empty heatmaps",
            "Share of the heatmap inside the lesion",
            "Share that an even heatmap would have",
            f"Strongest cell within {rows[0].tolerance} pixels of the lesion ({100 * confidence:g}% interval)",
            "Share of the cells that lie so",
        ),
        rows=tuple(_localisation_row(row, groups, grids, confidence) for row in rows),
        notes=(
            "Share: the heatmap's sum inside the mask over its whole sum, mean over the images whose heatmap is not "
            "empty (0 everywhere). Even heatmap: of the same strength all over the square that the network sees. "
            "Strongest cell: the pointing game, with the middle of the cell; an empty heatmap is a miss; Wilson's "
            "interval, images as independent. The share of a heatmap's cells that lie so, mean over the images, is "
            "what pointing at random would hit.",
            *((fineness,) if grids else ()),
            *reasons,
        ),
    )


def departures_table(departures: Sequence[Departure]) -> PrintedTable:
    """Where the protocol does otherwise than the paper."""
    return PrintedTable(
        title="Where this protocol departs from the paper",
        columns=("Setting", "Paper", "Here"),
        rows=tuple((d.setting, d.paper, d.here) for d in departures),
    )


def _cross_row(model: ModelResult, point: OperatingPoint) -> tuple[str, ...]:
    where = f"{point.chosen_on} ({'optimistic' if point.optimistic else 'frozen'})"
    if point.reason:
        return (model.name, where, *[NOT_AVAILABLE] * 5)
    counts = point.counts
    return (
        model.name,
        where,
        cutoff_text(point.cutoff, model.scale, above=next_above(point.cutoff, model.curve.cutoffs)),
        *(f"{n:,}" for n in (counts.tp, counts.fn, counts.tn, counts.fp)),
    )


def _localisation_row(row: LocalisationRow, groups: bool, grids: bool, confidence: float) -> tuple[str, ...]:
    grid = f"{row.grid[0]}×{row.grid[1]}" if row.grid else ""
    cells = [model_title(row.network), *([grid] if grids else []), *([row.group] if groups else [])]
    cells += [f"{row.images:,}", f"{row.empty:,}"]
    shares = (_percent(row.share_inside), _percent(row.share_expected))
    if not row.images or row.hits is None:
        return (*cells, *shares, NOT_AVAILABLE, NOT_AVAILABLE)
    hit = wilson(row.hits, row.images, confidence=confidence)
    rate = interval_text(100 * hit.estimate, 100 * hit.low, 100 * hit.high, 0)
    return (*cells, *shares, f"{row.hits}/{row.images}, {rate} %", _percent(row.hits_by_chance))


def _area(run: RunContent, name: str) -> str:
    found = next((m for m in run.models if m.model == name), None)
    return "not in this run" if found is None else interval_text(found.auc, found.low, found.high, 3)


def _percent(share: float) -> str:
    return f"{number_text(100 * share, 1)} %" if math.isfinite(share) else NOT_AVAILABLE


def _people(images: int, patients: int) -> str:
    return f"{images:,} image{'s' * (images != 1)}" + (
        f" of {patients:,} patient{'s' * (patients != 1)}" * bool(patients)
    )


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)" if whole else f"{part:,}"


def _standard_error(value: float) -> str:
    return f" (standard error {value:.4f})" if math.isfinite(value) else ""
