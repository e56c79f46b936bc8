"""Binary spherical quantization: the corners of the cube, scaled to the unit sphere.

`ẑ = z/‖z‖`, codewords `(±1, …, ±1)/√D`, all 2^D of them; the nearest has the signs of `ẑ`. The index has one bit a
coordinate, 1 for plus, first coordinate most significant; a zero counts as minus, the lower index.
Least distance 2/√D. As a lattice code: generator I/√D, ‖λ‖₀ = D.
Source: Zhao et al., "Image and Video Tokenization with Binary Spherical Quantization", arXiv:2406.07548.
"""

__all__ = ["MAX_BITS", "BinaryQuantizer", "bsq"]

import math

import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty, Quantizer
from workbench.quantizers.separable import least_sums
from workbench.quantizers.sphere import unit

MAX_BITS = 62  # an index is an int64


class BinaryQuantizer(Quantizer):
    """The sign of each coordinate.

    Attributes:
        magnitude: Size of each coordinate of a codeword.
        radius: Norm of the codewords, to which the input is projected; None where it is not projected.

    Raises:
        InputError: if the dimension is not in 1 … 62.
    """

    def __init__(
        self,
        *,
        name: str,
        dimension: int,
        magnitude: float,
        spherical: bool,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        if not 1 <= dimension <= MAX_BITS:
            raise InputError(
                f"{name}: an index has one bit a dimension, so 1 to {MAX_BITS} are possible; got {dimension}"
            )
        super().__init__(
            name=name, dimension=dimension, size=1 << dimension, estimator=estimator, penalty=penalty, scale=scale
        )
        self.magnitude = magnitude
        self.radius = magnitude * math.sqrt(dimension) if spherical else None

    def project(self, z: Tensor) -> Tensor:
        """The point of the codewords' sphere, or the point itself."""
        return z if self.radius is None else unit(z) * self.radius

    def search(self, point: Tensor) -> Tensor:
        """The signs as bits."""
        self._check_finite(point)
        return ((point > 0).long() << self._shifts(point)).sum(-1)

    def ranked(self, point: Tensor, k: int) -> Tensor:
        """The k nearest corners: those whose wrong signs cost least."""
        rows = point.flatten(0, -2)
        costs = [torch.stack([column, -column], dim=1) for column in rows.unbind(1)]
        bits = least_sums(costs, k)
        return (bits << self._shifts(bits)).sum(-1).view(*point.shape[:-1], -1)

    def lookup(self, indices: Tensor) -> Tensor:
        """The bits as signs."""
        bits = (indices.unsqueeze(-1) >> self._shifts(indices)) & 1
        return (2 * bits - 1).float() * self.magnitude

    def _shifts(self, like: Tensor) -> Tensor:
        return torch.arange(self.dimension - 1, -1, -1, device=like.device)


def bsq(
    dimension: int = 18,
    *,
    estimator: Estimator = straight_through,
    penalty: Penalty | None = None,
    scale: float = 1.0,
) -> BinaryQuantizer:
    """Binary spherical quantization with `dimension` bits."""
    magnitude = 1 / math.sqrt(max(dimension, 1))
    return BinaryQuantizer(
        name="bsq",
        dimension=dimension,
        magnitude=magnitude,
        spherical=True,
        estimator=estimator,
        penalty=penalty,
        scale=scale,
    )
