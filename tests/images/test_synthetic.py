"""Synthetic pictures are functions of seed and number, come at any size, and their classes can be told apart."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.images.synthetic import CLASSES, _coverage, render, synthetic_pictures


def test_a_picture_is_a_function_of_seed_and_number():
    few, many = synthetic_pictures(15, size=16, seed=5), synthetic_pictures(30, size=16, seed=5)
    assert all((a == b).all() for a, b in zip(few.images, many.images, strict=False))
    assert len({picture.tobytes() for picture in many.images}) == 30
    other = synthetic_pictures(15, size=16, seed=6)
    assert not any((a == b).all() for a, b in zip(few.images, other.images, strict=True))


def test_classes_come_in_turn_with_their_names():
    pictures = synthetic_pictures(2 * len(CLASSES), size=8, seed=0)
    assert pictures.class_names == CLASSES
    assert len(CLASSES) >= 6
    assert (np.bincount(pictures.labels) == 2).all()
    assert all(key.startswith(CLASSES[label]) for key, label in zip(pictures.keys, pictures.labels, strict=True))


@pytest.mark.parametrize("size", [1, 2, 3, 17, 96])
def test_any_size_is_drawn(size):
    for label in range(len(CLASSES)):
        picture = render(label, size=size, seed=1)
        assert picture.shape == (size, size, 3)
        assert picture.dtype == np.uint8


def test_a_larger_drawing_is_the_same_picture_finer():
    for label in range(len(CLASSES)):
        small, large = render(label, size=32, seed=2), render(label, size=128, seed=2)
        shrunk = large.reshape(32, 4, 32, 4, 3).mean(axis=(1, 3))
        # Clouds and shadows are the same to a shade; only pixels on an edge may differ by much.
        assert np.abs(shrunk - small).mean() < 6


def test_edges_are_smooth():
    # With true coverage the area of a disc is right to a fraction of a pixel, wherever it lies.
    for across in (0.0, 0.003, 0.011):
        axis = (np.arange(64) + 0.5) / 32 - 1
        field = np.hypot(axis - across, axis[:, None]) - 0.5
        cover = _coverage(field)
        assert abs(cover.sum() - np.pi * 16**2) < 0.5
        assert ((cover > 0.05) & (cover < 0.95)).sum() > 60


def test_classes_can_be_told_apart():
    # A plain nearest mean of edge maps, which knows nothing of colour, beats chance by far.
    def edges(picture):
        grey = picture.astype(float).mean(axis=2)
        down, across = np.gradient(grey)
        spectrum = np.abs(np.fft.rfft2(np.hypot(down, across)))
        return np.log1p(spectrum).ravel()

    train, test = (synthetic_pictures(20 * len(CLASSES), size=24, seed=seed) for seed in (10, 11))
    points = np.stack([edges(p) for p in train.images])
    centres = np.stack([points[train.labels == k].mean(axis=0) for k in range(len(CLASSES))])
    guesses = [np.argmin(((centres - edges(p)) ** 2).sum(axis=1)) for p in test.images]
    assert (np.array(guesses) == test.labels).mean() > 3 / len(CLASSES)


@pytest.mark.parametrize("bad", [{"label": -1}, {"label": len(CLASSES)}, {"size": 0}])
def test_what_does_not_exist_is_refused(bad):
    with pytest.raises(InputError, match="expected a class"):
        render(**({"label": 0, "size": 4, "seed": 0} | bad))
    with pytest.raises(InputError, match="at least 1"):
        synthetic_pictures(0, size=4, seed=0)
