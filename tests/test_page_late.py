"""What the page does with things that come late, twice, from another window, or from a second finger."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from page_browser import Browser, chromium, served, visiting
from reader_room import StandIn, mammogram
from services import until
from test_page_agrees import Held, card, facts, waits
from test_page_sessions import sessions_end
from test_page_story import click, marks

HEAR = """window.heard = [];
new MutationObserver(() => window.heard.push(document.querySelector('#said').textContent))
  .observe(document.querySelector('#said'), { childList: true, characterData: true, subtree: true });"""
"""Note everything that the page says from now on."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def view(number: int = 1, *, study: int = 1) -> bytes:
    """R CC, or with another number R MLO, 0.1 mm."""
    name = {1: "CC", 2: "MLO"}[number]
    return mammogram(number, study=study, ImageLaterality="R", ViewPosition=name, ImagerPixelSpacing=[0.1, 0.1])


def test_after_a_log_in_the_open_page_has_the_servers_new_study(browser: Browser, tmp_path: Path):
    networks = StandIn(facts("pixels"))
    with served(tmp_path, reader=networks) as room, visiting(browser, room) as visitor:
        visitor.expected += ("401",)
        page = visitor.page
        visitor.by_token().upload(view())
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
        networks.facts = facts("mm", spacing_mm=0.07)
        sessions_end(room)
        page.get_by_role("radio", name="DCIS").check()
        dialog = page.get_by_role("dialog", name="Log in")
        dialog.wait_for()
        other = page.context.new_page()
        other.goto(room.token_url)
        other.get_by_role("heading", name="Worklist").wait_for()
        page.evaluate("window.dispatchEvent(new Event('focus'))")  # without a window there is no focus
        dialog.wait_for(state="detached")
        page.get_by_text("Placed 51.2 mm wide; this study reads 35.8 mm. Reading resizes it.").wait_for()
        visitor.saved()
        visitor.press("r")
        card(visitor).wait_for()
        assert [(round(mark["side"], 6), mark["pathology"]) for mark in marks(visitor)] == [(358.4, "dcis")]
        click(visitor, "R CC", 0.5, 0.4, modifiers=["Shift"])
        page.get_by_role("heading", name="Lesion B R CC").wait_for()
        assert [round(mark["side"], 6) for mark in marks(visitor)] == [358.4, 358.4]


def test_a_reading_that_ends_late_is_told_of_its_square_and_never_under_another_patient(
    browser: Browser, tmp_path: Path
):
    held = Held()
    with served(tmp_path, reader=StandIn()) as room, visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token().upload(view(), view(2), view(study=2))
        visitor.open_exam("P1")
        page.route("**/annotations/*/reading", held.hold, times=2)
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
        visitor.press("r")
        waits(visitor, held, "the square to be read")
        click(visitor, "R MLO", 0.5, 0.5)
        page.get_by_role("heading", name="Lesion B R MLO").wait_for()
        held[0].continue_()
        page.get_by_text(re.compile(r"^Square A on R CC: ensemble 0\.\d\d, not above the cut-off$")).wait_for()
        visitor.press("r")
        until(lambda: len(held) > 1 or page.wait_for_timeout(20), seconds=10, what="the other to be read")
        visitor.press("q")
        visitor.open_exam("P2")
        page.evaluate(HEAR)
        with page.expect_response("**/reading"):
            held[1].continue_()
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert [words for words in page.evaluate("window.heard") if "cut-off" in words] == []
