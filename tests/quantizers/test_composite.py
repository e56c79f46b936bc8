"""Products and residuals: what they are made of, how they refine, and what they refuse."""

import math

import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.geometry import cap_bound
from workbench.quantizers.registry import make_quantizer


def directions(count, dimension):
    z = torch.randn(count, dimension, generator=torch.Generator().manual_seed(0))
    return z / z.norm(dim=1, keepdim=True)


def test_product_is_its_parts():
    product, part = make_quantizer("product", parts=["e8", "e8", "e8"]), make_quantizer("e8")
    z = directions(30, 24)
    result = product(z)
    own = [part(piece) for piece in z.split(8, dim=1)]
    assert torch.equal(result.quantized, torch.cat([piece.quantized for piece in own], 1))
    assert torch.equal(result.indices, (own[0].indices * 240 + own[1].indices) * 240 + own[2].indices)
    assert product.size == 240**3
    assert product.bits_per_index == pytest.approx(3 * math.log2(240))


def test_product_that_no_index_names():
    with pytest.raises(InputError, match="more than an int64 index"):
        make_quantizer("product", parts=["e8"] * 8)
    with pytest.raises(InputError, match="at least one"):
        make_quantizer("product", parts=[])


@pytest.mark.parametrize("name", ["e8", "k12"])
def test_each_depth_refines_and_a_prefix_is_coarser(name):
    residual = make_quantizer("residual", depths=[name] * 4)
    z = directions(400, residual.dimension)
    result = residual(z)
    partial = residual.partial_sums(result.indices)
    errors = (partial - z).square().sum(-1).mean(-1)
    # With the gains of an ideal code each depth leaves about the same share.
    shares = errors[1:] / errors[:-1]
    bound = cap_bound(residual.dimension, make_quantizer(name).size)
    expected = 1 - (1 - bound / 2) ** 2
    torch.testing.assert_close(shares, torch.full((3,), expected), rtol=0.1, atol=0)
    assert torch.equal(partial[-1], result.quantized)
    shorter = make_quantizer("residual", depths=[name] * 2)
    assert torch.equal(shorter(z).indices, result.indices[:, :2])


def test_each_depth_takes_what_is_left():
    residual, part = make_quantizer("residual", depths=["e8", "e8"], gains=[0.8, 0.5]), make_quantizer("e8")
    z = directions(50, 8)
    first = part(z)
    second = part(z - 0.8 * first.quantized)
    result = residual(z)
    assert torch.equal(result.indices, torch.stack([first.indices, second.indices], -1))
    torch.testing.assert_close(result.quantized, 0.8 * first.quantized + 0.5 * second.quantized)
    assert residual.bits_per_index == pytest.approx(2 * math.log2(240))


def observed(parts):
    """What each quantizer is shown from now on: a list of (points, indices) of each."""
    seen = [[] for _ in parts]
    for part, own in zip(parts, seen, strict=True):
        part.observe = lambda point, indices, own=own: own.append((point, indices))
    return seen


def test_a_stage_learns_from_what_the_stages_before_it_leave():
    residual = make_quantizer("residual", depths=["e8"] * 3, gains=[0.8, 0.5, 0.25]).eval()
    seen = observed(residual.depths)
    z = directions(20, 8)
    indices = residual(z).indices
    residual.observe(z, indices)
    sums = residual.partial_sums(indices)
    for stage, left in enumerate([z, z - sums[0], z - sums[1]]):
        [(point, own)] = seen[stage]
        assert torch.equal(own, indices[:, stage])
        torch.testing.assert_close(point, left / residual.gains[stage])
        assert torch.equal(make_quantizer("e8").search(point), own)


def test_a_stage_begins_with_what_the_stages_before_it_leave():
    stage = {"name": "vq", "dimension": 2, "size": 5}
    residual = make_quantizer("residual", depths=[stage] * 2, gains=[2.0, 0.5])
    z = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    residual.prepare(z)
    first, second = residual.depths
    left = z - 2 * first.lookup(first.search(z / 2))
    for begun, points in ((first, z / 2), (second, left / 0.5)):
        assert (torch.cdist(begun.codebook, points).amin(1) < 1e-6).all()


def test_a_part_learns_from_its_own_channels_and_its_own_index():
    product = make_quantizer("product", parts=["e8", "bw16", "e8"]).eval()
    seen = observed(product.parts)
    z = directions(20, 32)
    product.observe(z, product(z).indices)
    for [(point, own)], piece, name in zip(seen, z.split([8, 16, 8], 1), ["e8", "bw16", "e8"], strict=True):
        assert torch.equal(point, piece)
        assert torch.equal(own, make_quantizer(name)(piece).indices)


def test_gains_of_codes_without_a_sphere_have_to_be_given():
    with pytest.raises(InputError, match="'lfq' is not a spherical code"):
        make_quantizer("residual", depths=[{"name": "lfq", "dimension": 4}] * 2)
    residual = make_quantizer("residual", depths=[{"name": "lfq", "dimension": 4}] * 3, gains=[1.0, 0.5, 0.25])
    z = 2 * torch.rand(100, 4, generator=torch.Generator().manual_seed(0)) - 1
    assert (residual(z).quantized - z).abs().max() <= 1


def test_what_residuals_refuse():
    with pytest.raises(InputError, match=r"dimensions \[8, 16\]"):
        make_quantizer("residual", depths=["e8", "bw16"])
    with pytest.raises(InputError, match="expected 2 positive gains"):
        make_quantizer("residual", depths=["e8", "e8"], gains=[1.0])
    with pytest.raises(InputError, match=r"2 entries on the last axis, one a depth, got shape \(5, 3\)"):
        make_quantizer("residual", depths=["e8", "e8"]).indices_to_codes(torch.zeros(5, 3, dtype=torch.int64))
