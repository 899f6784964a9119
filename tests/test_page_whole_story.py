"""The whole story with nothing made up but the study's cohort: real films, real networks, a real PACS, a real browser.

``MICROCALC_SCREENSHOTS=DIR`` keeps what the screen showed, for somebody to look at.
"""

import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from microcalc import RESEARCH_USE
from microcalc.intake.dicom import Mammogram, read_mammogram
from pacs_clients import settings_of
from page_browser import Browser, Room, Visitor, chromium, served, visiting
from report_readings import film_paths
from services import Orthanc, until
from test_page_story import click, marks, serious
from test_study import carry_out, protocol, write_cohort

pytest_plugins = ("services",)
pytestmark = pytest.mark.slow

STUDY_UIDS = {"P_00173": "1.2.826.0.1.3680043.8.498.173", "P_00820": "1.2.826.0.1.3680043.8.498.820"}


def films(patient: str) -> list[bytes]:
    """Four films of a patient as one exam: in the collection each is a study of its own."""
    found = []
    for path in film_paths():
        film = pydicom.dcmread(path)
        if patient in str(film.PatientID):
            film.PatientID = film.PatientName = patient
            film.StudyInstanceUID = STUDY_UIDS[patient]
            buffer = io.BytesIO()
            film.save_as(buffer)
            found.append(buffer.getvalue())
    assert len(found) == 4
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    cohort = write_cohort(folder / "cohort", manufacturer="Maker", view="CC", pixel_spacing_mm=0.07)
    carry_out(cohort, folder / "study", protocol())
    return folder / "study"


@pytest.fixture
def room(tmp_path: Path, study: Path, pacs_server: Orthanc) -> Iterator[Room]:
    pacs = tmp_path / "pacs.yaml"
    pacs.write_text(json.dumps(settings_of(pacs_server, "get")))
    with served(tmp_path, study=study, pacs=pacs) as made:
        yield made


def look(visitor: Visitor, name: str) -> None:
    """Keep the screen, and let axe look at it."""
    assert visitor.page.get_by_text(RESEARCH_USE).is_visible()
    assert serious(visitor) == []
    folder = os.environ.get("MICROCALC_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        visitor.shot(Path(folder) / f"{name}.png")


def coloured(visitor: Visitor) -> int:
    """Screen pixels of the active pane that are far from grey."""
    shown = visitor.pixels(visitor.page.locator(".pane.active, .pane:only-child").first).astype(int)
    return int((shown.max(-1) - shown.min(-1) > 60).sum())


def test_the_story(browser: Browser, room: Room, pacs_server: Orthanc):
    for film in films("P_00173"):
        pacs_server.put(film)
    with visiting(browser, room) as visitor:
        page = visitor.page
        visitor.by_token()
        fetch_from_the_pacs(visitor)
        upload_the_rest(visitor)
        visitor.open_exam("P_00820")
        look(visitor, "exam")
        see_it_well(visitor)
        mark_and_label(visitor)
        read_and_explain(visitor)
        send(visitor, pacs_server)
        page.get_by_role("link", name="Back to the worklist").click()
        page.get_by_role("row", name="P_00820").get_by_text("sent", exact=True).wait_for()
        look(visitor, "worklist")


def fetch_from_the_pacs(visitor: Visitor) -> None:
    visitor.press("p")
    dialog = visitor.page.get_by_role("dialog", name="Query the PACS")
    dialog.get_by_label("Patient ID").fill("P_00173")
    dialog.get_by_role("button", name="Query").click()
    dialog.get_by_role("button", name="Fetch").click()
    dialog.get_by_role("button", name="Fetched").wait_for(timeout=120_000)
    look(visitor, "pacs")
    visitor.press("Escape")
    visitor.page.get_by_role("row", name="P_00173").get_by_text("new", exact=True).wait_for()


def upload_the_rest(visitor: Visitor) -> None:
    raw = pydicom.dcmread(io.BytesIO(films("P_00820")[0]))
    raw.SOPInstanceUID = raw.file_meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.3680043.8.498.9"
    raw.Modality = "CT"
    buffer = io.BytesIO()
    raw.save_as(buffer)
    visitor.upload(*films("P_00820"), ("other.dcm", buffer.getvalue()))
    assert visitor.page.get_by_text("4 of 5 images taken in").is_visible()
    assert (
        visitor.page.get_by_label("Uploads")
        .get_by_text("another modality", exact=False)
        .or_(visitor.page.get_by_label("Uploads").get_by_text("other.dcm"))
        .first.is_visible()
    )
    visitor.page.get_by_label("Search").fill("00820")
    visitor.page.get_by_role("link", name="P_00173").wait_for(state="detached")
    look(visitor, "upload")


def see_it_well(visitor: Visitor) -> None:
    """Layouts, wheel, drags, keys; then at one to one the screen has the film's own greys."""
    page = visitor.page
    visitor.press("3")
    visitor.seen()
    look(visitor, "back-to-back")
    visitor.press("1")
    visitor.seen()
    pane = visitor.pane("R CC")
    box = pane.bounding_box()
    x, y = round(box["x"] + box["width"] * 0.6), round(box["y"] + box["height"] / 2)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.mouse.down(button="right")
    page.mouse.move(x + 60, y - 30, steps=5)
    page.mouse.up(button="right")
    page.mouse.move(x, y)
    foot = page.locator(".pane-foot").inner_text()
    assert re.search(r"W 110\s+L 45", foot), foot
    visitor.press("i", "m")
    page.locator(".lens").wait_for()
    look(visitor, "magnifier")
    visitor.press("m", "i", "a", "0", "o")
    words = page.locator("#place").inner_text().split()
    row, col = int(words[words.index("row") + 1]), int(words[words.index("col") + 1])
    page.mouse.move(1, 1)
    shown = visitor.pixels(pane)
    film = next(each for each in map(read_mammogram, films("P_00820")) if name_of(each) == ("R", "CC"))
    left, top = round(x - box["x"]), round(y - box["y"])
    part = shown[top - 200 : top + 200, left - 200 : left + 200, 0]
    expected = np.rint(film.pixels[row - 200 : row + 200, col - 200 : col + 200].astype(float) * 65535) / 257
    assert np.abs(part - expected).max() <= 0.5 + 1e-9
    visitor.press("o", "2")
    visitor.seen()


def name_of(film: object) -> tuple[str, str]:
    assert isinstance(film, Mammogram)
    return film.facts.laterality, str(film.facts.view)


def mark_and_label(visitor: Visitor) -> None:
    page = visitor.page
    click(visitor, "R CC", 0.75, 0.55)
    page.get_by_role("radio", name="DCIS").check()
    page.get_by_role("radio", name="4C").check()
    page.get_by_label("Morphology").select_option("fine_pleomorphic")
    page.get_by_label("Distribution").select_option("segmental")
    page.get_by_label("Note").fill("new since the last film")
    click(visitor, "R MLO", 0.7, 0.6)
    page.get_by_text("Same lesion as A in R CC?").wait_for()
    visitor.press("l")
    visitor.saved()
    assert {(mark["lesion"], mark["distribution"], mark["side"]) for mark in marks(visitor)} == {
        ("A", "segmental", 512)
    }
    look(visitor, "labels")


def read_and_explain(visitor: Visitor) -> None:
    page = visitor.page
    visitor.press("r")
    reading = page.get_by_role("region", name="Reading")
    reading.wait_for(timeout=60_000)
    for network in ("Ensemble", "ResNet-101", "DenseNet-201"):
        assert reading.get_by_role("button", name=network).is_visible()
    assert reading.get_by_role("list", name="Warnings").get_by_role("listitem").count() >= 1
    visitor.press("1", "0")
    until(lambda: coloured(visitor) > 20_000, seconds=10, what="the heatmap")
    look(visitor, "reading")
    page.get_by_label("Opacity of the heatmap").fill("0")
    until(lambda: coloured(visitor) < 10_000, seconds=10, what="the heatmap to fade")
    page.get_by_label("Opacity of the heatmap").fill("60")
    page.get_by_label("Heatmap of").select_option("densenet201")
    before = reading.get_by_role("row", name="PPV").inner_text()
    page.get_by_label("Prevalence of malignancy").fill("5")
    page.get_by_label("Prevalence of malignancy").press("Enter")
    until(lambda: reading.get_by_role("row", name="PPV").inner_text() != before, seconds=10, what="another PPV")
    visitor.press("Escape")


def send(visitor: Visitor, pacs_server: Orthanc) -> None:
    page = visitor.page
    page.get_by_role("button", name=re.compile("Square A on R MLO")).click()
    held = len(pacs_server.held())
    page.get_by_role("button", name="Send to PACS").click()
    objects = page.get_by_role("list", name="Objects for the PACS").get_by_role("listitem")
    until(lambda: objects.filter(has_text="in the PACS").count() == 3, seconds=60, what="three objects in the PACS")
    look(visitor, "sent")
    page.get_by_role("button", name="Send to PACS").click()
    page.wait_for_timeout(500)
    after = pacs_server.held()
    assert len(after) == held + 3
    assert set(after.values()) == {1}
