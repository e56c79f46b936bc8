"""A picture at equal file size: nobody gets more bytes than ours, and figures are those of the pictures shown."""

import dataclasses

import numpy as np
import pytest

from workbench.metrics.distortion import psnr
from workbench.tasks.compress.baselines import CURVE_SETTINGS, compare_at_size, curve_plot, our_curve, picture_curves
from workbench.tasks.compress.codec import load_codec
from workbench.tasks.compress.picture import decompress_image
from workbench.tasks.evaluate.baselines import baselines


def picture():
    y, x = np.mgrid[:96, :120] / 20
    waves = np.stack([np.sin(x + y), np.cos(x), np.sin(y)], -1)
    return (127 + 100 * waves).astype(np.uint8)


def test_at_equal_size_nobody_gets_more_bytes(tiny_model):
    codec, image, said = load_codec(str(tiny_model)), picture(), []
    ours, shown = compare_at_size(image, codec, progress=lambda *progress: said.append(progress))
    assert [one.name for one in shown] == ["Λ24-SQ", *(other.name for other in baselines())]
    assert shown[0].bytes == len(ours.data)
    assert np.array_equal(shown[0].image, decompress_image(ours.data, codec=codec).image)
    for one in shown:
        assert (one.bytes <= len(ours.data)) == one.fits
        assert one.psnr == pytest.approx(psnr(image, one.image))
        assert one.bits_per_pixel == pytest.approx(8 * one.bytes / (96 * 120))
    assert said[-1] == (1.0, "done")


def test_curves_rise():
    for curve in picture_curves(picture()):
        assert len(curve.psnr) == CURVE_SETTINGS
        assert list(curve.bits_per_pixel) == sorted(curve.bits_per_pixel)
        assert curve.psnr[-1] > curve.psnr[0]


def test_our_curve_has_one_point_a_codec_and_is_drawn_with_the_others(tiny_model):
    codec, image = load_codec(str(tiny_model)), picture()
    ours, _ = compare_at_size(image, codec, others=[])
    curve = our_curve(image, [codec, codec], entropy="no such model")
    assert curve.bits_per_pixel[0] == curve.bits_per_pixel[1] == pytest.approx(8 * len(ours.data) / (96 * 120))
    figure = curve_plot(curve, [dataclasses.replace(curve, name="JPEG")], chosen=1)
    assert [trace.name for trace in figure.data] == ["JPEG", "Λ24-SQ"]
    assert figure.data[1].marker.size == (10, 18)
