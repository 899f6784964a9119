"""Asking, fetching and sending against a real Orthanc, by DICOMweb and by DIMSE."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from digital_mammogram import digital_mammogram
from microcalc.errors import PacsError
from microcalc.intake.dicom import Mammogram, read_mammogram
from microcalc.reader.pacs.archive import PacsClient, PacsQuery
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import checked_pacs_settings
from microcalc.reader.pacs.storage_scp import Received, StorageScp, StoreStatus
from pacs_clients import client_of, settings_of
from report_readings import film, film_paths, finding, objects_of
from services import LEAKS, Orthanc, free_port, is_listening, program, until


@pytest.fixture(params=["dicomweb", "get", "move"])
def client(request: pytest.FixtureRequest, filled: Orthanc) -> PacsClient:
    """The same PACS by DICOMweb, by DIMSE with C-GET and by DIMSE with C-MOVE."""
    return client_of(filled, request.param)


pytestmark = LEAKS
DIGITAL = digital_mammogram()
OURS = {str(source.StudyInstanceUID) for source in (DIGITAL, film(0, pixels=False), film(1, pixels=False))}


@pytest.fixture(scope="session")
def filled(pacs_server: Orthanc) -> Orthanc:
    """With a digital mammogram and two films."""
    buffer = io.BytesIO()
    DIGITAL.save_as(buffer, enforce_file_format=True)
    pacs_server.put(buffer.getvalue())
    for path in film_paths()[:2]:
        pacs_server.put(path.read_bytes())
    return pacs_server


def test_it_answers(client: PacsClient):
    assert "answers" in client.echo()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (PacsQuery(patient_id="P1"), ["Müller^Ottilie"]),
        (PacsQuery(patient_id="P*"), ["Müller^Ottilie"]),
        (PacsQuery(patient_name="Müller*"), ["Müller^Ottilie"]),
        (PacsQuery(patient_name="Müll?r^Ott*"), ["Müller^Ottilie"]),
        (
            PacsQuery(patient_name="Mass-Test_P_00173_LEFT_*"),
            ["Mass-Test_P_00173_LEFT_CC", "Mass-Test_P_00173_LEFT_MLO"],
        ),
        (PacsQuery(patient_name="Nobody*"), []),
        (PacsQuery(date="20190101-20191231"), ["Müller^Ottilie"]),
        (PacsQuery(date="-20180101", modality="MG"), ["Mass-Test_P_00173_LEFT_CC", "Mass-Test_P_00173_LEFT_MLO"]),
        (PacsQuery(study_uid=str(DIGITAL.StudyInstanceUID)), ["Müller^Ottilie"]),
        (PacsQuery(accession="A77"), ["Müller^Ottilie"]),
        (PacsQuery(patient_id="P1", modality="CT"), []),
    ],
    ids=str,
)
def test_a_query_finds_what_was_asked_for(client: PacsClient, query: PacsQuery, names: list[str]):
    answer = client.query(query)
    found = [study for study in answer.studies if study.study_uid in OURS]  # other tests put theirs there too
    assert sorted(study.patient_name for study in found) == names


@pytest.mark.parametrize("name", ["Mass-Test_P_00173_LEFT_*", "Mass-Test?P_00173_LEFT_*"])
def test_whether_there_is_more_than_was_asked_for_is_told(client: PacsClient, name: str):
    for limit, more in ((1, True), (2, False)):
        answer = client.query(PacsQuery(patient_name=name, limit=limit))
        assert (len(answer.studies), answer.more) == (limit, more)


@pytest.mark.parametrize("kind", ["get", "move"])
def test_a_pacs_that_limits_its_answers_gives_what_it_gives_and_there_is_more(kind: str, tmp_path: Path):
    server = Orthanc(tmp_path, LimitFindResults=2, LimitFindInstances=1)
    server.start()
    try:
        sources = [digital_mammogram(200, 200, number=number) for number in range(3)]
        sources.append(digital_mammogram(200, 200, number=4))
        sources[3].StudyInstanceUID, sources[3].SeriesInstanceUID = (
            sources[0].StudyInstanceUID,
            sources[0].SeriesInstanceUID,
        )
        for source in sources:
            buffer = io.BytesIO()
            source.save_as(buffer, enforce_file_format=True)
            server.put(buffer.getvalue())
        client = client_of(server, kind)
        answer = client.query(PacsQuery(patient_id="P*"))
        assert (len(answer.studies), answer.more) == (2, True)
        with pytest.raises(PacsError, match="C-FIND with status FE00"):  # a study is fetched whole or not at all
            client.fetch(str(sources[0].StudyInstanceUID), tmp_path)
    finally:
        server.kill()


def test_a_found_study_says_what_is_in_it(client: PacsClient):
    (study,) = client.query(PacsQuery(patient_id="P1")).studies
    assert (study.study_uid, study.date, study.modalities) == (DIGITAL.StudyInstanceUID, "20190304", ("MG",))
    assert study.images == 1


def test_fetched_images_have_the_pixels_that_were_put_there(client: PacsClient, tmp_path: Path):
    original = pydicom.dcmread(film_paths()[0])
    (path,) = client.fetch(original.StudyInstanceUID, tmp_path)
    assert path.name == f"{original.SOPInstanceUID}.dcm"
    got, wanted = read_mammogram(path), read_mammogram(film_paths()[0])
    assert isinstance(got, Mammogram)
    assert isinstance(wanted, Mammogram)
    np.testing.assert_array_equal(got.stored, wanted.stored)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID


def test_a_study_that_is_not_there_has_no_images(client: PacsClient, tmp_path: Path):
    assert client.fetch("1.2.3.4.5", tmp_path) == []


@pytest.mark.parametrize(("kind", "number"), [("dicomweb", 0), ("get", 1)])
def test_a_report_is_stored_once_however_often_it_is_sent(filled: Orthanc, kind: str, number: int, tmp_path: Path):
    client = client_of(filled, kind)
    objects = objects_of(pydicom.dcmread(film_paths()[number]), finding(2000, 1000, reading_id=kind))
    assert not client.holds(objects[0])
    for _ in range(2):
        assert [answer.accepted for answer in client.store(objects)] == [True] * 3
    held = filled.held()
    assert [held[made.SOPInstanceUID] for made in objects] == [1, 1, 1]
    assert all(client.holds(made) for made in objects)
    fetched = client.fetch(objects[0].StudyInstanceUID, tmp_path)
    assert len(fetched) == 1  # the mammogram; a report is none


@pytest.mark.parametrize("number", range(8))
def test_the_report_of_each_film_is_taken(filled: Orthanc, number: int):
    objects = objects_of(film(number, pixels=False), finding(1500, 1500, reading_id=f"film {number}"))
    assert [answer.accepted for answer in client_of(filled, "get").store(objects)] == [True] * 3


@pytest.mark.parametrize("kind", ["dicomweb", "get"])
def test_a_segmentation_is_stored(filled: Orthanc, kind: str):
    client = client_of(filled, kind)
    objects = objects_of(DIGITAL, finding(reading_id=f"segmentation {kind}"))
    assert [answer.accepted for answer in client.store(objects)] == [True] * 3
    found = filled.get(f"/studies/{orthanc_study(filled, DIGITAL)}/series")
    kinds = {series["MainDicomTags"]["Modality"] for series in found}  # type: ignore[attr-defined]
    assert kinds >= {"MG", "SR", "PR", "SEG"}


def orthanc_study(server: Orthanc, source: Dataset) -> str:
    for entry in server.get("/studies?expand"):  # type: ignore[attr-defined]
        if entry["MainDicomTags"]["StudyInstanceUID"] == source.StudyInstanceUID:
            return str(entry["ID"])
    raise AssertionError("the study is not there")


def test_a_receiver_of_plain_objects_only_gets_plain_ones(tmp_path: Path):
    """dcmtk's storescp, told to take implicit VR only: our objects are compressed and explicit."""
    port = free_port()
    command = [program("storescp", package="dcmtk"), "-od", tmp_path, "+xi", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as receiver:
        until(lambda: is_listening(port), seconds=20, what="storescp to listen", process=receiver)
        settings = {"kind": "dimse", "host": "127.0.0.1", "port": port, "title": "STORESCP", "timeout_s": 10}
        objects = objects_of(film(0, pixels=False), finding(2000, 1000)) + objects_of(DIGITAL)
        try:
            answers = open_pacs(checked_pacs_settings(settings, source="test")).store(objects)
        finally:
            receiver.terminate()
    assert [answer.accepted for answer in answers] == [True] * 6
    got = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, tmp_path.iterdir())}
    for made in objects:
        one = got[made.SOPInstanceUID]
        assert one.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
        if "PixelData" in made:
            assert one.PhotometricInterpretation == made.PhotometricInterpretation
            np.testing.assert_array_equal(one.pixel_array, made.pixel_array)


def test_with_ears_that_listen_already_only_what_was_asked_for_is_diverted(filled: Orthanc, tmp_path: Path):
    pushed: list[str] = []

    def take(received: Received) -> StoreStatus:
        pushed.append(received.sop_uid)
        return StoreStatus.SUCCESS

    settings = checked_pacs_settings(settings_of(filled, "move"), source="test")
    assert settings.listen is not None
    with StorageScp(settings.listen, take) as ears:
        client = open_pacs(settings, ears)
        (path,) = client.fetch(str(DIGITAL.StudyInstanceUID), tmp_path)
        assert (path.stem, pushed) == (DIGITAL.SOPInstanceUID, [])
        filled.push(str(DIGITAL.SOPInstanceUID))  # now of its own accord, as a modality does
        assert pushed == [DIGITAL.SOPInstanceUID]


@pytest.mark.parametrize("kind", ["dicomweb", "get"])
def test_a_pacs_that_is_not_there_is_said_to_be_not_there(kind: str, filled: Orthanc, tmp_path: Path):
    port = free_port()
    values = {"url": f"http://127.0.0.1:{port}/dicom-web"} if kind == "dicomweb" else {"port": port}
    client = client_of(filled, kind, timeout_s=5, **values)
    for ask in (
        client.echo,
        lambda: client.query(PacsQuery(patient_id="P1")),
        lambda: client.fetch("1.2.3", tmp_path),
        lambda: client.store([DIGITAL]),
        lambda: client.holds(DIGITAL),
    ):
        with pytest.raises(PacsError, match="must be reachable"):
            ask()


@pytest.mark.parametrize("kind", ["dicomweb", "get"])
def test_a_pacs_that_stands_still_is_given_up_and_asked_again_later(filled: Orthanc, kind: str):
    client = client_of(filled, kind, timeout_s=1)
    filled.pause()
    try:
        with pytest.raises(PacsError):
            client.query(PacsQuery(patient_id="P1"))
    finally:
        filled.go_on()
    assert client_of(filled, kind).query(PacsQuery(patient_id="P1")).studies


def test_wrong_credentials_are_refused(filled: Orthanc, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(Orthanc.PASSWORD_ENV, "guessed")
    with pytest.raises(PacsError, match="refused with HTTP 401"):
        client_of(filled, "dicomweb").query(PacsQuery(patient_id="P1"))


def test_a_wrong_title_is_refused(filled: Orthanc):
    with pytest.raises(PacsError, match=r"rejected the association .* AE titles"):
        client_of(filled, "get", title="SOMEBODY").echo()
