"""The readers' squares as a cohort: the right pixels and words, pseudonyms, and what is left out."""

import json
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from microcalc.cli import app
from microcalc.cohort import read_cohort, read_roi
from microcalc.errors import InputError
from microcalc.intake.crop import cut_roi
from microcalc.intake.dicom import read_mammogram
from microcalc.intake.harvest import HarvestSettings
from microcalc.reader.room.cohort_export import Archive, export_cohort, marked_squares
from microcalc.reader.room.room import Room
from microcalc.reader.store.models import Exam, Image
from reader_room import Guest, Rooms, mammogram

pytest_plugins = ("reader_room_fixtures",)


def marked(owner: Guest) -> None:
    """Three squares with a pathology on two patients' images, one without."""
    first, second = owner.image(study=1), owner.image(study=2)
    owner.mark(first, row=300, col=200, lesion="A", pathology="dcis", birads="4B", morphology="amorphous")
    owner.mark(first, row=320, col=210, lesion="B", pathology="benign", distribution="grouped")
    owner.mark(second, row=301.4, col=222.6, pathology="invasive")
    owner.mark(second, row=100, col=100)


def export(room: Room, out: Path, **settings: object):
    squares = marked_squares(room.store)
    found = HarvestSettings(key=out.with_name("study.key"), **settings)
    return export_cohort(Archive(room.store, room.vault, "test"), squares, out, found)


def test_squares_become_rois_with_the_labels_of_their_reader(owner: Guest, room: Room, tmp_path: Path):
    marked(owner)
    cohort = export(room, tmp_path / "cohort")
    table = read_cohort(tmp_path / "cohort").table
    assert sorted(table["pathology"]) == ["benign", "dcis", "invasive"]
    dcis = table[table["pathology"] == "dcis"].iloc[0]
    assert (dcis["birads"], dcis["morphology"], dcis["view"], dcis["label"]) == ("4B", "amorphous", "CC", 1)
    expected = cut_roi(read_mammogram(mammogram(study=1)).pixels, 300, 200).pixels
    path = tmp_path / "cohort" / "rois" / "malignant" / f"{dcis['image_id']}.png"
    assert np.array_equal(read_roi(path), expected)
    assert cohort.record["flow"]["left_out"][0]["reason"] == "no histopathology"


def test_nothing_of_the_patients_is_in_the_cohort(owner: Guest, room: Room, tmp_path: Path):
    marked(owner)
    export(room, tmp_path / "cohort")
    whole = b"".join(path.read_bytes() for path in (tmp_path / "cohort").rglob("*") if path.is_file())
    for secret in (b"Doe", b"P1\n", b"1.2.3.4", b"2019-02-03", b"owner"):
        assert secret not in whole, secret
    record = json.loads((tmp_path / "cohort" / "cohort.json").read_text())
    assert "key_fingerprint" in record["privacy"]


def test_patients_who_share_a_study_uid_stay_two_in_the_cohort(owner: Guest, room: Room, tmp_path: Path):
    for number, who in enumerate(("AAA", "BBB")):
        owner.mark(owner.image(number=number, PatientID=who), pathology="dcis", lesion="1")
    with room.store.writing() as session:  # as an exam of an earlier version
        exam = session.scalars(select(Exam)).first()
        session.execute(update(Image).values(exam_id=exam.id))
    export(room, tmp_path / "cohort")
    table = read_cohort(tmp_path / "cohort").table
    assert table["patient_id"].nunique() == 2


def test_an_export_is_in_the_log(owner: Guest, room: Room, tmp_path: Path):
    marked(owner)
    export(room, tmp_path / "cohort")
    entry = owner.get("/api/audit")["entries"][0]
    assert (entry["action"], entry["account"], entry["detail"]) == ("export", "test", '{"images": 3}')


def test_of_several_readers_one_must_be_named(rooms: Rooms, room: Room):
    with pytest.raises(InputError, match="who has marked: nobody"):
        marked_squares(room.store)
    anna, berta = rooms.account(room, "anna"), rooms.account(room, "berta")
    image = anna.image()
    anna.mark(image, pathology="dcis")
    berta.mark(image, pathology="dcis")
    with pytest.raises(InputError, match=r"who has marked: anna \(1\), berta \(1\)"):
        marked_squares(room.store)
    assert [square.reader for square in marked_squares(room.store, reader="Berta")] == ["berta"]


def test_a_square_of_another_size_is_a_fault_that_can_be_left_out(owner: Guest, room: Room, tmp_path: Path):
    image = owner.image()
    owner.mark(image, pathology="dcis")
    owner.mark(image, pathology="dcis", side=700, row=250)
    with pytest.raises(InputError, match="its side must be 512 pixels, as the scale asks for; it is 700"):
        export(room, tmp_path / "cohort")
    assert not (tmp_path / "cohort").exists()
    assert len(export(room, tmp_path / "cohort", skip_bad=True).table) == 1


def test_a_removed_square_is_not_exported(owner: Guest, room: Room):
    mark = owner.mark(owner.image(), pathology="dcis")
    owner.mark(owner.image(number=2), pathology="benign")
    owner.http.delete(f"/api/annotations/{mark['id']}")
    assert [square.version.pathology for square in marked_squares(room.store)] == ["benign"]


def test_the_command_makes_the_cohort_beside_a_running_server(owner: Guest, room: Room, tmp_path: Path):
    marked(owner)
    out = tmp_path / "cohort"
    done = CliRunner().invoke(app, ["cohort", "from-annotations", str(room.settings.data), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "3 ROI images of 2 patients: 1 benign, 2 malignant" in done.output
    assert "cohort.key" in done.output
    assert len(read_cohort(out).table) == 3
