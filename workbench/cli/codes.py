"""`workbench codes`: the geometry of the whole family, computed on the spot."""

__all__ = ["app"]

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

if TYPE_CHECKING:
    from workbench.tasks.explore.family import CodeReport

app = typer.Typer(help="The codes: sizes, bits, least distances, errors, bounds.")


@app.command("codes")
def codes(
    names: Annotated[list[str] | None, typer.Argument(help="Codes to measure; all if none is given.")] = None,
    samples: Annotated[int, typer.Option(help="Uniform directions for the error of each code.", min=2)] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the directions.", min=0)] = 0,
    every_pair: Annotated[
        bool,
        typer.Option(
            help="Find known least distances again over all pairs: about a minute a code of 196,560, in 24 D."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure codes: least distance, kissing number, design strength, covering, errors with a bound and a control."""
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
    sys.stdout.write(_geometry(reports) + "\n" + _errors(reports, samples))
    for report in reports:
        if report.note:
            sys.stdout.write(f"{report.name}: {report.note}\n")


def _geometry(reports: "Sequence[CodeReport]") -> str:
    """Where the codewords are: the first table."""
    lines = [
        f"{'code':16}{'codewords':>12}{'bits':>8}{'D':>4}{'bits/D':>8}{'δ_min':>9}{'kissing':>9}{'design':>8}"
        f"{'covering':>10}{'moment':>8}"
    ]
    for report in reports:
        least = _bounded(report.min_distance, report.min_distance_exact, "≤")
        covering = _bounded(report.covering, report.covering_exact, "≥")
        lines.append(
            f"{report.name:16}{report.size:>12,}{report.bits:>8.3f}{report.dimension:>4}"
            f"{report.bits_per_dimension:>8.3f}{least:>9}"
            f"{_whole(report.kissing):>9}{_whole(report.design_strength):>8}"
            f"{covering:>10}{_number(report.normalised_second_moment):>8}"
        )
    lines.append(
        "δ_min: least distance; kissing: most codewords at that distance from one; design: strength as a design;\n"
        "covering: error of the farthest direction, ≥ for a lower bound; moment: normalised second moment of cells"
    )
    return "".join(f"{line}\n" for line in lines)


def _errors(reports: "Sequence[CodeReport]", samples: int) -> str:
    """What uniform directions lose: the second table."""
    lines = [
        f"{'code':16}{'D':>4}{'error':>9}{'±':>8}{'bound':>8}{'excess':>9}{'random':>9}{f'worst of {samples:,}':>17}",
    ]
    for report in reports:
        low, high = report.mean_squared_error_interval or (None, None)
        half = (high - low) / 2 if low is not None and high is not None else None
        worst = report.worst_squared_error if report.samples else None
        lines.append(
            f"{report.name:16}{report.dimension:>4}{_number(report.mean_squared_error):>9}{_number(half):>8}"
            f"{_number(report.cap_bound):>8}{_excess(report.over_bound):>9}{_excess(report.random_over_bound):>9}"
            f"{_number(worst):>17}"
        )
    lines.append(
        "excess: error over the cap bound, to compare within a dimension; random: excess of as many random codewords"
    )
    return "".join(f"{line}\n" for line in lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _bounded(value: float | None, exact: bool | None, sign: str) -> str:
    return "-" if value is None else f"{'' if exact else sign}{value:.4f}"


def _whole(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _excess(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio - 1:.1%}"
