"""The 4,320 shortest vectors of the Barnes-Wall lattice in 16 dimensions: 12.077 bits for sixteen numbers.

At norm² 8 they are the 3,840 of shape (±1⁸, 0⁸), on the 30 words of weight 8 of the Reed-Muller code RM(1, 4) with an
even number of minus signs, and the 480 of shape (±2², 0¹⁴); no two are nearer than their norm. Rows are listed like
those of Λ24: signs slowest (lexicographic, minus before plus, first position slowest), within them the 30 words in
ascending order of their sorted positions; then the pairs by positions and, within, by signs.
The nearest is the best of 31 candidates.
Source: Barnes and Wall (1959); Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 4, section 10.
"""

__all__ = ["bw16", "words_bw16"]

import functools
import itertools
import math

import numpy as np

from workbench.lattices.code import Code
from workbench.lattices.codes.signs import pair_table, sign_table

_WORDS = 30


@functools.cache
def words_bw16() -> np.ndarray:
    """Sorted positions of the 30 words of weight 8 of RM(1, 4), ascending, int64, shape (30, 8).

    They are the affine hyperplanes of the 16 points of GF(2)⁴: `a·p = b` for a ≠ 0.
    """
    points = np.array(list(itertools.product((0, 1), repeat=4)))
    supports = [np.nonzero(points @ a % 2 == b)[0].tolist() for a in points[1:] for b in (0, 1)]
    return np.array(sorted(supports))


@functools.cache
def bw16() -> Code:
    """The code `bw16`: 4,320 points in 16 dimensions, norm² 8 before scaling."""
    signs, words = sign_table(8), words_bw16()
    table = np.zeros((len(signs), _WORDS, 16), dtype=np.int8)
    table[np.arange(len(signs))[:, None, None], np.arange(_WORDS)[:, None], words] = signs[:, None, :]
    return Code("bw16", np.concatenate([table.reshape(-1, 16), pair_table(16, 2)]), math.sqrt(8))
