"""A backup of a running room opens as a room with everything in it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from microcalc.errors import InputError, MicrocalcError
from microcalc.reader.room.backup import back_up
from microcalc.reader.room.room import Room
from reader_room import Guest, Rooms, StandIn

pytest_plugins = ("reader_room_fixtures",)


@pytest.fixture
def room(rooms: Rooms) -> Room:
    """A room that reads."""
    return rooms.open(reader=StandIn())


def test_a_backup_of_a_running_room_opens_with_images_marks_and_readings(rooms: Rooms, owner: Guest, tmp_path: Path):
    image = owner.image()
    mark = owner.mark(image, pathology="dcis")
    reading = owner.post(f"/api/annotations/{mark['id']}/reading", {})
    pixels = owner.http.get(f"/api/images/{image}/pixels").content
    done = back_up(owner.room.settings.data, tmp_path / "copy")
    assert (done.files, done.there, done.database) == (2, 0, True)
    guest = rooms.guest(rooms.open(reader=StandIn(), data=tmp_path / "copy")).by_token()
    assert guest.http.get(f"/api/images/{image}/pixels").content == pixels
    assert guest.get(f"/api/readings/{reading['id']}") == reading
    assert len(guest.http.get(f"/api/readings/{reading['id']}/heatmap/ensemble").content) == 512 * 512
    assert guest.get("/api/audit?check=yes")["whole"]


def test_a_second_backup_copies_what_is_new(owner: Guest, tmp_path: Path):
    owner.image(number=1)
    back_up(owner.room.settings.data, tmp_path / "copy")
    owner.image(number=2)
    done = back_up(owner.room.settings.data, tmp_path / "copy")
    assert (done.files, done.there) == (1, 1)


def test_a_backup_into_the_room_or_over_something_else_is_refused(owner: Guest, tmp_path: Path):
    data = owner.room.settings.data
    with pytest.raises(InputError, match="outside the data folder"):
        back_up(data, data / "objects")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="holds something else"):
        back_up(data, tmp_path / "photos")
    with pytest.raises(InputError, match="it is none"):
        back_up(tmp_path, tmp_path / "copy")


def _killed_server(copy: Path) -> None:
    """Leave what a killed server leaves beside the database: lines that are only in the write-ahead log."""
    kept = {}
    with closing(sqlite3.connect(copy / "store.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE settings SET value = 'tried out'")
        database.commit()
        kept = {name: (copy / name).read_bytes() for name in ("store.sqlite-wal", "store.sqlite-shm")}
    for name, content in kept.items():
        (copy / name).write_bytes(content)


def test_a_backup_over_a_copy_that_was_tried_out_and_killed_is_of_now(rooms: Rooms, owner: Guest, tmp_path: Path):
    owner.image(number=1)
    back_up(owner.room.settings.data, tmp_path / "copy")
    _killed_server(tmp_path / "copy")
    image = owner.image(number=2)
    back_up(owner.room.settings.data, tmp_path / "copy")
    guest = rooms.guest(rooms.open(data=tmp_path / "copy")).by_token()
    assert guest.room.store.name == owner.room.store.name
    assert image in {i["id"] for i in guest.get(f"/api/exams/{guest.get('/api/exams')[0]['id']}")["images"]}
    assert guest.get("/api/audit?check=yes")["whole"]


def test_a_backup_into_the_folder_of_a_running_server_is_refused(rooms: Rooms, owner: Guest, tmp_path: Path):
    data = owner.room.settings.data
    back_up(data, tmp_path / "copy")
    rooms.open(data=tmp_path / "copy")
    with pytest.raises(MicrocalcError, match="a server is running on it"):
        back_up(data, tmp_path / "copy")


def test_a_damaged_database_does_not_take_the_place_of_an_earlier_copy(owner: Guest, tmp_path: Path):
    back_up(owner.room.settings.data, tmp_path / "copy")
    before = (tmp_path / "copy" / "store.sqlite").read_bytes()
    owner.room.close()
    path = owner.room.settings.data / "store.sqlite"
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(MicrocalcError, match="must be copied whole"):
        back_up(owner.room.settings.data, tmp_path / "copy")
    assert (tmp_path / "copy" / "store.sqlite").read_bytes() == before
