"""A browser in front of a served reading room: Debian's Chromium, driven by Playwright, and the room on a free port.

A page that logs an error, or loads anything from elsewhere, fails its test at the end.
"""

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="pip install 'microcalc[reader]'")
pytest.importorskip("playwright", reason="pip install playwright")

import uvicorn
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from microcalc.reader.room.room import Room, open_room
from microcalc.reader.settings import Settings
from microcalc.reader.web.app import app_of
from services import program

ARGUMENTS = [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--force-color-profile=srgb",
]  # fmt: skip
"""Quiet, and greys as they are."""

SCREEN = {"width": 1440, "height": 900}


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        path = program("chromium", package="chromium")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def served(folder: Path, *, reader: Any = None, **settings: Any) -> Iterator[Room]:
    """A reading room that listens on a free port of this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        values = replace(Settings(study=None, data=folder / "data", decode_processes=0, port=port), **settings)
        room = open_room(values, reader=reader)
        server = uvicorn.Server(uvicorn.Config(app_of(room), log_level="error", access_log=False, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield room
        finally:
            server.should_exit = True
            thread.join()


@dataclass
class Visitor:
    """Somebody at the page."""

    page: Page
    room: Room
    troubles: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.room.settings.port}/"

    def watch(self) -> None:
        """Note errors of the page, and whatever it asks of others."""
        self.page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        self.page.on("console", lambda said: self.troubles.append(said.text) if said.type == "error" else None)
        self.page.on("request", lambda asked: self._own(asked.url))

    def _own(self, url: str) -> None:
        if not url.startswith((self.base, "blob:", "data:")):
            self.troubles.append(f"asked of others: {url}")
        if "search=" in url:
            self.troubles.append(f"a search, which may name a patient, in an address: {url}")

    def by_token(self, query: str = "") -> "Visitor":
        """Log in with the printed address, and wait for the worklist."""
        self.page.goto(self.room.token_url)
        if query:
            self.page.goto(self.base + query)
        self.page.get_by_role("heading", name="Worklist").wait_for()
        return self

    def by_password(self, name: str, password: str) -> "Visitor":
        """Log in with name and password."""
        self.expected += ("401",)
        self.page.goto(self.base)
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Worklist").wait_for()
        return self

    def upload(self, *files: bytes | tuple[str, bytes]) -> None:
        """Give files to the page's file picker, and wait for the verdicts."""
        named = [file if isinstance(file, tuple) else (f"{i}.dcm", file) for i, file in enumerate(files)]
        payload = [{"name": name, "mimeType": "application/dicom", "buffer": content} for name, content in named]
        self.page.locator("input[type=file]").set_input_files(payload)  # type: ignore[arg-type]
        self.page.get_by_text("taken in").wait_for(timeout=120_000)

    def open_exam(self, patient: str) -> None:
        """Open a patient's exam, and wait until its images are seen."""
        self.page.get_by_role("link", name=patient, exact=True).click()
        self.seen()

    def seen(self) -> None:
        """Wait until every pane has its image."""
        self.page.locator(".pane-foot:not(:empty)").first.wait_for(timeout=60_000)
        for bar in self.page.locator(".pane-progress").all():
            bar.wait_for(state="hidden", timeout=60_000)

    def pane(self, name: str) -> Locator:
        """Canvas of the image of that name."""
        return self.page.get_by_label(f"{name}; press question mark for the keys")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self) -> None:
        """Wait until the page says that everything is saved."""
        self.page.locator(".save-state[data-state=saved]").wait_for()

    def shot(self, path: Path) -> None:
        """The screen as a file, for somebody to look at."""
        self.page.screenshot(path=path)

    def pixels(self, place: Locator) -> np.ndarray:
        """(rows, cols, 3) uint8: the screen's own pixels of an element."""
        return np.asarray(Image.open(io.BytesIO(place.screenshot(scale="device"))).convert("RGB"))


@contextmanager
def visiting(browser: Browser, room: Room, **context: Any) -> Iterator[Visitor]:
    """A visitor with a browser profile of its own; keywords go to Playwright's context."""
    made: BrowserContext = browser.new_context(**({"viewport": SCREEN} | context))
    made.set_default_timeout(60_000)
    visitor = Visitor(made.new_page(), room)
    visitor.watch()
    yield visitor
    made.close()
    troubles = [each for each in visitor.troubles if not any(word in each for word in visitor.expected)]
    assert troubles == []
