"""The PACS: asking it, fetching from it, sending to it, by DICOMweb and by DIMSE; and where modalities push images."""

__all__: list[str] = []
