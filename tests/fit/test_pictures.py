"""Batches decoded ahead: the place alone decides, every picture comes once a pass, bad ones are named and replaced."""

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.errors import ImageError, InputError
from workbench.fit.engine.settings import Run
from workbench.fit.tokenizer.pictures import DecodedCrops, make_batches
from workbench.fit.tokenizer.recipe import Crops, TokenizerRecipe
from workbench.images.sources import open_source

CROPS = Crops(side=16, memory=False, workers=2)
RUN = Run(steps=1, batch_size=4, seed=3)


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of one grey level each, of several sizes, in two classes."""
    for number in range(10):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        size = (20 + number, 12 + 3 * number, 3)
        Image.fromarray(np.full(size, 10 * number, np.uint8)).save(tmp_path / f"class{number % 2}" / f"{number}.png")
    return tmp_path


def take(batches, start, count, **parts):
    return list(itertools.islice(batches.stream(start, **parts), count))


def test_a_batch_is_its_number(folder):
    whole = take(make_batches([str(folder)], CROPS, RUN), 0, 8)
    late = take(make_batches([str(folder)], CROPS, RUN), 5, 3)
    for a, b in zip(whole[5:], late, strict=True):
        assert torch.equal(a["images"], b["images"])
        assert torch.equal(a["labels"], b["labels"])
    assert whole[0]["images"].shape == (4, 3, 16, 16)
    assert whole[0]["images"].dtype == torch.uint8


def test_slices_make_up_the_batch(folder):
    batches = make_batches([str(folder)], CROPS, RUN)
    halves = [take(batches, 2, 1, part=part, parts=2)[0]["images"] for part in range(2)]
    assert torch.equal(torch.cat(halves), take(batches, 2, 1)[0]["images"])


def test_some_crops_are_plain_colours(folder):
    crops = replace(CROPS, plain=0.5)
    whole = take(make_batches([str(folder)], crops, RUN), 0, 50)
    halves = [take(make_batches([str(folder)], crops, RUN), 3, 1, part=part, parts=2)[0]["images"] for part in (0, 1)]
    assert torch.equal(torch.cat(halves), whole[3]["images"])
    as_they_are = take(make_batches([str(folder)], CROPS, RUN), 0, 50)
    images = torch.cat([batch["images"] for batch in whole]).double()
    replaced = (images != torch.cat([batch["images"] for batch in as_they_are])).flatten(1).any(1)
    assert 70 < replaced.sum() < 130
    plain = images[replaced]
    flat = (plain == plain[:, :, :1, :1]).flatten(1).all(1)
    assert 0.3 < flat.double().mean() < 0.7
    curved = plain[:, :, 2:, :] - 2 * plain[:, :, 1:-1, :] + plain[:, :, :-2, :]
    assert curved.abs().max() <= 2  # a ramp is straight but for rounding
    with pytest.raises(InputError, match=r"crops\.plain=1\.5"):
        TokenizerRecipe("a", RUN, crops=replace(CROPS, plain=1.5))


def test_a_pass_visits_every_picture_once_in_an_order_of_its_own(folder):
    levels = torch.cat([batch["images"][:, 0, 8, 8] for batch in take(make_batches([str(folder)], CROPS, RUN), 0, 10)])
    passes = levels.reshape(4, 10) // 10
    assert all(sorted(one.tolist()) == list(range(10)) for one in passes)
    assert len({tuple(one.tolist()) for one in passes}) == 4


def test_labels_belong_to_their_pictures(folder):
    for batch in take(make_batches([str(folder)], CROPS, RUN), 0, 5):
        assert torch.equal(batch["images"][:, 0, 0, 0].long() // 10 % 2, batch["labels"])


def test_a_bad_picture_is_named_once_and_replaced(folder, caplog):
    (folder / "class0" / "4.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        batches = take(make_batches([str(folder)], CROPS, RUN), 0, 10)
    assert sum(len(batch["images"]) for batch in batches) == 40
    assert caplog.text.count("4.png") == 1


@pytest.mark.parametrize("memory", [True, False])
def test_more_bad_pictures_than_allowed_stop_the_run(folder, memory):
    for number in range(3):
        (folder / f"bad{number}.png").write_bytes(b"no picture")
    few = Crops(side=12, memory=memory, unreadable=2)
    with pytest.raises(ImageError, match="more than the 2"):
        take(make_batches([str(folder)], few, RUN), 0, 4)
    assert len(take(make_batches([str(folder)], replace(few, unreadable=3), RUN), 0, 4)) == 4


def test_nothing_but_bad_pictures_is_an_error(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match="none of the 1 pictures"):
        next(DecodedCrops(open_source([tmp_path]), CROPS, RUN).stream(0))


def test_the_shorter_side_is_resized_first(tmp_path):
    Image.fromarray((np.arange(64 * 128) % 251).astype(np.uint8).reshape(64, 128)).save(tmp_path / "a.png")
    for memory in (True, False):
        crops = Crops(side=32, shortest=32, flip=False, memory=memory)
        (batch,) = take(make_batches([str(tmp_path)], crops, RUN), 0, 1)
        expected = np.asarray(Image.open(tmp_path / "a.png").convert("RGB").resize((64, 32), Image.Resampling.LANCZOS))
        crop = batch["images"][0].permute(1, 2, 0).numpy()
        assert any(np.array_equal(crop, expected[:, left : left + 32]) for left in range(33))


def test_from_memory_large_pictures_come_more_often(tmp_path):
    for name, side, level in (("small", 16, 50), ("large", 48, 200)):
        Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(tmp_path / f"{name}.png")
    run = Run(steps=1, batch_size=2000)
    for draw, share in (("pixels", 0.9), ("pictures", 0.5)):
        (batch,) = take(make_batches([str(tmp_path)], Crops(side=16, draw=draw), run), 0, 1)
        assert (batch["images"][:, 0, 0, 0] == 200).float().mean().item() == pytest.approx(share, abs=0.05)
