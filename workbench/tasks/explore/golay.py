"""The Golay code as a 4 × 6 array of its 24 positions, in which its laws can be seen.

Any five positions lie in exactly one octad (the Steiner system S(5, 8, 24)); any four determine a *sextet*, six sets of
four of which every two together are an octad. The array is built on both: its columns are a sextet, and its top row is
what makes column 1 without its top and the tops of the others an octad. Every word of the code then meets all six
columns and the top row in the same parity. That is the frame of Curtis's Miracle Octad Generator.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 11.
"""

__all__ = ["CODE", "GolayView", "arrangement", "view_positions"]

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import InputError
from workbench.lattices.golay.code import golay_code

CODE = "systematic"  # the Golay code that the codebook `leech` is built on
MOST = 5
_PLACES = 24


@dataclass(frozen=True)
class GolayView:
    """What some chosen positions determine.

    Attributes:
        chosen: The positions, in [0, 24), as they were chosen.
        octads_through: Number of octads that contain them all.
        octad: The only such octad, ascending, when five are chosen; else None.
        complement: The other sixteen positions then; else None.
        sextet: When four are chosen, the six sets of four, that of the chosen first; else None.
    """

    chosen: tuple[int, ...]
    octads_through: int
    octad: tuple[int, ...] | None
    complement: tuple[int, ...] | None
    sextet: tuple[tuple[int, ...], ...] | None


@functools.cache
def arrangement() -> np.ndarray:
    """Return the position in each place of the array, int64, shape (4, 6), each position once."""
    octads = _octads()
    columns = np.array(_sextet((0, 1, 2, 3)))  # shape: (6, 4)
    bits = np.zeros((len(octads), _PLACES), dtype=bool)
    np.put_along_axis(bits, octads, True, axis=1)
    met = bits[:, columns].sum(axis=2)  # shape: (759, 6)
    odd = octads[(met == [3, 1, 1, 1, 1, 1]).all(axis=1).argmax()]
    tops = [next(p for p in columns[0] if p not in odd), *(next(p for p in c if p in odd) for c in columns[1:])]
    rows = [[top, *(p for p in column if p != top)] for top, column in zip(tops, columns, strict=True)]
    array = np.array(rows).T
    array.flags.writeable = False
    return array


def view_positions(chosen: Sequence[int]) -> GolayView:
    """Say what up to five positions determine.

    Raises:
        InputError: if there are more than five, one is repeated, or one lies outside [0, 24).

    Example:
        >>> view_positions([0, 1, 2]).octads_through
        21
        >>> view_positions([0, 1, 2, 3, 4]).octad
        (0, 1, 2, 3, 4, 6, 18, 21)
    """
    if not all(isinstance(p, int) and 0 <= p < _PLACES for p in chosen):
        raise InputError(f"positions are whole numbers from 0 to 23, got {list(chosen)}")
    if len(set(chosen)) != len(chosen) or len(chosen) > MOST:
        raise InputError(f"choose up to {MOST} different positions, got {list(chosen)}")
    octads = _octads()
    through = octads[np.isin(octads, chosen).sum(axis=1) == len(chosen)]
    octad = tuple(through[0].tolist()) if len(chosen) == MOST else None
    return GolayView(
        chosen=tuple(chosen),
        octads_through=len(through),
        octad=octad,
        complement=tuple(sorted(set(range(_PLACES)) - set(octad))) if octad else None,
        sextet=_sextet(tuple(chosen)) if len(chosen) == MOST - 1 else None,
    )


def _octads() -> np.ndarray:
    return golay_code(CODE).octads.astype(np.int64)


def _sextet(tetrad: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The six sets of four that four positions determine: what the five octads through them add, and themselves."""
    octads = _octads()
    through = octads[np.isin(octads, tetrad).sum(axis=1) == len(tetrad)]
    others = sorted(tuple(p for p in octad if p not in tetrad) for octad in through.tolist())
    return (tuple(sorted(tetrad)), *others)
