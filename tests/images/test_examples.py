"""Examples can be read and shown wherever the libraries that ship them are installed, and drawn where not."""

import numpy as np
import pytest

from workbench.errors import ImageError
from workbench.images import examples
from workbench.images.examples import Example, colour_chart, lettering, list_examples, shape_board, zone_plate
from workbench.images.files import read_image


def test_every_example_reads_and_is_a_file(tmp_path):
    found = list_examples()
    assert len({example.name for example in found}) == len(found) >= 4
    for example in found:
        picture = example.read()
        assert picture.dtype == np.uint8
        assert min(picture.shape[:2]) >= 256
        path = example.file(tmp_path)
        assert (read_image(path) == picture).all()
        assert example.file(tmp_path) == path


def test_renderings_are_there_without_any_library(monkeypatch):
    monkeypatch.setattr(examples, "find_spec", lambda _: None)
    assert [example.path for example in list_examples()] == [None] * 4


def test_an_example_without_a_picture_says_so():
    with pytest.raises(ImageError, match="neither"):
        Example("nothing", "nowhere").read()


def test_the_zone_plate_is_symmetric_and_reaches_the_finest_grid():
    plate = zone_plate(128)
    assert (plate == plate[::-1]).all()
    assert (plate == plate.swapaxes(0, 1)).all()
    line = plate[63, :, 0].astype(int)
    assert np.abs(np.diff(line))[56:70].max() < 60  # flat at the centre
    edge = np.diff(line)[:9]
    assert np.abs(edge).max() > 200
    assert (edge[:-1] * edge[1:] < 0).all()  # lighter and darker in turn


def test_the_chart_has_pure_colours_and_even_greys():
    chart = colour_chart(200, 240)
    assert chart.shape == (200, 240, 3)
    colours = {tuple(c) for c in chart.reshape(-1, 3)}
    assert {(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255)} <= colours
    steps = np.unique(chart[-1, :, 0])
    assert len(steps) == 12
    assert (chart[-1] == chart[-1, :, :1]).all()


def test_lettering_and_board_have_detail():
    assert len(np.unique(lettering(100, 120).reshape(-1, 3), axis=0)) > 20
    assert shape_board(16).shape == (48, 64, 3)
