"""Points as integers, so that every score is exact and a tie is a tie.

A row of 24 floats is scaled by a power of two until its greatest entry lies in [2⁵², 2⁵³), and rounded to integers.
That changes nothing that a float64 sum could see: an entry keeps all its bits unless it is more than 2²⁹ (float32
input) times smaller than the greatest. Inner products with codewords are then sums of a few small multiples, below
2⁵⁹: exact in int64, in any order, on any machine. *The nearest codeword* means, everywhere in this project, the one
of greatest such inner product, of least index among equals.
"""

from __future__ import annotations

__all__ = ["fixed_point", "fixed_point_array"]

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

_BITS = 53


def fixed_point_array(x: Float[np.ndarray, "n D"], *, first_row: int = 0) -> Int[np.ndarray, "n D"]:
    """:func:`fixed_point` of an array, float32 or float64."""
    greatest = np.abs(x).max(-1, keepdims=True, initial=0)
    finite = np.isfinite(greatest[:, 0])
    if not finite.all():
        row = int(finite.argmin())
        raise _not_finite(first_row + row, x[row].tolist())
    exponent = _BITS - np.frexp(greatest)[1]
    half = exponent >> 1  # in two steps: one power of two may lie outside the range of floats
    return np.rint(np.ldexp(np.ldexp(x, half), exponent - half)).astype(np.int64)


def fixed_point(x: Float[Tensor, "n D"], *, first_row: int = 0) -> Int[Tensor, "n D"]:
    """Return rows as int64, each by its own power of two; a zero row stays zero.

    Args:
        x: Finite rows of any floating dtype.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    import torch

    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    greatest = x.detach().abs().amax(-1, keepdim=True) if x.shape[0] else x.new_empty(0, 1)
    finite = x.isfinite().all(-1)
    if not finite.all():
        row = int(finite.int().argmin())
        raise _not_finite(first_row + row, x[row].tolist())
    exponent = _BITS - torch.frexp(greatest).exponent
    half = exponent.div(2, rounding_mode="floor")  # in two steps, as above
    return torch.ldexp(torch.ldexp(x, half), exponent - half).round().long()


def _not_finite(row: int, entries: list[float]) -> InputError:
    return InputError(
        f"row {row} has an entry that is not finite: {entries}; a nearest codeword is defined for finite points only"
    )
