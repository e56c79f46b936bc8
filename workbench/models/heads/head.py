"""A head: a law on the K codewords for each token, given its features.

Three kinds share this interface: `full.py` (one number a codeword), `digits.py` (24 independent digits, as in the
paper) and `lattice.py` (24 × 9 numbers, normalised exactly over the codewords).

Guidance and temperature act on the natural parameters θ of a head, the outputs of its linear layer: the guided law
has θ = (g·θ(class) + (1 - g)·θ(none)) / τ. Top-k keeps the k most probable codewords, and top-p the shortest list of
the most probable whose share *of what top-k kept* reaches p. Temperature 0 takes the most probable codeword.
Letters: C is the width of the features, K the number of codewords, τ the temperature, g the guidance.
"""

__all__ = [
    "AS_LEARNED",
    "Head",
    "Sampling",
    "cooled",
    "draw",
    "kept_shares",
    "log_frequencies",
    "loss_in_chunks",
    "mixed",
]

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.partition.autograd import Context
from workbench.lattices.partition.sampling import draw_columns
from workbench.quantizers.precision import KeepsType

Loss = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sampling:
    """How a codeword is drawn from a head's law.

    Attributes:
        temperature: τ, at least 0; 0 takes the most probable.
        top_k: Keep this many codewords; None keeps all.
        top_p: Keep the shortest list that reaches this share, in (0, 1]; None keeps all.
        guidance: g; 1 is the law of the features themselves.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    guidance: float = 1.0

    @property
    def greedy(self) -> bool:
        """Whether the most probable codeword is taken, so that top-k and top-p change nothing."""
        return self.temperature == 0

    def check(self, size: int, max_k: int) -> None:
        """Raise InputError for a setting that is out of range for `size` codewords and lists of `max_k` at most."""
        if not self.temperature >= 0:
            raise InputError(
                f"temperature must be at least 0 (0 takes the most probable codeword), got {self.temperature}"
            )
        if self.top_k is not None and not 1 <= self.top_k <= size:
            raise InputError(f"top-k must be from 1 to {size:,}, got {self.top_k}")
        if self.top_k is not None and self.top_k > max_k and not self.greedy:
            raise InputError(
                f"top-k of this head acts on an exact list of at most {max_k:,} codewords, got {self.top_k:,}; leave "
                "it out to keep all"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top-p must be above 0 and at most 1, got {self.top_p}")


AS_LEARNED = Sampling()


class Head(KeepsType, ABC):
    """A law on the codewords of `code`, given features of `width` numbers.

    All methods compute in float32, whatever autocast says and whatever type the generator around it is given.
    """

    def __init__(self, width: int, code: Code) -> None:
        super().__init__()
        self.width = width
        self.code = code
        self.size = code.size
        self.max_k = code.size  # the longest list that top-k can keep

    @abstractmethod
    def log_prob(self, features: Float[Tensor, "*batch C"], indices: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Natural logarithm of the probability of given codewords, differentiable."""

    @abstractmethod
    def log_probs(self, features: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch K"]:
        """The same for all codewords; holds K floats a token, so for small batches only."""

    @torch.no_grad()
    def sample(
        self,
        features: Float[Tensor, "*batch C"],
        *,
        generator: torch.Generator,
        sampling: Sampling = AS_LEARNED,
        unconditional: Float[Tensor, "*batch C"] | None = None,
    ) -> Int[Tensor, "*batch"]:
        """Draw one codeword a token.

        Args:
            features: Shape (..., C).
            generator: Source of randomness, on the device of the features.
            sampling: From which law.
            unconditional: Features without the class, same shape; needed where guidance is not 1.

        Raises:
            InputError: if a setting is out of range for this head.
        """
        sampling.check(self.size, self.max_k)
        if sampling.guidance != 1.0 and unconditional is None:
            raise InputError(f"guidance {sampling.guidance} needs features without the class; pass `unconditional`")
        none = None if unconditional is None else unconditional.float().reshape(-1, self.width)
        drawn = self._draw(features.float().reshape(-1, self.width), none, sampling, generator)
        return drawn.reshape(features.shape[:-1])

    @abstractmethod
    def _draw(
        self,
        features: Float[Tensor, "n C"],
        unconditional: Float[Tensor, "n C"] | None,
        sampling: Sampling,
        generator: torch.Generator,
    ) -> Int[Tensor, " n"]:
        """One codeword a token, by settings that were checked."""

    def loss(
        self, features: Float[Tensor, "n C"], indices: Int[Tensor, " n"], weights: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """The training loss, Σ weight · (-log p), and the single terms -log p in nats, without gradient."""
        nll = -self.log_prob(features, indices)
        return (weights * nll).sum(), nll.detach()


def log_frequencies(counts: Float[Tensor, " K"] | Int[Tensor, " K"], size: int, *, prior: float) -> Float[Tensor, " K"]:
    """log((count + prior) / total): frequencies of `size` codewords, none of them zero.

    Raises:
        InputError: if there are not so many counts, one is negative, or the prior is not above 0.
    """
    if counts.shape != (size,) or prior <= 0 or (counts < 0).any():
        raise InputError(
            f"expected {size} counts, none negative, and a prior above 0; got shape {tuple(counts.shape)} and "
            f"prior {prior}"
        )
    smoothed = counts.double() + prior
    return (smoothed / smoothed.sum()).log()


def mixed(conditional: Tensor, unconditional: Tensor | None, guidance: float) -> Tensor:
    """Natural parameters under guidance, g·θ(class) + (1 - g)·θ(none)."""
    if guidance == 1.0 or unconditional is None:
        return conditional
    return unconditional + guidance * (conditional - unconditional)


def cooled(parameters: Tensor, temperature: float) -> Tensor:
    """Natural parameters at a temperature, θ / τ; τ = 0, which takes the largest, leaves them as they are."""
    return parameters / temperature if temperature > 0 else parameters


def draw(
    logits: Float[Tensor, "rows k"],
    n: int,
    *,
    generator: torch.Generator,
    greedy: bool = False,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Int[Tensor, " n"]:
    """One column for each of n tokens, after top-k and then top-p; ties with the k-th are kept.

    Args:
        logits: Unnormalised, shape (n, k), or (1, k) where all tokens share them.
        n: Number of tokens.
        generator: Source of randomness.
        greedy: Take the largest, the first among equals.
        top_k: At most the number of columns counts.
        top_p: Share of what top-k kept.
    """
    if greedy:
        return logits.argmax(-1).expand(n)
    shares, columns = kept_shares(logits, top_k=top_k, top_p=top_p)
    drawn = draw_columns(shares, generator, n)
    return drawn if columns is None else columns.expand(n, -1).gather(1, drawn[:, None]).squeeze(1)


def kept_shares(
    logits: Float[Tensor, "rows k"], *, top_k: int | None = None, top_p: float | None = None
) -> tuple[Float[Tensor, "rows m"], Int[Tensor, "rows m"] | None]:
    """Probabilities after top-k and then top-p, and the columns they belong to (None: all, in order).

    With top-k only the few columns kept are put in order, which for 196,560 of them is most of the work.
    """
    if top_k is not None and top_k < logits.shape[-1]:
        ordered, columns = logits.topk(top_k, dim=-1)
        least = ordered[:, -1:]
        most = int((logits >= least).sum(-1).max())  # more than k where several equal the k-th
        if most > top_k:
            ordered, columns = logits.topk(most, dim=-1)
            ordered = ordered.masked_fill(ordered < least, -torch.inf)
    elif top_p is not None and top_p < 1:
        ordered, columns = logits.sort(dim=-1, descending=True, stable=True)
    else:
        return logits.softmax(-1), None
    if top_p is not None and top_p < 1:
        shares = ordered.softmax(-1)
        ordered = ordered.masked_fill(shares.cumsum(-1) - shares >= top_p, -torch.inf)
    return ordered.softmax(-1), columns


def loss_in_chunks(
    loss: Loss,
    features: Float[Tensor, "n C"],
    indices: Int[Tensor, " n"],
    weights: Float[Tensor, " n"],
    parameters: list[nn.Parameter],
    chunk: int,
) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
    """Evaluate `loss` on `chunk` tokens at a time, and its gradients at once, so that one chunk is held in memory.

    Args:
        loss: From features, indices and weights to a scalar and the terms; a sum over tokens.
        features: Shape (n, C).
        indices: Shape (n,).
        weights: Shape (n,).
        parameters: All that `loss` depends on besides the features.
        chunk: Tokens at a time.
    """
    if not torch.is_grad_enabled() or len(features) <= chunk:
        parts = [
            loss(*part) for part in zip(features.split(chunk), indices.split(chunk), weights.split(chunk), strict=True)
        ]
        return torch.stack([total for total, _ in parts]).sum(), torch.cat([terms.detach() for _, terms in parts])
    return _InForward.apply(loss, chunk, indices, weights, features, *parameters)


class _Context(Context):
    trained: list[bool]


class _InForward(torch.autograd.Function):
    """A sum over tokens, with gradients taken chunk by chunk in the forward pass."""

    @staticmethod
    def forward(
        ctx: _Context,
        loss: Loss,
        chunk: int,
        indices: Tensor,
        weights: Tensor,
        features: Tensor,
        *parameters: nn.Parameter,
    ) -> tuple[Tensor, Tensor]:
        total, terms = features.new_zeros(()), []
        grad_features = torch.empty_like(features)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        grads = [torch.zeros_like(parameter) for parameter in trained]
        for start in range(0, len(features), chunk):
            part = slice(start, start + chunk)
            with torch.enable_grad():
                leaf = features[part].detach().requires_grad_()
                value, nll = loss(leaf, indices[part], weights[part])
            found = torch.autograd.grad(value, (leaf, *trained), allow_unused=True)
            grad_features[part] = found[0]
            for grad, new in zip(grads, found[1:], strict=True):
                if new is not None:
                    grad += new
            total += value.detach()
            terms.append(nll.detach())
        ctx.save_for_backward(grad_features, *grads)
        ctx.trained = [parameter.requires_grad for parameter in parameters]
        nll = torch.cat(terms)
        ctx.mark_non_differentiable(nll)
        return total, nll

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _Context, outer: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        grad_features, *grads = ctx.saved_tensors
        found = iter(grads)
        return (
            *(None,) * 4,
            outer * grad_features,
            *(outer * next(found) if trained else None for trained in ctx.trained),
        )
