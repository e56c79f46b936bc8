"""The ViT body of the paper: a transformer over the patches of one window, and its mirror image.

    x ─ patchify ─ linear ─ + positions ─ norm ─ blocks ─ norm ─ linear ─▶ z        (encoder)
    q ─ linear ─ + positions ─ norm ─ blocks ─ norm ─ linear ─ tanh ─ linear ─▶ x̂   (decoder)

Attention is global within a window of fixed side, since positions are learned; larger pictures go through overlapping
windows. Pre-norm blocks, exact GELU, MLP of four widths, no dropout.
Source: arXiv:2512.14697, reconstruction recipe; architecture after BSQ-ViT, arXiv:2406.07548.
"""

__all__ = ["ViTDecoder", "ViTEncoder"]

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Pre-norm attention and MLP on `(B, N, C)`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, C)` to `(B, N, C)`."""
        q, k, v = rearrange(self.qkv(self.norm1(x)), "b n (three h c) -> three b h n c", three=3, h=self.heads)
        x = x + self.out(rearrange(F.scaled_dot_product_attention(q, k, v), "b h n c -> b n (h c)"))
        return x + self.mlp(self.norm2(x))


class Trunk(nn.Module):
    """Learned positions, norm, blocks, norm."""

    def __init__(self, *, positions: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.02 * torch.randn(positions, width))
        self.norm_in = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm_out = nn.LayerNorm(width)
        for layer in self.blocks.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, N, C)` to `(B, N, C)`, N the number of positions."""
        x = self.norm_in(x + self.positions)
        for block in self.blocks:
            x = block(x)
        return self.norm_out(x)


class ViTEncoder(nn.Module):
    """From one window of pixels to one latent vector a patch.

    Args:
        factor: Side of a patch, in pixels.
        window: Side of the window, in pixels; a multiple of `factor`.
        width: Channels of the trunk.
        depth: Number of blocks.
        heads: Attention heads.
        dimension: Length of a latent vector.
    """

    def __init__(self, *, factor: int, window: int, width: int, depth: int, heads: int, dimension: int) -> None:
        super().__init__()
        self.factor, self.window = factor, window
        self.embed = nn.Linear(3 * factor**2, width, bias=False)
        self.trunk = Trunk(positions=(window // factor) ** 2, width=width, depth=depth, heads=heads)
        self.head = nn.Linear(width, dimension)
        nn.init.trunc_normal_(self.embed.weight, std=0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Map `(B, 3, window, window)` in [0, 1] to latents `(B, dimension, h, w)`."""
        f = self.factor
        x = rearrange(2 * images - 1, "b c (h p) (w q) -> b (h w) (c p q)", p=f, q=f).to(self.embed.weight.dtype)
        z = self.head(self.trunk(self.embed(x)))
        return rearrange(z, "b (h w) d -> b d h w", h=images.shape[-2] // f)


class ViTDecoder(nn.Module):
    """From one code vector a patch to one window of pixels; arguments as for the encoder, and the `hidden` width."""

    def __init__(
        self, *, factor: int, window: int, width: int, depth: int, heads: int, dimension: int, hidden: int
    ) -> None:
        super().__init__()
        self.factor, self.window = factor, window
        self.embed = nn.Linear(dimension, width)
        self.trunk = Trunk(positions=(window // factor) ** 2, width=width, depth=depth, heads=heads)
        self.head = nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 3 * factor**2))
        for layer in self.head:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)

    def forward(self, codes: Tensor) -> Tensor:
        """Map codes `(B, dimension, h, w)` to pixels `(B, 3, window, window)`, near [0, 1] but not clamped."""
        h = codes.shape[-2]
        x = self.head(self.trunk(self.embed(rearrange(codes, "b d h w -> b (h w) d"))))
        pixels = rearrange(x, "b (h w) (c p q) -> b c (h p) (w q)", h=h, p=self.factor, q=self.factor)
        return (pixels + 1) / 2
