"""`workbench reconstruct`: pictures through a tokenizer and back, with the figures."""

__all__ = ["app"]

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, print_notes, print_table, progress_bar

app = typer.Typer(help="Send pictures through a tokenizer and back.")

# What is printed of each picture, and in which form.
_COLUMNS = {"psnr": ".2f", "ssim": ".4f", "ms_ssim": ".4f", "tokens": ",.0f", "bpp": ".4f", "seconds": ".2f"}


@app.command("reconstruct")
def reconstruct(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, or folders of pictures.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for the results, written as PNG.")],
    model: Annotated[str | None, typer.Option(help="A bundled name, a folder, or owner/name; see `models`.")] = None,
    effort: Annotated[
        int, typer.Option(min=0, max=9, help="How long to search for better codewords; 0 is the encoder's own choice.")
    ] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: Json = False,
) -> None:
    """Send pictures through a tokenizer and back, write what came back and print what it cost and kept.

    A folder is walked, and the result of DIR/a/b.jpg is called a/b.png below the folder for results. A picture that
    cannot be read is listed at the end and does not stop the others; the exit status is then 1.
    """
    from workbench.models.load import default_tokenizer, load_tokenizer
    from workbench.tasks.reconstruct import find_jobs, reconstruct_files

    jobs = find_jobs(inputs)
    tokenizer = load_tokenizer(model or default_tokenizer())
    with progress_bar("Reconstructing") as progress:
        batch = reconstruct_files(jobs, out, tokenizer, effort=effort, force=force, progress=progress)
    if json:
        errors = [{"input": name, "error": message} for name, message in batch.errors]
        print_json({"model": tokenizer.name, "images": list(batch.rows), "mean": dict(batch.mean), "errors": errors})
    else:
        _print_figures(tokenizer.name, batch.rows, batch.mean)
    for name, message in batch.errors:
        line = " ".join((message if message.startswith(name) else f"{name}: {message}").split())
        typer.echo(f"workbench: {line}", err=True)
    if batch.errors:
        typer.echo(f"workbench: {len(batch.errors)} of {len(jobs)} pictures failed", err=True)
        raise typer.Exit(1)


def _print_figures(model: str, rows: Sequence[Mapping[str, object]], mean: Mapping[str, object]) -> None:
    """Print a row a picture and the means below, in aligned columns."""
    if not rows:
        return
    lines = [("picture", *_COLUMNS)]
    lines += [(Path(str(row["output"])).name, *_cells(row)) for row in rows]
    if len(rows) > 1:
        lines.append((f"mean of {len(rows)}", *_cells(mean)))
    typer.echo(f"model {model}")
    print_table(lines)
    print_notes(rows)


def _cells(row: Mapping[str, object]) -> list[str]:
    """The figures of a row as text; a dash for what a measure cannot say."""
    return ["-" if row.get(name) is None else format(row[name], form) for name, form in _COLUMNS.items()]
