"""Codewords by distance: what `ranked` lists is what a sort of all distances gives."""

import pytest
import torch

from workbench.errors import InputError
from workbench.quantizers.quantizer import Quantizer
from workbench.quantizers.registry import make_quantizer
from workbench.quantizers.separable import least_sums

SMALL = (
    {"name": "leech4"},
    {"name": "e8"},
    {"name": "bsq", "dimension": 9},
    {"name": "lfq", "dimension": 7},
    {"name": "fsq", "levels": [5, 4, 3, 8]},
    {"name": "product", "parts": ["e8", {"name": "fsq", "levels": [4, 3]}]},
)


def points(quantizer: Quantizer) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return quantizer.project(torch.randn(5, 3, quantizer.dimension, generator=generator))


@pytest.mark.parametrize("settings", SMALL, ids=lambda s: s["name"])
def test_ranked_is_a_sort_of_all_distances(settings):
    quantizer = make_quantizer(**settings)
    point = points(quantizer)
    found = quantizer.ranked(point, 12)
    codes = quantizer.lookup(torch.arange(quantizer.size))
    distances = (point[..., None, :] - codes).square().sum(-1)
    assert found.shape == (5, 3, 12)
    assert torch.allclose(distances.gather(-1, found), distances.sort(dim=-1).values[..., :12], atol=1e-5)
    assert all(len(set(row)) == 12 for row in found.flatten(0, 1).tolist())
    assert torch.equal(found[..., 0], quantizer.search(point))


def test_a_learned_book_is_ranked_too():
    quantizer = make_quantizer(name="vq", dimension=4, size=40)
    quantizer.prepare(torch.randn(200, 4, generator=torch.Generator().manual_seed(0)))
    point = points(quantizer)
    found = quantizer.ranked(point, 50)
    distances = (point[..., None, :] - quantizer.codebook).square().sum(-1)
    assert found.shape == (5, 3, 40)
    assert torch.equal(found, distances.argsort(dim=-1))


def test_neighbours_of_a_residual_index_differ_in_one_stage():
    quantizer = make_quantizer(name="residual", depths=["leech4", "leech4"])
    point = points(quantizer)
    own = quantizer.search(point)
    found = quantizer.neighbours(point, own, 9)
    assert found.shape == (5, 3, 9, 2)
    changed = (found != own[..., None, :]).sum(-1)
    assert int(changed.max()) == 1
    distances = (quantizer.lookup(found) - point[..., None, :]).square().sum(-1)
    assert torch.equal(distances.sort(dim=-1).values, distances)
    for stage, share in ((0, 5), (1, 4)):
        held = (found[..., 1 - stage] == own[..., None, 1 - stage]).sum(-1)
        assert bool((held >= share).all())


def test_least_sums_against_all_sums():
    generator = torch.Generator().manual_seed(2)
    costs = [torch.rand(6, n, generator=generator) for n in (3, 4, 2)]
    found = least_sums(costs, 10)
    every = (costs[0][:, :, None, None] + costs[1][:, None, :, None] + costs[2][:, None, None, :]).flatten(1)
    sums = torch.stack([cost.gather(1, own) for cost, own in zip(costs, found.unbind(-1), strict=True)]).sum(0)
    assert torch.allclose(sums, every.sort(dim=1).values[:, :10])
    assert least_sums(costs, 100).shape == (6, 24, 3)


def test_a_quantizer_without_a_list_says_so():
    class Silent(Quantizer):
        def search(self, point):
            return point[..., 0].long()

        def lookup(self, indices):
            return indices[..., None].float()

    with pytest.raises(InputError, match="cannot be listed"):
        Silent(name="silent", dimension=1, size=2).neighbours(torch.zeros(1, 1), torch.zeros(1).long(), 2)
