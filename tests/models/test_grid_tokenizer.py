"""The tokenizer: one call owns colour, range, padding and cropping; files fit or are refused."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.errors import InputError, ModelError
from workbench.models import grid_tokenizer as module
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer


def build(body="conv-mini-8", seed=0):
    torch.manual_seed(seed)
    model = GridTokenizer(body=body_preset(body), quantizer={"name": "leech"}, name="little").eval()
    for name, parameter in model.named_parameters():
        if name.endswith("proj.weight"):
            torch.nn.init.normal_(parameter, std=0.02)
    return model


@pytest.fixture(scope="module")
def conv():
    return build()


@pytest.fixture(scope="module")
def vit():
    return build("vit-tiny-8")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 13), (16, 24), (97, 61)])
@pytest.mark.parametrize("body", ["conv", "vit"])
def test_the_picture_that_comes_back_has_the_size_of_the_one_that_went_in(size, body, request):
    model = request.getfixturevalue(body)
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = model.reconstruct(picture)
    assert result.image.shape == picture.shape
    assert result.image.dtype == np.uint8
    assert result.indices.shape == model.grid(*size)
    assert result.bits == pytest.approx(result.indices.size * np.log2(196_560))
    assert result.bits_per_pixel == pytest.approx(result.bits / (size[0] * size[1]))


def test_tiles_give_the_tokens_and_the_pixels_of_the_whole(conv, monkeypatch):
    images = torch.rand(1, 3, 136, 200)
    whole = conv.tokenize(images)
    pixels = conv.detokenize(whole)
    monkeypatch.setattr(module, "TILE", 4)
    assert torch.equal(conv.tokenize(images), whole)
    torch.testing.assert_close(conv.detokenize(whole), pixels, atol=1e-5, rtol=0)


def test_a_batch_is_its_pictures_one_by_one(conv):
    images = torch.rand(3, 3, 24, 32)
    together = conv.tokenize(images)
    assert torch.equal(together, torch.cat([conv.tokenize(image[None]) for image in images]))


def test_uint8_floats_pil_and_arrays_are_the_same_picture(conv):
    array = np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    expected = conv.reconstruct(array).indices
    for same in (Image.fromarray(array), tensor, tensor.float() / 255):
        assert np.array_equal(conv.reconstruct(same).indices, expected)


def test_gradients_reach_the_encoder_through_the_quantizer(conv):
    made, result = conv(torch.rand(1, 3, 32, 32))
    made.square().mean().backward()
    assert conv.encoder.stem.weight.grad.abs().sum() > 0
    assert float(result.aux_loss) == 0
    assert not any("digits" in key for key in conv.state_dict())
    conv.zero_grad()


def test_saved_and_loaded_models_agree(conv, tmp_path):
    conv.save_pretrained(tmp_path / "a")
    once = Tokenizer.from_pretrained(tmp_path / "a")
    once.save_pretrained(tmp_path / "b")
    again = Tokenizer.from_pretrained(tmp_path / "b")
    images = torch.rand(1, 3, 40, 40)
    assert torch.equal(once.tokenize(images), again.tokenize(images))
    assert once.weights_hash == again.weights_hash
    assert once.config == conv.config


def test_a_model_trained_with_another_codebook_is_refused(conv, tmp_path):
    conv.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["quantizer"] = {"name": "leech-published"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="other codewords"):
        Tokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (torch.rand(3, 8, 8), "shape"),
        (torch.rand(1, 1, 8, 8), "shape"),
        (torch.rand(1, 3, 0, 8), "shape"),
        (2 * torch.rand(1, 3, 8, 8) - 1.5, "do not normalise"),
        (torch.full((1, 3, 8, 8), torch.nan), "0, 1"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.int64), "uint8"),
    ],
)
def test_what_is_no_picture_is_refused(conv, images, says):
    with pytest.raises(InputError, match=says):
        conv.tokenize(images)


@pytest.mark.parametrize(
    ("indices", "size", "says"),
    [
        (torch.zeros(2, 2, dtype=torch.int64), None, "B, h, w"),
        (torch.zeros(1, 2, 2, dtype=torch.int64), (30, 16), "token grid"),
        (torch.full((1, 2, 2), 196_560), None, "196560"),
    ],
)
def test_indices_that_are_none_are_refused(conv, indices, size, says):
    with pytest.raises(InputError, match=says):
        conv.detokenize(indices, size=size)


def test_arrays_of_another_kind_are_refused(conv):
    with pytest.raises(InputError, match="uint8 array"):
        conv.reconstruct(np.zeros((8, 8), np.uint8))
