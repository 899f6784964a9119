"""What the page shows is what is read, saved and sent: after changes, between studies, and while answers are late."""

import re
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
import yaml
from playwright.sync_api import Locator, Route

from page_browser import Browser, Visitor, chromium, served, visiting
from reader_room import StandIn, mammogram
from services import free_port, until
from test_page_story import click, exam, marks


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


def away(folder: Path) -> Path:
    """Settings of a PACS that does not answer: what is sent stays in the outbox."""
    path = folder / "pacs.yaml"
    path.write_text(yaml.safe_dump({"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/", "timeout_s": 2}))
    return path


def opened(visitor: Visitor) -> Visitor:
    """At the exam of four views, with a square on the first."""
    visitor.by_token().upload(*exam())
    visitor.open_exam("P1")
    click(visitor, "R CC", 0.7, 0.5)
    visitor.saved()
    return visitor


def card(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("region", name="Reading")


def waits(visitor: Visitor, held: "Held", what: str) -> None:
    """Wait until an answer is held."""
    until(lambda: bool(held) or visitor.page.wait_for_timeout(20), seconds=10, what=what)


def reports(visitor: Visitor) -> list[str]:
    """The structured reports in the outbox."""
    found = [pydicom.dcmread(path) for path in (visitor.room.settings.data / "outbox").glob("*.dcm")]
    return [str(made) for made in found if made.Modality == "SR"]


class Held(list[Route]):
    """Requests that do not reach the server before they are let through."""

    def hold(self, route: Route) -> None:
        """For `Page.route`."""
        self.append(route)


def sends(visitor: Visitor) -> None:
    """Press T, and wait for the server's answer."""
    with visitor.page.expect_response("**/send"):
        visitor.press("t")


def test_labels_that_were_given_after_the_reading_are_sent_and_later_ones_ask_to_be_sent(
    browser: Browser, tmp_path: Path
):
    held = Held()
    with (
        served(tmp_path, reader=StandIn(), pacs=away(tmp_path)) as room,
        visiting(browser, room) as visitor,
    ):
        page = opened(visitor).page
        visitor.press("r")
        card(visitor).wait_for()
        page.route("**/api/annotations/*", held.hold, times=1)
        page.get_by_role("radio", name="DCIS").check()
        waits(visitor, held, "the label to be saved")
        visitor.press("t")
        with page.expect_response("**/send"):
            held[0].continue_()
        objects = page.get_by_role("list", name="Objects for the PACS")
        objects.get_by_text("Structured report").wait_for()
        assert ["Ductal carcinoma in situ" in report for report in reports(visitor)] == [True]
        again = card(visitor).get_by_text("The labels were changed after this was sent. Send it again.")
        assert not again.is_visible()
        page.get_by_role("radio", name="5", exact=True).check()
        again.wait_for()
        sends(visitor)
        again.wait_for(state="detached")
        assert sum("Highly suggestive of malignancy" in report for report in reports(visitor)) == 1
        assert (len(reports(visitor)), objects.get_by_role("listitem").count()) == (2, 3)
        sends(visitor)
        assert len(reports(visitor)) == 2


def test_labels_that_the_page_does_not_show_are_not_sent(browser: Browser, tmp_path: Path):
    with (
        served(tmp_path, reader=StandIn(), pacs=away(tmp_path)) as room,
        visiting(browser, room) as visitor,
    ):
        page = opened(visitor).page
        visitor.expected += ("409",)
        visitor.press("r")
        card(visitor).wait_for()
        mark = marks(visitor)[0]
        labels = {key: mark[key] for key in ("row", "col", "side", "lesion", "revision")} | {"birads": "2"}
        token = page.request.get(f"{visitor.base}api/me").json()["csrf"]
        path = f"{visitor.base}api/annotations/{mark['id']}"
        assert page.request.put(path, data=labels, headers={"X-CSRF": token}).ok
        sends(visitor)
        page.get_by_text(re.compile("Not sent: what is sent must be what you see")).wait_for()
        page.locator("input[name=birads][value='2']:checked").wait_for()
        assert reports(visitor) == []
        sends(visitor)
        page.get_by_text("Structured report").wait_for()
        visitor.press("ArrowDown")
        visitor.saved()
        assert page.get_by_role("button", name="Send to PACS").is_disabled()
        assert card(visitor).get_by_text("another place or size").is_visible()


def test_an_exam_is_not_finished_before_every_label_is_saved(browser: Browser, tmp_path: Path):
    held = Held()
    with served(tmp_path, blind=True) as room, visiting(browser, room) as visitor:
        page = opened(visitor).page
        visitor.expected += ("503", "409")
        page.route("**/api/annotations/*", lambda route: route.fulfill(status=503, json={"error": "too busy"}))
        page.get_by_role("radio", name="invasive").check()
        page.get_by_text("Not saved yet, trying again").wait_for()
        finish = page.get_by_role("button", name="Finish the exam")
        finish.click()
        page.get_by_text("Not finished: square A on R CC is not saved yet; too busy").wait_for()
        assert finish.is_visible()
        page.unroute("**/api/annotations/*")
        page.route("**/api/annotations/*", held.hold, times=1)
        page.get_by_label("Note").fill("in a row")
        waits(visitor, held, "the change to be sent")
        finish.click()
        assert page.get_by_role("radio", name="invasive").is_disabled()
        visitor.press("ArrowDown", "Delete", "Enter")
        held[0].continue_()
        page.get_by_role("button", name="Reopen the exam").wait_for()
        mark = marks(visitor)[0]
        assert (mark["pathology"], mark["note"], len(marks(visitor))) == ("invasive", "in a row", 1)
        page.get_by_role("button", name="Square A on R CC").click()
        assert page.get_by_role("radio", name="invasive").is_checked()
        assert page.get_by_role("radio", name="invasive").is_disabled()
        click(visitor, "R MLO", 0.7, 0.5)
        page.get_by_text("You have finished this exam; reopen it to change your squares").wait_for()
        page.get_by_role("button", name="Reopen the exam").click()
        finish.wait_for()
        page.get_by_role("radio", name="DCIS").check()
        visitor.saved()
        assert [mark["pathology"] for mark in marks(visitor)] == ["dcis"]


def facts(name: str, **more: object) -> dict[str, object]:
    """Of a study, as the page gets them."""
    return {"name": name, "identity": name, "networks": ["resnet101", "densenet201"], "cutoff": 0.5} | more


def test_a_reading_of_another_study_says_so_until_it_is_read_again(browser: Browser, tmp_path: Path):
    with served(tmp_path, reader=StandIn(facts("demo"))) as room, visiting(browser, room) as visitor:
        opened(visitor).press("r")
        card(visitor).get_by_text("study demo", exact=True).wait_for()
        assert not card(visitor).get_by_text("Read it again").is_visible()
    with served(tmp_path, reader=StandIn(facts("other-hospital"))) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        visitor.open_exam("P1")
        page.get_by_role("button", name=re.compile("Square A on R CC, read 0.17, to be read again")).click()
        notice = card(visitor).get_by_text("Read by the study demo; this server has other-hospital. Read it again.")
        notice.wait_for()
        assert page.get_by_label("Prevalence of malignancy").is_disabled()
        visitor.press("r")
        notice.wait_for(state="detached")
        card(visitor).get_by_text("study other-hospital", exact=True).wait_for()
        assert page.get_by_label("Prevalence of malignancy").is_enabled()
    with served(tmp_path) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        visitor.open_exam("P1")
        page.get_by_role("button", name="Square A on R CC, read 0.17", exact=True).click()
        card(visitor).get_by_text("study other-hospital", exact=True).wait_for()
        assert page.get_by_label("Prevalence of malignancy").is_disabled()


def test_a_page_that_stayed_open_learns_of_the_servers_new_study(browser: Browser, tmp_path: Path):
    networks = StandIn(facts("demo"))
    with served(tmp_path, reader=networks) as room, visiting(browser, room) as visitor:
        page = opened(visitor).page
        visitor.press("r")
        card(visitor).wait_for()
        networks.facts = facts("other-hospital")
        click(visitor, "R MLO", 0.7, 0.5)
        visitor.saved()
        page.get_by_role("heading", name="Lesion B R MLO").wait_for()
        visitor.press("r")
        card(visitor).get_by_text("study other-hospital", exact=True).wait_for()
        page.get_by_role("button", name=re.compile("Square A on R CC, read 0.17, to be read again")).click()
        card(visitor).get_by_text("Read by the study demo; this server has other-hospital.").wait_for()


def test_a_square_of_another_studys_size_is_resized_before_it_is_read(browser: Browser, tmp_path: Path):
    image = mammogram(ImageLaterality="R", ViewPosition="CC", ImagerPixelSpacing=[0.1, 0.1])
    with served(tmp_path) as room, visiting(browser, room) as visitor:
        visitor.by_token().upload(image)
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
        assert not visitor.page.get_by_text("Reading resizes it").is_visible()
    with served(tmp_path, reader=StandIn(facts("mm", spacing_mm=0.07))) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        visitor.open_exam("P1")
        page.get_by_role("button", name="Square A on R CC").click()
        notice = page.get_by_text("Placed 51.2 mm wide; this study reads 35.8 mm. Reading resizes it.")
        notice.wait_for()
        visitor.press("r")
        card(visitor).wait_for()
        notice.wait_for(state="hidden")
        mark = marks(visitor)[0]
        reading = page.request.get(f"{visitor.base}api/readings/{mark['reading_id']}").json()
        assert (mark["revision"], round(mark["side"], 6)) == (2, 358.4)
        assert (reading["revision"], reading["roi"]["side"]) == (2, pytest.approx(358.4))
        assert not card(visitor).get_by_text("another place or size").is_visible()
        visitor.press("y")
        page.get_by_role("dialog").get_by_role("row").nth(1).get_by_text("side 358").wait_for()


def test_a_page_that_stayed_open_does_not_read_a_square_of_the_former_size(browser: Browser, tmp_path: Path):
    networks = StandIn(facts("pixels"))
    with served(tmp_path, reader=networks) as room, visiting(browser, room) as visitor:
        visitor.expected += ("409",)
        visitor.by_token().upload(mammogram(ImageLaterality="R", ViewPosition="CC", ImagerPixelSpacing=[0.1, 0.1]))
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.5, 0.5)
        visitor.saved()
        networks.facts = facts("mm", spacing_mm=0.07)
        visitor.press("r")
        visitor.page.get_by_text("Placed 51.2 mm wide; this study reads 35.8 mm. Reading resizes it.").wait_for()
        assert networks.seen == []
        visitor.press("r")
        card(visitor).wait_for()
        assert [round(mark["side"], 6) for mark in marks(visitor)] == [358.4]
