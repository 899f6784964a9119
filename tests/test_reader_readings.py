"""Reading squares: the right pixels, records that stay, heatmaps, prevalence, and a queue that is fair to people."""

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from microcalc.reader.room.desk import WORKERS
from microcalc.reader.room.fair_queue import FairQueue, TooManyWaitingError
from microcalc.reader.room.people import person_of_cookie
from microcalc.reader.settings import Limits
from reader_room import Guest, Rooms, StandIn

pytest_plugins = ("reader_room_fixtures",)


@pytest.fixture
def networks() -> StandIn:
    return StandIn()


@pytest.fixture
def guest(rooms: Rooms, networks: StandIn) -> Guest:
    """The owner of a room with a study."""
    return rooms.guest(rooms.open(reader=networks)).by_token()


def test_a_reading_is_of_the_square_that_was_placed(guest: Guest, networks: StandIn):
    image = guest.image()
    mark = guest.mark(image, row=300, col=200)
    reading = guest.post(f"/api/annotations/{mark['id']}/reading", {})
    assert networks.seen == [(300, 200)]
    shown = np.frombuffer(guest.http.get(f"/api/images/{image}/pixels").content, "<u2").reshape(620, 560)
    padded = np.pad(shown, 600, mode="reflect")[300 + 600 - 256 :, 200 + 600 - 256 :][:512, :512]
    assert reading["ensemble"] == pytest.approx(padded.mean() / 65535, abs=1e-6)
    assert (reading["revision"], reading["annotation_id"], reading["roi"]["padded"]) == (1, mark["id"], True)
    assert guest.get(f"/api/readings/{reading['id']}") == reading
    exam = guest.get("/api/exams")[0]["id"]
    assert guest.get(f"/api/exams/{exam}/annotations")[0]["reading_id"] == reading["id"]
    assert guest.get("/api/study")["name"] == "stand-in"


def test_a_heatmap_comes_as_bytes_row_by_row(guest: Guest):
    image = guest.image(rows=700, cols=700)
    reading = guest.post(f"/api/annotations/{guest.mark(image, row=350, col=350)['id']}/reading", {})
    shown = np.frombuffer(guest.http.get(f"/api/images/{image}/pixels").content, "<u2").reshape(700, 700)
    for network in ("resnet101", "densenet201", "ensemble"):
        answer = guest.http.get(f"/api/readings/{reading['id']}/heatmap/{network}")
        heat = np.frombuffer(answer.content, np.uint8).reshape(512, 512)
        assert np.abs(heat - shown[94:606, 94:606] / 257.0).max() <= 0.51
        assert answer.headers["content-encoding"] == "gzip"
    assert guest.http.get(f"/api/readings/{reading['id']}/heatmap/vgg").status_code == 404


def test_all_heatmaps_of_a_reading_come_at_once(guest: Guest):
    reading = guest.post(f"/api/annotations/{guest.mark(guest.image())['id']}/reading", {})
    path = f"/api/readings/{reading['id']}"
    answer = guest.http.get(f"{path}/heatmaps")
    names = answer.headers["X-Names"].split(",")
    assert sorted(names) == sorted([*reading["networks"], "ensemble"])
    each = np.frombuffer(answer.content, np.uint8).reshape(len(names), 512 * 512)
    for name, heat in zip(names, each, strict=True):
        assert guest.http.get(f"{path}/heatmap/{name}").content == heat.tobytes()
    known = {"If-None-Match": answer.headers["ETag"]}
    assert guest.http.get(f"{path}/heatmaps", headers=known).status_code == 304


def test_a_reading_is_explained_at_another_prevalence(guest: Guest, rooms: Rooms, networks: StandIn):
    reading = guest.post(f"/api/annotations/{guest.mark(guest.image())['id']}/reading", {"prevalence": 0.2})
    path = f"/api/readings/{reading['id']}"
    assert reading["meaning"]["ppv"]["value"] == 0.2
    assert guest.get(f"{path}?prevalence=0.01")["meaning"]["ppv"] == {
        "value": 0.01,
        "low": None,
        "high": None,
        "method": "wilson",
    }
    assert guest.get(path)["meaning"]["ppv"]["value"] == 0.2
    for wrong in ("0", "1", "-1", "nan", "x"):
        assert guest.http.get(f"{path}?prevalence={wrong}").status_code == 422
    networks.facts = {**networks.facts, "identity": "another"}
    answer = guest.http.get(f"{path}?prevalence=0.1")
    assert answer.status_code == 409
    assert "this server has another" in answer.json()["error"]


def test_without_a_study_nothing_is_read(owner: Guest):
    mark = owner.mark(owner.image())
    answer = owner.http.post(f"/api/annotations/{mark['id']}/reading", json={})
    assert answer.status_code == 409
    assert "serve STUDY" in answer.json()["way_out"]
    assert owner.get("/api/study")["networks"] == []


def test_others_cannot_see_a_reading_that_would_unblind_them(rooms: Rooms):
    room = rooms.open(reader=StandIn(), blind=True)
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    mark = anna.mark(anna.image())
    reading = anna.post(f"/api/annotations/{mark['id']}/reading", {})
    assert berta.http.get(f"/api/readings/{reading['id']}").status_code == 404
    assert berta.http.get(f"/api/readings/{reading['id']}/heatmap/ensemble").status_code == 404
    assert berta.http.get(f"/api/readings/{reading['id']}/heatmaps").status_code == 404
    assert berta.http.post(f"/api/annotations/{mark['id']}/reading", json={}).status_code == 404


def test_every_reading_is_in_the_log(guest: Guest):
    mark = guest.mark(guest.image())
    reading = guest.post(f"/api/annotations/{mark['id']}/reading", {})
    entry = next(e for e in guest.get("/api/audit")["entries"] if e["action"] == "read")
    assert entry["object_id"] == reading["id"]
    assert mark["id"] in entry["detail"]


def test_one_person_may_have_only_so_many_readings_waiting(rooms: Rooms):
    networks = StandIn(gate=threading.Event())
    room = rooms.open(reader=networks, limits=Limits(waiting_readings=2))
    guest = rooms.guest(room).by_token()
    path = f"/api/annotations/{guest.mark(guest.image())['id']}/reading"
    with ThreadPoolExecutor(8) as pool:
        codes = [pool.submit(lambda: guest.http.post(path, json={}).status_code) for _ in range(8)]
        assert next(code.result() for code in _as_done(codes)) == 429
        networks.gate.set()
        results = sorted(code.result() for code in codes)
    assert 8 - WORKERS - 2 <= results.count(429) <= 8 - 2
    assert set(results) == {201, 429}


def _as_done(futures):
    while not any(future.done() for future in futures):
        time.sleep(0.01)
    return [future for future in futures if future.done()]


def test_the_queue_takes_people_in_turn():
    queue, order, gate = FairQueue(), [], threading.Event()

    def work(name: str):
        def do() -> str:
            assert gate.wait(10)
            order.append(name)
            return name

        return do

    coming = [queue.put(name, work(name)) for name in "aaaabbc"]
    gate.set()
    assert [future.result(10) for future in coming] == list("aaaabbc")
    assert order == list("aabcaba") or order == list("abcabaa")
    queue.close()


def test_a_person_who_comes_late_waits_for_one_of_each_not_for_all():
    queue, order, gate = FairQueue(), [], threading.Event()
    first = queue.put("x", lambda: gate.wait(10))
    greedy = [queue.put("greedy", lambda: order.append("greedy")) for _ in range(50)]
    late = queue.put("late", lambda: order.append("late"))
    gate.set()
    late.result(10)
    assert order.index("late") <= 1
    for future in (first, *greedy):
        future.result(10)
    queue.close()


def test_cancelled_work_is_not_begun_and_an_error_reaches_whoever_waits():
    queue, gate = FairQueue(), threading.Event()
    running = queue.put("a", lambda: gate.wait(10))
    cancelled = queue.put("a", lambda: pytest.fail("was begun"))
    assert cancelled.cancel()
    broken = queue.put("a", lambda: 1 / 0)
    gate.set()
    assert running.result(10)
    with pytest.raises(ZeroDivisionError):
        broken.result(10)
    queue.close()
    with pytest.raises(TooManyWaitingError):
        queue.put("a", lambda: 1)


def test_a_closed_queue_cancels_what_waits():
    queue, gate = FairQueue(), threading.Event()
    begun = threading.Event()
    running = queue.put("a", lambda: begun.set() or gate.wait(10))
    waiting = queue.put("a", lambda: 1)
    assert begun.wait(10)
    threading.Timer(0.1, gate.set).start()
    queue.close()
    assert running.result(1)
    with pytest.raises(CancelledError):
        waiting.result(1)


def test_twenty_readers_at_once_each_get_their_own_answer(rooms: Rooms):
    room = rooms.open(reader=StandIn())
    owner = rooms.guest(room).by_token()
    image = owner.image()
    guests = [rooms.account(room, f"reader{n:02d}") for n in range(20)]

    def work(number: int) -> bool:
        guest = guests[number]
        mark = guest.mark(image, row=100 + 10 * number, col=100)
        reading = guest.post(f"/api/annotations/{mark['id']}/reading", {})
        return bool(reading["annotation_id"] == mark["id"] and reading["roi"]["row"] == 100 + 10 * number)

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(work, range(20)))
    state = owner.get("/api/audit?check=yes")
    assert state["whole"]


def test_a_reading_whose_page_was_left_is_not_begun(rooms: Rooms):
    networks = StandIn(gate=threading.Event())
    room = rooms.open(reader=networks)
    guest = rooms.guest(room).by_token()
    mark = guest.mark(guest.image())
    person = _person(guest)
    *begun, left = (room.desk.ask(mark["id"], person, None) for _ in range(3))
    assert left.cancel()
    networks.gate.set()
    for reading in begun:
        reading.result(10)
    assert len(networks.seen) == 2


def _person(guest: Guest):
    cookie = guest.http.cookies.get(guest.room.cookie_name)
    return person_of_cookie(guest.room.store, cookie, idle=guest.room.idle)


def test_only_squares_of_the_studys_size_are_read(rooms: Rooms, networks: StandIn):
    networks.facts = {**networks.facts, "spacing_mm": 0.07}
    guest = rooms.guest(rooms.open(reader=networks)).by_token()
    image = guest.image(ImagerPixelSpacing=[0.1, 0.1])
    answer = guest.http.post(f"/api/annotations/{guest.mark(image)['id']}/reading", json={})
    assert answer.status_code == 409
    assert "358.4 pixels wide on this image; this one is 512.0 pixels wide" in answer.json()["error"]
    assert networks.seen == []
    reading = guest.post(f"/api/annotations/{guest.mark(image, side=358.4)['id']}/reading", {})
    assert reading["roi"]["side"] == pytest.approx(358.4)
    without = guest.image(number=2)
    answer = guest.http.post(f"/api/annotations/{guest.mark(without)['id']}/reading", json={})
    assert "squares of the mammogram's own pixels" in answer.json()["error"] + answer.json()["way_out"]
