"""The k nearest codewords, in order: exact like `search.nearest`, whose answer comes first.

In a Leech shell the best word of every octad, triple and pair is known at little cost (`decide.py`). The k-th greatest
of these bests is a bound: no group below it can hold any of the k nearest. Only the groups at or above it are opened.
Other codes are compared exhaustively.
"""

__all__ = ["MAX_K", "nearest_k"]

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import LeechShapes, leech_shapes
from workbench.lattices.pool import run_split
from workbench.lattices.search.exhaustive import ranked_exhaustive
from workbench.lattices.search.fixed import fixed_point

MAX_K = 256
_PIECE = 1 << 14


def nearest_k(x: Float[Tensor, "*batch D"], code: Code, k: int) -> Int[Tensor, "*batch k"]:
    """Return the indices of the k nearest codewords, nearest first, equally near ones by index; int64.

    Args:
        x: Points of any floating dtype and norm.
        code: Which codewords. Some 50 µs a point in a Leech shell; for others it grows with their size.
        k: From 1 to 256, and no more than there are codewords.

    Raises:
        InputError: if k is out of range, x does not fit the code, or a row is not finite (the first is named).
    """
    if not 1 <= k <= min(MAX_K, code.size):
        raise InputError(f"k must be from 1 to {min(MAX_K, code.size)} for code {code.name!r}, got {k}")
    if not x.is_floating_point() or x.ndim == 0 or x.shape[-1] != code.dimension:
        raise InputError(
            f"expected floats of shape (..., {code.dimension}) for code {code.name!r}, "
            f"got {x.dtype} of shape {tuple(x.shape)}"
        )
    rows = x.detach().reshape(-1, code.dimension)
    if structure := leech_shapes(code):
        parts = [_ranked(part, structure, k, i * _PIECE) for i, part in enumerate(rows.split(_PIECE))]
        found = torch.cat(parts).to(x.device)
    else:
        found = ranked_exhaustive(rows, code, k)
    return found.view(*x.shape[:-1], k)


def _ranked(rows: Tensor, structure: LeechShapes, k: int, first_row: int) -> Tensor:
    from workbench.lattices.search.cpu.ranking import rank_rows
    from workbench.lattices.search.cpu.walk import plan_of

    plan = plan_of(*structure)
    points = fixed_point(rows.cpu(), first_row=first_row).numpy()
    found = np.empty((len(points), k), np.int64)
    run_split(lambda start, stop: rank_rows(points, start, stop, found, plan), len(points), block=8)
    return torch.from_numpy(found)
