"""Exact sums over all codewords of the Leech shell: log Σ_k exp Σ_i ℓ[i, v_ki].

Twenty-four positions each have nine logits ℓ, entry v + 4 for the digit v in -4 … 4. They are the natural parameters
of a distribution over the 196,560 codewords, p(k) ∝ exp Σ_i ℓ[i, v_ki], and this module computes its normaliser without
listing them. Optional *word logits* add one free number for each of the 759 octads and each of the 4,096 Golay words.

The sums are those of `logs.py`, or on a CPU those of the fast kernel of `cpu.py`.
"""

__all__ = ["log_partition", "log_score"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.partition.cpu import log_partition_on_cpu
from workbench.lattices.partition.logs import (
    NUM_WORD_LOGITS,
    check_logits,
    digits_of,
    groups_of,
    log_partition_in_logs,
)


def log_partition(
    logits: Float[Tensor, "*batch 24 9"], code: Code, *, word_logits: Float[Tensor, "*words"] | None = None
) -> Float[Tensor, "*batch"]:
    """Return log Σ_k exp(Σ_i logits[i, v_ki + 4] + word_logits[group of k]), differentiable.

    Computed in float64 and returned in the dtype of the logits. On a CPU the cost is about 10 µs a set of logits,
    forward and backward; memory beyond inputs and gradients is constant.

    Args:
        logits: Any finite numbers, or -inf for a digit that is forbidden; shape (..., 24, 9).
        code: `leech` or `leech-published`.
        word_logits: Shape (..., 759 + 4096), first the octads and then the Golay words, in the order of the codebook;
            its leading axes broadcast against those of the logits. Pairs have none.

    Returns:
        Shape (...): -inf where no codeword is allowed.

    Raises:
        InputError: if a shape is not as above, or the code is not a full Leech shell.
    """
    check_logits(logits, word_logits)
    if logits.device.type == "cpu":
        return log_partition_on_cpu(logits, code, word_logits)
    return log_partition_in_logs(logits, code, word_logits)


def log_score(
    logits: Float[Tensor, "*batch 24 9"],
    indices: Int[Tensor, "*batch"],
    code: Code,
    *,
    word_logits: Float[Tensor, "*words"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Return Σ_i logits[i, v_ki + 4] + word_logits[group of k] for given codewords, before normalisation."""
    digits = digits_of(code, logits.device)[indices].long()
    scores = logits.gather(-1, digits[..., None]).squeeze(-1).sum(-1)
    if word_logits is None:
        return scores
    group = groups_of(code, logits.device)[indices]
    words = word_logits.broadcast_to(*indices.shape, NUM_WORD_LOGITS)
    extra = words.gather(-1, group.clamp(max=NUM_WORD_LOGITS - 1)[..., None]).squeeze(-1)
    return scores + torch.where(group < NUM_WORD_LOGITS, extra, 0.0)
