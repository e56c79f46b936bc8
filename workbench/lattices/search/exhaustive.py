"""The reference: compare a point with every codeword. Slow, obvious, and what every other search must equal.

For a spherical code the nearest codeword has the greatest inner product with the point. The products of all pairs are
taken in float64 over the integers of the code; where that leaves several within rounding of the best, their exact
integer products decide (`fixed.py`), and a tie goes to the lowest index. For other codes it is the least distance, in
float64 alone.
"""

__all__ = ["nearest_exhaustive", "ranked_exhaustive"]

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.search.fixed import fixed_point

_PRODUCTS = 1 << 23  # at a time: 64 MiB of float64
_ROUNDING = 2.0**-44  # of the largest possible score, above any rounding of a float64 sum of few terms


def nearest_exhaustive(x: Float[Tensor, "n D"], code: Code, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword for each row, int64.

    Args:
        x: Finite rows of any floating dtype.
        code: Any code; a cost of K·D multiplications a row.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if the dimension differs, or a row has an entry that is not finite (the first is named).
    """
    if x.shape[-1] != code.dimension:
        raise InputError(f"points have dimension {x.shape[-1]}, code {code.name!r} has {code.dimension}")
    integers, norms = _tables(code, str(x.device))
    if code.axes is not None:
        x = x.double() * x.new_tensor(code.axes, dtype=torch.float64)
    rows = max(1, _PRODUCTS // code.size)
    parts = []
    for i, part in enumerate(x.split(rows)):
        fixed = fixed_point(part, first_row=first_row + i * rows)
        parts.append(_most_aligned(fixed, integers) if norms is None else _least_distant(part, integers, norms, code))
    return torch.cat(parts)


def ranked_exhaustive(x: Float[Tensor, "n D"], code: Code, k: int) -> Int[Tensor, "n k"]:
    """Return the indices of the k nearest codewords, nearest first, equally near ones by index; int64.

    Products are exact: with 53 bits cut into 27 and 26, each half's float64 sum is an integer below 2⁵³.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    integers, norms = _tables(code, str(x.device))
    table = integers.double().mT
    rows = max(1, _PRODUCTS // code.size)
    parts = [x.new_empty(0, k, dtype=torch.int64)]
    for i, part in enumerate(x.split(rows)):
        if code.axes is not None:
            part = part.double() * part.new_tensor(code.axes, dtype=torch.float64)
        points = fixed_point(part, first_row=i * rows)
        if norms is None:
            high, low = points >> 26, points & (1 << 26) - 1
            scores = ((high.double() @ table).long() << 26) + (low.double() @ table).long()
        else:
            scores = part.double() @ table - norms / (2 * code.scale)
        parts.append(scores.sort(dim=1, descending=True, stable=True).indices[:, :k])
    return torch.cat(parts)


def _most_aligned(points: Tensor, integers: Tensor) -> Tensor:
    scores = points.double() @ integers.double().mT
    bound = points.abs().sum(-1).double() * float(integers.abs().max()) * _ROUNDING
    rows, words = (scores >= (scores.amax(1) - bound)[:, None]).nonzero(as_tuple=True)
    exact = (points[rows] * integers[words]).sum(-1)
    best = torch.full((len(points),), torch.iinfo(torch.int64).min, device=points.device).scatter_reduce(
        0, rows, exact, "amax"
    )
    words = torch.where(exact == best[rows], words, len(integers))
    return torch.full((len(points),), len(integers), device=points.device).scatter_reduce(0, rows, words, "amin")


def _least_distant(x: Tensor, integers: Tensor, norms: Tensor, code: Code) -> Tensor:
    scores = x.double() @ integers.double().mT - norms / (2 * code.scale)
    return torch.where(
        scores == scores.amax(1, keepdim=True), torch.arange(len(integers), device=x.device), len(integers)
    ).amin(1)


@functools.lru_cache(maxsize=8)
def _tables(code: Code, device: str) -> tuple[Tensor, Tensor | None]:
    """The integers, int64, and their squared norms unless these are all the same."""
    integers = torch.from_numpy(code.integers.copy()).long().to(device)
    norms = (integers * integers.new_tensor(code.steps * code.scale, dtype=torch.float64)).square().sum(-1)
    spherical = norms.max() - norms.min() < 1e-12 * norms.max()  # equal but for the rounding of the axes
    return integers, None if spherical else norms
