"""What the page does with things that come late, twice, from another window, or from a second finger."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from page_browser import Browser, Visitor, chromium, served, visiting
from reader_room import StandIn, mammogram
from services import until
from test_page_agrees import Held, away, card, facts, waits
from test_page_sessions import sessions_end
from test_page_story import click, marks

HEAR = """window.heard = [];
new MutationObserver(() => window.heard.push(document.querySelector('#said').textContent))
  .observe(document.querySelector('#said'), { childList: true, characterData: true, subtree: true });"""
"""Note everything that the page says from now on."""

TURN = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until the page has drawn what it has to."""


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


def read_one(visitor: Visitor) -> None:
    """Take an exam in, place a square and read it."""
    visitor.upload(view())
    visitor.open_exam("P1")
    click(visitor, "R CC", 0.5, 0.5)
    visitor.saved()
    visitor.press("r")
    card(visitor).wait_for()


def placed(visitor: Visitor, name: str) -> tuple[float, float]:
    """A square in the middle of a pane, one image pixel on one screen pixel; where that is on the screen."""
    visitor.seen()
    box = visitor.pane(name).bounding_box()
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("heading", name=name, level=2).wait_for()
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
        page.evaluate(TURN)
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


def test_the_same_change_from_another_window_is_no_conflict(browser: Browser, tmp_path: Path):
    with served(tmp_path) as room, visiting(browser, room) as visitor:
        visitor.by_token().upload(view())
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
    with served(tmp_path, reader=StandIn(facts("mm", spacing_mm=0.07))) as room, visiting(browser, room) as visitor:
        visitor.expected += ("409",)
        visitor.by_token().open_exam("P1")
        other = Visitor(visitor.page.context.new_page(), room)
        other.page.goto(visitor.page.url)
        other.seen()
        for each in (visitor, other):
            each.page.get_by_role("button", name="Square A on R CC").click()
            each.page.get_by_text("Reading resizes it.").wait_for()
        for each in (visitor, other):
            each.press("r")
            card(each).wait_for()
            each.saved()
            assert not each.page.get_by_text("saved from another window").is_visible()
        assert [mark["revision"] for mark in marks(visitor)] == [2]


def test_who_clicks_twice_sends_and_finishes_once(browser: Browser, tmp_path: Path):
    sent, done = Held(), Held()
    with (
        served(tmp_path, reader=StandIn(), pacs=away(tmp_path), blind=True) as room,
        visiting(browser, room) as visitor,
    ):
        page = visitor.by_token().page
        read_one(visitor)
        page.route("**/send", sent.hold)
        page.get_by_role("button", name="Send to PACS").click()
        waits(visitor, sent, "the first to be sent")
        page.get_by_role("button", name="Send to PACS").click()
        page.evaluate(TURN)
        assert len(sent) == 1
        sent[0].continue_()
        page.get_by_text("Structured report").wait_for()
        page.route("**/done", done.hold)
        page.get_by_role("button", name="Finish the exam").click()
        waits(visitor, done, "the exam to be finished")
        page.get_by_role("button", name="Finish the exam").click(force=True)
        page.evaluate(TURN)
        assert len(done) == 1
        done[0].continue_()
        page.get_by_role("button", name="Reopen the exam", disabled=False).click()
        until(lambda: len(done) > 1 or page.wait_for_timeout(20), seconds=10, what="the exam to be opened again")
        done[1].continue_()
        page.get_by_role("button", name="Finish the exam").wait_for()


def test_the_focus_stays_on_the_button_that_a_key_pressed(browser: Browser, tmp_path: Path):
    with served(tmp_path, reader=StandIn(), blind=True) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        visitor.upload(view())
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
        visitor.press("Escape")
        for name, after in (("Square A on R CC", "CC"), ("Read", "Read again"), ("Finish the exam", "Reopen the exam")):
            page.get_by_role("button", name=re.compile(f"^{name}")).focus()
            visitor.press("Enter")
            page.locator("button:focus:not([aria-disabled=true])").filter(has_text=after).wait_for()
        page.get_by_role("button", name="Square A on R CC, read", pressed=True).wait_for()
        assert len(marks(visitor)) == 1


def test_a_square_that_is_moved_and_moved_back_is_where_it_was_read(browser: Browser, tmp_path: Path):
    with served(tmp_path, reader=StandIn(), pacs=away(tmp_path)) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        read_one(visitor)
        moved = card(visitor).get_by_text("another place or size")
        visitor.press("ArrowRight")
        moved.wait_for()
        visitor.press("ArrowLeft")
        moved.wait_for(state="detached")
        visitor.saved()
        assert page.get_by_role("button", name="Send to PACS").is_enabled()
