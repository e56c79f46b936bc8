"""The 240 shortest vectors of E8, the densest packing in eight dimensions: 7.907 bits for eight numbers.

At norm² 8 they are the 128 of shape (±1⁸) with an even number of minus signs and the 112 of shape (±2², 0⁶); no two
are nearer than their norm. Rows are listed like those of Λ24: first (±1⁸) by signs, lexicographic with minus before
plus and the first position slowest; then (±2², 0⁶) by pair of positions and, within, by signs.
The nearest is the better of one candidate for each shape, about thirty operations in place of 240 products.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 4 and 20.
"""

__all__ = ["e8"]

import functools
import math

import numpy as np

from workbench.lattices.code import Code
from workbench.lattices.codes.signs import pair_table, sign_table


@functools.cache
def e8() -> Code:
    """The code `e8`: 240 points in 8 dimensions, norm² 8 before scaling."""
    return Code("e8", np.concatenate([sign_table(8), pair_table(8, 2)]), math.sqrt(8))
