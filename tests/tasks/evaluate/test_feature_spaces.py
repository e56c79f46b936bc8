"""A space embeds pictures in order and alike however they are batched, and numbers bear the name of their features."""

import json

import numpy as np
import pytest

from workbench.__main__ import main
from workbench.errors import InputError, ModelError
from workbench.images.crops import square_picture
from workbench.images.files import write_png
from workbench.tasks.evaluate import sets, spaces
from workbench.tasks.evaluate.sets import compare_halves, compare_sets, nearest_distances
from workbench.tasks.evaluate.spaces import FeatureSpace, find_lpips, load_space

LUCK = np.random.default_rng(0)


class Corner:
    """The first pixel, and the picture's height."""

    def embed(self, images):
        corner = images[:, :, 0, 0].clone()
        corner[:, 2] = images.shape[2]
        return corner


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_pictures_keep_their_order_in_any_batches(batch, monkeypatch):
    monkeypatch.setattr(spaces, "_BATCH", batch)
    pictures = [LUCK.integers(0, 256, size, dtype=np.uint8) for size in [(8, 8, 3)] * 5 + [(8, 12, 3), (9, 9, 3)] * 2]
    as_they_are = FeatureSpace("corner", "FD-corner", Corner(), side=None).embed(pictures)
    assert as_they_are[:, 2].tolist() == [8] * 6 + [9, 8, 9]
    expected = np.stack([square_picture(each, min(each.shape[:2]))[0, 0, :2] for each in pictures])
    assert np.allclose(as_they_are[:, :2] * 255, expected)
    assert set(FeatureSpace("corner", "FD-corner", Corner(), side=16).embed(pictures)[:, 2]) == {16}
    with pytest.raises(InputError, match="no picture"):
        FeatureSpace("corner", "FD-corner", Corner()).embed([])


def test_names_and_what_they_stand_for(tmp_path):
    leaf = load_space("leaf")
    assert (leaf.name, leaf.distance, leaf.side, leaf.readout) == ("leaf", "FD-leaf", 128, None)
    assert leaf.perceptual is not None
    assert leaf.perceptual.name == "leaf"
    with pytest.raises(InputError, match="expected leaf, inception"):
        load_space("lief")
    with pytest.raises(ModelError, match="--download"):
        load_space(f"inception={tmp_path / 'none.pth'}")
    with pytest.raises(ModelError, match="cannot be read"):
        load_space(str(tmp_path / "none.safetensors"))


def test_squeezenet_is_named_after_itself(shared):
    space = load_space(str(shared / "weights" / "squeezenet1_1_caffe.safetensors"))
    assert (space.name, space.distance) == ("SqueezeNet", "FD-SqueezeNet")
    assert space.embed([LUCK.integers(0, 256, (40, 40, 3), dtype=np.uint8)]).shape == (1, 512)


def test_inception_is_fetched_only_when_asked(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(spaces.hub, "fetch", lambda address, path: asked.append(path))
    place = tmp_path / "weights.pth"
    for download in (False, True):
        with pytest.raises(ModelError, match="are not at"):
            load_space(f"inception={place}", download=download)
    assert asked == [place]


def test_lpips_is_there_or_says_why(monkeypatch):
    monkeypatch.setattr("torch.hub.get_dir", lambda: "/nowhere")
    assert "LPIPS needs" in str(find_lpips())


def test_subsets_of_one_distribution_agree_and_others_do_not():
    rng = np.random.default_rng(0)  # of its own: what others draw before depends on which of them are skipped
    x, y = rng.normal(size=(120, 5)), rng.normal(size=(80, 5))
    alike = compare_sets(x, y, size=40, repeats=20, seed=0)
    apart = compare_sets(x, y + 6, size=40, repeats=20, seed=0)
    halves = compare_halves(x, size=40, repeats=20, seed=0)
    assert apart.frechet.low > 30 > alike.frechet.high
    assert alike.frechet.low < halves.frechet.value < alike.frechet.high
    assert alike.kernel.low < 0.2 < apart.kernel.low
    assert (apart.precision.value, apart.coverage.value) == (0, 0)
    assert alike.precision.value > 0.5 < halves.recall.value
    assert compare_sets(x, y, size=40, repeats=20, seed=0) == alike


def test_halves_are_disjoint():
    # All distances within 8 points of one set are far from 0: a point in both halves would be at distance 0.
    x = np.eye(8) * 100
    scores = compare_halves(x, size=4, repeats=3, seed=0)
    assert scores.frechet.low > 0


@pytest.mark.parametrize(("size", "repeats"), [(3, 1), (9, 1), (4, 0)])
def test_subsets_that_cannot_be_are_refused(size, repeats):
    x = LUCK.normal(size=(8, 2))
    with pytest.raises(InputError, match="subsets of"):
        compare_sets(x, x, size=size, repeats=repeats, seed=0)
    with pytest.raises(InputError, match="subsets of"):
        compare_halves(x, size=max(size, 5), repeats=repeats, seed=0)


def test_nearest_distances_are_those_of_all_pairs(monkeypatch):
    monkeypatch.setattr(sets, "_ROWS", 7)
    x, y = LUCK.normal(size=(20, 3)), LUCK.normal(size=(30, 3))
    expected = np.linalg.norm(x[:, None] - y, axis=2).min(1)
    assert np.allclose(nearest_distances(x, y), expected)
    assert np.allclose(nearest_distances(x, x), 0, atol=1e-6)


def test_the_command_line_measures_several_models(tiny_model, tmp_path, capsys):
    for number in range(3):
        write_png(LUCK.integers(0, 256, (24, 40, 3), dtype=np.uint8), tmp_path / "set" / f"{number}.png")
    models = ["--model", str(tiny_model), "--model", str(tiny_model)]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "reconstruction", *models, "--data", str(tmp_path / "set"), "--limit", "2", "--json"])
    assert end.value.code == 0
    content = json.loads(capsys.readouterr().out)
    first, second = content["models"]
    assert first == second
    assert first["pictures"] == len(first["each"]["psnr"]) == 2
    assert {"psnr", "ssim", "ms_ssim"} <= set(first["means"])
    assert set(first["distances"]) == {"FD-leaf"}
    assert first["bpp"] == pytest.approx(15 * np.log2(240) / (24 * 40))
    assert "FD-leaf of 2 against 2" in first["protocol"]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "reconstruction", *models[:2], "--data", str(tmp_path / "set"), "--limit", "1"])
    assert end.value.code == 0
    assert "perplexity" in capsys.readouterr().out
