"""`workbench info`: what a .leech file says about itself."""

__all__ = ["app"]

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json

app = typer.Typer(help="Show what a .leech file says about itself.")


@app.command("info")
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .leech file, or - for stdin.")],
    json: Json = False,
) -> None:
    """Show the header of a file. The file must be whole; its model need not be at hand."""
    from workbench.tasks.compress.picture import describe, read_leech

    container = read_leech(sys.stdin.buffer if file == Path("-") else file)
    row = {"file": str(file), **describe(container)}
    if json:
        print_json(row)
        return
    for name, value in row.items():
        typer.echo(f"{name:<16}{value}")
