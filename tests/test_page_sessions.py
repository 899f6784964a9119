"""What becomes of work on the page when a session ends, and of the page when somebody else logs in."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from microcalc.reader.room.people import Role, add_account
from microcalc.reader.store.models import LoginSession, now
from page_browser import Browser, Room, Visitor, chromium, served, visiting
from reader_room import PASSWORD, StandIn
from test_page_story import click, exam, marks


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def sessions_end(room: Room) -> None:
    with room.store.writing() as session:
        session.execute(delete(LoginSession))


def unused(room: Room, hours: float) -> None:
    with room.store.writing() as session:
        session.execute(update(LoginSession).values(seen=now() - dt.timedelta(hours=hours)))


def last_use(room: Room) -> dt.timedelta:
    """How long ago."""
    with room.store.reading() as session:
        return now() - session.scalars(select(LoginSession.seen)).one()


def marked(visitor: Visitor) -> None:
    """A saved square; then the session ends, and a label is changed."""
    visitor.expected += ("401", "Failed to load resource")
    visitor.upload(exam()[0])
    visitor.open_exam("P1")
    click(visitor, "R CC", 0.7, 0.5)
    visitor.saved()
    sessions_end(visitor.room)
    visitor.page.get_by_role("radio", name="DCIS").check()
    visitor.page.get_by_role("dialog", name="Log in").wait_for()


def log_in(visitor: Visitor, name: str) -> None:
    dialog = visitor.page.get_by_role("dialog", name="Log in")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Log in").click()


def test_after_the_token_s_session_the_newest_address_in_another_window_saves_what_was_not(
    browser: Browser, tmp_path: Path
):
    with served(tmp_path, reader=StandIn()) as room, visiting(browser, room) as visitor:
        visitor.by_token()
        marked(visitor)
        dialog = visitor.page.get_by_role("dialog", name="Log in")
        dialog.get_by_text("open the address that the server printed").wait_for()
        other = visitor.page.context.new_page()
        other.goto(room.token_url)
        other.get_by_role("heading", name="Worklist").wait_for()
        visitor.page.bring_to_front()
        visitor.page.evaluate("window.dispatchEvent(new Event('focus'))")  # without a window there is no focus
        dialog.wait_for(state="detached")
        visitor.saved()
        assert [mark["pathology"] for mark in marks(visitor)] == ["dcis"]


def test_whoever_logs_in_after_another_does_not_work_in_their_name(browser: Browser, tmp_path: Path):
    with served(tmp_path, token_login=False, blind=True) as room:
        with room.store.writing() as session:
            for name in ("anna", "berta"):
                add_account(session, name, Role.READER, PASSWORD)
        with visiting(browser, room) as visitor:
            visitor.by_password("anna", PASSWORD)
            marked(visitor)
            log_in(visitor, "berta")
            said = visitor.page.get_by_text("this page is anna's, but berta is logged in now; reload the page")
            said.wait_for()
            assert visitor.page.get_by_role("dialog", name="Log in").is_visible()
            log_in(visitor, "anna")
            said.wait_for(state="detached")
            visitor.saved()
            assert [(mark["reader"], mark["pathology"]) for mark in marks(visitor)] == [("anna", "dcis")]


def test_a_worklist_that_refreshes_itself_does_not_keep_the_session_alive(browser: Browser, tmp_path: Path):
    with served(tmp_path) as room, visiting(browser, room) as visitor:
        visitor.expected += ("401", "Failed to load resource")
        visitor.page.clock.install()
        visitor.by_token()
        unused(room, hours=11)
        with visitor.page.expect_response("**/watched/refused") as told:
            visitor.page.clock.run_for(16_000)
        assert told.value.status == 200
        assert last_use(room) > dt.timedelta(hours=10)
        with visitor.page.expect_response("**/exams/search"):
            visitor.page.get_by_role("radio", name="new").check()
        assert last_use(room) < dt.timedelta(minutes=5)
        unused(room, hours=13)
        visitor.page.clock.run_for(16_000)
        visitor.page.get_by_role("dialog", name="Log in").wait_for()
