"""The judge of the paper's reconstruction recipe: StyleGAN2's residual discriminator, one score a picture.

    x ─ 1×1 ─ [ (3×3 ─ 3×3 ↓2) + (1×1 ↓2) ]ⁿ ─ spread ─ 3×3 ─ linear ─ linear ─▶ score

Weights are drawn from N(0, 1) and scaled by 1/√fan-in where they are used, so that all learn at one pace; leaky ReLUs
are scaled by √2, sums of two branches by √½. Before every halving the picture is blurred by (1, 3, 3, 1)/8 in both
directions, which is three averages of neighbours. *Spread* is the deviation within groups of four pictures, as one more
channel: it shows a judge that pictures are too much alike.
Source: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", arXiv:1912.04958; the paper's widths.
"""

__all__ = ["StyleDiscriminator"]

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import InputError

_WIDEST = 512
_GROUP = 4


class EvenConv(nn.Module):
    """A convolution whose weights are scaled by 1/√fan-in where they are used."""

    def __init__(self, inside: int, outside: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outside)) if bias else None
        self.gain = 1 / math.sqrt(inside * kernel**2)

    def forward(self, x: Tensor, *, stride: int = 1, padding: int = 0) -> Tensor:
        """Map `(B, inside, H, W)` to `(B, outside, h, w)`."""
        return F.conv2d(x, self.weight * self.gain, self.bias, stride=stride, padding=padding)


class EvenLinear(nn.Module):
    """A linear layer scaled likewise."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outside, inside))
        self.bias = nn.Parameter(torch.zeros(outside))
        self.gain = 1 / math.sqrt(inside)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inside)` to `(B, outside)`."""
        return F.linear(x, self.weight * self.gain, self.bias)


class Halving(nn.Module):
    """Two convolutions beside a short cut, to half the side."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = EvenConv(inside, inside, 3), EvenConv(inside, outside, 3)
        self.shortcut = EvenConv(inside, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inside, H, W)` to `(B, outside, H/2, W/2)`."""
        y = _bend(self.conv1(x, padding=1))
        y = _bend(self.conv2(_blur(y, padding=2), stride=2))
        return (y + self.shortcut(_blur(x, padding=1, stride=2))) * math.sqrt(0.5)


class StyleDiscriminator(nn.Module):
    """Scores of pictures: above 0 for real, below for made.

    Args:
        width: Channels at full size; each halving doubles them, up to 512. The paper has 64 at 256 pixels.
        side: Side of a picture in pixels; 4 times a power of two, at least 8.

    Raises:
        InputError: if the side is another.
    """

    def __init__(self, *, width: int, side: int) -> None:
        super().__init__()
        halvings = int(math.log2(side / 4)) if side >= 8 else 0
        if side != 4 << halvings or not halvings:
            raise InputError(f"the style judge takes pictures of 8, 16, 32, … pixels a side, got {side}")
        widths = [min(width << level, _WIDEST) for level in range(halvings + 1)]
        self.side = side
        self.colours = EvenConv(3, widths[0], 1)
        self.blocks = nn.ModuleList(Halving(a, b) for a, b in pairwise(widths))
        self.conv = EvenConv(widths[-1] + 1, widths[-1], 3)
        self.linear = EvenLinear(16 * widths[-1], widths[-1])
        self.head = EvenLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `(B, 3, side, side)` in [0, 1] to scores `(B, 1)`.

        Groups of four are neighbours in the batch: real and made pictures one after the other are not mixed where
        each are a multiple of four.
        """
        if images.shape[-2:] != (self.side, self.side):
            raise InputError(f"the judge takes pictures of {self.side}×{self.side}, got {tuple(images.shape[-2:])}")
        x = _bend(self.colours(2 * images - 1))
        for block in self.blocks:
            x = block(x)
        with torch.autocast(x.device.type, enabled=False):
            x = _bend(self.conv(torch.cat([x.float(), _spread(x.float())], dim=1), padding=1))
            return self.head(_bend(self.linear(x.flatten(1))))


def _bend(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def _blur(x: Tensor, *, padding: int, stride: int = 1) -> Tensor:
    """Convolve with (1, 3, 3, 1)/8 in both directions, after zero padding."""
    x = F.avg_pool2d(F.pad(x, [padding] * 4), 2, stride=1)
    return F.avg_pool2d(F.avg_pool2d(x, 2, stride=1), 2, stride=stride)


def _spread(x: Tensor) -> Tensor:
    """Deviation within groups, averaged over all else: `(B, C, h, w)` to `(B, 1, h, w)`."""
    size = math.gcd(len(x), _GROUP)
    groups = x.unflatten(0, (-1, size))
    spread = groups.var(dim=1, correction=0).add(1e-8).sqrt().mean(dim=(1, 2, 3))
    return spread.repeat_interleave(size)[:, None, None, None].expand(-1, 1, *x.shape[-2:])
