"""`workbench verify`: whether .leech files are whole and decode with the models at hand."""

__all__ = ["app"]

import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json

app = typer.Typer(help="Check .leech files.")


@app.command("verify")
def verify(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".leech files, or - for stdin.")],
    model: Annotated[str | None, typer.Option(help="Where the model of the files is, if not at hand by name.")] = None,
    json: Json = False,
) -> None:
    """Check files to the last byte: the file is whole, its model is the one at hand, its payload decodes to tokens.

    The exit status is 1 if any file is not sound.
    """
    from workbench.errors import WorkbenchError
    from workbench.tasks.compress import picture as compress

    rows = []
    for file in files:
        try:
            container = compress.verify(sys.stdin.buffer if file == Path("-") else file, model=model)
            rows.append({"file": str(file), "sound": True, "tokens": container.tokens, "error": None})
        except WorkbenchError as error:
            rows.append({"file": str(file), "sound": False, "tokens": None, "error": " ".join(str(error).split())})
    if json:
        print_json({"files": rows})
    else:
        for row in rows:
            said = f"sound, {row['tokens']:,} tokens" if row["sound"] else f"NOT SOUND: {row['error']}"
            typer.echo(f"{row['file']}: {said}")
    if not all(row["sound"] for row in rows):
        raise typer.Exit(1)
