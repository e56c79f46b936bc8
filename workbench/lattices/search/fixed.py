"""Points as integers, so that every score is exact and a tie is a tie.

A row of 24 floats is scaled by a power of two until its greatest entry lies in [2⁵², 2⁵³), and rounded to integers.
That changes nothing that a float64 sum could see: an entry keeps all its bits unless it is more than 2²⁹ (float32
input) times smaller than the greatest. Inner products with codewords are then sums of a few small multiples, below
2⁵⁹: exact in int64, in any order, on any machine. *The nearest codeword* means, everywhere in this project, the one
of greatest such inner product, of least index among equals.
"""

__all__ = ["fixed_point"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError

_BITS = 53


def fixed_point(x: Float[Tensor, "n D"], *, first_row: int = 0) -> Int[Tensor, "n D"]:
    """Return rows as int64, each by its own power of two; a zero row stays zero.

    Args:
        x: Finite rows of any floating dtype.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        x = x.float()
    greatest = x.detach().abs().amax(-1, keepdim=True) if x.shape[0] else x.new_empty(0, 1)
    finite = x.isfinite().all(-1)
    if not finite.all():
        row = int(finite.int().argmin())
        raise InputError(
            f"row {first_row + row} has an entry that is not finite: {x[row].tolist()}; "
            "a nearest codeword is defined for finite points only"
        )
    exponent = _BITS - torch.frexp(greatest).exponent
    half = exponent.div(2, rounding_mode="floor")  # in two steps: one power of two may lie outside the range of floats
    return torch.ldexp(torch.ldexp(x, half), exponent - half).round().long()
