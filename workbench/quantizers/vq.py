"""Learned vector quantization: a codebook that follows the data by running means.

Each codeword is the mean of the points that chose it: `v_k ← m_k / n_k`, where `n_k` and `m_k` are running counts and
sums with decay `λ`, counts smoothed so that a word of few points does not explode. Only `v_k` and `n_k` are kept: they
give `m_k`. The book begins with points of the
first batch, with or without rounds of k-means. A word whose count falls below a share of the even one is dead, and is
put on a random point of the batch. The book is a buffer that is saved with the weights and has no gradient.
Randomness hangs on a seed and on the number of updates alone, so that a resumed run goes on exactly.
Source: van den Oord et al., arXiv:1711.00937, appendix A; Razavi et al., arXiv:1906.00446; Dhariwal et al.,
arXiv:2005.00341 (revival).
"""

__all__ = ["VectorQuantizer"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, distributed

from workbench.errors import InputError
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty, Quantizer

_PRODUCTS = 1 << 24
_ROUNDING = 2.0**-19


class VectorQuantizer(Quantizer):
    """A codebook of `size` learned vectors.

    Attributes:
        codebook: float32, shape (K, D).
        decay: λ of the running means, in [0, 1).
        rounds: Rounds of k-means on the first batch.
        revive_below: A word is dead below this share of the even count; 0 never revives.
        seed: Of the choice of points.

    Raises:
        InputError: if a setting is out of range.
    """

    codebook: Tensor
    counts: Tensor
    updates: Tensor

    def __init__(
        self,
        dimension: int = 24,
        size: int = 4096,
        *,
        decay: float = 0.99,
        rounds: int = 0,
        revive_below: float = 0.03,
        seed: int = 0,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__(name="vq", dimension=dimension, size=size, estimator=estimator, penalty=penalty, scale=scale)
        if not 0 <= decay < 1 or rounds < 0 or not 0 <= revive_below < 1:
            raise InputError(
                "vq: expected decay in [0, 1), rounds ≥ 0 and revive_below in [0, 1), "
                f"got {decay}, {rounds} and {revive_below}"
            )
        self.decay, self.rounds, self.revive_below, self.seed = decay, rounds, revive_below, seed
        self.register_buffer("codebook", torch.zeros(size, dimension))
        self.register_buffer("counts", torch.zeros(size))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def ready(self) -> bool:
        """Whether the book has begun."""
        return bool(self.updates)

    def search(self, point: Tensor) -> Tensor:
        """The nearest word."""
        self._check_finite(point)
        rows = point.flatten(0, -2) if point.ndim > 1 else point.unsqueeze(0)
        return _nearest(rows, self.codebook.float()).view(point.shape[:-1])

    def ranked(self, point: Tensor, k: int) -> Tensor:
        """The k nearest words."""
        words, k = self.codebook.float(), min(k, self.size)
        rows = point.flatten(0, -2).to(words.dtype)
        halves = words.square().sum(1) / 2
        parts = [
            (part @ words.mT - halves).topk(k, dim=1).indices for part in rows.split(max(1, _PRODUCTS // self.size))
        ]
        return torch.cat(parts).view(*point.shape[:-1], k)

    def lookup(self, indices: Tensor) -> Tensor:
        """The words as they stand."""
        return self.codebook[indices].float()

    @torch.no_grad()
    def prepare(self, z: Tensor) -> None:
        """Begin with points of the batch, and move to the means of their cells for some rounds."""
        rows = z.flatten(0, -2).float()
        self.codebook.copy_(self._sample(rows, self.size))
        for _ in range(self.rounds):
            counts, sums = self._tally(rows, _nearest(rows, self.codebook))
            self.codebook.copy_(torch.where(counts[:, None] > 0, sums / counts[:, None].clamp_min(1), self.codebook))
        self.counts.fill_(len(rows) / self.size)
        self.updates.fill_(1)

    @torch.no_grad()
    def observe(self, point: Tensor, indices: Tensor) -> None:
        """Move the words towards the means of their points, and put dead words on points of the batch."""
        rows = point.flatten(0, -2).float()
        counts, sums = self._tally(rows, indices.flatten())
        sums = (self.codebook * self._smooth_counts()[:, None]).lerp(sums, 1 - self.decay)
        self.counts.lerp_(counts, 1 - self.decay)
        self.codebook.copy_(sums / self._smooth_counts()[:, None])
        total = self.counts.sum()
        dead = self.counts < self.revive_below * total / self.size
        if dead.any():
            self.codebook[dead] = self._sample(rows, int(dead.sum()))
            self.counts[dead] = total / self.size
        self.updates += 1

    def _smooth_counts(self) -> Tensor:
        """Running counts, none of them 0, of the same total."""
        total = self.counts.sum()
        return (self.counts + 1e-5) / (total + self.size * 1e-5) * total

    def _tally(self, rows: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Counts and sums of the points of each word, over all processes."""
        counts = torch.bincount(indices, minlength=self.size).to(rows.dtype)
        sums = torch.zeros_like(self.codebook).index_add_(0, indices, rows)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(counts)
            distributed.all_reduce(sums)
        return counts, sums

    def _sample(self, rows: Tensor, count: int) -> Tensor:
        """Random rows, distinct as long as there are enough; the first process's choice holds for all."""
        generator = torch.Generator().manual_seed(self.seed + 1_000_003 * int(self.updates))
        order = torch.randperm(len(rows), generator=generator)
        while len(order) < count:
            order = torch.cat([order, torch.randperm(len(rows), generator=generator)])
        chosen = rows[order[:count].to(rows.device)].clone()
        if distributed.is_available() and distributed.is_initialized():
            distributed.broadcast(chosen, 0)
        return chosen


def _nearest(x: Float[Tensor, "n D"], words: Float[Tensor, "K D"]) -> Int[Tensor, " n"]:
    """Index of the nearest word, least distance; of equals the lowest. Close calls in float64."""
    halves = words.square().sum(1) / 2
    reach = words.norm(dim=1).amax()
    found = []
    for rows in x.split(max(1, _PRODUCTS // len(words))):
        scores = rows.to(words.dtype) @ words.mT - halves
        two, place = scores.topk(min(2, len(words)), dim=1)
        best = place[:, 0]
        bound = _ROUNDING * reach * (rows.norm(dim=1) + reach)
        close = ((two[:, 0] - two[:, -1]) <= bound).nonzero().squeeze(1) if len(words) > 1 else best[:0]
        for part in close.split(max(1, (_PRODUCTS // 8) // len(words))):
            wide = words.double()
            exact = rows[part].double() @ wide.mT - wide.square().sum(1) / 2
            order = torch.arange(len(words), device=x.device)
            best[part] = torch.where(exact == exact.amax(1, keepdim=True), order, len(words)).amin(1)
        found.append(best)
    return torch.cat(found) if found else torch.empty(0, dtype=torch.int64, device=x.device)
