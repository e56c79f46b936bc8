"""The convolutional body: all work at one position a patch, so that two cores are enough to train and run it.

    x ─ unshuffle ─┬───────────────── 3×3 ─ blocks ─ norm ─ 1×1 ( ─ unit) ─▶ z      (encoder)
                   └ means ─ sines ──┘
    q ─ 1×1 ─ gelu ─ 1×1 ─ blocks ─ norm ─ 3×3 ─ shuffle ─▶ x̂             (decoder)

A 3×3 convolution over patches costs its weights once a patch, 64 times less than over pixels, and runs as one large
matrix product. There is no spatial statistic anywhere: `halo` is the receptive field, and a tile with that much
around it gives exactly the tokens of the whole picture.
"""

__all__ = ["ConvDecoder", "ConvEncoder"]

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.models.layers import ChannelNorm, FourierFeatures, Phases, ResidualBlock


class ConvEncoder(nn.Module):
    """From pixels to one latent vector a patch.

    Args:
        factor: Side of a patch, in pixels.
        width: Channels of the trunk.
        blocks: Number of residual blocks.
        dimension: Length of a latent vector.
        octaves: Octaves of the Fourier features of the patch means.
        period: Side of the grid of phases; 1 for none.
        end: What brings the latents to where the quantizer expects them.
    """

    def __init__(
        self, *, factor: int, width: int, blocks: int, dimension: int, octaves: int, period: int, end: nn.Module
    ) -> None:
        super().__init__()
        self.factor = factor
        self.halo = whole_periods(1 + blocks, period)  # one by `stem`, one by each block
        self.features = FourierFeatures(octaves)
        self.stem = nn.Conv2d(3 * factor**2 + 2 * octaves * 3, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width, width) for _ in range(blocks)))
        self.norm = ChannelNorm(width)
        self.phases = Phases(period)
        self.head = nn.Conv2d(width, period**2 * dimension, 1)
        self.end = end

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, 3, H, W)` in [0, 1], sides multiples of `factor`, to latents `(B, dimension, h, w)`."""
        pixels = 2 * images - 1
        means = F.avg_pool2d(pixels, self.factor)
        x = torch.cat([F.pixel_unshuffle(pixels, self.factor), self.features(means)], dim=1)
        x = self.stem(x.to(self.stem.weight.dtype).contiguous(memory_format=torch.channels_last))
        return self.end(self.phases.gather(self.head(self.norm(self.blocks(x)))))


class ConvDecoder(nn.Module):
    """From one code vector a patch to pixels.

    Args:
        factor: Side of a patch, in pixels.
        width: Channels of the trunk.
        blocks: Number of residual blocks.
        dimension: Length of a code vector.
        period: Side of the grid of phases; 1 for none.
    """

    def __init__(self, *, factor: int, width: int, blocks: int, dimension: int, period: int) -> None:
        super().__init__()
        self.factor = factor
        self.halo = whole_periods(1 + blocks, period)
        self.phases = Phases(period)
        self.words = nn.Sequential(
            nn.Conv2d(period**2 * dimension, 2 * width, 1), nn.GELU("tanh"), nn.Conv2d(2 * width, width, 1)
        )
        self.blocks = nn.Sequential(*(ResidualBlock(width, width) for _ in range(blocks)))
        self.norm = ChannelNorm(width)
        self.head = nn.Conv2d(width, 3 * factor**2, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes `(B, dimension, h, w)` to pixels `(B, 3, H, W)`, near [0, 1] but not clamped."""
        x = self.words(self.phases.spread(codes).contiguous(memory_format=torch.channels_last))
        x = self.head(self.norm(self.blocks(x)))
        return (F.pixel_shuffle(x, self.factor) + 1) / 2


def whole_periods(patches: int, period: int) -> int:
    """A halo of at least that many patches that leaves the phases of a tile where they are in the picture."""
    return -(-patches // period) * period
