"""The projection to the unit sphere, with a defined answer and a finite gradient everywhere.

`ẑ = z / ‖z‖` is undefined at zero and overflows for huge rows. Each row is divided by its largest entry first, which
cancels in the quotient and in its derivative `(I − ẑẑᵀ) / ‖z‖`, so nothing overflows. A row below `TINY` counts as
zero: it stays what it is (every codeword ties, the lowest index wins) and its gradient is the identity, so that an
encoder that answers zero still learns.
"""

__all__ = ["TINY", "unit"]

import torch
from jaxtyping import Float
from torch import Tensor

TINY = 1e-20


def unit(z: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """Divide each row by its norm; rows whose entries are all below `TINY` stay as they are.

    Example:
        >>> unit(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    largest = z.detach().abs().amax(dim=-1, keepdim=True)
    vanishing = largest < TINY
    scaled = z / torch.where(vanishing, torch.ones_like(largest), largest)
    squared_norm = scaled.square().sum(dim=-1, keepdim=True)
    return scaled / torch.where(vanishing, torch.ones_like(squared_norm), squared_norm).sqrt()
