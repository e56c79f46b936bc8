"""The f16 body of the paper's multi-scale tokenizers: residual blocks with group norms, no attention.

    x ─ 3×3 ─ [block² ─ halve]⁴ ─ block² ─ block² ─ norm ─ swish ─ 3×3 ─▶ z        (encoder)
    q ─ 3×3 ─ block² ─ [block³ ─ double]⁴ ─ block³ ─ norm ─ swish ─ 3×3 ─▶ x̂       (decoder)

The group norms read the whole picture, so tokens depend on the window that is encoded: 256×256 pixels as in training.
Source: Zhao et al., arXiv:2512.14697, and the code released with it (MIT), whose body follows Flux's autoencoder.
"""

__all__ = ["F16Decoder", "F16Encoder"]

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)


class Block(nn.Module):
    """`x + conv(swish(norm(conv(swish(norm(x))))))`, with a 1×1 convolution on x where widths differ."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = _norm(inside), nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2, self.conv2 = _norm(outside), nn.Conv2d(outside, outside, 3, padding=1)
        self.shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inside, H, W)` to `(B, outside, H, W)`."""
        y = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class Level(nn.Module):
    """Blocks of one resolution, and the convolution that leaves it, if any."""

    def __init__(self, inside: int, outside: int, *, blocks: int, change: nn.Conv2d | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(inside if i == 0 else outside, outside) for i in range(blocks))
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inside, h, w)` to `(B, outside, h, w)`, or to half or twice the side."""
        for block in self.blocks:
            x = block(x)
        return x if self.change is None else self.change(x)


class _Halve(nn.Conv2d):
    """From a level to the coarser one: one row and column of zeros below and to the right, then every other place."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, stride=2)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (0, 1, 0, 1)))


class _Double(nn.Conv2d):
    """From a level to the finer one: every place four times, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.interpolate(input, scale_factor=2.0, mode="nearest"))


class F16Encoder(nn.Module):
    """From pixels to latents, one for each 2^(levels - 1) pixels a side.

    Args:
        width: Channels of the finest level; a multiple of 32.
        multipliers: Channels of each level over `width`, finest first.
        blocks: Blocks a level.
        dimension: Length of a latent vector.
    """

    def __init__(self, *, width: int, multipliers: Sequence[int], blocks: int, dimension: int) -> None:
        super().__init__()
        widths = [width * m for m in multipliers]
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.levels = nn.ModuleList(
            Level(a, b, blocks=blocks, change=None if i == len(widths) - 1 else _Halve(b))
            for i, (a, b) in enumerate(pairwise([width, *widths]))
        )
        self.middle = nn.ModuleList(Block(widths[-1], widths[-1]) for _ in range(2))
        self.norm_out = _norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], dimension, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, 3, H, W)` in [0, 1] to latents `(B, dimension, h, w)`, norms free."""
        x = self.conv_in((2 * images - 1).to(self.conv_in.weight.dtype))
        for level in self.levels:
            x = level(x)
        for block in self.middle:
            x = block(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class F16Decoder(nn.Module):
    """From sums of codes to pixels; arguments as for the encoder. Levels stand finest first and are run backwards."""

    def __init__(self, *, width: int, multipliers: Sequence[int], blocks: int, dimension: int) -> None:
        super().__init__()
        widths = [width * m for m in multipliers]
        self.conv_in = nn.Conv2d(dimension, widths[-1], 3, padding=1)
        self.middle = nn.ModuleList(Block(widths[-1], widths[-1]) for _ in range(2))
        self.levels = nn.ModuleList(
            Level(coarser, b, blocks=blocks, change=None if i == 0 else _Double(b))
            for i, (b, coarser) in enumerate(zip(widths, [*widths[1:], widths[-1]], strict=True))
        )
        self.norm_out = _norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes `(B, dimension, h, w)` to pixels `(B, 3, H, W)`, near [0, 1] but not clamped."""
        x = self.conv_in(codes)
        for block in self.middle:
            x = block(x)
        for level in reversed(self.levels):
            x = level(x)
        return (self.conv_out(F.silu(self.norm_out(x))) + 1) / 2
