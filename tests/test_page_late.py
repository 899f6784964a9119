"""What the page does with things that come late, twice, from another window, or from a second finger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from page_browser import Browser, chromium, served, visiting
from reader_room import StandIn, mammogram
from test_page_agrees import card, facts
from test_page_sessions import sessions_end
from test_page_story import click, marks


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
