"""Fixtures of the reading room; a test module takes them by ``pytest_plugins = ("reader_room_fixtures",)``."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from microcalc.reader.room.room import Room
from reader_room import Guest, Rooms


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    """See `Rooms`."""
    with ExitStack() as stack:
        yield Rooms(tmp_path, stack)


@pytest.fixture
def room(rooms: Rooms) -> Room:
    """A room without a study."""
    return rooms.open()


@pytest.fixture
def owner(rooms: Rooms, room: Room) -> Guest:
    """The owner of `room`, logged in by token."""
    return rooms.guest(room).by_token()
