"""A code seen from one of its words: counts that are known, exact neighbours, projections that lose no word."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.nearest import nearest
from workbench.tasks.explore.code import CODES, nearest_words, project, view_code
from workbench.tasks.explore.golay import arrangement


@pytest.mark.parametrize("index", [0, 97151, 97152, 195455, 195456, 196559])
def test_the_spectrum_of_the_leech_shell_is_the_same_from_every_word(index):
    view = view_code("leech", index)
    assert view.spectrum == {32: 1, 16: 4600, 8: 47104, 0: 93150, -8: 47104, -16: 4600, -32: 1}
    assert view.least_distance == pytest.approx(1)


def test_the_published_code_has_nearer_words():
    view = view_code("leech-published", 0)
    assert view.spectrum[20] == 128
    assert view.least_distance == pytest.approx(np.sqrt(3) / 2)


def test_shapes_and_their_counts():
    shapes = [(shape.name, shape.first, shape.count) for shape in view_code("leech").shapes]
    assert shapes == [("(±2⁸, 0¹⁶)", 0, 97152), ("(±3, ±1²³)", 97152, 98304), ("(±4², 0²²)", 195456, 1104)]


@pytest.mark.parametrize("name", CODES)
def test_every_shell_is_seen_whole(name):
    view = view_code(name)
    assert sum(view.spectrum.values()) == sum(shape.count for shape in view.shapes) == view.size
    assert list(view.spectrum) == sorted(view.spectrum, reverse=True)


def test_neighbours_are_in_order_and_the_first_is_the_search_s():
    vector = np.random.default_rng(3).normal(size=24)
    found = nearest_words(vector.tolist(), count=12)
    cosines = [word.cosine for word in found.words]
    assert cosines == sorted(cosines, reverse=True)
    code = make_code("leech")
    assert found.words[0].index == int(nearest(torch.from_numpy(vector)[None], code))
    products = code.integers @ vector / (np.sqrt(32) * np.linalg.norm(vector))
    assert cosines == pytest.approx(np.sort(products)[::-1][:12].tolist())
    for word in found.words:
        assert word.word == code.integers[word.index].tolist()
        assert np.cos(np.radians(word.angle)) == pytest.approx(word.cosine)
    assert found.structured_us > 0
    assert found.exhaustive_us > 0


def test_a_tie_goes_to_the_lowest_index():
    deep = [1.0] * 24  # as near to many words of shape (±3, ±1²³)
    words = nearest_words(deep, count=4).words
    assert [word.index for word in words] == sorted(word.index for word in words)


@pytest.mark.parametrize("vector", [[0.0] * 24, [1.0] * 23, [float("nan")] + [1.0] * 23, [float("inf")] + [0.0] * 23])
def test_vectors_without_a_direction_are_refused(vector):
    with pytest.raises(InputError, match="numbers"):
        nearest_words(vector)


def test_a_projection_counts_every_word_once():
    array = arrangement()
    trio = np.stack([np.isin(np.arange(24), array[:, 2 * k : 2 * k + 2]) for k in range(3)], axis=1).astype(float)
    view = project("leech", trio)
    assert view.counts.sum() == view.total == 196_560
    assert len(view.points) == len(view.counts) == len(view.shape)
    # The shell looks the same from both sides.
    seen = {
        tuple(point): count for point, count in zip(view.points.round(4).tolist(), view.counts.tolist(), strict=True)
    }
    assert seen == {tuple(-x + 0.0 for x in point): count for point, count in seen.items()}


def test_a_projection_that_falls_on_many_points_is_sampled_by_seed():
    directions = np.random.default_rng(0).normal(size=(24, 3))
    one, two = (project("leech", directions, most=500, seed=4) for _ in range(2))
    assert one.total == 500
    assert np.array_equal(one.points, two.points)
    assert np.linalg.norm(one.points, axis=1).max() <= 1 + 1e-9


def test_unknown_shells_indices_and_directions_are_named():
    with pytest.raises(InputError, match="did you mean 'leech'"):
        view_code("leach")
    with pytest.raises(InputError, match="0 to 196559, got 196560"):
        view_code("leech", 196_560)
    with pytest.raises(InputError, match="three independent directions"):
        project("leech", np.ones((24, 3)))
