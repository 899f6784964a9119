"""The reading room under load: first sight of an image, one reading, twenty readers at once; a real server process.

    python -m benchmarks.reader [STUDY] [--readers 20] [--rounds 8] [--every 2]

About four minutes on 2 cores. Without a study a study-like folder of the paper's input sizes is made for the time of
the run, as in `benchmarks.reading`. The server is `microcalc serve`; the readers are threads here, each with a session
of its own, that ask for a reading every ``--every`` seconds, or as soon as the last answer has come if that is later.
Goals (2 cores, nothing else running): a reading with all heatmaps in 300 ms at the median and 600 ms at the 95th
percentile; twenty readers without an error, 95th percentile under 3 s; the pixels of a 4,700 x 2,900 image with 16 bits
well within the 1.5 s after which it must be seen. What the browser adds, and the pace of a drag of the window, is
measured by `benchmarks.page`.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from benchmarks.reading import study_folder
from microcalc.reader.room.people import Role, add_account, open_session
from microcalc.reader.room.room import open_store
from microcalc.reader.settings import Settings
from microcalc.reader.store.database import Store

ROWS, COLUMNS = 4_700, 2_900
_URL = re.compile(r"(http://127\.0\.0\.1:\d+)/api/token\?token=\S+")


@dataclass
class Browser:
    """A session with the server on one connection, as a browser keeps it, that costs the two cores little."""

    base: str
    cookie: str
    csrf: str = ""

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.base.removeprefix("http://"), timeout=120)
        self.csrf = json.loads(self.ask("GET", "/api/me"))["csrf"]

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        """Body of an answer; an error status raises."""
        headers = {"Cookie": self.cookie, "X-CSRF": self.csrf, "Content-Type": kind, "Accept-Encoding": "gzip"}
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content

    def upload(self, content: bytes) -> str:
        """Id of a new image."""
        head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.dcm"\r\n\r\n'
        answer = self.ask("POST", "/api/uploads", head + content + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
        return str(json.loads(answer)[0]["image_id"])

    def mark(self, image: str, row: int, col: int) -> str:
        """Id of a new square."""
        body = json.dumps({"row": row, "col": col}).encode()
        return str(json.loads(self.ask("POST", f"/api/images/{image}/annotations", body))["id"])

    def read(self, mark: str) -> dict[str, object]:
        """A reading."""
        return dict(json.loads(self.ask("POST", f"/api/annotations/{mark}/reading", b"{}")))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="The reading room under load.")
    parser.add_argument("study", type=Path, nargs="?", help="finished; default: a study-like folder of paper size")
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two readings of a reader")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder, study_folder(options.study) as study:
        data = Path(folder) / "room"
        server, base = start(study, data)
        try:
            store = open_store(Settings(study=None, data=data))
            browsers = [Browser(base, cookie(store, f"reader{n}")) for n in range(options.readers)]
            image = first_sight(browsers[0], data)
            one_reader(browsers[0], image)
            many_readers(browsers, image, rounds=options.rounds, every=options.every)
            store.close()
        finally:
            server.terminate()
            server.wait()


def start(study: Path, data: Path) -> tuple[subprocess.Popen[str], str]:
    """A server on a free port, and its address."""
    command = [sys.executable, "-c", "from microcalc.cli import main; main()", "serve", str(study)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    begun = time.perf_counter()
    server = subprocess.Popen(
        [*command, "--data", str(data), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    if server.stdout is None:
        raise RuntimeError("the server's output was asked for")
    for line in server.stdout:
        found = _URL.search(line)
        if found:
            threading.Thread(target=server.stdout.read, daemon=True).start()
            print(f"start of the server, networks loaded: {time.perf_counter() - begun:.1f} s")
            return server, found[1]
    raise RuntimeError("the server ended before it was ready")


def cookie(store: Store, name: str) -> str:
    """A session of a new account, made beside the server so that no password need be hashed."""
    with store.writing() as session:
        value = open_session(session, add_account(session, name, Role.READER, ""))
    digest = hashlib.sha256(store.name.encode()).hexdigest()[:8]
    return f"microcalc-{digest}={value}"


def first_sight(browser: Browser, data: Path) -> str:
    """How long the server's part takes until an image can be drawn: cached, and with the cache emptied."""
    begun = time.perf_counter()
    image = browser.upload(mammogram())
    print(f"upload of {ROWS} x {COLUMNS}, decoded and cached: {time.perf_counter() - begun:.2f} s")
    for name, prepare in (("cached", None), ("cache emptied", lambda: empty(data / "pixels"))):
        times = timed(lambda: look(browser, image), repetitions=5, prepare=prepare)
        print(
            f"pixels on the client, unpacked, {name}: median {statistics.median(times):.2f} s, most {max(times):.2f} s"
        )
    return image


def look(browser: Browser, image: str) -> None:
    """What the page asks for at a click."""
    exam = json.loads(browser.ask("GET", "/api/exams"))[0]["id"]
    browser.ask("GET", f"/api/exams/{exam}")
    browser.ask("GET", f"/api/exams/{exam}/annotations")
    pixels = zlib.decompress(browser.ask("GET", f"/api/images/{image}/pixels"), 31)
    if len(pixels) != 2 * ROWS * COLUMNS:
        raise RuntimeError("the pixels are not whole")


def one_reader(browser: Browser, image: str) -> None:
    """From the click on read to probabilities and all heatmaps."""
    mark = browser.mark(image, 2_000, 900)

    def click() -> None:
        reading = browser.read(mark)
        browser.ask("GET", f"/api/readings/{reading['id']}/heatmaps")

    times = timed(click, repetitions=30, warm_up=3)
    print(f"one reader, probabilities and heatmaps: {words(times)}")


def many_readers(browsers: Sequence[Browser], image: str, *, rounds: int, every: float) -> None:
    """All at once, each ``rounds`` readings; a square of its own each time."""
    errors: list[str] = []

    def work(number: int) -> list[float]:
        browser, times = browsers[number], []
        time.sleep(every * number / len(browsers))
        for turn in range(rounds):
            mark = browser.mark(image, 1_000 + 37 * turn, 300 + 23 * number)
            begun = time.perf_counter()
            try:
                browser.read(mark)
            except OSError as error:
                errors.append(str(error))
            times.append(time.perf_counter() - begun)
            time.sleep(max(0.0, every - times[-1]))
        return times

    begun = time.perf_counter()
    with ThreadPoolExecutor(len(browsers)) as pool:
        each = list(pool.map(work, range(len(browsers))))
    seconds, count = time.perf_counter() - begun, sum(map(len, each))
    slowest = max(statistics.median(times) for times in each)
    fastest = min(statistics.median(times) for times in each)
    print(f"{len(browsers)} readers, each every {every:g} s: {words([t for times in each for t in times])}")
    rate = f"{count / seconds:.1f} readings a second"
    print(f"  {len(errors)} errors; {rate}; medians of the readers {fastest:.2f} to {slowest:.2f} s")


def timed(
    action: Callable[[], None], *, repetitions: int, warm_up: int = 0, prepare: Callable[[], None] | None = None
) -> list[float]:
    """Seconds of each repetition."""
    times = []
    for turn in range(warm_up + repetitions):
        if prepare is not None:
            prepare()
        begun = time.perf_counter()
        action()
        if turn >= warm_up:
            times.append(time.perf_counter() - begun)
    return times


def words(times: Sequence[float]) -> str:
    """Median, 95th percentile and the largest."""
    p95 = float(np.percentile(times, 95))
    return f"median {statistics.median(times):.3f} s, p95 {p95:.3f} s, most {max(times):.3f} s, n {len(times)}"


def empty(folder: Path) -> None:
    """Remove the files below a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()


def mammogram() -> bytes:
    """A breast-like half disc with film grain, 16 bits, uncompressed DICOM."""
    y, x = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    radius = np.hypot((y - ROWS / 2) / (ROWS / 2.2), x / (COLUMNS / 1.3))
    grain = np.random.default_rng(0).normal(0, 500, (ROWS, COLUMNS)).astype(np.float32)
    grey = np.where(radius < 1, 22_000 + 20_000 * (1 - radius) + grain, 0)
    dataset = Dataset()
    values = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2", "SOPInstanceUID": "1.2.3.1", "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.2", "Modality": "MG", "PresentationIntentType": "FOR PRESENTATION",
        "ImageType": ["ORIGINAL", "PRIMARY", ""], "PatientID": "P1", "PatientName": "Bench^Mark",
        "StudyDate": "20190203", "ImageLaterality": "L", "ViewPosition": "CC", "Rows": ROWS, "Columns": COLUMNS,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 0, "WindowCenter": 32_768, "WindowWidth": 65_536,
        "PixelData": grey.clip(0, 65_535).astype("<u2").tobytes(),
    }  # fmt: skip
    for name, value in values.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    with tempfile.TemporaryFile() as file:
        dcmwrite(file, dataset, enforce_file_format=True)
        file.seek(0)
        return file.read()


if __name__ == "__main__":
    main()
