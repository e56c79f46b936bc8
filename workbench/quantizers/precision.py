"""Modules that keep their floating type: what searches, adds up and normalises stays exact when a model is halved."""

__all__ = ["KeepsType"]

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class KeepsType(nn.Module):
    """A module that `.half()`, `.bfloat16()`, `.double()` and `.to(...)` move from device to device, and no more."""

    def _apply(self, fn: Callable[[Tensor], Tensor], *arguments: Any, **options: Any) -> "KeepsType":  # noqa: ANN401 - torch's own
        def moved(tensor: Tensor) -> Tensor:
            changed = fn(tensor)
            return changed if changed.dtype == tensor.dtype else tensor.to(changed.device)

        return super()._apply(moved, *arguments, **options)
