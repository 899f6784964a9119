"""The server as a process: killed during saves and uploads, flooded, listened to, and looked at from outside."""

import hashlib
import itertools
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from microcalc.reader.store import audit
from microcalc.reader.store.database import Store, sqlite_url
from reader_room import mammogram
from reader_server import Server, upload
from services import until

HOOK = """
import os, sys
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        with open(os.environ["CALLS"], "a") as file:
            file.write(f"{event} {args[1:]}\\n")
with open(os.environ["CALLS"], "a") as file:
    file.write("started\\n")
sys.addaudithook(hook)
"""
"""Writes down every call of this server, and of its processes, to another address."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for several tests, with a small limit of uploads, whose calls to anywhere are written down."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "sitecustomize.py").write_text(HOOK)
    environment = {"PYTHONPATH": str(folder), "CALLS": str(folder / "calls.txt")}
    server = Server(folder / "data", "--largest-upload", "150", environment=environment).start()
    yield server
    server.kill()


@pytest.fixture
def visitor(watched: Server) -> httpx.Client:
    """The owner of `watched`."""
    return watched.client()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of its own."""
    server = Server(tmp_path / "data").start()
    yield server
    if server.process.poll() is None:
        server.kill()


@pytest.mark.slow
def test_what_was_saved_before_a_kill_is_there_after_it_and_nothing_else(server: Server):
    client = server.client()
    image = upload(client, mammogram())[0]["image_id"]
    saved: dict[str, list[int]] = {}
    threads = [threading.Thread(target=_keep_saving, args=(client, image, saved, n)) for n in range(3)]
    for thread in threads:
        thread.start()
    while sum(map(len, saved.values())) < 40:
        time.sleep(0.02)
    server.kill()
    for thread in threads:
        thread.join()
    again = Server(server.data).start()
    with closing(again.client()) as later:
        exam = later.get("/api/exams").json()[0]["id"]
        there = {mark["id"]: mark for mark in later.get(f"/api/exams/{exam}/annotations").json()}
        for mark_id, rows in saved.items():
            history = later.get(f"/api/annotations/{mark_id}/history").json()
            held = [int(version["row"]) for version in history]
            assert held[: len(rows)] == rows
            assert len(held) <= len(rows) + 1  # one may have been saved without having been acknowledged
            assert there[mark_id]["revision"] == len(held)
        assert later.get("/api/audit?check=yes").json()["whole"]
    again.kill()


def _keep_saving(client: httpx.Client, image: str, saved: dict[str, list[int]], number: int) -> None:
    """Save until the server is gone; keep what it acknowledged."""
    try:
        mark = client.post(f"/api/images/{image}/annotations", json={"row": 0, "col": number}).json()
        rows = saved.setdefault(mark["id"], [0])
        for revision in itertools.count(1):
            body = {"row": revision, "col": number, "revision": revision}
            assert client.put(f"/api/annotations/{mark['id']}", json=body).status_code == 200
            rows.append(revision)
    except httpx.TransportError:
        return


@pytest.mark.slow
def test_after_a_kill_during_uploads_every_acknowledged_image_is_whole_and_none_is_half(server: Server):
    client = server.client()
    acknowledged: list[str] = []

    def keep_uploading() -> None:
        try:
            for number in itertools.count():
                acknowledged.append(upload(client, mammogram(number, rows=900, cols=900))[0]["image_id"])
        except httpx.TransportError:
            return

    thread = threading.Thread(target=keep_uploading)
    thread.start()
    while len(acknowledged) < 4:
        time.sleep(0.01)
    time.sleep(0.05)
    server.kill()
    thread.join()
    again = Server(server.data).start()
    with closing(again.client()) as later:
        images = later.get(f"/api/exams/{later.get('/api/exams').json()[0]['id']}").json()["images"]
        assert set(acknowledged) <= {image["id"] for image in images}
        assert len(images) <= len(acknowledged) + 1
        for image in images:
            assert image["accepted"]
            assert len(later.get(f"/api/images/{image['id']}/pixels").content) == 2 * 900 * 900
    again.kill()
    for path in (server.data / "objects").rglob("*.dcm"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem
    assert list((server.data / "incoming").iterdir()) == []


def test_a_5_gigabyte_upload_is_refused_at_its_head(visitor: httpx.Client):
    client = visitor
    host, port = client.base_url.host, client.base_url.port
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    head = (
        f"POST /api/uploads HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: {cookie}\r\n"
        f"X-CSRF: {client.headers['X-CSRF']}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {5 << 30}\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"declares more" in answer


def test_an_endless_upload_is_stopped_at_the_limit_in_bounded_memory(watched: Server, visitor: httpx.Client):
    upload(visitor, mammogram())
    before, sent = watched.peak_memory(), 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="endless.dcm"\r\n\r\n'
        while sent < 400 << 20:
            sent += 1 << 20
            yield bytes(1 << 20)

    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    with suppress(httpx.TransportError):  # the server may close the connection before the client has looked
        assert visitor.post("/api/uploads", content=endless(), headers=kind).status_code == 413
    assert 100 << 20 < sent < 200 << 20
    assert watched.peak_memory() - before < 40 << 20
    assert list((watched.data / "incoming").iterdir()) == []
    assert visitor.get("/api/me").status_code == 200


def test_the_log_holds_neither_names_nor_ids_nor_queries_nor_tokens(watched: Server, visitor: httpx.Client):
    taken = upload(visitor, mammogram(2, PatientName="Geheim^Person", PatientID="S-987654"))[0]
    visitor.post("/api/exams/search", json={"search": "Geheim"})
    visitor.get(f"/api/exams/{taken['exam_id']}")
    visitor.get(f"/api/images/{taken['image_id']}/pixels")
    visitor.get("/Geheim^Person/S-987654")
    visitor.get("/api/images/Geheim/pixels")
    visitor.post("/api/login", json={"name": "Geheim", "password": "Geheim"})
    secrets = (*visitor.cookies.values(), visitor.headers["X-CSRF"], taken["exam_id"], taken["image_id"])
    until(lambda: "POST /api/login 401" in watched.output, seconds=10, what="the last line of the log")
    log = "\n".join(line for line in watched.output.splitlines() if "/api/token?" not in line)
    assert "GET /api/images/{image_id}/pixels 200" in log
    for secret in ("Geheim", "987654", "search=", *secrets):
        assert secret not in log, secret


def test_nothing_phones_home(watched: Server, visitor: httpx.Client, tmp_path: Path):
    taken = upload(visitor, mammogram(3))[0]
    visitor.get(f"/api/images/{taken['image_id']}/pixels")
    visitor.get("/")
    assert [
        line for line in (watched.data.parent / "calls.txt").read_text().splitlines() if "started" not in line
    ] == []


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_refused(watched: Server, visitor: httpx.Client):
    second = Server(watched.data).start()
    assert second.process.wait(60) == 1
    second.end()
    assert "must have one server; another is running on it" in second.output


@pytest.mark.slow
def test_ctrl_c_ends_it_and_the_log_of_deeds_is_whole(server: Server):
    client = server.client()
    upload(client, mammogram())
    client.close()
    assert server.stop() in (0, 130)
    assert "Traceback" not in server.output
    store = Store.open(sqlite_url(server.data / "store.sqlite"))
    state = audit.verify(store)
    store.close()
    assert state.broken_at is None
    assert state.head.number >= 2


def test_the_data_folder_is_closed_to_others_and_its_database_writes_ahead(watched: Server, visitor: httpx.Client):
    assert watched.data.stat().st_mode & 0o077 == 0
    with sqlite3.connect(watched.data / "store.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
