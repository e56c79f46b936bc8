"""`workbench explore`: the lattice itself, and how a model uses it."""

__all__ = ["app"]

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

app = typer.Typer(help="Look at the lattice itself, and at how a model uses its codebook.")


@app.command("code")
def code(
    name: Annotated[
        str, typer.Option("--code", help="A shell: leech, leech-published, leech2, e8, bw16, k12 …")
    ] = "leech",
    index: Annotated[int, typer.Option(help="The word that looks around.")] = 0,
    vector: Annotated[
        str | None, typer.Option(help="Numbers, separated by blanks or commas: the words nearest to it.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many of the nearest words.")] = 8,
    positions: Annotated[
        str | None, typer.Option(help="Up to five of 0 to 23: what they determine in the Golay code.")
    ] = None,
    json: Json = False,
) -> None:
    """Show a code from one of its words: shapes, inner products, the words nearest to a vector, the Golay code."""
    from dataclasses import asdict

    from workbench.tasks.explore.code import nearest_words, view_code
    from workbench.tasks.explore.golay import arrangement, view_positions

    view = view_code(name, index)
    near = nearest_words(_numbers(vector, float), name, count=count) if vector is not None else None
    golay = view_positions(_numbers(positions, int)) if positions is not None else None
    if json:
        result = asdict(view)
        result["golay"] = {"arrangement": arrangement().tolist()} | (asdict(golay) if golay else {})
        if near:
            result["nearest"] = asdict(near)
        print_json(result)
        return
    typer.echo(
        f"{view.name}: {view.size:,} words in {view.dimension} dimensions, "
        f"{view.bits:.3f} bits, fingerprint {view.fingerprint[:12]}"
    )
    for shape in view.shapes:
        typer.echo(f"  {shape.name:<16} {shape.count:>8,} words from index {shape.first:,}")
    typer.echo(f"word {view.index}: {' '.join(map(str, view.word))}")
    typer.echo(f"  nearest other word at distance {view.least_distance:.4f}; inner products of {view.norm_squared}:")
    for product, number in view.spectrum.items():
        typer.echo(f"  {product:>4} {number:>8,} words")
    if near:
        typer.echo(
            f"nearest words ({near.structured_us:.1f} µs a vector, {near.exhaustive_us:.0f} by comparing with all):"
        )
        for word in near.words:
            typer.echo(f"  {word.index:>7} {word.angle:6.2f}°  {word.shape}")
    if golay:
        typer.echo(f"{golay.octads_through} octads through {', '.join(map(str, golay.chosen)) or 'no position'}")
        if golay.octad:
            typer.echo(f"  octad {' '.join(map(str, golay.octad))}")
        for tetrad in golay.sextet or ():
            typer.echo(f"  four {' '.join(map(str, tetrad))}")


@app.command("usage")
def usage(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, folders, or .tar shards.")],
    model: Annotated[str | None, typer.Option(help="A bundled name, a folder, or owner/name; see `models`.")] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many pictures.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write plots as HTML and CSV here.")
    ] = None,
    run: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of a training run: use over training.")
    ] = None,
    json: Json = False,
) -> None:
    """Count the words that a model uses on pictures: how many, how evenly, of which shape, beside even use."""
    from workbench.images.sources import open_source
    from workbench.models.load import default_tokenizer, load_tokenizer
    from workbench.tasks.explore.usage import count_usage, training_curve
    from workbench.tasks.plots.usage import curve_plot, save_plots, usage_plots

    source = open_source(inputs)
    curve = training_curve(run) if run else None
    tokenizer = load_tokenizer(model or default_tokenizer())
    with progress_bar("Counting") as progress:
        report = count_usage(source, tokenizer, limit=limit, progress=progress)
    files = []
    if out is not None:
        plots = usage_plots(report) + ([curve_plot(curve, title="Use over training")] if curve else [])
        files = save_plots(plots, out)
    row = report.row() | ({"training": curve} if curve else {})
    if json:
        print_json(row | {"files": files})
    else:
        _print_usage(row)
        for path in files:
            typer.echo(f"wrote {path}")
    for key, message in report.passed_over:
        typer.echo(f"workbench: {' '.join(message.split()) if message else key}", err=True)
    if report.passed_over:
        raise typer.Exit(1)


def _print_usage(row: dict) -> None:
    """Print the figures for people."""
    typer.echo(f"model {row['model']}: {row['tokens']:,} tokens of {row['pictures']:,} pictures")
    lines = [
        ("words seen", f"{row['words']:,} of {row['size']:,}", f"even use: {row['expected_words']:,.0f}"),
        ("entropy", f"{row['entropy_bits']:.3f} bits", f"even use: {row['expected_entropy_bits']:.3f}"),
        ("perplexity", f"{row['perplexity']:,.0f}", f"even use: {row['expected_perplexity']:,.0f}"),
        ("Gini", f"{row['gini']:.3f}", "0 is even use of all words"),
    ]
    for shape in row["shapes"]:
        lines.append(
            (shape["shape"], f"{shape['share_of_tokens']:.2%} of tokens", f"{shape['share_of_code']:.2%} of words")
        )
    for scale in row["scales"]:
        lines.append((f"scale {scale['scale']}", f"{scale['entropy_bits']:.3f} bits", f"{scale['words']:,} words"))
    for name, value, note in lines:
        typer.echo(f"  {name:<14} {value:<20} {note}")


def _numbers(text: str, kind: type) -> list:
    """Numbers of a text, separated by blanks or commas."""
    from workbench.errors import InputError

    try:
        return [kind(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise InputError(f"expected numbers separated by blanks or commas, got {text!r}") from error
