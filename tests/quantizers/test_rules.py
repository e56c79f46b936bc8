"""BSQ, LFQ and FSQ: their codewords, their order, and their limits."""

import pytest
import torch

from workbench.errors import InputError
from workbench.quantizers.registry import make_quantizer


def test_bsq_codewords_and_order():
    quantizer = make_quantizer("bsq", dimension=4)
    codes = quantizer.indices_to_codes(torch.tensor([0, 1, 8, 15]))
    assert (2 * codes).tolist() == [[-1, -1, -1, -1], [-1, -1, -1, 1], [1, -1, -1, -1], [1, 1, 1, 1]]
    least = torch.pdist(quantizer.indices_to_codes(torch.arange(16))).min()
    torch.testing.assert_close(least, torch.tensor(2 / 4**0.5))


def test_bsq_of_many_bits():
    quantizer = make_quantizer("bsq", dimension=62)
    indices = torch.tensor([0, 2**62 - 1, 2**61 + 5])
    assert torch.equal(quantizer.codes_to_indices(quantizer.indices_to_codes(indices)), indices)
    for dimension in (0, 63):
        with pytest.raises(InputError, match=f"1 to 62 are possible; got {dimension}"):
            make_quantizer("bsq", dimension=dimension)


def test_lfq_has_the_indices_of_bsq_and_keeps_the_norm():
    z = torch.randn(50, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    lfq, bsq = make_quantizer("lfq", dimension=9), make_quantizer("bsq", dimension=9)
    assert torch.equal(lfq(z).indices, bsq(z).indices)
    assert lfq(z).quantized.abs().eq(1).all()
    assert torch.equal(lfq.project(z), z)


def test_fsq_cells_are_equal_and_halves_go_down():
    quantizer = make_quantizer("fsq", levels=[4, 3])
    grid = torch.linspace(-0.9995, 0.9995, 2000)
    points = torch.stack([grid, torch.zeros(2000)], 1)
    levels = quantizer.search(points) // 3
    assert torch.bincount(levels).tolist() == [500, 500, 500, 500]
    ties = torch.tensor([[-0.5, -1 / 3], [0.0, 1 / 3], [0.5, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert (quantizer.search(ties) // 3).tolist() == [0, 1, 2, 0]
    tiny = torch.tensor([[-1e-30, 0.0], [1e-30, 0.0]])
    assert (quantizer.search(tiny) // 3).tolist() == [1, 2]
    codes = quantizer.indices_to_codes(torch.arange(12))
    assert codes[:, 0].unique().tolist() == [-0.75, -0.25, 0.25, 0.75]
    torch.testing.assert_close(codes[:3, 1], torch.tensor([-2 / 3, 0, 2 / 3]))


def test_fsq_uses_all_levels_and_only_those():
    quantizer = make_quantizer("fsq", levels=[8, 8, 8, 6, 8, 8])
    indices = quantizer(50 * torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))).indices
    assert 0 <= indices.min() < indices.max() < quantizer.size
    digits = quantizer.indices_to_codes(indices)
    assert [len(axis.unique()) for axis in digits.T] == [8, 8, 8, 6, 8, 8] or len(digits.unique()) <= 8 + 6


@pytest.mark.parametrize("levels", [[8, 1], [0], [], [-3, 4]])
def test_fsq_levels_below_two(levels):
    with pytest.raises(InputError, match=r"at least 2 levels, got \[" if levels else "at least 2 levels"):
        make_quantizer("fsq", levels=levels)


def test_fsq_of_too_many_words():
    with pytest.raises(InputError, match="more than an int64 index"):
        make_quantizer("fsq", levels=[8] * 21)
