"""Penalties: pure functions of the point `ẑ` and the codewords that a loss may take on. Λ24-SQ needs none.

    commitment   mean ‖ẑ − stop(q)‖²                                  holds the point near its codeword
    entropy      E[H(p(·|ẑ))] − γ·H(E[p(·|ẑ)]),  p(k|ẑ) ∝ exp(τ·⟨ẑ, v_k⟩ − τ·‖v_k‖²/2)

The first entropy draws every point to one codeword, away from the walls of its cell; the second asks that all codewords
be used alike. Together they act as if the codewords were moved to where the points are even. `τ` is the sharpness, `γ`
the balance. For codewords of signs, `±a` on each axis, the softmax factors into `D` independent bits, and the first
entropy is exact at a cost of `D`; the second is exact only over all 2^D words, and BSQ takes it over groups of `g` bits
as if groups were independent: an upper bound, 2^g terms each.
Entropies are in nats and not divided by τ. Our τ is the `inv_temperature` of BSQ, and our γ its `gamma`.
Source: Zhao et al., arXiv:2406.07548, section 4; Yu et al., arXiv:2310.05737, section 3.
"""

__all__ = ["commitment", "entropy", "entropy_of_bits"]

import itertools

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from workbench.errors import InputError

_PRODUCTS = 1 << 24  # probabilities held at a time


def commitment(point: Float[Tensor, "*batch D"], codes: Float[Tensor, "*batch D"]) -> Float[Tensor, ""]:
    """Mean over rows of the squared distance to the codeword, which is held constant."""
    return (point - codes.detach()).square().sum(-1).mean()


def entropy(
    point: Float[Tensor, "*batch D"], vectors: Float[Tensor, "K D"], *, sharpness: float = 100.0, balance: float = 1.0
) -> Float[Tensor, ""]:
    """`E[H(p)] − γ·H(E[p])` over all K codewords, exact.

    Costs K·D operations a row. Rows go in chunks that are computed again in the backward pass, so that no more than
    2^24 probabilities are held at a time.

    Raises:
        InputError: if the dimensions differ or there is no row.
    """
    rows = point.reshape(-1, point.shape[-1])
    if vectors.shape[-1] != rows.shape[-1] or not len(rows):
        raise InputError(
            f"entropy: points of shape {tuple(point.shape)} and codewords of shape {tuple(vectors.shape)} do not fit"
        )
    vectors = vectors.to(rows.dtype)
    halves = vectors.square().sum(-1) / 2

    def chunk(part: Tensor) -> tuple[Tensor, Tensor]:
        logs = functional.log_softmax(sharpness * (part @ vectors.mT - halves), dim=-1)
        shares = logs.exp()
        return -(shares * logs).sum(), shares.sum(0)

    uncertainty, use = rows.new_zeros(()), rows.new_zeros(len(vectors))
    for part in rows.split(max(1, _PRODUCTS // len(vectors))):
        own, shares = checkpoint(chunk, part, use_reentrant=False) if len(rows) > len(part) else chunk(part)
        uncertainty, use = uncertainty + own, use + shares
    return uncertainty / len(rows) - balance * _entropy(use / len(rows))


def entropy_of_bits(
    point: Float[Tensor, "*batch D"],
    *,
    magnitude: float,
    sharpness: float = 100.0,
    balance: float = 1.0,
    group: int = 9,
) -> Float[Tensor, ""]:
    """The same for codewords `±magnitude` on each axis: rows exact, use of words over groups of `group` bits.

    Args:
        point: The points.
        magnitude: Size of a codeword's entries, `1/√D` for BSQ and 1 for LFQ.
        sharpness: τ.
        balance: γ.
        group: Bits a group, a divisor of D of at most 18; `group = D` is exact.

    Raises:
        InputError: if the group does not divide the dimension or is too large to enumerate.
    """
    dimension = point.shape[-1]
    if not 1 <= group <= 18 or dimension % group:
        raise InputError(f"entropy: groups of {group} bits do not divide {dimension}; give a divisor of at most 18")
    rows = point.reshape(-1, dimension)
    logits = 2 * sharpness * magnitude * rows
    plus, minus = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    uncertainty = -(plus.exp() * plus + minus.exp() * minus).sum(-1).mean()
    words = torch.tensor(list(itertools.product((0.0, 1.0), repeat=group)), dtype=rows.dtype, device=rows.device)
    logs = plus.unflatten(-1, (-1, group)) @ words.mT + minus.unflatten(-1, (-1, group)) @ (1 - words).mT
    use = logs.exp().mean(0)  # shape: (D / group, 2^group)
    return uncertainty - balance * _entropy(use)


def _entropy(shares: Tensor) -> Tensor:
    """−Σ p·log p, zero where p is."""
    return torch.special.entr(shares).sum()
