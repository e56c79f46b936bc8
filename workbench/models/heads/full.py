"""The full head: one logit a codeword, as the paper's main results use.

Neither the loss nor its gradient ever holds all n × K logits: a chunk of tokens at a time, the logits of the chunk
become its probabilities and then its gradient in one buffer, in the forward pass.
The z-loss ξ·(log Z)², Z the sum of exp(logit), keeps the logits from drifting; the paper has ξ = 1e-4.
"""

__all__ = ["FullHead"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, log_softmax
from torch.utils.checkpoint import checkpoint

from workbench.lattices.code import Code
from workbench.lattices.partition.autograd import Context
from workbench.models.heads.head import Head, Sampling, cooled, draw, log_frequencies, mixed

_BYTES = 100 * 2**20  # logits held at a time


class FullHead(Head):
    """A linear layer from C features to K logits.

    Args:
        width: C.
        code: The codewords.
        z_loss: ξ, at least 0.
        table: Whether the bias begins at the log frequencies of the training tokens; give them by `set_frequencies`.
            Without them a head learns for a long while which codewords are used at all.
        chunk: Tokens at a time; by default what 100 MiB of logits hold.
    """

    def __init__(
        self, width: int, code: Code, *, z_loss: float = 1e-4, table: bool = False, chunk: int | None = None
    ) -> None:
        super().__init__(width, code)
        self.z_loss, self.table = z_loss, table
        self.chunk = chunk or max(1, _BYTES // (4 * self.size))
        self.weight = nn.Parameter(torch.empty(self.size, width))
        self.bias = nn.Parameter(torch.zeros(self.size))
        nn.init.trunc_normal_(self.weight, std=0.02 * width**-0.5)

    @torch.no_grad()
    def set_frequencies(self, counts: Float[Tensor, " K"] | Int[Tensor, " K"], *, prior: float = 0.05) -> None:
        """Begin with the bias log((count + prior) / total).

        Raises:
            InputError: if the counts do not fit the code.
        """
        self.bias.copy_(log_frequencies(counts, self.size, prior=prior))

    def log_prob(self, features: Float[Tensor, "*batch C"], indices: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Natural logarithm of the probability of given codewords; logits are computed again in the backward pass."""
        with torch.autocast(features.device.type, enabled=False):
            flat, targets = features.float().reshape(-1, self.width), indices.reshape(-1, 1)
            parts = [
                checkpoint(self._picked, part, target, use_reentrant=False)
                for part, target in zip(flat.split(self.chunk), targets.split(self.chunk), strict=True)
            ]
        return torch.cat(parts).reshape(indices.shape)

    def _picked(self, features: Tensor, targets: Tensor) -> Tensor:
        return log_softmax(linear(features, self.weight, self.bias), -1).gather(-1, targets).squeeze(-1)

    def log_probs(self, features: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch K"]:
        """Natural logarithm of the probability of every codeword."""
        with torch.autocast(features.device.type, enabled=False):
            return log_softmax(linear(features.float(), self.weight, self.bias), -1)

    def loss(
        self, features: Float[Tensor, "n C"], indices: Int[Tensor, " n"], weights: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """Σ weight · (-log p + ξ (log Z)²), and the terms -log p without gradient."""
        with torch.autocast(features.device.type, enabled=False):
            return _ChunkedLoss.apply(
                features.float(), self.weight, self.bias, indices, weights.float(), self.z_loss, self.chunk
            )

    def _draw(
        self, features: Tensor, unconditional: Tensor | None, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        features = mixed(
            features, unconditional, sampling.guidance
        )  # the logits are linear: mixing features mixes them
        drawn = []
        with torch.autocast(features.device.type, enabled=False):
            for part in features.split(self.chunk):
                logits = cooled(linear(part, self.weight, self.bias), sampling.temperature)
                settings = {"greedy": sampling.greedy, "top_k": sampling.top_k, "top_p": sampling.top_p}
                drawn.append(draw(logits, len(part), generator=generator, **settings))
        return torch.cat(drawn)


class _ChunkedLoss(torch.autograd.Function):
    """Cross-entropy with z-loss, and its gradients, a chunk of tokens at a time in the forward pass."""

    @staticmethod
    def forward(
        ctx: Context,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        indices: Tensor,
        weights: Tensor,
        z_loss: float,
        chunk: int,
    ) -> tuple[Tensor, Tensor]:
        wanted = any(ctx.needs_input_grad[:3])
        total, terms = features.new_zeros(()), []
        grad_features = grad_weight = grad_bias = features.new_empty(0)
        if wanted:
            grad_features, grad_weight, grad_bias = map(torch.zeros_like, (features, weight, bias))
        for start in range(0, len(features), chunk):
            part = slice(start, start + chunk)
            logits = torch.addmm(bias, features[part], weight.mT)
            picked = logits.gather(1, indices[part, None]).squeeze(1)
            top = logits.amax(-1)
            logits.sub_(top[:, None]).exp_()
            sums = logits.sum(-1)
            log_z = top + sums.log()
            nll = log_z - picked
            total += (weights[part] * (nll + z_loss * log_z.square())).sum()
            terms.append(nll)
            if wanted:
                logits.mul_((weights[part] * (1 + 2 * z_loss * log_z) / sums)[:, None])
                logits.scatter_add_(1, indices[part, None], -weights[part, None])
                torch.mm(logits, weight, out=grad_features[part])
                grad_weight.addmm_(logits.mT, features[part])
                grad_bias += logits.sum(0)
        if wanted:
            ctx.save_for_backward(grad_features, grad_weight, grad_bias)
        nll = torch.cat(terms) if terms else features.new_empty(0)
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Context, outer: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grads = ctx.saved_tensors
        if outer != 1:
            grads = tuple(outer * grad for grad in grads)
        return (*grads, None, None, None, None)
