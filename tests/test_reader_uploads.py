"""What is taken in: verdicts, copies, zips, and everything that somebody may send to break the server."""

import datetime as dt
import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from dicom_samples import breast, dataset, to_bytes
from microcalc.intake.dicom import read_mammogram
from microcalc.reader.room.room import Room
from microcalc.reader.room.watch import refused_files
from microcalc.reader.settings import Limits
from microcalc.reader.store.decoding import Decoder
from microcalc.reader.store.models import Image, WatchedFile
from reader_room import Guest, Rooms, mammogram

pytest_plugins = ("reader_room_fixtures",)


def zipped(files: dict[str, bytes], **options: object) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **options)
    return packed.getvalue()


def files_below(room: Room, *folders: str) -> list[Path]:
    """Files of the data folder, or of some of its folders."""
    roots = [room.settings.data / folder for folder in folders] or [room.settings.data]
    return sorted(path for root in roots for path in root.rglob("*") if path.is_file())


def test_a_mammogram_becomes_an_image_of_its_exam_with_the_greys_that_the_networks_see(owner: Guest):
    content = mammogram()
    taken = owner.upload(content)[0]
    assert (taken["accepted"], taken["code"], taken["message"]) == (True, "accepted", "")
    image = owner.get(f"/api/exams/{taken['exam_id']}")["images"][0]
    assert (image["laterality"], image["view"], image["rows"], image["columns"]) == ("L", "CC", 620, 560)
    answer = owner.http.get(f"/api/images/{taken['image_id']}/pixels")
    greys = np.frombuffer(answer.content, "<u2").reshape(620, 560)
    expected = np.rint(read_mammogram(content).pixels * 65535)
    assert np.array_equal(greys, expected)
    assert (answer.headers["x-rows"], answer.headers["x-columns"]) == ("620", "560")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_the_networks_get_the_same_numbers_as_the_page(owner: Guest, room: Room):
    image_id = owner.image()
    with room.store.reading() as session:
        image = session.get_one(Image, image_id)
    there = room.shelf.mammogram(image)
    shown = np.frombuffer(owner.http.get(f"/api/images/{image_id}/pixels").content, "<u2").reshape(620, 560)
    assert np.array_equal(np.rint(there.pixels * 65535), shown)
    assert there.facts.view == "CC"


def test_pixels_are_sent_once_and_without_gzip_to_those_who_have_none(owner: Guest):
    path = f"/api/images/{owner.image()}/pixels"
    tag = owner.http.get(path).headers["etag"]
    again = owner.http.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    plain = owner.http.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == owner.http.get(path).content


def test_pixels_that_were_deleted_are_made_again(owner: Guest, room: Room):
    image_id = owner.image()
    before = owner.http.get(f"/api/images/{image_id}/pixels").content
    for path in files_below(room, "pixels"):
        path.unlink()
    assert owner.http.get(f"/api/images/{image_id}/pixels").content == before
    assert owner.http.get(f"/api/images/{image_id}/thumbnail").content.startswith(b"\x89PNG")


def test_the_same_file_twice_is_one_image(owner: Guest, room: Room):
    first, second = owner.upload(mammogram()), owner.upload(mammogram())
    assert first[0]["image_id"] == second[0]["image_id"]
    assert len(files_below(room, "objects")) == 1
    assert files_below(room, "incoming") == []


def test_another_file_of_the_same_uid_is_told_and_the_first_kept(owner: Guest):
    first = owner.upload(mammogram())[0]
    other = owner.upload(mammogram(AccessionNumber="changed"))[0]
    assert (other["accepted"], other["code"], other["image_id"]) == (False, "changed_copy", first["image_id"])
    assert owner.get(f"/api/exams/{first['exam_id']}")["images"][0]["accepted"]


def test_a_refused_image_shows_its_verdict_in_the_exam_and_gives_way_to_a_good_one(owner: Guest):
    cut_short = mammogram()[:-1000]
    taken = owner.upload(cut_short)[0]
    assert (taken["accepted"], taken["code"]) == (False, "truncated")
    image = owner.get(f"/api/exams/{taken['exam_id']}")["images"][0]
    assert (image["accepted"], image["code"]) == (False, "truncated")
    assert "the file" in image["message"] or image["message"]
    answer = owner.http.get(f"/api/images/{taken['image_id']}/pixels")
    assert answer.status_code == 409
    assert "truncated" in answer.json()["error"]
    whole = owner.upload(mammogram())[0]
    assert (whole["accepted"], whole["image_id"]) == (True, taken["image_id"])


@pytest.mark.parametrize("others", [0, 1])
def test_an_exam_goes_when_its_last_image_turns_out_to_be_another_patient_s(owner: Guest, others: int):
    wrong = {"PatientID": "WRONG", "PatientName": "Wrong^Name"}
    processing = {"PresentationIntentType": "FOR PROCESSING", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}
    refused, *_ = owner.upload(*(mammogram(1 + number, **wrong, **processing) for number in range(1 + others)))
    assert not refused["accepted"]
    owner.post(f"/api/exams/{refused['exam_id']}/done", {"done": True}, 200)
    good = owner.upload(mammogram(1, PatientID="RIGHT"))[0]
    assert (good["accepted"], good["image_id"]) == (True, refused["image_id"])
    left = {("RIGHT", 1)} | ({("WRONG", 1)} if others else set())
    assert {(exam["patient_id"], exam["images"]) for exam in owner.get("/api/exams")} == left
    assert owner.http.get(f"/api/exams/{refused['exam_id']}").status_code == (200 if others else 404)


def test_patients_who_share_a_study_uid_have_an_exam_each(owner: Guest):
    anna, berta = {"PatientID": "AAA", "PatientName": "Alpha^Anna"}, {"PatientID": "BBB", "PatientName": "Beta^Berta"}
    people = [anna, berta, berta | {"PatientName": "Gamma^Berta"}, {"PatientID": " AAA  ", "PatientName": "Alpha^Anna"},
              {"PatientID": "", "PatientName": "Delta^Dora"}, {"PatientID": "", "PatientName": "Delta^Dora^"},
              {"PatientID": "", "PatientName": ""}, anna]  # fmt: skip
    taken = owner.upload(*(mammogram(number, **who) for number, who in enumerate(people)))
    assert all(one["accepted"] for one in taken)
    ids = [one["exam_id"] for one in taken]
    assert [ids.index(one) for one in ids] == [0, 1, 1, 0, 4, 4, 6, 0]
    listed = {(e["patient_id"], e["patient_name"], e["images"]) for e in owner.get("/api/exams")}
    assert listed == {("AAA", "Alpha^Anna", 3), ("BBB", "Beta^Berta", 2), ("", "Delta^Dora", 2), ("", "", 1)}


def test_what_is_no_image_is_told_and_not_kept(owner: Guest, room: Room):
    verdicts = owner.upload(("notes.txt", b"hello"), ("empty.dcm", b""), ("x.dcm", b"\0" * 128 + b"DICM"))
    assert [v["accepted"] for v in verdicts] == [False] * 3
    assert [v["file"] for v in verdicts] == ["notes.txt", "empty.dcm", "x.dcm"]
    assert owner.get("/api/exams") == []
    assert files_below(room, "objects", "incoming", "pixels") == []


def test_a_refusal_names_no_path_of_this_machine(owner: Guest, room: Room):
    for content in (b"junk", mammogram()[:300], mammogram()[:-50], mammogram(Rows=60_000, Columns=60_000)):
        assert str(room.settings.data) not in owner.upload(content)[0]["message"]


def test_a_header_that_declares_60000_by_60000_pixels_gets_its_verdict(owner: Guest):
    taken = owner.upload(mammogram(Rows=60_000, Columns=60_000))[0]
    assert (taken["accepted"], taken["code"]) == (False, "too_large")
    assert "60000 x 60000" in taken["message"]


def test_script_in_a_patients_name_stays_text(owner: Guest):
    name = "<script>alert(1)</script>^\"'><img src=x onerror=alert(1)>"
    taken = owner.upload(mammogram(PatientName=name, PatientID="</script>", SeriesDescription="{{7*7}}"))[0]
    answer = owner.http.get(f"/api/exams/{taken['exam_id']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["patient_name"].startswith("<script>")
    assert owner.get("/api/exams", 200)[0]["patient_id"] == "</script>"
    page = owner.http.get("/")
    assert "alert(1)" not in page.text
    assert "unsafe-inline" not in page.headers["content-security-policy"]


def test_each_file_of_a_zip_gets_its_verdict(owner: Guest):
    packed = zipped(
        {"a/1.dcm": mammogram(1), "a/2.dcm": mammogram(2), "readme.txt": b"x", "inner.zip": zipped({"x": b""})}
    )
    verdicts = owner.upload(("all.zip", packed))
    assert [v["code"] for v in verdicts] == ["accepted", "accepted", "not_dicom", "archive"]
    assert verdicts[0]["file"] == "all.zip: 1.dcm"
    assert owner.get("/api/exams")[0]["images"] == 2


def test_names_in_a_zip_are_never_paths(owner: Guest, room: Room, tmp_path: Path):
    names = [
        "../../../evil.dcm",
        "/etc/evil.dcm",
        "..\\..\\evil.dcm",
        "C:\\evil.dcm",
        "a/../../evil.dcm",
        "\u202eevil\n.dcm",
    ]
    packed = zipped({name: mammogram(n) for n, name in enumerate(names)})
    link = zipfile.ZipInfo("link.dcm")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer := io.BytesIO(packed), "a") as archive:
        archive.writestr(link, "/etc/passwd")
    before = {path for path in tmp_path.rglob("*") if "data" not in path.parts}
    verdicts = owner.upload(("../../up.zip", buffer.getvalue()))
    assert sum(v["accepted"] for v in verdicts) == len(names)
    assert {v["file"].split(": ")[0] for v in verdicts} == {"up.zip"}
    assert all("/" not in v["file"] and "\n" not in v["file"] for v in verdicts)
    assert {path for path in tmp_path.rglob("*") if "data" not in path.parts} == before
    assert all(path.stem.isalnum() for path in files_below(room, "objects"))


def test_the_name_of_an_uploaded_file_is_never_a_path(owner: Guest, room: Room):
    for name in ("../../../../tmp/evil.dcm", "/etc/cron.d/evil", "..\\evil.dcm", ""):
        owner.upload((name or " ", mammogram()))
    assert len(files_below(room, "objects")) == 1


def test_a_zip_that_says_that_it_holds_too_much_is_not_unpacked(rooms: Rooms):
    room = rooms.open(limits=Limits(unzipped_bytes=100_000))
    guest = rooms.guest(room).by_token()
    bomb = zipped({f"{n}.dcm": bytes(60_000) for n in range(3)})
    assert len(bomb) < 2_000
    verdict = guest.upload(("bomb.zip", bomb))
    assert [v["code"] for v in verdict] == ["zip_bomb"]
    assert "these say 180,000" in verdict[0]["message"]


def test_a_zip_that_lies_about_its_sizes_is_stopped_while_it_is_unpacked(rooms: Rooms):
    room = rooms.open(limits=Limits(file_bytes=100_000))
    guest = rooms.guest(room).by_token()
    packed = zipped({"a.dcm": bytes(5_000_000), "b.dcm": mammogram(rows=100, cols=100)})
    lying = packed.replace(struct.pack("<I", 5_000_000), struct.pack("<I", 1_000))
    assert lying != packed
    verdicts = guest.upload(("lie.zip", lying))
    assert [v["accepted"] for v in verdicts] == [False, True]
    assert [v["code"] for v in guest.upload(("honest.zip", packed))] == ["too_large", "accepted"]
    assert files_below(room, "incoming") == []


def test_a_zip_with_too_many_files_or_too_long_a_list_is_refused(rooms: Rooms):
    room = rooms.open(limits=Limits(zip_entries=10))
    guest = rooms.guest(room).by_token()
    assert guest.upload(("many.zip", zipped({f"{n}": b"" for n in range(11)})))[0]["code"] == "too_many_files"
    long = zipped({f"{n:05d}".ljust(60_000, "x"): b"" for n in range(80)})
    assert guest.upload(("long.zip", long))[0]["code"] == "too_many_files"


def test_a_damaged_or_locked_zip_is_refused(owner: Guest):
    packed = zipped({"a.dcm": mammogram()})
    assert owner.upload(("cut.zip", packed[: len(packed) // 2]))[0]["code"] == "damaged_zip"
    spoilt = packed[:200] + bytes(50) + packed[250:]
    assert owner.upload(("spoilt.zip", spoilt))[0]["code"] == "damaged_zip"
    locked = bytearray(packed)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[packed.index(signature) + offset] |= 1
    assert owner.upload(("locked.zip", bytes(locked)))[0]["code"] == "encrypted"


def test_an_upload_that_declares_5_gigabytes_is_refused_before_it_is_read(owner: Guest, room: Room):
    read = []

    def body() -> Iterator[bytes]:
        read.append(1)
        yield b"x"

    headers = {"Content-Length": str(5 << 30), "Content-Type": "multipart/form-data; boundary=b"}
    answer = owner.http.post("/api/uploads", content=body(), headers=headers)
    assert answer.status_code == 413
    assert "declares more" in answer.json()["error"]
    assert files_below(room, "incoming") == []


def test_an_upload_that_grows_beyond_the_limit_without_saying_so_is_stopped(rooms: Rooms):
    room = rooms.open(limits=Limits(upload_bytes=300_000))
    guest = rooms.guest(room).by_token()
    sent = []

    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="big.dcm"\r\n\r\n'
        for _ in range(100):
            sent.append(1)
            yield bytes(10_000)

    answer = guest.http.post(
        "/api/uploads", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 413
    assert files_below(room, "incoming") == []


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"no form at all"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhalf',
        ),
        ("multipart/form-data; boundary=b", b""),
    ],
)
def test_a_broken_form_is_refused_and_leaves_nothing(owner: Guest, room: Room, kind: str, body: bytes):
    answer = owner.http.post("/api/uploads", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 422
    assert "form" in answer.json()["error"]
    assert files_below(room, "incoming", "objects") == []


def test_a_long_body_for_another_route_is_refused(owner: Guest):
    answer = owner.http.post("/api/login", json={"name": "a", "password": "b" * 300_000})
    assert answer.status_code == 413


def test_a_process_that_dies_over_a_file_costs_that_file_alone(tmp_path: Path):
    good = tmp_path / "good.dcm"
    good.write_bytes(mammogram())
    decoder = Decoder(1, seconds=60)
    (tmp_path / "out").mkdir()
    assert decoder.decode(good, tmp_path / "out" / "a").accepted
    decoder._workers[0]._process.kill()
    decoder._workers[0]._process.join()
    assert decoder.decode(good, tmp_path / "out" / "b").accepted
    slow = Decoder(1, seconds=0.0)
    given_up = slow.decode(good, tmp_path / "out" / "c")
    assert (given_up.accepted, given_up.code) == (False, "reader_died")
    decoder.close()
    slow.close()


def test_the_watched_folder_takes_each_finished_file_once(rooms: Rooms, tmp_path: Path):
    watched = tmp_path / "watched"
    (watched / "sub").mkdir(parents=True)
    room = rooms.open(watch=watched, watch_seconds=3600)
    watcher = room.watcher
    assert watcher is not None
    (watched / "sub" / "a.dcm").write_bytes(mammogram(1))
    (watched / "half.dcm.partial").write_bytes(mammogram(2))
    (watched / "growing.dcm").write_bytes(mammogram(3)[:1000])
    guest = rooms.guest(room).by_token()
    watcher.look()
    (watched / "growing.dcm").write_bytes(mammogram(3))
    watcher.look()
    assert [exam["images"] for exam in guest.get("/api/exams")] == [1]
    watcher.look()
    assert [exam["images"] for exam in guest.get("/api/exams")] == [2]
    log = guest.get("/api/audit")["entries"]
    assert [entry["account"] for entry in log if entry["action"] == "watch"] == ["watched folder"] * 2
    assert (watched / "sub" / "a.dcm").exists()


def test_what_the_watched_folder_cannot_use_is_told_with_its_reason_for_a_week(rooms: Rooms, tmp_path: Path):
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "letter.txt").write_text("no image")
    (watched / "good.dcm").write_bytes(mammogram(1))
    (watched / "large.dcm").write_bytes(mammogram(2) * 2)
    limits = Limits(upload_bytes=(watched / "good.dcm").stat().st_size)
    room = rooms.open(watch=watched, watch_seconds=3600, limits=limits)
    watcher = room.watcher
    assert watcher is not None
    watcher.look()
    watcher.look()
    guest = rooms.guest(room).by_token()
    told = guest.get("/api/watched/refused")
    assert sorted((each["file"], each["code"]) for each in told) == [
        ("large.dcm", "too_large"), ("letter.txt", "not_dicom"),
    ]  # fmt: skip
    assert all(each["message"] and each["at"] for each in told)
    assert rooms.guest(room).http.get("/api/watched/refused").status_code == 401
    with room.store.writing() as session:
        assert refused_files(session) == told
        for row in session.scalars(select(WatchedFile)):
            row.at = row.at - dt.timedelta(days=8)
    assert guest.get("/api/watched/refused") == []


def test_of_a_zip_of_junk_some_refusals_are_told_and_how_many_more(rooms: Rooms, tmp_path: Path):
    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "junk.zip").write_bytes(zipped({f"{n:02d}.txt": b"no image" for n in range(30)}))
    room = rooms.open(watch=watched, watch_seconds=3600)
    assert room.watcher is not None
    rooms.guest(room).by_token()
    room.watcher.look()
    room.watcher.look()
    with room.store.reading() as session:
        told = refused_files(session)
    assert len(told) == 21
    assert told[-1]["message"] == "and 10 more files in it"


def test_a_file_without_a_study_uid_or_with_deflated_junk_does_no_harm(owner: Guest):
    assert owner.upload(to_bytes(dataset(breast(600, 560), StudyInstanceUID=None)))[0]["accepted"]
    assert len(owner.get("/api/exams")) == 1
