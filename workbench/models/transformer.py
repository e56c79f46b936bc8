"""The trunk of the generator: a transformer over scales, each of which sees itself and all coarser ones.

    x ← x + γ₁ · attention(norm(x)·(1 + a₁) + b₁);   x ← x + γ₂ · mlp(norm(x)·(1 + a₂) + b₂)

The six modulations come from the class, by one linear map for the whole net plus a table for each block (*shared*), or
by a linear map of each block (*unshared*). Queries and keys are unit vectors (cosine attention) with a learned
sharpness for each head; positions enter by rotation, half of the pairs of a head turning with the row and half with
the column: of the cell's centre, measured in cells of the finest grid, at rates 100^(-j/n); or, as in the published
models, of its corner on a grid of 64, rounded, at rates 10,000^(-j/n).
Sources: Tian et al., arXiv:2404.02905; Peebles and Xie, arXiv:2212.09748; zhaoyue-zephyrus/InfinityCC.
"""

__all__ = ["Block", "Cache", "Rotation", "Transformer", "attend", "block_causal", "levels_of"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import InputError

_SHARPEST = math.log(100.0)


@dataclass
class Cache:
    """Rotated keys and values of the scales done so far, a pair of lists for each block.

    Attributes:
        keys: For each block, tensors (B, heads, n, head width), one a scale.
        values: Likewise.
    """

    keys: dict[int, list[Tensor]] = field(default_factory=dict)
    values: dict[int, list[Tensor]] = field(default_factory=dict)

    def extend(self, block: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add a scale's keys and values; returns those of all scales so far."""
        self.keys.setdefault(block, []).append(keys)
        self.values.setdefault(block, []).append(values)
        return torch.cat(self.keys[block], 2), torch.cat(self.values[block], 2)


class Rotation:
    """Cosines and sines for the cells of grids, by the centre or the corner of each cell.

    Args:
        scales: Sides of the grids.
        head_width: Numbers a head; a multiple of 4.
        positions: `centres` of the finest grid, or `corners` of a grid of 64.

    Raises:
        InputError: if the width of a head is no multiple of 4, or the positions are neither.
    """

    def __init__(self, scales: Sequence[int], head_width: int, positions: str = "centres") -> None:
        if head_width % 4:
            raise InputError(
                f"the width of a head must be a multiple of 4 to rotate rows and columns, got {head_width}"
            )
        if positions not in ("centres", "corners"):
            raise InputError(f"positions are centres or corners, got {positions!r}")
        quarter = head_width // 4
        corners = positions == "corners"
        rates = (10_000.0 if corners else 100.0) ** (-torch.arange(quarter, dtype=torch.float64) / quarter)
        angles = []
        for scale in scales:
            cells = torch.arange(scale, dtype=torch.float64)
            places = (cells * 64 / scale).round() if corners else (cells + 0.5) * scales[-1] / scale
            rows, columns = torch.meshgrid(places, places, indexing="ij")
            angles.append(torch.cat([rows.flatten()[:, None] * rates, columns.flatten()[:, None] * rates], -1))
        self.angles = torch.cat(angles).float()  # shape: (L, head width / 2)

    def __call__(self, x: Tensor, cells: Tensor) -> Tensor:
        """Rotate pairs of neighbours in (B, heads, n, head width); `cells` (n,) says where they stand in a row."""
        angles = self.angles[cells.to(self.angles.device)].to(x.device)
        cosines, sines = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        first, second = x[..., 0::2], x[..., 1::2]
        return torch.stack([first * cosines - second * sines, first * sines + second * cosines], -1).flatten(-2)


def levels_of(scales: Sequence[int]) -> Tensor:
    """Number of the scale of each cell of a row, int64 (L,)."""
    return torch.cat([torch.full((scale**2,), step) for step, scale in enumerate(scales)])


def block_causal(levels: Tensor) -> Tensor:
    """Which cell may look at which, of cells on these scales (n,): true where the second's is not finer; (n, n)."""
    return levels[:, None] >= levels[None, :]


def attend(queries: Tensor, keys: Tensor, values: Tensor, levels: Tensor | None) -> Tensor:
    """Attention of unit queries already sharpened, (B, heads, n, head width).

    Args:
        queries: Of the n cells.
        keys: Of these and perhaps earlier cells.
        values: Likewise.
        levels: Number of the scale of each cell, (n,): block-causal; None where every key may be seen.
    """
    if levels is None:
        return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)
    levels = levels.to(queries.device)
    if queries.device.type == "cuda" and queries.shape[2] >= 256:
        return _flexible(queries, keys, values, levels)
    mask = block_causal(levels)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=1.0)


def _flexible(queries: Tensor, keys: Tensor, values: Tensor, levels: Tensor) -> Tensor:
    """The same by FlexAttention, which skips the blocks that are masked; compiled on a GPU."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    length = len(levels)
    mask = create_block_mask(
        lambda batch, head, query, key: levels[query] >= levels[key],  # noqa: ARG005 - the signature it asks for
        B=None,
        H=None,
        Q_LEN=length,
        KV_LEN=length,
        device=queries.device,
    )
    function = torch.compile(flex_attention) if queries.device.type == "cuda" else flex_attention
    return function(queries, keys, values, block_mask=mask, scale=1.0)


class Block(nn.Module):
    """Attention and a two-layer perceptron, each modulated by the class.

    Args:
        width: C.
        heads: Attention heads.
        hidden: Width inside the perceptron.
        unshared: Whether the block has a linear map of its own for its modulation.
        depth: Blocks in all, for the scale of the initial weights.
    """

    def __init__(self, width: int, heads: int, hidden: int, *, unshared: bool, depth: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.sharpness = nn.Parameter(torch.full((heads, 1, 1), math.log(4.0)))
        self.proj = nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        for layer, std in ((self.qkv, 0.02), (self.fc1, 0.02), (self.proj, 1.0), (self.fc2, 1.0)):
            nn.init.trunc_normal_(layer.weight, std=std if std < 1 else 0.02 / math.sqrt(2 * depth))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.modulation = nn.Linear(width, 6 * width) if unshared else None
        self.offset = None if unshared else nn.Parameter(torch.zeros(6 * width))
        if self.modulation is not None:
            nn.init.trunc_normal_(self.modulation.weight, std=1e-3)
            nn.init.zeros_(self.modulation.bias)

    def forward(
        self, x: Tensor, condition: Tensor, rotate: Rotation, cells: Tensor, levels: Tensor | None, past: "_Past"
    ) -> Tensor:
        """Map (B, n, C) to (B, n, C).

        Args:
            x: Some cells.
            condition: SiLU of the class vector (B, C) if unshared, else the shared modulation (B, 6C).
            rotate: Positions.
            cells: Where they stand in a row, (n,).
            levels: Numbers of their scales, (n,): block-causal; None where all keys may be seen.
            past: Where keys and values of earlier scales are, if anywhere.
        """
        modulation = condition if self.modulation is None else self.modulation(condition)
        if self.offset is not None:
            modulation = modulation + self.offset
        gate1, gate2, scale1, scale2, shift1, shift2 = modulation.float()[:, None].chunk(6, -1)
        x = x + (1 + gate1) * self._attention(_modulated(x, scale1, shift1), rotate, cells, levels, past)
        inner = F.gelu(self.fc1(_modulated(x, scale2, shift2).to(self.fc1.weight.dtype)), approximate="tanh")
        return x + (1 + gate2) * self.fc2(inner)

    def _attention(self, x: Tensor, rotate: Rotation, cells: Tensor, levels: Tensor | None, past: "_Past") -> Tensor:
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        parts = rearrange(
            F.linear(x.to(bias.dtype), self.qkv.weight, bias), "b n (t h d) -> t b h n d", t=3, h=self.heads
        )
        queries, keys = (rotate(F.normalize(part.float(), dim=-1), cells) for part in parts[:2])
        queries = queries * self.sharpness.float().clamp(max=_SHARPEST).exp()
        values = parts[2]
        queries, keys = queries.to(values.dtype), keys.to(values.dtype)
        if past is not None:
            keys, values = past[0].extend(past[1], keys, values)
        return self.proj(rearrange(attend(queries, keys, values, levels), "b h n d -> b n (h d)"))


_Past = tuple[Cache, int] | None


class Transformer(nn.Module):
    """The trunk: embedded cells in, features out.

    Args:
        width: C.
        depth: Blocks.
        heads: Attention heads.
        scales: Sides of the grids.
        modulation: `shared` or `unshared`.
        mlp_ratio: Width inside the perceptrons, over C.
        drop_path: Largest probability, in training, that a block is left out for a sample; linear over depth.
        positions: `centres` or `corners`, see :class:`Rotation`.

    Raises:
        InputError: if the width is no multiple of the heads.
    """

    def __init__(
        self,
        *,
        width: int,
        depth: int,
        heads: int,
        scales: Sequence[int],
        modulation: Literal["shared", "unshared"] = "shared",
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        positions: Literal["centres", "corners"] = "centres",
    ) -> None:
        super().__init__()
        if width % heads or modulation not in ("shared", "unshared"):
            raise InputError(
                f"width={width} must be a multiple of heads={heads}, and modulation shared or unshared, "
                f"got {modulation!r}"
            )
        self.scales, self.drop_path = tuple(scales), drop_path
        self.rotate = Rotation(self.scales, width // heads, positions)
        unshared = modulation == "unshared"
        hidden = round(mlp_ratio * width)
        self.blocks = nn.ModuleList(Block(width, heads, hidden, unshared=unshared, depth=depth) for _ in range(depth))
        self.shared = None if unshared else nn.Linear(width, 6 * width)
        self.final = nn.Linear(width, 2 * width)
        for layer in (self.final, *([self.shared] if self.shared else [])):
            nn.init.trunc_normal_(layer.weight, std=1e-3)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: Tensor, condition: Tensor, *, cells: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Map embedded cells (B, n, C) to features (B, n, C), in float32.

        Args:
            x: All cells, or some; with a cache, those of one scale.
            condition: Class vectors (B, C).
            cells: Where these stand in a row, ascending (n,); None for all.
            cache: Keys and values of the scales before; those of this one are added.
        """
        cells = torch.arange(x.shape[1]) if cells is None else cells
        levels = levels_of(self.scales)[cells] if cache is None else None
        active = F.silu(condition)
        shared = active if self.shared is None else self.shared(active)
        for number, block in enumerate(self.blocks):
            past = None if cache is None else (cache, number)
            after = block(x, shared, self.rotate, cells, levels, past)
            drop = self.drop_path * number / max(1, len(self.blocks) - 1)
            if self.training and drop:
                kept = (torch.rand(len(x), 1, 1, device=x.device) >= drop).to(x.dtype) / (1 - drop)
                after = x + kept * (after - x)
            x = after
        scale, shift = self.final(active).float()[:, None].chunk(2, -1)
        return _modulated(x, scale, shift)


def _modulated(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Layer norm without weights, then the class's scale and shift; in float32."""
    return F.layer_norm(x.float(), x.shape[-1:], eps=1e-6) * (1 + scale) + shift
