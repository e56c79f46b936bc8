"""Batch i depends on the pictures, the seed and i alone, and every crop is a true cut of its picture."""

from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.errors import ImageError, InputError
from workbench.images.crops import CropSampler, load_pictures, share_weights, square_picture
from workbench.images.sources import open_source


def addressed(number, height, width):
    """A picture whose every pixel says which picture it is, its row and its column."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([np.full((height, width), number), rows, columns], axis=-1).astype(np.uint8)


PICTURES = [addressed(number, *size) for number, size in enumerate([(8, 8), (20, 9), (9, 200), (31, 17)])]


def sampler(seed=3, **options):
    return CropSampler(PICTURES, 8, 64, seed, labels=[7, 8, 9, -1], **options)


def test_a_batch_is_a_function_of_its_number():
    first, again = sampler(), sampler()
    for _ in islice(first.stream(), 5):
        pass
    for step in (0, 4, 10**12):
        batch, other = first.at(step), again.at(step)
        assert torch.equal(batch["images"], other["images"])
        assert torch.equal(batch["labels"], other["labels"])
    assert not torch.equal(first.at(0)["images"], first.at(1)["images"])
    assert not torch.equal(first.at(0)["images"], sampler(seed=4).at(0)["images"])


def test_a_stream_resumes_anywhere():
    whole = list(islice(sampler().stream(), 6))
    late = list(islice(sampler().stream(4), 2))
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(whole[4:], late, strict=True))


@pytest.mark.parametrize("parts", [1, 2, 4, 64])
def test_parts_join_to_the_whole(parts):
    whole = sampler().at(5)
    pieces = [sampler().at(5, part=part, parts=parts) for part in range(parts)]
    for name in whole:
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), whole[name])


def test_every_crop_is_a_cut_of_its_picture_and_carries_its_label():
    mirrored = 0
    for step in range(8):
        batch = sampler().at(step)
        assert batch["images"].dtype == torch.uint8
        assert batch["images"].is_contiguous()
        for crop, label in zip(batch["images"].numpy(), batch["labels"].tolist(), strict=True):
            number, top = int(crop[0, 0, 0]), int(crop[1, 0, 0])
            left = int(crop[2].min())
            cut = PICTURES[number][top : top + 8, left : left + 8].transpose(2, 0, 1)
            flipped = crop[2, 0, 0] > crop[2, 0, 1]
            mirrored += flipped
            assert (crop == (cut[:, :, ::-1] if flipped else cut)).all()
            assert label == [7, 8, 9, -1][number]
    assert 180 < mirrored < 332  # of 512


def test_every_place_and_picture_is_reached():
    crops = torch.cat([sampler(flip=False).at(step)["images"] for step in range(60)]).numpy()
    numbers = np.bincount(crops[:, 0, 0, 0], minlength=4)
    assert numbers.min() > 800  # of 3840, 960 each
    wide = crops[crops[:, 0, 0, 0] == 2]
    assert set(wide[:, 1, 0, 0]) == {0, 1}
    assert {0, 192} <= set(wide[:, 2, 0, 0])


def test_weights_say_how_often_a_picture_is_drawn():
    batches = sampler(weights=[0, 3, 1, 0])
    numbers = np.concatenate([batches.at(step)["images"][:, 0, 0, 0].numpy() for step in range(40)])
    counts = np.bincount(numbers, minlength=4)
    assert counts[0] == counts[3] == 0
    assert 0.7 < counts[1] / counts.sum() < 0.8


def test_shares_of_sources_do_not_depend_on_their_sizes():
    weights = share_weights([1000, 10, 5], [1, 1, 2])
    assert np.allclose([weights[:1000].sum(), weights[1000:1010].sum(), weights[1010:].sum()], [0.25, 0.25, 0.5])
    for bad in ([1, 1], [1, -1, 1], [0, 0, 0], [np.nan, 1, 1]):
        with pytest.raises(InputError, match="for each of 3 sources"):
            share_weights([1, 2, 3], bad)


def test_without_labels_there_is_none():
    assert CropSampler(PICTURES, 8, 4, 0).at(0)["labels"].tolist() == [-1] * 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": []}, "0 pictures"),
        ({"size": 9}, "at_least=9"),
        ({"size": 0}, "size 0"),
        ({"batch": 0}, "batch 0"),
        ({"seed": -1}, "seed -1"),
        ({"images": [PICTURES[0] / 255]}, "uint8"),
        ({"images": [PICTURES[0][:, :, 0]]}, "uint8"),
        ({"labels": [1]}, "1 labels for 4"),
        ({"weights": [1]}, "4 weights"),
        ({"weights": [0, 0, 0, 0]}, "not all zero"),
    ],
)
def test_what_makes_no_sense_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        CropSampler(**({"images": PICTURES, "size": 8, "batch": 4, "seed": 0} | change))


@pytest.mark.parametrize("call", [{"step": -1}, {"step": 0, "parts": 3}, {"step": 0, "part": 2, "parts": 2}])
def test_steps_and_parts_that_do_not_exist_are_refused(call):
    with pytest.raises(InputError, match="no part"):
        sampler().at(call.pop("step"), **call)


class TestLoading:
    @pytest.fixture
    def folder(self, tmp_path):
        for number, picture in enumerate(PICTURES):
            place = tmp_path / ("odd" if number % 2 else "even")
            place.mkdir(exist_ok=True)
            Image.fromarray(picture).save(place / f"{number}.png")
        (tmp_path / "even" / "bad.png").write_bytes(b"no picture")
        return tmp_path

    def test_readable_pictures_and_their_labels_stay_together(self, folder):
        told = []
        pictures = load_pictures(
            open_source(folder, on_error=lambda *_: None), progress=lambda share, text: told.append((share, text))
        )
        assert pictures.class_names == ("even", "odd")
        assert list(pictures.keys) == ["even/0.png", "even/2.png", "odd/1.png", "odd/3.png"]
        assert pictures.labels.tolist() == [0, 0, 1, 1]
        assert all((a == PICTURES[i]).all() for a, i in zip(pictures.images, (0, 2, 1, 3), strict=True))
        assert told[-1][0] == 1.0

    def test_small_ones_are_enlarged_and_others_left(self, folder):
        pictures = load_pictures(open_source(folder, on_error=lambda *_: None), at_least=12)
        assert [image.shape[:2] for image in pictures.images] == [(12, 12), (12, 267), (27, 12), (31, 17)]
        assert (pictures.images[3] == PICTURES[3]).all()

    def test_squares_have_one_size(self, folder):
        pictures = load_pictures(open_source(folder, on_error=lambda *_: None), square=8)
        assert {image.shape for image in pictures.images} == {(8, 8, 3)}
        whole = CropSampler(pictures.images, 8, 4, 0, flip=False).at(0)["images"]
        assert all(any((crop.permute(1, 2, 0).numpy() == i).all() for i in pictures.images) for crop in whole)

    def test_memory_is_bounded(self, folder):
        with pytest.raises(ImageError, match="name fewer"):
            load_pictures(open_source(folder, on_error=lambda *_: None), max_bytes=2000)

    def test_nothing_readable_is_an_error(self, tmp_path):
        (tmp_path / "bad.png").write_bytes(b"no picture")
        with pytest.raises(ImageError, match="none of the 1 pictures"):
            load_pictures(open_source(tmp_path, on_error=lambda *_: None))


def test_the_centre_square_is_cut():
    assert (square_picture(PICTURES[2], 9) == PICTURES[2][:, 95:104]).all()
    flat = np.full((50, 30, 3), 77, np.uint8)
    assert (square_picture(flat, 13) == flat[:13, :13]).all()
