"""The digits head: 24 independent predictions of one of nine values, as in the paper.

The proper sum is log p(k) = Σ_i log softmax(ℓ_i)[v_ki]. Its probabilities over the codewords add up to far less than
one, since nearly all of the 9²⁴ digit strings are no codewords, and that is what its bits a token count. The published
training loss is `published_loss`: the *mean* over the 24 digits, not normalised over the codewords either.
Sampling does normalise, by drawing from the codewords only, each with its share (`lattices/partition/sampling.py`).
"""

__all__ = ["DigitsHead", "published_loss"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear

from workbench.lattices.code import Code
from workbench.lattices.partition.best import MAX_K, best_codewords
from workbench.lattices.partition.logs import LEVELS, digits_of
from workbench.lattices.partition.sampling import sample_codewords
from workbench.lattices.partition.sums import log_score
from workbench.models.heads.head import Head, Sampling, cooled, draw, mixed


def published_loss(
    logits: Float[Tensor, "*batch 24 9"], indices: Int[Tensor, "*batch"], code: Code
) -> Float[Tensor, "*batch"]:
    """Mean cross-entropy of the 24 digits, in nats: the loss of the paper's code, 1/24 of the proper one."""
    return -log_score(logits.log_softmax(-1), indices, code) / 24


class DigitsHead(Head):
    """A linear layer from C features to 24 × 9 logits, a softmax for each digit.

    Args:
        width: C.
        code: The codewords; digits in -4 … 4.
        published: Train with the mean over digits in place of the sum.
    """

    def __init__(self, width: int, code: Code, *, published: bool = False) -> None:
        super().__init__(width, code)
        self.published = published
        self.max_k = MAX_K
        self.weight = nn.Parameter(torch.empty(24 * LEVELS, width))
        self.bias = nn.Parameter(torch.zeros(24 * LEVELS))
        nn.init.trunc_normal_(self.weight, std=0.02 * width**-0.5)

    def log_prob(self, features: Float[Tensor, "*batch C"], indices: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Σ_i log softmax(ℓ_i)[v_ki]: over all codewords these probabilities sum to less than 1."""
        return log_score(self._logits(features).log_softmax(-1), indices, self.code)

    def log_probs(self, features: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch K"]:
        """The same for every codeword."""
        logs = self._logits(features).log_softmax(-1)
        digits = digits_of(self.code, features.device)
        return torch.stack([logs[..., i, :][..., digits[:, i].long()] for i in range(24)]).sum(0)

    def loss(
        self, features: Float[Tensor, "n C"], indices: Int[Tensor, " n"], weights: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """Σ weight · (-log p), or its published form; the terms -log p, without gradient, in either case."""
        nll = -self.log_prob(features, indices)
        return (weights * nll).sum() / (24 if self.published else 1), nll.detach()

    def _draw(
        self, features: Tensor, unconditional: Tensor | None, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        """Normalised over the codewords."""
        none = None if unconditional is None else self._logits(unconditional)
        logits = cooled(mixed(self._logits(features), none, sampling.guidance), sampling.temperature)
        if not sampling.greedy and sampling.top_k is None and sampling.top_p in (None, 1.0):
            return sample_codewords(logits, self.code, generator=generator)
        best = best_codewords(logits, 1 if sampling.greedy else sampling.top_k or MAX_K, self.code)
        pick = draw(best.scores, len(best.scores), generator=generator, greedy=sampling.greedy, top_p=sampling.top_p)
        return best.indices.gather(1, pick[:, None]).squeeze(1)

    def _logits(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return linear(features.float(), self.weight, self.bias).unflatten(-1, (24, LEVELS))
