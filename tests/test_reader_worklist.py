"""The worklist: order, search, status; and what an exam shows. The whole story on PostgreSQL too."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert

from microcalc.reader.room.room import Room
from microcalc.reader.store import audit
from microcalc.reader.store.models import Account, Annotation, Exam, Image
from microcalc.reader.store.worklist import Status, Wanted, worklist
from reader_room import Guest, Rooms, StandIn, mammogram
from services import PostgreSQL

pytest_plugins = ("reader_room_fixtures",)


@pytest.fixture
def three(owner: Guest) -> Guest:
    """Three exams of three years."""
    owner.upload(
        mammogram(1, study=1, StudyDate="20170305", PatientName="Alpha^Anna", AccessionNumber="ACC-1"),
        mammogram(1, study=2, StudyDate="20190305", PatientName="Beta^Berta", SeriesDescription="100%_sure"),
        mammogram(
            1, study=3, StudyDate="20180305", PatientName="G\u00e4mma^\u00c9va", SpecificCharacterSet="ISO_IR 192"
        ),
    )
    return owner


def names(guest: Guest, **query: str) -> list[str]:
    return [exam["patient_name"].split("^")[0] for exam in guest.post("/api/exams/search", query, 200)]


def test_the_newest_exam_comes_first(three: Guest):
    assert names(three) == ["Beta", "G\u00e4mma", "Alpha"]
    assert names(three, limit="1", offset="1") == ["G\u00e4mma"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("anna", ["Alpha"]), ("P2", ["Beta"]), ("acc-1", ["Alpha"]), ("2018", ["G\u00e4mma"]),
        ("2017 alpha", ["Alpha"]), ("2017 beta", []), ("%", ["Beta"]), ("_", ["Beta"]), ("' OR 1=1 --", []), ("\\", []),
        ("", ["Beta", "G\u00e4mma", "Alpha"]),
    ],
)  # fmt: skip
def test_search_finds_words_and_no_wildcards(three: Guest, words: str, found: list[str]):
    assert names(three, search=words) == found


def test_words_of_a_search_never_stand_in_an_address(three: Guest):
    answer = three.http.get("/api/exams", params={"search": "anna"})
    assert answer.status_code == 422
    assert answer.json()["way_out"] == "send them in the body of POST /api/exams/search"
    assert "anna" not in answer.text


def test_a_wrong_status_is_refused_with_the_words_that_are_right(owner: Guest):
    answer = owner.http.get("/api/exams", params={"status": "lost"})
    assert answer.status_code == 422
    assert "'annotated'" in answer.json()["error"]
    assert "lost" not in answer.json()["error"]


def test_the_status_follows_what_was_done(rooms: Rooms):
    room = rooms.open(reader=StandIn())
    guest = rooms.guest(room).by_token()
    image = guest.image()
    mark = guest.mark(image)
    assert guest.get("/api/exams?status=annotated")[0]["status"] == "annotated"
    guest.post(f"/api/annotations/{mark['id']}/reading", {})
    assert guest.get("/api/exams")[0]["status"] == "read"
    assert guest.get("/api/exams?status=new") == []
    guest.http.delete(f"/api/annotations/{mark['id']}")
    assert guest.get("/api/exams")[0]["status"] == "new"


def test_images_of_an_exam_stand_right_before_left_and_cc_before_mlo(owner: Guest):
    for number, (side, view) in enumerate([("L", "MLO"), ("R", "MLO"), ("L", "CC"), ("R", "CC")]):
        taken = owner.upload(mammogram(number, ImageLaterality=side, ViewPosition=view))[0]
    images = owner.get(f"/api/exams/{taken['exam_id']}")["images"]
    assert [(i["laterality"], i["view"]) for i in images] == [("R", "CC"), ("R", "MLO"), ("L", "CC"), ("L", "MLO")]


def test_ids_are_random_and_what_is_guessed_is_not_found(owner: Guest, room: Room):
    image = owner.image()
    exam = owner.get("/api/exams")[0]["id"]
    assert len(image) == len(exam) == 32
    assert image != exam
    for guess in ("1", "0" * 32, image[:-1] + ("0" if image[-1] != "0" else "1"), "1.2.3.4.1.1", "P1", "..", "%00"):
        assert owner.http.get(f"/api/images/{guess}/pixels").status_code == 404, guess
        assert owner.http.get(f"/api/exams/{guess}").status_code in (404, 200 if guess == ".." else 404), guess
        assert owner.http.get(f"/api/readings/{guess}").status_code == 404, guess
        assert owner.http.get(f"/api/annotations/{guess}/history").status_code == 404, guess


def test_every_look_at_an_exam_or_image_is_in_the_log_without_names(owner: Guest):
    image = owner.image(PatientName="Secret^Person", PatientID="S-Geheim")
    exam = owner.get("/api/exams")[0]["id"]
    owner.get(f"/api/exams/{exam}")
    owner.http.get(f"/api/images/{image}/pixels")
    entries = owner.get("/api/audit")["entries"]
    assert [(e["action"], e["object_id"]) for e in entries][:3] == [("view", image), ("open", exam), ("upload", image)]
    assert "Secret" not in str(entries)
    assert "Geheim" not in str(entries)


def test_the_whole_story_on_postgresql(rooms: Rooms, postgresql: PostgreSQL):
    room = rooms.open(reader=StandIn(), database=postgresql.database(), blind=True)
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    image = anna.image(PatientName="\u00c4nna^\u6d2a", SpecificCharacterSet="ISO_IR 192")
    exam = anna.post("/api/exams/search", {"search": "\u00c4NNA", "status": "new"}, 200)[0]["id"]
    marks = [guest.mark(image, pathology=word, birads="4A") for guest, word in ((anna, "dcis"), (berta, "benign"))]
    reading = anna.post(f"/api/annotations/{marks[0]['id']}/reading", {})
    body = {"row": 301.5, "col": 200, "revision": 1, "pathology": "dcis"}
    assert anna.http.put(f"/api/annotations/{marks[0]['id']}", json=body).json()["row"] == 301.5
    assert anna.http.put(f"/api/annotations/{marks[0]['id']}", json=body).status_code == 409
    for guest in (anna, berta):
        guest.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    assert anna.get(f"/api/exams/{exam}/agreement")["pairs"][0]["matched"] == 1
    assert anna.get("/api/exams")[0]["status"] == "read"
    assert anna.get(f"/api/readings/{reading['id']}") == reading
    assert len(anna.get(f"/api/annotations/{marks[0]['id']}/history")) == 2
    assert audit.verify(room.store).broken_at is None


def test_on_postgresql_of_many_changes_at_once_one_wins(rooms: Rooms, postgresql: PostgreSQL):
    room = rooms.open(database=postgresql.database())
    anna = rooms.account(room, "anna")
    mark = anna.mark(anna.image())

    def change(number: int) -> int:
        body = {"row": number, "col": 200, "revision": 1}
        return anna.http.put(f"/api/annotations/{mark['id']}", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [409] * 7
        same = list(pool.map(lambda _: anna.upload(mammogram(9, study=9))[0]["image_id"], range(6)))
    assert len(set(same)) == 1


@pytest.mark.parametrize("done", [True, False])
def test_on_postgresql_an_exam_may_be_finished_or_reopened_many_times_at_once(
    rooms: Rooms, postgresql: PostgreSQL, done: bool
):
    anna = rooms.account(rooms.open(database=postgresql.database(), blind=True), "anna")
    path = f"/api/exams/{anna.upload(mammogram())[0]['exam_id']}/done"
    with ThreadPoolExecutor(8) as pool:
        for _ in range(4):
            anna.post(path, {"done": not done}, 200)
            answers = list(pool.map(lambda _: anna.http.post(path, json={"done": done}), range(8)))
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.json()["done"] for answer in answers} == {done}


def test_the_worklist_of_a_blind_reader_asks_no_more_of_the_database(room: Room):
    count = 4_000
    with room.store.writing() as session:
        session.add(Account(id="a", name="anna", role="reader"))
        session.flush()
        exams = [{"id": f"e{n}", "study_uid": f"1.{n}"} for n in range(count)]
        fixed = {"sha256": "", "accepted": True, "code": "accepted"}
        images = [{"id": f"i{n}", "exam_id": f"e{n}", "sop_uid": f"1.{n}.1", **fixed} for n in range(count)]
        marks = [{"id": f"m{n}", "image_id": f"i{n}", "account_id": "a"} for n in range(0, count, 2)]
        for table, rows in ((Exam, exams), (Image, images), (Annotation, marks)):
            session.execute(insert(table), rows)
    steps = []
    with room.store.reading() as session:
        sqlite = session.connection().connection.driver_connection
        for blind in (False, True):
            ticks = itertools.count()
            sqlite.set_progress_handler(lambda ticks=ticks: next(ticks) and None, 1_000)
            found = worklist(session, "a", Wanted(status=Status.ANNOTATED, limit=count), blind=blind)
            sqlite.set_progress_handler(None, 0)
            steps.append(next(ticks))
            assert len(found) == count / 2
    assert 0 < steps[1] < 3 * steps[0]
