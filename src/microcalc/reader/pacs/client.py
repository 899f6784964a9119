"""Opening the PACS of a file: the client that fits its kind. Nothing else lives here."""

from microcalc.reader.pacs.archive import PacsClient
from microcalc.reader.pacs.dicomweb import DicomwebPacs
from microcalc.reader.pacs.dimse import DimsePacs
from microcalc.reader.pacs.settings import DicomwebSettings, PacsSettings
from microcalc.reader.pacs.storage_scp import StorageScp

__all__ = ["open_pacs"]


def open_pacs(settings: PacsSettings, ears: StorageScp | None = None) -> PacsClient:
    """The client of a PACS; nothing is asked of it yet.

    Args:
        settings: of `microcalc.reader.pacs.settings.read_pacs_settings`.
        ears: the storage SCP that is listening already on ``listen``, for C-MOVE.
    """
    if isinstance(settings, DicomwebSettings):
        return DicomwebPacs(settings)
    return DimsePacs(settings, ears)
