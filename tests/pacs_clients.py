"""Clients of the tests' PACS, each by another way."""

from microcalc.reader.pacs.archive import PacsClient
from microcalc.reader.pacs.client import open_pacs
from microcalc.reader.pacs.settings import checked_pacs_settings
from services import Orthanc


def settings_of(server: Orthanc, kind: str, **values: object) -> dict[str, object]:
    """As they stand in ``pacs.yaml``: ``dicomweb``, or DIMSE with ``get`` or ``move``."""
    if kind == "dicomweb":
        return {
            "kind": "dicomweb", "url": server.url, "user_env": Orthanc.USER_ENV,
            "password_env": Orthanc.PASSWORD_ENV, **values,
        }  # fmt: skip
    listen = {"port": server.our_port, "title": "MICROCALC", "accept_titles": [server.TITLE]}
    return {
        "kind": "dimse", "host": "127.0.0.1", "port": server.dicom_port, "title": server.TITLE, "retrieve": kind,
        "listen": listen, **values,
    }  # fmt: skip


def client_of(server: Orthanc, kind: str, **values: object) -> PacsClient:
    """A client; keywords overwrite settings."""
    return open_pacs(checked_pacs_settings(settings_of(server, kind, **values), source="test"))
