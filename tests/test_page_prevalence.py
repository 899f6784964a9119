"""The prevalence that a reader has chosen: for every reading, not for one."""

import re
from pathlib import Path

from page_browser import Visitor, chromium, served, visiting
from reader_room import StandIn
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
