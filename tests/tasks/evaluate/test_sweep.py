"""A sweep measures every setting of every axis, and an axis changes nothing but what it says."""

import json

import numpy as np
import pytest
import torch

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.images.files import read_image, write_png
from workbench.images.sources import open_source
from workbench.metrics.usage import UsageCounter
from workbench.models.generator import Generator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import Pair
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.sampling import CONTROL_PRESETS
from workbench.tasks.evaluate.axes import (
    codebook_axis,
    example_sets,
    first_pictures,
    sampling_axes,
    schedule_axis,
    shift_axis,
    training_axis,
)
from workbench.tasks.evaluate.samples import draw_pictures, embed_batches, embed_source
from workbench.tasks.evaluate.sets import compare_sets
from workbench.tasks.evaluate.spaces import FeatureSpace
from workbench.tasks.evaluate.sweep import Axis, Swept, run_sweep, write_sweep

CLASSES = ("dark", "light")


class Means:
    """The mean colour of a picture as its features."""

    def embed(self, images):
        return images.mean(dim=(2, 3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, luck = tmp_path_factory.mktemp("real"), np.random.default_rng(0)
    for name, low in (("dark", 20), ("light", 170)):
        for number in range(6):
            pixels = luck.integers(low, low + 60, (20, 24, 3), dtype=np.uint8)
            write_png(pixels, folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def pyramid():
    torch.manual_seed(0)
    settings = {"name": "multiscale", "base": "leech", "scales": [1, 2], "gains": [1.0, 0.5]}
    return PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=settings, name="pyramid").eval()


@pytest.fixture(scope="module")
def tokenizer():
    torch.manual_seed(0)
    return GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}, name="little").eval()


def test_every_setting_is_measured_in_order():
    told, called = [], []

    def measure(value):
        called.append(value)
        return {"square": value**2, "nothing": None}

    axes = [
        Axis("one", "none", {str(v): lambda v=v: measure(v) for v in (3, 1)}, ("square",)),
        Axis("two", "none", {"5": lambda: measure(5)}, ("square", "nothing")),
    ]
    one, two = run_sweep(axes, progress=lambda fraction, message: told.append((fraction, message)))
    assert called == [3, 1, 5]
    assert list(one.rows) == ["3", "1"]
    assert two.row()["rows"] == {"5": {"square": 25, "nothing": None}}
    assert told == [(0, "one: 3"), (1 / 3, "one: 1"), (2 / 3, "two: 5"), (1.0, "done")]
    with pytest.raises(InputError, match="at least one axis"):
        run_sweep([])


def test_the_page_holds_every_diagram_and_replaces_nothing(tmp_path):
    pytest.importorskip("plotly")
    found = [
        Swept("size", "words", {"a": {"psnr": 1.0, "bits": 2.0}, "b": {"psnr": None}}, ("psnr", "bits")),
        Swept("seed", "words", {"0": {"psnr": 1.0}}, ("psnr",)),
    ]
    page = tmp_path / "deep" / "sweep.html"
    write_sweep(found, page)
    text = page.read_text()
    assert all(title in text for title in ("size: psnr", "size: bits", "seed: psnr"))
    with pytest.raises(InputError, match="--force"):
        write_sweep(found, page)
    write_sweep(found, page, force=True)


def test_a_larger_code_errs_less(tokenizer, folder):
    picture = read_image(folder / "dark" / "0.png")
    (found,) = run_sweep([codebook_axis(tokenizer, [picture], codes=("leech4", "leech2", "leech"), samples=400)])
    errors = [row["error"] for row in found.rows.values()]
    assert errors == sorted(errors, reverse=True)
    assert all(row["error"] > row["bound"] for row in found.rows.values())
    assert found.rows["leech"]["bits"] == pytest.approx(np.log2(196_560))
    assert all(0 < row["words"] <= 9 for row in found.rows.values())


def test_shift_measures_every_model_on_every_set(tokenizer, pyramid, folder):
    sets = {name: open_source(folder / name) for name in CLASSES}
    (found,) = run_sweep([shift_axis([tokenizer, pyramid], sets, limit=2)])
    assert list(found.rows) == [f"{m} on {s}" for m in ("little", "pyramid") for s in CLASSES]
    assert found.rows["little on dark"]["tokens"] == 2 * 9
    assert found.rows["pyramid on light"]["tokens"] == 2 * 5


def test_sampling_axes_change_one_control_beside_the_floor(pyramid, folder):
    torch.manual_seed(0)
    generator = Generator(
        trunk={"width": 16, "depth": 1, "heads": 2, "modulation": "shared"},
        head={"kind": "lattice"},
        scales=[1, 2],
        classes=CLASSES,
        tokenizer={"name": "pyramid", "code": "leech"},
    )
    space = FeatureSpace("means", "FD-means", Means(), side=16)
    source = open_source(folder, class_names=CLASSES)
    axes = sampling_axes(Pair(generator.eval(), pyramid), source, space, samples=12, seeds=(0, 1))
    assert [axis.name for axis in axes] == ["temperature", "guidance", "top_k", "top_p", "seed"]
    by_name = {axis.name: axis for axis in axes}
    chosen = [by_name["top_k"], by_name["seed"]]
    top_k, seed = run_sweep(chosen)
    assert list(seed.rows) == ["real halves", "0", "1"]
    assert seed.rows["0"] != seed.rows["1"]
    assert top_k.rows["none"] == seed.rows["0"]  # the same controls and seed
    assert top_k.rows["real halves"] == seed.rows["real halves"]
    assert top_k.rows["8"]["entropy_bits"] <= top_k.rows["none"]["entropy_bits"] + 1
    pair, labels = Pair(generator, pyramid), np.repeat([0, 1], [6, 6])
    (made,) = embed_batches(draw_pictures(pair, labels, 1, CONTROL_PRESETS["balanced"], UsageCounter(196_560)), [space])
    real = embed_source(source, pair, [space]).vectors[0]
    scores = compare_sets(real, made, size=6, repeats=20, seed=0)
    assert (seed.rows["1"]["precision"], seed.rows["1"]["recall"]) == (scores.precision.value, scores.recall.value)
    assert scores.precision.value != scores.recall.value  # else exchanged sets would not show
    assert top_k.rows["none"]["FD-means_low"] <= top_k.rows["none"]["FD-means"] <= top_k.rows["none"]["FD-means_high"]


@pytest.mark.slow
def test_matched_trainings_are_of_each_code(folder, tmp_path):
    source = open_source(folder)
    axis = training_axis(source, source, out=tmp_path, steps=1, codes=("leech4", "leech"), body="conv-tiny-8", limit=2)
    (found,) = run_sweep([axis])
    assert list(found.rows) == ["leech4", "leech"]
    assert found.rows["leech4"]["bpp"] == pytest.approx(np.log2(1104) * 9 / (20 * 24))
    assert found.rows["leech"]["psnr"] > 0
    assert (tmp_path / "leech4-0").is_dir()


@pytest.mark.slow
def test_schedules_train_the_same_steps(pyramid, folder, tmp_path):
    axis = schedule_axis(pyramid, [str(folder)], [str(folder)], classes=CLASSES, out=tmp_path, steps=3, seeds=(0, 1))
    (found,) = run_sweep([axis])
    assert list(found.rows) == ["standard", "fast"]
    bits = [row["bits_per_token"] for row in found.rows.values()]
    assert all(0 < each < 30 for each in bits)
    assert bits[0] != bits[1]
    assert found.rows["fast"]["bits_spread"] > 0


def test_examples_are_always_there(tmp_path):
    sets = example_sets(tmp_path)
    assert {"test charts", "lettering"} <= set(sets)
    assert first_pictures(sets["lettering"], 3)[0].shape[2] == 3


def test_the_command_line_sweeps_and_plots(tiny_model, folder, tmp_path, capsys):
    pytest.importorskip("plotly")
    start = ["evaluate", "sweep", "--tokenizer", str(tiny_model), "--limit", "2"]
    sets = ["--data", f"night={folder / 'dark'}", "--data", str(folder / "light")]
    page = tmp_path / "sweep.html"
    with pytest.raises(SystemExit) as end:
        main([*start, *sets, "--axis", "shift", "--json", "--plot", str(page)])
    assert end.value.code == 0
    (swept,) = json.loads(capsys.readouterr().out)["axes"]
    assert list(swept["rows"]) == ["tiny on night", "tiny on light"]
    assert page.exists()
    for arguments, words in (
        (["--axis", "shift", "--plot", str(page)], "--force"),
        (["--axis", "shifts"], "did you mean 'shift'"),
        (["--axis", "training"], "--train"),
        (["--axis", "schedule"], "--model-tokenizer"),
        (["--axis", "sampling"], "--data"),
    ):
        with pytest.raises(SystemExit) as end:
            main([*start, *arguments])
        assert end.value.code == 2
        assert words in capsys.readouterr().err
