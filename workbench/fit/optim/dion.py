"""Dion and Lion, the optimisers that the paper names: matrices by orthonormal steps of low rank, the rest by signs.

Dion, for a matrix X (m × n) with gradient G, momentum M and a basis Q (n × r) kept from step to step:

    B = M + G;   P = orth(B·Q);   R = Bᵀ·P;   M ← B − (1 − μ)·P·Rᵀ;   Q ← R, columns of length 1
    X ← X − η·(√(m/n)·P·Qᵀ + λ·X)

One step of power iteration is enough since Q is warm, and what the low rank missed stays in M (error feedback).
Lion, for a tensor x with gradient g and momentum m:

    x ← x − η·(sign(β₁·m + (1 − β₁)·g) + λ·x);   m ← β₂·m + (1 − β₂)·g

Sources: Ahn et al., "Dion", arXiv:2504.05295, algorithm 1; Chen et al., "Symbolic Discovery", arXiv:2302.06675.
"""

__all__ = ["Dion", "Lion"]

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from workbench.errors import InputError

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class Dion(Optimizer):
    """Orthonormal updates of matrices.

    Args:
        parameters: Tensors of two axes, or groups of them.
        lr: η.
        momentum: μ.
        rank_fraction: r over the smaller side, in (0, 1].
        weight_decay: λ.

    Raises:
        InputError: if a tensor is no matrix, or the rank is out of range.
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float,
        momentum: float = 0.95,
        rank_fraction: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        if not 0 < rank_fraction <= 1:
            raise InputError(f"rank_fraction must lie in (0, 1], got {rank_fraction}")
        super().__init__(
            parameters,
            {"lr": lr, "momentum": momentum, "rank_fraction": rank_fraction, "weight_decay": weight_decay},
        )
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.ndim != 2:
                    raise InputError(f"Dion takes matrices, got a tensor of shape {tuple(parameter.shape)}")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Change the weights."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Tensor] = self.state[parameter]
                rows, columns = parameter.shape
                if not state:
                    rank = max(1, round(group["rank_fraction"] * min(rows, columns)))
                    state["momentum"] = torch.zeros_like(parameter)
                    state["basis"] = torch.eye(columns, rank, dtype=parameter.dtype, device=parameter.device)
                momentum, basis = state["momentum"], state["basis"]
                momentum += parameter.grad
                left, _ = torch.linalg.qr(momentum @ basis)
                right = momentum.mT @ left
                momentum.addmm_(left, right.mT, alpha=-(1 - group["momentum"]))
                basis.copy_(right / right.norm(dim=0, keepdim=True).clamp(min=1e-8))
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.addmm_(left, basis.mT, alpha=-group["lr"] * (rows / columns) ** 0.5)


class Lion(Optimizer):
    """Steps by the sign of the momentum.

    Args:
        parameters: Tensors, or groups of them.
        lr: η; three to ten times smaller than AdamW's.
        beta1: Weight of the past in the direction.
        beta2: Weight of the past in the momentum.
        weight_decay: λ.
    """

    def __init__(
        self,
        parameters: Parameters,
        *,
        lr: float,
        beta1: float = 0.9,
        beta2: float = 0.95,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "beta1": beta1, "beta2": beta2, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Change the weights."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state: dict[str, Tensor] = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"]
                direction = momentum.lerp(parameter.grad, 1 - group["beta1"]).sign_()
                momentum.lerp_(parameter.grad, 1 - group["beta2"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(direction, alpha=-group["lr"])
