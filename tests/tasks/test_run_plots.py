"""Curves of a run: from the first point on, and of a long run no more points than a page can show."""

import numpy as np
import pytest

from workbench.tasks.plots.run import loss_plot, quality_plot
from workbench.tasks.runs.runs import RunState


def state(losses=(), evaluations=()):
    return RunState("mine", "running", "", 0.5, len(losses), losses, evaluations, None, None)


@pytest.mark.parametrize("lines", [1, 2, 9, 10, 499, 500, 501, 12_345])
def test_a_curve_of_any_length_is_drawn(lines):
    losses = [(10 * i, 1 / (1 + i)) for i in range(1, lines + 1)]
    points = loss_plot(state(losses)).data[0]
    assert 1 <= len(points.x) == len(points.y) <= 500
    assert (np.diff(points.x) > 0).all()
    assert losses[0][0] <= points.x[0]
    assert points.x[-1] <= losses[-1][0]
    assert (np.diff(points.y) < 0).all()
    if lines <= 500:
        assert list(zip(points.x, points.y, strict=True)) == losses
    if lines == 1:
        assert "markers" in points.mode  # a line through one point cannot be seen


def test_quality_has_an_axis_for_decibels_and_one_for_words():
    figure = quality_plot(state(evaluations=[{"step": 50, "psnr": 15.0, "words": 900.0, "entropy_bits": 9.0}]))
    psnr, words = figure.data
    assert (psnr.y[0], words.y[0]) == (15.0, 900.0)
    assert psnr.yaxis != words.yaxis
