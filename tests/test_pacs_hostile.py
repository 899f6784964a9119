"""A PACS that answers what nobody can understand, or wants to do harm: an error in plain words, nothing else."""

import io
import json
import threading
import time
from pathlib import Path

import pytest
from pydicom import Dataset

from digital_mammogram import digital_mammogram
from microcalc.errors import MicrocalcError, PacsError
from microcalc.reader.pacs.archive import PacsQuery
from microcalc.reader.pacs.basket import Basket
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import checked_pacs_settings
from microcalc.reader.pacs.storage_scp import Received, StoreStatus
from pacs_clients import client_of
from services import LEAKS, Orthanc, free_port
from unruly_proxy import REDIRECT, UnrulyProxy, page

pytestmark = LEAKS

SOURCE = digital_mammogram(200, 200, number=5)
ASK = {
    "echo": lambda client, _: client.echo(),
    "query": lambda client, _: client.query(PacsQuery(patient_name="Geheim*")),
    "fetch": lambda client, folder: client.fetch("1.2.3", folder),
    "store": lambda client, _: client.store([SOURCE]),
    "holds": lambda client, _: client.holds(SOURCE),
}


def web(port: int, **values: object) -> object:
    settings = {"kind": "dicomweb", "url": f"http://127.0.0.1:{port}/rs", "timeout_s": 5, "patience_s": 3, **values}
    return open_pacs(checked_pacs_settings(settings, source="test"))


def dimse(port: int, **values: object) -> object:
    settings = {"kind": "dimse", "host": "127.0.0.1", "port": port, "title": "PACS", "timeout_s": 2, **values}
    return open_pacs(checked_pacs_settings(settings, source="test"))


def answered(client: object, ask: str, folder: Path) -> str:
    """The error's words; a store may also come back as not accepted."""
    try:
        result = ASK[ask](client, folder)
    except PacsError as error:
        return str(error)
    if ask == "store":
        assert not result[0].accepted
        return str(result[0].reason)
    raise AssertionError(f"{ask} took nonsense for an answer: {result!r}")


JSON = "application/dicom+json"
ANSWERS = {
    "page": page(b"<html>hello</html>"),
    "cut json": page(b'[{"0020000D":', kind=JSON),
    "number": page(b"42", kind=JSON),
    "strings": page(b'["a", "b"]', kind=JSON),
    "bad elements": page(b'[{"0020000D": {"vr": "UI", "Value": [{"a": [1]}]}, "zz": 3}]', kind=JSON),
    "deep": page(b"[" * 100_000, kind=JSON),
    "bytes": b"\xff\xfe\x00nonsense\r\n\r\n",
    "silence": b"",
    "redirect": REDIRECT,
    "error": page(b"trace", status="500 Oh"),
}


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "silence"])
def test_nonsense_by_http_is_an_error_in_words(name: str, ask: str, tmp_path: Path):
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = ANSWERS[name]
        words = answered(web(proxy.port), ask, tmp_path)
    assert words
    assert "Geheim" not in words
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ask", ["query", "fetch", "store"])
def test_an_endless_answer_is_cut(ask: str, tmp_path: Path):
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n\r\n"
        proxy.endless = True
        began = time.monotonic()
        words = answered(web(proxy.port, largest_mb=2, patience_s=20), ask, tmp_path)
    assert "2097152 bytes at most" in words
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("uid", ["../../../tmp/x", "1.2.3/../../x", "", "1" * 65, "1.2.3\n", "1.2.*"])
def test_a_uid_that_is_a_path_makes_no_file(uid: str, tmp_path: Path):
    item = {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.1.2"]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "0020000E": {"vr": "UI", "Value": ["1.2.3"]},
        "0020000D": {"vr": "UI", "Value": ["1.2.3"]},
    }
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = page(json.dumps([item]).encode(), kind=JSON)
        with pytest.raises(PacsError):
            web(proxy.port).fetch("1.2.3", tmp_path)  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("warning", "more"),
    [
        ("", False),
        ("Warning: 299 PACS: There are 5 additional results that can be requested\r\n", True),
        ('Warning: 199 PACS "disk nearly full"\r\n', False),
    ],
)
def test_a_warning_that_results_are_left_is_told(warning: str, more: bool, tmp_path: Path):
    study = {"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100020": {"vr": "LO", "Value": ["P1"]}}
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = page(json.dumps([study]).encode(), kind=f"{JSON}\r\n{warning}".rstrip("\r\n"))
        answer = web(proxy.port).query(PacsQuery(patient_id="P1"))  # type: ignore[attr-defined]
        if more:
            with pytest.raises(PacsError, match="must list all images"):
                web(proxy.port).fetch("1.2.3", tmp_path)  # type: ignore[attr-defined]
    assert (len(answer.studies), answer.more) == (1, more)


def test_another_object_than_asked_for_is_refused(tmp_path: Path):
    """The PACS lists one image and gives another; its own answer is right otherwise."""
    item = Dataset()
    item.SOPClassUID, item.SOPInstanceUID = SOURCE.SOPClassUID, "1.2.3.4"
    item.StudyInstanceUID, item.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = page(json.dumps([item.to_json_dict()]).encode(), kind=JSON)

        def next_answer() -> None:
            if len(proxy.requests) == 2:
                proxy.answer = _multipart(digital_mammogram(50, 50, number=6))

        proxy.on_request = next_answer
        with pytest.raises(PacsError, match="sent another one"):
            web(proxy.port).fetch("1.2.3", tmp_path)  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def _multipart(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + buffer.getvalue() + b"\r\n--x--"
    return page(body, kind='multipart/related; type="application/dicom"; boundary=x')


@pytest.mark.parametrize("ask", ASK)
@pytest.mark.parametrize("name", ["page", "bytes", "silence"])
def test_nonsense_by_dimse_is_an_error_in_words(name: str, ask: str, tmp_path: Path):
    with UnrulyProxy(free_port()) as proxy:
        proxy.answer = ANSWERS[name]
        assert "PACS" in answered(dimse(proxy.port), ask, tmp_path)


def test_a_pacs_that_breaks_off_in_the_middle_of_a_fetch_is_an_error(
    pacs_server: Orthanc, tmp_path: Path
):  # fmt: skip
    source = digital_mammogram(300, 300, number=55)
    pacs_server.put(_file(source))
    with UnrulyProxy(pacs_server.dicom_port) as proxy:
        proxy.lose_after = 1
        with pytest.raises(PacsError):
            client_of(pacs_server, "get", port=proxy.port, timeout_s=3).fetch(source.StudyInstanceUID, tmp_path)


def _file(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["dicomweb", "get", "move"])
def test_a_folder_that_cannot_be_written_is_an_error_of_this_side(kind: str, pacs_server: Orthanc, tmp_path: Path):
    source = digital_mammogram(300, 300, number=56)
    pacs_server.put(_file(source))
    with pytest.raises(MicrocalcError, match="not-there"):
        client_of(pacs_server, kind).fetch(source.StudyInstanceUID, tmp_path / "not-there")


def test_an_archive_that_does_not_know_where_we_are_says_so(pacs_server: Orthanc, tmp_path: Path):
    source = digital_mammogram(300, 300, number=57)
    pacs_server.put(_file(source))
    listen = {"port": pacs_server.our_port, "title": "UNKNOWN", "accept_titles": [pacs_server.TITLE]}
    with pytest.raises(PacsError, match="refused C-MOVE with status"):
        client_of(pacs_server, "move", listen=listen).fetch(source.StudyInstanceUID, tmp_path)


def test_images_that_did_not_come_are_missed(tmp_path: Path):
    basket = Basket(tmp_path)
    assert basket.take(Received(_file(SOURCE), str(SOURCE.SOPInstanceUID), "1.2", "PACS", "")) == StoreStatus.SUCCESS
    basket.check({str(SOURCE.SOPInstanceUID)})
    with pytest.raises(PacsError, match="all 2 images of a series must come; 1 did not"):
        basket.check({str(SOURCE.SOPInstanceUID), "1.2.3"})


def test_two_threads_may_ask_at_once(pacs_server: Orthanc):
    client = client_of(pacs_server, "get")
    wrong: list[Exception] = []

    def ask() -> None:
        try:
            for _ in range(3):
                client.query(PacsQuery(patient_id="P*"))
        except MicrocalcError as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
