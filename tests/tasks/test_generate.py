"""Generating: the same settings give the same pictures, what is held stays, and models that do not fit are refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.errors import InputError, ModelError, WorkbenchError
from workbench.images.files import read_image, read_mask, write_png
from workbench.models import load as catalogue
from workbench.models.sampling import Controls
from workbench.tasks.edit import extend, fill, mask_warning, painted_share, redraw_details
from workbench.tasks.generate import (
    MAX_PICTURES,
    MAX_SEED,
    Order,
    Watch,
    check_order,
    finished,
    fresh_seed,
    generate,
    in_turn,
    interpolate,
    joined,
    picture_grid,
    picture_seed,
    write_grid,
    write_pictures,
)


@pytest.fixture
def at_hand(tiny_generator, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tiny_generator))
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    monkeypatch.setattr(catalogue, "_loaded", type(catalogue._loaded)(6))
    return tiny_generator


@pytest.fixture
def pair(at_hand):
    return catalogue.load_generator("sketch")


@pytest.fixture(scope="module")
def picture():
    ramp = np.linspace(0, 255, 48).astype(np.uint8)
    return np.stack(np.broadcast_arrays(ramp, ramp[:32, None], np.uint8(90)), -1)  # shape: (32, 48, 3)


def test_generators_stand_in_the_catalogue(at_hand):
    assert "sketch" in [entry.name for entry in catalogue.generators()]
    assert "sketch" not in [entry.name for entry in catalogue.tokenizers()]
    first, second = (catalogue.load_generator("sketch") for _ in range(2))
    assert first.generator is second.generator
    assert first.tokenizer is second.tokenizer
    assert first.tokenizer.name == "pyramid"


def test_without_a_generator_it_says_what_to_type(at_hand, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue.hub, "PRETRAINED", tmp_path)
    assert catalogue.default_generator() == "sketch"
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"python -m training\.generator"):
        catalogue.default_generator()


def test_another_tokenizer_is_refused(at_hand, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(at_hand / "pyramid", other)
    weights = bytearray((other / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (other / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError, match=r"with weights of SHA-256 [0-9a-f]+, but tokenizer 'pyramid' has"):
        catalogue.load_generator("sketch", str(other))
    config = json.loads((other / "config.json").read_text())
    config["quantizer"]["scales"] = [1, 3, 4]
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"with scales \[1, 2, 4\], but tokenizer 'pyramid' has \[1, 3, 4\]"):
        catalogue.load_generator("sketch", str(other))


def test_a_batch_comes_scale_by_scale_and_the_same_seed_gives_the_same(pair):
    order = Order(["roses", 0, "none"], seed=3)
    told = []
    stages = list(generate(pair, order, watch=Watch(progress=lambda share, text: told.append((share, text)))))
    assert [(stage.step, stage.scale, stage.done) for stage in stages] == [(1, 1, False), (2, 2, False), (3, 4, True)]
    assert [share for share, _ in told] == [1 / 21, 5 / 21, 1]
    assert all(stage.images.shape == (3, 32, 32, 3) and stage.images.dtype == np.uint8 for stage in stages)
    assert np.array_equal(stages[2].indices[:, :5], stages[1].indices)
    assert stages[-1].settings.classes == ("roses", "daisy", "none")
    assert np.array_equal(finished(generate(pair, order)).images, stages[-1].images)
    other = finished(generate(pair, Order(order.labels, seed=4)))
    assert not np.array_equal(other.indices, stages[-1].indices)


def test_a_picture_of_a_batch_is_drawn_alone_again_from_its_seed(pair, picture):
    batch = finished(generate(pair, Order(["roses", "daisy", "none"], seed=MAX_SEED - 1)))
    assert batch.settings.seeds == (MAX_SEED - 1, MAX_SEED, 0)
    for number, (name, seed) in enumerate(zip(batch.settings.classes, batch.settings.seeds, strict=True)):
        assert batch.settings.notes(number)["Description"] == f"{name}, drawn by sketch from seed {seed}"
        alone = finished(generate(pair, Order([name], seed=seed)))
        assert np.array_equal(alone.indices[0], batch.indices[number])
        assert np.array_equal(alone.images[0], batch.images[number])
    mask = np.zeros(picture.shape[:2], dtype=bool)
    mask[:32] = True
    edited = finished(fill(pair, picture, mask, Order(["roses", "daisy"], seed=5)))
    alone = finished(fill(pair, picture, mask, Order(["daisy"], seed=6)))
    assert np.array_equal(alone.indices[0], edited.indices[1])


def test_portions_join_to_the_batch(pair, tmp_path):
    names = ["roses", "daisy"]
    whole = finished(generate(pair, Order(in_turn(pair, names, 5), seed=9)))
    parts = [
        finished(generate(pair, Order(in_turn(pair, names, count, first=first), seed=picture_seed(9, first))))
        for first, count in ((0, 3), (3, 2))
    ]
    assert joined(parts).settings == whole.settings
    assert np.array_equal(joined(parts).indices, whole.indices)
    paths = write_pictures(parts[0], tmp_path) + write_pictures(parts[1], tmp_path, first=3)
    assert [path.name for path in paths][2:4] == ["roses-9-03.png", "daisy-9-04.png"]
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            assert json.loads(image.text["workbench"])["picture_seed"] == whole.settings.seeds[number]


def test_it_stops_between_scales(pair):
    stages = []
    for stage in generate(pair, Order(["roses"]), watch=Watch(stop=lambda: len(stages) == 2)):
        stages.append(stage)
    assert [stage.scale for stage in stages] == [1, 2]
    with pytest.raises(WorkbenchError, match="stopped before it was done"):
        finished(iter(stages))
    assert len(list(interpolate(pair, Order(["roses"] * 3), "daisy", watch=Watch(stop=lambda: True)))) == 0


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (Order(["rose"]), "did you mean 'roses'"),
        (Order([2]), r"\[0, 2\), got 2"),
        (Order([]), f"1 to {MAX_PICTURES} pictures at a time, got 0"),
        (Order([0] * (MAX_PICTURES + 1)), f"got {MAX_PICTURES + 1}"),
        (Order([0], seed=-1), "seed must be from 0"),
        (Order([0], controls=Controls(temperature=-0.1)), "temperature must be at least 0"),
        (Order([0], controls=Controls(temperature=(1.0, -1.0))), "temperature must be at least 0"),
        (Order([0], controls=Controls(guidance=float("nan"))), "guidance must be a finite number"),
        (Order([0], controls=Controls(top_k=196_561)), "from 1 to 196,560, got 196561"),
        (Order([0], controls=Controls(top_k=300)), "list of at most 256 codewords, got 300"),
        (Order([0], controls=Controls(top_p=(1.0, 0.0))), "top-p must be above 0"),
        (Order([0], controls=Controls(guidance=(1.0, 2.0, 3.0, 4.0))), "guidance takes one value, two"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is(pair, order, said):
    with pytest.raises(InputError, match=said):
        check_order(pair, order)
    with pytest.raises(InputError, match=said):
        next(generate(pair, order))


def test_every_file_knows_its_settings(pair, tmp_path):
    drawn = finished(generate(pair, Order(["roses", "none"], seed=5, controls=Controls(guidance=(1.0, 2.0)))))
    write_grid(drawn, tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        kept = json.loads(image.text["workbench"])
        assert image.text["Description"] == "roses, none, drawn by sketch from seed 5"
    assert kept == json.loads(json.dumps(drawn.settings.row()))
    assert (kept["seed"], kept["guidance"], kept["weights"]) == (5, [1.0, 2.0], pair.generator.weights_hash)
    paths = write_pictures(drawn, tmp_path / "pictures")
    assert [path.name for path in paths] == ["roses-5-01.png", "none-5-02.png"]
    for number, path in enumerate(paths):
        assert np.array_equal(read_image(path), drawn.images[number])
        with Image.open(path) as image:
            assert json.loads(image.text["workbench"])["picture"] == number
    again = finished(generate(pair, Order(kept["classes"], seed=kept["seed"], controls=drawn.settings.controls)))
    assert np.array_equal(again.images, drawn.images)


def test_classes_are_taken_in_turn(pair):
    assert in_turn(pair, ["roses"], 2) == ["roses", "roses"]
    assert in_turn(pair, [], 3) == ["daisy", "roses", "daisy"]
    with pytest.raises(InputError, match=f"1 to {MAX_PICTURES} pictures at a time, got -3"):
        in_turn(pair, ["roses"], -3)


def test_pictures_in_a_grid():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 3), dtype=np.uint8)
    grid = picture_grid(images)
    assert grid.shape == (4, 9, 3)
    assert grid[::2, ::3, 0].tolist() == [[0, 1, 2], [3, 4, 255]]
    assert picture_grid(images, columns=5).shape == (2, 15, 3)
    assert 0 <= fresh_seed() < 2**31


def test_from_one_class_to_another(pair):
    stages = list(interpolate(pair, Order(["roses"] * 3, seed=2), "daisy"))
    assert [len(stage.images) for stage in stages] == [1, 2, 3]
    assert stages[-1].settings.classes == ("roses 100% daisy 0%", "roses 50% daisy 50%", "roses 0% daisy 100%")
    ends = [finished(generate(pair, Order([name], seed=2))) for name in ("roses", "daisy")]
    for got, end in zip(stages[-1].indices[::2], ends, strict=True):
        assert np.array_equal(got, end.indices[0])
    with pytest.raises(InputError, match="'none' is no class"):
        next(interpolate(pair, Order(["roses"]), "none"))


def test_a_filled_picture_keeps_what_is_not_masked(pair, picture):
    mask = np.zeros((64, 96), dtype=bool)  # twice the size, the same proportions
    mask[:, :40] = True  # of the centre square: columns 16 … 79, so the left 24 of 64
    drawn = finished(fill(pair, picture, mask, Order(["roses", "daisy"])))
    assert drawn.settings.edit == "filled 38% of a picture"
    quantizer = pair.tokenizer.quantizer
    square = torch.from_numpy(pair.tokenizer.prepare(picture)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        missing = pair.tokenizer.encode(square) - quantizer.indices_to_codes(torch.from_numpy(drawn.indices[:, :5]))
        best = quantizer.base(missing, channel_first=True).indices
    finest = drawn.indices[:, 5:].reshape(2, 4, 4)
    assert np.array_equal(finest[:, :, 2:], best[:, :, 2:].numpy())
    with pytest.raises(InputError, match="nothing is masked"):
        next(fill(pair, picture, np.zeros((32, 48), dtype=bool), Order(["roses"])))
    with pytest.raises(InputError, match="proportions of the picture, got 48×48 for 48×32"):
        next(fill(pair, picture, np.ones((48, 48), dtype=bool), Order(["roses"])))


def test_details_are_drawn_anew_over_the_coarse_scales(pair, picture):
    own = pair.tokenizer.tokenize(torch.from_numpy(pair.tokenizer.prepare(picture)).permute(2, 0, 1)[None]).numpy()
    drawn = finished(redraw_details(pair, picture, 2, Order(["roses"])))
    assert np.array_equal(drawn.indices[:, :5], own[:, :5])
    assert not np.array_equal(drawn.indices[:, 5:], own[:, 5:])
    for wrong in (0, 3):
        with pytest.raises(InputError, match=f"1 to 2 scales to keep, of 3, got {wrong}"):
            next(redraw_details(pair, picture, wrong, Order(["roses"])))


def test_a_border_is_drawn_around_a_picture(pair, picture):
    drawn = finished(extend(pair, picture, 0.25, Order(["roses"])))
    assert drawn.settings.edit == "drew a border of 25% around a picture"
    assert drawn.images.shape == (1, 32, 32, 3)
    for wrong in (0.0, 0.05, 0.5, float("nan")):
        with pytest.raises(InputError, match="border must be"):
            next(extend(pair, picture, wrong, Order(["roses"])))


def test_masks_are_what_is_painted(tmp_path):
    layer = np.zeros((4, 6, 4), dtype=np.uint8)
    layer[1, 2] = (0, 0, 0, 9)
    Image.fromarray(layer).save(tmp_path / "layer.png")
    assert np.argwhere(read_mask(tmp_path / "layer.png")).tolist() == [[1, 2]]
    grey = np.zeros((4, 6), dtype=np.uint8)
    grey[3, 0] = 255
    write_png(grey, tmp_path / "grey.png")
    assert np.argwhere(read_mask(tmp_path / "grey.png")).tolist() == [[3, 0]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P"])
def test_alpha_counts_only_where_it_is_not_opaque_everywhere(tmp_path, mode):
    grey = np.zeros((16, 16), dtype=np.uint8)
    grey[4:8, 4:8] = 255
    path = tmp_path / "mask.png"
    Image.fromarray(grey).convert(mode).save(path)
    assert np.array_equal(read_mask(path), grey > 0)
    if mode in ("LA", "RGBA"):
        assert read_mask(path, layer=True).all()  # a layer that is painted all over, in whatever colour
        image = Image.fromarray(grey).convert(mode)
        image.putalpha(Image.fromarray(255 - grey))
        image.save(path)
        for layer in (False, True):
            assert np.array_equal(read_mask(path, layer=layer), grey == 0)


def test_the_painted_share_is_that_of_the_centre_square():
    mask = np.zeros((10, 20), dtype=bool)
    mask[:, :10] = True
    assert painted_share(mask) == 0.5
    mask[:] = True
    mask[0] = False
    assert painted_share(mask) == 0.9
    assert mask_warning(0.95) is None
    assert mask_warning(0.0) is None
    assert "96.0%" in mask_warning(0.96)
