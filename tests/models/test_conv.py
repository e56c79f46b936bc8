"""The convolutional body: local, with a halo that tells the truth, and phases that partition the grid."""

import pytest
import torch

from workbench.models.conv import ConvDecoder, ConvEncoder
from workbench.models.layers import ChannelNorm, FourierFeatures, Phases, ResidualBlock, UnitLength

SHAPE = {"factor": 4, "width": 16, "blocks": 2, "dimension": 6, "period": 2}


def awake(module):
    """Residual blocks start as the identity; give them something to say."""
    torch.manual_seed(1)
    for block in module.modules():
        if isinstance(block, ResidualBlock):
            torch.nn.init.normal_(block.proj.weight, std=0.3)
    return module.double().eval()


@pytest.fixture
def encoder():
    return awake(ConvEncoder(**SHAPE, octaves=2, end=torch.nn.Identity()))


@pytest.fixture
def decoder():
    return awake(ConvDecoder(**SHAPE))


def test_a_latent_depends_on_its_halo_and_no_further(encoder):
    images = torch.rand(1, 3, 60, 60, dtype=torch.float64, requires_grad=True)
    encoder(images)[0, :, 7, 7].square().sum().backward()
    reach = images.grad[0].abs().sum(0).reshape(15, 4, 15, 4).amax((1, 3)) > 0
    rows = reach.any(1).nonzero().flatten()
    assert rows.min() >= 7 - encoder.halo
    assert rows.max() <= 7 + encoder.halo
    assert (7 - rows.min()) == 1 + SHAPE["blocks"]


def test_a_pixel_depends_on_its_halo_and_no_further(decoder):
    codes = torch.randn(1, 6, 15, 15, dtype=torch.float64, requires_grad=True)
    decoder(codes)[0, :, 28:32, 28:32].square().sum().backward()
    rows = codes.grad[0].abs().sum(0).gt(0).any(1).nonzero().flatten()
    assert (7 - rows.min(), rows.max() - 7) == (1 + SHAPE["blocks"], 1 + SHAPE["blocks"])
    assert decoder.halo >= 1 + SHAPE["blocks"]


@pytest.mark.parametrize("period", [1, 2, 3])
def test_halos_keep_phases_where_they_are(period):
    encoder = ConvEncoder(**SHAPE | {"period": period}, octaves=1, end=torch.nn.Identity())
    assert encoder.halo % period == 0


def test_latents_may_end_on_the_unit_sphere():
    encoder = awake(ConvEncoder(**SHAPE, octaves=2, end=UnitLength()))
    norms = encoder(torch.rand(2, 3, 20, 24, dtype=torch.float64)).norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(2, 5, 6))


def test_moving_a_picture_by_whole_periods_moves_its_latents(encoder):
    images = torch.rand(1, 3, 80, 80, dtype=torch.float64)
    here = encoder(images)[..., 6:14, 6:14]
    moved = encoder(images.roll((8, 8), (2, 3)))[..., 8:16, 8:16]
    torch.testing.assert_close(moved, here)


def test_moving_by_half_a_period_does_not(encoder):
    images = torch.rand(1, 3, 80, 80, dtype=torch.float64)
    here = encoder(images)[..., 6:14, 6:14]
    moved = encoder(images.roll((4, 4), (2, 3)))[..., 7:15, 7:15]
    assert (moved - here).abs().max() > 1e-2


@pytest.mark.parametrize("period", [1, 2, 3])
def test_phases_are_a_partition(period):
    phases = Phases(period)
    x = torch.randn(2, 5, 7, 4)
    assert torch.equal(phases.mask(x).sum(0), torch.ones(1, 7, 4))
    assert torch.equal(phases.gather(phases.spread(x)), x)
    assert phases.spread(x).ne(0).sum() == x.ne(0).sum()


def test_the_norm_leaves_unit_mean_square_at_each_position():
    x = 5 * torch.randn(2, 32, 3, 4)
    torch.testing.assert_close(ChannelNorm(32)(x).square().mean(1), torch.ones(2, 3, 4), atol=1e-4, rtol=0)


def test_fourier_features_are_the_angle_doubled():
    means = torch.rand(1, 1, 2, 2, dtype=torch.float64) * 2 - 1
    sine, cosine = FourierFeatures(3)(means).reshape(2, 3, 2, 2)
    torch.testing.assert_close(sine[1:], 2 * sine[:-1] * cosine[:-1])
    torch.testing.assert_close(sine**2 + cosine**2, torch.ones_like(sine))
    torch.testing.assert_close(sine[0], (means[0, 0] * torch.pi / 2).sin())


def test_blocks_start_as_the_identity():
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(ResidualBlock(8, 8)(x), x)
