"""`log_partition` on a CPU: the fast kernel for nearly all tokens, the sums in logs for the few it declines.

The kernel (`tokens.py`) walks *plans*: without word logits the folded entries and terms of `bricks.py`,
with them every word by itself. This module makes the plans, splits the tokens among threads, and is the differentiable
function. Word logits that several sets of logits share, as the components of a mixture do, are read once.
"""

__all__ = ["log_partition_on_cpu"]

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.partition.autograd import Context
from workbench.lattices.partition.bricks import Bricks, shapes_of
from workbench.lattices.partition.logs import LEVELS, NUM_WORD_LOGITS, log_partition_in_logs
from workbench.lattices.partition.tokens import sum_tokens
from workbench.lattices.pool import run_split

_BLOCK = 64  # tokens given to a thread at a time are a multiple of this


@dataclass(frozen=True, eq=False)
class _Plan:
    """Binary words as the kernel walks them: places, table entries of the three bricks, and words.

    Attributes:
        places: Position of each place, shape (24,).
        entries: Patterns of the entries of brick 0, then 1, then 2, shape (entries, 2); -1: no second pattern.
        starts: Where each brick begins in `entries`, shape (4,).
        runs: Entry in brick 0, entry in brick 1, and where the run of their words stops in `thirds`, shape (runs, 3).
        thirds: Entry in brick 2, and the word (0 for all where entries are folded), shape (words, 2).
    """

    places: np.ndarray
    entries: np.ndarray
    starts: np.ndarray
    runs: np.ndarray
    thirds: np.ndarray


@functools.cache
def _plans(code: Code, folded: bool) -> tuple[_Plan, _Plan]:
    """How to walk octads and words: folded where they have no logits of their own, else one by one."""
    shapes = shapes_of(code)
    return _plan(shapes.octad_bricks, folded), _plan(shapes.word_bricks, folded)


def _plan(bricks: Bricks, folded: bool) -> _Plan:
    if folded:
        entries = bricks.entries
        columns = [*bricks.terms.T, np.zeros(len(bricks.terms), dtype=np.int64)]
    else:
        heads, columns = [], []
        for brick in range(3):
            head, column = np.unique(bricks.patterns[:, brick], return_inverse=True)
            heads.append(np.stack([head, np.full_like(head, -1)], axis=1))
            columns.append(column)
        entries = tuple(heads)
        columns.append(np.arange(len(bricks.patterns)))
    starts = np.cumsum([0, *(len(part) for part in entries)])
    terms = np.stack(columns, axis=1)
    terms[:, :3] += starts[:3]
    terms = terms[np.lexsort(terms.T[::-1])]
    pairs, counts = np.unique(terms[:, :2], axis=0, return_counts=True)
    runs = np.concatenate([pairs, counts.cumsum()[:, None]], axis=1)
    return _Plan(bricks.places, np.concatenate(entries), starts, runs, np.ascontiguousarray(terms[:, 2:]))


def log_partition_on_cpu(logits: Tensor, code: Code, word_logits: Tensor | None = None) -> Tensor:
    """`sums.log_partition` for checked tensors on a CPU."""
    batch = logits.shape[:-2]
    dtype = logits.dtype if logits.dtype in (torch.float32, torch.float64) else torch.float32
    if word_logits is None:
        flat = logits.reshape(-1, 1, 24 * LEVELS)
        words = logits.new_empty(0, 0)
    else:
        # Word logits that several sets of logits share (a mixture) stay shared: rows are tokens, columns components.
        shared = 0
        lead = (1,) * (len(batch) - word_logits.ndim + 1) + tuple(word_logits.shape[:-1])
        while shared < len(batch) and lead[len(batch) - 1 - shared] == 1:
            shared += 1
        outer = batch[: len(batch) - shared]
        words = word_logits.reshape(*lead[: len(outer)], NUM_WORD_LOGITS).expand(*outer, NUM_WORD_LOGITS)
        words = words.reshape(-1, NUM_WORD_LOGITS)
        flat = logits.reshape(len(words), -1, 24 * LEVELS) if logits.numel() else logits.new_empty(0, 1, 24 * LEVELS)
    values = _LogPartition.apply(flat.to(dtype), words.to(dtype), code)
    return values.reshape(batch).to(logits.dtype)


class _Context(Context):
    code: Code


class _LogPartition(torch.autograd.Function):
    """Values (n, m) of logits (n, m, 216), with word logits (n, 4855) or (0, 0).

    The gradient of a value is found along with it where it does not mix with others: the outer gradient is then a
    factor. Word logits that several sets share get theirs in a second pass, when the outer gradients are known.
    """

    @staticmethod
    def forward(ctx: _Context, logits: Tensor, words: Tensor, code: Code) -> Tensor:
        grads: tuple[Tensor, ...] = ()
        if any(ctx.needs_input_grad[:2]) and (words.numel() == 0 or logits.shape[1] == 1):
            grads = (torch.zeros_like(logits), torch.zeros_like(words))
            values, accepted = _run(logits, words, code, torch.ones(logits.shape[:2]), *grads)
        else:
            values, accepted = _run(logits, words, code)
        if not accepted.all():
            n, m = torch.nonzero(~accepted, as_tuple=True)
            values[n, m] = log_partition_in_logs(
                logits[n, m].unflatten(-1, (24, LEVELS)), code, words[n] if words.numel() else None
            ).double()
        ctx.save_for_backward(logits, words, accepted, *grads)
        ctx.code = code
        return values.to(logits.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _Context, outer: Tensor) -> tuple[Tensor, Tensor, None]:
        logits, words, accepted, *ready = ctx.saved_tensors
        if ready:
            grad_logits, grad_words = ready[0] * outer[..., None], ready[1] * outer if words.numel() else ready[1]
        else:
            grad_logits, grad_words = torch.zeros_like(logits), torch.zeros_like(words)
            _run(logits, words, ctx.code, outer, grad_logits, grad_words)
        if not accepted.all():
            n, m = torch.nonzero(~accepted, as_tuple=True)
            with torch.enable_grad():
                some = logits[n, m].requires_grad_()
                some_words = words[n].requires_grad_() if words.numel() else None
                value = log_partition_in_logs(some.unflatten(-1, (24, LEVELS)), ctx.code, some_words)
            leaves = (some,) if some_words is None else (some, some_words)
            grads = torch.autograd.grad(value, leaves, outer[n, m])
            grad_logits[n, m] = grads[0]
            if some_words is not None:
                grad_words.index_add_(0, n, grads[1])
        return grad_logits, grad_words, None


def _run(
    logits: Tensor,
    words: Tensor,
    code: Code,
    outer: Tensor | None = None,
    grad_logits: Tensor | None = None,
    grad_words: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Run the kernel over all tokens, forward alone or, given the outer gradient, forward and backward."""
    n, m = logits.shape[:2]
    values = torch.empty(n, m, dtype=torch.float64)
    accepted = torch.ones(n, m, dtype=torch.bool)
    backward = outer is not None
    empty = np.empty((1, 0, 0), dtype=logits.detach().numpy().dtype)
    arrays = (
        logits.detach().contiguous().numpy(),
        words.detach().contiguous().numpy(),
        np.empty((0, 0)) if outer is None else outer.double().contiguous().numpy(),
        empty if grad_logits is None else grad_logits.numpy(),
        empty[0] if grad_words is None else grad_words.numpy(),
        values.numpy(),
        accepted.numpy(),
    )
    plans = [
        (plan.places, plan.entries, plan.starts, plan.runs, plan.thirds) for plan in _plans(code, words.numel() == 0)
    ]

    def part(start: int, stop: int) -> None:
        sum_tokens(start, stop, backward, *arrays, *plans)

    run_split(part, n, block=_BLOCK)
    return values, accepted
