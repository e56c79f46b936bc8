"""Nearest word of a Leech shell by its structure, in plain torch and in integers: exact, on any device.

Up to its two signs a word's inner product with a point x splits along the bricks of a trio (`trio.py`).

* (∓3, ±1²³): with s the signed sum over a brick's folded pattern and m its least signed entry, let T = |s| and
  F = max over both signs of s - 4m. The best of the eight words that fold to a triple is the greatest of
  F₁ + T₂ + T₃, T₁ + F₂ + T₃ and T₁ + T₂ + F₃: 512 triples in place of 98,304 words.
* (±2⁸): twice the sum of |x| over the octad, less 4·min|x| where the signs of x have odd parity: 759 octads.
* (±4²): four times the two greatest |x|.

Everything that attains the best score is then listed, and the lowest index taken.
"""

__all__ = ["nearest_structured"]

import functools

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.codes.leech import SHAPE_STARTS, LeechOrder
from workbench.lattices.codes.registry import LeechShapes
from workbench.lattices.golay.code import NUM_OCTADS, NUM_WORDS, golay_code
from workbench.lattices.golay.trio import trio_of
from workbench.lattices.search.fixed import fixed_point

_CHUNK = 512  # rows at a time: the widest table has 759 · 8 entries a row
_NONE = 1 << 40


def nearest_structured(x: Float[Tensor, "n 24"], structure: LeechShapes, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword of a first shell of Λ24.

    Holds about 100 kB for each of at most 512 rows at a time.

    Args:
        x: Finite rows of any floating dtype.
        structure: Of the code.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    parts = [
        _nearest(fixed_point(part, first_row=first_row + i * _CHUNK), *structure)
        for i, part in enumerate(x.split(_CHUNK))
    ]
    return torch.cat(parts)


def _nearest(x: Tensor, order: LeechOrder, shapes: tuple[int, ...]) -> Tensor:
    search = {2: _nearest_two, 3: _nearest_three, 4: _nearest_four}
    found = [search[shape](x, order) for shape in shapes]
    scores = torch.stack([score for score, _ in found])
    rows = torch.stack([row for _, row in found])
    # Shapes stand in ascending order of their rows.
    best = torch.where(scores == scores.amax(0), rows, _NONE).amin(0)
    return best - SHAPE_STARTS[shapes[0] - 2]


def _nearest_two(x: Tensor, order: LeechOrder) -> tuple[Tensor, Tensor]:
    """Score and lowest row of the best word of shape (±2⁸)."""
    octads = _octads(order.octad_code, str(x.device))
    entries = x[:, octads]  # shape: (n, 759, 8)
    sizes = entries.abs()
    odd = ((entries <= 0).sum(-1) & 1) == 1
    scores = 2 * sizes.sum(-1) - 4 * torch.where(odd, sizes.amin(-1), 0)
    best = scores.amax(1)
    rows, octad = (scores == best[:, None]).nonzero(as_tuple=True)
    entries, sizes, odd = entries[rows, octad], sizes[rows, octad], odd[rows, octad]
    # A zero counts as minus, which stands first. An odd number of minus signs is made even at a least entry: the
    # first plus among these, to minus; or, if there is none, the last minus.
    plus = entries > 0
    least = sizes == sizes.amin(-1, keepdim=True)
    place = torch.arange(8, device=x.device)
    first_plus = torch.where(least & plus, place, 8).amin(-1)
    last = torch.where(least, place, -1).amax(-1)
    flip = torch.where(first_plus < 8, first_plus, last)
    plus = plus ^ (odd[:, None] & (place == flip[:, None]))
    signs = (plus[:, :7] * (64 >> place[:7])).sum(-1)
    return best, _lowest(rows, signs * NUM_OCTADS + octad, len(x))


def _nearest_three(x: Tensor, order: LeechOrder) -> tuple[Tensor, Tensor]:
    """Score and lowest row of the best word of shape (∓3, ±1²³)."""
    places, signs, messages = _word_tables(order.word_code, str(x.device))
    signed = x[:, places].unflatten(1, (3, 1, 1, 8)) * signs  # shape: (n, brick, class, rank, place)
    total = signed.sum(-1)
    plain = total.abs()
    threes = torch.maximum(total - 4 * signed.amin(-1), 4 * signed.amax(-1) - total)
    i, j = torch.arange(8, device=x.device)[:, None], torch.arange(8, device=x.device)[None]
    t1, t2, t3 = plain[:, 0][..., i], plain[:, 1][..., j], plain[:, 2][..., i ^ j]
    f1, f2, f3 = threes[:, 0][..., i], threes[:, 1][..., j], threes[:, 2][..., i ^ j]
    first = torch.maximum(f1 + t2, t1 + f2)
    scores = torch.maximum(first + t3, t1 + t2 + f3).flatten(1)  # shape: (n, class · i · j)
    best = scores.amax(1)
    rows, triple = (scores == best[:, None]).nonzero(as_tuple=True)
    c, i, j = triple >> 6, triple >> 3 & 7, triple & 7
    # All eight words of each such triple.
    word = torch.stack([signed[rows, 0, c, i], signed[rows, 1, c, j], signed[rows, 2, c, i ^ j]], 1)
    flips = 1 - 2 * (torch.arange(8, device=x.device)[:, None] >> torch.arange(3, device=x.device) & 1)
    word = (word[:, None] * flips[..., None]).flatten(2)  # shape: (words, 8, 24)
    least = word.amin(-1, keepdim=True)
    place = torch.where(word == least, places, 24).amin(-1)
    row = SHAPE_STARTS[1] + place * NUM_WORDS + messages[c, i, j]
    row = torch.where(word.sum(-1) - 4 * least[..., 0] == best[rows, None], row, _NONE)
    return best, _lowest(rows, row.amin(-1), len(x))


def _nearest_four(x: Tensor, order: LeechOrder) -> tuple[Tensor, Tensor]:  # noqa: ARG001  (same in every order)
    """Score and lowest row of the best word of shape (±4²)."""
    sizes = x.abs()
    place = torch.arange(24, device=x.device)
    one = torch.where(sizes == sizes.amax(1, keepdim=True), place, 24).amin(1, keepdim=True)
    others = sizes.scatter(1, one, -1)
    two = torch.where(others == others.amax(1, keepdim=True), place, 24).amin(1, keepdim=True)
    best = 4 * (sizes.gather(1, one) + sizes.gather(1, two))[:, 0]
    first, second = torch.minimum(one, two), torch.maximum(one, two)
    pair = first * (47 - first) // 2 + second - first - 1
    row = SHAPE_STARTS[2] + 4 * pair + 2 * (x.gather(1, first) > 0) + (x.gather(1, second) > 0)
    return best, row[:, 0]


def _lowest(rows: Tensor, indices: Tensor, count: int) -> Tensor:
    """The least of the indices listed for each row."""
    return torch.full((count,), _NONE, device=rows.device).scatter_reduce(0, rows, indices, "amin")


@functools.lru_cache(maxsize=8)
def _octads(code: str, device: str) -> Tensor:
    return torch.from_numpy(golay_code(code).octads.astype("int64")).to(device)


@functools.lru_cache(maxsize=8)
def _word_tables(code: str, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Places, signs of the folded patterns, shape (3, 8, 8, 8), and messages."""
    trio = trio_of(code)
    bits = torch.from_numpy(trio.folded)[..., None] >> torch.arange(8) & 1
    return (
        torch.from_numpy(trio.places).to(device),
        (2 * bits - 1).to(device),
        torch.from_numpy(trio.messages).to(device),
    )
