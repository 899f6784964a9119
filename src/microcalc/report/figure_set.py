"""Every figure of a report: which there are, what they are called, what is said under and instead of them, their files.

How each is drawn lives in `figures`, `training_curves`, `flow` and `panels`. File names are fixed, so that a manuscript
can point at them.
"""

import functools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from microcalc.report.content import HeatmapPanel, ReportContent, ReportFigure, RunContent
from microcalc.report.figures import (
    auc_words,
    band_words,
    main_model,
    roc_band_figure,
    roc_bands_figure,
    roc_figure,
    undefined_words,
)
from microcalc.report.flow import flow_alt_text, flow_figure
from microcalc.report.panels import compose_sheet
from microcalc.report.score_figures import scores_figure
from microcalc.report.style import mark, pdf_bytes, png_bytes
from microcalc.report.training_curves import learning_curves_figure
from microcalc.report.words import model_title

__all__ = ["FigureSet", "HeatmapSheet", "RunFigures", "draw_figures", "figure_png", "save_figures", "slug"]

SYNTHETIC_MARK = "synthetic phantoms"


@dataclass(frozen=True)
class HeatmapSheet:
    """The heatmaps of one network as a file; the page shows them picture by picture instead."""

    name: str
    panel: HeatmapPanel
    mark: str = ""


@dataclass(frozen=True)
class RunFigures:
    """The figures of one run; None for what the run does not hold."""

    roc: ReportFigure
    band: ReportFigure | None = None
    bands: ReportFigure | None = None
    scores: ReportFigure | None = None
    learning: ReportFigure | None = None
    sheets: tuple[HeatmapSheet, ...] = ()
    further: tuple[ReportFigure, ...] = ()  # of the run's sections


@dataclass(frozen=True)
class FigureSet:
    """The figures of a report, runs in the order of the content."""

    runs: tuple[RunFigures, ...]
    flow: ReportFigure | None = None

    def drawn(self) -> Iterator[ReportFigure]:
        """All figures that were drawn, in the order of the page."""
        if self.flow is not None:
            yield self.flow
        for run in self.runs:
            yield from (f for f in (run.roc, run.band, run.bands, run.scores, run.learning) if f is not None)
            yield from run.further


def slug(text: str) -> str:
    """A text as part of a file name: letters, digits, dot and minus, everything else a minus."""
    return re.sub(r"[^0-9A-Za-z.-]+", "-", text).strip("-.") or "run"


def draw_figures(content: ReportContent) -> FigureSet:
    """Draw every figure that the content has numbers for; synthetic ones are marked so."""
    names = _distinct([slug(run.name) for run in content.runs])
    sheet_mark = SYNTHETIC_MARK if content.synthetic is not None else ""
    runs = tuple(_run_figures(run, name, sheet_mark) for run, name in zip(content.runs, names, strict=True))
    flow = None
    if content.cohort is not None:
        numbers = content.cohort.flow
        caption = "Images and patients from the sources to the sets. Counts are of images unless they say patients."
        flow = ReportFigure("cohort_flow", "Flow diagram.", caption, flow_alt_text(numbers), flow_figure(numbers))
    figures = FigureSet(runs, flow)
    for drawn in figures.drawn() if sheet_mark else ():
        mark(drawn.figure, sheet_mark)
    return figures


@functools.lru_cache(maxsize=32)
def figure_png(figure: ReportFigure) -> bytes:
    """The figure as PNG; what was drawn for the page is not drawn again for the file."""
    return png_bytes(figure.figure)


def save_figures(figures: FigureSet, folder: Path) -> tuple[Path, ...]:
    """Write every figure as PNG and as PDF, each under a temporary name first; the same content gives the same bytes.

    Args:
        figures: from `draw_figures`.
        folder: made if it is not there.

    Returns:
        The paths, in the order of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sheets = [sheet for run in figures.runs for sheet in run.sheets]
    paths = []
    with ThreadPoolExecutor(max_workers=2) as pool:  # packing pictures leaves the interpreter free to draw lines
        packed = pool.map(partial(_save_sheet, folder=folder), sheets)
        for drawn in figures.drawn():
            paths.append(_write(folder / f"{drawn.name}.png", figure_png(drawn)))
            paths.append(_write(folder / f"{drawn.name}.pdf", pdf_bytes(drawn.figure)))
        return (*paths, *(path for pair in packed for path in pair))


def _save_sheet(sheet: HeatmapSheet, *, folder: Path) -> tuple[Path, Path]:
    composed = compose_sheet(sheet.panel, mark=sheet.mark)
    return (
        _write(folder / f"{sheet.name}.png", composed.png()),
        _write(folder / f"{sheet.name}.pdf", composed.pdf()),
    )


def _run_figures(run: RunContent, name: str, sheet_mark: str) -> RunFigures:
    makers: dict[str, Callable[[RunContent, str], ReportFigure | None]] = {
        "band": _band,
        "bands": _bands,
        "scores": _scores,
        "learning": _learning,
    }
    made = {kind: make(run, name) for kind, make in makers.items()}
    networks = _distinct([slug(panel.network) for panel in run.heatmaps])
    sheets = tuple(
        HeatmapSheet(f"heatmaps_{name}_{network}", panel, sheet_mark)
        for network, panel in zip(networks, run.heatmaps, strict=True)
    )
    further = tuple(figure for section in run.sections for figure in section.figures)
    return RunFigures(roc=_roc(run, name), sheets=sheets, further=further, **made)


def _roc(run: RunContent, name: str) -> ReportFigure:
    count = len(run.models)
    curves = "ROC curve of the model" if count == 1 else f"ROC curves of {count} models"
    caption = f"{_capital(run.title)}: {curves} on the test set. {_EMPIRICAL}"
    if any(not p.reason for m in run.models for p in m.points):
        caption += " Markers: operating points, filled where the cut-off was frozen before the test set was seen."
    areas = "; ".join(f"{m.name} {auc_words(m)}" for m in run.models)
    alt = f"ROC curves on the test set, {run.title}. AUC with interval: {areas}."
    return ReportFigure(
        f"figure1a_roc_{name}", "Figure 1a.", _joined(caption, undefined_words(run.models)), alt, roc_figure(run.models)
    )


_EMPIRICAL = "Empirical steps, not smoothed; slanting only where scores are tied."
"""What kind of ROC curve is drawn."""


def _band(run: RunContent, name: str) -> ReportFigure | None:
    result = main_model([m for m in run.models if m.band is not None] or run.models, run.main_model)
    if result.band is None:
        return None
    caption = f"{_capital(run.title)}: ROC curve of {result.name} with its {band_words(result.band)}. {_EMPIRICAL}"
    alt = f"ROC curve of {result.name} on the test set with its {band_words(result.band)}. AUC {auc_words(result)}."
    return ReportFigure(f"figure1b_band_{name}", "Figure 1b.", caption, alt, roc_band_figure(result))


def _bands(run: RunContent, name: str) -> ReportFigure | None:
    shown = [m for m in run.models if m.band is not None]
    if len(shown) < 2 or shown[0].band is None:
        return None
    caption = f"{_capital(run.title)}: the same for every model; {band_words(shown[0].band)}. Axes as in Figure 1b."
    areas = "; ".join(f"{m.name} {auc_words(m)}" for m in shown)
    alt = f"One small ROC plot with its band for each model. AUC with interval: {areas}."
    return ReportFigure(f"roc_bands_{name}", "Figure 1b, all models.", caption, alt, roc_bands_figure(shown))


def _scores(run: RunContent, name: str) -> ReportFigure | None:
    shown = [m for m in run.models if run.scores is not None and m.model in run.scores.models]
    if run.scores is None or not shown:
        return None
    caption = f"{_capital(run.title)}: scores of the test images, as shares of the benign and of the malignant images."
    alt = f"Histograms of the scores of benign and malignant test images for {', '.join(m.name for m in shown)}."
    return ReportFigure(f"scores_{name}", "Score distributions.", caption, alt, scores_figure(shown, run.scores))


def _learning(run: RunContent, name: str) -> ReportFigure | None:
    if not run.histories:
        return None
    caption = (
        f"{_capital(run.title)}: losses and validation AUC by epoch; the ring marks the epoch whose weights were kept."
    )
    rows = [
        f"{model_title(h.network)}, {len(h.epoch)} epochs"
        + (f", epoch {h.chosen_epoch} chosen" if h.chosen_epoch else "")
        for h in run.histories
    ]
    alt = f"Learning curves of {'; '.join(rows)}."
    return ReportFigure(
        f"learning_curves_{name}", "Learning curves.", caption, alt, learning_curves_figure(run.histories)
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _joined(*sentences: str) -> str:
    return " ".join(s for s in sentences if s)


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, later ones numbered where they would overwrite an earlier one (also where case does not count)."""
    taken: set[str] = set()
    out = []
    for name in names:
        candidate, number = name, 2
        while candidate.casefold() in taken:
            candidate, number = f"{name}-{number}", number + 1
        taken.add(candidate.casefold())
        out.append(candidate)
    return out


def _write(path: Path, content: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
