"""PSNR, SSIM and MS-SSIM equal slow references and torchmetrics, and say nothing where there is nothing to say."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.metrics import distortion
from workbench.metrics.distortion import measure, ms_ssim, psnr, ssim

RNG = np.random.default_rng(0)


def smooth(height, width):
    rows, columns = np.mgrid[:height, :width] / 9
    return np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], -1) / 2 + 0.5


def noisy(size, noise=12.0):
    x = (smooth(*size) * 255).round().astype(np.uint8)
    y = np.clip(x + RNG.normal(0, noise, x.shape), 0, 255).round().astype(np.uint8)
    return x, y


def floats(picture):
    return torch.from_numpy(picture.transpose(2, 0, 1).copy()).double() / 255


def slow_maps(x, y):
    """Structure and whole index window by window, from the definition: weighted moments about the mean."""
    line = np.exp(-(((np.arange(11) - 5) / 1.5) ** 2) / 2)
    weight = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    whole, structure = [], []
    for channel in range(3):
        a, b = (
            np.lib.stride_tricks.sliding_window_view(p[channel].numpy().astype(np.float64), (11, 11)) for p in (x, y)
        )
        mean_a, mean_b = ((w * weight).sum((-1, -2), keepdims=True) for w in (a, b))
        var_a, var_b = ((weight * (w - m) ** 2).sum((-1, -2)) for w, m in ((a, mean_a), (b, mean_b)))
        cov = (weight * (a - mean_a) * (b - mean_b)).sum((-1, -2))
        m_a, m_b = mean_a[..., 0, 0], mean_b[..., 0, 0]
        s = (2 * cov + c2) / (var_a + var_b + c2)
        whole.append(((2 * m_a * m_b + c1) / (m_a**2 + m_b**2 + c1) * s).mean())
        structure.append(s.mean())
    return np.array(whole), np.array(structure)


class TestPSNR:
    def test_a_constant_error_has_a_closed_form(self):
        x = np.full((7, 5, 3), 100, np.uint8)
        for step in (1, 5, 155):
            assert psnr(x, x + np.uint8(step)) == pytest.approx(20 * math.log10(255 / step), abs=1e-12)

    def test_black_against_white_is_zero(self):
        x = np.zeros((4, 4, 3), np.uint8)
        assert psnr(x, 255 - x) == 0

    def test_equal_pictures_are_infinitely_good(self):
        x, _ = noisy((9, 9))
        assert psnr(x, x) == math.inf

    def test_it_equals_the_definition_on_any_size(self):
        for size in ((1, 1), (3, 700), (601, 5)):
            x, y = noisy(size)
            error = ((x.astype(float) - y) ** 2).mean()
            if error:
                assert psnr(x, y) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)

    def test_arrays_and_tensors_of_both_kinds_agree(self):
        x, y = noisy((20, 30))
        levels = [torch.from_numpy(p.transpose(2, 0, 1).copy()) for p in (x, y)]
        assert psnr(*levels) == psnr(x, y)
        assert psnr(floats(x), floats(y)) == pytest.approx(psnr(x, y), abs=1e-9)


class TestSSIM:
    @pytest.mark.parametrize("size", [(11, 11), (11, 40), (30, 23)])
    def test_it_equals_the_slow_reference(self, size):
        x, y = noisy(size)
        whole, _ = slow_maps(floats(x), floats(y))
        assert ssim(x, y) == pytest.approx(whole.mean(), abs=1e-10)

    def test_strips_do_not_show(self, monkeypatch):
        x, y = noisy((97, 30))
        whole = ssim(x, y), psnr(x, y)
        for rows in (1, 7, 87, 1000):
            monkeypatch.setattr(distortion, "_STRIP", rows)
            assert ssim(x, y) == pytest.approx(whole[0], abs=1e-12)
            assert psnr(x, y) == pytest.approx(whole[1], abs=1e-12)

    def test_it_is_symmetric_one_for_equal_and_negative_for_inverted(self):
        x, y = noisy((40, 40))
        assert ssim(x, y) == pytest.approx(ssim(y, x), abs=1e-12)
        assert ssim(x, x) == 1
        noise = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        assert -1 <= ssim(noise, 255 - noise) < -0.8
        assert ssim(np.zeros((11, 11, 3), np.uint8), np.zeros((11, 11, 3), np.uint8)) == 1


class TestMSSSIM:
    @pytest.mark.parametrize("size", [(176, 176), (177, 201)])
    def test_it_equals_the_slow_reference(self, size):
        x, y = noisy(size, noise=25)
        a, b = floats(x), floats(y)
        product = np.ones(3)
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            whole, structure = slow_maps(a, b)
            product *= np.maximum(whole if scale == 4 else structure, 0) ** weight
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        assert ms_ssim(x, y) == pytest.approx(product.mean(), abs=1e-10)

    def test_structure_that_is_inverted_counts_as_zero(self):
        noise = RNG.integers(0, 256, (176, 176, 3), dtype=np.uint8)
        assert ms_ssim(noise, 255 - noise) == 0
        assert ms_ssim(noise, noise) == 1


@pytest.mark.slow  # for the time that importing torchmetrics takes
def test_torchmetrics_agrees_away_from_the_border():
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        structural_similarity_index_measure,
    )

    x, y = noisy((192, 240), noise=25)
    images = [floats(y)[None], floats(x)[None]]
    _, full = structural_similarity_index_measure(*images, data_range=1.0, return_full_image=True)
    assert ssim(x, y) == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-9)
    # It mirrors the border and averages channels before the weights.
    other = multiscale_structural_similarity_index_measure(*images, data_range=1.0)
    assert ms_ssim(x, y) == pytest.approx(float(other), abs=5e-3)


class TestMeasure:
    def test_large_different_pictures_have_every_value(self):
        values, reasons = measure(*noisy((176, 180)))
        assert list(values) == ["psnr", "ssim", "ms_ssim"]
        assert all(isinstance(value, float) for value in values.values())
        assert not reasons

    @pytest.mark.parametrize(
        ("side", "missing"), [(1, {"ssim", "ms_ssim"}), (10, {"ssim", "ms_ssim"}), (175, {"ms_ssim"})]
    )
    def test_small_pictures_have_reasons(self, side, missing):
        x = RNG.integers(0, 256, (side, 200, 3), dtype=np.uint8)
        values, reasons = measure(x, 255 - x)
        assert {name for name, value in values.items() if value is None} == set(reasons) == missing
        assert all(f"the picture has {side}" in reason for reason in reasons.values())

    def test_equal_pictures_have_a_reason(self):
        x, _ = noisy((20, 20))
        values, reasons = measure(x, x)
        assert values["psnr"] is None
        assert reasons["psnr"] == "the pictures are equal"
        assert values["ssim"] == 1

    def test_others_are_measured_too_and_never_nan(self):
        def cannot(*_):
            raise InputError("too small for it")

        x, y = noisy((20, 20))
        others = {"mae": lambda a, b: np.abs(a / 255 - b / 255).mean(), "odd": lambda *_: math.nan, "no": cannot}
        values, reasons = measure(x, y, others=others)
        assert values["mae"] > 0
        assert values["odd"] is None
        assert reasons["odd"] == "it came to nan"
        assert reasons["no"] == "too small for it"


@pytest.mark.parametrize("way", [psnr, ssim, ms_ssim, measure])
@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((200, 199, 3), np.uint8),
        np.zeros((200, 200), np.uint8),
        np.zeros((200, 200, 3), np.float32),
        torch.zeros(1, 3, 200, 200),
        torch.full((3, 200, 200), 2.0),
        torch.full((3, 200, 200), torch.nan),
        torch.zeros(3, 200, 200, dtype=torch.int64),
    ],
)
def test_what_is_no_pair_of_pictures_is_refused(way, bad):
    with pytest.raises(InputError, match="expected"):
        way(np.zeros((200, 200, 3), np.uint8), bad)


@pytest.mark.parametrize(("way", "least"), [(ssim, 11), (ms_ssim, 176)])
def test_too_small_is_an_error_of_its_own(way, least):
    small = np.zeros((least - 1, 300, 3), np.uint8)
    with pytest.raises(InputError, match=f"at least {least} pixels a side, the picture has 300×{least - 1}"):
        way(small, small)
