"""Holes of codes: the deep ones of known arrangements, and what a climb promises."""

import itertools
import math

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.random import random_code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.covering import find_hole, hole_direction, hole_error, search_holes
from workbench.lattices.search.nearest import nearest

CUBE = Code("cube", np.array(list(itertools.product((-1, 1), repeat=4)), dtype=np.int8), 2.0)
CROSS = Code("cross", np.concatenate([np.eye(5), -np.eye(5)]).astype(np.int8), 1.0)


@pytest.mark.parametrize(
    ("code", "cosine"),
    [
        (CUBE, 1 / 2),  # an axis, with 1/2 of each corner
        (CROSS, 1 / math.sqrt(5)),  # a diagonal
        (make_code("e8"), 1 / math.sqrt(2)),
        (make_code("bw16"), 1 / math.sqrt(3)),
        (make_code("k12"), math.sqrt(3 / 8)),
    ],
)
def test_deep_holes_that_are_known(code, cosine):
    assert hole_error(code, search_holes(code, starts=6)) == pytest.approx(2 - 2 * cosine, abs=1e-9)


def test_a_hole_is_a_local_maximum_of_the_distance():
    code = random_code(500, 4, 0)
    rng = np.random.default_rng(1)
    vectors = code.vectors().double().numpy()
    for _ in range(10):
        hole = find_hole(code, rng.standard_normal(4))
        x = hole_direction(code, hole)
        products = vectors @ x
        np.testing.assert_allclose(products[hole], 1, atol=1e-9)
        assert products.max() < 1 + 1e-5  # no codeword is nearer than the four of the hole
        z = x / np.linalg.norm(x)
        assert 2 - 2 * (vectors @ z).max() == pytest.approx(hole_error(code, hole), abs=1e-4)
        around = z + 1e-4 * rng.standard_normal((2000, 4))
        around /= np.linalg.norm(around, axis=1, keepdims=True)
        assert (vectors @ around.T).max(0).min() > (vectors @ z).max() - 1e-7


def test_climbing_never_ends_below_its_start():
    code = random_code(300, 6, 2)
    rng = np.random.default_rng(0)
    for _ in range(20):
        z = rng.standard_normal(6)
        start = z / np.linalg.norm(z)
        q = code.vectors_at(nearest(torch.from_numpy(start)[None], code))[0].double().numpy()
        assert hole_error(code, find_hole(code, z)) >= ((start - q) ** 2).sum() - 1e-4


def test_climbing_from_a_codeword_leaves_it():
    code = make_code("e8")
    assert hole_error(code, find_hole(code, code.integers[7].astype(float))) == pytest.approx(2 - math.sqrt(2))


def test_search_keeps_the_deepest_and_tells_progress():
    code, told = random_code(400, 5, 0), []
    one = hole_error(code, search_holes(code, starts=1))
    many = hole_error(code, search_holes(code, starts=12, progress=lambda share, _: told.append(share)))
    assert many > one
    assert np.array_equal(search_holes(code, starts=12), search_holes(code, starts=12))
    assert told == [(k + 1) / 12 for k in range(12)]


def test_codes_without_a_deepest_hole():
    half = Code("half", np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.int8), 1.0)
    with pytest.raises(InputError, match="do not surround"):
        find_hole(half, np.ones(3))


def test_wrong_holes():
    code = make_code("e8")
    for hole in ([0, 1], [0] * 8):
        with pytest.raises(InputError, match="8 linearly independent"):
            hole_direction(code, np.array(hole))
