"""Losses and optimisers against closed forms."""

import math

import pytest
import torch
from torch import nn

from workbench.fit.optim.factory import Muon, OptimizerSettings, make_optimizers, orthogonal
from workbench.fit.tokenizer.losses import ADVERSARIAL, absolute_error, gradient_penalty, squared_error
from workbench.models.discriminator import PatchDiscriminator


def test_absolute_error_is_the_mean_over_pixels():
    assert absolute_error(torch.tensor([0.0, 1.0]), torch.tensor([0.5, 0.75])) == pytest.approx(0.375)


def test_the_two_errors_have_gradients_of_one_size_at_a_twentieth():
    x = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    slopes = []
    for error in (absolute_error, squared_error):
        y = (x + 0.05).requires_grad_()
        slopes.append(torch.autograd.grad(error(x, y), y)[0])
    torch.testing.assert_close(*slopes)


def test_the_game_has_the_values_of_its_formulas():
    real, made = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    hinge, soft = ADVERSARIAL["hinge"], ADVERSARIAL["softplus"]
    assert hinge.fool(made) == pytest.approx(1.0)
    assert hinge.judge(real, made) == pytest.approx(((0 + 1) / 2 + (0 + 2) / 2) / 2)
    softplus = lambda v: math.log1p(math.exp(v))  # noqa: E731
    assert soft.fool(made) == pytest.approx((softplus(3) + softplus(-1)) / 2)
    assert soft.judge(real, made) == pytest.approx(
        ((softplus(-2) + softplus(0)) / 2 + (softplus(-3) + softplus(1)) / 2) / 2
    )


@pytest.mark.parametrize("kind", ["hinge", "softplus"])
def test_each_player_gains_by_moving_the_score_its_way(kind):
    scores = torch.zeros(4, requires_grad=True)
    game = ADVERSARIAL[kind]
    for loss, sign in ((game.fool, -1), (game.accept, -1), (game.reject, 1)):
        (slope,) = torch.autograd.grad(loss(scores), scores)
        assert (slope.sign() == sign).all()


def test_the_penalty_of_a_linear_judge_is_half_its_squared_slope():
    weight = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    images = torch.rand(5, 3, 8, 8, requires_grad=True)
    penalty = gradient_penalty(images, (images * weight).sum(dim=(1, 2, 3)))
    assert penalty.item() == pytest.approx(float(weight.detach().square().sum()) / 2, rel=1e-5)
    penalty.backward()
    assert torch.allclose(weight.grad, weight.detach(), rtol=1e-4)


def test_the_judge_is_local_and_of_bounded_slope():
    torch.manual_seed(0)
    judge = PatchDiscriminator(width=8, stages=3).eval()
    x = torch.rand(1, 3, 64, 64)
    scores = judge(x)
    assert scores.shape == (1, 1, 4, 4)
    y = x.clone()
    y[:, :, :4, :4] = 1 - y[:, :, :4, :4]
    changed = (judge(y) != scores)[0, 0]
    assert changed[0, 0]
    assert not changed[3, 3]
    many = judge(torch.cat([x, y]))
    assert torch.allclose(many[:1], scores, atol=1e-6)
    judge.train()
    for _ in range(20):  # each pass refines the estimate of the largest singular values
        judge(x)
    for stage in (*judge.stages, judge.head):
        assert torch.linalg.svdvals(stage.weight.flatten(1))[0].item() == pytest.approx(1, abs=0.05)


def test_an_orthogonal_matrix_comes_from_any():
    generator = torch.Generator().manual_seed(0)
    for shape in ((64, 64), (40, 200), (200, 40)):
        matrix = torch.randn(shape, generator=generator)
        u, _, v = torch.linalg.svd(matrix, full_matrices=False)
        values = torch.linalg.svdvals(orthogonal(matrix))
        assert values.max() < 1.4
        if shape != (64, 64):  # a square random matrix has singular values near 0, which five steps do not lift
            assert values.min() > 0.6
        assert torch.cosine_similarity(orthogonal(matrix).flatten(), (u @ v).flatten(), dim=0) > 0.9


def test_muon_takes_the_matrices_and_adamw_the_rest():
    net = nn.Sequential(nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3), nn.Linear(64, 8), nn.Linear(64, 64))
    optimizers = make_optimizers("net", net, OptimizerSettings(kind="muon", weight_decay=0.1))
    by_muon = [p.shape for group in optimizers["net-muon"].param_groups for p in group["params"]]
    assert by_muon == [net[1].weight.shape, net[3].weight.shape]
    decayed, spared = optimizers["net"].param_groups
    assert [p.shape for p in decayed["params"]] == [net[0].weight.shape, net[2].weight.shape]
    assert spared["weight_decay"] == 0
    count = sum(len(g["params"]) for optimizer in optimizers.values() for g in optimizer.param_groups)
    assert count == len(list(net.parameters()))
    assert list(make_optimizers("net", net, OptimizerSettings())) == ["net"]


def test_muon_descends_and_decays():
    torch.manual_seed(0)
    target = torch.randn(48, 48)
    weight = nn.Parameter(torch.zeros(48, 48))
    optimizer = Muon([weight], lr=0.05)
    for _ in range(200):
        (weight.grad,) = torch.autograd.grad((weight - target).square().sum(), weight)
        optimizer.step()
    assert (weight - target).norm() < 0.25 * target.norm()
    still = nn.Parameter(torch.ones(48, 48))
    still.grad = torch.zeros(48, 48)
    Muon([still], lr=0.5, weight_decay=0.1).step()
    assert torch.allclose(still, torch.full_like(still, 0.95))
