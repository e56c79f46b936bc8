"""Encoding with effort, and files of a wanted size or quality."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from workbench.errors import InputError
from workbench.metrics.distortion import psnr
from workbench.tasks.compress.codec import codec_for
from workbench.tasks.compress.picture import compress_image, decompress_image
from workbench.tasks.compress.target import CLOSE, Target, compress_to_target, parse_size


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return load_sample_image("flower.jpg")[200:296, 250:378].copy()


@pytest.fixture(scope="module")
def codecs():
    return [codec_for(quality=1), codec_for(quality=2)]


def quality(result, image, codec) -> float:
    return psnr(image, decompress_image(result.data, codec=codec).image)


def test_effort_gives_a_better_picture_or_fewer_bits(image, codecs):
    codec = codecs[1]
    plain = compress_image(image, codec)
    better = compress_image(image, codec, effort=4, trade=0.0)
    smaller = compress_image(image, codec, effort=4, trade=0.05)
    assert plain.data == compress_image(image, codec, effort=0).data
    assert better.data == compress_image(image, codec, effort=4, trade=0.0).data
    assert quality(better, image, codec) > quality(plain, image, codec) + 0.3
    assert smaller.model_bits < 0.95 * plain.model_bits
    for result in (better, smaller):
        assert np.array_equal(decompress_image(result.data, codec=codec).indices, result.indices)


@pytest.mark.parametrize("share", [0.86, 0.93])
def test_a_size_within_reach_is_met(image, codecs, share):
    wanted = share * len(compress_image(image, codecs[1]).data)
    result = compress_to_target(image, codecs[1:], Target("bytes", wanted), effort=1)
    assert abs(len(result.data) / wanted - 1) <= CLOSE
    assert result.note == f"{len(result.data):,} bytes for {wanted:,.0f} bytes wanted"


def test_a_size_out_of_reach_is_answered_by_the_closest_and_said(image, codecs):
    small = compress_to_target(image, codecs, Target("bytes", 10), effort=1)
    large = compress_to_target(image, codecs, Target("bytes", 1e6), effort=1)
    assert small.container.model == codecs[0].tokenizer.name
    assert all("closest" in result.note for result in (small, large))
    assert len(small.data) < len(large.data)


def test_a_quality_and_a_rate(image, codecs):
    codec = codecs[1]
    wanted = quality(compress_image(image, codec, effort=1, trade=0.03), image, codec)
    result = compress_to_target(image, codecs[1:], Target("psnr", wanted), effort=1)
    assert quality(result, image, codec) == pytest.approx(wanted, rel=CLOSE)
    rate = 8 * len(result.data) / (96 * 128)
    again = compress_to_target(image, codecs[1:], Target("bpp", rate), effort=1)
    assert 8 * len(again.data) / (96 * 128) == pytest.approx(rate, rel=CLOSE)
    assert "bits per pixel" in again.note


@pytest.mark.parametrize(
    ("text", "size"), [("12000", 12_000), ("12kB", 12_000), ("12 KiB", 12_288), ("1.5MB", 1_500_000), ("7B", 7)]
)
def test_sizes_as_people_write_them(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "kB", "-3kB", "0", "12 bananas", "1e3"])
def test_other_sizes_are_refused(text):
    with pytest.raises(InputError, match="12kB"):
        parse_size(text)


def test_what_makes_no_sense_is_refused(image, codecs):
    for target, effort, given in ((0, 1, codecs), (100, 0, codecs), (100, 1, [])):
        with pytest.raises(InputError, match="rate point"):
            compress_to_target(image, given, Target("bytes", target), effort=effort)
