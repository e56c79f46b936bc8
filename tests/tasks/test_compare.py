"""Comparing quantizers on a picture: rows that add up, and winners that win."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError, ModelError
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.tasks import compare as module
from workbench.tasks.compare import CODES, Comparison, compare_codes, compare_models, matched_models, winners


@pytest.fixture(scope="module")
def picture():
    rows, columns = np.mgrid[:40, :48]
    waves = [127 + 120 * np.sin(rows / 5 + k) * np.cos(columns / 7 - k) for k in range(3)]
    return np.stack(waves, axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}, name="little").eval()


def test_the_models_own_code_gives_its_own_reconstruction(picture, tokenizer):
    answers = {answer.name: answer for answer in compare_codes(picture, tokenizer, ["leech"])}
    result = tokenizer.reconstruct(picture)
    assert np.array_equal(answers["leech"].image, result.image)
    assert answers["leech"].figures["bpp"] == pytest.approx(result.bits_per_pixel)
    assert answers["leech"].figures["words"] == len(np.unique(result.indices))
    assert answers["none"].figures["bpp"] is None


def test_every_code_can_go_under_the_model(picture, tokenizer):
    answers = compare_codes(picture, tokenizer)
    assert [answer.name for answer in answers] == ["none", *CODES]
    for answer in answers:
        assert answer.image.shape == picture.shape
        assert answer.figures["tokens"] == 30


def test_a_model_of_another_dimension_is_refused(picture):
    other = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "bsq", "dimension": 18}).eval()
    with pytest.raises(InputError, match="18"):
        compare_codes(picture, other)


def test_an_unknown_code_is_named(picture, tokenizer):
    with pytest.raises(InputError, match="leach"):
        compare_codes(picture, tokenizer, ["leach"])


def test_models_are_compared_in_their_order(picture, tokenizer, monkeypatch):
    monkeypatch.setattr(module, "load_tokenizer", lambda name: tokenizer)
    answers = compare_models(picture, ["a", "b"])
    assert [answer.name for answer in answers] == ["a", "b"]
    assert np.array_equal(answers[0].image, answers[1].image)


def test_without_matched_models_the_way_to_them_is_named(monkeypatch):
    monkeypatch.setattr(module, "tokenizers", lambda: [])
    with pytest.raises(ModelError, match=r"training\.compare"):
        matched_models()


def test_more_psnr_wins_and_less_distance_wins():
    image = np.zeros((8, 8, 3), np.uint8)
    rows = [
        Comparison("a", "x", image, {"psnr": 30.0, "leaf": 0.5, "bpp": None}),
        Comparison("b", "y", image, {"psnr": 20.0, "leaf": 0.1, "bpp": 0.3}),
    ]
    assert winners(rows) == {"psnr": "a", "leaf": "b"}


def test_neither_no_code_nor_speed_nor_a_smaller_code_wins():
    image = np.zeros((8, 8, 3), np.uint8)
    rows = [
        Comparison("none", "none", image, {"psnr": 40.0, "bpp": None, "seconds": 0.1}),
        Comparison("a", "x", image, {"psnr": 30.0, "bpp": 0.3, "seconds": 0.2}),
        Comparison("b", "y", image, {"psnr": 20.0, "bpp": 0.1, "seconds": 0.3}),
    ]
    assert winners(rows) == {"psnr": "a"}
