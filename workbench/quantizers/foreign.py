"""Quantizers from elsewhere: a plain module that answers `(quantized, indices, loss)` as one of the family.

    register_quantizer("mine", lambda size=512: ForeignQuantizer(
        VectorQuantize(dim=24, codebook_size=size), name="mine", dimension=24, size=size,
        lookup=lambda module, indices: module.get_codes_from_indices(indices),
    ))

The module's own gradient and loss are kept. It is called with positions on the middle axis and channels on the last,
and sees float32. What a subclass of :class:`~workbench.quantizers.quantizer.Quantizer` need not say is said here: which
codeword an index means, so that tokens become pictures again.
"""

__all__ = ["ForeignQuantizer"]

from collections.abc import Callable

import torch
from torch import Tensor, nn

from workbench.errors import InputError
from workbench.quantizers.quantizer import Quantizer, QuantizeResult


class ForeignQuantizer(Quantizer):
    """A module of somebody else's as a quantizer.

    Args:
        module: Takes floats (B, N, D) and answers `(quantized, indices, loss)`: floats (B, N, D), integers (B, N) in
            [0, K), and a number or tensor, whose mean is the auxiliary loss in training.
        name: What model files call it; register it under the same name.
        dimension: D.
        size: K.
        lookup: From the module and indices of any shape to codewords, with D numbers on a last axis. None takes the
            rows of its `codebook`, a tensor (K, D) or an `nn.Embedding`.

    Raises:
        InputError: if the module has no such codebook and no `lookup` is given, or a number is not positive.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        name: str,
        dimension: int,
        size: int,
        lookup: Callable[[nn.Module, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__(name=name, dimension=dimension, size=size)
        self.module = module
        self._lookup = lookup or _rows_of_codebook
        if lookup is None and tuple(_codebook(module).shape) != (size, dimension):
            raise InputError(
                f"{name}: expected a codebook of shape ({size}, {dimension}) in {type(module).__name__}, got "
                f"{tuple(_codebook(module).shape)}; pass `lookup`, from the module and indices to codewords"
            )

    def forward(self, z: Tensor, *, channel_first: bool | None = None) -> QuantizeResult:
        """Quantize with the module's own gradient and loss.

        Raises:
            InputError: as of any quantizer, or if the module answers with something else.
        """
        rows, moved = self._rows(z, channel_first)
        with torch.autocast(device_type=z.device.type, enabled=False):
            rows = rows.float()
            self._check_finite(rows)
            quantized, indices, loss = self._answer(rows)
            info = self._info(rows.detach(), rows.detach(), quantized.detach())
        aux_loss = loss if self.training and rows.numel() else torch.zeros((), device=z.device)
        quantized = quantized.to(z.dtype)
        return QuantizeResult(quantized.movedim(-1, 1) if moved else quantized, indices, aux_loss, info)

    def search(self, point: Tensor) -> Tensor:
        """The module's choice, as outside training."""
        training = self.module.training
        self.module.eval()
        try:
            return self._answer(point.float())[1]
        finally:
            self.module.train(training)

    def lookup(self, indices: Tensor) -> Tensor:
        """The codewords that `lookup` gives."""
        codes = self._lookup(self.module, indices)
        if codes.shape != (*indices.shape, self.dimension):
            raise InputError(
                f"{self.name}: `lookup` gave shape {tuple(codes.shape)} for indices of shape {tuple(indices.shape)}, "
                f"expected {self.dimension} numbers on a last axis"
            )
        return codes.detach().float()

    def _answer(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Codewords, int64 indices and a scalar loss for rows (..., D)."""
        shape = rows.shape[:-1]
        flat = rows.reshape(shape[0] if rows.ndim > 2 else 1, -1, self.dimension)
        answer = self.module(flat)
        if not isinstance(answer, tuple) or len(answer) != 3:
            raise InputError(f"{self.name}: expected (quantized, indices, loss) from the module, got {type(answer)}")
        quantized, indices, loss = answer
        if quantized.shape != flat.shape or indices.numel() != flat.shape[0] * flat.shape[1]:
            raise InputError(
                f"{self.name}: expected codewords of shape {tuple(flat.shape)} and one index each from the module, got "
                f"{tuple(quantized.shape)} and indices of shape {tuple(indices.shape)}"
            )
        self._check_indices(indices)
        loss = torch.as_tensor(loss, dtype=torch.float32, device=rows.device).mean()
        return quantized.reshape(rows.shape), indices.reshape(shape).long(), loss


def _codebook(module: nn.Module) -> Tensor:
    """The codewords of a module, (K, D).

    Raises:
        InputError: if it has none under that name.
    """
    codebook = getattr(module, "codebook", None)
    codebook = codebook.weight if isinstance(codebook, nn.Embedding) else codebook
    if not isinstance(codebook, Tensor):
        raise InputError(
            f"{type(module).__name__} has no `codebook`, a tensor (K, D) or an nn.Embedding: pass `lookup`, from the "
            "module and indices to codewords"
        )
    return codebook


def _rows_of_codebook(module: nn.Module, indices: Tensor) -> Tensor:
    return _codebook(module)[indices]
