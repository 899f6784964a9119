"""The table of heatmaps against lesions: how fine they are, and what is undefined and why."""

import math

from microcalc.report import LocalisationRow
from microcalc.report.overview import localisation_table

REASON = "a grid of 1 × 1 cannot point"
FINE = LocalisationRow("xception", 12, 0.31, 0.07, 8, 0.222, grid=(3, 3))
SINGLE = LocalisationRow("inception_resnet_v2", 12, 0.07, 0.07, None, grid=(1, 1), reason=REASON)


def cells(*rows: LocalisationRow) -> list[dict[str, str]]:
    table = localisation_table(rows)
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def test_the_grid_stands_beside_each_network() -> None:
    assert [row["Grid"] for row in cells(FINE, SINGLE)] == ["3×3", "1×1"]
    assert any("no place finer than a cell" in note for note in localisation_table([FINE]).notes)


def test_one_cell_has_no_hits_but_a_reason() -> None:
    fine, single = cells(FINE, SINGLE)
    hit = next(name for name in fine if name.startswith("Strongest cell within 15 pixels of the lesion (95% interval)"))
    assert fine[hit].startswith("8/12")
    assert fine["Share of the cells that lie so"] == "22.2 %"
    assert single[hit] == single["Share of the cells that lie so"] == "n/a"
    assert "Inception-ResNet-v2: a grid of 1 × 1 cannot point." in localisation_table([FINE, SINGLE]).notes


def test_empty_heatmaps_are_counted_and_told() -> None:
    none_left = LocalisationRow("xception", 5, math.nan, math.nan, 0, empty=5, reason="all benign heatmaps are empty")
    fine, empty = cells(FINE, none_left)
    assert (fine["Empty heatmaps"], empty["Empty heatmaps"]) == ("0", "5")
    assert empty["Share of the heatmap inside the lesion"] == "n/a"
    notes = localisation_table([FINE, none_left]).notes
    assert "Xception: all benign heatmaps are empty." in notes
    assert "mean over the images whose heatmap is not empty" in notes[0]
    assert "an empty heatmap is a miss" in notes[0]


def test_an_unknown_grid_has_no_column() -> None:
    assert "Grid" not in cells(LocalisationRow("xception", 12, 0.31, 0.07, 8))[0]
