"""The worklist tells what the watched folder could not use."""

from pathlib import Path

from microcalc.reader.room.watch import refused_files
from page_browser import Room, chromium, served, visiting
from services import until


def refused(room: Room) -> list[dict[str, str]]:
    with room.store.reading() as session:
        return refused_files(session)


def test_what_the_watched_folder_could_not_use_is_told_above_the_worklist(tmp_path: Path):
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "letter.txt").write_text("no image")
    settings = {"watch": watched, "watch_seconds": 0.05}
    with chromium() as browser, served(tmp_path, **settings) as room, visiting(browser, room) as visitor:
        page = visitor.by_token().page
        told = page.get_by_role("region", name="Refused files of the watched folder")
        until(lambda: bool(refused(room)), seconds=20, what="the folder to be looked at")
        page.reload()
        told.get_by_text("1 file of the watched folder refused").wait_for()
        assert told.get_by_text("letter.txt").is_visible()
        visitor.shot(tmp_path / "told.png")
        told.get_by_role("button", name="Close").click()
        told.wait_for(state="hidden")
        (watched / "second.txt").write_text("no image either")
        until(lambda: len(refused(room)) == 2, seconds=20, what="the folder to be looked at again")
        page.get_by_label("Search patient, date or description").fill("x")
        told.get_by_text("second.txt").wait_for()
        assert told.get_by_text("letter.txt").count() == 0
