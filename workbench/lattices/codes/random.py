"""Random codes: K directions drawn uniformly from the sphere in D dimensions (random-projection quantization).

A row of independent normal numbers has a uniform direction. It is rounded once, to 16-bit integers at radius 32,767,
so that the code is integers like every other and its fingerprint does not hang on the last bit of a logarithm; that
moves a point by less than 1e-4.
Source: Chiu et al., "Self-supervised learning with random-projection quantizer", arXiv:2202.01855.
"""

__all__ = ["RADIUS", "random_code"]

import numpy as np

from workbench.errors import InputError
from workbench.lattices.code import Code

RADIUS = 32767.0
_CHUNK = 1 << 18


def random_code(size: int = 196_560, dimension: int = 24, seed: int = 0) -> Code:
    """The code `random`.

    Args:
        size: Number of points, K.
        dimension: Numbers a point, D, at least 2.
        seed: Of numpy's PCG64, non-negative.

    Raises:
        InputError: if an argument is out of range.
    """
    if size < 1 or dimension < 2 or seed < 0:
        raise InputError(
            f"a random code needs size ≥ 1, dimension ≥ 2 and seed ≥ 0, got {size}, {dimension} and {seed}"
        )
    generator = np.random.default_rng(seed)
    table = np.empty((size, dimension), dtype=np.int16)
    for start in range(0, size, _CHUNK):
        rows = generator.standard_normal((min(_CHUNK, size - start), dimension))
        table[start : start + len(rows)] = np.rint(RADIUS * rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return Code("random", table, RADIUS)
