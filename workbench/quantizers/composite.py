"""Quantizers made of quantizers: the parts of a vector one by one, or what is left of it again and again.

*Product*: a vector is cut into parts, each quantized by its own quantizer; one index names the tuple, first part most
significant. Three times E8 is a code of 240³ words in 24 dimensions.

*Residual*: `ẑ ≈ g₁·q₁ + g₂·q₂ + …`, where `q₁` is the codeword of `ẑ` and each next one that of what is left. An index
has one entry for each depth, on a last axis, so that a prefix is a coarser index. For a spherical code the gain that
leaves least is the mean cosine `c` between a point and its codeword, and leaves `√(1 − c²)` of the norm, so by default
`g_k = c·(1 − c²)^((k−1)/2)`, with the `c` of an ideal code of that size (see `lattices/geometry.py`).
Source: Gray and Neuhoff, "Quantization" (1998), sections V; Lee et al., arXiv:2203.01941.
"""

__all__ = ["ProductQuantizer", "ResidualQuantizer", "ideal_gains"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workbench.errors import InputError
from workbench.lattices.geometry import cap_bound
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty, Quantizer
from workbench.quantizers.separable import least_sums


class ProductQuantizer(Quantizer):
    """A quantizer for each part of the vector.

    Attributes:
        parts: The quantizers, first channels first.

    Raises:
        InputError: if there is no part, or their product does not fit an int64 index.
    """

    def __init__(
        self,
        parts: Sequence[Quantizer],
        *,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        if not parts:
            raise InputError("product: expected at least one quantizer, got none")
        size = math.prod(part.size for part in parts)
        if size >= 1 << 63:
            raise InputError(f"product: {size:.3g} codewords are more than an int64 index can name; take fewer parts")
        super().__init__(
            name="product",
            dimension=sum(part.dimension for part in parts),
            size=size,
            estimator=estimator,
            penalty=penalty,
            scale=scale,
        )
        self.parts = nn.ModuleList(parts)
        self._widths = [part.dimension for part in parts]
        self._weights = [math.prod(part.size for part in parts[place + 1 :]) for place in range(len(parts))]

    @property
    def rule(self) -> str:
        """The parts' fingerprints in order."""
        return "product " + " ".join(part.fingerprint for part in self._quantizers())

    def project(self, z: Tensor) -> Tensor:
        """Each part's own projection."""
        parts = zip(self._quantizers(), z.split(self._widths, dim=-1), strict=True)
        return torch.cat([part.project(rows) for part, rows in parts], dim=-1)

    def search(self, point: Tensor) -> Tensor:
        """Each part's own search, joined to one index."""
        pieces = point.split(self._widths, dim=-1)
        own = [part.search(rows) for part, rows in zip(self._quantizers(), pieces, strict=True)]
        return torch.stack([index * weight for index, weight in zip(own, self._weights, strict=True)]).sum(0)

    def ranked(self, point: Tensor, k: int) -> Tensor:
        """The k nearest combinations of the k nearest codewords of each part."""
        rows = point.flatten(0, -2)
        own, costs = [], []
        for part, piece in zip(self._quantizers(), rows.split(self._widths, dim=-1), strict=True):
            own.append(part.ranked(piece, k))
            costs.append((part.lookup(own[-1]).to(piece.dtype) - piece[:, None]).square().sum(-1))
        places = least_sums(costs, k)
        chosen = [index.gather(1, place) for index, place in zip(own, places.unbind(-1), strict=True)]
        joined = torch.stack([index * weight for index, weight in zip(chosen, self._weights, strict=True)]).sum(0)
        return joined.view(*point.shape[:-1], -1)

    def lookup(self, indices: Tensor) -> Tensor:
        """Each part's codeword, side by side."""
        parts = zip(self._quantizers(), self._weights, strict=True)
        return torch.cat([part.lookup(indices // weight % part.size) for part, weight in parts], dim=-1)

    @property
    def ready(self) -> bool:
        """Whether all parts are."""
        return all(part.ready for part in self._quantizers())

    def prepare(self, z: Tensor) -> None:
        """Each part with its own channels."""
        for part, rows in zip(self._quantizers(), z.split(self._widths, dim=-1), strict=True):
            part.prepare(rows)

    def observe(self, point: Tensor, indices: Tensor) -> None:
        """Each part with its own channels."""
        pieces = point.split(self._widths, dim=-1)
        for part, weight, rows in zip(self._quantizers(), self._weights, pieces, strict=True):
            part.observe(rows, indices // weight % part.size)

    def _quantizers(self) -> list[Quantizer]:
        return list(self.parts)  # type: ignore[arg-type]


class ResidualQuantizer(Quantizer):
    """Depth after depth, each quantizing what the ones before left.

    Attributes:
        depths: The quantizers; the first one's projection is taken, the others quantize what is left as it is.
        gains: What each codeword is multiplied by.

    Raises:
        InputError: if there is no depth, dimensions differ, gains do not match, or gains are missing where codewords
            are not all of one norm.
    """

    def __init__(
        self,
        depths: Sequence[Quantizer],
        *,
        gains: Sequence[float] | None = None,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        if not depths or len({depth.dimension for depth in depths}) != 1:
            raise InputError(
                "residual: expected one quantizer or more of one dimension, "
                f"got dimensions {[depth.dimension for depth in depths]}"
            )
        gains = tuple(gains) if gains is not None else ideal_gains(depths)
        if len(gains) != len(depths) or not all(gain > 0 for gain in gains):
            raise InputError(f"residual: expected {len(depths)} positive gains, one a depth, got {list(gains)}")
        super().__init__(
            name="residual",
            dimension=depths[0].dimension,
            size=math.prod(depth.size for depth in depths),
            estimator=estimator,
            penalty=penalty,
            scale=scale,
        )
        self.depths = nn.ModuleList(depths)
        self.gains = gains

    @property
    def stages(self) -> tuple[Quantizer, ...]:
        """The quantizers of the depths."""
        return tuple(self._quantizers())

    @property
    def index_shape(self) -> tuple[int, ...]:
        """One axis with an entry for each depth."""
        return (len(self.depths),)

    @property
    def rule(self) -> str:
        """The fingerprints of the depths and their gains."""
        parts = zip(self._quantizers(), self.gains, strict=True)
        return "residual " + " ".join(f"{depth.fingerprint}*{gain!r}" for depth, gain in parts)

    def project(self, z: Tensor) -> Tensor:
        """The projection of the first depth."""
        return self._quantizers()[0].project(z)

    def search(self, point: Tensor) -> Tensor:
        """Indices of all depths, stacked on a last axis."""
        left, indices = point, []
        for depth, gain in zip(self._quantizers(), self.gains, strict=True):
            indices.append(depth.search(left / gain))
            left = left - gain * depth.lookup(indices[-1]).to(left.dtype)
        return torch.stack(indices, dim=-1)

    def neighbours(self, point: Tensor, indices: Tensor, k: int) -> Tensor:
        """Indices that differ in one stage: there, of the codewords nearest to what the others leave of each row.

        Of the k, each stage gives its share, the first ones first where k is no multiple; nearest first over all.
        """
        codes = [
            g * depth.lookup(own)
            for depth, g, own in zip(self._quantizers(), self.gains, indices.unbind(-1), strict=True)
        ]
        total = torch.stack(codes).sum(0)
        found, costs = [], []
        for place, (depth, gain) in enumerate(zip(self._quantizers(), self.gains, strict=True)):
            share = k // len(codes) + (place < k % len(codes))
            left = point - (total - codes[place]).to(point.dtype)
            own = depth.ranked(left / gain, share)
            every = indices.unsqueeze(-2).repeat_interleave(own.shape[-1], dim=-2)
            every[..., place] = own
            found.append(every)
            costs.append((gain * depth.lookup(own).to(point.dtype) - left.unsqueeze(-2)).square().sum(-1))
        order = torch.cat(costs, dim=-1).sort(dim=-1, stable=True).indices
        return torch.cat(found, dim=-2).gather(-2, order.unsqueeze(-1).expand(*order.shape, len(codes)))

    def lookup(self, indices: Tensor) -> Tensor:
        """The sum of the codewords times their gains."""
        return self.partial_sums(indices)[-1]

    def partial_sums(self, indices: Tensor) -> Tensor:
        """The approximation after each depth, unscaled: shape (n, ..., D)."""
        parts = zip(self._quantizers(), self.gains, indices.unbind(-1), strict=True)
        return torch.stack([gain * depth.lookup(own) for depth, gain, own in parts]).cumsum(0)

    @property
    def ready(self) -> bool:
        """Whether all depths are."""
        return all(depth.ready for depth in self._quantizers())

    def prepare(self, z: Tensor) -> None:
        """Each depth with what the ones before leave of the batch."""
        left = self.project(z)
        for depth, gain in zip(self._quantizers(), self.gains, strict=True):
            depth.prepare(left / gain)
            left = left - gain * depth.lookup(depth.search(left / gain)).to(left.dtype)

    def observe(self, point: Tensor, indices: Tensor) -> None:
        """Each depth with what the ones before left."""
        sums = self.partial_sums(indices).to(point.dtype)
        lefts = [point, *(point - own for own in sums[:-1])]
        for depth, gain, left, own in zip(self._quantizers(), self.gains, lefts, indices.unbind(-1), strict=True):
            depth.observe(left / gain, own)

    def _check_indices(self, indices: Tensor) -> None:
        if indices.ndim == 0 or indices.shape[-1] != len(self.depths):
            raise InputError(
                f"residual: expected indices with {len(self.depths)} entries on the last axis, one a depth, "
                f"got shape {tuple(indices.shape)}"
            )
        for depth, own in zip(self._quantizers(), indices.unbind(-1), strict=True):
            depth._check_indices(own)

    def _quantizers(self) -> list[Quantizer]:
        return list(self.depths)  # type: ignore[arg-type]


def ideal_gains(depths: Sequence[Quantizer]) -> tuple[float, ...]:
    """The gains for which each depth leaves least, were its code ideal and what is left uniform in direction.

    Raises:
        InputError: if a quantizer's codewords are not all of one norm.
    """
    gains, left = [], 1.0
    for depth in depths:
        radius = getattr(depth, "radius", None)
        if radius is None:
            raise InputError(f"residual: {depth.name!r} is not a spherical code, so its gains have to be given")
        cosine = 1 - cap_bound(depth.dimension, depth.size) / 2
        gains.append(round(left * cosine / radius, 6))
        left *= math.sqrt(1 - cosine**2)
    return tuple(gains)
