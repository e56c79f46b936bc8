"""The vector of a patch is that of the whole picture, and leads to the token of the whole picture."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.models.tokenizer import Tokenizer, as_images
from workbench.tasks.explore.patch import patch_vector


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return Tokenizer.from_pretrained(tiny_model)


@pytest.mark.parametrize(("x", "y"), [(0, 0), (163, 97), (88, 40), (100, 0), (75, 61), (130, 33)])
def test_the_vector_is_that_of_the_whole_picture(tokenizer, x, y):
    picture = np.random.default_rng(0).integers(0, 256, (99, 165, 3), dtype=np.uint8)
    patch = patch_vector(picture, tokenizer, x=x, y=y)
    assert (patch.row, patch.column) == (y // 8, x // 8)
    token = int(tokenizer.tokenize(as_images(picture))[0, patch.row, patch.column])
    found = tokenizer.quantizer.codes_to_indices(torch.from_numpy(patch.vector)[None], channel_first=False)
    assert int(found) == token
    assert np.array_equal(patch.pixels, picture[y // 8 * 8 :, x // 8 * 8 :][:8, :8])


def test_a_pixel_outside_is_refused(tokenizer):
    with pytest.raises(InputError, match="outside a picture of 16×8"):
        patch_vector(np.zeros((8, 16, 3), np.uint8), tokenizer, x=16, y=0)
