"""Intervals: what a number from a sample says about the number it stands for.

Three cases. Independent values with a bell-shaped mean (scores over seeds, differences of paired runs): Student's t.
Values of any shape whose statistic is smooth in them (scores of many pictures): the percentile bootstrap. Distances
between sets, where drawing with replacement would itself move the answer (Fréchet, kernel): repeated subsets of one
size, drawn without replacement, and the spread of the answer over them.
"""

__all__ = ["Interval", "bootstrap_interval", "student_interval", "student_quantile", "subset_interval"]

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import InputError


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval around it.

    Attributes:
        value: The estimate.
        low: Lower end.
        high: Upper end.
        level: Share of such intervals that hold the truth, such as 0.95.
        samples: Number of values, or of subsets, that it rests on.
    """

    value: float
    low: float
    high: float
    level: float
    samples: int


def student_interval(values: Sequence[float] | np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of independent values with Student's interval; for paired runs pass the differences.

    Raises:
        InputError: if there are fewer than two values, or one is not finite.
    """
    values = _checked(values, level, least=2)
    mean, error = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(values.size)
    reach = student_quantile((1 + level) / 2, values.size - 1) * error
    return Interval(mean, mean - reach, mean + reach, level, values.size)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    *,
    seed: int,
    statistic: Callable[[np.ndarray], float] = np.mean,
    resamples: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap of a statistic of independent values, resampled along the first axis.

    Raises:
        InputError: if there are fewer than two values, or one is not finite.
    """
    values = _checked(values, level, least=2)
    generator = np.random.default_rng(seed)
    found = [float(statistic(values[generator.integers(0, len(values), len(values))])) for _ in range(resamples)]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(values)), float(low), float(high), level, len(values))


def subset_interval(
    distance: Callable[[np.ndarray, np.ndarray], float],
    x: np.ndarray,
    y: np.ndarray,
    *,
    size: int,
    repeats: int,
    seed: int,
    level: float = 0.95,
) -> Interval:
    """Mean of a distance between random subsets of two sets, and the range that holds `level` of the repeats.

    Every subset has the same `size`, drawn without replacement, so that biased distances compare fairly.

    Args:
        distance: Takes two subsets, shape (size, D).
        x: One set, shape (N, D).
        y: The other, shape (M, D).
        size: Rows of a subset, at most the smaller of N and M.
        repeats: How many pairs of subsets.
        seed: What the choice is made of.
        level: Share of the repeats that the range holds.

    Raises:
        InputError: if a set is smaller than a subset.
    """
    if not 2 <= size <= min(len(x), len(y)) or repeats < 1:
        raise InputError(f"no {repeats} subsets of {size} rows in sets of {len(x)} and {len(y)}")
    generator = np.random.default_rng(seed)
    found = [
        float(distance(x[generator.permutation(len(x))[:size]], y[generator.permutation(len(y))[:size]]))
        for _ in range(repeats)
    ]
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(found)), float(low), float(high), level, repeats)


def student_quantile(probability: float, freedom: int) -> float:
    """Value below which Student's t with `freedom` degrees of freedom falls with this probability.

    Example:
        >>> round(student_quantile(0.975, 2), 4)
        4.3027

    Raises:
        InputError: if the probability is not inside (0, 1) or there is no freedom.
    """
    if not 0 < probability < 1 or freedom < 1:
        raise InputError(f"expected a probability inside (0, 1) and freedom ≥ 1, got {probability} and {freedom}")
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    low, high = 0.0, math.pi / 2
    for _ in range(60):  # halving the angle; 60 halvings exhaust a float64
        middle = (low + high) / 2
        if _student_below(middle, freedom) < probability:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _student_below(angle: float, freedom: int) -> float:
    """P(t < √freedom · tan(angle)), by the finite sum over powers of the cosine (Abramowitz and Stegun, 26.7.3-4)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 1.0)
    if odd and freedom > 1:
        total = term
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return (1 + inside) / 2


def _checked(values: Sequence[float] | np.ndarray, level: float, *, least: int) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if len(array) < least or not np.isfinite(array).all():
        raise InputError(f"expected at least {least} finite values, got {np.array2string(array, threshold=6)}")
    if not 0 < level < 1:
        raise InputError(f"expected a level inside (0, 1), got {level}")
    return array
