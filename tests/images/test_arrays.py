"""uint8 and float are each other's inverse, and every usual layout becomes one kind of picture."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.images.arrays import as_picture, to_float, to_uint8

LEVELS = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)


def test_float_and_back_is_the_identity_on_every_level():
    floats = to_float(LEVELS)
    assert floats.shape == (3, 16, 16)
    assert floats.dtype == torch.float32
    assert floats.min() == 0
    assert floats.max() == 1
    assert (to_uint8(floats) == LEVELS).all()
    assert (to_uint8(floats.double()) == LEVELS).all()
    batch = np.stack([LEVELS, 255 - LEVELS])
    assert (to_uint8(to_float(batch)) == batch).all()


def test_channels_keep_their_places():
    picture = np.zeros((2, 5, 3), np.uint8)
    picture[1, 4] = (10, 20, 30)
    assert torch.equal((to_float(picture)[:, 1, 4] * 255).round(), torch.tensor([10.0, 20.0, 30.0]))
    assert (to_uint8(to_float(picture))[1, 4] == (10, 20, 30)).all()


def test_values_are_clamped_and_rounded_not_cut():
    values = torch.tensor([-0.5, 0.0, 0.49 / 255, 0.51 / 255, 254.51 / 255, 1.0, 7.0, torch.inf])
    assert to_uint8(values.expand(3, 1, 8))[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255, 255, 255]


def test_strides_do_not_matter():
    turned = LEVELS[::-1, ::2]
    assert torch.equal(to_float(turned), to_float(turned.copy()))
    assert (as_picture(turned) == turned).all()


@pytest.mark.parametrize("bad", [LEVELS[:, :, :2], LEVELS[0], LEVELS.astype(np.int32), LEVELS / 255])
def test_what_is_no_picture_is_refused(bad):
    with pytest.raises(InputError, match="uint8"):
        to_float(bad)


def test_a_diverged_network_is_named():
    with pytest.raises(InputError, match="NaN"):
        to_uint8(torch.full((3, 2, 2), torch.nan))
    with pytest.raises(InputError, match="floats"):
        to_uint8(torch.zeros(3, 2, 2, dtype=torch.uint8))


class TestAsPicture:
    def test_grey_is_repeated(self):
        grey = LEVELS[:, :, 0]
        for layout in (grey, grey[:, :, None]):
            assert (as_picture(layout) == LEVELS).all()

    def test_alpha_is_flattened_over_white(self):
        picture = np.zeros((1, 3, 4), np.uint8)
        picture[0, :, 3] = (0, 128, 255)
        assert as_picture(picture)[0, :, 0].tolist() == [255, 127, 0]
        assert as_picture(picture[:, :, [0, 3]])[0, :, 2].tolist() == [255, 127, 0]

    def test_sixteen_bits_and_truth_values_fill_the_range(self):
        deep = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
        assert as_picture(deep)[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
        assert as_picture(np.array([[False, True]]))[0, :, 1].tolist() == [0, 255]

    @pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
    def test_floats_count_as_zero_to_one(self, kind):
        assert as_picture(np.array([[0, 0.5, 1]], kind))[0, :, 0].tolist() == [0, 128, 255]

    def test_the_answer_is_never_a_view(self):
        copy = as_picture(LEVELS)
        copy[:] = 0
        assert LEVELS.max() == 255

    @pytest.mark.parametrize(
        "bad",
        [
            np.zeros((4, 4, 5), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
            np.zeros(4, np.uint8),
            np.zeros((2, 2, 2, 3), np.uint8),
            np.zeros((4, 4, 3), np.int64),
            np.full((4, 4, 3), 255.0),
            np.full((4, 4, 3), np.nan),
            np.full((4, 4, 3), -np.inf),
            np.zeros((4, 4, 3), complex),
        ],
    )
    def test_what_is_no_picture_is_refused(self, bad):
        with pytest.raises(InputError, match="expected"):
            as_picture(bad)
