"""A modality pushes images: known ones are let in, each object is acknowledged by what became of it."""

import io
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import Verification

from digital_mammogram import digital_mammogram
from microcalc.errors import MicrocalcError, PacsError, ProtocolError
from microcalc.intake.dicom import Mammogram, read_mammogram
from microcalc.reader.pacs.settings import ListenSettings, TlsSettings
from microcalc.reader.pacs.storage_scp import Received, StorageScp, StoreStatus
from report_readings import film_paths, objects_of
from services import program

MG = "1.2.840.10008.5.1.4.1.1.1.2"
SR = "1.2.840.10008.5.1.4.1.1.88.33"
SETTINGS = ListenSettings(port=0, accept_titles=("MAMMO1",), largest_mb=4)


class Shelf:
    """Keeps what it is given, and answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[Received] = []
        self.answer: StoreStatus | Exception = StoreStatus.SUCCESS

    def __call__(self, received: Received) -> StoreStatus:
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == StoreStatus.SUCCESS:
            self.taken.append(received)
        return self.answer


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def scp(shelf: Shelf) -> Iterator[StorageScp]:
    with StorageScp(SETTINGS, shelf) as running:
        yield running


def send(port: int, made: Dataset, *, calling: str = "MAMMO1", called: str = "MICROCALC") -> int | str:
    """What a modality hears: a status, or that it was rejected or cut off."""
    modality = AE(calling)
    modality.add_requested_context(made.SOPClassUID, made.file_meta.TransferSyntaxUID)
    modality.dimse_timeout = modality.network_timeout = 10
    association = modality.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return "rejected" if association.is_rejected else "no service in common"
    try:
        status = association.send_c_store(made)
        return int(status.Status) if "Status" in status else "cut off"
    finally:
        if association.is_established:
            association.release()


def test_an_image_comes_in_as_it_was_sent(scp: StorageScp, shelf: Shelf, tmp_path: Path):
    sent = digital_mammogram()
    assert send(scp.port, sent) == StoreStatus.SUCCESS
    (received,) = shelf.taken
    assert (received.sop_uid, received.study_uid) == (sent.SOPInstanceUID, sent.StudyInstanceUID)
    assert (received.calling_title, received.address) == ("MAMMO1", "127.0.0.1")
    got, wanted = read_mammogram(received.content), read_mammogram(sent)
    assert isinstance(got, Mammogram)
    assert isinstance(wanted, Mammogram)
    np.testing.assert_array_equal(got.stored, wanted.stored)


def test_dcmtk_can_push_a_film(shelf: Shelf):
    """Another implementation than ours, and a compressed image."""
    settings = SETTINGS.model_copy(update={"largest_mb": 64})
    with StorageScp(settings, shelf) as scp:
        done = subprocess.run(
            [program("storescu", package="dcmtk"), "-aet", "MAMMO1", "-aec", "MICROCALC", "-xr", "127.0.0.1",
             str(scp.port), film_paths()[4]],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert isinstance(read_mammogram(shelf.taken[0].content), Mammogram)


def test_echo_is_answered(scp: StorageScp):
    modality = AE("MAMMO1")
    modality.add_requested_context(Verification)
    association = modality.associate("127.0.0.1", scp.port, ae_title="MICROCALC")
    assert association.send_c_echo().Status == 0
    association.release()


@pytest.mark.parametrize(("calling", "called"), [("STRANGER", "MICROCALC"), ("MAMMO1", "OTHER")])
def test_strangers_are_rejected(scp: StorageScp, shelf: Shelf, calling: str, called: str):
    assert send(scp.port, digital_mammogram(), calling=calling, called=called) == "rejected"
    assert shelf.taken == []


def test_objects_that_are_no_images_have_no_service(scp: StorageScp, shelf: Shelf):
    assert send(scp.port, objects_of(digital_mammogram())[0]) == "no service in common"


@pytest.mark.parametrize("status", [StoreStatus.OUT_OF_RESOURCES, StoreStatus.CANNOT_UNDERSTAND])
def test_the_modality_hears_what_became_of_its_image(scp: StorageScp, shelf: Shelf, status: StoreStatus):
    shelf.answer = status
    assert send(scp.port, digital_mammogram()) == status


@pytest.mark.parametrize("error", [MicrocalcError("the disk is full"), OSError(28, "No space left on device")])
def test_a_full_disk_is_out_of_resources(
    scp: StorageScp, shelf: Shelf, error: Exception, caplog: pytest.LogCaptureFixture
):
    shelf.answer = error
    with caplog.at_level(logging.INFO):
        assert send(scp.port, digital_mammogram()) == StoreStatus.OUT_OF_RESOURCES
    assert "Ottilie" not in caplog.text


def test_an_unforeseen_error_is_a_failure_and_the_next_image_is_welcome(scp: StorageScp, shelf: Shelf):
    shelf.answer = ZeroDivisionError("a fault in the shelf")
    assert send(scp.port, digital_mammogram()) not in (0, "rejected")
    shelf.answer = StoreStatus.SUCCESS
    assert send(scp.port, digital_mammogram()) == 0


def test_an_object_beyond_the_limit_is_cut_off_and_not_taken(scp: StorageScp, shelf: Shelf):
    assert send(scp.port, digital_mammogram(2400, 2000)) == "cut off"  # 9.6 MB, of 4 at most
    assert shelf.taken == []
    assert send(scp.port, digital_mammogram(number=2)) == StoreStatus.SUCCESS


def test_the_limit_holds_for_each_object_not_for_all_of_them(scp: StorageScp, shelf: Shelf):
    modality = AE("MAMMO1")
    modality.add_requested_context(MG)
    association = modality.associate("127.0.0.1", scp.port, ae_title="MICROCALC")
    for number in range(6):  # 1.3 MB each
        assert association.send_c_store(digital_mammogram(number=number)).Status == 0
    association.release()
    assert len(shelf.taken) == 6


def raw(port: int, content: bytes, *, sop_uid: str = "1.2.3", sop_class: str = MG) -> int:
    """Status for any bytes as a data set."""
    modality = AE("MAMMO1")
    modality.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
    association = modality.associate("127.0.0.1", port, ae_title="MICROCALC")
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.DataSet = io.BytesIO(content)
    association._reactor_checkpoint.clear()  # as pynetdicom does, or its own thread takes the answer
    association.dimse.send_msg(request, 1)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return int(answer.Status)


@pytest.mark.parametrize("content", [b"\x00" * 100, b"nonsense, not DICOM at all", bytes(range(256)) * 40], ids=repr)
def test_nonsense_is_not_understood(scp: StorageScp, shelf: Shelf, content: bytes):
    assert raw(scp.port, content) == StoreStatus.CANNOT_UNDERSTAND
    assert shelf.taken == []


def test_an_object_other_than_announced_is_refused(scp: StorageScp, shelf: Shelf):
    made = digital_mammogram()
    content = encode(made, is_implicit_vr=False, is_little_endian=True)
    assert raw(scp.port, content, sop_uid="1.2.3") == StoreStatus.NOT_MATCHING
    assert raw(scp.port, content, sop_uid=made.SOPInstanceUID) == StoreStatus.SUCCESS


def test_a_uid_that_is_a_path_is_refused(scp: StorageScp, shelf: Shelf):
    made = digital_mammogram(SOPInstanceUID="../../etc/passwd")
    content = encode(made, is_implicit_vr=False, is_little_endian=True)
    assert raw(scp.port, content, sop_uid="1.2.3") == StoreStatus.CANNOT_UNDERSTAND
    assert shelf.taken == []


def test_a_port_that_is_taken_is_said(scp: StorageScp, shelf: Shelf):
    with pytest.raises(PacsError, match="must be free to listen on"):
        StorageScp(SETTINGS.model_copy(update={"port": scp.port}), shelf).start()


def test_tls_without_a_certificate_is_refused(shelf: Shelf):
    with pytest.raises(ProtocolError, match="must have a certificate"):
        StorageScp(SETTINGS.model_copy(update={"tls": TlsSettings()}), shelf).start()


def test_stopping_twice_is_harmless(shelf: Shelf):
    scp = StorageScp(SETTINGS, shelf)
    scp.stop()
    scp.start()
    scp.stop()
    scp.stop()
    with pytest.raises(PacsError, match="must be started"):
        _ = scp.port
