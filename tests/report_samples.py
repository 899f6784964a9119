"""A small made-up report content for the tests of the report: two models, small pictures, hostile names."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from microcalc.predictions import ScoreTable
from microcalc.protocol import EvaluationSettings, Protocol
from microcalc.report import (
    CohortFlow,
    CohortSummary,
    Exclusion,
    FactGroup,
    HeatmapExample,
    HeatmapPanel,
    LocalisationRow,
    NetworkRow,
    Outcome,
    ReportContent,
    RunContent,
    SetCounts,
    SyntheticNotice,
    TrainingHistory,
    departures_from_paper,
    model_results,
)
from microcalc.stats import table1

EVIL = "<script>alert('x')</script>"
VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """What the tests ask of a page; raises nothing, remembers everything."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.unclosed: list[str] = []
        self.misnested: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.unclosed and self.unclosed[-1] == tag:
            self.unclosed.pop()
        else:
            self.misnested.append(tag)

    def handle_data(self, data: str) -> None:
        if self.unclosed[-1:] != ["style"]:
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [a[attribute] or "" for _, a in self.tags if attribute in a]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def scores(
    *models: str, images: int = 40, seed: int = 0, split: str = "test", labels: list[int] | None = None
) -> ScoreTable:
    random = np.random.default_rng(seed)
    y = np.array(labels if labels is not None else [i % 3 == 0 for i in range(images)], dtype=np.int64)
    table = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(len(y))], "patient_id": [f"p{i // 2}" for i in range(len(y))]}
    )
    values = np.clip(0.3 * y[:, None] + random.random((len(y), len(models))), 0, 1.3) / 1.3
    return ScoreTable(models, table.assign(lesion_id="", split=split), y, values)


def example(outcome: Outcome, *, side: int = 48, seed: int = 0, mask: bool = True) -> HeatmapExample:
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    blob = np.exp(-((rows - side * 0.2) ** 2 + (columns - side * 0.8) ** 2) / (2 * (side / 8) ** 2)).astype(np.float32)
    return HeatmapExample(
        outcome=outcome,
        image_id=f"img-{seed}-{EVIL}",
        label=int(outcome in (Outcome.TP, Outcome.FN)),
        probability=0.9 if outcome in (Outcome.TP, Outcome.FP) else 0.1,
        original=random.integers(0, 65535, (side, side)).astype(np.uint16),
        heatmap=blob / blob.max(),
        mask=blob > 0.5 if mask else None,
    )


def history(network: str = "xception", epochs: int = 6) -> TrainingHistory:
    epoch = np.arange(1, epochs + 1)
    return TrainingHistory(
        network, epoch, 1.0 / epoch, 1.2 / epoch, 0.9 - 0.3 / epoch, np.full(epochs, 1e-4), epochs, "patience was spent"
    )  # fmt: skip


def run(
    name: str = "lr 1e-4", *, heatmaps: bool = True, models: tuple[str, ...] = ("xception", "ensemble")
) -> RunContent:
    test, validation = scores(*models), scores(*models, seed=1, split="validation")
    table = table1(test, validation, run=name, settings=EvaluationSettings(bootstrap_replicates=100))
    examples = (example(Outcome.TP), example(Outcome.TP, seed=1), example(Outcome.FN), example(Outcome.TN))
    return RunContent(
        name=name,
        title=f"learning rate of {name}",
        models=model_results(test, table),
        table1=table,
        scores=test,
        ensemble_of=("xception",),
        histories=(history(),),
        heatmaps=(HeatmapPanel("xception", examples, 0.5, folder="heatmaps/"),) if heatmaps else (),
        localisation=(LocalisationRow("xception", 12, 0.31, 0.07, 8),),
    )


def content(*runs: RunContent, synthetic: bool = True) -> ReportContent:
    sets = (SetCounts("Training", 80, 41, 50, 30, "2007-01 to 2017-12"), SetCounts("Test", 40, 20, 26, 14))
    flow = CohortFlow(
        ("a folder", EVIL), 125, (Exclusion("bad-image", f"bad image {EVIL} $x$", 5),),
        SetCounts("Cohort", 120, 61, 76, 44), sets, "Split by date",
    )  # fmt: skip
    protocol = Protocol(name=EVIL, weights="none")
    return ReportContent(
        title=f"A study & {EVIL}",
        runs=runs or (run(),),
        subtitle=f"of {EVIL}",
        cohort=CohortSummary(flow, "Split by date.", (f"patient {EVIL} has two classes",)),
        synthetic=SyntheticNotice(0.953, 0.002, ("Seed: 0.",)) if synthetic else None,
        networks=(NetworkRow("xception", 71, 20_811_050, 79.4, 299, 32, "random"),),
        environment=(FactGroup("Software", (("Python", "3.12"), ("site", EVIL))),),
        protocol_yaml=protocol.to_yaml(),
        departures=departures_from_paper(protocol),
        limits=("A limit of this very study.",),
        command="microcalc study COHORT --out STUDY",
    )
