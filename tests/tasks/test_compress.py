"""The codec: a round trip for every picture, the same bytes every time, no picture where anything does not match."""

import errno
import io
import json
import os
import resource
import shutil
import struct
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from workbench import hub
from workbench.__main__ import main
from workbench.coding.container import _check, pack
from workbench.coding.context import num_inputs, round_stage
from workbench.coding.entropy import NUMBERS
from workbench.coding.shell import GROUPS
from workbench.coding.static import to_levels
from workbench.coding.tables import TABLES_FILE, Tables, load_tables, save_tables
from workbench.errors import ContainerError, InputError, ModelError
from workbench.images.files import read_image
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.compress import codec as ladder
from workbench.tasks.compress.codec import Codec, load_codec
from workbench.tasks.compress.files import write_bytes
from workbench.tasks.compress.picture import compress_image, decompress_image, verify

NAME, DEEP = "tiny-leech", "tiny-residual"
RESIDUAL = {"name": "residual", "depths": ["leech", "leech"], "gains": [0.8, 0.5]}
ENTROPIES = ("fixed", "static", "context")


def random_tables(tokenizer, seed):
    """Tables as a fit would make them, of random numbers."""
    rng = np.random.default_rng(seed)
    levels = to_levels(rng.exponential(size=(tokenizer.depth, 4, 196_560)) ** 2 + 1e-6)
    stages = [
        round_stage(
            weights=rng.normal(size=(4, num_inputs(number), 16)) * 0.05,
            bias=rng.normal(size=(4, 16)),
            score_weights=rng.normal(size=(16, 216)) * 0.2,
            score_bias=rng.normal(size=(4, 216)) * 0.3,
            group_bias=rng.normal(size=(4, GROUPS)) * 0.5,
            member_bias=rng.normal(size=(4, 196_560)) * 0.3,
        )
        for number in range(tokenizer.depth)
    ]
    return Tables(tokenizer.fingerprint, tokenizer.weights_hash, levels, stages)


def make_model(folder, seed=7, quantizer="leech", tables=0, name=NAME):
    """Save a small tokenizer with random weights, and its tables."""
    settings = {"name": quantizer} if isinstance(quantizer, str) else quantizer
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=settings, name=name)
    model.eval().save_pretrained(folder)
    tokenizer = Tokenizer.from_pretrained(folder)
    if tokenizer.words == 196_560:
        save_tables(random_tables(tokenizer, tables), folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The workbench's cache with two models in it, of one and of two tokens a patch, found by name."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("WORKBENCH_CACHE", str(folder))
        make_model(folder / NAME)
        make_model(folder / DEEP, quantizer=RESIDUAL, name=DEEP)
        yield folder


@pytest.fixture(scope="module")
def codec(cache):
    return load_codec(NAME)


@pytest.fixture(scope="module")
def deep(cache):
    return load_codec(DEEP)


def picture(height, width, seed=0):
    """A picture with flat, smooth and noisy parts."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, width)[None, :, None] * np.array([1, 0.7, 0.4])
    noise = rng.integers(0, 256, (height, width, 3)) * (np.arange(height) > height // 2)[:, None, None]
    return np.clip(ramp + 0.2 * noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("entropy", ENTROPIES)
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 53), (131, 17)])
def test_a_round_trip_gives_the_reconstruction_of_the_tokenizer(codec, size, entropy):
    _check_round_trip(codec, size, entropy)


def test_a_long_picture_of_one_row_makes_the_round_trip(codec):
    _check_round_trip(codec, (1, 4000), "context")


@pytest.mark.parametrize("entropy", ENTROPIES)
@pytest.mark.parametrize("size", [(1, 1), (37, 53)])
def test_several_tokens_a_patch_make_the_round_trip(deep, size, entropy):
    _check_round_trip(deep, size, entropy)


def _check_round_trip(codec, size, entropy):
    image = picture(*size)
    result = compress_image(image, codec, entropy=entropy)
    back = decompress_image(result.data)
    assert back.image.shape == image.shape
    assert np.array_equal(back.indices, result.indices)
    whole = codec.tokenizer.reconstruct(image)
    assert np.array_equal(np.moveaxis(back.indices, 0, -1).reshape(whole.indices.shape), whole.indices)
    assert np.array_equal(back.image, whole.image)
    assert result.data == compress_image(image, codec, entropy=entropy).data
    assert len(result.data) <= 48 + len(codec.tokenizer.name) + result.model_bits / 8 + 1.001
    assert result.row()["bytes"] == len(result.data)
    assert verify(result.data) == back.container == result.container


def test_the_best_entropy_model_is_taken_and_others_can_be_asked_for(codec):
    image = picture(16, 16)
    assert codec.entropies == ("context", "static", "fixed")
    assert compress_image(image, codec).container.entropy == "context"
    with pytest.raises(InputError, match="did you mean 'static'"):
        compress_image(image, codec, entropy="statics")


@pytest.mark.parametrize("image", [np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_refused(codec, image):
    with pytest.raises(InputError, match="expected a uint8 picture"):
        compress_image(image, codec)


def test_a_side_beyond_the_format_is_refused_by_name(codec):
    with pytest.raises(InputError, match=r"65536×1 pixels does not go into .* at most 65535"):
        compress_image(np.zeros((1, 65_536, 3), np.uint8), codec, entropy="fixed")


def test_a_model_without_tables_has_the_fixed_rate_only(tmp_path):
    codec = load_codec(str(make_model(tmp_path / NAME, quantizer="e8")))
    assert codec.entropies == ("fixed",)
    data = compress_image(picture(20, 20), codec).data
    assert np.array_equal(decompress_image(data, model=str(tmp_path / NAME)).indices, codec_indices(codec, 20))
    with pytest.raises(ModelError, match=r"no tables for the 'context' .* use one of fixed"):
        compress_image(picture(20, 20), codec, entropy="context")


def codec_indices(codec, side):
    return codec.tokenizer.reconstruct(picture(side, side)).indices[None]


# ---- what does not match


@pytest.mark.parametrize("entropy", ENTROPIES)
def test_another_model_codebook_or_table_is_an_error_never_another_picture(codec, tmp_path, entropy):
    data = compress_image(picture(24, 24), codec, entropy=entropy).data
    other_weights = make_model(tmp_path / "weights", seed=8)
    with pytest.raises(ContainerError, match=r"made with other weights .* use the version of 'tiny-leech'"):
        decompress_image(data, model=str(other_weights))
    other_tables = shutil.copytree(hub.resolve(NAME), tmp_path / "tables")
    save_tables(random_tables(codec.tokenizer, 1), other_tables)
    if entropy == "fixed":
        assert decompress_image(data, model=str(other_tables))
    else:
        with pytest.raises(ContainerError, match=f"coded with other '{entropy}' tables"):
            decompress_image(data, model=str(other_tables))
    (other_tables / TABLES_FILE).unlink()
    if entropy != "fixed":
        with pytest.raises(ContainerError, match=f"'{entropy}' entropy model, for which .* has no tables"):
            decompress_image(data, model=str(other_tables))


def forge(data, offset, fmt, value):
    """Change a field of a file and make its check right again."""
    body = bytearray(data[:-8])
    struct.pack_into("<" + fmt, body, offset, value)
    return bytes(body) + _check(bytes(body))


@pytest.mark.parametrize(
    ("offset", "fmt", "value", "message"),
    [
        (5, "B", NUMBERS["static"], "other 'static' tables"),
        (6, "B", 2, "claims 2×3×4 tokens, but model 'tiny-leech' makes 1×3×4"),
        (8, "Q", 1, "made with other weights"),
        (16, "Q", 1, "made with other codebook"),
        (24, "I", 1, "other 'context' tables"),
        (28, "H", 33, "claims 1×3×4 tokens, but model 'tiny-leech' makes 1×3×5"),
        (30, "H", 1, "claims 1×3×4 tokens, but model 'tiny-leech' makes 1×1×4"),
        (32, "H", 4, "claims 1×4×4 tokens"),
        (34, "H", 300, "claims 1×3×300 tokens"),
        (40, "B", ord("x"), "made with model 'xiny-leech', which is not at hand"),
    ],
)
def test_a_lie_with_a_right_check_is_refused_by_name(codec, offset, fmt, value, message):
    data = forge(compress_image(picture(24, 32), codec, entropy="context").data, offset, fmt, value)
    with pytest.raises((ContainerError, ModelError), match=message):
        verify(data)


def test_a_name_in_a_file_is_never_a_path_or_a_download(codec, tmp_path, monkeypatch):
    container = compress_image(picture(8, 8), codec).container
    (tmp_path / "stranger").mkdir()
    monkeypatch.chdir(tmp_path)
    shutil.copytree(hub.resolve(NAME), tmp_path / "elsewhere")
    import dataclasses

    with pytest.raises(ModelError, match="'elsewhere', which is not at hand: say where it is with --model"):
        verify(pack(dataclasses.replace(container, model="elsewhere")))
    with pytest.raises(InputError, match="the model's name is 'owner/name'"):
        pack(dataclasses.replace(container, model="owner/name"))


def test_tables_of_another_model_are_refused(codec, tmp_path):
    folder = make_model(tmp_path / "other", seed=9)
    shutil.copy(hub.resolve(NAME) / TABLES_FILE, folder / TABLES_FILE)
    with pytest.raises(ModelError, match="entropy tables beside model 'tiny-leech' were made for weights"):
        load_codec(str(folder))


def test_damaged_tables_are_refused(codec, tmp_path):
    path = hub.resolve(NAME) / TABLES_FILE
    content = path.read_bytes()
    for damage in (
        b"",
        content[:100],
        content[:-1],
        b"\xff" * 100,
        content.replace(b"static.levels", b"static.lavels"),
    ):
        (tmp_path / TABLES_FILE).write_bytes(damage)
        with pytest.raises(ModelError, match=r"cannot be read|holds unknown tables"):
            load_tables(tmp_path)
    assert load_tables(tmp_path / "nowhere") is None
    missing = content.replace(b"context.0.score_bias", b"context.0.score_boas")
    (tmp_path / TABLES_FILE).write_bytes(missing)
    with pytest.raises(ModelError, match=r"lacks context.0.score_bias"):
        load_tables(tmp_path)


def test_an_unsaved_model_has_no_codec():
    with pytest.raises(ModelError, match="was never saved"):
        Codec(GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "e8"}))


def test_the_ladder_offers_what_is_at_hand(codec, monkeypatch):
    monkeypatch.setattr(ladder, "LADDER", {1: NAME, 2: "absent"})
    assert ladder.qualities() == {1: NAME}
    assert ladder.codec_for(None, 1).tokenizer.name == NAME
    with pytest.raises(InputError, match=r"quality 2 is model 'absent', .* at hand: 1 \(tiny-leech\)"):
        ladder.codec_for(None, 2)
    with pytest.raises(InputError, match="not both"):
        ladder.codec_for(NAME, 1)


# ---- files and the command line


def run(*arguments):
    """Run the command line; returns its exit status."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(picture(33, 41)).save(path)
    return path


def test_encode_info_verify_and_decode(codec, photo, tmp_path, capsys):
    out, back = tmp_path / "photo.leech", tmp_path / "back.png"
    assert run("encode", photo, "-o", out, "--model", NAME, "--effort", 0, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["model"] == NAME
    assert said["errors"] == []
    assert said["files"][0]["bytes"] == out.stat().st_size
    assert run("info", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["width"], told["height"], told["rows"], told["columns"], told["entropy"]) == (41, 33, 5, 6, "context")
    assert run("verify", out) == 0
    assert "sound, 30 tokens" in capsys.readouterr().out
    assert run("decode", out, "-o", back) == 0
    assert np.array_equal(read_image(back), codec.tokenizer.reconstruct(picture(33, 41)).image)


def test_the_same_picture_gives_the_same_bytes_and_nothing_is_overwritten(codec, photo, tmp_path, capsys):
    out = tmp_path / "a.leech"
    assert run("encode", photo, "-o", out, "--model", NAME) == 0
    first = out.read_bytes()
    assert run("encode", photo, "-o", out, "--model", NAME) == 1
    assert "exists: add --force" in capsys.readouterr().err
    assert run("encode", photo, "-o", out, "--model", NAME, "--force") == 0
    assert out.read_bytes() == first
    back = tmp_path / "b.png"
    back.write_bytes(b"mine")
    assert run("decode", out, "-o", back) == 1
    assert back.read_bytes() == b"mine"


def test_folders_keep_their_shape_and_bad_files_do_not_stop_the_others(codec, tmp_path, capsys):
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    Image.fromarray(picture(9, 9)).convert("L").save(source / "grey.png")
    see_through = np.dstack([picture(9, 9), np.full((9, 9), 100, np.uint8)])
    Image.fromarray(see_through, "RGBA").save(source / "deep" / "alpha.png")
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert run("encode", source, "-o", tmp_path / "out", "--model", NAME, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert [row["output"] for row in said["files"]] == [
        str(tmp_path / "out" / name) for name in ("deep/alpha.leech", "grey.leech")
    ]
    assert len(said["errors"]) == 1
    assert run("decode", tmp_path / "out", "-o", tmp_path / "back") == 0
    white = 255 - (255 - see_through[..., :3].astype(float)) * 100 / 255
    assert np.abs(read_image(source / "deep" / "alpha.png") - white).max() <= 1
    assert read_image(tmp_path / "back" / "deep" / "alpha.png").shape == (9, 9, 3)
    assert sorted(p.name for p in (tmp_path / "back").rglob("*.png")) == ["alpha.png", "grey.png"]


def test_pictures_that_would_become_one_file_are_all_written(codec, tmp_path, capsys):
    album = tmp_path / "album"
    for number, name in enumerate(("a.png", "a.bmp", "b.png", "deep/a.png")):
        (album / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(8 + number, 8)).save(album / name)
    assert run("encode", album, "-o", tmp_path / "out", "--model", NAME, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["files"]
    names = {"a.bmp": "a.bmp.leech", "a.png": "a.png.leech", "b.png": "b.leech", "deep/a.png": "deep/a.leech"}
    assert {row["input"]: row["output"] for row in rows} == {
        str(album / source): str(tmp_path / "out" / result) for source, result in names.items()
    }
    assert run("decode", tmp_path / "out", "-o", tmp_path / "back") == 0
    for number, name in enumerate(("a.png.png", "a.bmp.png", "b.png", "deep/a.png")):
        assert read_image(tmp_path / "back" / name).shape == (8 + number, 8, 3)


def test_notes_on_a_picture_stand_beside_its_figures(codec, tmp_path, capsys, monkeypatch):
    Image.fromarray(picture(8, 8)).save(tmp_path / "a.png", icc_profile=b"junk")
    said = "its colour profile is damaged and was left aside"
    assert run("encode", tmp_path / "a.png", "-o", tmp_path / "a.leech", "--model", NAME) == 0
    assert f"note: a.png: {said}" in capsys.readouterr().out
    assert run("encode", tmp_path / "a.png", "-o", tmp_path / "b.leech", "--model", NAME, "--json") == 0
    assert json.loads(capsys.readouterr().out)["files"][0]["notes"] == [said]
    monkeypatch.setattr(sys, "stdout", Pipe())
    assert run("encode", tmp_path / "a.png", "-o", "-", "--model", NAME) == 0
    assert said in capsys.readouterr().err


class Pipe:
    """Standard input or output as a pipe: bytes behind `.buffer`, not seekable."""

    def __init__(self, content=b""):
        self.buffer = io.BytesIO(content)
        self.buffer.seekable = lambda: False

    def write(self, text):
        self.buffer.write(text.encode())

    def flush(self):
        pass


def test_a_dash_is_stdin_and_stdout(codec, photo, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(photo.read_bytes()))
    monkeypatch.setattr(sys, "stdout", encoded := Pipe())
    assert run("encode", "-", "-o", "-", "--model", NAME, "--effort", 0) == 0
    data = encoded.buffer.getvalue()
    assert data == compress_image(picture(33, 41), codec).data
    monkeypatch.setattr(sys, "stdin", Pipe(data))
    monkeypatch.setattr(sys, "stdout", decoded := Pipe())
    assert run("decode", "-", "-o", "-") == 0
    assert read_image(decoded.buffer.getvalue()).shape == (33, 41, 3)
    for stdin in (b"", data[:-1], data + b"\n"):
        monkeypatch.setattr(sys, "stdin", Pipe(stdin))
        assert run("decode", "-", "-o", tmp_path / "no.png") == 1
        assert not (tmp_path / "no.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("encode", "-", "PHOTO", "-o", "OUT"),
        ("encode", "PHOTO", "-o", "-", "--json"),
        ("decode", "-", "-", "-o", "OUT"),
    ],
)
def test_a_dash_stands_alone(codec, photo, tmp_path, arguments):
    places = {"PHOTO": photo, "OUT": tmp_path / "out"}
    assert run(*(places.get(argument, argument) for argument in arguments), *("--model", NAME)) == 2


def test_a_folder_a_pipe_and_nothing_are_no_files(codec, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.leech")
    (tmp_path / "folder.leech").mkdir()
    for name, kind in (("pipe.leech", "a pipe or a device"), ("folder.leech", "a folder"), ("no.leech", "not there")):
        assert run("verify", tmp_path / name) == 1
        assert f"is {kind}, expected a .leech file" in capsys.readouterr().out
        assert run("info", tmp_path / name) == 1
    for command in ("decode", "encode"):
        assert run(command, tmp_path / "pipe.leech", "-o", tmp_path / "x.png") == 1
        assert run(command, tmp_path / "no.leech", "-o", tmp_path / "x.png") == 1
        assert not (tmp_path / "x.png").exists()


def test_a_full_disk_leaves_what_was_there(tmp_path):
    path = tmp_path / "kept.leech"
    path.write_bytes(b"before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(ContainerError, match=f"cannot write .*{os.strerror(errno.EFBIG)}"):
            write_bytes(bytes(5000), path, force=True)
        with pytest.raises(ContainerError, match="cannot write"):
            write_bytes(bytes(5000), tmp_path / "new.leech")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.leech"]


# ---- the mutation campaign


def mutant(rng, files):
    """A file with something done to it; and whether its check was made right again."""
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data) + 1)) if rng.random() < 0.5 else int(rng.integers(min(48, len(data)) + 1))
        kind = rng.integers(7)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1 and at < len(data):
            data[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del data[at : at + int(rng.integers(1, 9))]
        elif kind == 3:
            data[at:at] = rng.bytes(int(rng.integers(1, 9)))
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            other = files[rng.integers(len(files))]
            data[at:] = other[min(at, len(other)) :]
        else:
            value = int(rng.choice([0, 1, 2**15, 2**31, 2**32 - 1, int(rng.integers(2**32))]))
            data[at : at + 4] = struct.pack("<I", value)
    honest = rng.random() < 0.5
    if honest and len(data) > 56:
        # The length of the payload is made to fit as well: what is tested is what lies behind both.
        if rng.random() < 0.5:
            data[36:40] = struct.pack("<I", max(0, len(data) - 48 - data[7]))
        data[-8:] = _check(bytes(data[:-8]))
    return bytes(data)


def campaign(codecs, count, seed):
    """Decode mutants to indices; returns how many were refused, and how many were right."""
    rng = np.random.default_rng(seed)
    files = [
        compress_image(picture(*size, seed=number), codec, entropy=entropy).data
        for codec in codecs
        for number, (size, entropy) in enumerate((size, e) for size in ((8, 8), (40, 56), (17, 90)) for e in ENTROPIES)
    ]
    by_name = {codec.tokenizer.name: codec for codec in codecs}
    refused = {}
    accepted = 0
    for _ in range(count):
        data = mutant(rng, files)
        try:
            container = verify(data)
        except (ContainerError, ModelError) as error:
            reason = type(error).__name__
            refused[reason] = refused.get(reason, 0) + 1
            continue
        # Whatever is accepted is a whole file that says what it holds: packed again it gives the same bytes.
        codec = by_name[container.model]
        model = codec.entropy_model(container.entropy)
        assert pack(container) == data
        assert model.encode(model.decode(container.payload, container.shape)) == container.payload
        assert container.depth == codec.depth
        assert container.model_hash == codec.model_hash
        assert container.codebook_hash == codec.codebook_hash
        assert container.tables_digest == model.digest
        assert data in files or data[-8:] == _check(data[:-8])
        accepted += 1
    return refused, accepted


def test_mutants_are_refused_or_right(codec, deep):
    refused, accepted = campaign([codec, deep], 2000, seed=1)
    assert sum(refused.values()) + accepted == 2000
    assert refused["ContainerError"] > 1800


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_many_mutants_are_refused_or_right(codec, deep):
    refused, accepted = campaign([codec, deep], 100_000, seed=2)
    assert sum(refused.values()) + accepted == 100_000
