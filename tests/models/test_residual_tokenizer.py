"""A tokenizer over a residual quantizer: several tokens a patch, coarse to fine on the last axis of the indices."""

import json
import math

import numpy as np
import pytest
import torch

from workbench.errors import InputError, ModelError
from workbench.models import grid_tokenizer as module
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer

GAINS = [0.9, 0.5, 0.3]


def build(depth, body="conv-tiny-8", gains=None):
    """A small model with random weights, the same ones for every depth."""
    torch.manual_seed(0)
    settings = {"name": "residual", "depths": ["e8"] * depth, "gains": gains or GAINS[:depth]}
    model = GridTokenizer(body=body_preset(body), quantizer=settings, name="little").eval()
    for name, parameter in model.named_parameters():
        if name.endswith("proj.weight"):
            torch.nn.init.normal_(parameter, std=0.02)
    return model


@pytest.fixture(scope="module")
def model():
    return build(2)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("body", ["conv-tiny-8", "vit-tiny-8"])
@pytest.mark.parametrize("size", [(1, 1), (7, 13), (97, 61)])
def test_a_patch_has_a_token_for_each_depth(depth, body, size):
    model = build(depth, body)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = model.reconstruct(picture)
    assert result.image.shape == picture.shape
    assert result.indices.shape == (*model.grid(*size), depth)
    assert model.depth == depth
    assert model.bits_per_token == pytest.approx(math.log2(240))
    assert result.bits == pytest.approx(result.indices.size * math.log2(240))


def test_tokens_give_the_codes_that_the_network_alone_sees(model):
    images = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        made, result = model(images)
    indices = model.tokenize(images)
    assert torch.equal(indices, result.indices)
    torch.testing.assert_close(model.detokenize(indices), made.clamp(0, 1), atol=1e-5, rtol=0)


def test_tiles_give_the_tokens_and_the_pixels_of_the_whole(model, monkeypatch):
    images = torch.rand(1, 3, 136, 200)
    whole = model.tokenize(images)
    pixels = model.detokenize(whole)
    monkeypatch.setattr(module, "TILE", 4)
    assert torch.equal(model.tokenize(images), whole)
    torch.testing.assert_close(model.detokenize(whole), pixels, atol=1e-5, rtol=0)


def test_a_smaller_depth_is_a_prefix():
    images = torch.rand(1, 3, 40, 40)
    deep, shallow = build(3).tokenize(images), build(2).tokenize(images)
    assert torch.equal(deep[..., :2], shallow)


def test_each_depth_takes_the_code_nearer_to_the_latent():
    images = torch.rand(1, 3, 64, 64)
    left = []
    for depth in (1, 2, 3):
        model = build(depth)
        with torch.no_grad():
            left.append(float(model(images)[1].info["squared_error"]))
    assert left[0] > left[1] > left[2]


def test_saved_and_loaded_models_agree_and_other_gains_are_another_codebook(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = Tokenizer.from_pretrained(tmp_path)
    assert again.config == model.config
    assert again.quantizer.gains == tuple(GAINS[:2])
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantizer"]["gains"][1] = 0.4
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="other codewords"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 2, 2, 1), (1, 2, 2, 3), (1, 2, 2, 2, 1)])
def test_indices_of_another_depth_are_refused(model, shape):
    with pytest.raises(InputError, match=r"shape \(B, h, w, 2\)"):
        model.detokenize(torch.zeros(shape, dtype=torch.int64))


def test_an_index_out_of_range_is_refused_at_any_depth(model):
    indices = torch.zeros(1, 2, 2, 2, dtype=torch.int64)
    indices[0, 0, 1, 1] = 240
    with pytest.raises(InputError, match="240"):
        model.detokenize(indices)
