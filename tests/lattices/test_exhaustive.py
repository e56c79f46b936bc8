"""The reference against arithmetic that nobody can doubt, and the integers that both rest on."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.search.exhaustive import nearest_exhaustive, ranked_exhaustive
from workbench.lattices.search.fixed import fixed_point


def small_code(seed, spherical=True):
    """A few dozen integer points of dimension 5."""
    rng = np.random.default_rng(seed)
    points = np.unique(rng.integers(-3, 4, (400, 5)), axis=0)
    norms = (points**2).sum(1)
    points = points[norms == 14] if spherical else points[norms > 0]
    return Code("small", rng.permutation(points).astype(np.int8), 2.0)


def nearest_by_fractions(row, code):
    products = [sum(Fraction(float(a)) * int(b) for a, b in zip(row, word, strict=True)) for word in code.integers]
    return products.index(max(products))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_reference_equals_rational_arithmetic(dtype):
    code = small_code(0)
    generator = torch.Generator().manual_seed(1)
    x = torch.cat([torch.randn(40, 5, generator=generator), torch.randint(-2, 3, (80, 5), generator=generator)])
    x[3] *= 2.0**-10
    x = x.to(dtype)
    expected = [nearest_by_fractions(row, code) for row in x]
    assert nearest_exhaustive(x, code).tolist() == expected
    assert ranked_exhaustive(x, code, 3)[:, 0].tolist() == expected


def test_ranking_is_by_product_and_then_by_index():
    code = small_code(2)
    x = torch.randint(-2, 3, (20, 5), generator=torch.Generator().manual_seed(3)).float()
    products = x.long() @ torch.from_numpy(code.integers.copy()).long().T
    for row, ranked in zip(products.tolist(), ranked_exhaustive(x, code, code.size).tolist(), strict=True):
        assert ranked == sorted(range(code.size), key=lambda word: (-row[word], word))


def test_without_one_norm_it_is_the_least_distance():
    code = small_code(4, spherical=False)
    x = torch.randn(200, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64) * 2
    distances = torch.cdist(x, torch.from_numpy(code.integers / code.scale))
    assert torch.equal(nearest_exhaustive(x, code), distances.argmin(1))
    assert torch.equal(ranked_exhaustive(x, code, 4), distances.argsort(1)[:, :4])


def test_fixed_point_uses_all_bits_and_forgets_the_norm():
    x = torch.randn(50, 24, generator=torch.Generator().manual_seed(6))
    y = fixed_point(x)
    greatest = y.abs().amax(1)
    assert (greatest >= 2**52).all()
    assert (greatest <= 2**53).all()
    # Each row is the same times a power of two: nothing was rounded.
    ratio = y.double() / x.double()
    assert torch.equal(ratio, ratio[:, :1].expand_as(ratio))
    for power in (-140, -30, 5, 120):
        assert torch.equal(fixed_point(x.double() * 2.0**power), y)
    assert torch.equal(fixed_point(x * 2.0**100), y)
    assert not fixed_point(torch.zeros(2, 24)).any()
    assert fixed_point(torch.zeros(0, 24)).shape == (0, 24)


def test_fixed_point_of_the_smallest_and_greatest_floats():
    tiny, huge = torch.finfo(torch.float32).tiny * 2.0**-23, torch.finfo(torch.float32).max
    assert fixed_point(torch.tensor([[tiny, 0.0, -tiny]])).tolist() == [[2**52, 0, -(2**52)]]
    assert fixed_point(torch.tensor([[huge, -huge / 2**30]]))[0, 0] == 2**53 - 2**29
    assert fixed_point(torch.tensor([[5e-324, 1.5e308]], dtype=torch.float64))[0, 0] == 0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_row_that_is_not_finite_is_named(bad):
    x = torch.zeros(9, 5)
    x[4, 2] = x[7, 0] = bad
    for search in (fixed_point, lambda rows: nearest_exhaustive(rows, small_code(0))):
        with pytest.raises(InputError, match="row 4 has an entry that is not finite"):
            search(x)


def test_dimension_must_fit():
    with pytest.raises(InputError, match="dimension 6, code 'small' has 5"):
        nearest_exhaustive(torch.zeros(1, 6), small_code(0))
