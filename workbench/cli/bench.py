"""`workbench bench`: measurements of speed and memory on this machine."""

__all__ = ["app"]

from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

app = typer.Typer(help="Measure speed and memory on this machine.")


@app.command("effort")
def effort(
    inputs: Annotated[list[Path], typer.Argument(metavar="IN...", help="Pictures, or folders of pictures.")],
    model: Annotated[str | None, typer.Option(help="A bundled name or a folder; see `models`.")] = None,
    quality: Annotated[int | None, typer.Option(metavar="1|2|3|4", help="A rate point instead of a model.")] = None,
    efforts: Annotated[list[int] | None, typer.Option("--effort", help="One to measure; may be given again.")] = None,
    trade: Annotated[float, typer.Option("--lambda", min=0, help="Squared error that a bit may cost.")] = 0.0,
    json: Json = False,
) -> None:
    """PSNR, file size and time at each effort of `encode`; the time beside that of plain encoding and decoding."""
    from dataclasses import asdict

    from workbench.images.files import list_images, read_image
    from workbench.models.refine import EFFORTS
    from workbench.tasks.bench.effort import measure_effort
    from workbench.tasks.compress.codec import codec_for

    pictures = [read_image(found.path) for found in list_images(inputs)]
    with progress_bar("Measuring") as progress:
        costs = measure_effort(
            pictures,
            codec_for(model, quality),
            efforts=efforts or range(len(EFFORTS)),
            trade=trade,
            progress=progress,
        )
    if json:
        print_json([asdict(cost) for cost in costs])
        return
    typer.echo(
        f"{'effort':>6}  {'rounds':>6}  {'PSNR':>6}  {'bpp':>7}  {'encode s':>8}  {'decode s':>8}  {'× plain':>7}"
    )
    for cost in costs:
        typer.echo(
            f"{cost.effort:>6}  {cost.rounds:>6}  {cost.psnr:>6.2f}  {cost.bits_per_pixel:>7.4f}  "
            f"{cost.encode_seconds:>8.2f}  {cost.decode_seconds:>8.2f}  {cost.times_plain:>7.1f}"
        )


@app.command("head")
def head(
    width: Annotated[int, typer.Option(help="Features a token.")] = 256,
    tokens: Annotated[int, typer.Option(help="Tokens a step.")] = 4096,
    repeats: Annotated[int, typer.Option(help="Steps to time at most.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="A head to measure; may be given again.")] = None,
    json: Json = False,
) -> None:
    """One training step, forward and backward, of each head: seconds and growth of the peak memory."""
    from workbench.tasks.bench.head import HEADS, measure_heads

    with progress_bar("Measuring") as progress:
        result = measure_heads(only or HEADS, width=width, tokens=tokens, repeats=repeats, progress=progress)
    if json:
        print_json(result)
        return
    typer.echo(f"width {width}, {tokens} tokens, {result['threads']} threads; compared with {result['full']}")
    typer.echo(f"{'head':<16}  {'seconds':>8}  {'cpu s':>7}  {'faster':>7}  {'peak MiB':>8}  {'share':>6}")
    for row in result["heads"]:
        faster, share, peak = row.get("times_faster"), row.get("share_of_memory"), row["peak_bytes"]
        cells = (
            f"{row['seconds']:>8.3f}",
            f"{row['cpu_seconds']:>7.3f}",
            f"{'-' if faster is None else format(faster, '.1f'):>7}",
            f"{'-' if peak is None else round(peak / 2**20):>8}",
            f"{'-' if share is None else format(share, '.3f'):>6}",
        )
        typer.echo("  ".join((f"{row['name']:<16}", *cells)))


@app.command("search")
def search(
    vectors: Annotated[int, typer.Option(help="Points for the structured search.")] = 200_000,
    checked: Annotated[int, typer.Option(help="Random points to compare with the exact exhaustive search.")] = 2_000,
    threads: Annotated[int | None, typer.Option(help="Threads for every search; torch's own number if none.")] = None,
    code: Annotated[str, typer.Option(help="A code without settings.")] = "leech",
    device: Annotated[str, typer.Option(help="Where to search: cpu or cuda.")] = "cpu",
    json: Json = False,
) -> None:
    """Nearest codeword by structure and by exhaustive search: microseconds a point, memory, disagreements."""
    from dataclasses import asdict

    from workbench.tasks.bench.search import measure_search

    with progress_bar("Measuring") as progress:
        cost = measure_search(code, vectors=vectors, checked=checked, threads=threads, device=device, progress=progress)
    if json:
        print_json(asdict(cost))
        return
    typer.echo(f"{cost.code}, {cost.vectors:,} points, {cost.threads} threads, {cost.device}")
    for name, micros, ratio, limit in (
        ("structured", cost.structured_us_per_vector, 1.0, cost.structured_limit_us),
        ("exhaustive, in rows", cost.naive_us_per_vector, cost.ratio_naive, cost.exhaustive_limit_us),
        ("exhaustive, in tiles", cost.tiled_us_per_vector, cost.ratio_tiled, cost.exhaustive_limit_us),
    ):
        typer.echo(f"{name:<20}  {micros:>9.3f} µs a point  × {ratio:<6,.0f}  limit {limit:.3f} µs")
    typer.echo(
        f"{'the device at most':<20}  {cost.bytes_per_second / 1e9:>9.1f} GB/s, "
        f"{cost.operations_per_second / 1e9:,.0f} billion operations/s"
    )
    memory = "unknown" if cost.peak_bytes_per_vector is None else f"{cost.peak_bytes_per_vector:.1f}"
    typer.echo(f"{'memory':<20}  {memory:>9} bytes a point, result included")
    typer.echo(f"{cost.disagreements} disagreements with the exact search at {cost.checked:,} points")
