"""Codebook use: which words a model draws, how evenly, and what even use would look like at that many tokens.

`K` words, `N` tokens, `c_k` the count of word k and `p_k = c_k / N`:

    words       number of k with c_k > 0, and share = words / K
    entropy     H = -Σ p_k log2 p_k, in bits a token; perplexity 2^H: as varied as even use of so many words
    Gini        0 for even use of all K words, 1 - 1/K for the use of a single one

Few tokens cannot show many words: N tokens drawn evenly show K (1 - (1 - 1/K)^N) words on average, and their entropy is
less than log2 K too. Both expectations stand beside what was found, so that a small sample is not taken for collapse.
"""

__all__ = [
    "ClassUse",
    "Usage",
    "UsageCounter",
    "expected_entropy",
    "expected_ranks",
    "expected_words",
]

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from torch import Tensor

from workbench.errors import InputError


@dataclass(frozen=True)
class Usage:
    """How a codebook was used.

    Attributes:
        size: Words in the codebook, K.
        tokens: Tokens counted, N.
        words: Words seen.
        share: `words / size`.
        entropy_bits: Entropy of the counts, bits a token.
        perplexity: `2 ** entropy_bits`.
        gini: Inequality of the counts over all K words, from 0 to 1.
        expected_words: Words that N tokens drawn evenly would show, on average.
        expected_entropy_bits: Entropy of the counts that N tokens drawn evenly would show, on average.
        expected_perplexity: `2 ** expected_entropy_bits`.
    """

    size: int
    tokens: int
    words: int
    share: float
    entropy_bits: float
    perplexity: float
    gini: float
    expected_words: float
    expected_entropy_bits: float
    expected_perplexity: float

    def row(self) -> dict[str, float | int]:
        """The figures by name, as JSON takes them."""
        return asdict(self)


@dataclass(frozen=True)
class ClassUse:
    """Use of one class of words, such as a shape of the lattice.

    Attributes:
        label: The class.
        size: Words in it.
        words: Words of it that were seen.
        tokens: Tokens that fell on it.
        share_of_code: `size / K`.
        share_of_tokens: `tokens / N`, 0 where nothing was counted.
    """

    label: int
    size: int
    words: int
    tokens: int
    share_of_code: float
    share_of_tokens: float


class UsageCounter:
    """Counts of words, taken as tokens stream by.

    Args:
        size: Words in the codebook, K.

    Attributes:
        counts: int64, shape (K,).
        growth: `(tokens, words)` after each update: how the number of words seen grows.

    Raises:
        InputError: if the size is less than 1.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise InputError(f"a codebook has at least 1 word, got size {size}")
        self.size = size
        self.counts = np.zeros(size, np.int64)
        self.tokens = self.words = 0
        self.growth: list[tuple[int, int]] = []

    def update(self, indices: Tensor | np.ndarray) -> None:
        """Count tokens.

        Args:
            indices: Integers in [0, K), any shape.

        Raises:
            InputError: if they are no integers, or one is out of range; then nothing is counted.
        """
        flat = (indices.detach().cpu().numpy() if isinstance(indices, Tensor) else np.asarray(indices)).reshape(-1)
        if not flat.size:
            return
        if flat.dtype.kind not in "iu":
            raise InputError(f"expected integer indices, got {flat.dtype}")
        low, high = int(flat.min()), int(flat.max())
        if low < 0 or high >= self.size:
            raise InputError(f"index {low if low < 0 else high} is outside a codebook of {self.size} words")
        flat = flat.astype(np.int64, copy=False)
        # Sorting a few tokens is cheaper than a pass over a large codebook, and the other way round.
        if 4 * flat.size < self.size:
            seen, times = np.unique(flat, return_counts=True)
        else:
            times = np.bincount(flat, minlength=self.size)
            seen = np.flatnonzero(times)
            times = times[seen]
        self.words += int((self.counts[seen] == 0).sum())
        self.counts[seen] += times
        self.tokens += flat.size
        self.growth.append((self.tokens, self.words))

    def merge(self, other: Self) -> None:
        """Add the counts of another counter, as if its tokens had been counted here.

        Raises:
            InputError: if it counts another codebook's words.
        """
        if other.size != self.size:
            raise InputError(f"cannot merge counts of {other.size} words into counts of {self.size}")
        self.counts += other.counts
        self.tokens += other.tokens
        self.words = int(np.count_nonzero(self.counts))
        if other.tokens:
            self.growth.append((self.tokens, self.words))

    def summary(self) -> Usage:
        """The figures so far. With nothing counted, entropy and Gini are 0 and the perplexity is 1."""
        entropy = _entropy(self.counts)
        expected = expected_entropy(self.size, self.tokens)
        return Usage(
            size=self.size,
            tokens=self.tokens,
            words=self.words,
            share=self.words / self.size,
            entropy_bits=entropy,
            perplexity=2.0**entropy,
            gini=_gini(self.counts),
            expected_words=expected_words(self.size, self.tokens),
            expected_entropy_bits=expected,
            expected_perplexity=2.0**expected,
        )

    def ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """Words seen, most frequent first, ties by index; and their counts. Both int64, shape (words,)."""
        seen = np.flatnonzero(self.counts)
        order = np.argsort(-self.counts[seen], kind="stable")
        return seen[order], self.counts[seen[order]]

    def rank_frequency(self, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
        """The rank–frequency curve at ranks spread evenly on a log axis.

        Args:
            points: Most ranks to give.

        Returns:
            Ranks from 1 up, int64; and the count of the word at each rank, int64.
        """
        _, counts = self.ranked()
        if not counts.size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        ranks = np.unique(np.geomspace(1, counts.size, min(points, counts.size)).round().astype(np.int64))
        return ranks, counts[ranks - 1]

    def by_class(self, labels: Sequence[int] | np.ndarray) -> list[ClassUse]:
        """Split the use by a class of each word.

        Args:
            labels: Class of each word, integers, shape (K,).

        Raises:
            InputError: if there is not one class a word.
        """
        labels = np.asarray(labels)
        if labels.shape != (self.size,):
            raise InputError(f"expected a class for each of {self.size} words, got shape {labels.shape}")
        uses = []
        for label in np.unique(labels):
            counts = self.counts[labels == label]
            tokens = int(counts.sum())
            uses.append(
                ClassUse(
                    label=int(label),
                    size=counts.size,
                    words=int(np.count_nonzero(counts)),
                    tokens=tokens,
                    share_of_code=counts.size / self.size,
                    share_of_tokens=tokens / self.tokens if self.tokens else 0.0,
                )
            )
        return uses


def expected_words(size: int, tokens: int) -> float:
    """Words that `tokens` draws, even over `size` words, show on average: K (1 - (1 - 1/K)^N).

    Example:
        >>> round(expected_words(196_560, 196_560))
        124250
    """
    if size == 1:
        return float(tokens > 0)
    return float(-size * np.expm1(tokens * np.log1p(-1 / size)))


def expected_entropy(size: int, tokens: int) -> float:
    """Entropy in bits of the counts that `tokens` draws, even over `size` words, show on average.

    It is log2 N - K/N · E[c log2 c] with c binomial(N, 1/K), summed exactly.
    """
    if size == 1 or tokens <= 1:
        return 0.0
    first, probability = _binomial(size, tokens)
    counts = np.arange(first, first + probability.size, dtype=np.float64)
    return float(np.log2(tokens) - size / tokens * (probability * counts * np.log2(np.maximum(counts, 1))).sum())


def expected_ranks(size: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """The rank–frequency curve of even use.

    Returns:
        Expected number of words with at least c tokens, float64; and c, int64, most frequent first.
    """
    if not tokens:
        return np.zeros(0), np.zeros(0, np.int64)
    first, probability = _binomial(size, tokens)
    counts = np.arange(first, first + probability.size)
    ranks = size * np.cumsum(probability[::-1])
    kept = (ranks >= 0.5) & (counts[::-1] > 0)
    return ranks[kept], counts[::-1][kept]


def _binomial(size: int, tokens: int) -> tuple[int, np.ndarray]:
    """The counts that a word can reasonably have under even use: the least one, and the probability of it and on."""
    if size == 1:
        return tokens, np.ones(1)
    mean = tokens / size
    reach = 12 * np.sqrt(mean) + 40
    first, last = max(int(mean - reach), 0), min(int(mean + reach), tokens)
    counts = np.arange(first, last, dtype=np.float64)
    # P(c + 1) / P(c) = (N - c) / (c + 1) / (K - 1); from the anchor P(0), or normalised where that is out of reach.
    steps = np.log((tokens - counts) / (counts + 1)) - np.log(size - 1)
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    if first == 0:
        return 0, np.exp(logs + tokens * np.log1p(-1 / size))
    probability = np.exp(logs - logs.max())
    return first, probability / probability.sum()


def _entropy(counts: np.ndarray) -> float:
    """Entropy in bits of counts."""
    counts = counts[counts > 0].astype(np.float64)
    if counts.size < 2:
        return 0.0
    share = counts / counts.sum()
    return float(-(share * np.log2(share)).sum())


def _gini(counts: np.ndarray) -> float:
    """Gini coefficient of counts; 0 where all are 0."""
    total = int(counts.sum())
    if not total:
        return 0.0
    ranks = np.arange(1, counts.size + 1, dtype=np.float64)
    ranked = np.sort(counts).astype(np.float64)
    return float(max(2 * (ranks * ranked).sum() / (counts.size * total) - (counts.size + 1) / counts.size, 0.0))
