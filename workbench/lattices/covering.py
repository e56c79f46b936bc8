"""Holes of a code: the directions that are farthest from all codewords.

The squared error of a direction `z` is `2 − 2·max_v z·v`, for codewords `v` of norm 1. Write `z = x/‖x‖` with
`max_v x·v = 1`: then `x` is on the boundary of the polar polytope `P = {x : x·v ≤ 1 for all v}` and the error is
`2 − 2/‖x‖`. The norm is convex, so that errors are greatest at vertices of P, and a vertex is the solution of D
equations `x·v = 1`: D indices prove that a direction with that error exists. They are a *hole* of the code; the
greatest error of all, the squared covering radius, is that of a deepest hole.

`find_hole` climbs from a direction to a vertex that has no longer neighbour. From a sample of directions this gives a
lower bound of the covering radius and nothing more.
"""

__all__ = ["find_hole", "hole_direction", "hole_error", "search_holes"]

import numpy as np
from jaxtyping import Float, Int

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.progress import Progress, no_progress

_PARALLEL = 1e-5  # a codeword whose product with a unit direction is below this is no obstacle on the way
_TOUCHING = 1e-7  # room that is left at a facet, so that one can divide by it
_LONGER = 1e-5  # relative: rounding of float32 products must not pass for an ascent


def hole_direction(code: Code, hole: Int[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
    """The vertex of the polar polytope at which D codewords, given by their indices, are equally near; float64.

    Raises:
        InputError: if the codewords are not D linearly independent ones.
    """
    rows = code.integers_at(np.asarray(hole)).astype(np.float64) * code.steps
    if rows.shape != (code.dimension, code.dimension) or np.linalg.matrix_rank(rows) < code.dimension:
        raise InputError(
            f"a hole of code {code.name!r} is {code.dimension} linearly independent codewords, got indices {hole}"
        )
    return np.linalg.solve(rows, np.ones(code.dimension))


def hole_error(code: Code, hole: Int[np.ndarray, " D"]) -> float:
    """Squared error of the direction at which these codewords are equally near, if they are its nearest."""
    return float(2 - 2 / np.linalg.norm(hole_direction(code, hole)))


def search_holes(
    code: Code, *, starts: int = 32, seed: int = 0, progress: Progress = no_progress
) -> Int[np.ndarray, " D"]:
    """Climb from uniform directions and return the deepest hole met.

    Args:
        code: A code whose table fits in memory.
        starts: How many directions.
        seed: Of the directions.
        progress: Told the share of the directions done.

    Raises:
        InputError: if the codewords do not surround the origin, so that there is no deepest hole.
    """
    rng = np.random.default_rng(seed)
    best, deepest = np.empty(0, np.int64), -np.inf
    for start in range(starts):
        hole = find_hole(code, rng.standard_normal(code.dimension))
        error = hole_error(code, hole)
        if error > deepest:
            best, deepest = hole, error
        progress((start + 1) / starts, f"{code.name}: deep holes")
    return best


def find_hole(code: Code, direction: Float[np.ndarray, " D"]) -> Int[np.ndarray, " D"]:
    """Climb from a direction to a hole: the indices of D codewords, int64, ascending.

    First along the flats of equal distance, one codeword more at each step, then from vertex to the longest neighbour.

    Raises:
        InputError: if the codewords do not surround the origin.
    """
    vectors = code.vectors().numpy()
    x = np.asarray(direction, np.float64)
    products = vectors @ x.astype(np.float32)
    tight = [int(products.argmax())]
    x, products = x / products[tight[0]], products / products[tight[0]]
    while len(tight) < code.dimension:
        basis = np.linalg.qr(vectors[tight].T.astype(np.float64))[0]
        away = x - basis @ (basis.T @ x)
        if np.linalg.norm(away) < 1e-4 * np.linalg.norm(x):  # a saddle: any direction that keeps the distances
            away = _orthogonal(basis)
        away /= np.linalg.norm(away)
        slopes = away.astype(np.float32)[None] @ vectors.T
        step, hit = _first_hit(code, products, slopes)
        tight.append(int(hit[0]))
        x, products = x + step[0] * away, products + np.float32(step[0]) * slopes[0]
    while True:
        inverse = np.linalg.inv(vectors[tight].astype(np.float64))
        x = inverse.sum(1)
        edges = (-inverse / np.linalg.norm(inverse, axis=0)).T  # leaves one codeword, the others stay equally near
        products = vectors @ x.astype(np.float32)
        steps, hits = _first_hit(code, products, edges.astype(np.float32) @ vectors.T)
        lengths = np.linalg.norm(x + steps[:, None] * edges, axis=1)
        longest = int(lengths.argmax())
        if lengths[longest] < np.linalg.norm(x) * (1 + _LONGER):
            return np.sort(np.array(tight, np.int64))
        tight[longest] = int(hits[longest])


def _first_hit(
    code: Code, products: Float[np.ndarray, " K"], slopes: Float[np.ndarray, "n K"]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """How far each ray goes before it meets a facet `x·v = 1`, and the codeword of that facet."""
    nearness = np.where(slopes > _PARALLEL, slopes, -1) / np.maximum(1 - products, _TOUCHING)
    hits = nearness.argmax(1)
    nearest = nearness[np.arange(len(hits)), hits].astype(np.float64)
    if not (nearest > 0).all():
        raise InputError(f"the codewords of {code.name!r} do not surround the origin: there is no deepest hole")
    return 1 / nearest, hits


def _orthogonal(basis: Float[np.ndarray, "D k"]) -> Float[np.ndarray, " D"]:
    """A unit vector orthogonal to orthonormal columns."""
    rest = np.eye(len(basis)) - basis @ basis.T
    column = rest[:, np.linalg.norm(rest, axis=0).argmax()]
    return column / np.linalg.norm(column)
