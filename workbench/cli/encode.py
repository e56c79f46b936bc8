"""`workbench encode`: pictures to .leech files."""

__all__ = ["app"]

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import Json, print_json, print_notes, print_table, progress_bar

if TYPE_CHECKING:
    import numpy as np

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
    effort: Annotated[
        int | None,
        typer.Option(min=0, max=9, help="How long to search for better codewords, 2 by default; 0 not at all."),
    ] = None,
    trade: Annotated[
        float | None,
        typer.Option("--lambda", min=0, help="Squared error a bit may cost in that search, 0.005 by default."),
    ] = None,
    target_size: Annotated[str | None, typer.Option(metavar="12kB", help="Make files of about this size.")] = None,
    target_bpp: Annotated[float | None, typer.Option(help="Make files of about so many bits per pixel.")] = None,
    target_psnr: Annotated[float | None, typer.Option(help="Make files of about this PSNR, in dB.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: Json = False,
) -> None:
    """Compress pictures: the picture to tokens, the tokens to bytes, and a check over all of it.

    Any picture is taken as 8-bit sRGB; transparency is flattened over white. The same picture gives the same bytes
    every time. A picture that cannot be read is listed at the end and does not stop the others; the status is then 1.

    Effort 2 takes two to three seconds for 768×512 pixels on one core, and gives most of what half a minute of effort 9
    gives. With a target, the rate point (unless --quality or --model says it) and λ are searched for.
    """
    from workbench.errors import InputError
    from workbench.images.files import read_picture
    from workbench.models.refine import can_refine
    from workbench.tasks.compress.codec import codec_for, qualities
    from workbench.tasks.compress.files import compress_files, find_pictures, write_bytes
    from workbench.tasks.compress.picture import EFFORT, TRADE, Compressed, compress_image
    from workbench.tasks.compress.target import Target, compress_to_target, parse_size

    targets = {
        "bytes": parse_size(target_size) if target_size is not None else None,
        "bpp": target_bpp,
        "psnr": target_psnr,
    }
    wanted = [Target(kind, value) for kind, value in targets.items() if value is not None]  # type: ignore[arg-type]
    if len(wanted) + (trade is not None) > 1:
        raise InputError("give one of --target-size, --target-bpp, --target-psnr and --lambda: each decides the others")
    named = model is not None or quality is not None or not wanted
    codecs = [codec_for(model, quality)] if named else [codec_for(quality=rung) for rung in qualities()]
    chosen = (EFFORT if can_refine(codecs[0].tokenizer) else 0) if effort is None else effort

    def compress(image: "np.ndarray") -> Compressed:
        if wanted:
            return compress_to_target(image, codecs, wanted[0], effort=chosen, entropy=entropy)
        return compress_image(image, codecs[0], entropy=entropy, effort=chosen, trade=TRADE if trade is None else trade)

    piped, to_stdout = Path("-") in inputs, out == Path("-")
    if (piped or to_stdout) and (len(inputs) != 1 or (not piped and inputs[0].is_dir())):
        raise InputError("- stands for one picture: name no other input beside it")
    if to_stdout and json:
        raise InputError("with -o - the compressed file goes to stdout: leave --json away")
    if piped or to_stdout:
        source = sys.stdin.buffer if piped else inputs[0]
        picture = read_picture(source, name="stdin" if piped else None)
        result = compress(picture.pixels)
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
        with progress_bar("Compressing") as progress:
            batch = compress_files(jobs, compress, force=force, progress=progress)
        rows, errors = list(batch.rows), list(batch.errors)
    if json:
        failed = [{"input": name, "error": message} for name, message in errors]
        print_json({"model": codecs[0].tokenizer.name, "files": rows, "errors": failed})
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
