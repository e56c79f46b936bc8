"""Evaluating a tokenizer on a set: means of what each picture says, and rates that add up."""

import json
import math
import re

import numpy as np
import pytest
import torch

from workbench.__main__ import main
from workbench.coding.static import Static, fit_static
from workbench.errors import ImageError, InputError
from workbench.fit.entropy.tables import tokens_of
from workbench.images.files import read_image, write_png
from workbench.images.sources import open_source
from workbench.metrics.distortion import psnr
from workbench.metrics.distribution import Moments, frechet_distance
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.tasks.compress.codec import load_codec
from workbench.tasks.compress.picture import compress_image
from workbench.tasks.evaluate.fitted_table import Counted, fit_table
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
    assert result.empirical_entropy_bpp == pytest.approx(tokens * result.usage.entropy_bits / pixels)
    assert (result.cross_entropy_bpp, result.table) == (None, None)
    assert result.usage.tokens == tokens


@pytest.fixture
def others(tmp_path_factory):
    """Two pictures, none of them in the folder that is measured."""
    folder, rng = tmp_path_factory.mktemp("others"), np.random.default_rng(1)
    for number, size in enumerate([(64, 80), (33, 56)]):
        write_png(rng.integers(0, 256, (*size, 3), dtype=np.uint8), folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    "quantizer", [{"name": "e8"}, {"name": "residual", "depths": ["e8", "e8"]}, {"name": "product", "parts": ["e8"]}]
)
def test_the_cross_entropy_is_the_rate_of_files_under_a_table_of_other_pictures(quantizer, folder, others):
    torch.manual_seed(0)
    tokenizer = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="little").eval()
    table = fit_table(tokenizer, open_source(others))
    depth = tokenizer.depth
    assert table.counted == Counted(f"2 pictures of {others.name}", depth * (8 * 10 + 5 * 7))
    result = evaluate_reconstruction(tokenizer, open_source(folder), table=table)
    grids = {path: list(tokens_of(tokenizer, (s.image for s in open_source(path)))) for path in (folder, others)}
    coder = Static(fit_static(grids[others], tokenizer.words))
    pixels = 24 * 32 + 40 * 17 + 16 * 16
    files = sum(8 * len(coder.encode(grid)) for grid in grids[folder]) / pixels
    assert files - 3 * 8 / pixels <= result.cross_entropy_bpp <= files
    # The counts of the few tokens measured promise what no file keeps.
    assert result.empirical_entropy_bpp < result.cross_entropy_bpp
    assert result.table == table.counted
    assert str(table.counted) in result.protocol


def test_a_table_of_phases_and_one_of_several_scales(folder, others):
    torch.manual_seed(0)
    phased = GridTokenizer(body=body_preset("conv-tiny-8") | {"period": 2}, quantizer={"name": "e8"}).eval()
    assert fit_table(phased, open_source(others)).model._period == 2
    settings = {"name": "multiscale", "base": "e8", "scales": [1, 2], "gains": [1.0, 0.5]}
    pyramid = PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=settings, name="pyramid").eval()
    table = fit_table(pyramid, open_source(others))
    assert table.counted.tokens == 2 * 5
    result = evaluate_reconstruction(pyramid, open_source(folder), table=table)
    squares = torch.stack([torch.from_numpy(pyramid.prepare(s.image)).permute(2, 0, 1) for s in open_source(folder)])
    bits = [table.model.bits(row[None, None].numpy()) for row in pyramid.tokenize(squares)]
    assert result.cross_entropy_bpp == pytest.approx(sum(bits) / (3 * 16 * 16))


def test_a_table_fitted_on_a_measured_picture_is_refused(tokenizer, folder, others):
    write_png(read_image(folder / "1.png"), others / "copy.png")
    table = fit_table(tokenizer, open_source(others))
    with pytest.raises(InputError, match="fit the table on other pictures"):
        evaluate_reconstruction(tokenizer, open_source(folder), table=table)
    limited = fit_table(tokenizer, open_source(others), limit=2)
    assert limited.counted.pictures.startswith("2 pictures")
    evaluate_reconstruction(tokenizer, open_source(folder), table=limited)


def test_the_table_beside_a_models_weights_is_that_of_its_files(folder, tmp_path, capsys):
    """The rate that is printed is that of static files, up to the header and the last byte of each."""
    picture = folder / "1.png"
    codec = load_codec("photo-leech")
    made = compress_image(read_image(picture), codec, entropy="static")
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "reconstruction", "--data", str(picture), "--model", "photo-leech", "--json"])
    assert end.value.code == 0
    (row,) = json.loads(capsys.readouterr().out)["models"]
    assert row["cross_entropy_bpp"] == pytest.approx(made.model_bits / (40 * 17))
    assert row["empirical_entropy_bpp"] < row["cross_entropy_bpp"]
    assert row["table"]["tokens"] == 14_944_428
    assert "photos-train-000.tar" in row["table"]["pictures"]
    assert "bpp_ideal" not in row


def test_a_model_without_a_table_says_so_and_takes_one(tokenizer, folder, others, tmp_path, capsys):
    tokenizer.save_pretrained(tmp_path / "model")
    start = ["evaluate", "reconstruction", "--data", str(folder), "--model", str(tmp_path / "model")]
    with pytest.raises(SystemExit):
        main(start)
    shown = capsys.readouterr().out
    assert "--table-data" in shown
    assert re.search(r"cross_entropy_bpp +-\n", shown)
    with pytest.raises(SystemExit):
        main([*start, "--table-data", str(others)])
    shown = capsys.readouterr().out
    assert re.search(r"cross_entropy_bpp +\d", shown)
    assert "115 tokens of 2 pictures of" in shown


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
