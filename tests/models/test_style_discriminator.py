"""The style judge against its definition: the blur, the scaled weights, the groups, and slopes of slopes."""

import math

import pytest
import torch
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.fit.tokenizer.losses import gradient_penalty
from workbench.models.style_discriminator import EvenConv, StyleDiscriminator, _blur, _spread


def make(width=8, side=32):
    torch.manual_seed(0)
    return StyleDiscriminator(width=width, side=side)


def test_the_blur_is_the_filter_1_3_3_1():
    x = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    kernel = (taps[:, None] * taps).expand(3, 1, 4, 4)
    for padding, stride in ((2, 1), (1, 2)):
        expected = F.conv2d(x, kernel, stride=stride, padding=padding, groups=3)
        assert torch.allclose(_blur(x, padding=padding, stride=stride), expected, atol=1e-6)


def test_a_layer_keeps_the_variance_of_what_it_is_given():
    torch.manual_seed(0)
    layer = EvenConv(64, 256, 3, bias=False)
    y = layer(torch.randn(4, 64, 16, 16)).detach()
    assert float(y.var()) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("width", "side", "channels"), [(64, 256, 512), (8, 32, 64), (512, 8, 512)])
def test_it_goes_down_to_four_pixels_and_its_widths_double(width, side, channels):
    with torch.device("meta"):
        judge = StyleDiscriminator(width=width, side=side)
    assert len(judge.blocks) == math.log2(side / 4)
    assert judge.head.weight.shape == (1, channels)
    assert judge.conv.weight.shape == (channels, channels + 1, 3, 3)


def test_each_picture_has_one_score():
    assert make()(torch.rand(4, 3, 32, 32)).shape == (4, 1)


def test_spread_is_the_deviation_within_groups_of_four():
    x = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    spread = _spread(x)
    assert spread.shape == (8, 1, 3, 3)
    expected = x[:4].std(dim=0, correction=0).mean()
    assert float(spread[0, 0, 0, 0]) == pytest.approx(float(expected), abs=1e-5)
    assert spread[:4].unique().numel() == 1
    assert float(_spread(x[:1]).max()) == pytest.approx(1e-4, rel=1e-3)


def test_real_pictures_do_not_feel_the_made_ones_beside_them():
    judge, real = make(), torch.rand(4, 3, 32, 32)
    beside = judge(torch.cat([real, torch.zeros(4, 3, 32, 32)]))[:4]
    assert torch.allclose(beside, judge(real), atol=1e-5)


def test_the_penalty_has_a_gradient_for_every_weight():
    judge, images = make(), torch.rand(4, 3, 32, 32, requires_grad=True)
    gradient_penalty(images, judge(images)).backward()
    for name, parameter in judge.named_parameters():
        if "bias" not in name:
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("side", [4, 12, 48, 0])
def test_other_sides_are_refused(side):
    with pytest.raises(InputError, match="8, 16, 32"):
        StyleDiscriminator(width=8, side=side)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(InputError, match="32×32"):
        make()(torch.rand(4, 3, 64, 64))
