"""Layers shared by the bodies: a norm and a residual block without spatial statistics, and Fourier features.

Nothing here looks further than its own kernel, so what a picture's tile gives inside its halo is exactly what the
whole picture gives there. Maps are `(B, C, h, w)`, one position for each patch; keep them in channels-last memory,
where a 1×1 convolution is a matrix product.
"""

__all__ = ["ChannelNorm", "FourierFeatures", "Phases", "ResidualBlock", "UnitLength"]

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Root-mean-square norm over the channels of each position, with a learned gain.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C, h, w)` over C."""
        normalised = F.rms_norm(x.permute(0, 2, 3, 1), (x.shape[1],), self.gain.to(x.dtype), 1e-6)
        return normalised.permute(0, 3, 1, 2)


class Phases(nn.Module):
    """Lay the channels of each position into one of `period²` slots, by the position's phase on a coarse grid.

    A linear map after (or before) it is a different one for each phase. Neighbouring patches of a flat area then fall
    on different sides of the code's cells, their quantization errors are independent instead of equal, and the decoder
    can average them away: dither, learned.
    """

    def __init__(self, period: int) -> None:
        super().__init__()
        self.period = period

    def mask(self, x: Tensor) -> Tensor:
        """One-hot phase of each position of `(B, C, h, w)`, shape `(period², 1, h, w)`."""
        rows = torch.arange(x.shape[-2], device=x.device) % self.period
        columns = torch.arange(x.shape[-1], device=x.device) % self.period
        phase = rows[:, None] * self.period + columns
        slots = torch.arange(self.period**2, device=x.device)
        return (phase == slots[:, None, None, None]).to(x.dtype)

    def spread(self, x: Tensor) -> Tensor:
        """Map `(B, C, h, w)` to `(B, period² · C, h, w)`, zero but for the slot of the position's phase."""
        return (x[:, None] * self.mask(x)).flatten(1, 2)

    def gather(self, x: Tensor) -> Tensor:
        """Map `(B, period² · C, h, w)` to `(B, C, h, w)`: the slot of the position's phase."""
        return (x.unflatten(1, (self.period**2, -1)) * self.mask(x)).sum(1)


class ResidualBlock(nn.Module):
    """`x + proj(gelu(conv(norm(x))))`: 3×3 across positions, then 1×1; the identity at the start.

    Args:
        channels: Width in and out.
        hidden: Width between the two convolutions.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.conv = nn.Conv2d(channels, hidden, 3, padding=1)
        self.proj = nn.Conv2d(hidden, channels, 1)
        for parameter in self.proj.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, h, w)` to `(B, C, h, w)`; reads one position around."""
        return x + self.proj(F.gelu(self.conv(self.norm(x)), approximate="tanh"))


class FourierFeatures(nn.Module):
    """Sines and cosines of patch means, octave by octave.

    A spherical code gives every direction the same coarse resolution, while the mean of a patch wants several bits:
    it has to be spread over many coordinates like the digits of a number. Its sines at doubling frequencies are those
    digits, so the encoder starts from them instead of having to discover them.

    Args:
        octaves: Frequencies ½, 1, 2, … cycles over the range [-1, 1] of a mean.
    """

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves

    def forward(self, means: Tensor) -> Tensor:
        """Map means in [-1, 1], `(B, C, h, w)`, to `(B, 2 · octaves · C, h, w)`."""
        frequencies = math.pi / 2 * 2.0 ** torch.arange(self.octaves, device=means.device)
        angles = (means[:, None] * frequencies.to(means.dtype)[:, None, None, None]).flatten(1, 2)
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class UnitLength(nn.Module):
    """Bring the vector at each position to unit length, in float32."""

    def forward(self, x: Tensor) -> Tensor:
        """Scale `(B, C, h, w)` over C."""
        return F.normalize(x.float(), dim=1)
