"""A pyramid tokenizer: prefixes decode, files keep it, and what does not fit is refused."""

import json

import numpy as np
import pytest
import torch

from workbench.errors import InputError, ModelError
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer


def make(**settings):
    torch.manual_seed(0)
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2, 4], "gains": [1.5, 1.25, 0.8]} | settings
    return PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="pyramid").eval()


def test_tokens_go_out_and_back():
    model = make()
    images = torch.rand(3, 3, 32, 32)
    indices = model.tokenize(images)
    assert indices.shape == (3, 21)
    made, result = model(images)
    assert torch.equal(result.indices, indices)
    assert (model.detokenize(indices) - made.clamp(0, 1)).abs().max() < 1e-5
    for stop in model.quantizer.starts[1:]:
        assert model.detokenize(indices[:, :stop]).shape == (3, 3, 32, 32)
    picture = (np.random.default_rng(0).random((40, 50, 3)) * 255).astype(np.uint8)
    result = model.reconstruct(picture)
    assert result.image.shape == (32, 32, 3)
    assert result.bits_per_pixel == pytest.approx(21 * model.bits_per_token / 32**2)
    assert model.prepare(picture).shape == (32, 32, 3)


def test_files_keep_tokens_and_gains(tmp_path):
    model = make(refine=0.5)
    model.half().float()  # what 16-bit storage leaves
    model.quantizer.gains.copy_(torch.tensor([1.234567, 1.1, 0.7]))
    model.save_pretrained(tmp_path)
    again = PyramidTokenizer.from_pretrained(tmp_path)
    assert torch.equal(again.quantizer.gains, model.quantizer.gains)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(again.tokenize(images), model.tokenize(images))
    assert again.weights_hash is not None
    assert len(again.weights_hash) == 64
    assert isinstance(Tokenizer.from_pretrained(tmp_path), PyramidTokenizer)
    with pytest.raises(ModelError, match="describes a 'multiscale-tokenizer', expected a 'tokenizer'"):
        GridTokenizer.from_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"codebook": "0" * 64}))
    with pytest.raises(ModelError, match="was trained with codebook 000000000000"):
        PyramidTokenizer.from_pretrained(tmp_path)


def test_what_does_not_fit_is_refused():
    model = make()
    with pytest.raises(InputError, match="takes pictures of 32×32 pixels, got 64×64"):
        model.tokenize(torch.rand(1, 3, 64, 64))
    with pytest.raises(InputError, match=r"gives pictures of 32×32 pixels, got size=\(8, 8\)"):
        model.detokenize(torch.zeros(1, 1, dtype=torch.int64), size=(8, 8))
    with pytest.raises(InputError, match="needs the quantizer 'multiscale', got 'leech'"):
        PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"})
    with pytest.raises(InputError, match="window of 64 pixels cannot take pictures of 32"):
        PyramidTokenizer(
            body=body_preset("vit-tiny-8"), quantizer={"name": "multiscale", "base": "leech", "scales": [1, 2, 4]}
        )
