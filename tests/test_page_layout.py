"""What stays in view on screens of any size."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from microcalc import RESEARCH_USE
from page_browser import Browser, Room, chromium, served, visiting
from reader_room import StandIn, mammogram
from test_page_story import click, exam


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with served(tmp_path, reader=StandIn()) as made:
        yield made


@pytest.mark.parametrize(("width", "height"), [(1280, 600), (390, 844)])
def test_the_page_itself_never_scrolls(browser: Browser, room: Room, width: int, height: int):
    with visiting(browser, room, viewport={"width": width, "height": height}) as visitor:
        visitor.by_token().upload(exam()[0])
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.press("r")
        visitor.page.get_by_role("region", name="Reading").wait_for()
        assert visitor.page.evaluate("document.documentElement.scrollHeight") == height
        assert visitor.page.get_by_text(RESEARCH_USE).is_visible()


@pytest.mark.parametrize("width", [1440, 1024, 720, 390])
def test_whose_exam_it_is_stays_in_view(browser: Browser, room: Room, width: int):
    with visiting(browser, room, viewport={"width": width, "height": 600}) as visitor:
        page = visitor.by_token().page
        visitor.upload(
            mammogram(study=1, PatientID="", PatientName="Alpha"),
            mammogram(study=2, PatientID="4711", PatientName="Beta"),
        )
        for row, seen in (("Alpha", ["Alpha", "2019-02-03"]), ("Beta", ["4711", "Beta", "2019-02-03"])):
            page.get_by_role("row", name=row).get_by_role("link").click()
            page.get_by_role("heading", name=seen[0], exact=True).wait_for()
            for words in seen:
                shown = page.locator(".head").get_by_text(words, exact=True)
                assert shown.evaluate("each => each.clientWidth > 0 && each.scrollWidth <= each.clientWidth")
            visitor.press("q")
            page.get_by_role("heading", name="Worklist").wait_for()
