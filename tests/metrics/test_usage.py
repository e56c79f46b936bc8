"""Counts stream and merge without loss, and the figures equal closed forms and simulation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.metrics.usage import (
    UsageCounter,
    expected_entropy,
    expected_ranks,
    expected_words,
)

RNG = np.random.default_rng(0)


def counted(size, *batches):
    counter = UsageCounter(size)
    for batch in batches:
        counter.update(batch)
    return counter


class TestCounting:
    @given(st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=5), st.sampled_from([10, 11, 1000]))
    def test_batches_count_as_their_sum(self, batches, size):
        counter = counted(size, *(np.array(batch, dtype=np.int64) for batch in batches))
        joined = [index for batch in batches for index in batch]
        assert (counter.counts == np.bincount(np.array(joined, dtype=int), minlength=size)).all()
        assert counter.tokens == len(joined)
        assert counter.words == len(set(joined)) == counter.summary().words
        assert counter.growth == sorted(counter.growth)

    @pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.int16])
    def test_grids_of_any_integer_kind_count(self, kind):
        grid = torch.randint(0, 7, (2, 3, 4), generator=torch.Generator().manual_seed(0))
        assert (counted(7, grid.to(kind)).counts == counted(7, grid.numpy()).counts).all()

    def test_many_and_few_tokens_count_alike(self):
        tokens = RNG.integers(0, 5000, 4000)
        few = counted(5000, *np.split(tokens, 40))  # each batch far smaller than the codebook
        assert (few.counts == counted(5000, tokens).counts).all()
        assert few.words == counted(5000, tokens).words

    def test_merging_equals_counting_together(self):
        one, two = RNG.integers(0, 50, 300), RNG.integers(20, 60, 200)
        left, right = counted(60, one), counted(60, two)
        left.merge(right)
        together = counted(60, one, two)
        assert (left.counts == together.counts).all()
        assert left.summary() == together.summary()
        assert left.growth == together.growth
        with pytest.raises(InputError, match="59 words into counts of 60"):
            left.merge(UsageCounter(59))

    def test_counts_outgrow_32_bits(self):
        counter = counted(2, np.zeros(3, np.int64))
        counter.counts[0] = 2**40
        other = counted(2, np.zeros(1, np.int64))
        other.merge(counter)
        assert other.counts[0] == 2**40 + 1

    @pytest.mark.parametrize(
        ("bad", "words"),
        [
            ([0, 5], "index 5 is outside a codebook of 5"),
            ([-1, 0], "index -1"),
            ([0.0, 1.0], "integer"),
            ([True], "integer"),
        ],
    )
    def test_wrong_indices_are_refused_and_not_counted(self, bad, words):
        counter = counted(5, np.array([1, 2]))
        with pytest.raises(InputError, match=words):
            counter.update(np.array(bad))
        assert counter.tokens == counter.counts.sum() == 2
        with pytest.raises(InputError, match="at least 1 word"):
            UsageCounter(0)


class TestFigures:
    def test_even_use(self):
        summary = counted(64, np.arange(64).repeat(5)).summary()
        assert summary.entropy_bits == pytest.approx(6)
        assert summary.perplexity == pytest.approx(64)
        assert summary.gini == pytest.approx(0, abs=1e-12)
        assert summary.share == 1

    def test_a_single_word(self):
        summary = counted(64, np.full(10, 3)).summary()
        assert (summary.words, summary.entropy_bits, summary.perplexity) == (1, 0, 1)
        assert summary.gini == pytest.approx(1 - 1 / 64)

    def test_a_known_mixture(self):
        summary = counted(4, np.array([0] * 4 + [1] * 2 + [2] + [3])).summary()
        assert summary.entropy_bits == pytest.approx(1.75)
        # Half the mean absolute difference of counts over twice their mean, pair by pair.
        counts = np.array([4, 2, 1, 1])
        assert summary.gini == pytest.approx(np.abs(counts[:, None] - counts).mean() / (2 * counts.mean()))

    def test_nothing_counted_is_defined(self):
        summary = UsageCounter(5).summary()
        assert summary.row() == {
            "size": 5,
            "tokens": 0,
            "words": 0,
            "share": 0,
            "entropy_bits": 0,
            "perplexity": 1,
            "gini": 0,
            "expected_words": 0,
            "expected_entropy_bits": 0,
            "expected_perplexity": 1,
        }

    def test_ranks_fall_and_ties_go_by_index(self):
        counter = counted(9, np.array([7, 7, 2, 2, 5, 5, 5, 1]))
        words, counts = counter.ranked()
        assert words.tolist() == [5, 2, 7, 1]
        assert counts.tolist() == [3, 2, 2, 1]
        ranks, heights = counter.rank_frequency(points=2)
        assert (ranks.tolist(), heights.tolist()) == ([1, 4], [3, 1])
        assert UsageCounter(9).rank_frequency()[0].size == 0

    def test_classes_split_the_use(self):
        counter = counted(6, np.array([0, 0, 1, 5, 5, 5]))
        uses = {use.label: use for use in counter.by_class([2, 2, 2, 3, 3, 4])}
        assert [(u.size, u.words, u.tokens) for u in uses.values()] == [(3, 2, 3), (2, 0, 0), (1, 1, 3)]
        assert sum(u.share_of_tokens for u in uses.values()) == pytest.approx(1)
        assert sum(u.share_of_code for u in uses.values()) == pytest.approx(1)
        with pytest.raises(InputError, match="each of 6 words"):
            counter.by_class([0, 1])


class TestEvenUse:
    @pytest.mark.parametrize(("size", "tokens"), [(2, 1), (2, 3), (3, 4), (4, 6)])
    def test_expectations_equal_enumeration(self, size, tokens):
        draws = np.stack(np.meshgrid(*[np.arange(size)] * tokens), axis=-1).reshape(-1, tokens)
        counts = (draws[:, :, None] == np.arange(size)).sum(axis=1)
        share = counts / tokens
        entropy = -(share * np.log2(np.where(share > 0, share, 1))).sum(axis=1)
        assert expected_words(size, tokens) == pytest.approx((counts > 0).sum(axis=1).mean(), rel=1e-12)
        assert expected_entropy(size, tokens) == pytest.approx(entropy.mean(), rel=1e-10)

    @pytest.mark.parametrize(("size", "tokens"), [(196_560, 20_000), (5_000, 100_000), (16, 10**6)])
    def test_expectations_agree_with_simulation(self, size, tokens):
        found = [counted(size, RNG.integers(0, size, tokens)).summary() for _ in range(4)]
        assert found[0].expected_words == pytest.approx(np.mean([s.words for s in found]), rel=5e-3)
        assert found[0].expected_entropy_bits == pytest.approx(np.mean([s.entropy_bits for s in found]), abs=2e-3)

    def test_limits(self):
        assert expected_words(196_560, 0) == 0
        assert expected_words(196_560, 1) == pytest.approx(1)
        assert expected_words(1, 5) == 1
        assert expected_words(7, 10**9) == pytest.approx(7)
        assert expected_entropy(196_560, 1) == 0
        assert expected_entropy(1, 99) == 0
        assert expected_entropy(8, 10**9) == pytest.approx(3, abs=1e-6)

    def test_the_curve_of_even_use_is_that_of_simulation(self):
        ranks, heights = expected_ranks(1000, 5000)
        assert (np.diff(heights) < 0).all()
        assert (np.diff(ranks) >= 0).all()
        _, counts = counted(1000, RNG.integers(0, 1000, 5000)).ranked()
        for rank, height in zip(ranks, heights, strict=True):
            assert abs((counts >= height).sum() - rank) < 70
        assert ranks[-1] == pytest.approx(expected_words(1000, 5000))
        assert expected_ranks(1000, 0)[0].size == 0
