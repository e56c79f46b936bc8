"""A code: finitely many points of R^D, kept as small integers and one scale.

`K` is the number of codewords and `D` the dimension. The integers are the truth; a codeword is `integers / scale`,
and floats are only ever derived from it. The order of the rows is a promise: the fingerprint (SHA-256 of the int8
table in C order) names it, and every model file and compressed file carries it.
Codes that are no lattice (random points, Fibonacci points) are rounded to int16 once, and then are integers as well.
A code too large for a table has a `Rule`, which makes the rows that are asked for. Only `vectors` and `vectors_at`,
which give tensors, need torch.
Source: Zhao et al., "Spherical Leech Quantization", arXiv:2512.14697, section 3.
"""

from __future__ import annotations

__all__ = ["Code", "Rule"]

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

_CHUNK = 1 << 18  # rows at a time


@dataclass(frozen=True, eq=False)
class Rule:
    """Rows of a code that are made when they are asked for.

    Attributes:
        size: Number of codewords, K.
        dimension: Dimension of the space, D.
        fingerprint: SHA-256 (hex) of the int8 table, which need not be made for it.
        rows: From indices in [0, K), int64, shape (n,), to their rows, int8, shape (n, D).
    """

    size: int
    dimension: int
    fingerprint: str
    rows: Callable[[np.ndarray], np.ndarray] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Code:
    """Finitely many distinct non-zero points, `integers · axes / scale`.

    Attributes:
        name: The name a registry, a model file and a compressed file know it by.
        table: The integers, int8 (int16 where eight bits are too few), shape (K, D), rows in the promised order; or the
            rule that makes them.
        scale: The positive number that the integers are divided by; √32 for the first shell of Λ24.
        axes: A factor for each coordinate, for lattices that have no integer coordinates on equal axes (the
            Coxeter-Todd lattice); None is 1 everywhere.

    Raises:
        InputError: if the table is not a non-empty integer matrix, or a scale is not positive.
    """

    name: str
    table: np.ndarray | Rule = field(repr=False)
    scale: float
    axes: tuple[float, ...] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.table, np.ndarray):
            if self.table.ndim != 2 or self.table.dtype not in (np.int8, np.int16) or not self.table.size:
                raise InputError(
                    f"code {self.name!r}: expected an int8 or int16 table of shape (K, D), "
                    f"got {self.table.dtype} of shape {self.table.shape}"
                )
            self.table.flags.writeable = False
        if not self.scale > 0:
            raise InputError(f"code {self.name!r}: the scale must be positive, got {self.scale}")
        if self.axes is not None and (len(self.axes) != self.dimension or min(self.axes) <= 0):
            raise InputError(
                f"code {self.name!r}: expected {self.dimension} positive factors, one an axis, got {self.axes}"
            )

    @cached_property
    def integers(self) -> np.ndarray:
        """The whole table, shape (K, D), read-only; of a code with a rule it is made here: K·D bytes."""
        if isinstance(self.table, np.ndarray):
            return self.table
        pieces = [np.arange(start, min(start + _CHUNK, self.size)) for start in range(0, self.size, _CHUNK)]
        made = np.concatenate([self.table.rows(piece) for piece in pieces])
        made.flags.writeable = False
        return made

    @property
    def size(self) -> int:
        """Number of codewords, K."""
        return self.table.shape[0] if isinstance(self.table, np.ndarray) else self.table.size

    @property
    def dimension(self) -> int:
        """Dimension of the space, D."""
        return self.table.shape[1] if isinstance(self.table, np.ndarray) else self.table.dimension

    @property
    def bits(self) -> float:
        """Bits an index carries: log2 K, not rounded up."""
        return math.log2(self.size)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the table in C order, one byte an entry (two, little-endian, where it is int16)."""
        if isinstance(self.table, Rule):
            return self.table.fingerprint
        table = np.ascontiguousarray(self.table, dtype=self.table.dtype.newbyteorder("<"))
        return hashlib.sha256(table.tobytes()).hexdigest()

    @property
    def steps(self) -> np.ndarray:
        """What one unit of each coordinate is worth, axes / scale: float64, shape (D,)."""
        return np.asarray(self.axes or (1.0,) * self.dimension) / self.scale

    def __deepcopy__(self, memo: object) -> Code:
        """The code itself: it cannot change, so copies of a model share it."""
        return self

    def integers_at(self, indices: Int[np.ndarray, "*batch"]) -> Int[np.ndarray, "*batch D"]:
        """The integers of codewords, shape (..., D).

        Raises:
            InputError: if an index lies outside [0, K).
        """
        indices = np.asarray(indices)
        if indices.size:
            self._check_range(int(indices.min()), int(indices.max()))
        if isinstance(self.table, np.ndarray):
            return self.table[indices]
        return self.table.rows(indices.ravel().astype(np.int64)).reshape(*indices.shape, self.dimension)

    @cached_property
    def _vectors(self) -> Tensor:
        import torch

        if self.axes is None:
            return torch.from_numpy(self.integers.astype(np.float32) / np.float32(self.scale))
        return torch.from_numpy((self.integers * self.steps).astype(np.float32))

    def vectors(self) -> Float[Tensor, "K D"]:
        """All codewords as float32, shape (K, D). The tensor is shared: do not write into it."""
        return self._vectors

    def vectors_at(self, indices: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch D"]:
        """The codewords at int64 indices, float32, shape (..., D), on the device of the indices.

        Raises:
            InputError: if an index lies outside [0, K).
        """
        if isinstance(self.table, Rule):
            import torch

            digits = torch.from_numpy(self.integers_at(indices.cpu().numpy()))
            return digits.to(indices.device).float() / self.scale
        if indices.numel():
            self._check_range(int(indices.min()), int(indices.max()))
        return self._vectors.to(indices.device)[indices]

    def _check_range(self, low: int, high: int) -> None:
        if low < 0 or high >= self.size:
            raise InputError(
                f"indices of {self.name!r} lie in [0, {self.size}), got {low if low < 0 else high}; "
                "they were made with another codebook"
            )
