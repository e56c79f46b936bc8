"""`workbench encode`: pictures to .leech files."""

__all__ = ["app"]

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import Json, print_json, print_notes, print_table, progress_bar

app = typer.Typer(help="Compress pictures to .leech files.")


@app.command("encode")
def encode(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, folders, or - for stdin.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="OUT", help="A .leech file, - for stdout, or a folder.")],
    model: Annotated[str | None, typer.Option(help="A bundled name or a folder; see `models`.")] = None,
    entropy: Annotated[
        str | None, typer.Option(metavar="fixed|static|context", help="Default: the best that the model has.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option(metavar="1|2|3|4", help="A rung of the ladder of models, 1 the smallest files.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: Json = False,
) -> None:
    """Compress pictures: the picture to tokens, the tokens to bytes, and a check over all of it.

    Any picture is taken as 8-bit sRGB; transparency is flattened over white. The same picture gives the same bytes
    every time. A picture that cannot be read is listed at the end and does not stop the others; the status is then 1.
    """
    from workbench.errors import InputError
    from workbench.images.files import read_picture
    from workbench.tasks.compress.codec import codec_for
    from workbench.tasks.compress.files import compress_files, find_pictures, write_bytes
    from workbench.tasks.compress.picture import compress_image

    piped, to_stdout = Path("-") in inputs, out == Path("-")
    if (piped or to_stdout) and (len(inputs) != 1 or (not piped and inputs[0].is_dir())):
        raise InputError("- stands for one picture: name no other input beside it")
    if to_stdout and json:
        raise InputError("with -o - the compressed file goes to stdout: leave --json away")
    if piped or to_stdout:
        codec = codec_for(model, quality)
        source = sys.stdin.buffer if piped else inputs[0]
        picture = read_picture(source, name="stdin" if piped else None)
        result = compress_image(picture.pixels, codec, entropy=entropy)
        notes = {"notes": list(picture.notes)} if picture.notes else {}
        if to_stdout:
            print_notes([{"input": "stdin" if piped else source, **notes}], err=True)
            sys.stdout.buffer.write(result.data)
            sys.stdout.buffer.flush()
            return
        write_bytes(result.data, out, force=force)
        rows, errors = [{"input": "-", "output": str(out), **result.row(), **notes}], []
    else:
        jobs = find_pictures(inputs, out)
        codec = codec_for(model, quality)
        with progress_bar("Compressing") as progress:
            batch = compress_files(jobs, codec, entropy=entropy, force=force, progress=progress)
        rows, errors = list(batch.rows), list(batch.errors)
    if json:
        named = [{"input": name, "error": message} for name, message in errors]
        print_json({"model": codec.tokenizer.name, "files": rows, "errors": named})
    else:
        print_table([_cells(row) for row in rows])
        print_notes(rows)
    for name, message in errors:
        typer.echo(f"workbench: {name}: {' '.join(message.split())}", err=True)
    if errors:
        raise typer.Exit(1)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A compressed file and its figures."""
    fixed, seconds = f"{row['share_of_fixed']:.3f} of fixed", f"{row['seconds']:.2f} s"
    return str(row["output"]), f"{row['bytes']:,} bytes", f"{row['bpp']:.4f} bpp", fixed, seconds
