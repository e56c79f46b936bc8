"""`workbench evaluate rate-distortion`: .leech files beside the codecs that people use."""

__all__ = ["rate_distortion"]

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar


def rate_distortion(
    data: Annotated[list[Path], typer.Option("--data", help="Pictures, folders or .tar shards.")],
    model: Annotated[
        list[str] | None, typer.Option(help="A model of ours; again for more. Default: the ladder.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many pictures.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="HTML", help="Write an interactive page with crops.")] = None,
    curves: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write each curve as a result file of CompressAI's shape.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    json: Json = False,
) -> None:
    """Compare .leech files with JPEG, WebP, AVIF, JPEG 2000 and JPEG XL: curves, equal file sizes, speed."""
    from workbench import atomic
    from workbench.errors import InputError
    from workbench.images.sources import open_source
    from workbench.models.load import default_tokenizer, perceptual_distance
    from workbench.tasks.compress.codec import load_codec, qualities
    from workbench.tasks.evaluate.baselines import baselines
    from workbench.tasks.evaluate.rate_distortion import evaluate_rate_distortion
    from workbench.tasks.plots.rate_distortion import write_page

    if plot is not None and plot.exists() and not force:
        raise InputError(f"{plot} exists: add --force to replace it, or write somewhere else")
    names = model or list(qualities().values()) or [default_tokenizer()]
    with progress_bar("Measuring") as progress:
        result = evaluate_rate_distortion(
            [load_codec(name) for name in names],
            open_source(data),
            others=baselines(),
            perceptual=perceptual_distance(),
            limit=limit,
            progress=progress,
        )
    if plot is not None:
        write_page(result, plot, force=force)
    if curves is not None:
        curves.mkdir(parents=True, exist_ok=True)
        for curve in result.curves:
            content = {"name": curve.name, "description": curve.description, "results": curve.results}
            name = "".join(letter if letter.isalnum() else "-" for letter in curve.name).lower()
            atomic.write_text(curves / f"{name}.json", json_module.dumps(content, indent=2) + "\n")
    if json:
        print_json(result.row())
        return
    for entropy in result.entropy:
        typer.echo(
            f"{entropy.model}, {entropy.entropy}: {entropy.bits_per_token:.3f} bits a token, "
            f"{entropy.share_of_fixed:.3f} of fixed with the header ({entropy.ideal_share:.3f} without)"
        )
    for curve in result.curves:
        points = zip(curve.results["bpp"], curve.results["psnr"], curve.results["ms_ssim"], strict=True)
        shown = "  ".join(" / ".join("-" if v is None else f"{v:.4g}" for v in point) for point in points)
        typer.echo(f"{curve.name}: bpp / PSNR / MS-SSIM  {shown}")
    for row in result.matched:
        pairs = "  ".join(
            f"{name} " + " against ".join("-" if v is None else f"{v:.4g}" for v in pair)
            for name, pair in row.measures.items()
        )
        typer.echo(f"{row.ours} against {row.other} at equal size ({row.too_large} cannot be as small): {pairs}")
    for name, row in result.bjontegaard.items():
        said = row.get("reason") or (
            f"rate {row['bd_rate_percent']:+.1f} % from {row['from_psnr_db']:.2f} to {row['to_psnr_db']:.2f} dB, "
            f"PSNR {row['bd_psnr_db']:+.2f} dB"
        )
        typer.echo(f"Bjøntegaard against {name}: {said}")
