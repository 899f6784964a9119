"""What a radiologist does on the page, in a real browser: by mouse, by keys alone, and when something goes wrong."""

import functools
import importlib.util
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import APIResponse, Route

from microcalc import RESEARCH_USE
from microcalc.reader.room.people import Role, add_account
from page_browser import Browser, Room, Visitor, chromium, served, visiting
from reader_room import PASSWORD, StandIn, mammogram
from services import until

FOUR = [("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO")]


@functools.cache
def exam(patient: str = "P1", study: int = 1) -> tuple[bytes, ...]:
    """Four views of one patient."""
    return tuple(
        mammogram(number, study=study, PatientID=patient, ImageLaterality=side, ViewPosition=view)
        for number, (side, view) in enumerate(FOUR, start=1)
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with served(tmp_path, reader=StandIn()) as made:
        yield made


@pytest.fixture
def visitor(browser: Browser, room: Room) -> Iterator[Visitor]:
    """Somebody who has opened the exam of four views."""
    with visiting(browser, room) as made:
        made.by_token().upload(*exam())
        made.open_exam("P1")
        yield made


def click(visitor: Visitor, name: str, x: float, y: float, **options: Any) -> None:
    """Click at a share of the width and height of a pane."""
    pane = visitor.pane(name)
    box = pane.bounding_box()
    pane.click(position={"x": x * box["width"], "y": y * box["height"]}, **options)


def marks(visitor: Visitor) -> list[dict[str, Any]]:
    """The squares as the server has them, by the session of the page."""
    exam_id = visitor.page.url.rsplit("/", 1)[1]
    answer = visitor.page.request.get(f"{visitor.base}api/exams/{exam_id}/annotations")
    return list(answer.json())


def serious(visitor: Visitor) -> list[str]:
    """What axe-core finds wrong and calls serious or critical."""
    found = importlib.util.find_spec("axe_core_python")
    if found is None or found.origin is None:
        pytest.skip("axe-core-python is not installed")
    script = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    visitor.page.evaluate(script)
    result = visitor.page.evaluate("axe.run()")
    return [
        f"{each['id']}: {node['html'][:120]}"
        for each in result["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


def test_a_lesion_is_marked_in_two_views_labelled_read_and_explained(visitor: Visitor):
    page = visitor.page
    assert page.get_by_text(RESEARCH_USE).is_visible()
    click(visitor, "R CC", 0.7, 0.5)
    page.get_by_role("radio", name="DCIS").check()
    page.get_by_role("radio", name="4B").check()
    page.get_by_label("Morphology").select_option("amorphous")
    page.get_by_label("Note").fill("in a row")
    click(visitor, "R MLO", 0.7, 0.5)
    page.get_by_text("Same lesion as A in R CC?").click()
    visitor.saved()
    first, second = sorted(marks(visitor), key=lambda mark: mark["note"], reverse=True)
    assert (first["lesion"], first["pathology"], first["birads"], first["note"]) == ("A", "dcis", "4B", "in a row")
    assert (second["lesion"], second["pathology"], second["morphology"]) == ("A", "dcis", "amorphous")
    assert first["image_id"] != second["image_id"]

    page.get_by_role("button", name=re.compile("^Read")).click()
    reading = page.get_by_role("region", name="Reading")
    reading.get_by_text("probability of malignancy").wait_for()
    assert reading.get_by_role("button", name="Ensemble").get_attribute("aria-pressed") == "true"
    page.get_by_label("Prevalence of malignancy").fill("12")
    page.get_by_label("Prevalence of malignancy").press("Enter")
    reading.get_by_role("row", name="PPV").get_by_text("12 %", exact=True).wait_for()
    assert page.get_by_text(RESEARCH_USE).is_visible()
    page.get_by_role("link", name="Back to the worklist").click()
    page.get_by_role("row", name="P1").get_by_text("read", exact=True).wait_for()


def test_a_square_is_moved_by_its_line_and_by_keys_removed_and_put_back(visitor: Visitor):
    visitor.press("1", "0")
    click(visitor, "R CC", 0.5, 0.5)
    visitor.saved()
    before = marks(visitor)[0]
    box = visitor.pane("R CC").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visitor.page.mouse.move(x + 256, y + 40)
    visitor.page.mouse.down()
    visitor.page.mouse.move(x + 246, y + 30, steps=4)
    visitor.page.mouse.up()
    visitor.press("ArrowDown", "Shift+ArrowRight")
    visitor.saved()
    after = marks(visitor)[0]
    assert (after["row"], after["col"]) == (before["row"] - 10 + 1, before["col"] - 10 + 20)
    visitor.press("y")
    visitor.page.get_by_role("dialog").get_by_role("row").nth(2).wait_for()
    visitor.press("Escape", "Delete")
    visitor.page.get_by_text("Click on the calcifications").wait_for()
    assert marks(visitor) == []
    visitor.press("Control+z")
    visitor.saved()
    assert [(mark["row"], mark["col"]) for mark in marks(visitor)] == [(after["row"], after["col"])]


def test_the_whole_way_by_keys_alone(browser: Browser, room: Room):
    with visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token().upload(*exam())
        visitor.press("/")
        page.keyboard.type("P1")
        visitor.press("Escape", "Tab")
        page.get_by_role("link", name="P1").wait_for()
        page.locator("body").click(position={"x": 3, "y": 300})
        visitor.press("ArrowDown", "Enter")
        visitor.seen()
        visitor.press("4")
        visitor.seen()
        visitor.press("n", "0", "+", "-", "Enter")
        visitor.saved()
        visitor.press("e")
        visitor.press("ArrowRight", "ArrowRight", "Tab", "ArrowRight")
        visitor.saved()
        visitor.press("Tab", "Tab", "Tab", "Tab")
        page.keyboard.type("qrst 0")
        visitor.press("Tab")
        visitor.saved()
        mark = marks(visitor)[0]
        assert (mark["pathology"], mark["birads"], mark["note"]) == ("high_risk", "0", "qrst 0")
        visitor.press("r")
        page.get_by_role("region", name="Reading").wait_for()
        visitor.press("c", "]", "?")
        assert page.get_by_role("dialog", name="Keys").get_by_text("Read the chosen square").is_visible()
        visitor.press("Escape", "q")
        page.get_by_role("heading", name="Worklist").wait_for()


def test_axe_finds_nothing_serious_on_worklist_exam_and_dialogs(visitor: Visitor):
    click(visitor, "R CC", 0.7, 0.5)
    visitor.saved()
    visitor.press("r")
    visitor.page.get_by_role("region", name="Reading").wait_for()
    assert serious(visitor) == []
    visitor.press("?")
    assert serious(visitor) == []
    visitor.press("Escape", "q")
    visitor.page.get_by_role("link", name="P1").wait_for()
    assert serious(visitor) == []


def test_what_cannot_be_saved_is_kept_and_saved_when_the_server_is_back(visitor: Visitor):
    visitor.expected += ("Failed to load resource",)
    click(visitor, "R CC", 0.7, 0.5)
    visitor.saved()
    visitor.page.route("**/api/annotations/**", lambda route: route.abort())
    visitor.page.get_by_role("radio", name="invasive").check()
    visitor.page.get_by_text("Not saved yet, trying again").wait_for()
    visitor.page.get_by_label("Note").fill("still typing")
    visitor.page.unroute("**/api/annotations/**")
    visitor.saved()
    mark = marks(visitor)[0]
    assert (mark["pathology"], mark["note"]) == ("invasive", "still typing")


@pytest.mark.parametrize(("button", "kept"), [("Keep this one", "5"), ("Take the other", "2")])
def test_after_a_change_from_another_window_the_reader_decides(visitor: Visitor, button: str, kept: str):
    visitor.expected += ("409",)
    click(visitor, "R CC", 0.7, 0.5)
    visitor.saved()
    mark = marks(visitor)[0]
    labels = {key: mark[key] for key in ("row", "col", "side", "lesion", "revision")} | {"birads": "2"}
    token = visitor.page.request.get(f"{visitor.base}api/me").json()["csrf"]
    path = f"{visitor.base}api/annotations/{mark['id']}"
    assert visitor.page.request.put(path, data=labels, headers={"X-CSRF": token}).ok
    visitor.page.get_by_role("radio", name="5").check()
    visitor.page.get_by_text("birads: there 2, here 5").wait_for()
    visitor.page.get_by_role("button", name=button).click()
    visitor.saved()
    assert marks(visitor)[0]["birads"] == kept
    assert visitor.page.get_by_role("radio", name=kept, exact=True).is_checked()


def test_refused_files_and_hostile_names_are_shown_as_text(browser: Browser, room: Room):
    evil = "<img src=x onerror=alert(1)>"
    with visiting(browser, room) as visitor:
        visitor.by_token().upload(
            mammogram(PatientName=evil, StudyDescription=evil), ("notes.txt", b"no image"),
            mammogram(2, PresentationIntentType="FOR PROCESSING"),
        )  # fmt: skip
        assert visitor.page.get_by_text("1 of 3 images taken in").is_visible()
        assert visitor.page.get_by_text("notes.txt").is_visible()
        visitor.page.get_by_role("cell", name=evil).first.wait_for()
        visitor.open_exam("P1")
        refused = visitor.page.get_by_role("button", name="not shown")
        if refused.count():
            refused.first.click()
            visitor.page.get_by_text("Not shown").wait_for()
        assert visitor.page.locator("img[onerror]").count() == 0


def test_two_readers_are_blind_until_both_have_finished_then_see_how_far_they_agree(browser: Browser, tmp_path: Path):
    with served(tmp_path, token_login=False, blind=True) as room:
        with room.store.writing() as session:
            for name in ("anna", "ben"):
                add_account(session, name, Role.READER, PASSWORD)
        for name in ("anna", "ben"):
            with visiting(browser, room) as visitor:
                visitor.by_password(name, PASSWORD)
                if name == "anna":
                    visitor.upload(*exam())
                visitor.open_exam("P1")
                assert visitor.page.get_by_text("Click on the calcifications").is_visible()
                click(visitor, "R CC", 0.7, 0.5)
                visitor.page.get_by_role("radio", name="benign").check()
                visitor.saved()
                visitor.page.get_by_role("button", name="Finish the exam").click()
                visitor.page.get_by_role("button", name="Reopen the exam").wait_for()
                visitor.page.reload()
                visitor.page.get_by_role("button", name="Reopen the exam").wait_for()
                if name == "ben":
                    visitor.page.get_by_role("list", name="Squares of anna").wait_for()
                    visitor.press("g")
                    dialog = visitor.page.get_by_role("dialog")
                    dialog.get_by_text("1 square of both").wait_for()
                    dialog.get_by_text("mean overlap (intersection over union) 1.00").wait_for()
                    assert dialog.get_by_role("row", name="pathology").is_visible()


def test_a_reading_that_waits_can_be_left(browser: Browser, tmp_path: Path):
    gate = threading.Event()
    with served(tmp_path, reader=StandIn(gate=gate)) as room, visiting(browser, room) as visitor:
        visitor.by_token().upload(*exam())
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.press("r")
        visitor.page.get_by_role("button", name="Reading…").wait_for()
        visitor.press("i", "3")
        visitor.seen()
        gate.set()
        visitor.page.get_by_role("region", name="Reading").wait_for()


def test_r_reads_a_square_that_is_still_on_its_way_to_the_server(browser: Browser, room: Room):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with visiting(browser, room) as visitor:
        visitor.by_token().upload(*exam())
        visitor.page.route("**/images/*/annotations", hold)
        visitor.open_exam("P1")
        visitor.press("r")
        visitor.page.get_by_text("Place a square first").wait_for(state="attached")
        click(visitor, "R CC", 0.7, 0.5)
        until(lambda: bool(held) or visitor.page.wait_for_timeout(20), seconds=10, what="the square to be sent")
        visitor.press("r")
        held[0].continue_()
        visitor.page.get_by_role("region", name="Reading").wait_for()


def test_a_square_placed_while_the_others_are_on_their_way_stays(browser: Browser, room: Room):
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    with visiting(browser, room) as visitor:
        visitor.by_token().upload(*exam())
        visitor.page.route("**/exams/*/annotations", hold, times=1)
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.saved()
        visitor.page.get_by_role("radio", name="DCIS").check()
        held[0][0].fulfill(response=held[0][1])
        visitor.page.wait_for_timeout(300)
        assert visitor.page.get_by_role("radio", name="DCIS").is_checked()
        visitor.page.get_by_role("radio", name="4B").check()
        visitor.saved()
        assert [(mark["pathology"], mark["birads"]) for mark in marks(visitor)] == [("dcis", "4B")]


def test_files_are_dropped_on_the_worklist(browser: Browser, room: Room):
    with visiting(browser, room) as visitor:
        visitor.by_token()
        visitor.page.evaluate(
            """(bytes) => {
              const files = new DataTransfer();
              files.items.add(new File([new Uint8Array(bytes)], 'a.dcm'));
              const drop = (type) => document.querySelector('.worklist')
                .dispatchEvent(new DragEvent(type, { dataTransfer: files, bubbles: true, cancelable: true }));
              drop('dragover');
              if (getComputedStyle(document.querySelector('.drop')).display === 'none') throw new Error('no sign');
              drop('drop');
            }""",
            list(mammogram(rows=300, cols=200)),
        )
        visitor.page.get_by_text("1 of 1 images taken in").wait_for()
        visitor.page.get_by_role("link", name="P1").wait_for()


def test_two_fingers_zoom_one_finger_moves_and_a_tap_marks(browser: Browser, room: Room):
    with visiting(browser, room, has_touch=True, viewport={"width": 1180, "height": 820}) as visitor:
        visitor.by_token().upload(exam()[0])
        visitor.open_exam("P1")
        box = visitor.pane("R CC").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session = visitor.page.context.new_cdp_session(visitor.page)

        def touch(kind: str, *points: tuple[float, float]) -> None:
            session.send(
                "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]}
            )

        pane = visitor.page.locator(".pane")
        before = float(pane.get_attribute("data-scale"))
        touch("touchStart", (x - 50, y), (x + 50, y))
        touch("touchMove", (x - 75, y), (x + 75, y))
        touch("touchEnd")
        assert float(pane.get_attribute("data-scale")) == pytest.approx(1.5 * before, rel=0.02)
        assert marks(visitor) == []
        visitor.page.touchscreen.tap(x, y)
        visitor.saved()
        row, col = marks(visitor)[0]["row"], marks(visitor)[0]["col"]
        assert (row, col) == (pytest.approx(310, abs=2), pytest.approx(280, abs=2))


def test_when_the_graphics_processor_goes_the_image_stays(browser: Browser, room: Room):
    with visiting(browser, room) as visitor:
        visitor.by_token("?draw=webgl2").upload(exam()[0])
        visitor.open_exam("P1")
        shown = visitor.pixels(visitor.page.locator(".pane"))
        visitor.page.evaluate(
            "document.querySelector('.grey').getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
        )
        visitor.page.wait_for_timeout(300)
        after = visitor.pixels(visitor.page.locator(".pane"))
        difference = np.abs(after.astype(int) - shown)
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-3
        assert visitor.page.evaluate("document.querySelector('.grey').getContext('webgl2')") is None


def test_the_page_tells_how_fine_a_heatmap_is_and_when_it_is_empty(browser: Browser, tmp_path: Path):
    with served(tmp_path, reader=StandIn(empty=frozenset({"densenet201"}))) as room, visiting(browser, room) as visitor:
        visitor.by_token().upload(*exam())
        visitor.open_exam("P1")
        click(visitor, "R CC", 0.7, 0.5)
        visitor.saved()
        visitor.press("r")
        card, pick = visitor.page.get_by_role("region", name="Reading"), visitor.page.get_by_label("Heatmap of")
        for network, words in (
            ("ensemble", "Mean of the networks' heatmaps."),
            ("resnet101", "Enlarged from 7 × 7 values: it shows a region, no single calcification."),
            ("densenet201", "0 everywhere: no place speaks for malignancy."),
        ):
            pick.select_option(network)
            card.get_by_text(words, exact=True).wait_for()
        pick.select_option("none")
        card.locator(".heat-note").wait_for(state="detached")
