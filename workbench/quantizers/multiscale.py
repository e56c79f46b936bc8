"""Multi-scale residual quantization: a latent map as a sum of code grids, from one code for all of it to one a cell.

    f₀ = 0;   for each scale s:   r_s = area(z − f, s×s),   q_s = g_s · Q(r_s),   f ← f + φ_s(up(q_s))

`area` averages a map down to s × s, `up` resamples it to full size (bicubic, or bilinear as the published code's
trilinear is on one frame), Q is any quantizer, g_s the scale's *gain* and φ_s an optional residual convolution.
Unit vectors added again and again do not converge; with gains each scale lowers the error. A gain is what least
squares asks for, ⟨z − f, up(q)⟩ / ‖up(q)‖², and follows a running mean of it while `adapt` is above 0.
The gradient is straight-through for z, and real for φ. With `dropout`, a share of each training batch ends after a
random scale, so that coarse grids learn to stand for a coarse picture by themselves, and a generator's first scales
decide what the picture is. Tokens of all scales stand in one row, coarse to fine, each grid row by row: L = Σ s².
Sources: Tian et al., "Visual Autoregressive Modeling", arXiv:2404.02905; zhaoyue-zephyrus/InfinityCC; dropout after
Zeghidour et al., "SoundStream", arXiv:2107.03312.
"""

__all__ = ["SCHEDULES", "MultiScaleResidualQuantizer"]

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.quantizers.quantizer import Quantizer, QuantizeResult

SCHEDULES: Mapping[str, tuple[int, ...]] = {
    "small": (1, 2, 3, 4, 6, 8),  # 8×8 latents: 64-pixel pictures at 8 pixels a cell
    "dynamic": (1, 2, 4, 6, 8, 12, 16),  # of the released generators
    "original": (1, 2, 3, 4, 5, 6, 8, 10, 13, 16),  # the 10 steps of VAR
    "dense": tuple(range(1, 17)),
}


class MultiScaleResidualQuantizer(Quantizer):
    """A pyramid of code grids over any quantizer.

    Args:
        quantizer: Q; the codes of all scales are its codes.
        scales: Sides of the grids, ascending; the last is the side of the latent map. Or a name of `SCHEDULES`.
        gains: One for each scale; `published` is 1 for all; None starts from 1 and lets them adapt.
        up: How grids are resampled to full size.
        read: How the sum so far is brought to a scale's grid for a generator; the published ones interpolate.
        refine: Share of the residual convolutions in φ(x) = (1 − share)·x + share·conv(x); 0 has none.
        adapt: Weight of a batch in the running mean of the gains, in training; 0 keeps them as they are.
        dropout: Share of a training batch whose sum ends after a random scale.

    Raises:
        InputError: if the scales do not ascend, or a number is out of range.
    """

    gains: Tensor

    def __init__(
        self,
        quantizer: Quantizer,
        *,
        scales: Sequence[int] | str = "small",
        gains: Sequence[float] | Literal["published"] | None = None,
        up: Literal["bicubic", "bilinear"] = "bicubic",
        read: Literal["area", "bilinear"] = "area",
        refine: float = 0.0,
        adapt: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(name=f"multiscale-{quantizer.name}", dimension=quantizer.dimension, size=quantizer.size)
        if isinstance(scales, str):
            if scales not in SCHEDULES:
                raise InputError(f"no schedule of scales is called {scales!r}; known: {', '.join(SCHEDULES)}")
            scales = SCHEDULES[scales]
        self.scales = tuple(scales)
        if (
            not self.scales
            or self.scales[0] < 1
            or any(a >= b for a, b in zip(self.scales, self.scales[1:], strict=False))
        ):
            raise InputError(f"scales must be positive sides in ascending order, got {list(self.scales)}")
        values = [1.0] * len(self.scales) if gains is None or gains == "published" else [float(gain) for gain in gains]
        if len(values) != len(self.scales) or not all(0 < gain < 1e3 for gain in values):
            raise InputError(f"expected {len(self.scales)} gains above 0, one for each scale, got {values}")
        if up not in ("bicubic", "bilinear") or not 0 <= refine <= 1 or not 0 <= adapt <= 1:
            raise InputError(
                f"expected up bicubic or bilinear, and refine and adapt in [0, 1], got {up!r}, {refine} and {adapt}"
            )
        if read not in ("area", "bilinear") or not 0 <= dropout < 1:
            raise InputError(f"expected read area or bilinear, and dropout in [0, 1), got {read!r} and {dropout}")
        self.base, self.read = quantizer, read
        self.up, self.refine, self.adapt, self.dropout = up, refine, adapt, dropout
        self.register_buffer("gains", torch.tensor(values))
        self.convolutions = nn.ModuleList()
        if refine:
            for _ in self.scales:
                self.convolutions.append(nn.Conv2d(self.dimension, self.dimension, 3, padding=1))

    # ---- facts

    @property
    def side(self) -> int:
        """Side of the latent map, in cells."""
        return self.scales[-1]

    @property
    def length(self) -> int:
        """Tokens of a map, L."""
        return sum(scale**2 for scale in self.scales)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each scale begins in a row of tokens, and where the last one ends."""
        ends = torch.tensor([0, *(scale**2 for scale in self.scales)]).cumsum(0)
        return tuple(ends.tolist())

    @property
    def fingerprint(self) -> str:
        """That of the codebook; scales and gains stand in the configuration."""
        return self.base.fingerprint

    # ---- single vectors

    def project(self, z: Tensor) -> Tensor:
        """As the quantizer beneath."""
        return self.base.project(z)

    def search(self, point: Tensor) -> Tensor:
        """As the quantizer beneath."""
        return self.base.search(point)

    def lookup(self, indices: Tensor) -> Tensor:
        """As the quantizer beneath."""
        return self.base.lookup(indices)

    # ---- maps

    def forward(self, z: Tensor, *, channel_first: bool | None = None) -> QuantizeResult:
        """Quantize maps (B, D, side, side); indices have shape (B, L), coarse to fine.

        Raises:
            InputError: if the shape is another.
        """
        self._check_map(z, channel_first)
        with torch.autocast(z.device.type, enabled=False):
            target = z.detach().float()
            total, carrier = torch.zeros_like(target), z.float()
            early = round(self.dropout * len(z)) if self.training and torch.is_grad_enabled() else 0
            last = int(torch.randint(len(self.scales), ())) if early else -1
            kept = total[:early]
            indices, info = [], {}
            for step, scale in enumerate(self.scales):
                residual = target - total.detach()
                small = residual if scale == self.side else F.interpolate(residual, size=(scale, scale), mode="area")
                found = self.base(small, channel_first=True)
                part = self._spread(found.quantized.detach() / self.base.scale, step)
                if self.training and self.adapt and torch.is_grad_enabled():
                    self._follow(step, residual, part.detach())
                total = total + self.gains[step].clone() * part  # a copy: the next batch changes the gain in place
                indices.append(found.indices.flatten(1))
                info[f"error_{scale}"] = (target - total.detach()).square().sum(1).mean()
                if step == last:
                    kept = total[:early]
                    coarse = F.interpolate(carrier[:early], size=(scale, scale), mode="area")
                    carrier = torch.cat([self._resized(coarse), carrier[early:]])
            info["norm"] = target.norm(dim=1).mean()
            shown = torch.cat([kept, total[early:]])
            quantized = shown + (carrier - carrier.detach())  # straight-through for z, real for the convolutions
            aux_loss = self._aux_loss(z.float().movedim(1, -1), total.detach().movedim(1, -1))
        return QuantizeResult(quantized.to(z.dtype), torch.cat(indices, 1), aux_loss, info)

    def indices_to_codes(self, indices: Tensor, *, channel_first: bool | None = None) -> Tensor:
        """The sum of the code grids, (B, D, side, side), of rows of tokens (B, n).

        A row may end after any scale: the map is then the sum so far.

        Raises:
            InputError: if a row ends within a scale or an index is out of range.
        """
        del channel_first
        grids = self.split(indices)
        total = indices.new_zeros((len(indices), self.dimension, self.side, self.side), dtype=torch.float32)
        for step, grid in enumerate(grids):
            total = self.add(total, grid, step)
        return total

    def codes_to_indices(self, codes: Tensor, *, channel_first: bool | None = None) -> Tensor:
        """Rows of tokens (B, L) of maps, as :meth:`forward` finds them."""
        with torch.no_grad():
            return self(codes, channel_first=channel_first).indices

    def split(self, indices: Tensor) -> list[Tensor]:
        """Rows of tokens (B, n) as grids (B, s, s), coarse to fine; n ends with a scale."""
        starts = self.starts
        if indices.ndim != 2 or indices.shape[1] not in starts:
            raise InputError(
                f"expected rows of tokens that end with a scale, of length {', '.join(map(str, starts[1:]))}; "
                f"got shape {tuple(indices.shape)}"
            )
        self._check_indices(indices)
        count = starts.index(indices.shape[1])
        return [
            indices[:, starts[step] : starts[step + 1]].unflatten(1, (scale, scale))
            for step, scale in enumerate(self.scales[:count])
        ]

    def add(self, total: Tensor, grid: Tensor, step: int) -> Tensor:
        """The map `total` (B, D, side, side) plus the code grid (B, s, s) of one scale."""
        return total + self.gains[step] * self._spread(self.base.lookup(grid).movedim(-1, 1), step)

    def inputs(self, indices: Tensor) -> Tensor:
        """What a generator sees before each scale but the first: the sum so far, brought to the scale's grid.

        Args:
            indices: Rows of tokens (B, L).

        Returns:
            Shape (B, L − s₀², D), cells in the order of the tokens they stand for.
        """
        total = indices.new_zeros((len(indices), self.dimension, self.side, self.side), dtype=torch.float32)
        found = [total.new_empty(len(indices), 0, self.dimension)]
        for step, grid in enumerate(self.split(indices)):
            if step + 1 < len(self.scales):
                total = self.add(total, grid, step)
                found.append(self.next_input(total, step + 1))
        return torch.cat(found, 1)

    def corrected(
        self, indices: Tensor, *, share: float, generator: torch.Generator, until: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Rows with mistakes as a generator will make them, and what each scale should answer to them.

        In a share of the cells another codeword, drawn evenly, is added to the sum in place of the right one. The
        cells of the scales after it are quantized again, so that they correct what the sum has wrong; what a row is
        drawn towards is the sum of all of its own grids.

        Args:
            indices: Rows of tokens (B, L).
            share: Of the cells to get wrong, in [0, 1].
            generator: Source of randomness.
            until: Scales before this number may get cells wrong; None for all but the last.

        Returns:
            Inputs (B, L − s₀², D) as :meth:`inputs` gives them, and rows (B, L) to predict.
        """
        until = len(self.scales) - 1 if until is None else until
        target = self.indices_to_codes(indices)
        total = torch.zeros_like(target)
        inputs, rows = [], []
        for step, grid in enumerate(self.split(indices)):
            scale = self.scales[step]
            if step:
                inputs.append(self.next_input(total, step))
                missing = target - total
                small = missing if scale == self.side else F.interpolate(missing, size=(scale, scale), mode="area")
                grid = self.base(small, channel_first=True).indices
            rows.append(grid.flatten(1))
            wrong = torch.randint(self.size, grid.shape, generator=generator).to(grid.device)
            luck = torch.rand(grid.shape, generator=generator).to(grid.device)
            made = torch.where(luck < share, wrong, grid) if step < until else grid
            total = self.add(total, made, step)
        empty = target.new_empty(len(indices), 0, self.dimension)
        return torch.cat([empty, *inputs], 1), torch.cat(rows, 1)

    def next_input(self, total: Tensor, step: int) -> Tensor:
        """The sum so far (B, D, side, side) as the cells of scale `step`, (B, s², D)."""
        scale = self.scales[step]
        if scale != self.side:
            corners = None if self.read == "area" else False
            total = F.interpolate(total, size=(scale, scale), mode=self.read, align_corners=corners)
        return total.flatten(2).mT

    # ---- parts

    def _spread(self, codes: Tensor, step: int) -> Tensor:
        """A code grid (B, D, s, s) at full size, before its gain."""
        codes = self._resized(codes)
        if self.refine:
            codes = (1 - self.refine) * codes + self.refine * self.convolutions[step](codes)
        return codes

    def _resized(self, grid: Tensor) -> Tensor:
        """A grid (B, D, s, s) at full size."""
        if grid.shape[-1] == self.side:
            return grid
        return F.interpolate(grid, size=(self.side, self.side), mode=self.up, align_corners=False)

    def _follow(self, step: int, residual: Tensor, part: Tensor) -> None:
        """Move a gain towards the least-squares one of this batch."""
        best = (residual * part).sum() / part.square().sum().clamp(min=1e-12)
        self.gains[step].lerp_(best.clamp(1e-3, 1e2).to(self.gains.dtype), self.adapt)

    def _check_map(self, z: Tensor, channel_first: bool | None) -> None:
        shape = (self.dimension, self.side, self.side)
        if channel_first is False or z.ndim != 4 or tuple(z.shape[1:]) != shape or not z.is_floating_point():
            raise InputError(
                f"{self.name} with scales {list(self.scales)} takes floating maps of shape (B, {self.dimension}, "
                f"{self.side}, {self.side}), got {z.dtype} of shape {tuple(z.shape)}"
            )
