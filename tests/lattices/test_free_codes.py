"""Random and Fibonacci codes, codes that a person gives, and the tiled search that serves them."""

import math

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.fibonacci import fibonacci_code
from workbench.lattices.codes.random import random_code
from workbench.lattices.search.exhaustive import nearest_exhaustive
from workbench.lattices.search.tiled import nearest_tiled


def test_points_are_distinct_and_on_the_sphere():
    for code in (random_code(3000, 24, 0), fibonacci_code(3000, 24), fibonacci_code(3000, 3), fibonacci_code(50, 2)):
        assert len(np.unique(code.integers, axis=0)) == code.size
        np.testing.assert_allclose(code.vectors().norm(dim=1), 1, atol=2e-4)


def test_seeds_and_fingerprints():
    assert random_code(100, 5, 1).fingerprint == random_code(100, 5, 1).fingerprint
    assert random_code(100, 5, 1).fingerprint != random_code(100, 5, 2).fingerprint
    # A longer code begins with the shorter one.
    assert np.array_equal(random_code(100, 5, 1).integers, random_code(300, 5, 1).integers[:100])


def test_fibonacci_in_three_dimensions_is_the_textbook_lattice():
    points, index = fibonacci_code(1000, 3).vectors().double().numpy(), np.arange(1000)
    np.testing.assert_allclose(points[:, 0], 1 - (2 * index + 1) / 1000, atol=2e-5)
    turns = index * (math.sqrt(5) - 1) / 2
    side = np.sqrt(1 - (1 - (2 * index + 1) / 1000) ** 2)
    np.testing.assert_allclose(points[:, 1], side * np.cos(2 * np.pi * turns), atol=3e-5)
    np.testing.assert_allclose(points[:, 2], side * np.sin(2 * np.pi * turns), atol=3e-5)


@pytest.mark.parametrize("dimension", [4, 9, 24])
def test_fibonacci_holds_equal_areas(dimension):
    # The share of points above height h is the share of the sphere: compare the squared heights' mean and more.
    points = fibonacci_code(20_000, dimension).vectors().double()
    np.testing.assert_allclose(points.square().mean(0) * dimension, 1, atol=0.03)
    fourth = 3 / (dimension * (dimension + 2))
    np.testing.assert_allclose(points[:, 0].pow(4).mean(), fourth, rtol=1e-2)


def test_tiled_search_equals_exhaustive_search():
    generator = torch.Generator().manual_seed(0)
    uneven = Code("uneven", np.array([[1, 0], [0, 3], [-2, -2], [5, 5], [4, 5]], dtype=np.int8), 2.0)
    for code in (random_code(1300, 6, 0), uneven, random_code(1, 3, 0), random_code(2, 3, 0)):
        words = code.vectors()
        pick = torch.randint(code.size, (2, 200), generator=generator)
        rows = torch.cat(
            [
                torch.randn(1200, code.dimension, generator=generator),
                (words[pick[0]] + words[pick[1]]) / 2,
                torch.zeros(1, code.dimension),
                words,
            ]
        )
        assert torch.equal(nearest_tiled(rows, code), nearest_exhaustive(rows, code))


@pytest.mark.parametrize(("size", "dimension"), [(0, 3), (5, 1)])
def test_arguments_out_of_range(size, dimension):
    for build in (random_code, fibonacci_code):
        with pytest.raises(InputError, match=f"got {size}.*{dimension}"):
            build(size, dimension)


def test_axes_must_fit():
    table = np.ones((1, 3), dtype=np.int8)
    with pytest.raises(InputError, match="expected 3 positive factors"):
        Code("x", table, 1.0, axes=(1.0, 2.0))
    np.testing.assert_allclose(Code("x", table, 2.0, axes=(1.0, 2.0, 3.0)).vectors(), [[0.5, 1.0, 1.5]])
