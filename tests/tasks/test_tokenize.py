"""Bulk tokenizing: the shards hold the tokens of the pictures, whatever was interrupted, damaged or shared out."""

import itertools
import json
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from workbench.cli.tokenize import app
from workbench.errors import InputError, ModelError
from workbench.fit.engine.distributed import World
from workbench.fit.generator.launch import GeneratorPlan, launch_generator
from workbench.fit.generator.token_shards import (
    bits_for,
    holds_tokens,
    load_tokens,
    made_by,
    pack_indices,
    read_shard,
    unpack_indices,
    write_shard,
)
from workbench.images.arrays import to_float
from workbench.images.crops import square_picture
from workbench.images.files import read_image, write_png
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import load_tokenizer
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.tokenize import tokenize_shards


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    torch.manual_seed(0)
    numbers = body_preset("conv-tiny-8") | {"width": 16, "encoder_blocks": 1, "decoder_blocks": 1}
    model = GridTokenizer(body=numbers, quantizer={"name": "leech"}, name="small")
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return Tokenizer.from_pretrained(folder), folder


@pytest.fixture
def pictures(tmp_path):
    """A folder of five pictures and a shard of three, of two sizes, one of them broken."""
    luck = np.random.default_rng(0)
    folder = tmp_path / "flowers"
    folder.mkdir()
    for number in range(5):
        size = (16, 24) if number < 3 else (24, 16)
        Image.fromarray(luck.integers(0, 256, (*size, 3), np.uint8)).save(folder / f"{number}.png")
    (folder / "9.png").write_bytes(b"broken")
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as archive:
        for number in range(3):
            archive.add(folder / f"{number}.png", f"s{number}.png")
            (tmp_path / "class").write_text(str(number))
            archive.add(tmp_path / "class", f"s{number}.cls")
    return [folder, shard]


@given(st.integers(1, 32), st.lists(st.integers(0, 2**32 - 1), max_size=40))
def test_packing_is_undone(bits, values):
    values = np.array([value % (1 << bits) for value in values], np.int64)
    packed = pack_indices(values, bits)
    assert len(packed) == -(-len(values) * bits // 8)
    assert np.array_equal(unpack_indices(packed, len(values), bits), values)


def test_indices_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit into 18 bits"):
        pack_indices(np.array([1 << 18]), 18)
    with pytest.raises(InputError, match="take 5 bytes, got 4"):
        unpack_indices(b"1234", 2, 18)
    assert [bits_for(size) for size in (1, 2, 196_560, 2**18, 2**18 + 1)] == [1, 1, 18, 18, 19]


@pytest.mark.parametrize("packed", [True, False])
def test_the_shards_hold_the_tokens_of_the_pictures(tokenizer, pictures, tmp_path, packed):
    model, _ = tokenizer
    bulk = tokenize_shards(pictures, tmp_path / "out", model, packed=packed, batch_size=2, per_shard=4)
    assert (bulk.shards, bulk.made, bulk.pictures) == (3, 3, 8)
    assert bulk.passed_over == ("9.png",)
    assert bulk.tokens == 8 * 6
    shards = [read_shard(tmp_path / "out" / f"{name}.json") for name in ("flowers-00000", "flowers-00001", "shard")]
    assert [list(shard.keys) for shard in shards] == [
        ["0.png", "1.png", "2.png", "3.png"],
        ["4.png"],
        ["s0", "s1", "s2"],
    ]
    assert shards[2].labels.tolist() == [0, 1, 2]
    for number, grid in enumerate(itertools.chain(shards[0].grids, shards[1].grids)):
        picture = read_image(pictures[0] / f"{number}.png")
        assert np.array_equal(grid, model.tokenize(to_float(picture[None]))[0].numpy())
    assert shards[0].sizes.tolist() == [[16, 24]] * 3 + [[24, 16]]
    size = (tmp_path / "out" / "shard.tokens.safetensors").stat().st_size
    other = tokenize_shards(pictures[1:], tmp_path / "other", model, packed=not packed)
    assert (size < (other.manifest.parent / "shard.tokens.safetensors").stat().st_size) == packed


def test_what_is_done_is_not_done_again_and_what_is_damaged_is(tokenizer, pictures, tmp_path, caplog):
    model, _ = tokenizer
    out = tmp_path / "out"
    tokenize_shards(pictures, out, model)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.tokens.*")}
    assert tokenize_shards(pictures, out, model).made == 0
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.tokens.*")} == before
    content = bytearray((out / "shard.tokens.safetensors").read_bytes())
    content[-1] ^= 1
    (out / "shard.tokens.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="SHA-256"):
        read_shard(out / "shard.json")
    (out / "flowers-00000.json").unlink()  # cut off before it was finished
    assert tokenize_shards(pictures, out, model).made == 2
    assert "shard.tokens.safetensors again: it is damaged" in caplog.text
    assert read_shard(out / "shard.json").labels.tolist() == [0, 1, 2]
    changed = pictures[0] / "0.png"
    write_png(255 - read_image(changed), changed, force=True)
    assert tokenize_shards(pictures, out, model).made == 1  # the folder, not the shard
    assert "its pictures have changed since" in caplog.text
    assert tokenize_shards(pictures, out, model).made == 0


def test_other_settings_are_refused(tokenizer, pictures, tmp_path):
    model, _ = tokenizer
    tokenize_shards(pictures, tmp_path / "out", model)
    with pytest.raises(InputError, match=r"another square \(None, now 16\)"):
        tokenize_shards(pictures, tmp_path / "out", model, square=16)
    with pytest.raises(InputError, match="would both become shard"):
        tokenize_shards([pictures[1], pictures[1]], tmp_path / "twice", model)


def test_processes_share_the_shards_out(tokenizer, pictures, tmp_path, monkeypatch):
    model, _ = tokenizer
    monkeypatch.setattr(World, "wait", lambda self: None)
    worlds = [World(torch.device("cpu"), rank, 2) for rank in (1, 0)]
    bulks = [tokenize_shards(pictures, tmp_path / "two", model, per_shard=2, world=world) for world in worlds]
    assert [bulk.made for bulk in bulks] == [2, 2]
    alone = tokenize_shards(pictures, tmp_path / "one", model, per_shard=2)
    assert (alone.manifest.read_bytes()) == bulks[1].manifest.read_bytes()
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_tokens_load_for_training(tokenizer, pictures, tmp_path):
    model, _ = tokenizer
    tokenize_shards(pictures, tmp_path / "out", model, square=16, per_shard=2)
    assert holds_tokens(tmp_path / "out")
    assert not holds_tokens(pictures[0])
    indices, labels = load_tokens([tmp_path / "out"], model)
    assert indices.shape == (8, 2, 2)
    assert labels.tolist() == [-1] * 5 + [0, 1, 2]
    picture = square_picture(read_image(pictures[0] / "4.png"), 16)
    assert np.array_equal(indices[4], model.tokenize(to_float(picture[None]))[0].numpy())


def test_a_generator_trains_from_shards_of_its_tokenizer_alone(pictures, tmp_path):
    torch.manual_seed(0)
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2]}
    numbers = body_preset("conv-tiny-8") | {"width": 16, "encoder_blocks": 1, "decoder_blocks": 1, "period": 1}
    PyramidTokenizer(body=numbers, quantizer=quantizer, name="pyramid").save_pretrained(tmp_path / "pyramid")
    model = load_tokenizer(str(tmp_path / "pyramid"))
    bulk = tokenize_shards(pictures[1:], tmp_path / "out", model)
    assert (bulk.pictures, bulk.tokens) == (3, 3 * 5)
    shard = read_shard(tmp_path / "out" / "shard.json")
    picture = square_picture(read_image(pictures[0] / "1.png"), 16)
    assert np.array_equal(shard.grids[1][0], model.tokenize(to_float(picture[None]))[0].numpy())

    plan = GeneratorPlan(
        recipe="generator-smoke",
        tokenizer=str(tmp_path / "pyramid"),
        data=(str(tmp_path / "out"),),
        set=("run.steps=2", "run.batch_size=2", 'classes=["a", "b", "c"]'),
        out=str(tmp_path / "run"),
    )
    outcome, folder = launch_generator(plan)
    assert (outcome.step, (folder / "model.safetensors").exists()) == (2, True)
    with pytest.raises(InputError, match="classes 0 to 2, the recipe has 2"):
        launch_generator(replace(plan, out=str(tmp_path / "few"), set=(*plan.set[:2], 'classes=["a", "b"]')))


def test_mixed_or_missing_tokens_are_refused(tokenizer, pictures, tmp_path):
    model, _ = tokenizer
    with pytest.raises(ModelError, match="workbench tokenize"):
        load_tokens([tmp_path], model)
    tokenize_shards(pictures, tmp_path / "sizes", model)
    with pytest.raises(ModelError, match="--square"):
        load_tokens([tmp_path / "sizes"], model)
    record = {"packed": True, "bits": 18, **made_by(model), "model": "other", "weights": "0"}
    write_shard(tmp_path, "a", [np.zeros((1, 1))], labels=[0], sizes=[(8, 8)], keys=["k"], about=record)
    with pytest.raises(ModelError, match="'other', which has another weights"):
        load_tokens([tmp_path], model)


def test_the_verb_takes_many_shards_and_lists_what_failed(tokenizer, pictures, tmp_path):
    arguments = ["--data", *map(str, pictures), "--out", str(tmp_path / "out"), "--model", str(tokenizer[1])]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--json"])
    said = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (said["pictures"], said["passed_over"]) == (8, ["9.png"])
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["shards"][1]["pictures"] == 3
