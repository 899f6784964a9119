"""Encrypted connections: HTTPS and DICOM over TLS, with a certificate that is checked."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from digital_mammogram import digital_mammogram
from microcalc.errors import PacsError
from microcalc.reader.pacs.archive import PacsClient
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import ListenSettings, TlsSettings, checked_pacs_settings
from microcalc.reader.pacs.storage_scp import Received, StorageScp, StoreStatus
from pacs_clients import client_of
from services import LEAKS, Orthanc, certificate
from unruly_proxy import UnrulyProxy

SOURCE = digital_mammogram(200, 200, number=44)
pytestmark = LEAKS


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return certificate(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another authority, which signed nothing here."""
    return certificate(tmp_path_factory.mktemp("strange"))[0]


@pytest.fixture(params=["dicomweb", "get"])
def asked(request: pytest.FixtureRequest, keys: tuple[Path, Path], pacs_server: Orthanc) -> Iterator[object]:
    """Makes a client that reaches the PACS through a door that speaks TLS, given whom it trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*keys)
    web = request.param == "dicomweb"
    with UnrulyProxy(pacs_server.http_port if web else pacs_server.dicom_port, context) as door:

        def client(authority: Path | None) -> PacsClient:
            trust = {} if authority is None else {"ca_file": str(authority)}
            if web:
                return client_of(pacs_server, "dicomweb", url=f"https://127.0.0.1:{door.port}/dicom-web", **trust)
            return client_of(pacs_server, "get", port=door.port, tls=trust, timeout_s=5)

        yield client


def test_a_known_authority_is_trusted(asked: Callable[[Path | None], PacsClient], keys: tuple[Path, Path]):
    client = asked(keys[0])
    assert "answers" in client.echo()
    assert client.store([SOURCE])[0].accepted


def test_a_strange_authority_is_not(asked: Callable[[Path | None], PacsClient], strange: Path):
    for authority in (strange, None):  # None: those of the system
        with pytest.raises(PacsError, match="certificate"):
            asked(authority).echo()


def test_a_modality_may_push_encrypted(keys: tuple[Path, Path]):
    taken: list[Received] = []

    def take(received: Received) -> StoreStatus:
        taken.append(received)
        return StoreStatus.SUCCESS

    tls = TlsSettings(ca_file=keys[0], certificate=keys[0], key=keys[1])
    settings = {
        "kind": "dimse", "host": "127.0.0.1", "title": "MICROCALC", "our_title": "MAMMO1", "timeout_s": 5,
    }  # fmt: skip
    with StorageScp(ListenSettings(port=0, accept_titles=("MAMMO1",), tls=tls), take) as scp:
        known = settings | {"port": scp.port, "tls": tls.model_dump()}
        assert open_pacs(checked_pacs_settings(known, source="test")).store([SOURCE])[0].accepted
        for unknown in ({"ca_file": str(keys[0])}, None):  # without a certificate, and in the clear
            with pytest.raises(PacsError):
                open_pacs(checked_pacs_settings(known | {"tls": unknown}, source="test")).store([SOURCE])
    assert len(taken) == 1
