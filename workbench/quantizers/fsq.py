"""Finite scalar quantization: a grid in a box, `L` levels on each axis.

`ẑ = tanh z` lies in the box [-1, 1]^D, which each axis cuts into `L_d` equal cells; the codeword is the centre of the
cell, `(2k + 1 − L)/L` for level `k`. In steps of one cell that is the paper's `(L/2)·tanh z`, rounded to the nearest
of `L` levels; for even `L` these are half-integers, so that there are `L` and not `L + 1`, and for odd `L` we take
`L/2` where the paper has `⌊L/2⌋`, so that the outer cells are as wide as the others. All cells are equal boxes.
So are the orthants of BSQ equal; what differs is roundness: the second moment of a cube in six dimensions is 15 % above
that of a ball of its volume, that of an orthant in 18 dimensions 32 % above that of a cap. Not a spherical code.
The index has one digit an axis, base `L_d`, first axis most significant; a point between two cells takes the lower.
Source: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", arXiv:2309.15505.
"""

__all__ = ["FiniteScalarQuantizer"]

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty, Quantizer
from workbench.quantizers.separable import least_sums


class FiniteScalarQuantizer(Quantizer):
    """Rounding on each axis of a box.

    Attributes:
        levels: Number of levels of each axis, each at least 2; their product is the size.

    Raises:
        InputError: if there are no levels, one is below 2, or their product does not fit an index.
    """

    def __init__(
        self,
        levels: Sequence[int] = (8, 8, 8, 6, 8, 8),
        *,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        levels = tuple(int(level) for level in levels)
        if not levels or min(levels) < 2:
            raise InputError(f"fsq: every axis needs at least 2 levels, got {list(levels)}")
        size = math.prod(levels)
        if size >= 1 << 63:
            raise InputError(f"fsq: {list(levels)} are {size} codewords, more than an int64 index can name")
        super().__init__(
            name="fsq", dimension=len(levels), size=size, estimator=estimator, penalty=penalty, scale=scale
        )
        self.levels = levels

    @property
    def rule(self) -> str:
        """Size and dimension do not say how many levels each axis has."""
        return "fsq levels=" + ",".join(map(str, self.levels))

    def project(self, z: Tensor) -> Tensor:
        """The point in the box."""
        return torch.tanh(z)

    def search(self, point: Tensor) -> Tensor:
        """Round on each axis, in float64, halves down."""
        self._check_finite(point)
        levels = self._levels(point)
        odd = levels % 2
        cell = torch.ceil(point.double() * levels / 2 + odd / 2) - 1 + (levels - odd) / 2
        digits = torch.minimum(cell.clamp_min(0), levels - 1).long()
        return (digits * self._weights(point)).sum(-1)

    def ranked(self, point: Tensor, k: int) -> Tensor:
        """The k nearest centres of cells."""
        rows = point.flatten(0, -2)
        centres = [(2 * torch.arange(n, device=point.device) + 1 - n).to(point.dtype) / n for n in self.levels]
        costs = [(column[:, None] - own).square() for column, own in zip(rows.unbind(1), centres, strict=True)]
        digits = least_sums(costs, k)
        return (digits * self._weights(point)).sum(-1).view(*point.shape[:-1], -1)

    def lookup(self, indices: Tensor) -> Tensor:
        """The centre of the cell."""
        levels = self._levels(indices)
        digits = indices.unsqueeze(-1) // self._weights(indices) % levels
        return ((2 * digits + 1 - levels).double() / levels).float()

    def _levels(self, like: Tensor) -> Tensor:
        return torch.tensor(self.levels, device=like.device)

    def _weights(self, like: Tensor) -> Tensor:
        weights = [math.prod(self.levels[axis + 1 :]) for axis in range(self.dimension)]
        return torch.tensor(weights, device=like.device)
