"""The dialog that asks the PACS says where it does not show everything."""

from pathlib import Path

import pytest

from microcalc.reader.web import routes_pacs
from page_browser import chromium, served, visiting
from reader_room import mammogram
from services import Orthanc
from test_reader_postroom import settings_file


def test_the_dialog_says_that_there_are_more_exams_than_it_shows(
    pacs_server: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("T_USER", Orthanc.USER)
    monkeypatch.setenv("T_PASSWORD", Orthanc.PASSWORD)
    monkeypatch.setattr(routes_pacs, "MOST_STUDIES", 2)
    for study in (91, 92, 93):
        pacs_server.put(mammogram(1, study=study, PatientID=f"{'FEW' if study == 93 else 'HEAP'}-{study}"))
        pacs_server.put(mammogram(1, study=study + 10, PatientID=f"HEAP-{study}"))
    settings = settings_file(tmp_path, pacs_server)
    with chromium() as browser, served(tmp_path, pacs=settings) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        page.get_by_role("button", name="Query PACS").click()
        dialog = page.get_by_role("dialog", name="Query the PACS")
        rows = dialog.get_by_role("button", name="Fetch")
        hint = dialog.get_by_text("The first 2; the PACS may have more. Narrow the query.")
        dialog.get_by_label("Patient ID").fill("HEAP-*")
        dialog.get_by_role("button", name="Query").click()
        hint.wait_for()
        assert rows.count() == 2
        dialog.get_by_label("Patient ID").fill("FEW-93")
        dialog.get_by_role("button", name="Query").click()
        dialog.get_by_text("FEW-93").wait_for()
        assert (rows.count(), hint.count()) == (1, 0)
