"""Reconstruct: figures agree with their definitions, maps with their legends, and a batch survives bad files."""

import math

import numpy as np
import pytest
from PIL import Image

from workbench.errors import ImageError, InputError
from workbench.images.files import read_image, write_png
from workbench.models.load import load_tokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.reconstruct import error_map, find_jobs, reconstruct_files, reconstruct_image, token_map

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return Tokenizer.from_pretrained(tiny_model)


def noise(height, width):
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_tokenizer_of_several_scales_is_given_the_middle_square(tiny_generator):
    tokenizer = load_tokenizer(str(tiny_generator / "pyramid"))
    picture = noise(32, 40)
    result = reconstruct_image(picture, tokenizer)
    assert np.array_equal(result.original, picture[:, 4:36])
    assert result.image.shape == result.original.shape == (32, 32, 3)
    assert (result.tokens, result.indices.shape) == (21, (21,))
    assert result.bits == pytest.approx(21 * math.log2(196_560))
    assert token_map(result.indices, tokenizer, size=(32, 32)).shape == (32, 32, 3)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (37, 53), (200, 180)])
def test_figures_follow_from_tokens_and_pixels(tokenizer, size):
    picture = noise(*size)
    result = reconstruct_image(picture, tokenizer)
    assert result.image.shape == picture.shape
    assert result.image.dtype == np.uint8
    assert result.indices.shape == tuple(-(-side // 8) for side in size)
    assert result.tokens == result.indices.size
    assert result.bits == pytest.approx(result.tokens * math.log2(240))
    assert result.bits_per_pixel == pytest.approx(result.bits / (size[0] * size[1]))
    error = np.mean((picture.astype(float) - result.image) ** 2)
    assert result.measures["psnr"] == pytest.approx(10 * math.log10(255**2 / error))
    assert (result.measures["ms_ssim"] is None) == (min(size) < 176)
    row = result.row()
    assert (row["width"], row["height"]) == (size[1], size[0])
    if min(size) < 176:
        assert "176" in row["reasons"]["ms_ssim"]
    else:
        assert "reasons" not in row


def test_the_error_map_is_dark_where_nothing_is_lost_and_light_where_much_is():
    picture = noise(20, 30)
    other = picture.copy()
    other[:, :10] = picture[:, :10] ^ 128
    colours = error_map(picture, other)
    assert colours.shape == picture.shape
    assert (colours[:, 10:] == colours[0, -1]).all()
    assert colours[0, -1].sum() < 20
    assert colours[:, :10].sum(axis=2).min() > 600
    lightness = [
        error_map(picture, np.clip(picture.astype(int) + k, 0, 255).astype(np.uint8)).mean() for k in (0, 16, 32)
    ]
    assert lightness == sorted(lightness)
    with pytest.raises(InputError, match="one size"):
        error_map(picture, picture[1:])


def test_the_token_map_has_one_colour_a_token_and_equal_colours_for_equal_tokens(tokenizer):
    indices = RNG.integers(0, 240, (5, 7))
    indices[0, 0] = indices[4, 6]
    colours = token_map(indices, tokenizer, size=(37, 50))
    assert colours.shape == (37, 50, 3)
    assert colours.dtype == np.uint8
    blocks = colours[:32, :48].reshape(4, 8, 6, 8, 3)
    assert (blocks == blocks[:, :1, :, :1]).all()
    assert (colours[0, 0] == colours[36, 49]).all()
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("indices", [np.zeros((3, 3), dtype=np.int64), np.array([[5]])])
def test_a_token_map_of_one_word_is_flat(tokenizer, indices):
    colours = token_map(indices, tokenizer, size=(8 * len(indices), 8 * len(indices)))
    assert (colours == colours[0, 0]).all()


def test_jobs_keep_relative_paths_and_never_collide(tmp_path):
    for name in ("a.png", "deep/b.jpg", "deep/b.png", "deep/notes.txt"):
        path = tmp_path / "album" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(9, 9)).save(path) if path.suffix != ".txt" else path.write_text("no picture")
    jobs = find_jobs([tmp_path / "album", tmp_path / "album" / "deep" / "notes.txt"])
    targets = [job.target.as_posix() for job in jobs]
    assert targets == ["a.png", "deep/b.jpg.png", "deep/b.png.png", "notes.png"]
    with pytest.raises(ImageError, match="holds no picture"):
        find_jobs([(tmp_path / "album" / "empty").mkdir() or tmp_path / "album" / "empty"])


def test_one_bad_file_does_not_stop_the_others(tmp_path, tokenizer):
    good = [tmp_path / name for name in ("a.png", "b.png")]
    for path in good:
        write_png(noise(16, 24), path)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    seen = []
    batch = reconstruct_files(
        find_jobs([good[0], bad, tmp_path / "absent.png", good[1]]),
        tmp_path / "out",
        tokenizer,
        progress=lambda fraction, message: seen.append((fraction, message)),
    )
    assert [row["input"] for row in batch.rows] == [str(path) for path in good]
    assert [name for name, _ in batch.errors] == [str(bad), str(tmp_path / "absent.png")]
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    assert seen[-1][0] == 1
    written = read_image(batch.rows[0]["output"])
    assert np.array_equal(written, reconstruct_image(read_image(good[0]), tokenizer).image)
    for name in ("psnr", "bpp", "tokens"):
        assert batch.mean[name] == pytest.approx(np.mean([row[name] for row in batch.rows]))
    assert batch.mean["ms_ssim"] is None


def test_nothing_is_overwritten_unless_asked(tmp_path, tokenizer):
    write_png(noise(16, 16), tmp_path / "a.png")
    out = tmp_path / "out"
    jobs = find_jobs([tmp_path / "a.png"])
    assert not reconstruct_files(jobs, out, tokenizer).errors
    before = (out / "a.png").read_bytes()
    (out / "a.png").write_bytes(b"mine")
    again = reconstruct_files(jobs, out, tokenizer)
    assert "--force" in again.errors[0][1]
    assert (out / "a.png").read_bytes() == b"mine"
    assert not reconstruct_files(jobs, out, tokenizer, force=True).errors
    assert (out / "a.png").read_bytes() == before


def test_two_inputs_of_one_name_are_both_written(tmp_path, tokenizer):
    for folder in ("one", "two"):
        write_png(noise(8, 8), tmp_path / folder / "a.png")
    inputs = [tmp_path / "one" / "a.png", tmp_path / "two" / "a.png"]
    batch = reconstruct_files(find_jobs(inputs), tmp_path / "out", tokenizer)
    assert not batch.errors
    for path, row in zip(inputs, batch.rows, strict=True):
        expected = reconstruct_image(read_image(path), tokenizer).image
        assert np.array_equal(read_image(row["output"]), expected)
    assert len(find_jobs([inputs[0], tmp_path / "one"])) == 1


def test_two_jobs_with_one_target_do_not_overwrite_each_other(tmp_path, tokenizer):
    write_png(noise(8, 8), tmp_path / "a.png")
    jobs = 2 * find_jobs([tmp_path / "a.png"])
    batch = reconstruct_files(jobs, tmp_path / "out", tokenizer, force=True)
    assert len(batch.rows) == 1
    assert "already holds" in batch.errors[0][1]


def test_a_folder_that_cannot_be_made_is_named(tmp_path, tokenizer):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot write into"):
        reconstruct_files([], tmp_path / "file" / "out", tokenizer)
