"""A running average of the weights, which is what a finished run gives out.

    a ← d·a + (1 − d)·w        with d = min(decay, (1 + t)/(10 + t)) at step t

so that the average forgets the random start quickly. Only trained parameters are averaged, in their own precision.
"""

__all__ = ["Average"]

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """The averaged weights of some networks.

    Args:
        modules: Networks by name; their trained parameters are averaged.
        decay: Weight of the past, in [0, 1).
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.parameters = {
            module_name: {name: p for name, p in module.named_parameters() if p.requires_grad}
            for module_name, module in modules.items()
        }
        self.tensors = {
            module_name: {name: p.detach().clone() for name, p in parameters.items()}
            for module_name, parameters in self.parameters.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, parameters = self._pairs()
        if averages:
            get_ema_multi_avg_fn(decay)(averages, parameters, step)

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """Let the networks hold their averaged weights for a while."""
        _, parameters = self._pairs()
        with torch.no_grad():
            kept = [p.detach().clone() for p in parameters]
            self.apply()
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, kept, strict=True):
                    parameter.copy_(value)

    @torch.no_grad()
    def apply(self) -> None:
        """Give the networks their averaged weights."""
        for average, parameter in zip(*self._pairs(), strict=True):
            parameter.copy_(average)

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        averages = [tensor for tensors in self.tensors.values() for tensor in tensors.values()]
        parameters: list[Tensor] = [p for parameters in self.parameters.values() for p in parameters.values()]
        return averages, parameters
