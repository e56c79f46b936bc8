"""What follows from the structure of a quantizer: least distance, kissing number, design strength, deepest hole.

Lattice codes have theirs in `lattices/facts.py`. The others follow from few lines each, at norm 1:

* BSQ and LFQ, the corners of a cube: neighbours differ in one sign, and the direction of an axis has the product 1/√D
  with its nearest corners. A cube is a 3-design.
* FSQ, a grid in the box [-1, 1]^D: neighbours differ by one step on a finest axis; the farthest points are the corners
  of the cells.
* A product of spheres: neighbours differ in one part. If part k has norm r_k and no direction has a cosine below c_k
  with its nearest codeword of it, then a direction x has the product Σ ‖x_k‖·c_k·r_k or more, least if all of x is in
  the part of least c_k·r_k. Two or more 3-designs of one norm and dimension make a 3-design, and no 4-design.
"""

__all__ = ["Structure", "norm_of", "structure_of"]

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from workbench.lattices.covering import hole_error
from workbench.lattices.facts import facts_of
from workbench.lattices.geometry import least_distance
from workbench.progress import Progress, no_progress
from workbench.quantizers.bsq import BinaryQuantizer
from workbench.quantizers.composite import ProductQuantizer
from workbench.quantizers.fsq import FiniteScalarQuantizer
from workbench.quantizers.lattice import LatticeQuantizer
from workbench.quantizers.quantizer import Quantizer


@dataclass(frozen=True)
class Structure:
    """What is known of a quantizer's code at norm 1 (for FSQ in the box). None is what is not known.

    Attributes:
        min_distance: Least distance of two codewords.
        min_distance_exact: Whether it is exact, else an upper bound.
        min_distance_how: How it was found.
        min_distance_pair: Indices of two codewords at that distance.
        kissing: The greatest number of codewords at the least distance from one.
        design_strength: The greatest t for which the code is a spherical t-design.
        covering: Squared error of the farthest direction known.
        covering_exact: Whether no direction is farther, else a lower bound.
        covering_how: What direction that is, or how it was found.
    """

    min_distance: float | None = None
    min_distance_exact: bool | None = None
    min_distance_how: str | None = None
    min_distance_pair: tuple[int, int] | None = None
    kissing: int | None = None
    design_strength: int | None = None
    covering: float | None = None
    covering_exact: bool | None = None
    covering_how: str | None = None


def structure_of(
    quantizer: Quantizer, *, every_pair: bool = False, seed: int = 0, progress: Progress = no_progress
) -> Structure:
    """Return what is known of a quantizer's code.

    Args:
        quantizer: Any; a learned codebook has no structure.
        every_pair: Compare all pairs of a listed code even where the least distance is known.
        seed: Of the rows that are sampled where pairs are too many.
        progress: Told the share of the pairs that have been compared.
    """
    if isinstance(quantizer, LatticeQuantizer):
        return _of_code(quantizer, every_pair, seed, progress)
    if isinstance(quantizer, BinaryQuantizer):
        return _of_cube(quantizer.dimension)
    if isinstance(quantizer, FiniteScalarQuantizer):
        return _of_grid(quantizer.levels)
    if isinstance(quantizer, ProductQuantizer):
        return _of_product(quantizer, [structure_of(p, every_pair=every_pair, seed=seed) for p in _parts(quantizer)])
    return Structure()


def norm_of(quantizer: Quantizer) -> float:
    """Norm of the codewords of a quantizer on a sphere, 1 where they have none in common."""
    if isinstance(quantizer, ProductQuantizer):
        return math.sqrt(sum(norm_of(part) ** 2 for part in _parts(quantizer)))
    if isinstance(quantizer, BinaryQuantizer):
        return quantizer.magnitude * math.sqrt(quantizer.dimension)
    return getattr(quantizer, "radius", None) or 1.0


def _parts(quantizer: ProductQuantizer) -> list[Quantizer]:
    return list(quantizer.parts)  # type: ignore[arg-type]


def _of_code(quantizer: LatticeQuantizer, every_pair: bool, seed: int, progress: Progress) -> Structure:
    code, facts = quantizer.code, facts_of(quantizer.code)
    least = least_distance(code, every_pair=every_pair, seed=seed, progress=progress)
    found = Structure(
        min_distance=least.value,
        min_distance_exact=least.exact,
        min_distance_how=least.how,
        min_distance_pair=least.pair,
    )
    if facts is None:
        return found
    return replace(
        found,
        kissing=facts.kissing,
        design_strength=facts.strength,
        covering=hole_error(code, np.array(facts.hole)),
        covering_exact=facts.hole_is_deepest,
        covering_how=facts.hole_reason,
    )


def _of_cube(dimension: int) -> Structure:
    return Structure(
        min_distance=2 / math.sqrt(dimension),
        min_distance_exact=True,
        min_distance_how="corners of a cube that differ in one sign",
        min_distance_pair=(0, 1),
        kissing=dimension,
        design_strength=3,
        covering=2 - 2 / math.sqrt(dimension),
        covering_exact=True,
        covering_how="the direction of an axis",
    )


def _of_grid(levels: Sequence[int]) -> Structure:
    return Structure(
        min_distance=2 / max(levels),
        min_distance_exact=True,
        min_distance_how="one step on the finest axis",
        kissing=min(2, max(levels) - 1) * levels.count(max(levels)),
        covering=sum(1 / level**2 for level in levels),
        covering_exact=True,
        covering_how="the corners of the cells",
    )


def _of_product(quantizer: ProductQuantizer, parts: list[Structure]) -> Structure:
    norms = [norm_of(part) / norm_of(quantizer) for part in _parts(quantizer)]
    if any(part.min_distance is None for part in parts):
        return Structure()
    steps = [(part.min_distance or 0) * norm for part, norm in zip(parts, norms, strict=True)]
    found = Structure(
        min_distance=min(steps),
        min_distance_exact=all(bool(part.min_distance_exact) for part in parts),
        min_distance_how="codewords that differ in one part",
    )
    if any(part.covering is None or part.kissing is None for part in parts):
        return found
    kinds = {(norm, part.dimension) for norm, part in zip(norms, _parts(quantizer), strict=True)}
    alike = len(parts) > 1 and len(kinds) == 1
    # 1 − error/2 is the cosine of a part's farthest direction.
    cosines = [(1 - (part.covering or 0) / 2) * norm for part, norm in zip(parts, norms, strict=True)]
    return replace(
        found,
        kissing=sum(part.kissing or 0 for part, step in zip(parts, steps, strict=True) if step == min(steps)),
        design_strength=3 if alike and all((part.design_strength or 0) >= 3 for part in parts) else None,
        covering=2 - 2 * min(cosines),
        covering_exact=all(bool(part.covering_exact) for part in parts),
        covering_how="the farthest direction of one part",
    )
