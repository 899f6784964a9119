"""The prevalence that a reader has chosen: for every reading, not for one."""

import re
from pathlib import Path

from playwright.sync_api import Route

from page_browser import Visitor, chromium, served, visiting
from reader_room import StandIn
from services import until
from test_page_story import click, exam


def prevalence(visitor: Visitor) -> str:
    return visitor.page.get_by_label("Prevalence of malignancy").input_value()


def test_the_chosen_prevalence_stays_for_the_next_square_and_exam(tmp_path: Path):
    with chromium() as browser, served(tmp_path, reader=StandIn()) as room, visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token().upload(*exam())
        visitor.open_exam("P1")
        for name in ("R CC", "R MLO"):
            click(visitor, name, 0.7, 0.5)
            square = page.get_by_role("button", name=re.compile(f"Square . on {name}"))
            square.wait_for()
            visitor.press("r")
            square.and_(page.get_by_role("button", name=re.compile("read 0"))).wait_for()
        page.get_by_label("Prevalence of malignancy").fill("7")
        page.get_by_label("Prevalence of malignancy").press("Enter")
        page.get_by_role("row", name="PPV").get_by_text("7 %", exact=True).wait_for()
        page.get_by_role("button", name="Square A on R CC").click()
        assert prevalence(visitor) == "7"
        page.get_by_role("button", name="Read again").click()
        page.get_by_role("button", name="Read again").wait_for()
        assert prevalence(visitor) == "7"
        page.get_by_role("link", name="Back to the worklist").click()
        visitor.open_exam("P1")
        page.get_by_role("button", name="Square A on R CC").click()
        assert prevalence(visitor) == "7"


def test_what_is_being_typed_is_not_drawn_over(tmp_path: Path):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with chromium() as browser, served(tmp_path, reader=StandIn()) as room, visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token().upload(*exam())
        page.route("**/heatmaps", hold)
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.saved()
        visitor.press("r")
        page.get_by_label("Prevalence of malignancy").select_text()
        until(lambda: bool(held) or page.wait_for_timeout(20), seconds=10, what="the heatmaps to be asked for")
        held[0].continue_()
        page.wait_for_timeout(500)
        page.keyboard.type("7")
        assert prevalence(visitor) == "7"
        page.get_by_label("Prevalence of malignancy").press("Enter")
        page.get_by_role("row", name="PPV").get_by_text("7 %", exact=True).wait_for()
        page.get_by_label("Prevalence of malignancy").press("Tab")
        assert prevalence(visitor) == "7"


def test_a_prevalence_that_is_asked_for_is_drawn_when_it_is_answered(tmp_path: Path):
    held: dict[str, Route] = {}
    with chromium() as browser, served(tmp_path, reader=StandIn()) as room, visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token().upload(*exam())
        page.route("**/heatmaps", lambda route: held.update(heatmaps=route))
        page.route("**/api/readings/*prevalence=*", lambda route: held.update(reading=route))
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.saved()
        visitor.press("r")
        page.get_by_label("Prevalence of malignancy").fill("7")
        page.get_by_label("Prevalence of malignancy").press("Enter")
        until(lambda: len(held) == 2 or page.wait_for_timeout(20), seconds=10, what="both to be asked for")
        with page.expect_response("**/heatmaps"):
            held["heatmaps"].continue_()
        page.wait_for_timeout(500)  # the page is drawn anew with the heatmap
        held["reading"].continue_()
        page.get_by_role("row", name="PPV").get_by_text("7 %", exact=True).wait_for()
        assert prevalence(visitor) == "7"


def test_a_reading_of_another_study_stays_as_it_was_made(tmp_path: Path):
    networks = StandIn()
    with chromium() as browser, served(tmp_path, reader=networks) as room, visiting(browser, room) as visitor:
        page = visitor.page
        visitor.expected += ("409",)
        visitor.by_token().upload(*exam())
        visitor.open_exam("P1")
        for name, identity in (("R CC", "s1"), ("R MLO", "s2")):
            networks.facts = {**networks.facts, "identity": identity}
            click(visitor, name, 0.7, 0.5)
            page.get_by_role("button", name=re.compile(f"Square . on {name}")).wait_for()
            visitor.press("r")
            page.get_by_role("button", name=re.compile(f"Square . on {name}, read")).wait_for()
        page.get_by_label("Prevalence of malignancy").fill("7")
        page.get_by_label("Prevalence of malignancy").press("Enter")
        page.get_by_role("row", name="PPV").get_by_text("7 %", exact=True).wait_for()
        page.get_by_role("link", name="Back to the worklist").click()
        visitor.open_exam("P1")
        for name, percent in (("R CC", "30"), ("R MLO", "7")):
            page.get_by_role("button", name=re.compile(f"Square . on {name}, read")).click()
            assert prevalence(visitor) == percent
