"""The ladder of bit rates: files of several tokens a patch, and a quality that stands for a model."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.__main__ import main
from workbench.coding.container import pack
from workbench.coding.static import fit_static
from workbench.coding.tables import Tables, save_tables
from workbench.errors import ContainerError, InputError
from workbench.fit.entropy.tables import fit_tables, tokens_of
from workbench.fit.tokenizer.recipes import RECIPES
from workbench.images.files import read_image
from workbench.images.sources import open_source
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import tokenizers
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer
from workbench.quantizers.registry import make_quantizer
from workbench.tasks.compress import codec as ladder
from workbench.tasks.compress.codec import LADDER, Codec, load_codec
from workbench.tasks.compress.picture import compress_image, decompress_image, verify
from workbench.tasks.explore.usage import count_usage
from workbench.tasks.reconstruct import reconstruct_image, token_map
from workbench.tasks.tokenize import tokenize_shards

GAINS = [0.8, 0.5, 0.3]
ONE = {"name": "e8"}


def residual(depth):
    return {"name": "residual", "depths": ["e8"] * depth, "gains": GAINS[:depth]}


# One token a patch, then two and three; and a residual quantizer of a single stage, whose indices have its axis still.
RUNGS = {"rung-1": ONE, "rung-2": residual(2), "rung-3": residual(3), "rung-single": residual(1)}


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([1, 0.7, 0.4])
    return np.clip(ramp + 0.3 * rng.integers(0, 256, (height, width, 3)), 0, 255).astype(np.uint8)


def make_model(folder, name, quantizer):
    """Save a small tokenizer of random weights, the same for every quantizer, with the static tables of one picture."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name=name)
    model.eval().save_pretrained(folder / name)
    tokenizer = Tokenizer.from_pretrained(folder / name)
    levels = fit_static(tokens_of(tokenizer, [picture(200, 200)]), 240)
    save_tables(Tables(tokenizer.fingerprint, tokenizer.weights_hash, levels), folder / name)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """The workbench's cache with the rungs in it, found by name."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("WORKBENCH_CACHE", str(folder))
        for name, quantizer in RUNGS.items():
            make_model(folder, name, quantizer)
        patch.setattr(ladder, "LADDER", {1: "rung-1", 2: "rung-2", 3: "rung-3", 4: "rung-absent"})
        yield folder


@pytest.mark.parametrize("entropy", ["fixed", "static"])
@pytest.mark.parametrize("name", sorted(RUNGS))
@pytest.mark.parametrize("size", [(1, 1), (37, 53), (1, 400)])
def test_files_of_every_depth_make_the_round_trip(name, size, entropy):
    codec, image = load_codec(name), picture(*size, seed=1)
    whole = codec.tokenizer.reconstruct(image)
    result = compress_image(image, codec, entropy=entropy)
    back = decompress_image(result.data)
    assert np.array_equal(back.indices, result.indices)
    assert np.array_equal(np.moveaxis(back.indices, 0, -1).reshape(whole.indices.shape), whole.indices)
    assert np.array_equal(back.image, whole.image)
    assert back.container.shape == (codec.depth, *codec.tokenizer.grid(*size))
    assert result.container.tokens == whole.indices.size
    assert len(result.data) <= 48 + len(name) + result.model_bits / 8 + 1.001
    assert result.data == compress_image(image, codec, entropy=entropy).data == pack(verify(result.data))


def test_bits_a_token_are_those_of_a_stage_and_bits_a_pixel_of_all():
    image = picture(64, 64)
    lengths = [compress_image(image, load_codec(f"rung-{n}"), entropy="fixed").fixed_bits for n in (1, 2, 3)]
    assert lengths == pytest.approx([n * 64 * np.log2(240) for n in (1, 2, 3)], rel=1e-4)
    rows = {entry.name: entry.row() for entry in tokenizers()}
    for name in RUNGS:
        assert rows[name]["bits_per_token"] == pytest.approx(np.log2(240))


@pytest.mark.parametrize("depth", [1, 3])
def test_a_depth_that_is_not_the_models_is_refused(depth):
    codec = load_codec("rung-2")
    result = compress_image(picture(24, 32), codec, entropy="fixed")
    indices = np.resize(result.indices, (depth, 3, 4))
    forged = replace(result.container, depth=depth, payload=codec.entropy_model("fixed").encode(indices))
    with pytest.raises(ContainerError, match=f"claims {depth}×3×4 tokens, but model 'rung-2' makes 2×3×4"):
        verify(pack(forged))


def test_other_gains_are_another_codebook(cache, tmp_path):
    data = compress_image(picture(24, 24), load_codec("rung-2"), entropy="fixed").data
    with torch.random.fork_rng():
        torch.manual_seed(7)
        quantizer = residual(2) | {"gains": [0.8, 0.4]}
        other = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="rung-2")
    other.eval().save_pretrained(tmp_path / "rung-2")
    with pytest.raises(ContainerError, match="made with other codebook"):
        decompress_image(data, model=str(tmp_path / "rung-2"))


def test_stages_of_different_sizes_have_no_codec(tmp_path):
    quantizer = {"name": "residual", "depths": ["leech4", "leech"], "gains": GAINS[:2]}
    model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="mixed").eval()
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"stages of one size are expected, got \[1104, 196560\]"):
        Codec(Tokenizer.from_pretrained(tmp_path))


def test_tables_are_fitted_for_each_stage():
    tokenizer = load_codec("rung-3").tokenizer
    grids = list(tokens_of(tokenizer, [picture(40, 56), picture(9, 9)]))
    assert [grid.shape for grid in grids] == [(3, 5, 7), (3, 2, 2)]
    tables = fit_tables(tokenizer, grids)
    assert tables.levels.shape == (3, 4, 240)
    assert tables.names == ("fixed", "static")


# ---- what else sees the tokens


def test_the_token_map_shows_the_sum_of_the_codewords():
    tokenizer = load_codec("rung-2").tokenizer
    result = reconstruct_image(picture(40, 41), tokenizer)
    assert result.indices.shape == (5, 6, 2)
    assert result.tokens == 60
    assert result.bits == pytest.approx(60 * np.log2(240))
    shown = token_map(result.indices, tokenizer, size=(40, 41))
    assert shown.shape == (40, 41, 3)
    assert (shown[:8, :8] == shown[0, 0]).all()
    single = load_codec("rung-1").tokenizer
    first = np.stack([result.indices[..., 0]] * 2, axis=-1)
    same = token_map(first, tokenizer, size=(40, 41))
    # Twice the same words add up to a multiple of them, so their map is that of the single words.
    assert np.abs(same.astype(int) - token_map(first[..., 0], single, size=(40, 41))).max() <= 1


def test_use_is_counted_over_all_stages_and_shown_for_the_first(tmp_path):
    Image.fromarray(picture(24, 40)).save(tmp_path / "a.png")
    tokenizer = load_codec("rung-3").tokenizer
    report = count_usage(open_source([tmp_path]), tokenizer)
    assert report.counter.tokens == 3 * 3 * 5
    assert report.quantizer == "e8"
    assert np.array_equal(report.kept[0].indices, tokenizer.reconstruct(picture(24, 40)).indices[..., 0])


def test_shards_hold_one_token_a_patch(tmp_path):
    Image.fromarray(picture(16, 16)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="gives 2 tokens a patch"):
        tokenize_shards([tmp_path], tmp_path / "out", load_codec("rung-2").tokenizer)


# ---- quality


def run(*arguments):
    """Run the command line; returns its exit status."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


def test_quality_chooses_the_model_and_the_file_remembers_it(tmp_path, capsys):
    Image.fromarray(picture(33, 41)).save(tmp_path / "photo.png")
    sizes = []
    for quality in (1, 2, 3):
        out, back = tmp_path / f"{quality}.leech", tmp_path / f"{quality}.png"
        assert (
            run("encode", tmp_path / "photo.png", "-o", out, "--quality", quality, "--entropy", "fixed", "--effort", 0)
            == 0
        )
        capsys.readouterr()
        assert run("info", out, "--json") == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["model"], told["depth"], told["tokens"]) == (f"rung-{quality}", quality, quality * 30)
        assert run("verify", out) == 0
        assert run("decode", out, "-o", back) == 0
        expected = load_codec(f"rung-{quality}").tokenizer.reconstruct(picture(33, 41)).image
        assert np.array_equal(read_image(back), expected)
        sizes.append(out.stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("quality", "says"),
    [
        (4, r"quality 4 is model 'rung-absent', which is not at hand.*training.tokenizer --recipe rung-absent"),
        (0, "there is no quality 0: the ladder goes from 1 to 4"),
        (5, "there is no quality 5: the ladder goes from 1 to 4"),
    ],
)
def test_a_quality_that_is_not_there_says_what_to_do(tmp_path, capsys, quality, says):
    Image.fromarray(picture(8, 8)).save(tmp_path / "a.png")
    assert run("encode", tmp_path / "a.png", "-o", tmp_path / "a.leech", "--quality", quality) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert re.search(says, said), said
    assert not (tmp_path / "a.leech").exists()


def test_the_ladder_has_recipes_of_one_body():
    recipes = [RECIPES[name] for _, name in sorted(LADDER.items())]
    assert len({(recipe.body, str(recipe.body_changes)) for recipe in recipes}) == 1
    quantizers = [make_quantizer(recipe.quantizer, **recipe.quantizer_settings) for recipe in recipes]
    rates = [quantizer.bits_per_index / 64 for quantizer in quantizers]
    assert rates == pytest.approx([0.158, 0.275, 0.55, 0.824], abs=0.001)
