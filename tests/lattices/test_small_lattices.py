"""Laws of E8, Barnes-Wall and Coxeter-Todd: counts, distances, symmetry, order, and a search equal to the reference."""

import itertools
import math

import numpy as np
import pytest
import torch

from workbench.lattices.codes.barnes_wall import bw16, words_bw16
from workbench.lattices.codes.coxeter_todd import k12
from workbench.lattices.codes.e8 import e8
from workbench.lattices.search.exhaustive import nearest_exhaustive
from workbench.lattices.search.nearest import nearest

CODES = {"e8": e8, "bw16": bw16, "k12": k12}
# Known from the lattices: kissing number, and how many neighbours stand at 60 degrees from each.
KNOWN = {"e8": (8, 240, 56), "bw16": (16, 4320, 280), "k12": (12, 756, 82)}
FINGERPRINTS = {"e8": "caa49cec415a", "bw16": "71bec13f2daa", "k12": "0d78aa15b489"}


@pytest.fixture(params=sorted(CODES))
def code(request):
    return CODES[request.param]()


def test_counts_norms_and_order(code):
    dimension, size, _ = KNOWN[code.name]
    points = code.integers * code.steps
    assert code.integers.shape == (size, dimension)
    assert len(np.unique(code.integers, axis=0)) == size
    np.testing.assert_allclose((points**2).sum(1), 1)
    assert code.fingerprint.startswith(FINGERPRINTS[code.name])


def test_every_point_sees_the_same_and_none_is_nearer_than_60_degrees(code):
    points = code.integers * code.steps
    some = np.arange(0, code.size, 1 if code.size < 1000 else 31)
    cosines = np.round(points[some] @ points.T, 9)
    cosines[np.arange(len(some)), some] = -2
    assert cosines.max() == 0.5
    assert set((cosines == 0.5).sum(1)) == {KNOWN[code.name][2]}
    census = np.sort(cosines, axis=1)
    assert (census == census[0]).all()
    np.testing.assert_allclose(points.T @ points * code.dimension / code.size, np.eye(code.dimension), atol=1e-12)


def test_closed_under_reflection_in_its_own_points():
    points = e8().integers * e8().steps
    for root in points[::48]:
        assert np.allclose(((points - 2 * np.outer(points @ root, root)) @ points.T).max(1), 1)
    # K12 as six complex coordinates: the reflection x - 2<x, r>r is complex.
    points = k12().integers * k12().steps
    whole = points[:, ::2] + 1j * points[:, 1::2]
    for root in whole[::150]:
        mirrored = whole - 2 * np.outer(whole @ root.conj(), root)
        assert np.allclose((mirrored @ whole.conj().T).real.max(1), 1)


def test_barnes_wall_words_meet_in_none_or_four():
    words = words_bw16()
    assert words.tolist() == sorted(words.tolist())
    meets = {len(set(a) & set(b)) for a, b in itertools.combinations(words.tolist(), 2)}
    assert (len(words), meets) == (30, {0, 4})


def test_search_equals_exhaustive_search_ties_included(code):
    generator = torch.Generator().manual_seed(3)
    dimension = code.dimension
    words = code.vectors()
    pick = torch.randint(code.size, (2, 100), generator=generator)
    rows = torch.cat(
        [
            torch.randn(400, dimension, generator=generator),
            torch.randint(-2, 3, (200, dimension), generator=generator).float(),
            torch.randn(100, dimension, generator=generator) * (torch.rand(100, dimension, generator=generator) < 0.2),
            torch.from_numpy(code.integers[pick[0].numpy()] + code.integers[pick[1].numpy()]).float(),
            words[pick[0]] + words[pick[1]],
            torch.eye(dimension),
            -torch.eye(dimension),
            torch.zeros(1, dimension),
            1e30 * torch.randn(20, dimension, generator=generator),
            1e-35 * torch.randn(20, dimension, generator=generator),
        ]
    )
    torch.testing.assert_close(nearest(rows, code), nearest_exhaustive(rows, code), rtol=0, atol=0)
    assert nearest(torch.zeros(dimension), code) == 0


def test_index_and_vector_are_inverse(code):
    assert torch.equal(nearest(code.vectors(), code), torch.arange(code.size))


def test_e8_least_vectors_are_those_of_the_lattice():
    doubled = np.array([v for v in itertools.product(range(-2, 3), repeat=4)])
    halves = {tuple(row) for row in e8().integers.tolist()}
    # E8 in this scale: all even with sum 0 mod 4, or all odd with sum 0 mod 4; enumerated over two halves of four.
    squares = (doubled**2).sum(1)
    found = 0
    for left, right in itertools.product(range(len(doubled)), repeat=2):
        if squares[left] + squares[right] != 8:
            continue
        point = (*doubled[left], *doubled[right])
        if len({entry % 2 for entry in point}) == 1 and sum(point) % 4 == 0:
            found += 1
            assert point in halves
    assert found == 240
    assert math.isclose(e8().scale ** 2, 8)
