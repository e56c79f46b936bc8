"""A fixed code as a quantizer: Λ24-SQ, and every other finite set of integer points.

A spherical code (all points of one norm) takes its input to that sphere first, and the nearest codeword is the one of
greatest inner product. Nothing is learned and nothing is saved: the integers are rebuilt from the name, and a buffer
of int8 digits follows the module from device to device.
"""

__all__ = ["LatticeQuantizer"]

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.search.nearest import nearest
from workbench.lattices.search.ranking import MAX_K, nearest_k
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty, Quantizer
from workbench.quantizers.sphere import unit

_SAME_NORM = 3e-4
_MAX_HELD = 1 << 22


class LatticeQuantizer(Quantizer):
    """Nearest codeword of a fixed code.

    Attributes:
        code: The code; its fingerprint travels with model files.
        radius: Norm of the codewords where all agree (the input is projected to it), else None (it is not).

    Raises:
        InputError: if a point of the code is zero or comes twice.
    """

    code: Code
    digits: Tensor | None

    def __init__(
        self,
        code: Code,
        *,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__(
            name=code.name,
            dimension=code.dimension,
            size=code.size,
            estimator=estimator,
            penalty=penalty,
            scale=scale,
        )
        self.code = code
        self.radius = _radius(code)
        # The second shell of Λ24 has 402 MB of digits, and makes its vectors by rule.
        held = torch.tensor(code.integers) if code.size <= _MAX_HELD else None
        self.register_buffer("digits", held, persistent=False)

    @property
    def fingerprint(self) -> str:
        """The code's own."""
        return self.code.fingerprint

    def project(self, z: Tensor) -> Tensor:
        """The nearest point of the code's sphere, or the point itself where the code has none."""
        return z if self.radius is None else unit(z) * self.radius

    def search(self, point: Tensor) -> Tensor:
        """The nearest codeword, exact."""
        return nearest(point, self.code)

    def ranked(self, point: Tensor, k: int) -> Tensor:
        """The k nearest codewords, exact, at most 256."""
        return nearest_k(point, self.code, min(k, self.size, MAX_K))

    def lookup(self, indices: Tensor) -> Tensor:
        """Digits times axes over scale, the same floats as the code's own."""
        if self.digits is None:
            return self.code.vectors_at(indices)
        digits = self.digits[indices].float()
        if self.code.axes is not None:
            return digits.double().mul(digits.new_tensor(self.code.steps, dtype=torch.float64)).float()
        return digits / self.code.scale


def _radius(code: Code) -> float | None:
    """Norm of all codewords, or None where norms differ; checks that points are distinct and non-zero."""
    if code.size > _MAX_HELD:
        return float(code.vectors_at(torch.zeros((), dtype=torch.int64)).norm())
    zero = np.flatnonzero(~code.integers.any(axis=1))
    if zero.size:
        raise InputError(f"code {code.name!r}: row {zero[0]} is zero; every point must have a direction")
    distinct = _count_distinct(code.integers)
    if distinct != code.size:
        raise InputError(f"code {code.name!r}: {code.size} points of which only {distinct} differ; drop the repeats")
    norms = code.vectors().norm(dim=1)
    low, high = norms.min().item(), norms.max().item()
    # Random and Fibonacci points are rounded to 16 bits, which leaves their norms equal to four digits or more.
    return (low + high) / 2 if high - low < _SAME_NORM * high else None


def _count_distinct(integers: np.ndarray) -> int:
    """Number of distinct rows: by a 64-bit key each, and row by row only if two keys agree."""
    weights = np.random.default_rng(24).integers(1, 1 << 62, size=integers.shape[1])
    distinct = np.unique(integers.astype(np.int64) @ weights).size
    return distinct if distinct == len(integers) else np.unique(integers, axis=0).shape[0]
