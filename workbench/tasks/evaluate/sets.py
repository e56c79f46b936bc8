"""Two sets of feature vectors, compared at equal numbers again and again, beside a floor.

Fréchet distances fall with the number of pictures, precision and recall change with it: one number from one pair of
sets says little. So random subsets of one size are drawn from both sets, many times, and what is given is the mean and
the range that holds 95 % of the repeats. The *floor* is the same between sets that a perfect generator could not tell
apart: two disjoint halves of the real pictures, or other real pictures against them.
"""

__all__ = ["SetScores", "compare_halves", "compare_sets", "nearest_distances"]

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from workbench.errors import InputError
from workbench.metrics.distribution import Moments, frechet_distance, kernel_distance, manifold_scores
from workbench.metrics.intervals import Interval

NEIGHBOURS = 3
_LEVEL = 0.95
_ROWS = 512


@dataclass(frozen=True)
class SetScores:
    """How two sets compare; each the mean over pairs of subsets, and the range of 95 % of them.

    Attributes:
        frechet: Squared Fréchet distance, from 0 up; biased upwards by few pictures.
        kernel: Kernel distance (cubic), unbiased, around 0 where sets agree.
        precision: Share of made pictures inside the manifold of the real ones.
        recall: Share of real pictures inside the manifold of the made ones.
        density: Balls of real pictures that hold a made one, over k.
        coverage: Share of those balls that hold some made picture.
        size: Pictures of each subset.
        neighbours: k.
    """

    frechet: Interval
    kernel: Interval
    precision: Interval
    recall: Interval
    density: Interval
    coverage: Interval
    size: int
    neighbours: int


def compare_sets(real: np.ndarray, made: np.ndarray, *, size: int, repeats: int, seed: int) -> SetScores:
    """Compare random subsets of two sets.

    Args:
        real: Feature vectors, shape (N, D).
        made: Feature vectors, shape (M, D).
        size: Rows of a subset, drawn without replacement.
        repeats: How many pairs of subsets.
        seed: What the choice is made of.

    Raises:
        InputError: if a set has fewer rows than a subset, or a subset no more than k.
    """
    if not NEIGHBOURS < size <= min(len(real), len(made)) or repeats < 1:
        raise InputError(
            f"no {repeats} subsets of {size} in sets of {len(real)} and {len(made)}: a subset has more than "
            f"{NEIGHBOURS} pictures and at most all of a set"
        )
    generator = np.random.default_rng(seed)
    pairs = (
        (real[generator.permutation(len(real))[:size]], made[generator.permutation(len(made))[:size]])
        for _ in range(repeats)
    )
    return _scores(pairs, size)


def compare_halves(real: np.ndarray, *, size: int, repeats: int, seed: int) -> SetScores:
    """Compare disjoint random subsets of one set; arguments and errors as of :func:`compare_sets`."""
    if not NEIGHBOURS < size <= len(real) // 2 or repeats < 1:
        raise InputError(f"no {repeats} times two subsets of {size} in a set of {len(real)}")
    generator = np.random.default_rng(seed)
    orders = (generator.permutation(len(real)) for _ in range(repeats))
    return _scores(((real[order[:size]], real[order[size : 2 * size]]) for order in orders), size)


def nearest_distances(vectors: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each vector (N, D) to the nearest of the others (M, D): float64, shape (N,)."""
    vectors, others = vectors.astype(np.float64), others.astype(np.float64)
    norms = (others * others).sum(1)
    parts = []
    for start in range(0, len(vectors), _ROWS):
        part = vectors[start : start + _ROWS]
        parts.append(((part * part).sum(1) + (norms[:, None] - 2 * others @ part.T).min(0)).clip(min=0))
    return np.sqrt(np.concatenate(parts))


def _scores(pairs: Iterable[tuple[np.ndarray, np.ndarray]], size: int) -> SetScores:
    found: dict[str, list[float]] = {}
    for real, made in pairs:
        manifold = manifold_scores(real, made, neighbours=NEIGHBOURS)
        values = {
            "frechet": frechet_distance(Moments.of(real), Moments.of(made)),
            "kernel": kernel_distance(real, made),
            **{name: getattr(manifold, name) for name in ("precision", "recall", "density", "coverage")},
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return SetScores(
        **{name: _range(values) for name, values in found.items()},
        size=size,
        neighbours=NEIGHBOURS,
    )


def _range(values: list[float]) -> Interval:
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(float(np.mean(values)), float(low), float(high), _LEVEL, len(values))
