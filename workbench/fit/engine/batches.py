"""What the engine asks of data: a stream whose position is one number.

Batch i is a function of the data, a seed and i alone. Nothing else about reading needs saving, a resumed run sees the
very batches it would have seen, and a slice of a batch is the same whoever computes the rest.
"""

__all__ = ["Batch", "Batches", "on_device", "slices"]

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

Batch = Any  # a tensor, or a tuple, list or mapping of tensors, samples along the first axis


class Batches(Protocol):
    """An endless, addressable sequence of batches."""

    def stream(self, start: int, *, part: int = 0, parts: int = 1) -> Iterator[Batch]:
        """Yield batch `start`, `start + 1` and so on: of each the `part`-th of `parts` equal slices."""
        ...


def slices(batch: Batch, parts: int) -> Iterator[Batch]:
    """Split a batch into equal parts along the first axis of its tensors."""
    if parts == 1:
        yield batch
        return
    for part in range(parts):
        yield _map(batch, lambda tensor: tensor.tensor_split(parts)[part])  # noqa: B023 - used at once


def on_device(batch: Batch, device: torch.device) -> Batch:
    """A batch with its tensors on a device."""
    return _map(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _map(batch: Batch, function: Any) -> Batch:  # noqa: ANN401 - Tensor to Tensor, at any depth
    if isinstance(batch, Tensor):
        return function(batch)
    if isinstance(batch, Mapping):
        return {key: _map(value, function) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)(_map(value, function) for value in batch)
    return batch
