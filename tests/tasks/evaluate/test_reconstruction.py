"""Evaluating a tokenizer on a set: means of what each picture says, and rates that add up."""

import math

import numpy as np
import pytest
import torch

from workbench.errors import ImageError, InputError
from workbench.images.files import write_png
from workbench.images.sources import open_source
from workbench.metrics.distortion import psnr
from workbench.metrics.distribution import Moments, frechet_distance
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction
from workbench.tasks.evaluate.spaces import FeatureSpace


class Means:
    """The mean colour of a picture as its features."""

    name = "means"

    def embed(self, images):
        return images.mean(dim=(2, 3))


MEANS = FeatureSpace("means", "FD-means", Means())


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}, name="little").eval()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number, size in enumerate([(24, 32), (40, 17), (16, 16)]):
        write_png(rng.integers(0, 256, (*size, 3), dtype=np.uint8), tmp_path / f"{number}.png")
    return tmp_path


def test_the_figures_are_those_of_the_pictures(tokenizer, folder):
    result = evaluate_reconstruction(tokenizer, open_source(folder), spaces=[MEANS])
    pictures = [sample.image for sample in open_source(folder)]
    made = [tokenizer.reconstruct(picture) for picture in pictures]
    each = [psnr(picture, answer.image) for picture, answer in zip(pictures, made, strict=True)]
    assert result.pictures == 3
    assert result.means["psnr"] == pytest.approx(np.mean(each))
    assert result.means["ms_ssim"] is None
    tokens = sum(answer.indices.size for answer in made)
    pixels = sum(picture.shape[0] * picture.shape[1] for picture in pictures)
    assert result.bpp == pytest.approx(tokens * math.log2(196_560) / pixels)
    assert result.bpp_ideal == pytest.approx(tokens * result.usage.entropy_bits / pixels)
    assert result.usage.tokens == tokens


def test_the_frechet_distance_is_that_of_the_two_sets(tokenizer, folder):
    def moments(pictures):
        return Moments.of(np.stack([p.reshape(-1, 3).mean(0) / 255 for p in pictures]))

    same = [np.full((128, 128, 3), level, np.uint8) for level in (30, 90, 200)]
    for number, picture in enumerate(same):
        write_png(picture, folder / f"{number}.png", force=True)
    result = evaluate_reconstruction(tokenizer, open_source(folder), spaces=[MEANS])
    made = [tokenizer.reconstruct(picture).image for picture in same]
    assert result.distances["FD-means"] == pytest.approx(frechet_distance(moments(same), moments(made)), abs=1e-6)


def test_a_set_without_pictures_is_an_error(tokenizer, tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises((InputError, ImageError)):
        evaluate_reconstruction(tokenizer, open_source(tmp_path))
