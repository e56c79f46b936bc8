"""Exact samples of codewords: first the group (an octad, a Golay word or a pair), then the word within it.

The law is p(k) ∝ exp(Σ_i ℓ[i, v_ki] + word logit), as in `sums.py`. The 5,131 groups are disjoint and cover the
codebook, so drawing a group by its exact total, and then one of its at most 128 codewords (the signs of an octad, the
position of the 3, the signs of a pair) by its own weight, draws exactly from the law, and no list of 196,560 is made.
"""

__all__ = ["draw_columns", "sample_codewords"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.partition.bricks import shapes_of
from workbench.lattices.partition.logs import LEVELS, NUM_WORD_LOGITS, check_logits, digits_of, group_log_sums

_CHUNK = 256


@torch.no_grad()
def sample_codewords(
    logits: Float[Tensor, "*batch 24 9"],
    code: Code,
    *,
    generator: torch.Generator,
    word_logits: Float[Tensor, "*words"] | None = None,
) -> Int[Tensor, "*batch"]:
    """Draw one codeword for each set of logits.

    Args:
        logits: Shape (..., 24, 9), entry v + 4 for the digit v; -inf forbids a digit.
        code: `leech` or `leech-published`.
        generator: Source of randomness, on the device of the logits.
        word_logits: Shape (..., 4855), leading axes broadcast, as in `log_partition`.

    Returns:
        Indices, int64, shape (...).

    Raises:
        InputError: if a shape is wrong, a logit is not a number, or no codeword at all is allowed.
    """
    check_logits(logits, word_logits)
    batch = logits.shape[:-2]
    flat = logits.detach().reshape(-1, 24, LEVELS)
    words = None
    if word_logits is not None:
        words = word_logits.detach().expand(*batch, NUM_WORD_LOGITS).reshape(-1, NUM_WORD_LOGITS)
    rows = torch.from_numpy(shapes_of(code).rows).to(logits.device)
    digits = digits_of(code, logits.device)
    drawn = [torch.empty(0, dtype=torch.int64, device=logits.device)]
    for start in range(0, len(flat), _CHUNK):
        part = flat[start : start + _CHUNK].double()
        sums = group_log_sums(part, code, None if words is None else words[start : start + _CHUNK])
        group = _draw(sums, generator)
        members = rows[group]  # shape: (n, 128), -1 where a group has fewer
        chosen = digits[members.clamp(min=0)].long()
        scores = part[:, None].expand(-1, members.shape[1], -1, -1).gather(-1, chosen[..., None]).squeeze(-1).sum(-1)
        member = _draw(torch.where(members >= 0, scores, -torch.inf), generator)
        drawn.append(members.gather(1, member[:, None]).squeeze(1))
    return torch.cat(drawn).reshape(batch)


def _draw(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One entry of each row of logits (n, k), with probability proportional to its exponential."""
    top = logits.amax(-1, keepdim=True)
    if not torch.isfinite(top).all():
        row = int((~torch.isfinite(top)).nonzero()[0, 0])
        raise InputError(
            f"nothing can be drawn from logits whose largest total is {float(top[row])} (set {row} of its chunk): "
            "expected numbers, with at least one codeword that no -inf forbids"
        )
    return draw_columns((logits - top).exp(), generator, len(logits))


def draw_columns(weights: Float[Tensor, "rows k"], generator: torch.Generator, n: int) -> Int[Tensor, " n"]:
    """Draw n columns with probability proportional to their weights, by inverting the distribution function.

    Args:
        weights: At least 0, some above; shape (n, k), or (1, k) for n draws from one law.
        generator: Source of randomness, on the device of the weights.
        n: Number of draws.
    """
    sums = weights.double().cumsum(-1)
    total = sums[:, -1:]
    at = torch.rand(n, dtype=torch.float64, device=weights.device, generator=generator).reshape(len(weights), -1)
    at = torch.minimum(at * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(sums, at, right=True).flatten()
