"""Sums over all codewords equal the sums over the list, and samples and k-best lists follow the same law."""

import math

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code
from workbench.lattices.partition import cpu as partition_cpu
from workbench.lattices.partition.best import best_codewords
from workbench.lattices.partition.bricks import shapes_of
from workbench.lattices.partition.logs import NUM_WORD_LOGITS, digits_of, log_partition_in_logs
from workbench.lattices.partition.sampling import sample_codewords
from workbench.lattices.partition.sums import log_partition, log_score

NAMES = ["leech", "leech-published"]
ROUTES = {"kernel": lambda x, code, words: log_partition(x, code, word_logits=words), "logs": log_partition_in_logs}


def all_scores(logits, code, words=None):
    """Scores of all codewords by the list itself, shape (n, 196560)."""
    digits = digits_of(code).long()
    scores = sum(logits[:, i][:, digits[:, i]] for i in range(24))
    if words is None:
        return scores
    padded = torch.cat([words, words.new_zeros(len(words), 276)], 1)
    return scores + padded[:, torch.from_numpy(shapes_of(code).group)]


def uniform(n, spread, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    logits = (2 * torch.rand(n, 24, 9, generator=generator, dtype=torch.float64) - 1) * spread
    words = torch.randn(n, NUM_WORD_LOGITS, generator=generator, dtype=torch.float64) * spread / 8
    return logits.to(dtype), words.to(dtype)


@pytest.mark.parametrize("name", NAMES)
def test_every_codeword_belongs_to_the_group_that_its_integers_say(name):
    code = make_code(name)
    shapes = shapes_of(code)
    picks = np.random.default_rng(0).integers(0, code.size, 400)
    for k, row in zip(picks, code.integers[picks], strict=True):
        group = shapes.group[k]
        assert shapes.rows[group, shapes.member[k]] == k
        if group < 759:
            assert np.array_equal(np.nonzero(row)[0], shapes.octads[group])
        elif group < 4855:
            plain = np.where(np.abs(row) == 3, -np.sign(row), row)
            assert np.array_equal(plain > 0, shapes.words[group - 759] == 1)
        else:
            assert np.array_equal(np.nonzero(row)[0], shapes.pairs[group - 4855])
    assert sorted(shapes.rows[shapes.rows >= 0].tolist()) == list(range(code.size))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("spread", [0.0, 1.0, 16.0, 80.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_gradient_equal_the_sum_over_the_list(name, route, spread, weighted):
    code = make_code(name)
    logits, words = uniform(3, spread, seed=int(spread))
    results = []
    for value in (ROUTES[route], lambda x, code, words: torch.logsumexp(all_scores(x, code, words), -1)):
        x, w = logits.clone().requires_grad_(), words.clone().requires_grad_()
        z = value(x, code, w if weighted else None)
        leaves = [x, w] if weighted else [x]
        results.append((z.detach(), torch.autograd.grad(z @ torch.tensor([1.0, -2.0, 0.5]).double(), leaves)))
    (ours, our_grads), (reference, grads) = results
    assert (ours - reference).abs().max() <= 1e-9
    for ours, reference in zip(our_grads, grads, strict=True):
        assert (ours - reference).abs().max() <= 1e-7


@pytest.mark.parametrize("weighted", [False, True])
def test_single_precision_is_within_a_ten_thousandth_of_a_nat(weighted):
    code = make_code("leech")
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(8, 24, 9, generator=generator) * 16
    words = torch.randn(8, NUM_WORD_LOGITS, generator=generator) if weighted else None
    value = log_partition(logits, code, word_logits=words)
    reference = all_scores(logits.double(), code, None if words is None else words.double()).logsumexp(-1)
    assert value.dtype == torch.float32
    assert (value.double() - reference).abs().max() <= 1e-4


@pytest.mark.parametrize("route", ROUTES)
def test_forbidden_digits_have_no_probability(route):
    code = make_code("leech")
    logits, _ = uniform(6, 20.0, seed=5)
    inf = math.inf
    logits[0, 3, 4] = -inf  # position 3 may not be 0
    logits[1, :2, 4] = -inf  # then these two hold the 4s, or an octad meets both, or a word
    logits[2, :, [3, 5]] = -inf  # no Golay word
    logits[3, 7, [3, 5]] = -inf  # the 3 stands at position 7
    logits[4, :, [2, 3, 4, 5, 6]] = -inf  # nothing at all
    logits[5, 0, :] = -inf
    logits[5, 0, 7] = 80.0  # +3 at position 0 alone is left there
    logits.requires_grad_()
    value = ROUTES[route](logits, code, None)
    reference = all_scores(logits.detach(), code).logsumexp(-1)
    assert value[4] == -inf
    assert value[5] < inf
    keep = [0, 1, 2, 3, 5]
    assert (value - reference)[keep].abs().max() <= 1e-9
    grad = torch.autograd.grad(value[keep].sum(), logits)[0]
    assert torch.isfinite(grad).all()
    assert grad[torch.isinf(logits)].abs().max() == 0
    # each of the 24 positions holds exactly one digit
    assert (grad[keep].sum(-1) - 1).abs().max() <= 1e-9
    assert grad[4].abs().max() == 0


def test_tokens_that_the_kernel_declines_are_summed_in_logs():
    code = make_code("leech")
    logits, words = uniform(20, 1.0, seed=2)
    # 23 positions want +1 and one wants -1, each by far more than float64 can hold when many must give way
    logits[::2, :, 5] = 400.0 * torch.randn(10, 24, generator=torch.Generator().manual_seed(1)).double().sign()
    logits = logits[:, None].repeat(1, 2, 1, 1)
    logits[1, 1, 0, 0] = math.nan
    _, accepted = partition_cpu._run(logits.flatten(2), words, code)
    assert 0 < int((~accepted).sum()) < accepted.numel()
    keep = ~torch.isnan(logits).flatten(2).any(-1)
    grads = []
    for route in ROUTES.values():
        x, w = logits.clone().requires_grad_(), words.clone().requires_grad_()
        z = route(x, code, w[:, None])
        assert torch.isnan(z[1, 1])
        assert torch.isnan(z).sum() == 1
        grads.append((z.detach()[keep], *torch.autograd.grad(z[keep].sum(), [x, w])))
    for one, other in zip(*grads, strict=True):
        rows = keep.all(1) if len(one) == len(keep) else slice(None)
        assert (one[rows] - other[rows]).abs().max() <= 1e-9


def test_shapes_broadcast_and_threads_do_not_matter(monkeypatch):
    code = make_code("leech")
    logits, words = uniform(2 * 70 * 3, 4.0, seed=3)
    logits, words = logits.reshape(2, 70, 3, 24, 9), words[:140].reshape(2, 70, 1, -1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    ours = log_partition(logits, code, word_logits=words)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert torch.equal(ours, log_partition(logits, code, word_logits=words))
    assert torch.equal(ours, log_partition(logits, code, word_logits=words.expand(2, 70, 3, -1)))
    assert torch.equal(ours[1, 4], log_partition(logits[1, 4], code, word_logits=words[1, 4, 0]))
    assert log_partition(logits[:0], code, word_logits=words[:0]).shape == (0, 70, 3)
    assert log_partition(logits[0, 0, 0], code).shape == ()
    zeros = torch.zeros(24, 9)
    assert log_partition(zeros, code) == pytest.approx(math.log(code.size), abs=1e-5)


def test_score_is_what_the_sum_sums():
    code = make_code("leech-published")
    logits, words = uniform(2, 3.0, seed=4)
    indices = torch.tensor([[0, 97151, 97152, 100000], [195455, 195456, 196559, 758]])
    expected = all_scores(logits, code, words).gather(1, indices)
    got = log_score(logits[:, None].expand(-1, 4, -1, -1), indices, code, word_logits=words[:, None])
    assert (got - expected).abs().max() <= 1e-12
    assert (log_score(logits[0], indices[0, 2], code) - all_scores(logits[:1], code)[0, 97152]).abs() <= 1e-12


def chi_square(counts, expected):
    """Pearson's statistic as a normal deviate (Wilson-Hilferty), cells of small expectation pooled."""
    small = expected < 8
    counts = np.append(counts[~small], counts[small].sum())
    expected = np.append(expected[~small], expected[small].sum())
    counts, expected = counts[expected > 0], expected[expected > 0]
    freedom = len(counts) - 1
    statistic = ((counts - expected) ** 2 / expected).sum()
    return ((statistic / freedom) ** (1 / 3) - 1 + 2 / (9 * freedom)) / math.sqrt(2 / (9 * freedom))


@pytest.mark.parametrize(("name", "spread", "weighted"), [("leech", 1.2, True), ("leech-published", 1.6, False)])
def test_samples_follow_the_law(name, spread, weighted):
    code = make_code(name)
    logits, words = uniform(1, spread, seed=6)
    logits[0, :, [0, 8]] += 3.0
    logits[0, :, [3, 5]] += 0.1  # so that all three shapes are drawn
    words = words if weighted else None
    total = 3_000
    drawn = sample_codewords(
        logits.expand(total, -1, -1), code, generator=torch.Generator().manual_seed(0), word_logits=words
    )
    law = all_scores(logits, code, words)[0].softmax(-1).numpy()
    shapes = shapes_of(code)
    counts = np.bincount(drawn.numpy(), minlength=code.size)
    assert abs(chi_square(counts, law * total)) < 4
    by_group = np.bincount(shapes.group, counts, 5131), np.bincount(shapes.group, law * total, 5131)
    assert abs(chi_square(*by_group)) < 4
    by_shape = np.array([part.sum() for part in np.split(law, [97152, 195456])])
    assert by_shape.min() > 0.01, by_shape
    digits = digits_of(code).numpy()
    for i in (0, 13):
        by_digit = np.bincount(digits[:, i], counts, 9), np.bincount(digits[:, i], law * total, 9)
        assert abs(chi_square(*by_digit)) < 4


def test_the_same_seed_draws_the_same_codewords():
    code = make_code("leech")
    logits, _ = uniform(30, 2.0, seed=7)
    draws = [sample_codewords(logits, code, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("name", "spread", "k"), [("leech", 1.0, 256), ("leech-published", 12.0, 40), ("leech", 9.0, 1)]
)
def test_k_best_equals_the_head_of_the_sorted_list(name, spread, k):
    code = make_code(name)
    logits, words = uniform(4, spread, seed=8)
    logits[0], words[0] = logits[0].round(), words[0].round()  # ties
    found = best_codewords(logits, k, code, word_logits=words)
    reference = all_scores(logits, code, words).sort(dim=-1, descending=True, stable=True)
    assert torch.equal(found.indices, reference.indices[:, :k])
    assert (found.scores - reference.values[:, :k]).abs().max() <= 1e-9


def test_k_best_says_where_the_list_ends():
    code = make_code("leech")
    logits = torch.full((24, 9), -math.inf)
    logits[:, 4] = 0.0
    logits[:2, 8] = 1.0
    found = best_codewords(logits, 3, code)
    assert found.indices[1:].tolist() == [-1, -1]
    assert code.integers[found.indices[0]].tolist() == [4, 4] + [0] * 22
    with pytest.raises(InputError, match="from 1 to 256, got 257"):
        best_codewords(logits, 257, code)
    with pytest.raises(InputError, match="NaN"):
        best_codewords(logits * 0, 1, code)
    with pytest.raises(InputError, match="nothing can be drawn"):
        sample_codewords(torch.full((24, 9), -math.inf), code, generator=torch.Generator())


@pytest.mark.rejects
def test_wrong_arguments_are_named():
    code = make_code("leech")
    with pytest.raises(InputError, match=r"\(\.\.\., 24, 9\)"):
        log_partition(torch.zeros(9, 24), code)
    with pytest.raises(InputError, match="4,096 Golay words; got shape"):
        log_partition(torch.zeros(3, 24, 9), code, word_logits=torch.zeros(2, NUM_WORD_LOGITS))
    with pytest.raises(InputError, match="'leech' or 'leech-published'"):
        log_partition(torch.zeros(24, 9), make_code("leech2"))
