"""Figures: there, not blank, one column wide, the same bytes twice, and telling models apart."""

import dataclasses
import io
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from microcalc.report import draw_figures, model_results, save_figures
from microcalc.report.content import ModelResult
from microcalc.report.figure_set import slug
from microcalc.report.figures import (
    auc_words,
    main_model,
    roc_band_figure,
    roc_bands_figure,
    roc_figure,
    undefined_words,
)
from microcalc.report.score_figures import draw_scores, scores_figure
from microcalc.report.style import (
    COLUMN_MM,
    PNG_DPI,
    drawing,
    fitted,
    pdf_bytes,
    png_bytes,
    series_styles,
    svg_bytes,
    width_mm,
)
from microcalc.report.training_curves import learning_curves_figure, rate_words
from microcalc.stats import table1
from report_samples import content, history, run, scores


def results(*models: str, **keywords: object) -> tuple[ModelResult, ...]:
    test = scores(*models, **keywords)  # type: ignore[arg-type]
    return model_results(test, table1(test))


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png_bytes(figure, dpi=100))).convert("L"))


def ink(figure: Figure) -> float:
    return float((pixels(figure) < 200).mean())


def figure_width(figure: Figure) -> float:
    return float(figure.get_size_inches()[0]) * 25.4


# ---- drawing -----------------------------------------------------------------------------------------------


def test_every_figure_has_ink_and_is_one_column_wide() -> None:
    drawn = list(draw_figures(content(run("a"), run("b"))).drawn())
    assert len(drawn) == 1 + 2 * 5
    for figure in drawn:
        assert ink(figure.figure) > 0.005, figure.name
        assert figure_width(figure.figure) == pytest.approx(COLUMN_MM)


def test_no_line_runs_into_the_edge() -> None:
    for figure in draw_figures(content()).drawn():
        edge = pixels(figure.figure)
        assert edge[:, 0].min() > 200, figure.name
        assert edge[:, -1].min() > 200, figure.name


def test_the_curve_passes_through_the_corners_of_the_result() -> None:
    result = results("xception")[0]
    axes = roc_figure([result]).axes[0]
    drawn = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == len(result.curve.sensitivity)]
    corners = np.column_stack([result.curve.false_positive_rate, result.curve.sensitivity])
    assert any(np.array_equal(points, corners) for points in drawn)


def test_operating_points_are_hollow_where_they_saw_the_test_set() -> None:
    one = run(models=("xception",), heatmaps=False).models[0]
    axes = roc_figure([one]).axes[0]
    faces = {
        line.get_markerfacecolor(): line.get_xydata()[0] for line in axes.lines if line.get_marker() not in ("None", "")
    }
    optimistic = next(p for p in one.points if p.optimistic)
    assert faces["white"] == pytest.approx([1 - optimistic.counts.specificity, optimistic.counts.sensitivity])
    assert len(faces) == 2


def test_the_legend_holds_every_model_with_its_area() -> None:
    three = results("xception", "resnet101", "ensemble")
    said = [text.get_text() for axes in roc_figure(three).axes for text in axes.texts]
    for result in three:
        assert result.name in said
        assert auc_words(result) in said


def test_models_differ_in_grey_as_well_as_in_colour() -> None:
    models = [f"m{i}" for i in range(12)]
    styles = series_styles([*models, "ensemble"])
    assert len({(s.colour, s.dashes) for s in styles.values()}) == 13
    first = [styles[m] for m in models[:5]]
    assert len({s.dashes for s in first}) == len({s.marker for s in first}) == 5
    assert styles["ensemble"].width > styles["m0"].width


def test_a_million_corners_are_thinned_and_keep_their_ends() -> None:
    result = results("xception")[0]
    rate = np.linspace(0, 1, 100_000)
    long = dataclasses.replace(result.curve, false_positive_rate=rate, sensitivity=np.sqrt(rate))
    line = max(
        roc_figure([dataclasses.replace(result, curve=long)]).axes[0].lines, key=lambda one: len(one.get_xdata())
    )
    assert len(line.get_xdata()) <= 2_000
    assert line.get_xydata()[0].tolist() == [0, 0]
    assert line.get_xydata()[-1].tolist() == [1, 1]


def test_scores_beyond_probabilities_get_their_own_axis() -> None:
    test = scores("reader")
    wide = dataclasses.replace(test, scores=test.scores * 5 + 1)
    figure = scores_figure(model_results(wide, table1(wide)), wide)
    assert figure.axes[0].get_xlim() == (wide.scores.min(), wide.scores.max())
    constant = dataclasses.replace(test, scores=np.full_like(test.scores, 3.0))
    assert ink(scores_figure(model_results(constant, table1(constant)), constant)) > 0.005


def drawn_scores(score: list[float], scale: dict[float, str] | None = None, cutoff: float = 3.0) -> Axes:
    """Three benign and three malignant images in the axes of their figure."""
    test = scores("reader", labels=[0, 0, 0, 1, 1, 1] * 3)
    test = dataclasses.replace(test, scores=np.array(score * 3)[:, None])
    point = dataclasses.replace(model_results(test, table1(test))[0].points[0], cutoff=cutoff)
    axes = Figure().add_subplot()
    draw_scores(axes, test.y_true, test.scores[:, 0], [point], scale)
    return axes


def ticks(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.get_xticklabels()]


def test_categories_get_a_bar_each_as_far_from_each_other_with_their_words() -> None:
    scale = {2.0: "2", 3.0: "3", 4.1: "4A", 4.2: "4B", 5.0: "5"}
    axes = drawn_scores([2, 2, 4.1, 4.1, 4.2, 5], scale)
    assert ticks(axes) == ["2", "3", "4A", "4B", "5"]
    benign, malignant = (patch.get_data().values[::2] for patch in axes.patches)
    assert benign == pytest.approx([2 / 3, 0, 1 / 3, 0, 0])
    assert malignant == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3])
    assert np.diff(axes.get_xticks()) == pytest.approx(1)


@pytest.mark.parametrize(("cutoff", "at"), [(3.0, 1.5), (3.7, 1.5), (4.1, 2.5), (5.0, 4.5), (1.0, -0.5)])
def test_the_cut_off_stands_between_two_categories(cutoff: float, at: float) -> None:
    axes = drawn_scores([2, 3, 4.1, 4.1, 4.2, 5], cutoff=cutoff)
    assert axes.lines[0].get_xdata()[0] == at


def test_numbers_that_are_bi_rads_codes_get_its_names_and_others_stay_numbers() -> None:
    assert ticks(drawn_scores([2, 3, 4.1, 4.2, 4.3, 5])) == ["2", "3", "4A", "4B", "4C", "5"]
    assert ticks(drawn_scores([2, 3, 3, 4, 5, 5])) == ["2", "3", "4", "5"]
    assert ticks(drawn_scores([0, 0, 1, 1, 1, 1])) == ["0", "1"]
    assert ticks(drawn_scores([0.125, 0.25, 0.5, 1, 1, 1])) == ["0.125", "0.25", "0.5", "1"]


def test_a_dozen_long_labels_do_not_run_into_each_other() -> None:
    axes = drawn_scores([0.01 * i + 0.11 for i in range(6)])
    assert ticks(axes) == ["0.11", "0.13", "0.15"]


def test_histograms_are_shares_of_each_class() -> None:
    test = scores("xception")
    axes = scores_figure(results("xception"), test).axes[0]
    for patch in axes.patches:
        assert patch.get_data().values.sum() == pytest.approx(1)


# ---- long names ------------------------------------------------------------------------------------------------------

LONG = [f"Radiologist number {i} of the second reading session" for i in (0, 1)]
LATE = [f"A network whose name tells its fold at the very end, fold {i}" for i in (0, 1)]


def sides(figure: Figure, text: Text) -> tuple[float, float]:
    """Left and right side of a text, millimetres from the left edge of the figure."""
    figure.set_dpi(PNG_DPI)
    box = text.get_window_extent(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    return box.x0 / figure.dpi * 25.4, box.x1 / figure.dpi * 25.4


@pytest.mark.parametrize("names", [LONG, LATE])
def test_long_names_stop_before_the_area(names: list[str]) -> None:
    long = [dataclasses.replace(r, title=t) for r, t in zip(results("a", "b"), names, strict=True)]
    for figure in (roc_figure(long), roc_band_figure(long[0])):
        texts = [text for axes in figure.axes for text in axes.texts]
        called = [text for text in texts if "…" in text.get_text()]
        assert called
        areas = min(sides(figure, text)[0] for text in texts if " to " in text.get_text())
        assert all(sides(figure, text)[1] < areas for text in called)


@pytest.mark.parametrize("names", [LONG, LATE])
def test_long_titles_of_panels_neither_meet_nor_leave_the_figure(names: list[str]) -> None:
    long = [dataclasses.replace(r, title=t) for r, t in zip(results("a", "b"), names, strict=True)]
    for figure in (roc_bands_figure(long), scores_figure(long, scores("a", "b"))):
        first, second = (sides(figure, axes._left_title) for axes in figure.axes[:2])
        assert first[1] < second[0]
        assert second[1] < COLUMN_MM


def test_names_that_differ_late_lose_their_beginning_and_stay_apart() -> None:
    assert fitted(["short", "b"], 31.0) == ["short", "b"]
    assert [text[:13] for text in fitted(LONG, 45.0)] == ["Radiologist n", "Radiologist n"]
    assert [text[:9] for text in fitted(["short", *LONG], 27.0)] == ["short", "…number 0", "…number 1"]
    assert [text[-6:] for text in fitted(LATE, 31.0)] == ["fold 0", "fold 1"]
    assert all(width_mm(text) <= 31.0 for text in (*fitted(LONG, 31.0), *fitted(LATE, 31.0)))
    assert fitted(["x" * 60, "x" * 60 + "y"], 31.0)[0].endswith("x…")


def test_the_caption_says_what_kind_of_curve_it_is() -> None:
    captions = [figure.caption for figure in draw_figures(content()).drawn() if figure.title.startswith("Figure 1")]
    assert all("not smoothed" in caption for caption in captions if "same for every model" not in caption)


# ---- undefined ---------------------------------------------------------------------------------------------


def test_one_class_only_draws_no_curve_and_names_the_reason() -> None:
    one = results("xception", labels=[1] * 9)
    assert one[0].band is None
    assert auc_words(one[0]) == "undefined"
    assert (
        undefined_words(one)
        == "Undefined for Xception: an AUC needs both classes; 9 malignant and 0 benign images came."
    )
    assert ink(roc_figure(one)) > 0.005


def test_a_perfect_score_has_an_area_and_no_interval() -> None:
    test = scores("perfect")
    perfect = dataclasses.replace(test, scores=test.y_true[:, None].astype(float))
    result = model_results(perfect, table1(perfect))[0]
    assert auc_words(result) == "1.000 (no interval)"
    assert "perfectly" in undefined_words([result])


def test_names_with_dollars_and_hangul_are_drawn_as_they_are() -> None:
    titled = [
        dataclasses.replace(r, title=t) for r, t in zip(results("a", "b"), ("$x_2$ \\alpha", "서울"), strict=True)
    ]
    said = [text for axes in roc_figure(titled).axes for text in axes.texts]
    assert [t.get_text() for t in said if t.get_text() in ("$x_2$ \\alpha", "서울")] == ["$x_2$ \\alpha", "서울"]
    assert svg_bytes(roc_figure(titled))


def test_the_main_model_is_the_papers_then_the_ensemble() -> None:
    assert main_model(results("xception", "inception_resnet_v2", "ensemble")).model == "inception_resnet_v2"
    assert main_model(results("xception", "ensemble")).model == "ensemble"
    assert main_model(results("xception", "ensemble"), "xception").model == "xception"
    assert main_model(results("reader")).model == "reader"


def test_a_history_of_one_epoch_and_one_with_gaps_are_drawn() -> None:
    gaps = dataclasses.replace(
        history(), validation_auc=np.full(6, np.nan), train_loss=np.full(6, np.nan), chosen_epoch=0
    )
    assert ink(learning_curves_figure([history(epochs=1), gaps])) > 0.005


def test_a_changing_learning_rate_is_told_with_its_peak() -> None:
    assert rate_words(history()) == "0.0001"
    assert rate_words(dataclasses.replace(history(), learning_rate=np.array([4e-5, 5e-4]))) == "up to 0.0005"
    peak = dataclasses.replace(history(), learning_rate=np.array([4e-5, 4.8e-4]), peak_rate=5e-4)
    assert rate_words(peak) == "up to 0.0005"  # the peak lay within an epoch
    assert rate_words(dataclasses.replace(history(), learning_rate=np.array([]))) == ""


# ---- bytes and files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [svg_bytes, pdf_bytes, png_bytes])
def test_the_same_figure_gives_the_same_bytes(encode: object) -> None:
    first, second = (encode(roc_bands_figure(results("xception", "ensemble"))) for _ in range(2))  # type: ignore[operator]
    assert first == second


def test_the_users_settings_neither_matter_nor_change() -> None:
    before = svg_bytes(roc_band_figure(results("xception")[0]))
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.grid": True}):
        mine = dict(mpl.rcParams)
        assert svg_bytes(roc_band_figure(results("xception")[0])) == before
        assert dict(mpl.rcParams) == mine


def test_pyplot_keeps_no_figure_of_ours() -> None:
    import matplotlib.pyplot as plt  # noqa: PLC0415

    before = plt.get_fignums()
    draw_figures(content())
    assert plt.get_fignums() == before


def test_pdf_text_stays_text_and_svg_needs_no_font() -> None:
    figure = roc_figure(results("xception"))
    assert b"FontFile2" in pdf_bytes(figure)
    assert b"<text" not in svg_bytes(figure)
    assert b"<dc:date>" not in svg_bytes(figure)


def test_files_have_fixed_names_and_vector_pdfs(tmp_path: Path) -> None:
    paths = save_figures(draw_figures(content(run("lr 1e-4"))), tmp_path / "figures")
    names = {p.name for p in paths}
    assert {"cohort_flow.png", "figure1a_roc_lr-1e-4.pdf", "figure1b_band_lr-1e-4.png"} <= names
    assert {"roc_bands_lr-1e-4.pdf", "scores_lr-1e-4.pdf", "learning_curves_lr-1e-4.png"} <= names
    assert {"heatmaps_lr-1e-4_xception.png", "heatmaps_lr-1e-4_xception.pdf"} <= names
    assert sorted(tmp_path.joinpath("figures").iterdir()) == sorted(paths)
    for path in paths:
        start = path.read_bytes()[:8]
        assert start.startswith(b"%PDF" if path.suffix == ".pdf" else b"\x89PNG")
    roc = tmp_path / "figures" / "figure1a_roc_lr-1e-4.pdf"
    assert b"/Subtype /Image" not in roc.read_bytes()


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        short = dataclasses.replace(run(models=("xception",)), scores=None, histories=())
        save_figures(draw_figures(dataclasses.replace(content(short), cohort=None)), tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_runs_whose_names_look_alike_get_files_of_their_own() -> None:
    names = [f.name for f in draw_figures(content(run("A b"), run("a/b"), run("a:b"))).drawn()]
    assert len({n.casefold() for n in names}) == len(names)


def test_a_name_never_leaves_its_folder() -> None:
    assert slug("../../x y") == "x-y"
    assert slug("///") == "run"
    assert re.fullmatch(r"[0-9A-Za-z.-]+", slug("a\\b\0c"))


def test_synthetic_figures_are_marked() -> None:
    figures = draw_figures(content())
    assert all("synthetic phantoms" in [t.get_text() for t in f.figure.texts] for f in figures.drawn())
    assert figures.runs[0].sheets[0].mark == "synthetic phantoms"
    plain = draw_figures(content(run(heatmaps=False), synthetic=False))
    assert not any("synthetic" in t.get_text() for f in plain.drawn() for t in f.figure.texts)


@pytest.mark.parametrize("models", [("xception",), ("xception", "ensemble"), (*LONG, "ensemble")])
def test_the_mark_touches_no_other_words(models: tuple[str, ...]) -> None:
    for drawn in draw_figures(content(run(models=models))).drawn():
        texts = [t for t in drawn.figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        (mark,) = (t for t in texts if t.get_text() == "synthetic phantoms")
        box = mark.get_window_extent()
        assert not [t.get_text() for t in texts if t is not mark and t.get_window_extent().overlaps(box)], drawn.name


def test_the_style_is_put_back_after_an_error() -> None:
    size = mpl.rcParams["font.size"]
    with pytest.raises(ZeroDivisionError), drawing():
        raise ZeroDivisionError
    assert mpl.rcParams["font.size"] == size
