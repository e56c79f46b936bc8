"""What is stated of codes: each number is computed again from the indices that come with it."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch

from workbench.lattices.code import Code
from workbench.lattices.codes.fibonacci import fibonacci_code
from workbench.lattices.codes.random import random_code
from workbench.lattices.codes.registry import code_names, make_code
from workbench.lattices.covering import hole_direction, hole_error
from workbench.lattices.designs import design_strength
from workbench.lattices.facts import facts_of, least_pair
from workbench.lattices.geometry import least_distance, least_distance_of_rows
from workbench.lattices.pairs import nearest_pair, pair_distances
from workbench.lattices.search.nearest import nearest

# δ_min, kissing number, strength, squared error of the deepest hole known and whether none is deeper.
STATED = {
    "leech": (1, 4600, 11, 2 - 2 * 24 / math.sqrt(48 * 32), True),
    "leech-published": (math.sqrt(3) / 2, 176, 7, 2 - 2 * 24 / math.sqrt(48 * 32), False),
    "leech2": (1, 2268, 3, 2 - 4 / math.sqrt(32), False),
    "leech3": (1, 2300, 3, 1, False),
    "leech4": (1, 88, 3, 2 - 4 / math.sqrt(48), True),
    "leech-shell3": (math.sqrt(2 / 3), 11_178, 11, 2 - 2 * 24 / math.sqrt(48 * 32), True),
    "random": (0.414034, 1, 0, 0.7141, False),
    "fibonacci": (0.291612, 1, 0, 0.7481, False),
    "e8": (1, 56, 7, 2 - math.sqrt(2), True),
    "bw16": (1, 280, 7, 2 - 2 / math.sqrt(3), True),
    "k12": (1, 82, 5, 2 - 2 * math.sqrt(3 / 8), True),
}
# The figure of the paper, δ_min against the number of codewords in 24 dimensions.
FIGURE = {
    "random": {14: 0.491039, 15: 0.491039, 16: 0.430540, 17: 0.414034},
    "fibonacci": {14: 0.396572, 15: 0.365662, 16: 0.313812, 17: 0.298133},
}
SMALL = ("e8", "bw16", "k12", "leech4")
LISTED = tuple(name for name in STATED if name != "leech-shell3")


def test_every_code_has_its_facts():
    assert set(STATED) == set(code_names())
    for name, (_, kissing, strength, _, deepest) in STATED.items():
        facts = facts_of(make_code(name))
        assert facts is not None
        assert (facts.kissing, facts.strength, facts.hole_is_deepest) == (kissing, strength, deepest), name


def test_other_rows_are_another_code():
    code = make_code("e8")
    assert facts_of(Code("e8", code.integers[::-1].copy(), code.scale)) is None
    assert facts_of(random_code(196_560, 24, 1)) is None
    assert least_pair(random_code(1000, 24, 0)) is None


@pytest.mark.parametrize("name", STATED)
def test_least_distance_is_that_of_the_pair(name):
    code = make_code(name)
    found = least_distance(code)
    assert found.exact
    assert found.pair == facts_of(code).pair
    assert found.value == pytest.approx(STATED[name][0], abs=5e-7)
    assert found.value == pair_distances(code, np.array([found.pair]))[0]


@pytest.mark.parametrize("name", LISTED)
def test_no_distance_from_sampled_codewords_is_smaller(name):
    code = make_code(name)
    rows = np.sort(np.random.default_rng(5).choice(code.size, min(100, code.size), replace=False))
    assert least_distance_of_rows(code, rows) >= STATED[name][0] - 1e-5


@pytest.mark.parametrize("name", SMALL)
def test_no_pair_is_nearer(name):
    assert nearest_pair(make_code(name)).distance == pytest.approx(STATED[name][0], abs=1e-9)


@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(set(LISTED) - set(SMALL)))
def test_no_pair_is_nearer_among_all(name):
    code = make_code(name)
    found = nearest_pair(code)
    assert found.distance == pytest.approx(STATED[name][0], abs=5e-7)
    if name in ("random", "fibonacci"):
        assert (found.first, found.second) == facts_of(code).pair


@pytest.mark.parametrize(("build", "values"), [(random_code, FIGURE["random"]), (fibonacci_code, FIGURE["fibonacci"])])
def test_distances_of_the_figure(build, values):
    for bits, value in values.items():
        found = least_distance(build(1 << bits, 24))
        assert found.exact
        assert found.pair is not None
        assert found.value == pytest.approx(value, abs=5e-7)
    assert nearest_pair(build(1 << 14, 24)).distance == pytest.approx(values[14], abs=5e-7)


@pytest.mark.heavy
@pytest.mark.parametrize("build", [random_code, fibonacci_code])
def test_distances_of_the_figure_are_least(build):
    for bits in (15, 16, 17):
        code = build(1 << bits, 24)
        found = nearest_pair(code)
        assert (found.first, found.second) == least_pair(code)[0]


def neighbours(code, index, distance):
    """How many codewords lie at a distance from one, and none nearer."""
    row, found = code.integers_at(np.array([index]))[0].astype(np.float64), 0
    for start in range(0, code.size, 1 << 18):
        rows = code.integers_at(np.arange(start, min(start + (1 << 18), code.size)))
        lengths = np.linalg.norm((rows - row) * code.steps, axis=1)
        assert not ((lengths > 1e-9) & (lengths < distance - 1e-6)).any()
        found += int((np.abs(lengths - distance) < 1e-6).sum())
    return found


@pytest.mark.parametrize("name", LISTED)
def test_kissing_numbers(name):
    code, (distance, kissing, *_) = make_code(name), STATED[name]
    assert neighbours(code, facts_of(code).pair[0], distance) == kissing
    for index in np.random.default_rng(0).integers(0, code.size, 3):
        assert neighbours(code, index, distance) <= kissing


@pytest.mark.heavy
def test_kissing_number_of_the_second_shell():
    code = make_code("leech-shell3")
    for index in (0, 6_000_000, 14_000_000, 16_700_000):  # one of each shape
        assert neighbours(code, index, math.sqrt(2 / 3)) == 11_178


@pytest.mark.parametrize("name", ["leech2", "leech3", "random", "fibonacci", *SMALL])
def test_strengths_are_counted(name):
    code = make_code(name)
    if name in ("random", "fibonacci"):  # the sum of the codewords is not zero
        assert np.abs(code.integers.sum(0, dtype=np.int64)).max() > 0
        assert facts_of(code).strength == 0
    else:
        assert design_strength(code) == facts_of(code).strength


@pytest.mark.heavy
def test_strength_of_the_second_shell():
    assert design_strength(make_code("leech-shell3"), directions=1) == 11


@pytest.mark.parametrize("name", STATED)
def test_holes(name):
    code = make_code(name)
    hole = np.array(facts_of(code).hole)
    error = hole_error(code, hole)
    assert error == pytest.approx(STATED[name][3], abs=1e-9 if STATED[name][4] else 5e-5)
    # No codeword is nearer than those of the hole.
    z = torch.from_numpy(hole_direction(code, hole))
    z = z / z.norm()
    q = code.vectors_at(nearest(z[None], code))[0].double()
    assert float((z - q).square().sum()) == pytest.approx(error, abs=1e-4)


def moments_agree(points, axis, degree):
    """Whether points orthogonal to an axis are a design of that degree in their own space, of D − 1 dimensions."""
    y = np.random.default_rng(0).standard_normal(points.shape[1])
    y -= (y @ axis) * axis / (axis @ axis)
    norms = np.square(points).sum(1)
    np.testing.assert_allclose(norms, norms[0])
    cosines = points @ y / math.sqrt(norms[0] * (y @ y))
    dimension, integral = points.shape[1] - 1, 1.0
    for k in range(1, degree + 1):
        integral *= (k - 1) / (dimension + k - 2) if k % 2 == 0 else 1
        if not math.isclose((cosines**k).mean(), 0 if k % 2 else integral, abs_tol=1e-9):
            return False
    return True


def pairs_around(name):
    """A vector w of norm² 6, the sum of two shortest vectors of norm² 4, and u = v − w/2 for the v with v·w = 3."""
    code = make_code(name)
    rows = 2 * code.integers * code.steps
    w = rows[0] + rows[np.abs(rows @ rows[0] + 1).argmin()]
    assert w @ w == pytest.approx(6)
    products = rows @ w
    assert products.max() == pytest.approx(3)
    u = rows[products > 2.9] - w / 2
    np.testing.assert_allclose(np.square(u).sum(1), 5 / 2)
    return w, u


def longest_between(u, axis):
    """Greatest ‖y‖² for y orthogonal to an axis with |y·u| ≤ 1 for all u: that of all vertices."""
    u = u @ np.linalg.svd(axis[None])[2][1:].T
    u = u[[i for i in range(len(u)) if not np.isclose(u[:i] @ u[i], -u[i] @ u[i]).any()]]  # one of each ±u
    signs = np.array(list(itertools.product((-1, 1), repeat=u.shape[1]))).T
    longest = 0.0
    for chosen in itertools.combinations(range(len(u)), u.shape[1]):
        facets = u[list(chosen)]
        if abs(np.linalg.det(facets)) > 1e-9:
            y = np.linalg.solve(facets, signs)
            inside = y[:, (np.abs(u @ y) < 1 + 1e-9).all(0)]
            longest = max(longest, np.square(inside).sum(0).max(initial=0))
    return longest


@pytest.mark.parametrize(("name", "c", "covering"), [("k12", 14 / 3, 8 / 3), ("bw16", 6, 3), ("leech", 10 / 3, 2)])
def test_why_no_hole_is_deeper(name, c, covering):
    # The steps of the proof in `facts.py`; `covering` is the squared covering radius of the lattice.
    w, u = pairs_around(name)
    n = len(w) - 1
    if name == "k12":
        assert longest_between(u, w) == pytest.approx(c)
    elif name == "bw16":
        assert moments_agree(u, w, 2)
        assert c == n / (5 / 2)
    else:
        assert len(u) == 552
        assert moments_agree(u, w, 4)
        assert c == pytest.approx((n + 2) / (15 / 2))
    greatest = max(8 / 3, 3 / 2 + c / 4, covering)
    code = make_code(name)
    assert hole_error(code, np.array(facts_of(code).hole)) == pytest.approx(2 - 2 / math.sqrt(greatest))


def test_why_no_hole_of_the_second_shell_is_deeper():
    rows = make_code("leech").integers / math.sqrt(8)  # norm² 4
    v = rows[0]
    w = rows[np.abs(rows @ v + 1) < 1e-9] + v  # all codewords of the second shell with w·v = 3
    assert len(w) == 47_104
    np.testing.assert_allclose(np.square(w).sum(1), 6)
    np.testing.assert_allclose(w @ v, 3)
    u = w - 3 / 4 * v
    np.testing.assert_allclose(np.square(u).sum(1), 15 / 4)
    assert moments_agree(u, v, 7)
    # The greatest zero of the Gegenbauer polynomial of degree 4 in 23 dimensions.
    roots = np.roots([25 * 27, 0, -6 * 25, 0, 3])
    assert max(roots.real) == pytest.approx(1 / math.sqrt(5))


def test_facts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        facts_of(make_code("e8")).kissing = 1
