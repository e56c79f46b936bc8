"""Spherical designs: up to which degree sums over a code are integrals over the sphere.

A code on a sphere is a *t-design* if the mean over its codewords of every polynomial of degree t or less is the mean
over the sphere; the greatest t is its *strength*. It is enough to look at powers of inner products, for every y:

    (1/K)·Σ_v (v·y)^k  =  0 for odd k,   N^(k/2)·‖y‖^k·(1·3···(k−1)) / (D·(D+2)···(D+k−2)) for even k,

with N the squared norm of the codewords. Both sides are polynomials in y. With integer codewords and integer y both are
counted exactly; where they differ the code is no k-design, and where they agree at random y of a large range the
polynomials are equal but for a chance of about k/range (Schwartz and Zippel).
Source: Delsarte, Goethals and Seidel, "Spherical codes and designs" (1977).
"""

__all__ = ["design_strength"]

from fractions import Fraction

import numpy as np
from jaxtyping import Int

from workbench.errors import InputError
from workbench.lattices.code import Code

_RANGE = 99
_CHUNK = 1 << 18


def design_strength(code: Code, *, limit: int = 12, directions: int = 2, seed: int = 0) -> int:
    """Return the greatest t, up to `limit`, for which the code is a spherical t-design.

    Args:
        code: A code on axes whose squares are integers; where norms differ, the strength is at most 1.
        limit: The greatest degree that is tried.
        directions: How many random integer directions y are tried.
        seed: Of the directions.

    Raises:
        InputError: if the squares of the axes are not integers.
    """
    squares = np.square(np.asarray(code.axes or (1.0,) * code.dimension))
    if np.abs(squares - np.rint(squares)).max() > 1e-9:
        raise InputError(f"code {code.name!r}: strengths are counted on axes with integer squares, got {squares}")
    weights = np.rint(squares).astype(np.int64)
    rng = np.random.default_rng(seed)
    return min(
        _strength(code, weights, rng.integers(-_RANGE, _RANGE + 1, code.dimension), limit) for _ in range(directions)
    )


def _strength(code: Code, weights: Int[np.ndarray, " D"], y: Int[np.ndarray, " D"], limit: int) -> int:
    """The degree below the first at which the two sides differ in the direction y."""
    counts: dict[int, int] = {}
    norms: set[int] = set()
    for start in range(0, code.size, _CHUNK):
        # Products of integers below 2⁵³ are exact in float64, whose matrix products are the fast ones.
        rows = code.integers_at(np.arange(start, min(start + _CHUNK, code.size))).astype(np.float64)
        for value, count in zip(*np.unique(rows @ (weights * y), return_counts=True), strict=True):
            counts[int(value)] = counts.get(int(value), 0) + int(count)
        norms.update(np.unique(np.square(rows) @ weights).astype(np.int64).tolist())
    length = int(np.square(y) @ weights)
    integral = Fraction(code.size)
    for degree in range(1, limit + 1):
        if degree % 2 == 0:
            if len(norms) > 1:
                return degree - 1
            integral *= Fraction(degree - 1, code.dimension + degree - 2) * next(iter(norms)) * length
        if sum(count * value**degree for value, count in counts.items()) != (0 if degree % 2 else integral):
            return degree - 1
    return limit
