"""The outbox: whatever the PACS does, nothing is lost and nothing is there twice."""

import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset
from sqlalchemy import select

from digital_mammogram import digital_mammogram
from microcalc.reader.pacs.archive import PacsClient
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import checked_pacs_settings
from microcalc.reader.room.courier import Courier
from microcalc.reader.store.database import Store, sqlite_url
from microcalc.reader.store.models import OutboxEntry
from microcalc.reader.store.outbox import LONGEST_WAIT, Outbox, OutboxState, wait_after
from report_readings import finding, objects_of
from services import LEAKS, Orthanc, until
from unruly_proxy import UnrulyProxy, page

pytestmark = LEAKS
SOURCE = digital_mammogram(600, 500, number=77)
_numbers = iter(range(10_000))


def report() -> list[Dataset]:
    """Objects that no other test sends."""
    return objects_of(SOURCE, finding(300, 200, reading_id=f"outbox {os.getpid()} {next(_numbers)}"))


@pytest.fixture
def store(tmp_path: Path, pacs_server: Orthanc) -> Iterator[Store]:
    opened = Store.open(sqlite_url(tmp_path / "store.sqlite"))
    yield opened
    opened.close()


class Clock:
    """A clock that the test sets forward."""

    def __init__(self) -> None:
        self.now = dt.datetime(2026, 3, 4, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **spans: float) -> None:
        self.now += dt.timedelta(**spans)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(store: Store, tmp_path: Path, clock: Clock) -> Outbox:
    return Outbox(store, tmp_path, clock=clock)


def web(port: int, **values: object) -> PacsClient:
    settings = {
        "kind": "dicomweb", "url": f"http://127.0.0.1:{port}/dicom-web", "user_env": Orthanc.USER_ENV,
        "password_env": Orthanc.PASSWORD_ENV, "timeout_s": 10, **values,
    }  # fmt: skip
    return open_pacs(checked_pacs_settings(settings, source="test"))


def dimse(port: int, **values: object) -> PacsClient:
    settings = {"kind": "dimse", "host": "127.0.0.1", "port": port, "title": Orthanc.TITLE, "timeout_s": 10, **values}
    return open_pacs(checked_pacs_settings(settings, source="test"))


def entries(store: Store) -> list[OutboxEntry]:
    with store.reading() as session:
        return list(session.scalars(select(OutboxEntry).order_by(OutboxEntry.sop_uid)))


def held(server: Orthanc, objects: list[Dataset]) -> list[int]:
    found = server.held()
    return [found.get(made.SOPInstanceUID, 0) for made in objects]


def test_what_is_put_in_is_sent_once(outbox: Outbox, store: Store, pacs_server: Orthanc, tmp_path: Path):
    objects = report()
    outbox.put(objects)
    assert outbox.deliver(web(pacs_server.http_port)).sent == 3
    assert held(pacs_server, objects) == [1, 1, 1]
    assert {entry.state for entry in entries(store)} == {OutboxState.SENT}
    assert list((tmp_path / "outbox").iterdir()) == []
    assert outbox.deliver(web(pacs_server.http_port)).sent == 0


def test_the_same_report_put_in_again_is_the_same_entry(outbox: Outbox, store: Store):
    objects = report()
    assert outbox.put(objects) == outbox.put(objects)
    assert len(entries(store)) == 3


def test_a_report_put_in_again_after_it_was_sent_is_not_sent_again(
    outbox: Outbox, pacs_server: Orthanc, clock: Clock
):  # fmt: skip
    objects = report()
    outbox.put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        outbox.deliver(web(proxy.port))
        outbox.put(objects)
        clock.forward(days=1)
        outbox.deliver(web(proxy.port))
        assert proxy.stowed() == 3


def test_the_entry_is_made_in_the_session_of_the_caller_and_undone_with_it(outbox: Outbox, store: Store):
    uid, kind = outbox.keep(report()[0])
    with store.writing() as session:
        outbox.enter(session, uid, kind)
        session.rollback()
    assert entries(store) == []
    assert outbox.clean() == 1


@pytest.mark.parametrize("speak", [web, dimse])
def test_a_pacs_that_is_down_gets_everything_later(
    speak: object, outbox: Outbox, store: Store, pacs_server: Orthanc, clock: Clock
):
    objects = report()
    outbox.put(objects)
    assert outbox.deliver(speak(1, timeout_s=2)).failed == 3  # type: ignore[operator]
    assert all("must be reachable" in entry.last_error for entry in entries(store))
    port = pacs_server.http_port if speak is web else pacs_server.dicom_port
    assert outbox.deliver(speak(port)).sent == 0  # type: ignore[operator]  # the back-off has not run out
    clock.forward(seconds=30)
    assert outbox.deliver(speak(port)).sent == 3  # type: ignore[operator]
    assert held(pacs_server, objects) == [1, 1, 1]


NONSENSE = {
    "a page": page(b"<html>Welcome to the hospital</html>"),
    "an empty answer": page(b""),
    "broken json": page(b'[{"00080018": ', kind="application/dicom+json"),
    "another json": page(b'{"ok": true}', kind="application/dicom+json"),
    "no http": b"\x00\x01\x02 what?\r\n",
    "nothing": page(b"", status="204 No Content"),
    "refused": page(b"disk full", status="507 Insufficient Storage"),
    "busy": page(b"busy", status="503 Service Unavailable"),
    "not for you": page(b"", status="403 Forbidden"),
    "conflict": page(b"what?", status="409 Conflict"),
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_pacs_that_answers_nonsense_gets_everything_later(
    answer: bytes, outbox: Outbox, store: Store, pacs_server: Orthanc, clock: Clock
):
    objects = report()[:1]
    outbox.put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        proxy.answer = answer
        for _ in range(2):
            assert outbox.deliver(web(proxy.port)).failed == 1
            clock.forward(seconds=30)
        assert entries(store)[0].last_error
        proxy.answer = b""
        assert outbox.deliver(web(proxy.port)).sent == 1
    assert held(pacs_server, objects) == [1]


def test_an_answer_that_is_lost_is_not_a_second_object(
    outbox: Outbox, store: Store, pacs_server: Orthanc, clock: Clock
):  # fmt: skip
    objects = report()[:1]
    outbox.put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        proxy.lose_answers = True
        assert outbox.deliver(web(proxy.port)).failed == 1
        assert held(pacs_server, objects) == [1]  # it came, but nobody knows
        proxy.lose_answers = False
        clock.forward(seconds=30)
        assert outbox.deliver(web(proxy.port)).sent == 1
        assert proxy.stowed() == 1  # asked for, not sent again


def test_by_dimse_an_answer_that_is_lost_is_not_a_second_object(outbox: Outbox, pacs_server: Orthanc, clock: Clock):
    objects = report()
    outbox.put(objects)
    with UnrulyProxy(pacs_server.dicom_port) as proxy:
        proxy.lose_after = 1  # of three answers
        assert outbox.deliver(dimse(proxy.port)).failed == 3
        proxy.lose_after = None
        clock.forward(seconds=30)
        assert outbox.deliver(dimse(proxy.port)).sent == 3
    assert held(pacs_server, objects) == [1, 1, 1]


def test_a_pacs_that_hangs_is_given_up_and_tried_later(
    outbox: Outbox, store: Store, pacs_server: Orthanc, clock: Clock
):  # fmt: skip
    objects = report()[:1]
    outbox.put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        proxy.hold.set()
        assert outbox.deliver(web(proxy.port, timeout_s=0.5)).failed == 1
        assert "must answer in time" in entries(store)[0].last_error
        proxy.hold.clear()
        clock.forward(seconds=30)
        assert outbox.deliver(web(proxy.port)).sent == 1


def test_a_pacs_that_drips_is_given_up(outbox: Outbox, store: Store, pacs_server: Orthanc):
    outbox.put(report()[:1])
    with UnrulyProxy(pacs_server.http_port) as proxy:
        proxy.drip_s = 0.05
        began = time.monotonic()
        assert outbox.deliver(web(proxy.port, patience_s=1)).failed == 1
        assert time.monotonic() - began < 10
    assert "must answer" in entries(store)[0].last_error


def test_a_pacs_killed_in_the_middle_gets_each_object_once(store: Store, tmp_path: Path):
    """The PACS dies after the first object of nine and comes back; the courier goes on by itself."""
    objects = [made for _ in range(3) for made in report()]
    outbox = Outbox(store, tmp_path)
    folder = tmp_path / "orthanc"
    folder.mkdir()
    server = Orthanc(folder)
    server.start()
    try:
        with UnrulyProxy(server.http_port) as proxy:
            proxy.on_request = lambda: server.kill() if proxy.stowed() == 2 else None
            outbox.put(objects)
            with Courier(outbox, web(proxy.port), every_s=0.05):
                until(lambda: proxy.stowed() >= 2, seconds=20, what="the second object")
                until(lambda: any(e.last_error for e in entries(store)), seconds=20, what="the failure to be noted")
                proxy.on_request = lambda: None
                server.start()
                outbox.hurry()
                until(lambda: outbox.waiting() == 0, seconds=60, what="everything to be sent")
        assert held(server, objects) == [1] * 9
    finally:
        server.kill()


SENDER = """
import sys
from pathlib import Path
from microcalc.reader.pacs.dicomweb import DicomwebPacs
from microcalc.reader.pacs.settings import DicomwebSettings
from microcalc.reader.store.outbox import Outbox
from microcalc.reader.store.database import Store, sqlite_url
folder, port = Path(sys.argv[1]), int(sys.argv[2])
client = DicomwebPacs(DicomwebSettings(kind="dicomweb", url=f"http://127.0.0.1:{port}/dicom-web"))
Outbox(Store.open(sqlite_url(folder / "store.sqlite")), folder).deliver(client)
"""


def test_a_sender_killed_while_it_sends_loses_nothing(store: Store, tmp_path: Path, pacs_server: Orthanc):
    objects = report()
    Outbox(store, tmp_path).put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        proxy.hold.set()
        sender = subprocess.Popen([sys.executable, "-c", SENDER, tmp_path, str(proxy.port)])
        until(lambda: proxy.stowed() == 1, seconds=60, what="the sender to send", process=sender)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        proxy.hold.clear()
        assert {entry.state for entry in entries(store)} == {OutboxState.SENDING}
        again = Outbox(store, tmp_path)
        assert again.deliver(web(proxy.port)).sent == 0  # still claimed by the one that died
        with Courier(again, web(proxy.port), every_s=0.05):
            until(lambda: again.waiting() == 0, seconds=30, what="everything to be sent")
    assert held(pacs_server, objects) == [1, 1, 1]


def test_a_claim_runs_out(outbox: Outbox, store: Store, pacs_server: Orthanc, clock: Clock):
    outbox.put(report()[:1])
    assert len(outbox._claim()) == 1  # a sender that was killed here
    clock.forward(minutes=21)
    assert outbox.deliver(web(pacs_server.http_port)).sent == 1


@pytest.fixture(params=["sqlite", "postgresql"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        opened = Store.open(sqlite_url(tmp_path / "store.sqlite"))
    else:
        opened = Store.open(request.getfixturevalue("postgresql").database())
    yield opened
    opened.close()


def test_two_senders_send_each_object_once(either_store: Store, tmp_path: Path, pacs_server: Orthanc):
    store = either_store
    objects = [made for _ in range(4) for made in report()]
    Outbox(store, tmp_path).put(objects)
    with UnrulyProxy(pacs_server.http_port) as proxy:
        senders = [
            threading.Thread(target=Outbox(store, tmp_path).deliver, args=(web(proxy.port),)) for _ in range(4)
        ]  # fmt: skip
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert proxy.stowed() == 12
    assert held(pacs_server, objects) == [1] * 12


def test_a_damaged_payload_does_not_hold_up_the_others(
    outbox: Outbox, store: Store, pacs_server: Orthanc, tmp_path: Path
):  # fmt: skip
    objects = report()
    outbox.put(objects)
    (tmp_path / "outbox" / f"{objects[1].SOPInstanceUID}.dcm").write_bytes(b"damaged")
    done = outbox.deliver(web(pacs_server.http_port))
    assert (done.sent, done.failed) == (2, 1)
    assert outbox.waiting() == 1


def test_the_back_off_doubles_up_to_an_hour():
    waits = [wait_after(tries).total_seconds() for tries in range(1, 40)]
    assert 4.5 <= waits[0] <= 5.5
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(waits[:9]))
    assert max(waits) <= LONGEST_WAIT.total_seconds() * 1.1
