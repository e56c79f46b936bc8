"""`workbench evaluate`: how good models and files are, with the protocol beside every number."""

__all__ = ["app"]

import typer

from workbench.cli.evaluate.generation import generation
from workbench.cli.evaluate.rate_distortion import rate_distortion
from workbench.cli.evaluate.reconstruction import reconstruction
from workbench.cli.evaluate.sweep import sweep

app = typer.Typer(help="Measure models and files on sets of pictures.")
app.command("reconstruction")(reconstruction)
app.command("generation")(generation)
app.command("rate-distortion")(rate_distortion)
app.command("sweep")(sweep)
