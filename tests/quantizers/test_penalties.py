"""Penalties: against sums over all words, in their limits, and in what they do."""

import itertools

import pytest
import torch

from workbench.errors import InputError
from workbench.quantizers import penalties
from workbench.quantizers.penalties import commitment, entropy, entropy_of_bits
from workbench.quantizers.registry import make_quantizer
from workbench.tasks.explore.family import entropy_effect

CORNERS = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=6)), dtype=torch.float64) / 6**0.5


def points(count=30, dimension=6):
    return torch.randn(count, dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) / 6**0.5


def slow_entropy(z, vectors, sharpness, balance):
    p = torch.softmax(-sharpness / 2 * torch.cdist(z, vectors, compute_mode="donot_use_mm_for_euclid_dist") ** 2, 1)
    own = torch.distributions.Categorical(probs=p).entropy().mean()
    return own - balance * torch.distributions.Categorical(probs=p.mean(0)).entropy()


@pytest.mark.parametrize(("sharpness", "balance"), [(1.0, 1.0), (8.0, 0.5), (30.0, 0.0)])
def test_entropy_is_its_definition(sharpness, balance):
    vectors = torch.randn(11, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    value = entropy(points(), vectors, sharpness=sharpness, balance=balance)
    torch.testing.assert_close(value, slow_entropy(points(), vectors, sharpness, balance))


def test_entropy_in_chunks_is_the_same_with_its_gradient(monkeypatch):
    z = points().requires_grad_()
    whole = entropy(z, CORNERS, sharpness=5.0)
    (expected,) = torch.autograd.grad(whole, z)
    monkeypatch.setattr(penalties, "_PRODUCTS", 64 * 7)
    parts = entropy(z, CORNERS, sharpness=5.0)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(torch.autograd.grad(parts, z)[0], expected)


def test_bits_in_one_group_are_exact_and_groups_bound_it():
    exact = entropy(points(), CORNERS, sharpness=9.0, balance=0.7)
    settings = {"magnitude": 6**-0.5, "sharpness": 9.0, "balance": 0.7}
    torch.testing.assert_close(entropy_of_bits(points(), group=6, **settings), exact)
    # The entropy of groups is at least that of the whole, so the penalty is at most the exact one.
    for group in (1, 2, 3):
        assert entropy_of_bits(points(), group=group, **settings) <= exact
    with pytest.raises(InputError, match="groups of 4 bits do not divide 6"):
        entropy_of_bits(points(), group=4, **settings)


def test_entropy_of_sharp_and_even_use_is_minus_log_size():
    value = entropy(CORNERS, CORNERS, sharpness=1e4)
    torch.testing.assert_close(value, -torch.tensor(64.0, dtype=torch.float64).log())
    torch.testing.assert_close(entropy_of_bits(CORNERS, magnitude=6**-0.5, sharpness=1e4, group=2), value)


def test_commitment_pulls_the_point_and_not_the_code():
    z, q = points().requires_grad_(), points().flip(0).requires_grad_()
    loss = commitment(z, q)
    loss.backward()
    torch.testing.assert_close(loss.detach(), (z - q).detach().square().sum(1).mean())
    torch.testing.assert_close(z.grad, 2 * (z - q).detach() / len(z))
    assert q.grad is None


@pytest.mark.parametrize("settings", [{"name": "bsq", "dimension": 6}, {"name": "lfq", "dimension": 4}, {"name": "e8"}])
def test_penalties_join_the_loss_in_training_only(settings):
    quantizer = make_quantizer(**settings, commitment=0.25, entropy=0.1, sharpness=5.0)
    z = torch.randn(20, quantizer.dimension, requires_grad=True, generator=torch.Generator().manual_seed(0))
    result = quantizer.train()(z)
    point = quantizer.project(z)
    words = quantizer.lookup(torch.arange(quantizer.size)).double()
    group = {"bsq": 6, "lfq": 4}.get(settings["name"])
    expected = 0.25 * (point - result.quantized).square().sum(1).mean() + 0.1 * (
        entropy(point.double(), words, sharpness=5.0)
        if group is None
        else entropy_of_bits(point.double(), magnitude=quantizer.magnitude, sharpness=5.0, group=group)
    )
    torch.testing.assert_close(result.aux_loss, expected.float())
    result.aux_loss.backward()
    assert (z.grad.abs().sum(1) > 0).all()
    assert quantizer.eval()(z).aux_loss == 0


@pytest.mark.parametrize("settings", [{"name": "bsq", "dimension": 8}, {"name": "e8"}])
def test_the_entropy_penalty_moves_points_to_the_code(settings):
    effect = entropy_effect(settings, points=128, steps=15)
    assert effect.squared_error[-1] < 0.5 * effect.squared_error[0]
    assert effect.penalty[-1] < effect.penalty[0]
    assert len(effect.squared_error) == 16
