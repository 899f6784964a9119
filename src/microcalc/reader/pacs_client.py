"""Opening the PACS of a file: the client that fits its kind. Nothing else lives here."""

from microcalc.reader.dicomweb import DicomwebPacs
from microcalc.reader.dimse import DimsePacs
from microcalc.reader.pacs import PacsClient
from microcalc.reader.pacs_settings import DicomwebSettings, PacsSettings
from microcalc.reader.storage_scp import StorageScp

__all__ = ["open_pacs"]


def open_pacs(settings: PacsSettings, ears: StorageScp | None = None) -> PacsClient:
    """The client of a PACS; nothing is asked of it yet.

    Args:
        settings: of `microcalc.reader.pacs_settings.read_pacs_settings`.
        ears: the storage SCP that is listening already on ``listen``, for C-MOVE.
    """
    if isinstance(settings, DicomwebSettings):
        return DicomwebPacs(settings)
    return DimsePacs(settings, ears)
