"""The lattice head: 24 × 9 logits, normalised exactly over the codewords of the Leech shell.

p(k) = Σ_m π_m p_m(k), with p_m(k) = exp(Σ_i ℓ_m[i, v_ki] + u[group of k]) / Z_m: M components m with logits ℓ_m and
weight π_m, all linear in the features. Z_m, the sum over the 196,560 codewords and no others, comes from the
structure of the code (`lattices/partition/sums.py`). Two options keep it exact: *word logits* u, one number for each
octad and each Golay word, shared by the components; and a *table*, fixed frequencies of the codewords in the training
tokens, as one more component. The table has at most half of the weight: at first it knows more than the others, and
with all of the weight it would leave them nothing to learn from.

Guidance and temperature act on ℓ_m, u and the log weights alike, and on the table as a power. The component is drawn
first; top-k and top-p then act within it, on its exact list of the k best codewords, k ≤ 256.
"""

__all__ = ["LatticeHead"]

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import linear, logsigmoid, pad

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.golay.code import NUM_PAIRS
from workbench.lattices.partition.best import MAX_K, best_codewords
from workbench.lattices.partition.bricks import shapes_of
from workbench.lattices.partition.logs import LEVELS, NUM_WORD_LOGITS, digits_of, groups_of
from workbench.lattices.partition.sampling import sample_codewords
from workbench.lattices.partition.sums import log_partition, log_score
from workbench.models.heads.head import Head, Sampling, cooled, draw, log_frequencies, loss_in_chunks, mixed

_BYTES = 4 * 2**20  # outputs of the linear layer held at a time in training
_DIGITS = 24 * LEVELS
MAX_COMPONENTS = 16


class LatticeHead(Head):
    """A mixture of laws p(k) ∝ exp Σ_i ℓ[i, v_ki] over the codewords only.

    Args:
        width: C.
        code: `leech` or `leech-published`.
        components: M, 1 to 16.
        word_logits: Whether octads and Golay words have logits of their own.
        table: Whether fixed frequencies are one more component; set them with `set_frequencies`.
        chunk: Tokens at a time in training; by default what 4 MiB of outputs hold.

    Raises:
        InputError: if the number of components is out of range or the code is no full Leech shell.
    """

    log_frequencies: Tensor

    def __init__(
        self,
        width: int,
        code: Code,
        *,
        components: int = 1,
        word_logits: bool = False,
        table: bool = False,
        chunk: int | None = None,
    ) -> None:
        super().__init__(width, code)
        if not 1 <= components <= MAX_COMPONENTS:
            raise InputError(f"a lattice head has 1 to {MAX_COMPONENTS} components, got {components}")
        shapes_of(code)  # refuses any other code
        self.components, self.table = components, table
        self.max_k = MAX_K
        self.num_weights = 0 if components + table == 1 else components + table
        self.num_words = NUM_WORD_LOGITS if word_logits else 0
        outputs = components * _DIGITS + self.num_weights + self.num_words
        self.chunk = chunk or max(16, _BYTES // (4 * outputs))
        self.weight = nn.Parameter(torch.zeros(outputs, width))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.trunc_normal_(self.weight[: components * _DIGITS], std=0.02 * width**-0.5)
        if components > 1:  # so that they are not all alike
            nn.init.trunc_normal_(self.bias[: components * _DIGITS], std=0.5)
        if table:
            self.register_buffer("log_frequencies", torch.full((code.size,), 1 / code.size).log())
            self.register_load_state_dict_post_hook(_normalise)

    def set_frequencies(self, counts: Float[Tensor, " K"] | Int[Tensor, " K"], *, prior: float = 0.05) -> None:
        """Set the table to (count + prior) / total.

        Raises:
            InputError: if the head has no table, or the counts do not fit the code.
        """
        if not self.table:
            raise InputError("this head has no table of frequencies; build it with table=True")
        self.log_frequencies.copy_(log_frequencies(counts, self.size, prior=prior))

    def log_prob(self, features: Float[Tensor, "*batch C"], indices: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Natural logarithm of the probability of given codewords."""
        logits, log_weights, words = self._parts(self._outputs(features))
        per_component = indices[..., None].expand(*indices.shape, self.components)
        scores = log_score(logits, per_component, self.code, word_logits=words)
        logs = scores - log_partition(logits, self.code, word_logits=words)
        if self.table:
            logs = torch.cat([logs, self.log_frequencies[indices][..., None]], -1)
        return logs.squeeze(-1) if log_weights is None else (self._shares(log_weights) + logs).logsumexp(-1)

    def log_probs(self, features: Float[Tensor, "*batch C"]) -> Float[Tensor, "*batch K"]:
        """Natural logarithm of the probability of every codeword."""
        logits, log_weights, words = self._parts(self._outputs(features))
        digits = digits_of(self.code, features.device)
        scores = sum(logits[..., i, :][..., digits[:, i].long()] for i in range(24))
        if words is not None:
            padded = pad(words, (0, NUM_PAIRS))
            scores = scores + padded[..., groups_of(self.code, features.device)]
        logs = scores - log_partition(logits, self.code, word_logits=words)[..., None]
        if self.table:
            logs = torch.cat([logs, self.log_frequencies.expand(*logs.shape[:-2], 1, -1)], -2)
        return logs.squeeze(-2) if log_weights is None else (self._shares(log_weights)[..., None] + logs).logsumexp(-2)

    def loss(
        self, features: Float[Tensor, "n C"], indices: Int[Tensor, " n"], weights: Float[Tensor, " n"]
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " n"]]:
        """Σ weight · (-log p), a chunk of tokens at a time, and the terms -log p without gradient."""
        return loss_in_chunks(super().loss, features, indices, weights.float(), [self.weight, self.bias], self.chunk)

    def _draw(
        self, features: Tensor, unconditional: Tensor | None, sampling: Sampling, generator: torch.Generator
    ) -> Tensor:
        """The component first, then within it."""
        greedy, top_k, top_p = sampling.greedy, sampling.top_k, sampling.top_p
        none = None if unconditional is None else self._outputs(unconditional)
        outputs = cooled(mixed(self._outputs(features), none, sampling.guidance), sampling.temperature)
        logits, log_weights, words = self._parts(outputs)
        component = torch.zeros(len(outputs), dtype=torch.int64, device=outputs.device)
        if log_weights is not None:
            component = draw(self._shares(log_weights), len(outputs), generator=generator, greedy=greedy)
        drawn = torch.empty_like(component)
        inside = component < self.components
        if inside.any():
            rows = inside.nonzero().squeeze(1)
            chosen = logits[rows, component[rows]]
            some = None if words is None else words[rows, 0]
            if greedy or top_k is not None or (top_p is not None and top_p < 1):
                best = best_codewords(chosen, 1 if greedy else top_k or MAX_K, self.code, word_logits=some)
                pick = draw(best.scores, len(rows), generator=generator, greedy=greedy, top_p=top_p)
                drawn[rows] = best.indices.gather(1, pick[:, None]).squeeze(1)
            else:
                drawn[rows] = sample_codewords(chosen, self.code, generator=generator, word_logits=some)
        if not inside.all():
            rows = (~inside).nonzero().squeeze(1)
            table = cooled(self.log_frequencies, sampling.temperature)[None]
            drawn[rows] = draw(table, len(rows), generator=generator, greedy=greedy, top_k=top_k, top_p=top_p)
        return drawn

    def _shares(self, log_weights: Tensor) -> Tensor:
        """Log of the components' weights, which sum to one, the table's last and at most a half."""
        if not self.table:
            return log_weights.log_softmax(-1)
        own, table = log_weights.split([self.components, 1], dim=-1)
        half = table.sigmoid() / 2
        return torch.cat([own.log_softmax(-1) + (-half).log1p(), logsigmoid(table) - math.log(2)], dim=-1)

    def _outputs(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return linear(features.float(), self.weight, self.bias)

    def _parts(self, outputs: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Logits (..., M, 24, 9), log weights (..., M + table) and word logits (..., 1, 4855) from (..., outputs)."""
        logits, log_weights, words = outputs.split(
            [self.components * _DIGITS, self.num_weights, self.num_words], dim=-1
        )
        return (
            logits.unflatten(-1, (self.components, 24, LEVELS)),
            log_weights if self.num_weights else None,
            words.unsqueeze(-2) if self.num_words else None,
        )


def _normalise(head: LatticeHead, _: object) -> None:
    """Bring the table's sum back to one where 16-bit storage has taken it off."""
    total = head.log_frequencies.double().logsumexp(0)
    if abs(float(total)) > 1e-5:
        head.log_frequencies -= total.float()
