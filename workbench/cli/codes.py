"""`workbench codes`: the geometry of the whole family, computed on the spot."""

__all__ = ["app"]

import sys
from typing import Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

app = typer.Typer(help="The codes: sizes, bits, least distances, errors, bounds.")


@app.command("codes")
def codes(
    names: Annotated[list[str] | None, typer.Argument(help="Codes to measure; all if none is given.")] = None,
    samples: Annotated[int, typer.Option(help="Uniform directions for the error of each code.", min=2)] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the directions.", min=0)] = 0,
    every_pair: Annotated[
        bool, typer.Option(help="Least distances over all pairs, even if that takes minutes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure codes: size, bits, least distance, error of uniform directions, and the bound beside it."""
    import dataclasses

    from workbench.tasks.explore.family import entropy_effect, list_codes

    with progress_bar("Measuring codes") as progress:
        reports = list_codes(names or (), samples=samples, seed=seed, every_pair=every_pair, progress=progress)
    if as_json:
        effects = (
            [entropy_effect({"name": "bsq", "dimension": 18}), entropy_effect({"name": "e8"})] if not names else []
        )
        print_json(
            {
                "codes": [dataclasses.asdict(report) for report in reports],
                "entropy_effect": [dataclasses.asdict(effect) for effect in effects],
            }
        )
        return
    sys.stdout.write(
        f"{'code':16}{'words':>12}{'bits':>8}{'D':>4}{'bits/D':>8}{'δ_min':>9}"
        f"{'error':>9}{'±':>8}{'worst':>8}{'bound':>8}{'ratio':>7}\n"
    )
    for report in reports:
        low, high = report.mean_squared_error_interval or (None, None)
        half = (high - low) / 2 if low is not None and high is not None else None
        least = (
            "-"
            if report.min_distance is None
            else f"{'' if report.min_distance_exact else '≤'}{report.min_distance:.4f}"
        )
        sys.stdout.write(
            f"{report.name:16}{report.size:>12,}{report.bits:>8.3f}{report.dimension:>4}"
            f"{report.bits_per_dimension:>8.3f}{least:>9}"
            f"{_number(report.mean_squared_error):>9}{_number(half):>8}{_number(report.worst_squared_error):>8}"
            f"{_number(report.cap_bound):>8}{_number(report.over_bound, 3):>7}\n"
        )
    for report in reports:
        if report.note:
            sys.stdout.write(f"{report.name}: {report.note}\n")


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
