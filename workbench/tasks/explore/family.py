"""The geometry of the whole family in one table, computed and not quoted.

Every code is measured at norm 1: its words, bits, least distance, the error it makes on uniform directions, and the
cap bound, which no code of that dimension and size can beat. Errors of codes of different dimension or size are not
comparable by themselves; their ratio to the bound is. FSQ fills a box and not a sphere, so its error is that of uniform
points of the box `[-1, 1]^D` and has no such bound; a learned codebook has no geometry before it has data.
"""

__all__ = ["CodeReport", "EntropyEffect", "entropy_effect", "list_codes", "measure_code"]

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from workbench.errors import InputError, did_you_mean
from workbench.lattices.codes.registry import code_family
from workbench.lattices.geometry import cap_bound, direction_error, least_distance, second_moment
from workbench.quantizers.bsq import BinaryQuantizer
from workbench.quantizers.composite import ProductQuantizer
from workbench.quantizers.fsq import FiniteScalarQuantizer
from workbench.quantizers.lattice import LatticeQuantizer
from workbench.quantizers.quantizer import Quantizer
from workbench.quantizers.registry import make_quantizer
from workbench.quantizers.sphere import unit

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
        mean_squared_error: Mean `‖z − q‖²` over uniform directions (for FSQ: points of the box).
        mean_squared_error_interval: Where the true mean lies with 95 %.
        worst_squared_error: The worst seen.
        samples: How many directions.
        cap_bound: Lower bound of the mean for any code of that dimension and size.
        over_bound: Mean over bound.
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
    mean_squared_error: float | None
    mean_squared_error_interval: tuple[float, float] | None
    worst_squared_error: float | None
    samples: int | None
    cap_bound: float | None
    over_bound: float | None
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
    progress: Callable[[float, str], object] | None = None,
) -> list[CodeReport]:
    """Measure codes of the family.

    Args:
        names: Labels of the table; none takes all.
        samples: Directions for the error of each.
        seed: Of the directions and of sampled rows.
        every_pair: Find least distances over all pairs even where that takes minutes.
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
        if progress is not None:
            progress(place / len(chosen), name)
        reports.append(measure_code(name, _FAMILY[name], samples=samples, seed=seed, every_pair=every_pair))
    if progress is not None:
        progress(1.0, "done")
    return reports


def measure_code(
    label: str, settings: Mapping[str, Any], *, samples: int = 10_000, seed: int = 0, every_pair: bool = False
) -> CodeReport:
    """Measure one quantizer, given by what `make_quantizer` takes."""
    quantizer = make_quantizer(**settings).eval()
    distance, exact, how, note = _least_distance(quantizer, every_pair, seed)
    mean = interval = worst = bound = count = None
    if isinstance(quantizer, FiniteScalarQuantizer):
        mean = sum(1 / (3 * level**2) for level in quantizer.levels)
        interval, worst = (mean, mean), sum(1 / level**2 for level in quantizer.levels)
    elif quantizer.ready:
        error = direction_error(_at_norm_one(quantizer), quantizer.dimension, samples=samples, seed=seed)
        mean, interval, worst, count = error.mean, (error.low, error.high), error.worst, error.samples
        bound = cap_bound(quantizer.dimension, quantizer.size)
    moment = None
    if isinstance(quantizer, LatticeQuantizer) and quantizer.size <= _MAX_LISTED:
        moment = second_moment(quantizer.code)
    return CodeReport(
        name=label,
        size=quantizer.size,
        bits=quantizer.bits_per_index,
        dimension=quantizer.dimension,
        bits_per_dimension=quantizer.bits_per_index / quantizer.dimension,
        min_distance=distance,
        min_distance_exact=exact,
        min_distance_how=how,
        mean_squared_error=mean,
        mean_squared_error_interval=interval,
        worst_squared_error=worst,
        samples=count,
        cap_bound=bound,
        over_bound=mean / bound if mean is not None and bound else None,
        second_moment=moment,
        fingerprint=quantizer.fingerprint,
        note=note,
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
    radius = _radius(quantizer)

    def quantize(points: torch.Tensor) -> torch.Tensor:
        return quantizer.lookup(quantizer.search(points * radius)) / radius

    return quantize


def _radius(quantizer: Quantizer) -> float:
    if isinstance(quantizer, ProductQuantizer):
        return math.sqrt(sum(_radius(part) ** 2 for part in quantizer.parts))  # type: ignore[arg-type]
    if isinstance(quantizer, BinaryQuantizer):
        return quantizer.magnitude * math.sqrt(quantizer.dimension)
    return getattr(quantizer, "radius", None) or 1.0


def _least_distance(
    quantizer: Quantizer, every_pair: bool, seed: int
) -> tuple[float | None, bool | None, str | None, str]:
    """Least distance at norm 1, whether it is exact, how it was found, and a note for the reader."""
    if isinstance(quantizer, LatticeQuantizer):
        found = least_distance(quantizer.code, every_pair=every_pair, seed=seed)
        family = code_family(quantizer.code.name)
        return found.value, found.exact, found.how, family.note if family else ""
    if isinstance(quantizer, BinaryQuantizer):
        how = "corners of a cube that differ in one sign"
        return 2 / math.sqrt(quantizer.dimension), True, how, _NOTES[quantizer.name]
    if isinstance(quantizer, FiniteScalarQuantizer):
        return 2 / max(quantizer.levels), True, "one step on the finest axis", _NOTES["fsq"]
    if isinstance(quantizer, ProductQuantizer):
        parts = list(quantizer.parts)
        least = min(_least_distance(part, every_pair, seed)[0] * _radius(part) for part in parts)  # type: ignore[operator]
        return least / _radius(quantizer), True, "words that differ in one part", _NOTES["product"]
    return None, None, None, _NOTES.get(quantizer.name, "")


_NOTES = {
    "bsq": "cells are the orthants: all alike, and far from round",
    "lfq": "the directions of bsq; the input is not projected, and before scaling to norm 1 the least distance is 2",
    "fsq": "a grid in a box, no sphere: distances and errors are in the box [-1, 1]^D, one step is 2/L; its error is "
    "exact for uniform points of the box and not comparable with the others",
    "vq": "learned: its geometry depends on its weights",
    "product": "a product of spheres: directions whose three parts differ in norm pay for it",
}
