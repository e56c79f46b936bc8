"""The 756 shortest vectors of the Coxeter-Todd lattice K12, in 12 dimensions: 9.562 bits for twelve numbers.

Six complex coordinates in the Eisenstein integers Z[ω], ω = (−1 + i√3)/2, with θ = ω − ω² = i√3. At |x|² = 6:

    words   ε·(ω^a₁, …, ω^a₆)         ε = ±1, a₁ + … + a₆ ≡ 0 mod 3      2 · 3⁵  = 486
    pairs   θ·(ω^a at i, −ω^b at j)   i ≠ j                              30 · 9  = 270

A coordinate is stored as the two integers (2 Re x, 2 Im x / √3): the lattice has no integer coordinates on twelve
equal axes, since its form over the rationals is not a sum of twelve squares; `axes` holds the √3.
Rows: words with ε = +1, then ε = −1, each by a₁ … a₅ as digits in base 3, first slowest; then pairs by i, j, a, b.
No two points are nearer than their norm. The nearest word joins the best three powers of ω at the first three places
and at the last three, for each sum of exponents: 54 sums in place of 486.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 4, section 9.
"""

__all__ = ["k12"]

import functools
import itertools
import math

import numpy as np

from workbench.lattices.code import Code

_POWERS = ((2, 0), (-1, 1), (-1, -1))  # 1, ω, ω² as (2 Re, 2 Im / √3)
_THETA = ((0, 2), (-3, -1), (3, -1))  # θ, θω, θω²
_WORDS = 243


@functools.cache
def k12() -> Code:
    """The code `k12`: 756 points in 12 dimensions, |x|² = 6 before scaling."""
    exponents = np.array([(*a, -sum(a) % 3) for a in itertools.product(range(3), repeat=5)])
    words = np.array(_POWERS)[exponents].reshape(_WORDS, 12)
    pairs = np.zeros((270, 6, 2), dtype=np.int64)
    places = [(i, j) for i, j in itertools.product(range(6), repeat=2) if i != j]
    for row, ((i, j), a, b) in enumerate(itertools.product(places, range(3), range(3))):
        pairs[row, i], pairs[row, j] = _THETA[a], np.negative(_THETA[b])
    table = np.concatenate([words, -words, pairs.reshape(270, 12)]).astype(np.int8)
    return Code("k12", table, 2 * math.sqrt(6), axes=(1.0, math.sqrt(3)) * 6)
