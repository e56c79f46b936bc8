"""`workbench decode`: .leech files back to pictures."""

__all__ = ["app"]

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, print_table, progress_bar

app = typer.Typer(help="Decompress .leech files to PNG.")


@app.command("decode")
def decode(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help=".leech files, folders, or - for stdin.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="A PNG file, - for stdout, or a folder.")],
    model: Annotated[str | None, typer.Option(help="Where the model of the files is, if not at hand by name.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: Json = False,
) -> None:
    """Decompress files. A file that is damaged, or of another model, codebook or version, is refused.

    The tokens are the same on every machine; pixels, which a network makes of them, may differ in the last bit.
    """
    from PIL import Image

    from workbench.errors import InputError
    from workbench.images.files import write_png
    from workbench.tasks.compress.files import decompress_files, find_compressed
    from workbench.tasks.compress.picture import decompress_image, describe

    piped, to_stdout = Path("-") in inputs, out == Path("-")
    if (piped or to_stdout) and (len(inputs) != 1 or (not piped and inputs[0].is_dir())):
        raise InputError("- stands for one file: name no other input beside it")
    if to_stdout and json:
        raise InputError("with -o - the picture goes to stdout: leave --json away")
    if piped or to_stdout:
        result = decompress_image(sys.stdin.buffer if piped else inputs[0], model=model)
        if to_stdout:
            content = io.BytesIO()
            Image.fromarray(result.image).save(content, format="PNG")
            sys.stdout.buffer.write(content.getvalue())
            sys.stdout.buffer.flush()
            return
        write_png(result.image, out, force=force)
        rows, errors = [{"input": "-", "output": str(out), **describe(result.container), "seconds": result.seconds}], []
    else:
        jobs = find_compressed(inputs, out)
        with progress_bar("Decompressing") as progress:
            batch = decompress_files(jobs, model=model, force=force, progress=progress)
        rows, errors = list(batch.rows), list(batch.errors)
    if json:
        print_json({"files": rows, "errors": [{"input": name, "error": message} for name, message in errors]})
    else:
        size = [f"{row['width']}×{row['height']}" for row in rows]
        print_table(
            [(str(row["output"]), sides, f"{row['seconds']:.2f} s") for row, sides in zip(rows, size, strict=True)]
        )
    for name, message in errors:
        typer.echo(f"workbench: {name}: {' '.join(message.split())}", err=True)
    if errors:
        raise typer.Exit(1)
