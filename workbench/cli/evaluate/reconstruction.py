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
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many pictures.")] = None,
    download: Download = False,
    json: Json = False,
) -> None:
    """Measure reconstructions: PSNR, SSIM, MS-SSIM, perceptual and Fréchet distances, bits per pixel, codebook use.

    A distance bears the name of the features it is measured in: rFID only on Inception (--features inception), LPIPS
    only where the package and its backbone are at hand.
    """
    from workbench.images.sources import open_source
    from workbench.models.load import default_tokenizer, load_tokenizer
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
            result = evaluate_reconstruction(
                tokenizer, source, perceptual=perceptual, spaces=spaces, limit=limit, progress=progress
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
        figures = {**result.means, **result.distances, "bpp": result.bpp, "bpp_ideal": result.bpp_ideal}
        for name, value in figures.items():
            typer.echo(f"  {name:<16} {'-' if value is None else format(value, '.4f')}")
        use = result.usage
        typer.echo(f"  {'words':<16} {use.words:,} of {use.size:,} (even use: {use.expected_words:,.0f})")
        typer.echo(f"  {'entropy':<16} {use.entropy_bits:.3f} bits (even use: {use.expected_entropy_bits:.3f})")
        typer.echo(f"  {'perplexity':<16} {use.perplexity:,.0f} (even use: {use.expected_perplexity:,.0f})")
