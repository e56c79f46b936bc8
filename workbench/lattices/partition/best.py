"""The k best codewords of each token, exactly, without scoring all 196,560.

The search score Σ_i ℓ[i, v_ki] + word logit is a sum over positions, so the best score within each octad, Golay word
and pair comes from the products of `logs.py` with the maximum in place of the sum. Groups are then opened in
order of their best, and no more are opened once that best is below the k-th score found.
Among equal scores the lowest index comes first.
"""

__all__ = ["MAX_K", "KBest", "best_codewords"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.jit import kernel
from workbench.lattices.partition.bricks import shapes_of
from workbench.lattices.partition.logs import LEVELS, NUM_WORD_LOGITS, check_logits, digits_of, group_log_sums
from workbench.lattices.pool import run_split

MAX_K = 256
_CHUNK = 256
_SLACK = 1e-9  # relative: rounding between a group's best, found by the products, and the score of its best word


@dataclass(frozen=True)
class KBest:
    """Codewords in order of their score, best first.

    Attributes:
        indices: int64, shape (..., k); -1 where fewer than k codewords are allowed.
        scores: float64, shape (..., k), before normalisation; -inf there.
    """

    indices: Int[Tensor, "*batch k"]
    scores: Float[Tensor, "*batch k"]


@torch.no_grad()
def best_codewords(
    logits: Float[Tensor, "*batch 24 9"],
    k: int,
    code: Code,
    *,
    word_logits: Float[Tensor, "*words"] | None = None,
) -> KBest:
    """Return the k codewords of largest score for each set of logits.

    Args:
        logits: Shape (..., 24, 9), entry v + 4 for the digit v.
        k: From 1 to 256.
        code: `leech` or `leech-published`.
        word_logits: Shape (..., 4855), leading axes broadcast, as in `log_partition`.

    Raises:
        InputError: if k or a shape is out of range, or a logit is not a number.
    """
    if not 1 <= k <= MAX_K:
        raise InputError(f"k must be from 1 to {MAX_K}, got {k}")
    check_logits(logits, word_logits)
    if torch.isnan(logits).any():
        raise InputError("logits must be numbers or -inf, got NaN")
    batch, device = logits.shape[:-2], logits.device
    flat = logits.detach().reshape(-1, 24, LEVELS).double().cpu()
    words = torch.zeros(1, NUM_WORD_LOGITS, dtype=torch.float64).expand(len(flat), -1)
    if word_logits is not None:
        words = word_logits.detach().double().cpu().expand(*batch, NUM_WORD_LOGITS).reshape(-1, NUM_WORD_LOGITS)
    rows = shapes_of(code).rows
    columns = digits_of(code).numpy() + (LEVELS * np.arange(24)).astype(np.int16)
    indices = np.full((len(flat), k), -1)
    scores = np.full((len(flat), k), -np.inf)
    for start in range(0, len(flat), _CHUNK):
        part, extra = flat[start : start + _CHUNK], words[start : start + _CHUNK]
        bests = group_log_sums(part, code, extra, add=torch.maximum)
        order = bests.argsort(dim=-1, descending=True, stable=True)
        inputs = (part.flatten(1).numpy(), extra.contiguous().numpy(), bests.numpy(), order.numpy(), rows, columns)
        outputs = (indices[start : start + _CHUNK], scores[start : start + _CHUNK])

        def search(first: int, last: int, arrays: tuple = (*inputs, *outputs)) -> None:
            _search(first, last, *arrays)

        run_split(search, len(part), block=8)
    return KBest(
        torch.from_numpy(indices).reshape(*batch, k).to(device),
        torch.from_numpy(scores).reshape(*batch, k).to(device if device.type != "mps" else "cpu"),
    )


@kernel
def _search(first, last, logits, words, bests, order, rows, columns, indices, scores):  # noqa: ANN001, ANN202
    """Fill `indices` and `scores` (n, k), kept sorted, for tokens first … last."""
    k = scores.shape[1]
    for n in range(first, last):
        for rank in range(order.shape[1]):
            group = order[n, rank]
            threshold = scores[n, k - 1]
            best = bests[n, group]
            if best == -np.inf or best + _SLACK * (1.0 + abs(best)) < threshold:
                break
            extra = words[n, group] if group < words.shape[1] else 0.0
            for member in range(rows.shape[1]):
                row = rows[group, member]
                if row < 0:
                    break
                score = extra
                for i in range(24):
                    score += logits[n, columns[row, i]]
                last_score, last_index = scores[n, k - 1], indices[n, k - 1]
                if score == -np.inf or score < last_score or (score == last_score and row > last_index):
                    continue
                place = k - 1
                while place > 0 and (
                    score > scores[n, place - 1] or (score == scores[n, place - 1] and row < indices[n, place - 1])
                ):
                    scores[n, place] = scores[n, place - 1]
                    indices[n, place] = indices[n, place - 1]
                    place -= 1
                scores[n, place] = score
                indices[n, place] = row
