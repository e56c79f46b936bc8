"""Tables of signs: the rows that a shape of codewords is listed by.

Signs are ordered as in the tables of Λ24: lexicographic with minus before plus and the first position slowest.
"""

__all__ = ["pair_table", "sign_table"]

import itertools
import math

import numpy as np


def sign_table(length: int, *, odd: bool = False) -> np.ndarray:
    """All rows of ±1 with an even (or odd) number of minus signs, int8, shape (2^(length − 1), length).

    Example:
        >>> sign_table(3).tolist()
        [[-1, -1, 1], [-1, 1, -1], [1, -1, -1], [1, 1, 1]]
    """
    signs = np.array(list(itertools.product((-1, 1), repeat=length)), dtype=np.int8)
    return signs[(signs < 0).sum(1) % 2 == int(odd)]


def pair_table(dimension: int, value: int) -> np.ndarray:
    """All `(±value², 0^(D−2))` by pair of positions and, within, by signs; int8, shape (4·C(D, 2), D)."""
    table = np.zeros((4 * math.comb(dimension, 2), dimension), dtype=np.int8)
    signs = list(itertools.product((-value, value), repeat=2))
    for row, (pair, sign) in enumerate(itertools.product(itertools.combinations(range(dimension), 2), signs)):
        table[row, list(pair)] = sign
    return table
