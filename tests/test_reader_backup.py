"""A backup of a running room opens as a room with everything in it."""

from pathlib import Path

import pytest

from microcalc.errors import InputError
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
