"""`workbench compare`: the matched tokenizers, or codes alone under one encoder and decoder, on pictures."""

__all__ = ["app"]

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, print_notes, print_table, progress_bar

app = typer.Typer(help="Compare quantizers on pictures.")

_COLUMNS = {"psnr": ".2f", "ssim": ".4f", "ms_ssim": ".4f", "leaf": ".4f", "bpp": ".4f", "words": ",d"}


@app.command("compare")
def compare(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, or folders of pictures.")],
    models: Annotated[
        list[str] | None, typer.Option("--model", help="A tokenizer to compare; the matched ones by default.")
    ] = None,
    under: Annotated[
        str | None, typer.Option(help="Swap only the code under this model's encoder and decoder instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Send each picture through several quantizers; a star marks the best in each measure.

    With --under MODEL the encoder and the decoder stay and only the code changes: that shows what a code itself does
    to a vector. The decoder was trained for MODEL's own code, so it does not say which quantizer trains best.
    """
    from workbench.errors import InputError, WorkbenchError
    from workbench.images.files import list_images, read_picture
    from workbench.models.load import load_tokenizer
    from workbench.tasks.compare import compare_codes, compare_models, matched_models, winners

    if models and under:
        raise InputError("--model and --under exclude each other: the first compares models, the second codes")
    chosen = [] if under else models or matched_models()
    tokenizer = load_tokenizer(under) if under else None
    pictures, errors = [], []
    with progress_bar("Comparing") as progress:
        for found in list_images(inputs):
            try:
                picture = read_picture(found.path)
                answers = (
                    compare_models(picture.pixels, chosen, progress=progress)
                    if tokenizer is None
                    else compare_codes(picture.pixels, tokenizer)
                )
            except WorkbenchError as error:
                errors.append({"input": str(found.path), "error": str(error)})
                continue
            rows, best = [answer.row() for answer in answers], winners(answers)
            notes = {"notes": list(picture.notes)} if picture.notes else {}
            pictures.append({"input": str(found.path), "results": rows, "winners": best, **notes})
            if not json:
                _print_figures(str(found.path), rows, best)
                print_notes(pictures[-1:])
    if json:
        print_json({"swapped": "code" if under else "model", "under": under, "images": pictures, "errors": errors})
    for error in errors:
        typer.echo(f"workbench: {error['input']}: {error['error']}", err=True)
    if errors:
        raise typer.Exit(1)


def _print_figures(title: str, rows: list[dict[str, object]], best: dict[str, str]) -> None:
    lines = [(title, *_COLUMNS)]
    for row in rows:
        cells = []
        for key, form in _COLUMNS.items():
            star = "*" if best.get(key) == row["name"] else " "
            cells.append(("-" if row.get(key) is None else format(row[key], form)) + star)
        lines.append((str(row["name"]), *cells))
    print_table(lines)
