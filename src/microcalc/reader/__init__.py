"""What a finished study's networks say of a new case, and the reading room around it.

Reading itself stands in the modules of this folder. The rooms: `objects`, readings as DICOM; `pacs`, where images come
from and readings go; `store`, what is kept; `room`, who does what; `web`, the page.

Nothing is imported here, so that the parts that need no torch, or no web server, do not bring it.
"""

__all__: list[str] = []
