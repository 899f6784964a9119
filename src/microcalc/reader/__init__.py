"""The reading room: what a finished study's networks say of a new case, the page and the store around it, the PACS.

Nothing is imported here, so that the parts that need no torch, or no web server, do not bring it.
"""

__all__: list[str] = []
