"""Rates equal their definitions; Bjøntegaard differences equal closed forms and an independent interpolation."""

import math

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.metrics.rate import bd_quality, bd_rate, bits_per_pixel, empirical_entropy_bits, fixed_bits, model_bits

RATES, PSNRS = [0.12, 0.25, 0.5, 1.1], [27.0, 29.5, 32.5, 35.0]


def test_the_published_rate():
    # One of 196,560 words for each 8×8 patch of a 768×512 picture.
    assert fixed_bits(96 * 64, 196_560) == pytest.approx(6144 * 17.5846, abs=0.5)
    assert bits_per_pixel(fixed_bits(96 * 64, 196_560), height=512, width=768) == pytest.approx(0.27476, abs=1e-5)
    with pytest.raises(InputError, match="0×5 pixels"):
        bits_per_pixel(1, height=5, width=0)


def test_the_entropy_of_counts():
    assert empirical_entropy_bits(np.array([4, 2, 1, 1, 0])) == pytest.approx(8 * 1.75)
    assert empirical_entropy_bits(np.array([0, 9, 0])) == 0
    assert empirical_entropy_bits(np.zeros(4, int)) == 0
    assert empirical_entropy_bits(np.full(64, 3)) == pytest.approx(fixed_bits(192, 64))


def test_a_model_never_beats_the_counts_themselves():
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 50, 40)
    assert model_bits(counts, counts) == pytest.approx(empirical_entropy_bits(counts))
    for _ in range(20):
        assert model_bits(counts, generator.uniform(0.01, 1, 40)) > empirical_entropy_bits(counts)
    weights = generator.uniform(0.01, 1, 40)
    assert model_bits(counts, weights) == pytest.approx(model_bits(counts, 77 * weights))
    assert model_bits(counts, np.ones(40)) == pytest.approx(fixed_bits(int(counts.sum()), 40))


def test_a_word_that_the_model_excludes_costs_infinitely_much():
    assert model_bits(np.array([1, 1]), np.array([1, 0])) == math.inf
    assert model_bits(np.array([1, 0]), np.array([1, 0])) == 0
    for bad in ([1, 1, 1], [0, 0], [-1, 2], [np.nan, 1]):
        with pytest.raises(InputError, match="weights"):
            model_bits(np.array([1, 1]), np.array(bad))


class TestBjontegaard:
    @pytest.mark.parametrize("factor", [0.5, 0.9, 1.25, 3.0])
    def test_a_rate_that_is_a_multiple_everywhere(self, factor):
        assert bd_rate(RATES, PSNRS, np.array(RATES) * factor, PSNRS) == pytest.approx(100 * (factor - 1))

    @pytest.mark.parametrize("step", [-2.0, 0.0, 1.5])
    def test_a_quality_that_is_higher_by_a_step_everywhere(self, step):
        assert bd_quality(RATES, PSNRS, RATES, np.array(PSNRS) + step) == pytest.approx(step)

    def test_straight_lines_have_a_closed_form(self):
        # Quality a + b·log10(rate): the gap at equal rate, and the ratio at equal quality.
        rates = np.array([0.1, 0.2, 0.7, 1.0])
        line = 30 + 8 * np.log10(rates)
        other = 31 + 8 * np.log10(rates)
        assert bd_quality(rates, line, rates, other) == pytest.approx(1)
        assert bd_rate(rates, line, rates, other) == pytest.approx(100 * (10 ** (-1 / 8) - 1))

    def test_exchanging_the_curves_turns_the_sign(self):
        other = [0.15, 0.3, 0.45, 0.9], [27.5, 30.5, 31.5, 35.5]
        assert bd_quality(RATES, PSNRS, *other) == pytest.approx(-bd_quality(*other, RATES, PSNRS))
        forth, back = bd_rate(RATES, PSNRS, *other), bd_rate(*other, RATES, PSNRS)
        assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)

    @pytest.mark.parametrize("points", [2, 3, 4, 7])
    def test_the_interpolation_is_that_of_scipy(self, points):
        from scipy.interpolate import PchipInterpolator

        generator = np.random.default_rng(points)
        for _ in range(10):
            curves = [np.sort(generator.uniform(0.1, 2, points)) for _ in range(2)]
            heights = [np.sort(generator.uniform(25, 40, points)) for _ in range(2)]
            logs = [np.log10(curve) for curve in curves]
            low, high = max(x[0] for x in logs), min(x[-1] for x in logs)
            if low >= high:
                continue
            areas = [PchipInterpolator(x, y).integrate(low, high) for x, y in zip(logs, heights, strict=True)]
            expected = (areas[1] - areas[0]) / (high - low)
            assert bd_quality(curves[0], heights[0], curves[1], heights[1]) == pytest.approx(expected, abs=1e-9)

    def test_points_may_come_in_any_order(self):
        assert bd_quality(RATES[::-1], PSNRS[::-1], RATES, np.array(PSNRS) + 1) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("rates", "qualities", "words"),
        [
            ([1, 2], [30], "2 rates and 1 qualities"),
            ([1], [30], "two points"),
            ([1, 2], [31, 30], "must grow with rate, but rate 1 has 31 and rate 2 has 30"),
            ([1, 1], [30, 31], "must grow"),
            ([0, 1], [30, 31], "rates above 0"),
            ([1, 2], [30, math.inf], "lossless"),
            ([20, 40], [100, 101], "share no range of"),
        ],
    )
    def test_what_is_no_curve_is_refused(self, rates, qualities, words):
        for way in (bd_rate, bd_quality):
            with pytest.raises(InputError, match=words):
                way(RATES, PSNRS, rates, qualities)
