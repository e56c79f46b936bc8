"""Intervals hold the truth as often as they say, and equal tables and independent implementations."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.metrics.intervals import bootstrap_interval, student_interval, student_quantile, subset_interval


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 29, 100])
def test_quantiles_are_those_of_scipy(freedom):
    from scipy.stats import t

    for probability in (0.005, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9995):
        assert student_quantile(probability, freedom) == pytest.approx(t.ppf(probability, freedom), rel=1e-9, abs=1e-9)


def test_students_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(0)
    held = [i.low <= 3 <= i.high for i in (student_interval(generator.normal(3, 2, 3)) for _ in range(2000))]
    assert 0.935 < np.mean(held) < 0.965


def test_three_paired_seeds():
    interval = student_interval([1.0, 2.0, 3.0])
    assert interval.value == 2
    assert interval.high - 2 == pytest.approx(4.3027 / np.sqrt(3), abs=1e-4)
    assert interval.low == pytest.approx(4 - interval.high)
    assert (interval.samples, interval.level) == (3, 0.95)


def test_the_bootstrap_of_a_mean_is_near_students():
    values = np.random.default_rng(1).normal(0, 1, 400)
    boot, student = bootstrap_interval(values, seed=0), student_interval(values)
    assert boot.value == pytest.approx(student.value)
    assert boot.low == pytest.approx(student.low, abs=0.02)
    assert boot.high == pytest.approx(student.high, abs=0.02)
    assert bootstrap_interval(values, seed=0) == boot
    median = bootstrap_interval(values, seed=0, statistic=np.median, level=0.5)
    assert boot.low < median.low < median.high < boot.high


def test_subsets_are_drawn_without_replacement_and_by_seed():
    x, y = np.arange(40.0)[:, None], np.arange(30.0)[:, None] + 100
    sizes = []

    def distance(a, b):
        sizes.append((len(np.unique(a)), len(np.unique(b))))
        return float(b.mean() - a.mean())

    first = subset_interval(distance, x, y, size=20, repeats=50, seed=3)
    assert set(sizes) == {(20, 20)}
    assert first == subset_interval(distance, x, y, size=20, repeats=50, seed=3)
    assert first.low < first.value < first.high
    assert abs(first.value - 95) < 1.5
    whole = subset_interval(distance, x, x, size=40, repeats=5, seed=0)
    assert whole.low == whole.high == 0


def test_too_little_is_refused():
    for values in ([1.0], [], [1.0, np.nan]):
        for way in (student_interval, lambda v: bootstrap_interval(v, seed=0)):
            with pytest.raises(InputError, match="at least 2 finite"):
                way(values)
    with pytest.raises(InputError, match="level"):
        student_interval([1, 2], level=1)
    with pytest.raises(InputError, match="probability"):
        student_quantile(0, 3)
    with pytest.raises(InputError, match="sets of 4 and 4"):
        subset_interval(lambda *_: 0, np.zeros((4, 1)), np.zeros((4, 1)), size=5, repeats=1, seed=0)
