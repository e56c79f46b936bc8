"""A code: finitely many points of R^D, kept as small integers and one scale.

`K` is the number of codewords and `D` the dimension. The integers are the truth; a codeword is `integers / scale`,
and floats are only ever derived from it. The order of the rows is a promise: the fingerprint (SHA-256 of the int8
table in C order) names it, and every model file and compressed file carries it.
Codes that are no lattice (random points, Fibonacci points) are rounded to int16 once, and then are integers as well.
Source: Zhao et al., "Spherical Leech Quantization", arXiv:2512.14697, section 3.
"""

__all__ = ["Code"]

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError


@dataclass(frozen=True, eq=False)
class Code:
    """Finitely many distinct non-zero points, `integers · axes / scale`.

    Attributes:
        name: The name a registry, a model file and a compressed file know it by.
        integers: The table, int8 (int16 where eight bits are too few), shape (K, D), rows in the promised order.
        scale: The positive number that the integers are divided by; √32 for the shells of Λ24 used here.
        axes: A factor for each coordinate, for lattices that have no integer coordinates on equal axes (the
            Coxeter-Todd lattice); None is 1 everywhere.

    Raises:
        InputError: if the table is not a non-empty integer matrix, or a scale is not positive.
    """

    name: str
    integers: np.ndarray = field(repr=False)
    scale: float
    axes: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.integers.ndim != 2 or self.integers.dtype not in (np.int8, np.int16) or not self.integers.size:
            raise InputError(
                f"code {self.name!r}: expected an int8 or int16 table of shape (K, D), "
                f"got {self.integers.dtype} of shape {self.integers.shape}"
            )
        if not self.scale > 0:
            raise InputError(f"code {self.name!r}: the scale must be positive, got {self.scale}")
        if self.axes is not None and (len(self.axes) != self.dimension or min(self.axes) <= 0):
            raise InputError(
                f"code {self.name!r}: expected {self.dimension} positive factors, one an axis, got {self.axes}"
            )
        self.integers.flags.writeable = False

    @property
    def size(self) -> int:
        """Number of codewords, K."""
        return self.integers.shape[0]

    @property
    def dimension(self) -> int:
        """Dimension of the space, D."""
        return self.integers.shape[1]

    @property
    def bits(self) -> float:
        """Bits an index carries: log2 K, not rounded up."""
        return math.log2(self.size)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the table in C order, one byte an entry (two, little-endian, where it is int16)."""
        table = np.ascontiguousarray(self.integers, dtype=self.integers.dtype.newbyteorder("<"))
        return hashlib.sha256(table.tobytes()).hexdigest()

    @property
    def steps(self) -> np.ndarray:
        """What one unit of each coordinate is worth, axes / scale: float64, shape (D,)."""
        return np.asarray(self.axes or (1.0,) * self.dimension) / self.scale

    def __deepcopy__(self, memo: object) -> "Code":
        """The code itself: it cannot change, so copies of a model share it."""
        return self

    @cached_property
    def _table(self) -> Tensor:
        if self.axes is None:
            return torch.from_numpy(self.integers.astype(np.float32) / np.float32(self.scale))
        return torch.from_numpy((self.integers * self.steps).astype(np.float32))

    def integers_at(self, indices: Int[np.ndarray, "*batch"]) -> Int[np.ndarray, "*batch D"]:
        """The integers of codewords, rows of the table at these indices."""
        return self.integers[indices]

    def vectors(self) -> Float[Tensor, "K D"]:
        """All codewords as float32, shape (K, D). The tensor is shared: do not write into it."""
        return self._table

    def vectors_at(self, indices: Int[Tensor, "..."]) -> Float[Tensor, "... D"]:
        """The codewords at int64 indices, float32, shape (..., D), on the device of the indices.

        Raises:
            InputError: if an index lies outside [0, K).
        """
        if indices.numel():
            low, high = int(indices.min()), int(indices.max())
            if low < 0 or high >= self.size:
                raise InputError(
                    f"indices of {self.name!r} lie in [0, {self.size}), got {low if low < 0 else high}; "
                    "they were made with another codebook"
                )
        return self._table.to(indices.device)[indices]
