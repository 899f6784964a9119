"""All of `microcalc cohort`: its own commands and the drawing of phantoms, put together."""

from microcalc.cli.cohort import app
from microcalc.cli.phantom import phantom

__all__ = ["app"]

app.command("phantom")(phantom)
