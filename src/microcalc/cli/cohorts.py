"""All of `microcalc cohort`: its own commands and the drawing of phantoms, put together."""

from microcalc.cli.annotations import from_annotations
from microcalc.cli.cohort import app
from microcalc.cli.collections import from_cbis_ddsm, from_cmmd, from_embed, from_inbreast
from microcalc.cli.inspect import inspect
from microcalc.cli.phantom import phantom
from microcalc.cli.sources import columns, from_dicom

__all__ = ["app"]

app.command("phantom")(phantom)
app.command("from-dicom")(from_dicom)
app.command("columns")(columns)
app.command("inspect")(inspect)
app.command("from-cbis-ddsm")(from_cbis_ddsm)
app.command("from-cmmd")(from_cmmd)
app.command("from-inbreast")(from_inbreast)
app.command("from-embed")(from_embed)
app.command("from-annotations")(from_annotations)
