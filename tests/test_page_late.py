"""What the page does with things that come late, twice, from another window, or from a second finger."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from page_browser import Browser, Visitor, chromium, served, visiting
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


def large(number: int) -> bytes:
    """A view that one image pixel on one screen pixel does not fit into a pane."""
    name = {1: "CC", 2: "MLO"}[number]
    return mammogram(number, ImageLaterality="R", ViewPosition=name, rows=1200, cols=900)


def placed(visitor: Visitor, name: str) -> tuple[float, float]:
    """A square in the middle of a pane, one image pixel on one screen pixel; where that is on the screen."""
    visitor.seen()
    box = visitor.pane(name).bounding_box()
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("heading", name=f"{name}").wait_for()
    visitor.saved()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def place(visitor: Visitor, index: int) -> tuple[int, int]:
    """Row and column of a square, as the server has it."""
    mark = sorted(marks(visitor), key=lambda each: each["lesion"])[index]
    return round(mark["row"]), round(mark["col"])


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


def test_a_second_finger_ends_the_drag_of_a_square_where_it_was(browser: Browser, tmp_path: Path):
    with served(tmp_path, reader=StandIn()) as room, visiting(browser, room, has_touch=True) as visitor:
        visitor.by_token().upload(large(1), large(2))
        visitor.open_exam("P1")
        visitor.press("1", "0")
        middle = placed(visitor, "R CC")
        session = visitor.page.context.new_cdp_session(visitor.page)

        def touch(kind: str, *fingers: tuple[float, float]) -> None:
            points = [{"x": middle[0] + x, "y": middle[1] + y, "id": number} for number, (x, y) in enumerate(fingers)]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        before = place(visitor, 0)
        touch("touchStart", (256, 0))
        for x in (276, 306, 336):
            touch("touchMove", (x, 0))
        touch("touchStart", (336, 0), (56, 150))
        touch("touchEnd", (336, 0))
        touch("touchEnd")
        visitor.saved()
        until(
            lambda: place(visitor, 0) != before or visitor.page.wait_for_timeout(20), seconds=10, what="the drag saved"
        )
        assert place(visitor, 0) == (before[0], before[1] + 80)
        assert visitor.page.get_by_text(f"row {before[0]}, column {before[1] + 80}").is_visible()
        visitor.press("n", "0")
        x, y = placed(visitor, "R MLO")
        second = place(visitor, 1)
        visitor.page.mouse.move(x + 256, y + 20)
        visitor.page.mouse.down()
        visitor.page.mouse.move(x + 266, y + 20, steps=4)
        visitor.page.mouse.up()
        until(
            lambda: place(visitor, 1) != second or visitor.page.wait_for_timeout(20), seconds=10, what="the drag saved"
        )
        assert place(visitor, 1) == (second[0], second[1] + 10)
