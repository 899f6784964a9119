"""Overlay, panel and sheet: red is strong, the mammogram shines through, pixels stay pixels."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from microcalc.errors import ImageError
from microcalc.report import HeatmapPanel, Outcome, caption_words, overlay, panel_png
from microcalc.report.panels import (
    colour_bar,
    compose_sheet,
    display_grey,
    examples_of,
    heatmap_colours,
    heatmap_words,
)
from microcalc.report.pictures import MOST_EXAMPLES, heatmap_views, picture_side
from report_samples import content, example, run

FLAT = np.tile(np.linspace(10_000, 50_000, 64).astype(np.uint16), (64, 1))


def heat(value: float) -> np.ndarray:
    return np.full((64, 64), value, np.float32)


def read(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_strong_is_red_and_weak_is_blue() -> None:
    strong = overlay(FLAT, heat(1.0), contour=False).astype(int)
    weak = overlay(FLAT, heat(0.0), contour=False).astype(int)
    assert (strong[..., 0] > strong[..., 2]).all()
    assert (weak[..., 2] > weak[..., 0]).all()


def test_colours_walk_from_blue_through_green_to_red() -> None:
    colours = heatmap_colours().astype(int)
    assert colours.shape == (256, 3)
    assert [int(colours[i].argmax()) for i in (0, 110, 255)] == [2, 1, 0]
    assert np.abs(np.diff(colours, axis=0)).max() <= 6  # no step that would look like an edge
    with pytest.raises(ValueError, match="read-only"):
        heatmap_colours()[0] = 0


def test_the_mammogram_stays_visible_under_the_strongest_colour() -> None:
    picture = overlay(FLAT, heat(1.0), contour=False).astype(int).sum(axis=2)
    assert (np.diff(picture[32, 2:-2]) >= 0).all()
    assert picture[32, 60] - picture[32, 3] > 0.4 * 3 * 255


def test_the_contour_runs_where_the_heatmap_is_half() -> None:
    step = heat(0.0)
    step[20:40, 20:40] = 1.0
    black = (overlay(FLAT, step) == 0).all(axis=2)
    ring = np.zeros((64, 64), bool)
    ring[20:40, 20:40] = True
    ring[21:39, 21:39] = False
    assert np.array_equal(black, ring)


def test_the_mask_is_outlined_in_white_without_the_border_of_the_image() -> None:
    mask = np.zeros((64, 64), bool)
    mask[:10, :] = True
    white = (overlay(FLAT, heat(0.2), mask=mask) == 255).all(axis=2)
    assert np.flatnonzero(white.any(axis=1)).tolist() == [9]


def test_display_uses_the_whole_range_and_a_flat_image_is_grey() -> None:
    assert display_grey(FLAT).min() == 0
    assert display_grey(FLAT).max() == 255
    assert (display_grey(np.full((8, 8), 7, np.uint16)) == 128).all()


@pytest.mark.parametrize(
    ("heatmap", "message"),
    [
        (heat(1.2), "between 0 and 1; it spans 1.2 to 1.2"),
        (heat(np.nan), "between 0 and 1"),
        (heat(0)[:5], "of one size"),
    ],
)
def test_a_heatmap_of_another_range_or_size_is_refused(heatmap: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        overlay(FLAT, heatmap)


def test_the_panel_keeps_the_pixels_one_to_one() -> None:
    picture = np.asarray(read(panel_png(FLAT, heat(0.3), caption="a caption")))
    assert np.array_equal(picture[:64, :64, 0], display_grey(FLAT))
    assert np.array_equal(picture[:64, 72:136], overlay(FLAT, heat(0.3)))


def test_a_long_caption_is_broken_and_never_cut() -> None:
    short, long = (read(panel_png(FLAT, heat(0.3), caption="malignant " * n)) for n in (1, 12))
    assert long.width == short.width
    assert long.height > short.height + 100


def test_the_panel_is_the_same_twice() -> None:
    assert panel_png(FLAT, heat(0.3), caption="x") == panel_png(FLAT, heat(0.3), caption="x")


def test_the_colour_bar_has_red_on_top() -> None:
    bar = colour_bar(50, 4).astype(int)
    assert bar.shape == (50, 4, 3)
    assert bar[0, 0, 0] > bar[0, 0, 2]
    assert bar[-1, 0, 2] > bar[-1, 0, 0]


def test_a_sheet_holds_a_row_for_each_outcome_even_without_image() -> None:
    panel = HeatmapPanel("xception", (example(Outcome.TP), example(Outcome.TN)))
    empty = HeatmapPanel("xception", ())
    assert compose_sheet(panel).image.height > compose_sheet(empty).image.height > 200
    assert (np.asarray(compose_sheet(empty).image.convert("L")) < 100).any()


def test_two_examples_stand_beside_each_other_and_a_third_below() -> None:
    sizes = {n: compose_sheet(HeatmapPanel("x", tuple(example(Outcome.TP, seed=i) for i in range(n)))).image.size
             for n in (1, 2, 3)}  # fmt: skip
    assert sizes[2][0] > 1.9 * sizes[1][0] - 60
    assert sizes[3][0] == sizes[2][0]
    assert sizes[3][1] > sizes[2][1]


def test_a_sheet_of_full_size_has_at_least_300_dpi() -> None:
    big = HeatmapPanel("x", (example(Outcome.TP, side=512),))
    wide = HeatmapPanel("x", (example(Outcome.TP, side=512), example(Outcome.TP, side=512, seed=1)))
    assert compose_sheet(big).dpi >= 300
    assert compose_sheet(wide).dpi >= 300


def test_a_sheet_is_the_same_twice_and_has_no_date() -> None:
    panel = HeatmapPanel("xception", (example(Outcome.FN),))
    first, second = compose_sheet(panel), compose_sheet(panel)
    assert first.png() == second.png()
    assert first.pdf() == second.pdf()
    assert b"Date" not in first.pdf()


def test_words_tell_class_call_and_place() -> None:
    one = example(Outcome.FN)
    assert caption_words(one) == (
        "Malignant (histopathology), called benign, probability of malignancy 0.10; heatmap for malignant."
    )
    assert heatmap_words(one).startswith("It is strongest in the upper right; ")
    assert heatmap_words(dataclasses.replace(one, mask=None)) == "It is strongest in the upper right."
    dark = dataclasses.replace(one, heatmap=np.zeros_like(one.heatmap))
    assert heatmap_words(dark) == "It is 0 everywhere and shows no place."
    assert caption_words(dark).endswith("; heatmap for malignant, empty (0 everywhere).")


def test_a_sheet_says_below_the_picture_that_a_heatmap_is_empty() -> None:
    lit = example(Outcome.TP, side=384, mask=False)
    dark = dataclasses.replace(lit, heatmap=np.zeros_like(lit.heatmap))
    below = slice(48 + 384, 48 + 384 + 36)  # title, picture, a line of text
    first, second = (np.asarray(compose_sheet(HeatmapPanel("x", (e,))).image)[below] for e in (lit, dark))
    assert (first != second).any()


def test_a_sheet_says_below_the_heatmap_which_class_it_explains() -> None:
    """What was called benign is explained for benign: red there does not speak for malignancy."""
    shown = example(Outcome.TP, side=384, mask=False)
    below = slice(48 + 384, 48 + 384 + 36)
    sheets = [
        np.asarray(compose_sheet(HeatmapPanel("x", (dataclasses.replace(shown, explained=label),))).image)[below]
        for label in (0, 1)
    ]
    assert (sheets[0] != sheets[1]).any()


def test_words_tell_the_grid_and_that_one_cell_shows_no_place() -> None:
    coarse, single = (dataclasses.replace(example(Outcome.TP), grid=grid) for grid in ((2, 2), (1, 1)))
    assert caption_words(coarse).endswith("; heatmap for malignant, grid of 2 × 2.")
    assert caption_words(single).endswith("; heatmap for malignant, grid of 1 × 1 (one cell: shows no place).")
    assert heatmap_words(single) == "It is one cell, equally strong all over, and shows no place."
    plain, told = (compose_sheet(HeatmapPanel("x", (e,))).png() for e in (example(Outcome.TP), single))
    assert plain != told


def test_examples_are_found_by_outcome_in_their_order() -> None:
    panel = HeatmapPanel("x", tuple(example(o, seed=i) for i, o in enumerate((Outcome.TP, Outcome.FP, Outcome.TP))))
    assert [e.image_id[:5] for e in examples_of(panel, Outcome.TP)] == ["img-0", "img-2"]


def test_the_page_makes_pictures_smaller_rather_than_itself_huge() -> None:
    def runs(networks: int, examples: int) -> list:
        panel = HeatmapPanel("x", tuple(example(o, side=8, seed=i) for o in Outcome for i in range(examples)))
        return [dataclasses.replace(run(), heatmaps=(panel,) * networks)]

    assert picture_side(runs(1, 2)) == 512
    assert picture_side(runs(5, 2)) == 512
    assert picture_side(runs(5, 50)) == picture_side(runs(5, MOST_EXAMPLES)) < 512


def test_a_view_has_all_four_outcomes_and_pictures_of_the_asked_size() -> None:
    view = heatmap_views(content().runs[0], side=24, synthetic=True)[0]
    assert [o.outcome for o in view.outcomes] == list(Outcome)
    assert [len(o.pairs) for o in view.outcomes] == [2, 1, 1, 0]
    assert view.outcomes[0].pairs[0].original.startswith("data:image/jpeg;base64,")
