"""`workbench evaluate reconstruction`: what tokenizers keep of a set of pictures."""

__all__ = ["reconstruction"]

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar
from workbench.cli.evaluate.options import Download, FeatureNames


def reconstruction(
    data: Annotated[list[Path], typer.Option("--data", help="Pictures, folders or .tar shards; again for more.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A tokenizer: name, folder or owner/name; again for more.")
    ] = None,
    features: FeatureNames = None,
    table_data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Other pictures, to fit the table of cross_entropy_bpp on; again for more. Default: the static table "
            "beside the model's weights, where there is one."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many pictures.")] = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Measure reconstructions: PSNR, SSIM, MS-SSIM, perceptual and Fréchet distances, bits per pixel, codebook use.

    Bits per pixel, without headers: bpp at the fixed rate; cross_entropy_bpp under a table fitted on other pictures, as
    a file takes them; empirical_entropy_bpp by the counts of these very pictures, neither a rate nor a bound.

    A distance bears the name of the features it is measured in: rFID only on Inception (--features inception), LPIPS
    only where the package and its backbone are at hand.
    """
    from workbench.images.sources import open_source
    from workbench.models.load import default_tokenizer, load_tokenizer
    from workbench.tasks.evaluate.fitted_table import fit_table, table_beside
    from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction
    from workbench.tasks.evaluate.spaces import find_lpips, load_space

    spaces = [load_space(name, download=download) for name in features or ["leaf"]]
    perceptual = [space.perceptual for space in spaces if space.perceptual is not None]
    left_out = {}
    lpips = find_lpips("alex")
    if isinstance(lpips, str):
        left_out["lpips-alex"] = lpips
    else:
        perceptual.append(lpips)
    source = open_source(data)
    results = []
    with progress_bar("Measuring") as progress:
        for name in model or [default_tokenizer()]:
            tokenizer = load_tokenizer(name)
            if table_data:
                table = fit_table(tokenizer, open_source(table_data), progress=progress)
            else:
                table = table_beside(tokenizer, name)
            if table is None:
                left_out[f"cross_entropy_bpp of {name}"] = "no static table beside its weights; see --table-data"
            result = evaluate_reconstruction(
                tokenizer, source, perceptual=perceptual, spaces=spaces, table=table, limit=limit, progress=progress
            )
            results.append(result)
    if json:
        print_json({"data": data, "models": [result.row() for result in results], "left_out": left_out})
        return
    for protocol in dict.fromkeys(result.protocol for result in results):
        typer.echo(f"protocol: {protocol}")
    for name, reason in left_out.items():
        typer.echo(f"without {name}: {reason}")
    for result in results:
        typer.echo(f"{result.model}")
        rates = ("bpp", "cross_entropy_bpp", "empirical_entropy_bpp")
        figures = {**result.means, **result.distances, **{name: getattr(result, name) for name in rates}}
        for name, value in figures.items():
            typer.echo(f"  {name:<21} {'-' if value is None else format(value, '.4f')}")
        use = result.usage
        typer.echo(f"  {'words':<21} {use.words:,} of {use.size:,} (even use: {use.expected_words:,.0f})")
        typer.echo(f"  {'entropy':<21} {use.entropy_bits:.3f} bits (even use: {use.expected_entropy_bits:.3f})")
        typer.echo(f"  {'perplexity':<21} {use.perplexity:,.0f} (even use: {use.expected_perplexity:,.0f})")
