"""The k nearest codewords, against sorting all of them."""

import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.exhaustive import ranked_exhaustive
from workbench.lattices.search.nearest import nearest
from workbench.lattices.search.ranking import nearest_k
from workbench.tasks.bench.search import hard_points

SHELLS = ["leech", "leech-published", "leech2", "leech3", "leech4"]


def points(code, random, hard, seed):
    generator = torch.Generator().manual_seed(seed)
    difficult = hard_points(code, generator)
    chosen = difficult[torch.randperm(len(difficult), generator=generator)[:hard]]
    return torch.cat([torch.zeros(1, code.dimension), torch.randn(random, code.dimension, generator=generator), chosen])


@pytest.mark.parametrize("name", SHELLS)
def test_equals_sorting_all_products(name):
    code = make_code(name)
    x = points(code, 12, 20, 0)
    expected = ranked_exhaustive(x, code, 256)
    for k in (1, 10, 256):
        assert torch.equal(nearest_k(x, code, k), expected[:, :k])


@pytest.mark.parametrize("name", [*SHELLS, "e8", "bw16", "k12"])
def test_the_first_is_the_nearest(name):
    code = make_code(name)
    x = points(code, 50, 50, 1)
    assert torch.equal(nearest_k(x, code, 3)[:, 0], nearest(x, code))


def test_batches_and_no_points():
    code = make_code("leech")
    x = torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(2)).half()
    ranked = nearest_k(x, code, 5)
    assert ranked.shape == (2, 3, 5)
    assert torch.equal(ranked.view(6, 5), nearest_k(x.view(6, 24).double(), code, 5))
    assert nearest_k(torch.empty(0, 24), code, 5).shape == (0, 5)


def test_errors():
    leech, e8 = make_code("leech"), make_code("e8")
    for code, k, most in ((leech, 0, 256), (leech, 257, 256), (e8, 241, 240)):
        with pytest.raises(InputError, match=f"k must be from 1 to {most} .* got {k}"):
            nearest_k(torch.zeros(code.dimension), code, k)
    with pytest.raises(InputError, match="expected floats"):
        nearest_k(torch.zeros(3, 8), leech, 1)
    x = torch.zeros(4, 24)
    x[2, 2] = torch.nan
    with pytest.raises(InputError, match="row 2 has"):
        nearest_k(x, leech, 1)
