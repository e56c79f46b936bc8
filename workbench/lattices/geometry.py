"""The geometry of a code: how far apart its points are, how far from them a point is, and how near to ideal.

* *Least distance* δ_min: a known pair (`facts.py`), over all pairs where these are few or all are asked for
  (`pairs.py`), else the least found from a sample of rows to all others, which is then an upper bound and says so.
* *Error of uniform directions*: mean and worst of `‖z − q‖²` over seeded uniform directions `z`, with the interval in
  which the true mean lies with 95 %. The worst is the worst of the sample; the worst of all is a matter of holes
  (`covering.py`).
* *Cap bound*: of all ways to cut the sphere into K cells of one area, caps round their codewords would have the least
  mean error, and no K caps fill a sphere: a lower bound for every code of that D and K. The excess over it says how far
  cells are from round and from equal. It compares codes of one D and K; across dimensions it does not, since the
  excess of codewords thrown at random is itself 100 % in 3 dimensions and 5 % in 24. That is the *random error*, the
  mean over all random codes, which stands beside it as a control.
* *Normalised second moment* of cells: the mean error over (D − 1)·A^(2/(D−1)), with A the area of a cell, as for the
  cells of a lattice in D − 1 dimensions; free of scale, least for round cells.
* *Second moment* of a code: eigenvalues of `(D/K)·Σ v vᵀ`, all 1 where no direction is preferred.

Distances are those of codewords at norm 1.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 1 to 3; Zador (1982) for the caps.
"""

__all__ = [
    "DirectionError",
    "LeastDistance",
    "cap_bound",
    "direction_error",
    "least_distance",
    "least_distance_of_rows",
    "normalised_second_moment",
    "random_error",
    "second_moment",
]

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.facts import least_pair
from workbench.lattices.pairs import nearest_pair, pair_distances
from workbench.progress import Progress, no_progress

_ALL_PAIRS = 8192  # codes up to this size are compared pair by pair
_SAMPLED_ROWS = 256
_PRODUCTS = 1 << 22
_LISTED = 1 << 20  # codes above this size are never compared pair by pair
_NODES = 96
_ANGLES = 4096
_NEVER = 60.0  # expected codewords in a cap that is practically never empty


@dataclass(frozen=True)
class LeastDistance:
    """Least distance between two codewords at norm 1.

    Attributes:
        value: δ_min, or an upper bound of it.
        exact: Whether it is δ_min.
        how: How it was found.
        pair: Indices of two codewords at that distance, where known.
    """

    value: float
    exact: bool
    how: str
    pair: tuple[int, int] | None = None


@dataclass(frozen=True)
class DirectionError:
    """Error of uniform directions, at norm 1.

    Attributes:
        mean: Mean of `‖z − q‖²`.
        low: Lower end of the 95 % interval of the true mean.
        high: Upper end.
        worst: Greatest `‖z − q‖²` seen.
        samples: How many directions.
    """

    mean: float
    low: float
    high: float
    worst: float
    samples: int


def least_distance(
    code: Code, *, every_pair: bool = False, seed: int = 0, progress: Progress = no_progress
) -> LeastDistance:
    """Return the least distance between two codewords, at norm 1.

    Args:
        code: A code of at least two points.
        every_pair: Compare all pairs even if the distance is known or they are many, up to 2²⁰ codewords (40 seconds
            on one core for 196,560).
        seed: Of the rows that are sampled where pairs are too many.
        progress: Told the share of the pairs that have been compared.

    Raises:
        InputError: if the code has one point only.
    """
    if code.size < 2:
        raise InputError(f"code {code.name!r} has one point: there is no distance between two")
    known = least_pair(code)
    if known is not None and (not every_pair or code.size > _LISTED):
        pair, how = known
        return LeastDistance(float(pair_distances(code, np.array([pair]))[0]), True, how, pair)
    if code.size <= (_LISTED if every_pair else _ALL_PAIRS):
        found = nearest_pair(code, progress=progress)
        how = f"all {code.size:,} points with all others"
        return LeastDistance(found.distance, True, how, (found.first, found.second))
    rows = np.sort(np.random.default_rng(seed).choice(code.size, _SAMPLED_ROWS, replace=False))
    how = f"search: {_SAMPLED_ROWS} of {code.size:,} points (seed {seed}) with all others; an upper bound"
    return LeastDistance(least_distance_of_rows(code, rows), False, how)


def least_distance_of_rows(code: Code, rows: Int[np.ndarray, " n"]) -> float:
    """Least distance, at norm 1, from any of these rows to any other row of the code."""
    vectors = code.vectors()
    squared = vectors.square().sum(1)
    least = math.inf
    for part in torch.from_numpy(rows).split(max(1, _PRODUCTS // code.size)):
        distances = squared[part, None] + squared - 2 * vectors[part] @ vectors.T
        distances[torch.arange(len(part)), part] = math.inf
        pair = int(distances.argmin())
        first, second = vectors[part[pair // code.size]].double(), vectors[pair % code.size].double()
        least = min(least, float((first - second).square().sum()))
    return math.sqrt(least / float(squared.double().mean()))


def direction_error(
    quantize: Callable[[Float[Tensor, "n D"]], Float[Tensor, "n D"]],
    dimension: int,
    *,
    samples: int = 20_000,
    seed: int = 0,
) -> DirectionError:
    """Quantize uniform directions and return the mean and the worst squared error.

    Args:
        quantize: Unit vectors to codewords at norm 1.
        dimension: D.
        samples: How many directions.
        seed: Of the directions.

    Raises:
        InputError: if there are fewer than two samples.
    """
    if samples < 2:
        raise InputError(f"an error with an interval needs at least 2 samples, got {samples}")
    points = torch.randn(samples, dimension, generator=torch.Generator().manual_seed(seed))
    points = points / points.norm(dim=1, keepdim=True)
    errors = (points - quantize(points)).double().square().sum(1)
    mean, half = float(errors.mean()), 1.96 * float(errors.std()) / math.sqrt(samples)
    return DirectionError(mean, mean - half, mean + half, float(errors.max()), samples)


def cap_bound(dimension: int, size: int | float) -> float:
    """Return the mean squared error of `size` caps of one area that would fill the unit sphere in `dimension`.

    A cap of angle θ has the share `∫₀^θ sin^(D−2) / ∫₀^π sin^(D−2) = 1/K`; the mean of `‖z − q‖² = 2 − 2·cos` over it
    is `2 − 2·sin^(D−1)θ / ((D − 1)·∫₀^θ sin^(D−2))`.

    Raises:
        InputError: if the dimension is below 2 or the size below 1.

    Example:
        >>> round(cap_bound(24, 196_560), 4)
        0.4364
    """
    if dimension < 2 or size < 1:
        raise InputError(f"a cap bound needs dimension ≥ 2 and size ≥ 1, got {dimension} and {size}")
    angle = _cap_angle(dimension, 1 / size)
    whole = 2 * _sine_integral(math.pi / 2, dimension - 2)
    cosine = math.sin(angle) ** (dimension - 1) / ((dimension - 1) * whole / size)
    return 2 - 2 * cosine


def random_error(dimension: int, size: int | float) -> float:
    """Return the mean squared error of `size` codewords drawn uniformly, expected over all such codes.

    No codeword lies within the angle θ of a direction with the chance `(1 − share(θ))^K`, so that the mean of
    `2 − 2·cos θ` to the nearest is the integral of `2·sin θ` times that chance.

    Raises:
        InputError: if the dimension is below 2 or the size below 1.

    Example:
        >>> round(random_error(24, 196_560) / cap_bound(24, 196_560), 3)
        1.045
    """
    if dimension < 2 or size < 1:
        raise InputError(f"a random error needs dimension ≥ 2 and size ≥ 1, got {dimension} and {size}")
    # A grid that is finer where caps are smaller.
    angles = _cap_angle(dimension, min(1.0, _NEVER / size)) * np.linspace(0, 1, _ANGLES) ** 1.5
    density = np.sin(angles) ** (dimension - 2) / (2 * _sine_integral(math.pi / 2, dimension - 2))
    share = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(angles))]).clip(max=1)
    empty = np.exp(size * np.log1p(-share.clip(max=1 - 1e-15)))
    return float(np.trapezoid(2 * np.sin(angles) * empty, angles))


def normalised_second_moment(error: float, dimension: int, size: int | float) -> float:
    """The mean squared error of `size` codewords on the unit sphere for cells of area 1, per dimension of the sphere.

    Example:
        >>> round(normalised_second_moment(cap_bound(3, 1e6), 3, 1e6), 4)  # a disc: 1/(4·π)
        0.0796
    """
    if dimension < 2 or size < 1:
        raise InputError(f"a second moment of cells needs dimension ≥ 2 and size ≥ 1, got {dimension} and {size}")
    log_area = math.log(2) + dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2) - math.log(size)
    return error / (dimension - 1) / math.exp(2 * log_area / (dimension - 1))


def second_moment(code: Code) -> tuple[float, float]:
    """Return the least and the greatest eigenvalue of `(D/K)·Σ v vᵀ`, at mean norm 1."""
    table = code.integers.astype(np.float64) * code.steps
    moment = table.T @ table
    values = np.linalg.eigvalsh(moment / np.trace(moment) * code.dimension)
    return float(values[0]), float(values[-1])


def _cap_angle(dimension: int, share: float) -> float:
    """The angle of the cap that has this share of the area of the sphere."""
    power = dimension - 2
    whole = 2 * _sine_integral(math.pi / 2, power)
    low, high = 0.0, math.pi
    for _ in range(100):
        middle = (low + high) / 2
        below = (
            _sine_integral(middle, power) if middle < math.pi / 2 else whole - _sine_integral(math.pi - middle, power)
        )
        low, high = (middle, high) if below < share * whole else (low, middle)
    return (low + high) / 2


def _sine_integral(angle: float, power: int) -> float:
    """∫ sin^power from 0 to an angle up to π/2, by Gauss-Legendre quadrature: accurate however small."""
    nodes, weights = _quadrature()
    return float(angle / 2 * weights @ np.sin(angle / 2 * (nodes + 1)) ** power)


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(_NODES)
