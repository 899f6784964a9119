"""Squares and labels: saved with history, no change lost, readers blind to each other, and how far they agree."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from microcalc.reader.room.room import Room
from reader_room import Guest, Rooms, mammogram

pytest_plugins = ("reader_room_fixtures",)


def test_a_square_is_saved_with_reader_time_and_every_revision(owner: Guest):
    image = owner.image()
    mark = owner.mark(
        image, lesion="A", pathology="dcis", birads="4B", morphology="amorphous", distribution="segmental"
    )
    assert (mark["reader"], mark["mine"], mark["revision"], mark["side"]) == ("owner", True, 1, 512.0)
    changed = owner.http.put(
        f"/api/annotations/{mark['id']}", json={"row": 310, "col": 190, "revision": 1, "note": "x"}
    )
    assert changed.json()["revision"] == 2
    assert owner.http.delete(f"/api/annotations/{mark['id']}").status_code == 204
    history = owner.get(f"/api/annotations/{mark['id']}/history")
    assert [(h["revision"], h["action"], h["row"]) for h in history] == [
        (1, "created", 300),
        (2, "changed", 310),
        (3, "removed", 310),
    ]
    assert history[0]["pathology"] == "dcis"
    assert all(h["reader"] == "owner" and h["at"] for h in history)


def test_several_squares_on_an_image_and_one_lesion_in_two_views(owner: Guest):
    first, second = owner.image(number=1), owner.image(number=2, ViewPosition="MLO")
    for image in (first, first, second):
        owner.mark(image, lesion="A")
    exam = owner.get("/api/exams")[0]["id"]
    marks = owner.get(f"/api/exams/{exam}/annotations")
    assert sorted(m["image_id"] for m in marks) == sorted([first, first, second])
    assert {m["lesion"] for m in marks} == {"A"}


def test_a_change_of_an_old_revision_is_refused_with_what_stands_there_now(owner: Guest):
    mark = owner.mark(owner.image())
    path = f"/api/annotations/{mark['id']}"
    owner.http.put(path, json={"row": 301, "col": 200, "revision": 1})
    late = owner.http.put(path, json={"row": 999, "col": 200, "revision": 1})
    assert late.status_code == 409
    assert (late.json()["current"]["row"], late.json()["current"]["revision"]) == (301, 2)
    assert owner.http.put(path, json={"row": 302, "col": 200}).status_code == 422


def test_of_many_changes_at_once_one_wins_and_none_is_lost_silently(owner: Guest):
    mark = owner.mark(owner.image())

    def change(number: int) -> int:
        body = {"row": number, "col": 200, "revision": 1}
        return owner.http.put(f"/api/annotations/{mark['id']}", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(change, range(8)))
    assert codes == [200] + [409] * 7
    assert len(owner.get(f"/api/annotations/{mark['id']}/history")) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("row", -1), ("row", 620), ("col", 560), ("row", "NaN"), ("row", 1e308), ("side", 0),
        ("pathology", "cancer"), ("birads", "7"),
        ("morphology", "dcis"), ("distribution", "x"), ("note", "x" * 4001), ("lesion", "x" * 65), ("reader", "eve"),
    ],
)  # fmt: skip
def test_a_square_outside_its_image_or_with_words_that_are_none_is_refused(owner: Guest, field: str, value: object):
    image = owner.image()
    answer = owner.http.post(f"/api/images/{image}/annotations", json={"row": 1, "col": 1, field: value})
    assert answer.status_code == 422
    assert answer.json()["way_out"]


def test_a_square_can_be_changed_by_its_reader_alone(rooms: Rooms, room: Room):
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    mark = anna.mark(anna.image())
    path = f"/api/annotations/{mark['id']}"
    assert berta.http.put(path, json={"row": 1, "col": 1, "revision": 1}).status_code == 403
    assert berta.http.delete(path).status_code == 403
    exam = berta.get("/api/exams")[0]["id"]
    assert [(m["reader"], m["mine"]) for m in berta.get(f"/api/exams/{exam}/annotations")] == [("anna", False)]


def blind_room(rooms: Rooms) -> tuple[Room, Guest, Guest, str, str]:
    room = rooms.open(blind=True)
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    image = anna.image()
    return room, anna, berta, image, anna.get("/api/exams")[0]["id"]


def test_blind_readers_see_each_others_marks_only_when_both_have_finished(rooms: Rooms):
    _, anna, berta, image, exam = blind_room(rooms)
    mark = anna.mark(image, pathology="dcis")
    berta.mark(image, pathology="benign", row=320)

    def seen(guest: Guest) -> set[str]:
        return {m["reader"] for m in guest.get(f"/api/exams/{exam}/annotations")}

    assert (seen(anna), seen(berta)) == ({"anna"}, {"berta"})
    anna.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    assert (seen(anna), seen(berta)) == ({"anna"}, {"berta"})
    assert berta.http.get(f"/api/annotations/{mark['id']}/history").status_code == 404
    assert berta.http.get(f"/api/annotations/{mark['id']}").status_code == 404
    assert berta.get(f"/api/exams/{exam}/agreement") == {"pairs": []}
    berta.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    assert seen(anna) == seen(berta) == {"anna", "berta"}


def test_a_blind_reader_does_not_learn_from_the_worklist_that_another_has_marked(rooms: Rooms):
    _, anna, berta, image, _ = blind_room(rooms)
    anna.mark(image)
    assert (anna.get("/api/exams")[0]["status"], berta.get("/api/exams")[0]["status"]) == ("annotated", "new")


def test_finished_marks_stay_and_are_reopened_only_while_nobody_else_has_finished(rooms: Rooms):
    _, anna, berta, image, exam = blind_room(rooms)
    mark = anna.mark(image)
    anna.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    change = {"row": 5, "col": 5, "revision": 1}
    assert anna.http.put(f"/api/annotations/{mark['id']}", json=change).status_code == 409
    assert anna.http.post(f"/api/images/{image}/annotations", json={"row": 1, "col": 1}).status_code == 409
    assert anna.post(f"/api/exams/{exam}/done", {"done": False}, 200)["done"] is False
    assert anna.http.put(f"/api/annotations/{mark['id']}", json=change).status_code == 200
    anna.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    berta.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    assert anna.http.post(f"/api/exams/{exam}/done", json={"done": False}).status_code == 409


def test_agreement_pairs_the_squares_that_overlap_and_compares_their_labels(rooms: Rooms, room: Room):
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    image, other = anna.image(number=1), anna.image(number=2)
    exam = anna.get("/api/exams")[0]["id"]
    for guest, pathology in ((anna, "dcis"), (berta, "dcis")):
        guest.mark(image, row=100, col=100, side=100, pathology=pathology, birads="4A")
        guest.mark(other, row=100, col=100, side=100, pathology="benign")
    berta.mark(image, row=100, col=400, side=50)
    berta.mark(other, row=350, col=100, side=100, pathology="invasive")
    anna.mark(other, row=350, col=150, side=100, pathology="benign")
    pair = anna.get(f"/api/exams/{exam}/agreement")["pairs"][0]
    assert (pair["readers"], pair["exams"], pair["matched"], pair["only"]) == (["anna", "berta"], 1, 3, [0, 1])
    assert pair["overlap"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert pair["kappa"]["pathology"]["n"] == 3
    assert pair["kappa"]["pathology"]["value"] == pytest.approx((2 / 3 - 3 / 9) / (1 - 3 / 9))
    assert pair["kappa"]["birads"]["value"] is None
    assert pair["kappa"]["birads"]["reason"] == "both readers used one and the same word throughout"
    assert anna.get("/api/agreement")["pairs"] == [pair]


def test_agreement_counts_the_marks_as_they_stood_when_a_reader_finished(rooms: Rooms):
    room = rooms.open()
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    image = anna.image()
    exam = anna.get("/api/exams")[0]["id"]
    first = anna.mark(image, pathology="benign")
    berta.mark(image, pathology="dcis")
    for guest in (anna, berta):
        guest.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    anna.http.put(f"/api/annotations/{first['id']}", json={"row": 300, "col": 200, "revision": 1, "pathology": "dcis"})
    pair = anna.get(f"/api/exams/{exam}/agreement")["pairs"][0]
    assert pair["kappa"]["pathology"]["observed"] == 0.0


def test_a_reader_who_finished_without_a_mark_counts(rooms: Rooms, room: Room):
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    anna.mark(anna.image())
    exam = anna.get("/api/exams")[0]["id"]
    assert anna.get(f"/api/exams/{exam}/agreement")["pairs"] == []
    berta.post(f"/api/exams/{exam}/done", {"done": True}, 200)
    pair = anna.get(f"/api/exams/{exam}/agreement")["pairs"][0]
    assert (pair["matched"], pair["only"], pair["overlap"]) == (0, [1, 0], None)


def test_the_history_of_a_mark_cannot_be_rewritten_in_the_database(owner: Guest, room: Room):
    owner.mark(owner.image())
    for change in ("UPDATE annotation_versions SET pathology = 'benign'", "DELETE FROM annotation_versions"):
        with pytest.raises(DatabaseError, match="append-only"), room.store.writing() as session:
            session.execute(text(change))


def test_every_change_of_a_mark_is_in_the_log(owner: Guest):
    mark = owner.mark(owner.image())
    owner.http.put(f"/api/annotations/{mark['id']}", json={"row": 301, "col": 200, "revision": 1})
    owner.http.delete(f"/api/annotations/{mark['id']}")
    entries = [e for e in owner.get("/api/audit")["entries"] if e["object_id"] == mark["id"]]
    assert [(e["action"], e["detail"]) for e in reversed(entries)] == [
        ("annotate", '{"revision": 1}'), ("annotate", '{"revision": 2}'), ("remove", '{"revision": 3}'),
    ]  # fmt: skip


def test_a_mark_on_an_unknown_or_refused_image_is_refused(owner: Guest):
    refused = owner.upload(mammogram()[:-1000])[0]["image_id"]
    assert owner.http.post(f"/api/images/{refused}/annotations", json={"row": 1, "col": 1}).status_code == 409
    assert owner.http.post("/api/images/nothing/annotations", json={"row": 1, "col": 1}).status_code == 404
