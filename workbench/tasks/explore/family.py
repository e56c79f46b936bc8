"""The geometry of the whole family in one table, computed and not quoted.

Every code is measured at norm 1: codewords, bits, least distance, kissing number, design strength, the farthest
direction, and the error of uniform directions. An error says nothing beside one of another dimension or size. It stands
beside two errors of the same dimension and size: the cap bound, which no code can beat, and that of random codewords,
the control. The excess over the bound compares codes of one dimension and size. Across dimensions it does not: there
the control says how much of it is owed to the dimension, and whether the arrangement is better than none.
Roundness is that excess where all cells are congruent: what their second moment is above that of a cap (a ball) of the
same measure. BSQ and FSQ both have cells of one measure; those of BSQ, the orthants, are 32 % above, the boxes of FSQ
18 %. FSQ fills a box and no sphere, so its error is that of uniform points of the box `[-1, 1]^D`.
A learned codebook has no geometry before it has data.
"""

__all__ = ["CodeReport", "EntropyEffect", "entropy_effect", "list_codes", "measure_code"]

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from workbench.errors import InputError, did_you_mean
from workbench.lattices.codes.registry import code_family
from workbench.lattices.geometry import (
    cap_bound,
    direction_error,
    normalised_second_moment,
    random_error,
    second_moment,
)
from workbench.progress import Progress, no_progress
from workbench.quantizers.fsq import FiniteScalarQuantizer
from workbench.quantizers.lattice import LatticeQuantizer
from workbench.quantizers.quantizer import Quantizer
from workbench.quantizers.registry import make_quantizer
from workbench.quantizers.sphere import unit
from workbench.tasks.explore.structure import norm_of, structure_of

_MAX_LISTED = 1 << 20  # codes up to this size have their second moment summed

# What the table shows: a label and what make_quantizer takes.
_FAMILY: dict[str, dict[str, Any]] = {
    "leech": {"name": "leech"},
    "leech-published": {"name": "leech-published"},
    "leech2": {"name": "leech2"},
    "leech3": {"name": "leech3"},
    "leech4": {"name": "leech4"},
    "leech-shell3": {"name": "leech-shell3"},
    "bsq": {"name": "bsq", "dimension": 18},
    "lfq": {"name": "lfq", "dimension": 18},
    "fsq": {"name": "fsq", "levels": [8, 8, 8, 6, 8, 8]},
    "random": {"name": "random"},
    "fibonacci": {"name": "fibonacci"},
    "vq": {"name": "vq"},
    "e8": {"name": "e8"},
    "e8x3": {"name": "product", "parts": ["e8", "e8", "e8"]},
    "bw16": {"name": "bw16"},
    "k12": {"name": "k12"},
}


@dataclasses.dataclass(frozen=True)
class CodeReport:
    """One row of the table. None is what does not apply; `note` says why.

    Attributes:
        name: The label.
        size: Number of codewords.
        bits: Bits an index, `log2 size`.
        dimension: Numbers a vector.
        bits_per_dimension: Bits a number.
        min_distance: Least distance of two codewords, at norm 1 (for FSQ in the box).
        min_distance_exact: Whether it is exact, else an upper bound.
        min_distance_how: How it was found.
        min_distance_pair: Indices of two codewords at that distance, where they are known.
        kissing: The greatest number of codewords at the least distance from one.
        design_strength: The greatest t for which the code is a spherical t-design.
        covering: Squared error of the farthest direction known (the squared covering radius where exact).
        covering_exact: Whether no direction is farther, else a lower bound.
        covering_how: Which direction that is, or how it was found.
        mean_squared_error: Mean `‖z − q‖²` over uniform directions (for FSQ: points of the box).
        mean_squared_error_interval: Where the true mean lies with 95 %.
        worst_squared_error: The worst of the samples (for FSQ: of all points); `covering` is the worst of all.
        samples: How many directions.
        cap_bound: Lower bound of the mean for any code of that dimension and size.
        over_bound: Mean over bound (for FSQ: over that of balls with the volume of its cells).
        random_error: Mean for as many random codewords, expected over these codes.
        random_over_bound: That over the bound.
        normalised_second_moment: Mean for cells of measure 1, per dimension of the sphere (of the box).
        second_moment: Least and greatest eigenvalue of `(D/K)·Σ v vᵀ`.
        fingerprint: What the indices mean, SHA-256.
        note: What a reader should know.
    """

    name: str
    size: int
    bits: float
    dimension: int
    bits_per_dimension: float
    min_distance: float | None
    min_distance_exact: bool | None
    min_distance_how: str | None
    min_distance_pair: tuple[int, int] | None
    kissing: int | None
    design_strength: int | None
    covering: float | None
    covering_exact: bool | None
    covering_how: str | None
    mean_squared_error: float | None
    mean_squared_error_interval: tuple[float, float] | None
    worst_squared_error: float | None
    samples: int | None
    cap_bound: float | None
    over_bound: float | None
    random_error: float | None
    random_over_bound: float | None
    normalised_second_moment: float | None
    second_moment: tuple[float, float] | None
    fingerprint: str
    note: str


@dataclasses.dataclass(frozen=True)
class EntropyEffect:
    """How the entropy penalty alone moves points: towards the codewords.

    Attributes:
        name: The code.
        squared_error: Mean `‖ẑ − q‖²` before each step and after the last.
        penalty: The penalty at the same times.
    """

    name: str
    squared_error: list[float]
    penalty: list[float]


def list_codes(
    names: Sequence[str] = (),
    *,
    samples: int = 10_000,
    seed: int = 0,
    every_pair: bool = False,
    progress: Progress = no_progress,
) -> list[CodeReport]:
    """Measure codes of the family.

    Args:
        names: Labels of the table; none takes all.
        samples: Directions for the error of each.
        seed: Of the directions and of sampled rows.
        every_pair: Find the least distances of listed codes over all pairs, even where they are known: up to 2²⁰
            codewords each, 20 to 40 seconds a code of 196,560.
        progress: Told the fraction done and the code at hand.

    Raises:
        InputError: if a name is unknown.
    """
    for name in names:
        if name not in _FAMILY:
            raise InputError(did_you_mean("code", name, _FAMILY))
    chosen = list(names) or list(_FAMILY)
    reports = []
    for place, name in enumerate(chosen):
        progress(place / len(chosen), name)

        def tell(share: float, message: str, place: int = place) -> None:
            progress((place + share) / len(chosen), message)

        reports.append(
            measure_code(name, _FAMILY[name], samples=samples, seed=seed, every_pair=every_pair, progress=tell)
        )
    progress(1.0, "done")
    return reports


def measure_code(
    label: str,
    settings: Mapping[str, Any],
    *,
    samples: int = 10_000,
    seed: int = 0,
    every_pair: bool = False,
    progress: Progress = no_progress,
) -> CodeReport:
    """Measure one quantizer, given by what `make_quantizer` takes."""
    quantizer = make_quantizer(**settings).eval()
    structure = structure_of(quantizer, every_pair=every_pair, seed=seed, progress=progress)
    mean = interval = worst = bound = over = control = cells = count = None
    if isinstance(quantizer, FiniteScalarQuantizer):
        mean = sum(1 / (3 * level**2) for level in quantizer.levels)
        interval, worst = (mean, mean), structure.covering
        cells, over = _roundness_of_boxes(quantizer.levels)
    elif quantizer.ready:
        error = direction_error(_at_norm_one(quantizer), quantizer.dimension, samples=samples, seed=seed)
        mean, interval, worst, count = error.mean, (error.low, error.high), error.worst, error.samples
        bound = cap_bound(quantizer.dimension, quantizer.size)
        over, control = mean / bound, random_error(quantizer.dimension, quantizer.size)
        cells = normalised_second_moment(mean, quantizer.dimension, quantizer.size)
    moment = None
    if isinstance(quantizer, LatticeQuantizer) and quantizer.size <= _MAX_LISTED:
        moment = second_moment(quantizer.code)
    return CodeReport(
        name=label,
        size=quantizer.size,
        bits=quantizer.bits_per_index,
        dimension=quantizer.dimension,
        bits_per_dimension=quantizer.bits_per_index / quantizer.dimension,
        **dataclasses.asdict(structure),
        mean_squared_error=mean,
        mean_squared_error_interval=interval,
        worst_squared_error=worst,
        samples=count,
        cap_bound=bound,
        over_bound=over,
        random_error=control,
        random_over_bound=control / bound if control is not None and bound else None,
        normalised_second_moment=cells,
        second_moment=moment,
        fingerprint=quantizer.fingerprint,
        note=_note(quantizer),
    )


def entropy_effect(
    settings: Mapping[str, Any], *, points: int = 512, steps: int = 20, rate: float = 1.0, seed: int = 0
) -> EntropyEffect:
    """Let the entropy penalty alone pull uniform directions, and watch their error fall.

    The codewords of a fixed code cannot move, so what "relocating the lattice" means for an encoder is this: its
    outputs gather near codewords, and the quantization error that the decoder sees shrinks.

    Args:
        settings: What `make_quantizer` takes; an entropy weight of 1 is added.
        points: How many directions.
        steps: Steps of gradient descent.
        rate: Length of a step in units of the mean gradient's inverse norm, a tenth of it.
        seed: Of the directions.
    """
    quantizer = make_quantizer(**{"entropy": 1.0, "sharpness": 20.0, **settings}).train()
    z = unit(torch.randn(points, quantizer.dimension, generator=torch.Generator().manual_seed(seed)))
    errors, penalties = [], []
    for _ in range(steps + 1):
        z.requires_grad_(True)
        result = quantizer(z)
        errors.append(float(result.info["squared_error"]))
        penalties.append(float(result.aux_loss.detach()))
        (gradient,) = torch.autograd.grad(result.aux_loss, z)
        size = gradient.norm(dim=1).mean().clamp_min(1e-12)
        z = unit((z - 0.1 * rate * gradient / size).detach())
    return EntropyEffect(quantizer.name, errors, penalties)


def _at_norm_one(quantizer: Quantizer) -> Callable[[torch.Tensor], torch.Tensor]:
    """Unit vectors to codewords at norm 1."""
    radius = norm_of(quantizer)

    def quantize(points: torch.Tensor) -> torch.Tensor:
        return quantizer.lookup(quantizer.search(points * radius)) / radius

    return quantize


def _note(quantizer: Quantizer) -> str:
    """What a reader of the table should know of it."""
    family = code_family(quantizer.code.name) if isinstance(quantizer, LatticeQuantizer) else None
    return family.note if family else _NOTES.get(quantizer.name, "")


def _roundness_of_boxes(levels: Sequence[int]) -> tuple[float, float]:
    """Normalised second moment of boxes of sides 2/L, and that over the one of a ball.

    Per dimension a box has the moment `mean(side²)/12 / volume^(2/D)`, a ball `1/((D + 2)·V^(2/D))` with V the volume
    of the unit ball.
    """
    n = len(levels)
    sides = [2 / level for level in levels]
    box = sum(side**2 for side in sides) / (12 * n) / math.prod(sides) ** (2 / n)
    ball = 1 / ((n + 2) * (math.pi ** (n / 2) / math.gamma(n / 2 + 1)) ** (2 / n))
    return box, box / ball


_NOTES = {
    "bsq": "cells are the orthants: congruent, and far from round",
    "lfq": "the directions of bsq; the input is not projected, and before scaling to norm 1 the least distance is 2",
    "fsq": "a grid in a box, no sphere: distances and errors are in the box [-1, 1]^D, one step is 2/L; its error is "
    "exact for uniform points of the box and not comparable with the others, its excess is over balls of the volume of "
    "its cells",
    "vq": "learned: its geometry depends on its weights",
    "product": "a product of spheres: directions whose three parts differ in norm pay for it",
}
