"""Geometry: values that are known, bounds that hold, and searches that say what they are."""

import math

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.random import random_code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.geometry import (
    cap_bound,
    direction_error,
    least_distance,
    least_distance_of_rows,
    normalised_second_moment,
    random_error,
    second_moment,
)
from workbench.lattices.search.nearest import nearest


def test_least_distances_that_are_known():
    known = {
        "leech": 1,
        "leech-published": math.sqrt(3) / 2,
        "leech-shell3": math.sqrt(2 / 3),
        "leech4": 1,
        "e8": 1,
        "k12": 1,
    }
    for name, value in known.items():
        found = least_distance(make_code(name))
        assert found.exact
        assert found.value == pytest.approx(value, abs=1e-6), name


@pytest.mark.parametrize(("name", "value"), [("leech", 1.0), ("leech-published", math.sqrt(3) / 2)])
def test_stated_distances_are_attained_and_not_undercut(name, value):
    # One row of each shape against all rows, and a spread of others.
    rows = np.array([0, 50_000, 97_151, 97_152, 150_000, 195_455, 195_456, 196_559])
    assert least_distance_of_rows(make_code(name), rows) == pytest.approx(value, abs=1e-6)


def test_a_search_says_that_it_is_one():
    code = random_code(9000, 3, 0)
    sampled, whole = least_distance(code), least_distance(code, every_pair=True)
    assert (sampled.exact, whole.exact) == (False, True)
    assert "upper bound" in sampled.how
    assert 0 < whole.value <= sampled.value


def test_distances_are_taken_at_norm_one():
    square = Code("square", np.array([[3, 0], [0, 3], [-3, 0], [0, -3]], dtype=np.int8), 1.0)
    assert least_distance(square).value == pytest.approx(math.sqrt(2))
    assert second_moment(square) == pytest.approx((1, 1))
    half = Code("half", np.array([[3, 0], [-3, 0]], dtype=np.int8), 1.0)
    assert second_moment(half) == pytest.approx((0, 2))


def test_cap_bound():
    assert cap_bound(24, 196_560) == pytest.approx(0.4364, abs=5e-5)
    assert cap_bound(3, 1) == pytest.approx(2)  # the whole sphere
    assert cap_bound(3, 2) == pytest.approx(1)  # a half: the mean height is 1/2
    # In the plane, K arcs of angle 2π/K: 2 − 2·sin(π/K)/(π/K).
    assert cap_bound(2, 7) == pytest.approx(2 - 2 * math.sin(math.pi / 7) / (math.pi / 7))
    # Small caps of the sphere in three dimensions: area 4π/K, mean squared distance half of the squared radius 4/K.
    assert cap_bound(3, 1e9) == pytest.approx(2e-9, rel=1e-4)
    assert cap_bound(24, 2.0**62) < cap_bound(24, 2.0**40)


def test_random_error():
    # In three dimensions the height of the nearest is the least of K uniform numbers: 4/(K + 1).
    for size in (1, 2, 64, 1000):
        assert random_error(3, size) == pytest.approx(4 / (size + 1), rel=1e-5)
    # One codeword anywhere: 2 − 2·E cos = 2.
    assert random_error(24, 1) == pytest.approx(2, rel=1e-5)
    # In the plane the nearest of K angles in [0, π]: K = 2 by hand, 2 − 2·E cos = 2 − 8/π².
    assert random_error(2, 2) == pytest.approx(2 - 8 / math.pi**2, rel=1e-5)
    # Many codewords in D dimensions: (1 + 2/n)·Γ(1 + 2/n) above the cap, n = D − 1.
    for dimension in (3, 6, 24):
        n = dimension - 1
        ratio = random_error(dimension, 1e3**n) / cap_bound(dimension, 1e3**n)
        assert ratio == pytest.approx((1 + 2 / n) * math.gamma(1 + 2 / n), rel=1e-3)


def test_random_error_is_the_mean_over_random_codes():
    errors = []
    for seed in range(30):
        code = random_code(60, 5, seed)
        errors.append(direction_error(lambda z, c=code: c.vectors_at(nearest(z, c)), 5, samples=500, seed=seed).mean)
    spread = 3 * np.std(errors) / math.sqrt(len(errors))
    assert abs(np.mean(errors) - random_error(5, 60)) < spread < 0.02


def test_normalised_second_moment():
    # Small caps are balls in D − 1 dimensions: 1/((n + 2)·V^(2/n)).
    for dimension in (2, 3, 9, 24):
        n = dimension - 1
        ball = 1 / (n + 2) / (math.pi ** (n / 2) / math.gamma(n / 2 + 1)) ** (2 / n)
        bound = cap_bound(dimension, 1e3**n)
        assert normalised_second_moment(bound, dimension, 1e3**n) == pytest.approx(ball, rel=1e-3)


def test_error_of_uniform_directions():
    # Two opposite points in the plane: q = ±e₀, ‖z − q‖² = 2 − 2·|cos|, of mean 2 − 4/π and at most 2.
    error = direction_error(lambda z: torch.stack([z[:, 0].sign(), 0 * z[:, 1]], 1), 2, samples=20_000)
    assert error.low < 2 - 4 / math.pi < error.high
    assert 1.99 < error.worst <= 2
    assert error.high - error.low == pytest.approx(2 * 1.96 * 0.6153 / math.sqrt(20_000), rel=0.05)


@pytest.mark.parametrize(("name", "value"), [("leech", 0.4448), ("leech-published", 0.4486)])
def test_mean_error_of_the_leech_codes(name, value):
    code = make_code(name)
    error = direction_error(lambda z: code.vectors_at(nearest(z, code)), 24, samples=20_000)
    assert error.mean == pytest.approx(value, abs=0.0015)
    assert cap_bound(24, code.size) < error.low
    assert error.worst < 0.6


def test_wrong_arguments():
    with pytest.raises(InputError, match="one point"):
        least_distance(Code("dot", np.array([[1, 0]], dtype=np.int8), 1.0))
    with pytest.raises(InputError, match="got 1 and 5"):
        cap_bound(1, 5)
    with pytest.raises(InputError, match="got 1 and 5"):
        random_error(1, 5)
    with pytest.raises(InputError, match="got 3 and 0"):
        normalised_second_moment(1.0, 3, 0)
    with pytest.raises(InputError, match="got 1"):
        direction_error(lambda z: z, 3, samples=1)
