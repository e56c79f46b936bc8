"""Optimisers by name: AdamW for everything, or Muon for matrices and AdamW for the rest.

Muon replaces the momentum of a matrix by the nearest orthogonal one, so that every direction of it learns at the same
pace. A convolution is a matrix of `C_out` rows here. For G the momentum, five steps of

    X ← a·X + (b·A + c·A²)·X,   A = X·Xᵀ,   X₀ = G/‖G‖,   (a, b, c) = (3.4445, −4.7750, 2.0315)

bring all its singular values near 1; the step is scaled by √(max(1, rows/columns)), the learning rate is relative to
that and so about twenty times AdamW's.
Source: Jordan et al., "Muon", kellerjordan.github.io/posts/muon. `torch.optim.Muon` takes no convolutions.
"""

__all__ = ["Muon", "OptimizerSettings", "make_optimizers"]

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_SMALLEST = 32  # a matrix with a side below this is left to AdamW: little to orthogonalise


@dataclass(frozen=True)
class OptimizerSettings:
    """How weights follow gradients.

    Attributes:
        kind: `adamw`, or `muon` for matrices with `adamw` for the rest.
        rate: Peak learning rate of AdamW.
        muon_rate: Peak learning rate of Muon.
        beta1: Decay of the mean gradient.
        beta2: Decay of the mean squared gradient.
        epsilon: Added to the root of the mean squared gradient.
        weight_decay: Decoupled decay, times the learning rate.
        decay_vectors: Let gains and biases decay too.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    rate: float = 1e-3
    muon_rate: float = 0.02
    beta1: float = 0.9
    beta2: float = 0.99
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    decay_vectors: bool = False


def make_optimizers(name: str, module: nn.Module, settings: OptimizerSettings) -> dict[str, Optimizer]:
    """Make the optimiser of a network; two for Muon, the second named `NAME-muon`."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in parameters if settings.kind == "muon" and _is_matrix(p)]
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters if id(p) not in chosen]
    decayed = [p for p in rest if p.ndim > 1 or settings.decay_vectors]
    spared = [p for p in rest if not (p.ndim > 1 or settings.decay_vectors)]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
    )
    if not matrices:
        return {name: adamw}
    return {name: adamw, f"{name}-muon": Muon(matrices, lr=settings.muon_rate, weight_decay=settings.weight_decay)}


class Muon(Optimizer):
    """Momentum, made orthogonal.

    Args:
        parameters: Tensors of two or more axes.
        lr: Learning rate.
        momentum: Weight of the past in the mean gradient.
        weight_decay: Decoupled decay, times the learning rate.
    """

    def __init__(
        self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Change the weights."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Tensor] = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                mean = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(mean, group["momentum"])  # Nesterov
                matrix = ahead.flatten(1)
                change = orthogonal(matrix).view_as(ahead)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(change, alpha=-group["lr"] * max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def orthogonal(matrix: Tensor, *, steps: int = 5) -> Tensor:
    """About the nearest orthogonal matrix: singular values brought to within [0.7, 1.2].

    Args:
        matrix: Any real matrix.
        steps: Iterations.
    """
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x.T if tall else x).to(matrix.dtype)


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= _SMALLEST
