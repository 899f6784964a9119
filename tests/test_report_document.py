"""The page: self-contained, valid where it counts, nothing that people bring is executed, all edges answered."""

import dataclasses
import hashlib
import itertools
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from microcalc import RESEARCH_USE
from microcalc.errors import InputError
from microcalc.report import (
    ReportContent,
    RunContent,
    Section,
    draw_figures,
    model_results,
    render_report,
    write_report,
)
from microcalc.report.checklist import STARD_2015, checklist
from microcalc.report.printed import PrintedTable
from microcalc.stats import table1
from report_samples import EVIL, Page, content, example, history, run, scores


@pytest.fixture(scope="module")
def text() -> str:
    return render_report(content(run("lr 1e-4"), run("lr 1e-5", models=("xception", "densenet201", "ensemble"))))


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def plain(models: tuple[str, ...] = ("a", "b"), **changes: object) -> ReportContent:
    test = scores(*models)
    table = table1(test)
    return ReportContent("T", (RunContent("r", "R", model_results(test, table), table1=table),), **changes)


# ---- the file ----------------------------------------------------------------------------------------------


def test_nothing_is_fetched_from_anywhere(page: Page) -> None:
    addresses = page.values("src") + page.values("href")
    assert addresses
    assert all(a.startswith(("data:image/", "#")) for a in addresses)
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("iframe")


def test_style_sheet_and_pictures_name_no_address(text: str) -> None:
    style = text.split("<style>")[1].split("</style>", maxsplit=1)[0]
    assert "url(" not in style
    assert "@import" not in style
    assert "http" not in style


def test_the_page_forbids_scripts_and_addresses_itself(page: Page) -> None:
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in str(policy)
    assert "script" not in str(policy)


def test_tags_are_closed_in_order(page: Page) -> None:
    assert page.misnested == []
    assert page.unclosed == []


def test_ids_are_unique_and_every_anchor_leads_somewhere(page: Page) -> None:
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    targets = {a[1:] for a in page.values("href")}
    assert targets
    assert targets <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)


def test_every_picture_says_what_it_shows(page: Page) -> None:
    pictures = page.all("img")
    assert len(pictures) > 10
    assert all(str(p.get("alt")).strip() for p in pictures)


def test_every_head_of_a_table_says_what_it_heads(page: Page) -> None:
    heads = page.all("th")
    assert heads
    assert {h.get("scope") for h in heads} <= {"col", "row", "rowgroup"}


def test_the_language_and_the_landmarks_are_there(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1


def test_headings_do_not_skip_a_level(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_what_people_bring_is_shown_and_not_executed(text: str, page: Page) -> None:
    assert "<script" not in text
    assert page.text.count(EVIL) >= 7  # title, source, reason, warning, environment, protocol twice
    assert any(EVIL in (p.get("alt") or "") for p in page.all("img"))


def test_the_same_content_gives_the_same_bytes(text: str) -> None:
    again = render_report(content(run("lr 1e-4"), run("lr 1e-5", models=("xception", "densenet201", "ensemble"))))
    assert again == text


def test_another_process_makes_the_same_bytes() -> None:
    code = textwrap.dedent("""
        import hashlib, sys
        sys.path.insert(0, "tests")
        from report_samples import content, run
        from microcalc.report import render_report
        print(hashlib.sha256(render_report(content(run(heatmaps=False))).encode()).hexdigest())
    """)
    command, where = [sys.executable, "-c", code], Path(__file__).parent.parent
    other = subprocess.run(command, cwd=where, env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True)
    here = hashlib.sha256(render_report(content(run(heatmaps=False))).encode()).hexdigest()
    assert other.stdout.strip() == here


# ---- what it says ------------------------------------------------------------------------------------------


def test_every_printed_page_bears_the_research_use_line(page: Page) -> None:
    assert len([a for a in page.values("class") if a.startswith("running")]) == 2
    assert page.text.count(RESEARCH_USE) >= 4


def test_phantoms_are_announced_with_the_best_possible_auc(page: Page) -> None:
    assert "SYNTHETIC PHANTOMS" in page.text
    assert "Best possible AUC: 0.953" in page.text
    assert "Best possible on these phantoms" in page.text
    assert "their ensemble" not in page.text.split("Reached here:")[0]


def test_a_real_cohort_is_not_called_synthetic() -> None:
    page = Page(render_report(content(run(heatmaps=False), synthetic=False)))
    assert "SYNTHETIC" not in page.text.upper()
    assert "histopathology are included" in page.text


def test_both_kinds_of_cut_off_are_printed_the_frozen_first(page: Page) -> None:
    frozen = page.text.index("cut-offs chosen on the validation set and frozen")
    assert frozen < page.text.index("cut-offs chosen on the test set itself")


def test_an_incomplete_ensemble_names_its_members(page: Page) -> None:
    assert "mean of the probabilities of 1 network: Xception. The paper's has 5." in page.text


def test_a_missing_outcome_is_said(page: Page) -> None:
    assert "No false positive at this cut-off." in page.text


def test_heatmaps_are_told_in_words(page: Page) -> None:
    words = [p["alt"] or "" for p in page.all("img")]
    assert any("strongest in the upper right" in w and "inside the lesion's outline" in w for w in words)
    assert "Malignant (phantom), called malignant, probability of malignancy 0.90; heatmap for malignant." in page.text


def test_the_protocol_is_collapsed_on_screen_and_printed_on_paper(text: str) -> None:
    assert text.count("weights: none") == 2
    assert "<details>" in text
    assert 'class="paper-only"' in text


def test_departures_limits_and_citation_are_there(page: Page) -> None:
    assert "Where this protocol departs from the paper" in page.text
    assert "A limit of this very study." in page.text
    assert "doi:10.1038/s41598-021-03516-0" in page.text


def test_the_pointing_game_is_printed_with_its_interval(page: Page) -> None:
    assert "8/12, 67 (39–86) %" in page.text


# ---- edges -------------------------------------------------------------------------------------------------


def test_title_and_runs_are_enough() -> None:
    page = Page(render_report(plain()))
    ids = set(page.values("id"))
    assert {"glance", "run-1", "limits", "checklist", "citing"} <= ids
    assert not {"cohort", "networks", "protocol", "environment", "run-1-heatmaps", "synthetic"} & ids
    assert {a[1:] for a in page.values("href")} <= ids


def test_an_undefined_auc_is_shown_with_its_reason() -> None:
    test = scores("a", labels=[0] * 12)
    table = table1(test)
    text = Page(
        render_report(ReportContent("T", (RunContent("r", "R", model_results(test, table), table1=table),)))
    ).text
    assert "Undefined for a: an AUC needs both classes; 0 malignant and 12 benign images came." in text
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)


def test_no_run_and_no_model_are_refused() -> None:
    with pytest.raises(InputError, match="needs at least one run"):
        render_report(ReportContent("T", ()))
    with pytest.raises(InputError, match="every run at least one model"):
        render_report(ReportContent("T", (RunContent("r", "R", ()),)))


def test_a_cohort_without_dates_patients_or_exclusions_is_shown() -> None:
    full = content(run(heatmaps=False))
    assert full.cohort is not None
    counts = dataclasses.replace(full.cohort.flow.included, patients=0, dates="")
    flow = dataclasses.replace(full.cohort.flow, exclusions=(), included=counts, sets=(), sources=())
    page = Page(
        render_report(dataclasses.replace(full, cohort=dataclasses.replace(full.cohort, flow=flow, warnings=())))
    )
    assert "No image was left out." in page.text
    assert "not known" in page.text
    assert "not stated" in page.text


def test_further_sections_bring_their_tables_and_figures() -> None:
    made = draw_figures(plain()).runs[0].roc
    figure = dataclasses.replace(made, name="further", alt="A further figure.")
    table = PrintedTable("Subgroups", ("View", "AUC"), (("CC", "0.8"),))
    section = Section("Subgroups by view", ("In words.",), (table,), (figure,), ("A note.",))
    base = plain()
    whole = dataclasses.replace(base, runs=(dataclasses.replace(base.runs[0], sections=(section,)),))
    text = render_report(whole)
    page = Page(text)
    assert '<p class="intro">In words.</p>' in text
    assert re.search(r"[^}]*\.intro\b[^}]*\{ break-after: avoid; \}", text)  # in print it stays with what it introduces
    assert "run-1-section-1" in page.values("id")
    assert "A further figure." in page.values("alt")
    assert "In words." in page.text


def test_many_heatmaps_are_cut_and_counted() -> None:
    one = run()
    panel = dataclasses.replace(one.heatmaps[0], examples=tuple(example(o.outcome, seed=i, side=24)
                                for o in one.heatmaps[0].examples[:1] for i in range(7)))  # fmt: skip
    page = Page(render_report(plain(synthetic=None)))
    assert "more examples" not in page.text
    page = Page(render_report(content(dataclasses.replace(one, heatmaps=(panel,)))))
    assert "3 more examples are not shown here." in page.text


def test_a_run_without_ensemble_says_so() -> None:
    alone = dataclasses.replace(run(models=("xception",), heatmaps=False), ensemble_of=(), histories=(history(),))
    assert "There is no ensemble in this run." in Page(render_report(content(alone))).text


# ---- writing -----------------------------------------------------------------------------------------------


def test_writing_leaves_page_and_figures_and_nothing_half(tmp_path: Path) -> None:
    paths = write_report(content(), tmp_path / "study" / "report.html")
    assert paths[0].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert all(p.is_file() and p.stat().st_size > 500 for p in paths)
    assert {p.suffix for p in paths[1:]} == {".png", ".pdf"}
    there = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert there == set(paths)


def test_a_failed_writing_leaves_the_earlier_page(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("earlier")
    with pytest.raises(InputError):
        write_report(ReportContent("T", ()), path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_the_template_files_come_with_the_package() -> None:
    folder = Path(sys.modules["microcalc.report"].__file__ or "").parent / "templates"
    assert {"report.html.j2", "report.css"} <= {p.name for p in folder.iterdir()}


# ---- checklist ---------------------------------------------------------------------------------------------


def test_the_checklist_has_all_items_of_stard() -> None:
    numbers = [item.number.rstrip("ab") for item in STARD_2015]
    assert sorted(set(numbers), key=int) == [str(i) for i in range(1, 31)]
    assert len(STARD_2015) == 34


def test_an_item_is_answered_only_where_its_section_is_there() -> None:
    answered = {row.item.number for row in checklist({"cohort"}) if row.answered}
    assert answered == {"6", "8", "16", "19"}
    assert not any(row.answered for row in checklist(set()))
