"""Exhaustive search in tiles: for codes without structure, as fast as a matrix product allows.

Rows times codewords, `⟨x, v⟩ − ‖v‖²/2`, are never all held: a tile of products is reduced to its greatest, and only the
winning tile is looked at again. Products are float32; a row whose best two come closer than their rounding is decided
by the reference (`exhaustive.py`).
"""

__all__ = ["nearest_tiled"]

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.search.exhaustive import nearest_exhaustive
from workbench.lattices.search.fixed import fixed_point

_ROWS, _WORDS = 1024, 512
_ROUNDING = 2.0**-19  # of the size of the products, well above the error of a float32 sum of D terms


def nearest_tiled(x: Float[Tensor, "n D"], code: Code, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword for each row, int64; equals `nearest_exhaustive`.

    Holds 2 MiB of products at a time, and 48 kB a row for the tiles that won.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    spherical, words, halves = _tables(code, str(x.device))
    parts = []
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS].detach()
        if spherical:  # the nearest direction does not depend on the norm, so no product overflows
            exact = fixed_point(rows, first_row=first_row + start)
            points = exact.double().mul(2.0**-53).float()
        else:
            fixed_point(rows, first_row=first_row + start)  # for its check
            points = rows.float()
        found, lead = _search(points, words, halves)
        close = ~(lead > _ROUNDING * (points.norm(dim=1) + 1))
        if close.any():
            found[close] = nearest_exhaustive(rows[close], code)
        parts.append(found)
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64, device=x.device)


def _search(x: Tensor, words: Tensor, halves: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the greatest score and its lead over all others."""
    tiles, width, _ = words.shape
    greatest = x.new_empty(tiles, len(x))
    scores = x.new_empty(len(x), width)
    for tile in range(tiles):
        torch.addmm(halves[tile], x, words[tile].T, alpha=1, beta=-1, out=scores)
        torch.amax(scores, dim=1, out=greatest[tile])
    best, tile = greatest.topk(min(2, tiles), dim=0)
    scores = torch.einsum("nd,nwd->nw", x, words[tile[0]]) - halves[tile[0]]
    two, place = scores.topk(min(2, width), dim=1)
    rest = [best[1]] if tiles > 1 else []
    rest += [two[:, 1]] if width > 1 else []
    lead = two[:, 0] - torch.stack(rest).amax(0) if rest else torch.full_like(two[:, 0], torch.inf)
    return tile[0] * width + place[:, 0], lead


@functools.lru_cache(maxsize=8)
def _tables(code: Code, device: str) -> tuple[bool, Tensor, Tensor]:
    """Whether all norms agree; the codewords in tiles; half their squared norms, infinite for the filling."""
    vectors = code.vectors().to(device)
    size, dimension = vectors.shape
    width = min(_WORDS, size)
    tiles = -(-size // width)
    words = vectors.new_zeros(tiles * width, dimension)
    words[:size] = vectors
    squared = torch.tensor(code.integers, dtype=torch.float64).mul(torch.from_numpy(code.steps)).square().sum(1)
    spherical = bool((squared.max() - squared.min()) < 1e-12 * squared.max())
    halves = torch.full((tiles * width,), torch.inf, dtype=torch.float32, device=device)
    halves[:size] = 0.0 if spherical else (squared / 2).float().to(device)
    return spherical, words.view(tiles, width, dimension), halves.view(tiles, width)
