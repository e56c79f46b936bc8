"""The scan of all pairs: what it finds is what a plain comparison finds."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices import pairs
from workbench.lattices.code import Code
from workbench.lattices.codes.fibonacci import fibonacci_code
from workbench.lattices.codes.random import random_code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.pairs import nearest_pair, pair_distances


def plain(code):
    """Distances of all pairs in float64, the diagonal left out."""
    rows = torch.from_numpy(code.integers * code.steps)
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist") + torch.eye(code.size) * 9


CODES = {
    "random": random_code(777, 5, 1),
    "random, much rounding": random_code(900, 2, 3),
    "fibonacci": fibonacci_code(700, 24),
    "integers": Code("mine", np.random.default_rng(0).integers(-90, 90, (600, 4)).astype(np.int8), 3.0),
    "axes": make_code("k12"),
    "many at one distance": make_code("e8"),
}


@pytest.mark.parametrize("block", [64, 2048])
@pytest.mark.parametrize("name", CODES)
def test_scan_equals_a_plain_comparison(name, block, monkeypatch):
    monkeypatch.setattr(pairs, "_BLOCK", block)
    code, expected = CODES[name], plain(CODES[name])
    norm = float(torch.from_numpy(code.integers * code.steps).square().sum(1).mean().sqrt())
    found = nearest_pair(code)
    assert 0 <= found.first < found.second < code.size
    assert float(expected[found.first, found.second]) == pytest.approx(float(expected.min()), rel=1e-12)
    assert found.distance * norm == pytest.approx(float(expected.min()), rel=1e-12)


def test_progress_rises_to_the_end(monkeypatch):
    monkeypatch.setattr(pairs, "_BLOCK", 100)
    told = []
    nearest_pair(random_code(1000, 3, 0), progress=lambda share, message: told.append((share, message)))
    shares = [share for share, _ in told]
    assert len(shares) == 10
    assert shares == sorted(set(shares))
    assert shares[0] == pytest.approx(0.19)  # 1,000 of the 1,000 × 1,000 on and above the diagonal, with the halves
    assert shares[-1] == 1
    assert "random" in told[0][1]


def test_equal_codewords_are_at_distance_zero():
    code = Code("twice", np.array([[1, 2], [3, 4], [1, 2]], dtype=np.int8), 1.0)
    found = nearest_pair(code)
    assert (found.first, found.second, found.distance) == (0, 2, 0)


def test_distances_of_pairs():
    code = Code("square", np.array([[3, 0], [0, 4]], dtype=np.int8), 2.0)
    np.testing.assert_allclose(pair_distances(code, np.array([[0, 1], [1, 1]])), [2.5, 0])


def test_one_point():
    with pytest.raises(InputError, match="one point"):
        nearest_pair(Code("dot", np.array([[1, 0]], dtype=np.int8), 1.0))
