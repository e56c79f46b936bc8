"""The k best codewords of a code whose distance is a sum over parts: one choice a part, costs added up.

A cube, a grid of levels and a product of codes are of this kind: `cost(c₁, …, c_m) = Σ_i cost_i(c_i)`. Merging one part
after the other, and keeping the k least sums after each, gives the k least sums of all: a sum among the k least has a
prefix among the k least prefixes.
"""

__all__ = ["least_sums"]

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def least_sums(costs: Sequence[Float[Tensor, "n _"]], k: int) -> Int[Tensor, "n k parts"]:
    """Return the choices of the k least sums of one cost a part, least first.

    Args:
        costs: For each part the costs of its choices, shape (n, choices); numbers of choices may differ.
        k: How many; fewer come back where there are fewer combinations.
    """
    sums = costs[0].new_zeros((len(costs[0]), 1))
    chosen = torch.zeros((len(costs[0]), 1, 0), dtype=torch.int64, device=sums.device)
    for cost in costs:
        every = (sums[:, :, None] + cost[:, None, :]).flatten(1)
        order = every.sort(dim=1, stable=True).indices[:, :k]
        before, own = order // cost.shape[1], order % cost.shape[1]
        sums = every.gather(1, order)
        chosen = chosen.gather(1, before[:, :, None].expand(-1, -1, chosen.shape[2]))
        chosen = torch.cat([chosen, own[:, :, None]], dim=2)
    return chosen
