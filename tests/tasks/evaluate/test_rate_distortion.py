"""Rate against distortion: sizes are matched, means are means, and the page stands alone."""

import dataclasses
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.images.sources import open_source
from workbench.metrics.distortion import psnr
from workbench.tasks.compress.codec import load_codec
from workbench.tasks.compress.picture import compress_image, decompress_image
from workbench.tasks.evaluate.baselines import Files, baselines, encode_to_size
from workbench.tasks.evaluate.rate_distortion import OURS, Curve, _bjontegaard, evaluate_rate_distortion
from workbench.tasks.plots.rate_distortion import write_page


def picture(seed, height=120, width=184):
    """Smooth colours and some texture, as in a photograph."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40
    waves = [np.sin(a * x + b * y + c) for a, b, c in rng.uniform(-2, 2, (3, 3))]
    return np.clip(127 + 60 * np.stack(waves, -1) + rng.normal(size=(height, width, 1)) * 12, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(2):
        Image.fromarray(picture(seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def result(tiny_model, pictures):
    others = [one for one in baselines() if one.name in ("JPEG", "WebP")]
    return evaluate_rate_distortion([load_codec(str(tiny_model))], open_source(pictures), others=others)


def test_the_usual_codecs_are_there():
    names = [one.name for one in baselines()]
    assert names[:3] == ["JPEG", "JPEG 2000", "WebP"]


@pytest.mark.parametrize("other", baselines(), ids=lambda other: other.name)
def test_a_baseline_writes_larger_and_better_files_for_larger_settings(other):
    image = picture(3)
    files = [other.encode(image, setting) for setting in other.sweep]
    pictures = [other.decode(data) for data in files]
    assert [len(data) for data in files] == sorted(len(data) for data in files)
    assert len(set(files)) == len(files)
    qualities = [psnr(image, back) for back in pictures]
    assert qualities == sorted(qualities)
    assert all(back.shape == image.shape and back.dtype == np.uint8 for back in pictures)


@pytest.mark.parametrize("other", baselines(), ids=lambda other: other.name)
def test_the_largest_file_that_fits_is_found(other):
    image = picture(4)
    smallest = len(other.encode(image, other.settings[0]))
    for limit in (smallest, 2 * smallest, 4 * smallest):
        data, fits = encode_to_size(other, image, limit)
        assert fits
        assert len(data) <= limit
        assert 8 * len(data) > 4 * limit
    data, fits = encode_to_size(other, image, smallest - 1)
    assert not fits
    assert len(data) == smallest
    with pytest.raises(InputError, match="at least one byte"):
        encode_to_size(other, image, 0)


def test_jpeg_2000_transforms_colours():
    (codec,) = (one for one in baselines() if one.name == "JPEG 2000")
    grey = picture(7)
    bare = dataclasses.replace(codec, options=lambda setting: {**codec.options(setting), "mct": 0})
    grey[:] = grey[:, :, :1]  # channels that say the same thrice: what a colour transform is for
    with_it, without = (psnr(grey, one.decode(encode_to_size(one, grey, 1500)[0])) for one in (codec, bare))
    assert with_it > without + 0.5


class Counting:
    """A codec that keeps the settings that it was asked for."""

    def __init__(self, other):
        self.asked = []
        self.baseline = dataclasses.replace(other, options=lambda s: self.asked.append(s) or other.options(s))


def test_a_search_finds_what_trying_every_setting_finds():
    (jpeg,) = (one for one in baselines() if one.name == "JPEG")
    image = picture(5)
    sizes = [len(jpeg.encode(image, setting)) for setting in jpeg.settings]
    counting = Counting(jpeg)
    files = Files(counting.baseline, image)
    limits = np.random.default_rng(0).integers(sizes[0] - 300, sizes[-1] + 300, 60).tolist()
    for limit in (*limits, sizes[0], sizes[0] - 1, sizes[-1]):
        setting, fits = files.largest_within(limit)
        best = max((size for size in sizes if size <= limit), default=sizes[0])
        assert len(files.at(setting)) == best
        assert files.at(setting).data == jpeg.encode(image, setting)
        assert fits == (sizes[0] <= limit)
    assert len(counting.asked) == len(set(counting.asked))


@pytest.mark.parametrize("other", baselines(), ids=lambda other: other.name)
def test_a_search_takes_few_files_once_the_curve_is_there(other):
    counting = Counting(other)
    files = Files(counting.baseline, picture(6))
    sizes = [len(files.at(setting)) for setting in other.sweep]
    counting.asked.clear()
    limits = [size * 5 // 4 for size in sizes]
    for limit in limits:
        setting, fits = files.largest_within(limit)
        assert fits
        assert len(files.at(setting)) <= limit
    assert len(counting.asked) <= 6 * len(limits)


def test_sizes_that_jump_are_found_too():
    class Jumps:
        settings, sweep = range(0, 1001), (100, 900)

        def encode(self, image, setting):
            return bytes(1000 + setting + 100_000 * (setting >= 777))

    for limit in (1500, 1776, 1777, 101_776, 101_777, 200_000):
        setting, fits = Files(Jumps(), None).largest_within(limit)
        assert fits
        assert setting == max(s for s in Jumps.settings if len(Jumps().encode(None, s)) <= limit)


def test_no_setting_is_encoded_twice_for_a_picture(tiny_model, pictures):
    counting = [Counting(one) for one in baselines() if one.name in ("JPEG", "WebP")]
    codec = load_codec(str(tiny_model))
    others = [one.baseline for one in counting]
    result = evaluate_rate_distortion([codec, codec], open_source(pictures), others=others, limit=1)
    for one in counting:
        assert set(one.baseline.sweep) < set(one.asked)
        assert len(one.asked) == len(set(one.asked))
    assert [row.other for row in result.matched] == ["JPEG", "WebP"]


def test_points_and_matches_are_what_each_file_measures_by_itself(result, pictures):
    sources = [sample.image for sample in open_source(pictures)]
    for other in (one for one in baselines() if one.name in ("JPEG", "WebP")):
        curve = next(curve for curve in result.curves if curve.name == other.name)
        for place, setting in enumerate(other.sweep):
            files = [other.encode(image, setting) for image in sources]
            expected = [psnr(image, other.decode(data)) for image, data in zip(sources, files, strict=True)]
            assert curve.results["psnr"][place] == pytest.approx(np.mean(expected))
        row = next(row for row in result.matched if row.other == other.name)
        assert row.measures["psnr"][0] == result.curves[0].results["psnr"][0]
        assert {"encoding_mpx_per_second", "decoding_mpx_per_second"} <= set(row.measures)


def test_our_points_are_means_over_whole_files(result, tiny_model, pictures):
    codec = load_codec(str(tiny_model))
    coded = [(image.image, compress_image(image.image, codec)) for image in open_source(pictures)]
    bpp = np.mean([8 * len(c.data) / (120 * 184) for _, c in coded])
    quality = np.mean([psnr(image, decompress_image(c.data, codec=codec).image) for image, c in coded])
    ours = result.curves[0]
    assert ours.name == OURS
    assert ours.results["bpp"] == [pytest.approx(bpp)]
    assert ours.results["psnr"] == [pytest.approx(quality)]
    assert result.pictures == 2
    (entropy,) = result.entropy
    assert entropy.bits_per_token == pytest.approx(np.mean([8 * len(c.data) / c.container.tokens for _, c in coded]))
    assert entropy.share_of_fixed == pytest.approx(np.mean([8 * len(c.data) / c.fixed_bits for _, c in coded]))
    assert entropy.ideal_share == pytest.approx(1)
    assert 0 < result.live_words["tiny"] <= 1


def test_matched_files_are_no_larger_than_ours(result):
    assert [row.other for row in result.matched] == ["JPEG", "WebP"]
    for row in result.matched:
        own, theirs = row.measures["bpp"]
        assert own == result.curves[0].results["bpp"][0]
        assert row.too_large in (0, 2)
        assert (theirs <= own) == (row.too_large == 0)


def test_curves_have_the_shape_of_compressai_and_everything_is_json(result):
    content = json.loads(json.dumps(result.row(), allow_nan=False))
    for curve in content["curves"]:
        lengths = {len(values) for values in curve["results"].values()}
        assert lengths == {1 if curve["name"].startswith(OURS) else 6}
        assert {"bpp", "psnr", "psnr-rgb", "ms-ssim-rgb", "encoding_mpx_per_second"} <= set(curve["results"])
        assert curve["results"]["bpp"] == sorted(curve["results"]["bpp"])
    assert set(content["bjontegaard"]) == {"JPEG", "WebP"}
    assert all("two points or more" in row["reason"] for row in content["bjontegaard"].values())


def test_bjontegaard_is_of_ours_against_theirs():
    theirs = Curve("JPEG", "", {"bpp": [0.1, 0.2, 0.4], "psnr": [20.0, 23.0, 26.0]})
    ours = Curve(OURS, "", {"bpp": [0.05, 0.1, 0.2], "psnr": [20.0, 23.0, 26.0]})
    row = _bjontegaard(theirs, ours)
    assert row["bd_rate_percent"] == pytest.approx(-50)
    assert row["bd_psnr_db"] == pytest.approx(3)
    assert (row["from_psnr_db"], row["to_psnr_db"]) == (20, 26)
    lossless = Curve(OURS, "", {"bpp": [0.05], "psnr": [None]})
    assert "no finite PSNR" in _bjontegaard(theirs, lossless)["reason"]


def test_the_page_stands_alone_and_is_not_written_over(result, tmp_path):
    page = tmp_path / "deep" / "page.html"
    write_page(result, page)
    text = page.read_text()
    assert text.count('<img src="data:image/png;base64,') == 1 + 1 + 2
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.https?:", text)
    assert "Λ24-SQ tiny" in text
    with pytest.raises(InputError, match="add --force"):
        write_page(result, page)
    write_page(result, page, force=True)


def test_the_limit_counts_pictures_and_none_is_an_error(tiny_model, pictures):
    codec = load_codec(str(tiny_model))
    result = evaluate_rate_distortion([codec], open_source(pictures), others=[], limit=1)
    assert result.pictures == 1
    assert all(math.isfinite(value) for value in result.curves[0].results["bpp"])
    with pytest.raises(InputError, match="got 0 and 2"):
        evaluate_rate_distortion([], open_source(pictures), others=[])


def test_the_command_line_prints_one_object(tiny_model, pictures, tmp_path, capsys):
    options = ("--model", str(tiny_model), "--json", "--curves", str(tmp_path / "curves"))
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "rate-distortion", "--data", str(pictures / "0.png"), *options])
    assert end.value.code == 0
    content = json.loads(capsys.readouterr().out)
    assert content["pictures"] == 1
    files = {path.name: json.loads(path.read_text()) for path in (tmp_path / "curves").iterdir()}
    assert files["jpeg.json"]["results"] == content["curves"][1]["results"]
