"""Gradient estimators: what the encoder feels of a step function.

The value is always the codeword `q`; they differ in the gradient that reaches the point `ẑ`.
Sources: Bengio et al., arXiv:1308.3432 (straight-through); Fifty et al., "Restructuring Vector Quantization with the
Rotation Trick", arXiv:2410.06424.
"""

__all__ = ["Estimator", "rotation", "straight_through"]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from workbench.quantizers.sphere import unit

Estimator = Callable[[Tensor, Tensor], Tensor]


def straight_through(point: Float[Tensor, "*batch D"], codes: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """The codeword, with the gradient of the point: `∂q/∂ẑ = I`.

    Written `q + (ẑ − stop(ẑ))`, which equals `q` to the last bit, where the usual `ẑ + stop(q − ẑ)` rounds.
    """
    return codes.detach() + (point - point.detach())


def rotation(point: Float[Tensor, "*batch D"], codes: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    """The codeword as a rotation and stretch of the point, both held constant: `∂q/∂ẑ = (‖q‖ / ‖ẑ‖) · R`.

    `R = I − 2rrᵀ + 2q̂êᵀ` with `ê = ẑ/‖ẑ‖`, `q̂ = q/‖q‖`, `r` the unit vector along `ê + q̂`, takes `ê` to `q̂` within
    their plane. Gradients keep their angle to the vector instead of their direction in space. Where the point is
    zero or opposite to its codeword no such plane exists and the stretch alone acts.
    """
    fixed = point.detach()
    codes = codes.detach()
    e, q = unit(fixed), unit(codes)
    r = unit(e + q)
    norm, length = fixed.norm(dim=-1, keepdim=True), codes.norm(dim=-1, keepdim=True)
    stretch = torch.where(norm > 0, length / norm.clamp_min(torch.finfo(norm.dtype).tiny), torch.ones_like(norm))
    moved = point - fixed  # zero in value, so that only the gradient is rotated and the value stays q to the last bit
    along_r, along_e = (moved * r).sum(-1, keepdim=True), (moved * e).sum(-1, keepdim=True)
    return codes + stretch * (moved - 2 * r * along_r + 2 * q * along_e)
