"""Printed tables of an evaluation say what was done, and no more than that."""

import dataclasses

import numpy as np
import pytest

from microcalc.predictions import ScoreTable
from microcalc.protocol import EvaluationSettings
from microcalc.report.evaluated.sections import printed_tables
from microcalc.report.evaluated.write import run_content, write_evaluation_tables
from microcalc.report.overview import cross_table
from microcalc.report.printed import PrintedTable
from microcalc.report.words import Names
from microcalc.stats import confusion
from microcalc.stats.evaluation import Evaluation, EvaluationPlan, evaluate_scores
from stats_reference import data_a, made_up

FAST = EvaluationSettings(bootstrap_replicates=100)
SIMPLE = EvaluationPlan(settings=FAST)


def evaluated(test: ScoreTable, validation: ScoreTable | None = None, **plan: object) -> Evaluation:
    return evaluate_scores(test, validation, run="r", plan=dataclasses.replace(SIMPLE, **plan))


def probabilities(seed: int, **keywords: int) -> ScoreTable:
    made = made_up(seed, images=120, patients=50, **keywords)
    return dataclasses.replace(made, scores=1 / (1 + np.exp(-made.scores)))


def notes(table: PrintedTable) -> str:
    return " ".join(table.notes)


def cells(table: PrintedTable, column: str) -> list[str]:
    return [row[table.columns.index(column)] for row in table.rows]


@pytest.fixture(scope="module")
def reference() -> Evaluation:
    return evaluated(data_a())


@pytest.fixture(scope="module")
def both_sets() -> Evaluation:
    return evaluated(probabilities(0), probabilities(1))


# ---- cut-offs --------------------------------------------------------------------------------------------------------


def test_every_printed_cut_off_gives_the_counts_beside_it(reference, both_sets):
    for e in (reference, both_sets):
        table = printed_tables(e, Names())["operating_points"][0]
        where = {Names().title(model): j for j, model in enumerate(e.test.models)}
        for row in table.rows:
            score = e.test.scores[:, where[row[0]]]
            cutoff = -np.inf if row[3] == "all" else float(row[3].removeprefix("> ").replace("−", "-"))
            counts = confusion(e.test.y_true, score, cutoff)
            assert tuple(map(int, row[4:8])) == (counts.tp, counts.fn, counts.tn, counts.fp), row


def test_the_reference_data_need_three_to_five_decimals(reference):
    table = printed_tables(reference, Names())["operating_points"][0]
    texts = cells(table, "Cut-off")
    assert {len(text.split(".")[1]) for text in texts} <= {3, 4, 5}
    assert "rounded up" in notes(table)


def test_table_1_and_the_cross_tabulation_print_the_same_cut_offs(tmp_path, reference):
    points = cells(printed_tables(reference, Names())["operating_points"][0], "Cut-off")[:6]
    assert cells(cross_table(run_content(reference, title="R")), "Cut-off") == points
    write_evaluation_tables([reference], tmp_path)
    lines = (tmp_path / "table1.md").read_text().splitlines()
    assert [line.split(" | ")[1] for line in lines if " | > " in line] == points


def test_cut_offs_near_one_half_are_told_apart():
    made = made_up(3, images=100, models=1)
    near = dataclasses.replace(made, scores=0.5 + made.scores * 1e-6)
    texts = cells(printed_tables(evaluated(near), Names())["operating_points"][0], "Cut-off")
    assert len(set(texts)) == 3


def test_codes_and_calls_are_whole_numbers():
    made = made_up(4, images=100, models=2)
    codes = np.clip(np.round(made.scores[:, 0]) + 3, 1, 5)
    calls = (made.scores[:, 1] > 0).astype(float)
    e = evaluated(dataclasses.replace(made, scores=np.column_stack([codes, calls])))
    texts = cells(printed_tables(e, Names())["operating_points"][0], "Cut-off")
    assert set(texts) <= {"all", "> 0", "> 1", "> 2", "> 3", "> 4", "> 5"}
