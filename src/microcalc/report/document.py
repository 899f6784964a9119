"""The report as one HTML file: self-contained, printable, without script and without network.

Puts content, tables and figures into the templates beside this module. Everything that comes from outside is escaped by
the template engine, and a content security policy in the page forbids scripts and addresses on top of that. The page
holds no date of its own: the same content gives the same bytes.
"""

import functools
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from microcalc import __version__
from microcalc.errors import InputError
from microcalc.report import overview
from microcalc.report.checklist import checklist
from microcalc.report.content import HeatmapPanel, ReportContent, ReportFigure, RunContent
from microcalc.report.departures import WHERE_THE_PAPER_IS_SILENT
from microcalc.report.figure_set import FigureSet, RunFigures, draw_figures, figure_png, save_figures
from microcalc.report.limits import limits_of
from microcalc.report.pictures import HeatmapView, bar_uri, data_uri, heatmap_views, picture_side
from microcalc.report.printed import PrintedTable
from microcalc.report.style import svg_bytes
from microcalc.report.tables import intervals_printed, table1_printed
from microcalc.report.words import cutoff_text, next_above
from microcalc.vocabulary import Split

__all__ = ["PAPER", "render_report", "write_report"]

PAPER = (
    "Kang D, Gweon HM, Eun NL, Youk JH, Kim JA, Son EJ. A convolutional deep learning model for improving mammographic "
    "breast-microcalcification diagnosis. Sci Rep 2021;11:23925. doi:10.1038/s41598-021-03516-0"
)
"""The study whose protocol this is."""

_INTERVAL = re.compile(r"\((?:[-−\d.]+–[-−\d.]+|\d+% CI)\)")
_CUT_OFF = re.compile(r"(?<=<td>)&gt; [-−\d.e]+(?=</td>)")

_SCREEN_SCALE = 1.3  # a figure of one column, 84 mm on paper, is this much larger on a screen
_PIXELS_PER_INCH = 96  # CSS


@dataclass(frozen=True)
class _Run:
    """One run as the template takes it."""

    anchor: str
    content: RunContent
    figures: RunFigures
    ensemble: str
    reached: str
    tables: tuple[PrintedTable, ...]
    cross: PrintedTable | None
    heatmaps: tuple[HeatmapView, ...]
    localisation: PrintedTable | None
    training: PrintedTable


@dataclass(frozen=True)
class _Entry:
    """A line of the table of contents."""

    anchor: str
    title: str
    below: tuple["_Entry", ...] = ()


def render_report(content: ReportContent, figures: FigureSet | None = None) -> str:
    """Make the page.

    Args:
        content: what to show; parts that are missing are left out.
        figures: from `draw_figures`; drawn here if not given.

    Returns:
        A whole HTML document without any reference to a file or an address.

    Raises:
        InputError: the content has no run, or a run has no model.
    """
    if not content.runs or not all(run.models for run in content.runs):
        raise InputError("a report needs at least one run, and every run at least one model with its scores")
    drawn = figures or draw_figures(content)
    side = picture_side(content.runs)
    runs = [_run(i, run, f, content, side) for i, (run, f) in enumerate(zip(content.runs, drawn.runs, strict=True), 1)]
    entries = _entries(content, runs)
    return (
        _environment(content.raster)
        .get_template("report.html.j2")
        .render(
            content=content,
            css=Markup(_style_sheet()),  # noqa: S704  (our own file)
            runs=runs,
            entries=entries,
            flow=drawn.flow,
            facts=overview.glance_facts(content),
            glance=overview.glance_table(content),
            networks=overview.networks_table(content.networks) if content.networks else None,
            departures=overview.departures_table(content.departures) if content.departures else None,
            silent=WHERE_THE_PAPER_IS_SILENT,
            limits=limits_of(content),
            checklist=checklist(_stard_anchors(content, runs)),
            anchors=_stard_anchors(content, runs),
            bar=bar_uri(),
            paper=PAPER,
            version=__version__,
        )
    )


def write_report(content: ReportContent, path: Path, *, figures_folder: Path | None = None) -> tuple[Path, ...]:
    """Write the page, and the figures as files beside it, each under a temporary name first.

    Args:
        content: what to show.
        path: of the HTML file.
        figures_folder: where the figures go as PNG and PDF; default ``figures`` beside the page.

    Returns:
        The page's path, then those of the figures.

    Raises:
        InputError: see `render_report`.
    """
    figures = draw_figures(content)
    page = render_report(content, figures)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = save_figures(figures, figures_folder or path.parent / "figures")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        temporary.write_text(page, encoding="utf-8", newline="\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return (path, *files)


def _confidence(run: RunContent) -> float:
    return 0.95 if run.table1 is None else run.table1.confidence


def _run(number: int, run: RunContent, figures: RunFigures, content: ReportContent, side: int) -> _Run:
    synthetic = content.synthetic is not None
    return _Run(
        anchor=f"run-{number}",
        content=run,
        figures=figures,
        ensemble=overview.ensemble_words(run),
        reached=overview.reached_words(run),
        tables=_tables(run),
        cross=overview.cross_table(run) if any(m.points for m in run.models) else None,
        heatmaps=heatmap_views(run, side=side, synthetic=synthetic),
        localisation=overview.localisation_table(run.localisation, confidence=_confidence(run))
        if run.localisation
        else None,
        training=overview.training_table(run.histories),
    )


def _tables(run: RunContent) -> tuple[PrintedTable, ...]:
    """Table 1 and the intervals beside it, the frozen cut-offs first: they are the ones to quote."""
    if run.table1 is None:
        return run.tables
    titles = {m.model: m.name for m in run.models}
    choices = sorted(run.table1.choices, key=lambda split: split == Split.TEST)
    scales = {m.model: m.scale for m in run.models}
    observed = {m.model: m.curve.cutoffs for m in run.models}
    first = [table1_printed(run.table1, chosen_on=c, titles=titles, scales=scales, observed=observed) for c in choices]
    beside = [intervals_printed(run.table1, chosen_on=c, titles=titles) for c in choices]
    return (*first, *beside, *run.tables)


def _entries(content: ReportContent, runs: Sequence[_Run]) -> tuple[_Entry, ...]:
    """The table of contents: only what is there."""
    of_cohort = content.cohort is not None and bool(content.cohort.characteristics)
    candidates = (
        (True, _Entry("glance", "At a glance")),
        (content.cohort is not None, _Entry("cohort", "Cohort",
         (_Entry("characteristics", "Characteristics"),) if of_cohort else ())),
        *((True, _Entry(run.anchor, f"Results: {run.content.title}", _below(run))) for run in runs),
        (bool(content.networks), _Entry("networks", "Networks")),
        (bool(content.protocol_yaml or content.departures), _Entry("protocol", "Protocol")),
        (bool(content.environment), _Entry("environment", "Environment")),
        (True, _Entry("limits", "Limits of what this report shows")),
        (True, _Entry("citing", "How to cite")),
        (True, _Entry("checklist", "STARD 2015: what is answered here")),
    )  # fmt: skip
    return tuple(entry for there, entry in candidates if there)


def _below(run: _Run) -> tuple[_Entry, ...]:
    candidates = (
        (bool(run.tables), "table1", "Table 1"),
        (True, "roc", "ROC curves"),
        (run.cross is not None, "cross", "Cross tabulation"),
        (run.figures.scores is not None, "scores", "Score distributions"),
        (bool(run.heatmaps), "heatmaps", "Heatmaps"),
        (run.localisation is not None, "localisation", "Heatmaps against lesions"),
        (run.figures.learning is not None, "learning", "Learning curves"),
        *((True, f"section-{i}", section.title) for i, section in enumerate(run.content.sections, 1)),
    )
    return tuple(_Entry(f"{run.anchor}-{name}", title) for there, name, title in candidates if there)


def _stard_anchors(content: ReportContent, runs: Sequence[_Run]) -> dict[str, str]:
    """From the checklist's names of sections to the anchors of this page, only for those that it holds."""
    there = {entry.anchor for top in _entries(content, runs) for entry in (top, *top.below)}
    wanted = {
        "cohort": "cohort",
        "characteristics": "characteristics",
        "protocol": "protocol",
        "results": runs[0].anchor,
        "cross-tabulation": f"{runs[0].anchor}-cross",
        "limits": "limits",
    }
    return {name: anchor for name, anchor in wanted.items() if anchor in there}


@functools.cache
def _environment(raster: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("microcalc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printed"] = _printed
    environment.filters["figure_uri"] = _png_uri if raster else _svg_uri
    environment.filters["rule"] = _rule
    environment.filters["pixels"] = _pixels
    environment.filters["finite"] = math.isfinite
    return environment


def _printed(table: PrintedTable) -> Markup:
    """A table as HTML; an interval or a cut-off is never broken over two lines, so cells break before the bracket."""
    html = _INTERVAL.sub(r'<span class="interval">\g<0></span>', table.to_html())
    return Markup(_CUT_OFF.sub(r'<span class="rule">\g<0></span>', html))  # noqa: S704  (PrintedTable escapes every cell)


def _rule(panel: HeatmapPanel, run: RunContent) -> str:
    """What a network calls malignant, such as ``probability > 0.057``."""
    observed = next((m.curve.cutoffs for m in run.models if m.model == panel.network), None)
    text = cutoff_text(panel.cutoff, above=next_above(panel.cutoff, observed))
    return f"probability {text}" if text.startswith(">") else text


def _png_uri(figure: ReportFigure) -> str:
    return data_uri(figure_png(figure), "image/png")


def _svg_uri(figure: ReportFigure) -> str:
    return data_uri(svg_bytes(figure.figure), "image/svg+xml")


def _pixels(figure: ReportFigure) -> tuple[int, int]:
    """Width and height on a screen, CSS pixels, so that the page does not jump while it loads."""
    width, height = (round(float(side) * _PIXELS_PER_INCH * _SCREEN_SCALE) for side in figure.figure.get_size_inches())
    return width, height


@functools.cache
def _style_sheet() -> str:
    return (resources.files("microcalc.report") / "templates" / "report.css").read_text(encoding="utf-8")
