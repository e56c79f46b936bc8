"""Distances between sets of pictures, through the feature vectors of some network.

    Fréchet     |μ_x - μ_y|² + tr(C_x + C_y - 2 (C_x C_y)^½), the distance of two Gaussians with the sets' moments
    kernel      unbiased squared maximum mean discrepancy under the kernel (x·y / D + 1)³
    precision   share of y inside the manifold of x: the union of balls round each x out to its k-th neighbour
    recall      the same with x and y exchanged
    class score exp of the mean divergence of p(class | picture) from its mean: sure of each picture, and varied
    density     how many of those balls a y lies in, over k; coverage: share of the balls of x that hold some y

The mathematics knows no network: a distance is named after the features it was given, and is called FID (the class
score Inception Score) only on those of the published Inception network. Everything runs in float64. The Fréchet
distance is biased upwards by few samples, so compare it at equal numbers only; the kernel distance is not.
Sources: Heusel et al., 2017 (Fréchet); Bińkowski et al., 2018 (kernel); Kynkäänniemi et al., 2019 (precision and
recall); Naeem et al., 2020 (density and coverage); Salimans et al., 2016 (class score).
"""

__all__ = ["Manifold", "Moments", "class_score", "frechet_distance", "kernel_distance", "manifold_scores"]

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from workbench.errors import InputError

_ROWS = 512  # rows of a distance matrix held at a time


class Moments:
    """Mean and covariance of feature vectors, taken as they stream by.

    Batches are joined by the update of Chan, Golub and LeVeque, so nothing cancels however large the mean is.

    Args:
        dimension: Length of a feature vector, D.

    Attributes:
        count: Vectors seen.
        mean: float64, shape (D,).
    """

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise InputError(f"a feature vector has at least 1 number, got {dimension}")
        self.count = 0
        self.mean = np.zeros(dimension)
        self._scatter = np.zeros((dimension, dimension))

    @classmethod
    def of(cls, features: Tensor | np.ndarray) -> Self:
        """Moments of one array of shape (N, D)."""
        features = _rows(features)
        moments = cls(features.shape[1])
        moments.update(features)
        return moments

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance, float64, shape (D, D).

        Raises:
            InputError: if fewer than two vectors were seen.
        """
        if self.count < 2:
            raise InputError(f"a covariance needs at least 2 pictures, got {self.count}")
        return self._scatter / (self.count - 1)

    def update(self, features: Tensor | np.ndarray) -> None:
        """Take in feature vectors of shape (N, D).

        Raises:
            InputError: if the shape is another or a value is not finite; then nothing is taken in.
        """
        features = _rows(features)
        if features.shape[1] != self.mean.size:
            raise InputError(f"expected vectors of {self.mean.size} numbers, got {features.shape[1]}")
        if len(features):
            mean = features.mean(axis=0)
            centred = features - mean
            self._join(len(features), mean, centred.T @ centred)

    def merge(self, other: Self) -> None:
        """Add what another accumulator has seen.

        Raises:
            InputError: if its vectors have another length.
        """
        if other.mean.size != self.mean.size:
            raise InputError(f"cannot merge vectors of {other.mean.size} numbers into vectors of {self.mean.size}")
        if other.count:
            self._join(other.count, other.mean, other._scatter)

    def _join(self, count: int, mean: np.ndarray, scatter: np.ndarray) -> None:
        total = self.count + count
        step = mean - self.mean
        self._scatter += scatter + np.outer(step, step) * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total


def frechet_distance(x: Moments, y: Moments) -> float:
    """Squared Fréchet distance of the Gaussians with these moments, from 0 up.

    tr (C_x C_y)^½ is the sum of the singular values of C_x^½ C_y^½, with roots by eigenvalues: symmetric matrices all
    the way, defined for singular ones (fewer pictures than features), and without a complex part to throw away.

    Raises:
        InputError: if the vectors differ in length or fewer than two were seen.
    """
    if x.mean.size != y.mean.size:
        raise InputError(f"features of {x.mean.size} and of {y.mean.size} numbers cannot be compared")
    cov_x, cov_y = x.covariance, y.covariance
    overlap = np.linalg.svd(_root(cov_x) @ _root(cov_y), compute_uv=False).sum()
    distance = ((x.mean - y.mean) ** 2).sum() + np.trace(cov_x) + np.trace(cov_y) - 2 * overlap
    return max(float(distance), 0.0)


def kernel_distance(x: Tensor | np.ndarray, y: Tensor | np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy under (x·y / D + 1)³; may be slightly negative where sets agree.

    Args:
        x: Feature vectors of one set, shape (N, D).
        y: Of the other, shape (M, D).

    Raises:
        InputError: if the lengths differ, a value is not finite, or a set has fewer than two.
    """
    x, y = _pair(x, y)
    return _kernel_mean(x, x, within=True) + _kernel_mean(y, y, within=True) - 2 * _kernel_mean(x, y, within=False)


@dataclass(frozen=True)
class Manifold:
    """How two sets lie within each other.

    Attributes:
        precision: Share of the second set that lies in the manifold of the first, in [0, 1].
        recall: Share of the first that lies in the manifold of the second, in [0, 1].
        density: Balls of the first that hold a member of the second, on average, over k; from 0 up, about 1 if alike.
        coverage: Share of the balls of the first that hold some member of the second, in [0, 1].
        neighbours: k.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    neighbours: int


def manifold_scores(real: Tensor | np.ndarray, made: Tensor | np.ndarray, *, neighbours: int = 3) -> Manifold:
    """Precision, recall, density and coverage of one set against another.

    Holds 512 rows of distances at a time. Copies of a picture are neighbours at distance 0 like any others.

    Args:
        real: Feature vectors of the first set, shape (N, D).
        made: Of the second, shape (M, D).
        neighbours: k, how many neighbours a ball reaches out to, itself not counted.

    Raises:
        InputError: if the lengths differ, a value is not finite, or a set has no more than k members.
    """
    real, made = _pair(real, made)
    least = min(len(real), len(made))
    if not 1 <= neighbours < least:
        raise InputError(f"{neighbours} neighbours need sets of more pictures than that, got {len(real)}, {len(made)}")
    real_reach, made_reach = _reach(real, neighbours), _reach(made, neighbours)
    hits = np.zeros(len(made), np.int64)  # how many balls of `real` hold each of `made`
    recalled = covered = 0
    for rows in _chunks(len(real)):
        squares = _squares(real[rows], made)
        inside = squares <= real_reach[rows, None]
        hits += inside.sum(axis=0)
        covered += int(inside.any(axis=1).sum())
        recalled += int((squares <= made_reach).any(axis=1).sum())
    return Manifold(
        precision=float((hits > 0).mean()),
        recall=recalled / len(real),
        density=float(hits.mean()) / neighbours,
        coverage=covered / len(real),
        neighbours=neighbours,
    )


def class_score(scores: Tensor | np.ndarray, *, splits: int = 10) -> tuple[float, float]:
    """Exp E[KL(p(class | picture) ‖ p(class))] of class scores, taken in parts: from 1 to the number of classes.

    Args:
        scores: Unnormalised log-probabilities, shape (N, classes), in the order in which they are split.
        splits: Parts of nearly one size; the published score takes 10 of 5,000 each, and few pictures lower it.

    Returns:
        Mean over the parts, and their deviation.

    Raises:
        InputError: if there are fewer pictures than parts, or a score is not finite.
    """
    scores = _rows(scores)
    if not 1 <= splits <= len(scores):
        raise InputError(f"{len(scores)} pictures cannot be taken in {splits} parts")
    logs = scores - scores.max(1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(1, keepdims=True))
    found = []
    for part in (logs[i * len(logs) // splits : (i + 1) * len(logs) // splits] for i in range(splits)):
        shares = np.exp(part)
        found.append(math.exp(float((shares * (part - np.log(shares.mean(0)))).sum(1).mean())))
    return float(np.mean(found)), float(np.std(found))


def _rows(features: Tensor | np.ndarray) -> np.ndarray:
    """Feature vectors as finite float64 of shape (N, D)."""
    array = features.detach().cpu().double().numpy() if isinstance(features, Tensor) else features
    array = np.asarray(array, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1]:
        raise InputError(f"expected feature vectors of shape (N, D), got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if bad.size:
        raise InputError(f"the features of picture {bad[0]} are not finite")
    return array


def _pair(x: Tensor | np.ndarray, y: Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = _rows(x), _rows(y)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise InputError(f"expected two sets of two vectors or more of one length, got {x.shape} and {y.shape}")
    return x, y


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric root of a covariance; eigenvalues that rounding made negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _kernel_mean(x: np.ndarray, y: np.ndarray, *, within: bool) -> float:
    """Mean kernel value over pairs; within one set, over pairs of different members."""
    parts = []
    for rows in _chunks(len(x)):
        kernel = (x[rows] @ y.T / x.shape[1] + 1) ** 3
        if within:
            kernel[np.arange(len(kernel)), np.arange(len(x))[rows]] = 0
        parts.append(float(kernel.sum()))
    return math.fsum(parts) / (len(x) * (len(y) - within))


def _reach(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Squared distance of each member to its k-th neighbour, shape (N,)."""
    reach = np.empty(len(x))
    for rows in _chunks(len(x)):
        squares = _squares(x[rows], x)
        squares[np.arange(len(squares)), np.arange(len(x))[rows]] = np.inf  # itself
        reach[rows] = np.partition(squares, neighbours - 1, axis=1)[:, neighbours - 1]
    return reach


def _squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Squared distances, shape (len(x), len(y)), from 0 up."""
    squares = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * (x @ y.T)
    return np.maximum(squares, 0, out=squares)


def _chunks(count: int) -> list[slice]:
    return [slice(start, min(start + _ROWS, count)) for start in range(0, count, _ROWS)]
