"""Laws of the second shell of Λ24: sixteen million vectors by rule, found again without a list."""

import hashlib
import itertools

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.leech_shell3 import second_shell
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.nearest import nearest

STARTS = (0, 5_275_648, 13_565_952, 16_674_816, 16_773_120)
SHAPES = ({0: 12, 2: 12}, {1: 21, 3: 3}, {0: 15, 2: 8, 4: 1}, {1: 23, 5: 1})


def sample(count, seed=0):
    rng = np.random.default_rng(seed)
    edges = [edge + step for edge in STARTS for step in (-1, 0) if 0 <= edge + step < STARTS[-1]]
    return np.concatenate([edges, *(rng.integers(a, b, count) for a, b in itertools.pairwise(STARTS))])


def test_shapes_norms_and_membership_of_the_lattice():
    code = second_shell()
    assert code.size == STARTS[-1] == 2576 * 2**11 + 2024 * 2**12 + 759 * 2**12 + 24 * 2**12
    indices = sample(300)
    rows = code.integers_at(indices).astype(np.int64)
    assert set((rows**2).sum(1)) == {48}
    for row, shape in zip(rows, np.searchsorted(STARTS, indices, side="right") - 1, strict=True):
        values, counts = np.unique(abs(row), return_counts=True)
        assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == SHAPES[shape]
    # In the lattice of `leech`: products with its vectors are multiples of 8, and with one another too.
    products = rows @ make_code("leech").integers[::97].astype(np.int64).T
    assert not (products % 8).any()
    assert not ((rows @ rows.T) % 8).any()
    pairs = rows @ rows.T
    np.fill_diagonal(pairs, 0)
    assert len(np.unique(rows, axis=0)) == len(np.unique(indices))
    assert pairs[pairs < 48].max() <= 32


def test_index_and_vector_are_inverse():
    code = second_shell()
    indices = torch.from_numpy(sample(60, seed=1))
    assert torch.equal(nearest(code.vectors_at(indices), code), indices)


def test_zero_and_ties_take_the_lowest_index():
    code = second_shell()
    assert nearest(torch.zeros(24), code) == 0
    # Between codewords a and b at 32 of 48, the midpoint is as near to both and to none more.
    rows = code.integers_at(np.arange(0, 2576 * 4, 2576))
    assert (rows[0].astype(int) @ rows[1].astype(int)) == 32
    assert nearest(torch.from_numpy(rows[0] + rows[1]).float(), code) == 0


def test_the_answer_beats_every_neighbour_in_the_lattice():
    # From the answer, all steps by a first-shell vector that stay on the second shell: none does better.
    code = second_shell()
    steps = make_code("leech").integers.astype(np.int64)
    points = torch.randn(6, 24, generator=torch.Generator().manual_seed(5))
    for point, index in zip(points.double().numpy(), nearest(points, code).tolist(), strict=True):
        answer = code.integers_at(np.array(index)).astype(np.int64)
        around = answer + steps[(steps @ answer) == -16]
        assert len(around) == 11178
        assert (around @ point).max() <= answer @ point + 1e-9


def test_index_out_of_range():
    with pytest.raises(InputError, match=r"lie in \[0, 16773120\), got 16773120"):
        second_shell().integers_at(np.array([16_773_120]))


@pytest.mark.heavy
def test_fingerprint_and_search_against_the_whole_table():
    code = second_shell()
    table = code.integers
    assert hashlib.sha256(table).hexdigest() == code.fingerprint
    generator = torch.Generator().manual_seed(0)
    sparse = torch.randn(8, 24, generator=generator) * (torch.rand(8, 24, generator=generator) < 0.2)
    whole = torch.randint(-2, 3, (16, 24), generator=generator).float()
    rows = torch.cat([torch.randn(24, 24, generator=generator), sparse, whole, torch.eye(24)[:4]])
    best, found = torch.full((len(rows),), -1e9, dtype=torch.float64), torch.zeros(len(rows), dtype=torch.int64)
    for place, part in enumerate(torch.tensor(table).split(1 << 19)):
        score, index = (rows.double() @ part.double().T).max(1)
        better = score > best
        best[better], found[better] = score[better], index[better] + place * (1 << 19)
    assert torch.equal(nearest(rows, code), found)
