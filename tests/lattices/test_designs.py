"""Strengths of codes that are known, and of ones that are spoilt."""

import itertools
import math

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.designs import design_strength


def polygon(corners):
    return (
        Code(
            "hexagon", np.array([[2, 0], [1, 1], [-1, 1], [-2, 0], [-1, -1], [1, -1]], dtype=np.int8), 2.0, (1, 3**0.5)
        )
        if corners == 6
        else Code("square", np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], dtype=np.int8), 2**0.5)
    )


def test_polygons():
    # A regular polygon of n corners is a design of strength n − 1.
    assert design_strength(polygon(4)) == 3
    assert design_strength(polygon(6)) == 5


@pytest.mark.parametrize(
    ("name", "strength"),
    [("e8", 7), ("bw16", 7), ("k12", 5), ("leech4", 3), ("leech", 11), ("leech-published", 7)],
)
def test_strengths(name, strength):
    assert design_strength(make_code(name)) == strength


def test_limit_ends_the_search():
    assert design_strength(make_code("e8"), limit=4) == 4


def test_cubes_and_cross_polytopes():
    for dimension in (3, 6):
        corners = np.array(list(itertools.product((-1, 1), repeat=dimension)), dtype=np.int8)
        assert design_strength(Code("cube", corners, math.sqrt(dimension))) == 3
        cross = np.concatenate([np.eye(dimension), -np.eye(dimension)]).astype(np.int8)
        assert design_strength(Code("cross", cross, 1.0)) == 3


def test_a_codeword_less_breaks_the_first_degree():
    e8 = make_code("e8")
    assert design_strength(Code("less", e8.integers[1:].copy(), e8.scale)) == 0
    # Without a pair ±v the odd degrees hold and the second fails.
    opposite = int((e8.integers.astype(int) @ e8.integers[0]).argmin())
    kept = np.delete(e8.integers, [0, opposite], axis=0)
    assert design_strength(Code("less", kept, e8.scale)) == 1


def test_norms_that_differ():
    two = np.array([[1, 0], [-1, 0], [0, 2], [0, -2]], dtype=np.int8)
    assert design_strength(Code("two norms", two, 1.0)) == 1


def test_axes_without_integer_squares():
    with pytest.raises(InputError, match="integer squares"):
        design_strength(Code("x", np.ones((1, 2), dtype=np.int8), 1.0, axes=(1.0, 1.1)))
