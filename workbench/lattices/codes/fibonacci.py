"""The spherical Fibonacci lattice, generalised to D dimensions: K points that each hold about the same area.

Point `i` is a point of a Kronecker sequence in the unit cube, `u = ((i + ½)/K, {i·α₁}, …, {i·α_(D−2)})`, with
`{·}` the fractional part, taken to the sphere by a map that keeps areas: the last coordinate becomes the azimuth
`2πu`, and each other one a polar angle `θ` of density `∝ sin^m θ`, m = D − 2, …, 1, by inverting its distribution.
The steps are `α_k = Φ^(−k)` with Φ the positive root of `x^(D−1) = x + 1`. For D = 3 this is the golden ratio and the
code the textbook lattice `z = 1 − (2i + 1)/K`. Good in three dimensions, poor in many: the sequence is even in the
cube, but the map stretches what is near in it. Rounded to 16 bits like the random code.
Source: Gonzalez (2010) for D = 3; Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018) for Φ;
Zhao et al., arXiv:2512.14697, who name the code. The choice of the steps is ours.
"""

__all__ = ["fibonacci_code"]


import numpy as np
from jaxtyping import Float

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.random import RADIUS

_GRID = 1 << 14


def fibonacci_code(size: int = 196_560, dimension: int = 24) -> Code:
    """The code `fibonacci`.

    Args:
        size: Number of points, K.
        dimension: Numbers a point, D, at least 2.

    Raises:
        InputError: if an argument is out of range.
    """
    if size < 1 or dimension < 2:
        raise InputError(f"a Fibonacci code needs size ≥ 1 and dimension ≥ 2, got {size} and {dimension}")
    index = np.arange(size, dtype=np.float64)
    steps = _root(dimension - 1) ** -np.arange(1, dimension - 1)
    coordinates = [(index + 0.5) / size, *((index * step) % 1.0 for step in steps)]
    points = np.empty((size, dimension))
    radius = np.ones(size)
    for axis in range(dimension - 2):
        angle = _polar_angle(coordinates[axis], dimension - 2 - axis)
        points[:, axis] = radius * np.cos(angle)
        radius = radius * np.sin(angle)
    azimuth = 2 * np.pi * coordinates[-1]
    points[:, -2], points[:, -1] = radius * np.cos(azimuth), radius * np.sin(azimuth)
    return Code("fibonacci", np.rint(RADIUS * points).astype(np.int16), RADIUS)


def _root(degree: int) -> float:
    """The positive root of x^degree = x + 1 (2 for degree 1, where nothing uses it)."""
    x = 2.0
    for _ in range(64):
        x = (1 + x) ** (1 / degree) if degree > 1 else 2.0
    return x


def _polar_angle(share: Float[np.ndarray, " K"], power: int) -> Float[np.ndarray, " K"]:
    """The angle θ in [0, π] below which lies `share` of the integral of sin^power."""
    grid = np.linspace(0.0, np.pi, _GRID + 1)
    below = _sine_integral(grid, power)
    angle = np.interp(share * below[-1], below, grid)
    for _ in range(3):
        slope = np.maximum(np.sin(angle) ** power, 1e-9 * (power + 1))
        step = (_sine_integral(angle, power) - share * below[-1]) / slope
        angle = np.clip(angle - np.clip(step, -np.pi / _GRID, np.pi / _GRID), 0.0, np.pi)
    return angle


def _sine_integral(angle: Float[np.ndarray, " K"], power: int) -> Float[np.ndarray, " K"]:
    """∫ sin^power from 0 to the angle, by I_m = ((m − 1)·I_(m−2) − cos·sin^(m−1)) / m."""
    cosine, sine = np.cos(angle), np.sin(angle)
    integral = angle if power % 2 == 0 else 1 - cosine
    for m in range(2 + power % 2, power + 1, 2):
        integral = ((m - 1) * integral - cosine * sine ** (m - 1)) / m
    return integral
