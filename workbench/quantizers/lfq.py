"""Look-up-free quantization: the sign of each coordinate, nothing projected.

Codewords `(±1, …, ±1)`, 2^D of them, in the directions of binary spherical quantization; the point is the input as
it comes, so its norm is free and a commitment penalty has to hold it.
As a lattice code: generator I, ‖λ‖₀ = ‖λ‖₁ = D; least distance 2.
Source: Yu et al., "Language Model Beats Diffusion", arXiv:2310.05737.
"""

__all__ = ["lfq"]

from workbench.quantizers.bsq import BinaryQuantizer
from workbench.quantizers.estimators import Estimator, straight_through
from workbench.quantizers.quantizer import Penalty


def lfq(
    dimension: int = 18,
    *,
    estimator: Estimator = straight_through,
    penalty: Penalty | None = None,
    scale: float = 1.0,
) -> BinaryQuantizer:
    """Look-up-free quantization with `dimension` bits."""
    return BinaryQuantizer(
        name="lfq",
        dimension=dimension,
        magnitude=1.0,
        spherical=False,
        estimator=estimator,
        penalty=penalty,
        scale=scale,
    )
