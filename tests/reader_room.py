"""A reading room for tests: opened in a temporary folder, with guests who are logged in, and a stand-in for networks.

The stand-in computes its probability from the very pixels that it is given, so a test can tell which square was read.
"""

import math
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="pip install 'microcalc[reader]'")

from fastapi.testclient import TestClient

from dicom_samples import breast, dataset, to_bytes
from microcalc.intake.crop import Scale, cut_roi
from microcalc.intake.dicom import Mammogram
from microcalc.reader.reading import Interval, Meaning, Reading, RoiPlace
from microcalc.reader.room.people import Role, add_account, open_session
from microcalc.reader.room.room import Room, open_room
from microcalc.reader.settings import Settings
from microcalc.reader.web.app import app_of

BASE = "http://127.0.0.1:8765"
PASSWORD = "correct horse battery"
NETWORKS = ("resnet101", "densenet201")


def mammogram(number: int = 1, *, study: int = 1, rows: int = 620, cols: int = 560, **elements: Any) -> bytes:
    """A DICOM mammogram; another number gives another image, another study another exam."""
    values = {
        "SOPInstanceUID": f"1.2.3.4.{study}.{number}", "StudyInstanceUID": f"1.2.3.{study}",
        "PatientID": f"P{study}", "PatientName": f"Doe^Jane{study}",
    }  # fmt: skip
    return to_bytes(dataset(breast(rows, cols), **(values | elements)))


@dataclass
class StandIn:
    """Networks that say how bright the square is; its scale is that of the facts.

    ``gate`` holds a reading back, heatmaps of ``empty`` are 0.
    """

    facts: Mapping[str, object] = field(
        default_factory=lambda: {"name": "stand-in", "identity": "s1", "networks": list(NETWORKS), "cutoff": 0.5}
    )
    gate: threading.Event | None = None
    empty: frozenset[str] = frozenset()
    seen: list[tuple[float, float]] = field(default_factory=list)

    def meaning(self, prevalence: float | None = None) -> Meaning:
        """The prevalence itself as PPV."""
        p = 0.3 if prevalence is None else prevalence
        half, share = Interval(0.5, 0.4, 0.6, "wilson"), Interval(p, math.nan, math.nan, "wilson")
        return Meaning(p, half, half, share, half, 0.95, 100, 60)

    def read(self, mammogram: Mammogram, row: float, col: float, *, prevalence: float | None = None) -> Reading:
        """Mean grey of the square as the probability of each network."""
        self.seen.append((row, col))
        if self.gate is not None:
            assert self.gate.wait(20)
        spacing = self.facts.get("spacing_mm")
        scale = Scale(spacing if isinstance(spacing, float) else None)
        roi = cut_roi(mammogram.plane, row, col, factor=scale.factor(mammogram.facts.pixel_spacing_mm))
        place = RoiPlace(roi.row, roi.col, 512 * roi.factor, roi.padded)
        grey = float(roi.pixels.mean() / 65535)
        heat = (roi.pixels / 65535).astype(np.float32)
        return Reading(
            networks=dict.fromkeys(NETWORKS, grey), ensemble=grey, calibrated=None, called=grey > 0.5, cutoff=0.5,
            chosen_on="validation", meaning=self.meaning(prevalence),
            heatmaps={name: heat * (name not in self.empty) for name in (*NETWORKS, "ensemble")},
            roi=place, warnings=(), runtime="stand-in", milliseconds=1.0,
            grids=dict.fromkeys(NETWORKS, (7, 7)),
        )  # fmt: skip


class Guest:
    """Somebody at a browser: keeps cookies, sends the CSRF token with every change."""

    def __init__(self, room: Room, app: Any) -> None:
        self.room = room
        self.http = TestClient(app, base_url=BASE, raise_server_exceptions=False)
        self.me: dict[str, Any] = {}

    def take(self, record: Any) -> "Guest":
        """Remember who one is."""
        self.me = record
        self.http.headers["X-CSRF"] = record["csrf"]
        return self

    def by_token(self) -> "Guest":
        """Log in with the printed address."""
        answer = self.http.get(self.room.token_url, follow_redirects=False)
        assert answer.status_code == 303, answer.text
        return self.take(self.get("/api/me"))

    def by_password(self, name: str, password: str = PASSWORD) -> "Guest":
        """Log in with a password."""
        answer = self.http.post("/api/login", json={"name": name, "password": password})
        assert answer.status_code == 200, answer.text
        return self.take(answer.json())

    def get(self, path: str, status: int = 200) -> Any:
        """JSON of an answer."""
        answer = self.http.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        """JSON of an answer to a change."""
        answer = self.http.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def upload(self, *files: bytes | tuple[str, bytes]) -> list[dict[str, Any]]:
        """Verdicts of some files."""
        named = [file if isinstance(file, tuple) else ("image.dcm", file) for file in files]
        answer = self.http.post("/api/uploads", files=[("files", file) for file in named])
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    def image(self, **values: Any) -> str:
        """Id of a new image."""
        return str(self.upload(mammogram(**values))[0]["image_id"])

    def mark(self, image_id: str, **labels: Any) -> dict[str, Any]:
        """A new square."""
        return dict(self.post(f"/api/images/{image_id}/annotations", {"row": 300, "col": 200} | labels))


@dataclass
class Rooms:
    """Opens reading rooms and closes them at the end of a test."""

    folder: Path
    stack: ExitStack

    def open(self, *, reader: Any = None, **settings: Any) -> Room:
        """A room that is served by `Guest`; keywords replace settings."""
        values = Settings(study=None, data=self.folder / "data", decode_processes=0, watch_seconds=0.05)
        room = open_room(replace(values, **settings), reader=reader)
        app = app_of(room)
        room.app = app  # type: ignore[attr-defined]
        self.stack.enter_context(TestClient(app, base_url=BASE))
        return room

    def guest(self, room: Room) -> Guest:
        """Somebody who is not logged in."""
        return Guest(room, room.app)  # type: ignore[attr-defined]

    def account(self, room: Room, name: str, role: Role = Role.READER) -> Guest:
        """Somebody with a new account, logged in; without a password, whose hash would take its time."""
        guest = self.guest(room)
        with room.store.writing() as session:
            account = add_account(session, name, role, "")
            guest.http.cookies.set(room.cookie_name, open_session(session, account))
        return guest.take(guest.get("/api/me"))
