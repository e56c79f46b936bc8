"""Powers of two and their logarithms in whole numbers, the same on every machine.

A *score* is a logarithm to base 2 in units of 2⁻¹⁰ bit. `exp2_down(table, d)` is 2^(-d / 1024) in units of 2⁻³⁰, and
`log2_up(v)` is the score of v / 2³⁰. The table comes from whole square roots: the 1,024th root of a half is the tenth
square root of it, taken with 128 bits, and the entries are its powers, rounded down.
"""

__all__ = ["ONE", "SCORE", "exp2_down", "exp2_table", "log2_up"]

import functools
import math

import numpy as np

from workbench.lattices.jit import kernel

SCORE_BITS = 10
SCORE = 1 << SCORE_BITS
ONE_BITS = 30
ONE = 1 << ONE_BITS
_GUARD = 128


@functools.cache
def exp2_table() -> np.ndarray:
    """2^(-k / 1024) in units of 2⁻³⁰ for k in [0, 1024); int64, shape (1024,), read-only."""
    root = 1 << (_GUARD - 1)
    for _ in range(SCORE_BITS):
        root = math.isqrt(root << _GUARD)
    powers, power = [], 1 << _GUARD
    for _ in range(SCORE):
        powers.append(power >> (_GUARD - ONE_BITS))
        power = (power * root) >> _GUARD
    table = np.array(powers, np.int64)
    table.flags.writeable = False
    return table


@kernel(inline=True)
def exp2_down(table: np.ndarray, score: int) -> int | np.int64:
    """2^(-score / 1024) in units of 2⁻³⁰, for a score >= 0; zero from 31 bits on."""
    whole = score >> SCORE_BITS
    return table[score & (SCORE - 1)] >> whole if whole < 31 else np.int64(0)


@kernel
def log2_up(value: int | np.int64) -> int:
    """The score of value / 2³⁰, rounded down, for value in [2³⁰, 2³¹); one bit of it for each squaring."""
    score = 0
    for _ in range(SCORE_BITS):
        value = (value * value) >> ONE_BITS
        score <<= 1
        if value >> (ONE_BITS + 1):
            value >>= 1
            score += 1
    return score
