"""Sums over groups of Leech codewords in logs: they cannot fail, and run on any device.

Each position contributes to a group of codewords (`bricks.py`) an element x + y·ε, and the groups are read off
products of 24 such elements, cut into three bricks whose tables of products all words share:

* octads: x, y are the weights of +2 and -2 at a position of the octad (0 elsewhere: x alone), and ε² = 1. The part
  without ε has an even number of minus signs.
* words: x is the weight of ±1, y that of ∓3, and ε² = 0. The part with ε has exactly one 3.
* pairs: x is the weight of 0, y that of +4 and -4 together, and ε³ = 0. The part with ε² has exactly two 4s.

Nothing is ever subtracted, so nothing cancels, whatever the size of the logits.
"""

__all__ = [
    "LEVELS",
    "NUM_WORD_LOGITS",
    "check_logits",
    "digits_of",
    "group_log_sums",
    "groups_of",
    "log_add",
    "log_partition_in_logs",
    "log_sum",
]

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.golay.code import NUM_OCTADS, NUM_WORDS
from workbench.lattices.partition.bricks import Bricks, shapes_of

LEVELS = 9
NUM_WORD_LOGITS = NUM_OCTADS + NUM_WORDS
_CHUNK = 64  # sets of logits at a time: the sums in logs hold about 2 MB for each

Add = Callable[[Tensor, Tensor], Tensor]


def digits_of(code: Code, device: torch.device | str = "cpu") -> Int[Tensor, "K 24"]:
    """The digits v + 4 of all codewords, int8 in 0 … 8; shared, do not write into it."""
    return _digits(code, str(device))


def groups_of(code: Code, device: torch.device | str = "cpu") -> Int[Tensor, " K"]:
    """The group of each codeword, 0 … 5130: its octad, 759 + its word, or 4855 + its pair; shared, do not write."""
    return _groups(code, str(device))


@functools.lru_cache(maxsize=8)
def _groups(code: Code, device: str) -> Tensor:
    return torch.from_numpy(shapes_of(code).group).to(device)


@functools.lru_cache(maxsize=8)
def _digits(code: Code, device: str) -> Tensor:
    return torch.from_numpy(code.integers + np.int8(LEVELS // 2)).to(device)


def group_log_sums(
    logits: Float[Tensor, "n 24 9"],
    code: Code,
    word_logits: Float[Tensor, "n 4855"] | None = None,
    *,
    add: Add | None = None,
) -> Float[Tensor, "n 5131"]:
    """Return the log of the sum over each group: 759 octads, 4,096 words, 276 pairs; float64.

    With `add=torch.maximum` in place of the sum in logs it is the best score in each group.
    """
    add = add or (log_add if torch.is_grad_enabled() else torch.logaddexp)
    logits = logits.double()
    shapes = shapes_of(code)
    zero, four = logits[:, :, 4], torch.stack([logits[:, :, 8], logits[:, :, 0]], -1)
    never = torch.full_like(zero, -torch.inf)
    octads = torch.stack([zero, never, logits[:, :, 6], logits[:, :, 2]], -1)
    # bit 0 is a minus sign, -1 or +3; bit 1 is a plus sign, +1 or -3
    words = torch.stack([logits[:, :, 3], logits[:, :, 7], logits[:, :, 5], logits[:, :, 1]], -1)
    octad_sums = _word_sums(octads, shapes.octad_bricks, add, square=1)
    word_sums = _word_sums(words, shapes.word_bricks, add, square=0)
    groups = torch.cat([octad_sums, word_sums], -1)
    if word_logits is not None:
        groups = groups + word_logits.double()
    return torch.cat([groups, _pair_sums(zero, add(four[..., 0], four[..., 1]), shapes.pairs)], -1)


def log_partition_in_logs(logits: Tensor, code: Code, word_logits: Tensor | None = None) -> Tensor:
    """The same as `log_partition`, on any device, by sums in logs alone; slower, and free of any limit."""
    check_logits(logits, word_logits)
    batch = logits.shape[:-2]
    if logits.device.type == "mps":  # no float64 there
        on_host = None if word_logits is None else word_logits.cpu()
        return log_partition_in_logs(logits.cpu(), code, on_host).to(logits.device)
    flat = logits.reshape(-1, 24, LEVELS)
    words = None
    if word_logits is not None:
        words = word_logits.expand(*batch, NUM_WORD_LOGITS).reshape(-1, NUM_WORD_LOGITS)
    sums = [
        log_sum(group_log_sums(part, code, None if words is None else words[i * _CHUNK : (i + 1) * _CHUNK]))
        for i, part in enumerate(flat.split(_CHUNK))
    ]
    return torch.cat([*sums, logits.new_empty(0)]).reshape(batch).to(logits.dtype)


def log_sum(x: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch"]:
    """Log of the sum of exponentials along the last axis; where that sum is zero, -inf with gradient zero."""
    top = x.detach().amax(-1, keepdim=True)
    top = torch.where(top == -torch.inf, 0.0, top)
    total = (x - top).exp().sum(-1)
    empty = total == 0
    return torch.where(empty, -torch.inf, torch.where(empty, 1.0, total).log() + top.squeeze(-1))


def log_add(x: Tensor, y: Tensor) -> Tensor:
    """log(exp x + exp y), with gradient zero where both are -inf."""
    return log_sum(torch.stack([x, y], -1))


def check_logits(logits: Tensor, word_logits: Tensor | None) -> None:
    """Raise InputError unless the logits are (..., 24, 9) and the word logits broadcast against them."""
    if logits.shape[-2:] != (24, LEVELS) or not logits.is_floating_point():
        raise InputError(
            f"logits must be floating, of shape (..., 24, 9): a row a position, entry v + 4 for the digit v; "
            f"got {logits.dtype} of shape {tuple(logits.shape)}"
        )
    if word_logits is None:
        return
    batch = logits.shape[:-2]
    lead = word_logits.shape[:-1]
    fits = len(lead) <= len(batch) and all(a in (1, b) for a, b in zip(lead[::-1], batch[::-1], strict=False))
    if word_logits.shape[-1:] != (NUM_WORD_LOGITS,) or not fits:
        raise InputError(
            f"word logits must broadcast to {(*batch, NUM_WORD_LOGITS)}: one for each of 759 octads and "
            f"4,096 Golay words; got shape {tuple(word_logits.shape)}"
        )


def _word_sums(parts: Tensor, bricks: Bricks, add: Add, *, square: int) -> Tensor:
    """Log of the wanted coefficient, for every binary word, of the product of its 24 elements x + yε.

    `parts` holds (x, y) for bit 0, then for bit 1; shape (n, 24, 4). Wanted is the coefficient of ε^(1 - square).
    """
    device = parts.device
    table = parts[:, torch.from_numpy(bricks.places).to(device)].unflatten(-1, (2, 2))  # shape: (n, 24, bit, 2)
    for _ in range(3):  # places to pairs of places, to fours, to bricks of eight; the first is the lowest bit
        low, high = table[:, 0::2, None, :, :], table[:, 1::2, :, None, :]
        table = torch.stack(_multiply(low, high, add, square), -1).flatten(2, 3)
    patterns = torch.from_numpy(bricks.patterns).to(device)
    first, second, third = (table[:, brick, patterns[:, brick]] for brick in range(3))  # shape: (n, words, 2)
    return _multiply(torch.stack(_multiply(first, second, add, square), -1), third, add, square)[1 - square]


def _multiply(a: Tensor, b: Tensor, add: Add, square: int) -> tuple[Tensor, Tensor]:
    """(a₀ + a₁ε)(b₀ + b₁ε), in logs, for ε² = `square`."""
    one = a[..., 0] + b[..., 0]
    return (
        add(one, a[..., 1] + b[..., 1]) if square else one,
        add(a[..., 0] + b[..., 1], a[..., 1] + b[..., 0]),
    )


def _pair_sums(zero: Tensor, four: Tensor, pairs: np.ndarray) -> Tensor:
    """Log weight of each pair of positions: fours at both, zeros at the other 22; shape (n, 276)."""
    device = zero.device
    is_four = np.zeros((len(pairs), 24), dtype=bool)
    np.put_along_axis(is_four, pairs, True, axis=1)
    return torch.where(torch.from_numpy(is_four).to(device), four[:, None], zero[:, None]).sum(-1)
