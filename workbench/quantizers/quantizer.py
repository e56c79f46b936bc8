"""The quantizer: a real vector, an index, a vector again, and a gradient through it.

Every quantizer of the family is four maps over rows of `D` numbers, and a subclass is one small file of them:

    project   z ↦ ẑ         the point that is quantized (on the sphere for spherical codes)
    search    ẑ ↦ index     the nearest codeword, exact, ties to the lowest index
    lookup    index ↦ q     the codeword
    estimator (ẑ, q) ↦ q    the codeword with a gradient for ẑ

Whatever autocast says they run in float32 (float64 stays float64), and a quantizer inside a halved model keeps its own
type. Indices are int64. A frozen code is never a
parameter and never saved with the weights. `K` is the number of codewords.
Source: Zhao et al., "Spherical Leech Quantization", arXiv:2512.14697, section 3.
"""

__all__ = ["Penalty", "QuantizeResult", "Quantizer"]

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from workbench.errors import InputError
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.precision import KeepsType

Penalty = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class QuantizeResult:
    """What a quantizer answers; unpacks as `quantized, indices, aux_loss`.

    Attributes:
        quantized: The codewords in the layout and dtype of the input, with a gradient.
        indices: int64, the input's shape without its channel axis (plus whatever axis a composition adds).
        aux_loss: Scalar float32; zero where there is no penalty, or outside training.
        info: Scalars for a log: `squared_error` (mean over rows of `‖ẑ − q‖²`) and `norm` (mean `‖z‖`).
    """

    quantized: Tensor
    indices: Tensor
    aux_loss: Tensor
    info: dict[str, Tensor]

    def __iter__(self) -> Iterator[Tensor]:
        return iter((self.quantized, self.indices, self.aux_loss))


@cache
def _register_result() -> None:
    """Make the result a pytree, once, when the first quantizer is built: importing registers nothing."""
    pytree.register_pytree_node(
        QuantizeResult,
        lambda result: ([result.quantized, result.indices, result.aux_loss, result.info], None),
        lambda leaves, _: QuantizeResult(*leaves),
        serialized_type_name="workbench.QuantizeResult",
    )


class Quantizer(KeepsType, ABC):
    """Base of the family: layouts, precision, gradient and checks live here.

    Attributes:
        name: What the registry, a model file and a compressed file call it.
        dimension: Numbers a vector, `D`.
        size: Number of codewords, `K`.
        bits_per_index: `log2 K`, not rounded up.
        estimator: The gradient estimator; see :mod:`workbench.quantizers.estimators`.
        penalty: A function of `(ẑ, q)` to a scalar, added to the loss in training, or None.
        scale: Factor on the codeword before the decoder.

    Raises:
        InputError: if the dimension, the size or the scale is not positive.
    """

    def __init__(
        self,
        *,
        name: str,
        dimension: int,
        size: int,
        estimator: Estimator = straight_through,
        penalty: Penalty | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if dimension < 1 or size < 1:
            raise InputError(f"{name}: dimension and size must be at least 1, got {dimension} and {size}")
        if not (scale > 0 and math.isfinite(scale)):
            raise InputError(f"{name}: the scale must be positive and finite, got {scale}")
        _register_result()
        self.name, self.dimension, self.size = name, dimension, size
        self.estimator, self.penalty, self.scale = estimator, penalty, scale

    @property
    def bits_per_index(self) -> float:
        """Bits an index carries, `log2 K`."""
        return math.log2(self.size)

    @property
    def stages(self) -> tuple["Quantizer", ...]:
        """The quantizers that give the entries of an index: itself, unless one entry is not enough."""
        return (self,)

    @property
    def index_shape(self) -> tuple[int, ...]:
        """Axes that an index adds behind those of its vector: none, or one with an entry for each stage."""
        return ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what the indices mean: the code's table, or the rule that stands for one.

        A model file and a compressed file carry it. A learned codebook is weights, which have a hash of their own.
        """
        return hashlib.sha256(self.rule.encode()).hexdigest()

    @property
    def rule(self) -> str:
        """What the indices mean, in words that never change, where no table of a code says it."""
        return f"{self.name} dimension={self.dimension} size={self.size}"

    # ---- the maps a subclass gives, over rows: (..., D) and (...)

    def project(self, z: Tensor) -> Tensor:
        """The point that is quantized; the identity unless a subclass says otherwise."""
        return z

    @abstractmethod
    def search(self, point: Tensor) -> Tensor:
        """Index (int64) of the codeword nearest to each row."""

    @abstractmethod
    def lookup(self, indices: Tensor) -> Tensor:
        """Codeword of each index, unscaled, float32; indices are in range."""

    def ranked(self, point: Tensor, k: int) -> Tensor:  # noqa: ARG002 - a subclass that can says how
        """Indices (int64) of the k codewords nearest to each row, nearest first, shape (..., k); fewer of a small code.

        Raises:
            InputError: if the quantizer cannot list them.
        """
        raise InputError(f"{self.name}: codewords cannot be listed by distance, expected a quantizer with `ranked`")

    def neighbours(self, point: Tensor, indices: Tensor, k: int) -> Tensor:  # noqa: ARG002 - of one stage, all are
        """Indices near each row that could take the place of `indices`: (..., k), with a last axis of stages if any."""
        return self.ranked(point, k)

    # ---- what a learned codebook does besides

    @property
    def ready(self) -> bool:
        """Whether there is a codebook; always, unless it is learned and has seen no batch."""
        return True

    def prepare(self, z: Tensor) -> None:
        """Make a codebook from the first training batch."""

    def observe(self, point: Tensor, indices: Tensor) -> None:
        """Let a learned codebook follow a training batch, after its words have been read."""

    # ---- the maps everybody calls

    def forward(self, z: Tensor, *, channel_first: bool | None = None) -> QuantizeResult:
        """Quantize, with a gradient for `z`.

        Args:
            z: Floats with `D` channels: on axis 1 if channel-first, else on the last axis.
            channel_first: None takes tensors of four or more axes as channel-first.

        Raises:
            InputError: if `z` is not floating, has another number of channels, or has a row that is not finite.
        """
        rows, moved = self._rows(z, channel_first)
        with torch.autocast(device_type=z.device.type, enabled=False):
            rows = rows if rows.dtype == torch.float64 else rows.float()
            if self.training and not self.ready and rows.numel():
                self.prepare(rows.detach())
            point = self.project(rows)
            with torch.no_grad():
                indices = self.search(point)
                codes = self.lookup(indices).to(point.dtype)
            quantized = self.estimator(point, codes) * self.scale
            aux_loss = self._aux_loss(point, codes)
            info = self._info(rows.detach(), point.detach(), codes)
            if self.training and point.numel():
                self.observe(point.detach(), indices)
        quantized = quantized.to(z.dtype)
        return QuantizeResult(quantized.movedim(-1, 1) if moved else quantized, indices, aux_loss, info)

    def indices_to_codes(self, indices: Tensor, *, channel_first: bool | None = None) -> Tensor:
        """The codewords of indices, float32, scaled as the decoder expects them.

        Args:
            indices: Integers in [0, K), any shape.
            channel_first: Where the channel axis goes; None puts it on axis 1 if the answer has four axes or more.

        Raises:
            InputError: if an index lies outside [0, K) or the tensor is not of integers.
        """
        self._check_indices(indices)
        codes = self.lookup(indices.long()) * self.scale
        first = codes.ndim >= 4 if channel_first is None else channel_first
        return codes.movedim(-1, 1) if first else codes

    def codes_to_indices(self, codes: Tensor, *, channel_first: bool | None = None) -> Tensor:
        """The index (int64) of the codeword nearest to each code; the inverse of :meth:`indices_to_codes`.

        Raises:
            InputError: as :meth:`forward`.
        """
        rows, _ = self._rows(codes, channel_first)
        with torch.no_grad(), torch.autocast(device_type=codes.device.type, enabled=False):
            rows = rows if rows.dtype == torch.float64 else rows.float()
            return self.search(rows / self.scale)

    def extra_repr(self) -> str:
        """One line for `print(model)`."""
        return f"{self.name}, dimension={self.dimension}, size={self.size:,}, bits={self.bits_per_index:.3f}"

    # ---- shared parts

    def _check_finite(self, point: Tensor) -> None:
        """For searches by rule, which would answer a row that is not a number without a word."""
        if torch.compiler.is_compiling() or torch.isfinite(point).all():
            return
        row = int((~torch.isfinite(point).flatten(0, -2).all(-1)).nonzero()[0])
        raise InputError(f"{self.name}: row {row} is not finite; look for a diverged encoder or a division by zero")

    def _rows(self, z: Tensor, channel_first: bool | None) -> tuple[Tensor, bool]:
        """Channels on the last axis, and whether they were moved there."""
        if not z.is_floating_point():
            raise InputError(f"{self.name}: expected a floating tensor, got {z.dtype}")
        moved = z.ndim >= 4 if channel_first is None else channel_first
        if z.ndim < (2 if moved else 1):
            raise InputError(f"{self.name}: a tensor of shape {tuple(z.shape)} has no channel axis")
        rows = z.movedim(1, -1) if moved else z
        if rows.shape[-1] != self.dimension:
            raise InputError(
                f"{self.name}: expected {self.dimension} channels on axis {1 if moved else -1}, "
                f"got {rows.shape[-1]} in shape {tuple(z.shape)}; pass channel_first={not moved} for the other layout"
            )
        return rows, moved

    def _check_indices(self, indices: Tensor) -> None:
        if indices.is_floating_point() or indices.dtype == torch.bool:
            raise InputError(f"{self.name}: expected integer indices, got {indices.dtype}")
        if indices.numel():
            low, high = (int(bound) for bound in torch.aminmax(indices))
            if low < 0 or high >= self.size:
                raise InputError(
                    f"{self.name}: indices lie in [0, {self.size}), got {low if low < 0 else high}; "
                    "they were made with another quantizer"
                )

    def _aux_loss(self, point: Tensor, codes: Tensor) -> Tensor:
        if self.penalty is None or not self.training or not point.numel():
            return torch.zeros((), dtype=torch.float32, device=point.device)
        return self.penalty(point, codes).float()

    @staticmethod
    def _info(rows: Tensor, point: Tensor, codes: Tensor) -> dict[str, Tensor]:
        if not rows.numel():
            return {}
        squared_error = (point - codes).square().sum(-1).mean()
        return {"squared_error": squared_error.float(), "norm": rows.norm(dim=-1).mean().float()}
