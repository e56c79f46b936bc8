"""Presets: the paper's body has the paper's size, and numbers from a stranger cannot do harm."""

import pytest
import torch

from workbench.errors import InputError
from workbench.models.presets import body_preset, make_body


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_vit_base_has_the_size_of_the_published_body():
    with torch.device("meta"):
        body = make_body(body_preset("vit-base-8"), dimension=24)
    assert round((count(body.encoder) + count(body.decoder)) / 1e6, 2) == 174.83
    assert body.window == 256


@pytest.mark.parametrize("name", ["conv-mini-8", "conv-small-8", "conv-base-8", "vit-tiny-8"])
def test_a_body_maps_patches_to_codes_and_back(name):
    body = make_body(body_preset(name), dimension=18)
    side = body.window or 40
    images = torch.rand(2, 3, side, side)
    latents = body.encoder(images)
    assert latents.shape == (2, 18, side // 8, side // 8)
    assert body.decoder(latents).shape == images.shape


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ({"kind": "con"}, "did you mean 'conv'"),
        ({"kind": "conv", "factor": 8}, "does not take these numbers"),
        ({**body_preset("conv-base-8"), "width": 10**9}, "0 to 8192"),
        ({**body_preset("conv-base-8"), "width": "os.system"}, "whole number"),
        ({**body_preset("conv-base-8"), "depth": 3}, "depth"),
    ],
)
def test_numbers_that_do_not_fit_are_named(numbers, says):
    with pytest.raises(InputError, match=says):
        make_body(numbers, dimension=24)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'vit-base-8'"):
        body_preset("vit-base8")
