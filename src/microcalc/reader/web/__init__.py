"""The page and its HTTP interface: who may come in, what is asked and answered, and the page's own files (`static`)."""

__all__: list[str] = []
