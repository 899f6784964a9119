"""To the PACS and back through the web: a real Orthanc gets a report, gives a study, and may be away for long."""

import base64
import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
import pytest
import yaml
from sqlalchemy import text

from microcalc.reader.room.room import Room
from microcalc.reader.web import routes_pacs
from reader_room import Guest, Rooms, StandIn, mammogram
from services import Orthanc, PostgreSQL, dicom_errors, free_port, until

pytest_plugins = ("reader_room_fixtures",)


def settings_file(folder: Path, server: Orthanc, **more: object) -> Path:
    path = folder / "pacs.yaml"
    values = {"kind": "dicomweb", "url": server.url, "user_env": "T_USER", "password_env": "T_PASSWORD"}
    path.write_text(yaml.safe_dump(values | more))
    return path


@pytest.fixture
def room(rooms: Rooms, pacs_server: Orthanc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    """A room with a study and a PACS."""
    monkeypatch.setenv("T_USER", Orthanc.USER)
    monkeypatch.setenv("T_PASSWORD", Orthanc.PASSWORD)
    return rooms.open(reader=StandIn(), pacs=settings_file(tmp_path, pacs_server))


def read(guest: Guest, **image: object) -> dict[str, object]:
    mark = guest.mark(guest.image(**image), lesion="A", birads="4B", pathology="dcis")
    return dict(guest.post(f"/api/annotations/{mark['id']}/reading", {}))


def states(guest: Guest) -> list[str]:
    return [entry["state"] for entry in guest.get("/api/outbox")]


def test_a_reading_is_sent_once_as_valid_objects_of_the_same_study(owner: Guest, pacs_server: Orthanc, tmp_path: Path):
    reading = read(owner, study=71)
    first = owner.post(f"/api/readings/{reading['id']}/send", status=202)
    again = owner.post(f"/api/readings/{reading['id']}/send", status=202)
    assert [entry["id"] for entry in first] == [entry["id"] for entry in again]
    assert sorted(entry["kind"] for entry in first) == ["PR", "SEG", "SR"]
    until(lambda: states(owner) == ["sent"] * 3, seconds=60, what="the PACS to have all three")
    held = [i for i in pacs_server.get("/instances?expand") if i["MainDicomTags"]["SOPInstanceUID"] in _sent(owner)]
    assert len(held) == 3
    assert owner.get("/api/exams")[0]["status"] == "sent"
    owner.post(f"/api/readings/{reading['id']}/send", status=202)
    assert list((owner.room.settings.data / "outbox").iterdir()) == []
    for number, instance in enumerate(held):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(_file(pacs_server, str(instance["ID"])))
        assert dicom_errors(path) == []
        assert pydicom.dcmread(path).StudyInstanceUID == "1.2.3.71"


def _sent(guest: Guest) -> set[str]:
    with guest.room.store.reading() as session:
        return set(session.scalars(text("SELECT sop_uid FROM outbox")))


def _file(server: Orthanc, instance: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{server.http_port}/instances/{instance}/file")
    token = base64.b64encode(f"{server.USER}:{server.PASSWORD}".encode()).decode()
    request.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def test_a_study_is_found_by_patient_and_fetched_into_the_worklist(owner: Guest, pacs_server: Orthanc):
    pacs_server.put(mammogram(1, study=72, PatientID="FETCH-ME"))
    pacs_server.put(mammogram(2, study=72, PatientID="FETCH-ME", ViewPosition="MLO"))
    found = owner.post("/api/pacs/query", {"patient": "FETCH-ME", "date": "2019-02-03"}, 200)["studies"]
    assert [(f["study_uid"], f["date"], f["patient_id"]) for f in found] == [("1.2.3.72", "2019-02-03", "FETCH-ME")]
    taken = owner.post("/api/pacs/fetch", {"study_uid": "1.2.3.72"}, 200)
    assert [t["accepted"] for t in taken] == [True, True]
    assert [exam["source"] for exam in owner.post("/api/exams/search", {"search": "FETCH-ME"}, 200)] == ["pacs"]
    entries = owner.get("/api/audit")["entries"]
    assert {"query", "fetch", "pacs"} <= {entry["action"] for entry in entries}
    assert "FETCH-ME" not in json.dumps(entries)
    assert list((owner.room.settings.data / "incoming").iterdir()) == []


def test_the_page_is_told_that_there_are_more_studies_than_it_gets(
    owner: Guest, pacs_server: Orthanc, monkeypatch: pytest.MonkeyPatch
):
    for study in (74, 75):
        pacs_server.put(mammogram(1, study=study, PatientID=f"MANY-{study}"))
    for most, more in ((2, False), (1, True)):
        monkeypatch.setattr(routes_pacs, "MOST_STUDIES", most)
        answer = owner.post("/api/pacs/query", {"patient": "MANY-*"}, 200)
        assert (len(answer["studies"]), answer["more"]) == (most, more)


def test_a_query_for_everything_or_for_nonsense_is_refused(owner: Guest):
    for body in ({}, {"date": "yesterday"}, {"patient": "a\\b"}, {"study_uid": "1"}):
        assert owner.http.post("/api/pacs/query", json=body).status_code == 422, body
    for uid in ("", "../x", "1.2.3/../4", "x" * 70):
        assert owner.http.post("/api/pacs/fetch", json={"study_uid": uid}).status_code == 422, uid


def test_without_a_pacs_the_page_is_told_so(rooms: Rooms, tmp_path: Path):
    guest = rooms.guest(rooms.open(reader=StandIn(), data=tmp_path / "alone")).by_token()
    assert guest.get("/api/pacs") == {"configured": False, "waiting": 0}
    reading = read(guest)
    answer = guest.http.post(f"/api/readings/{reading['id']}/send")
    assert (answer.status_code, answer.json()["way_out"]) == (409, "start it with --pacs FILE.yaml")
    assert guest.http.post("/api/pacs/query", json={"patient": "x"}).status_code == 409


def test_a_pacs_that_is_away_is_told_and_what_was_sent_waits(rooms: Rooms, tmp_path: Path):
    path = tmp_path / "pacs.yaml"
    path.write_text(yaml.safe_dump({"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/", "timeout_s": 2}))
    guest = rooms.guest(rooms.open(reader=StandIn(), pacs=path, data=tmp_path / "away")).by_token()
    answer = guest.http.post("/api/pacs/query", json={"patient": "x"})
    assert answer.status_code == 502
    assert "try again later" in answer.json()["way_out"]
    guest.post(f"/api/readings/{read(guest)['id']}/send", status=202)
    until(lambda: all(e["tries"] for e in guest.get("/api/outbox")), seconds=30, what="a try of each object")
    entries = guest.get("/api/outbox")
    assert {entry["state"] for entry in entries} <= {"waiting", "sending"}
    assert len(list((tmp_path / "away" / "outbox").iterdir())) == 3
    assert guest.get("/api/pacs") == {"configured": True, "waiting": 3}


def test_a_reading_of_a_file_without_preamble_is_sent(rooms: Rooms, tmp_path: Path):
    path = tmp_path / "pacs.yaml"
    path.write_text(yaml.safe_dump({"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/", "timeout_s": 2}))
    guest = rooms.guest(rooms.open(reader=StandIn(), pacs=path, data=tmp_path / "bare")).by_token()
    mark = guest.mark(guest.upload(mammogram()[132:])[0]["image_id"])
    reading = guest.post(f"/api/annotations/{mark['id']}/reading", {})
    entries = guest.post(f"/api/readings/{reading['id']}/send", status=202)
    assert sorted(entry["kind"] for entry in entries) == ["PR", "SEG", "SR"]


def test_a_modality_pushes_an_image_into_the_worklist(rooms: Rooms, pacs_server: Orthanc, tmp_path: Path, monkeypatch):
    pynetdicom = pytest.importorskip("pynetdicom")
    monkeypatch.setenv("T_USER", Orthanc.USER)
    monkeypatch.setenv("T_PASSWORD", Orthanc.PASSWORD)
    port = free_port()
    listen = {"port": port, "title": "MICROCALC", "accept_titles": ["MAMMO1"]}
    room = rooms.open(pacs=settings_file(tmp_path, pacs_server, listen=listen), data=tmp_path / "listening")
    guest = rooms.guest(room).by_token()
    modality = pynetdicom.AE("MAMMO1")
    modality.add_requested_context("1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.1.2.1")
    association = modality.associate("127.0.0.1", port, ae_title="MICROCALC")
    assert association.is_established
    image = tmp_path / "image.dcm"
    image.write_bytes(mammogram(1, study=73))
    assert association.send_c_store(pydicom.dcmread(image)).Status == 0x0000
    broken = pydicom.dcmread(image)
    broken.SOPInstanceUID, broken.Rows = "1.2.3.4.73.9", 6_000
    broken.file_meta.MediaStorageSOPInstanceUID = broken.SOPInstanceUID
    association.send_c_store(broken)
    association.release()
    exam = guest.get(f"/api/exams/{guest.get('/api/exams')[0]['id']}")
    assert sorted(i["code"] for i in exam["images"]) == ["accepted", "wrong_length"]
    log = guest.get("/api/audit")["entries"]
    assert {e["account"] for e in log if e["action"] == "pacs"} == {"modality MAMMO1"}


def without_pacs(rooms: Rooms, folder: Path, **settings: object) -> Guest:
    """The owner of a room whose PACS is away: what is to be sent lies in the outbox."""
    path = folder / "pacs.yaml"
    path.write_text(yaml.safe_dump({"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/", "timeout_s": 2}))
    return rooms.guest(rooms.open(reader=StandIn(), pacs=path, data=folder / "away", **settings)).by_token()


@pytest.fixture
def away(rooms: Rooms, tmp_path: Path) -> Guest:
    """See `without_pacs`."""
    return without_pacs(rooms, tmp_path)


def test_on_postgresql_a_reading_that_is_sent_many_times_at_once_is_entered_once(
    rooms: Rooms, tmp_path: Path, postgresql: PostgreSQL
):
    guest = without_pacs(rooms, tmp_path, database=postgresql.database())
    path = f"/api/readings/{read(guest)['id']}/send"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: guest.http.post(path), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({entry["id"] for answer in answers for entry in answer.json()}) == 3


def relabelled(guest: Guest, annotation_id: object, **labels: object) -> dict[str, object]:
    """A square with other labels, or at another place."""
    path = f"/api/annotations/{annotation_id}"
    before = guest.get(path)
    fields = ("row", "col", "side", "lesion", "pathology", "birads", "morphology", "distribution", "note", "revision")
    answer = guest.http.put(path, json={field: before[field] for field in fields} | labels)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def sent_report(guest: Guest, reading: dict[str, object]) -> tuple[list[str], str]:
    """Ids of the objects that sending gives, and the structured report among them in words."""
    entries = guest.post(f"/api/readings/{reading['id']}/send", status=202)
    ids = [entry["id"] for entry in entries]
    with guest.room.store.reading() as session:
        payload = session.scalar(text("SELECT payload FROM outbox WHERE kind = 'SR' AND id = :id"), {"id": ids[0]})
    return ids, pydicom.dcmread(guest.room.settings.data / str(payload)).to_json()


def test_labels_that_were_given_after_the_reading_are_sent_as_objects_of_their_own(away: Guest):
    mark = away.mark(away.image(), lesion="A")
    reading = away.post(f"/api/annotations/{mark['id']}/reading", {})
    plain, words = sent_report(away, reading)
    assert "Ductal carcinoma in situ" not in words
    relabelled(away, mark["id"], pathology="dcis", birads="5", note="seen again")
    told, words = sent_report(away, reading)
    assert set(told).isdisjoint(plain)
    for said in ("Ductal carcinoma in situ", "Highly suggestive of malignancy", "seen again"):
        assert said in words
    assert sent_report(away, reading) == (told, words)


def test_labels_that_were_changed_and_changed_back_are_sent_once_more(away: Guest):
    mark = away.mark(away.image(), lesion="A", pathology="benign")
    reading = away.post(f"/api/annotations/{mark['id']}/reading", {})
    sent = [sent_report(away, reading)[0]]
    for pathology in ("dcis", "benign"):
        relabelled(away, mark["id"], pathology=pathology)
        sent.append(sent_report(away, reading)[0])
    assert len({entry for ids in sent for entry in ids}) == 9


def test_a_reading_is_not_sent_after_its_square_was_moved(away: Guest):
    mark = away.mark(away.image(), lesion="A")
    reading = away.post(f"/api/annotations/{mark['id']}/reading", {})
    moved = relabelled(away, mark["id"], row=mark["row"] + 9)
    answer = away.http.post(f"/api/readings/{reading['id']}/send")
    assert (answer.status_code, answer.json()["way_out"]) == (409, "read the square again, then send that reading")
    assert "row 300, column 200" in answer.json()["error"]
    relabelled(away, moved["id"], row=mark["row"])
    away.post(f"/api/readings/{reading['id']}/send", status=202)


def test_a_page_that_shows_older_labels_than_the_server_has_does_not_send(away: Guest):
    mark = away.mark(away.image(), lesion="A")
    reading = away.post(f"/api/annotations/{mark['id']}/reading", {})
    path = f"/api/readings/{reading['id']}/send"
    now = relabelled(away, mark["id"], birads="5")
    answer = away.http.post(path, json={"revision": mark["revision"]})
    assert (answer.status_code, answer.json()["way_out"]) == (409, "look at what stands there now, then send again")
    away.post(path, {"revision": now["revision"]}, 202)
