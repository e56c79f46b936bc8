"""A generator's figures are those of its samples; what cannot be told apart sits at its floor."""

import json
import math

import numpy as np
import pytest
import torch

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.images.files import write_png
from workbench.images.sources import open_source
from workbench.metrics.distribution import Moments, frechet_distance
from workbench.metrics.probe import LinearProbe
from workbench.metrics.usage import UsageCounter
from workbench.models.generator import Generator
from workbench.models.load import Pair
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.tasks.evaluate.generation import evaluate_generation
from workbench.tasks.evaluate.samples import draw_pictures
from workbench.tasks.evaluate.sets import compare_halves, compare_sets, nearest_distances
from workbench.tasks.evaluate.spaces import FeatureSpace

CLASSES = ("dark", "light")


class Means:
    """The mean colour of a picture as its features."""

    def embed(self, images):
        return images.mean(dim=(2, 3))


MEANS = FeatureSpace("means", "FD-means", Means(), side=16)


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    settings = {"name": "multiscale", "base": "leech", "scales": [1, 2], "gains": [1.0, 0.5]}
    tokenizer = PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=settings, name="pyramid")
    generator = Generator(
        trunk={"width": 16, "depth": 1, "heads": 2, "modulation": "shared"},
        head={"kind": "lattice"},
        scales=[1, 2],
        classes=CLASSES,
        tokenizer={"name": "pyramid", "code": "leech"},
        name="little",
    )
    return Pair(generator.eval(), tokenizer.eval())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty dark and ten light pictures."""
    folder, luck = tmp_path_factory.mktemp("real"), np.random.default_rng(0)
    for name, count, low in (("dark", 20, 20), ("light", 10, 170)):
        for number in range(count):
            level = luck.integers(low, low + 60, 3)
            noise = luck.integers(-15, 15, (20, 16, 3))
            write_png((level + noise).astype(np.uint8), folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def result(pair, folder):
    source = open_source(folder, class_names=CLASSES)
    return evaluate_generation(pair, source, samples=24, spaces=[MEANS], train=source, repeats=5)


def test_the_figures_are_those_of_the_samples(pair, folder, result):
    labels = np.repeat([0, 1], [16, 8])  # in the shares of the reference
    usage = UsageCounter(196_560)
    drawn = draw_pictures(pair, labels, 0, result.controls, usage, lambda share: None)
    made = MEANS.embed(picture for batch in drawn for picture in batch)
    source = open_source(folder, class_names=CLASSES)
    real = MEANS.embed(pair.tokenizer.prepare(each.image) for each in source)
    (scores,) = result.spaces
    assert scores.frechet_of_all == pytest.approx(frechet_distance(Moments.of(real), Moments.of(made)), rel=1e-5)
    assert scores.equal == compare_sets(real, made, size=12, repeats=5, seed=0)
    assert scores.floor == compare_halves(real, size=12, repeats=5, seed=0)
    assert scores.equal.precision != scores.equal.recall  # else exchanged sets would not show
    assert scores.nearest_to_train["samples"] == pytest.approx(np.median(nearest_distances(made, real)))
    assert (result.reference, result.samples) == (30, 24)
    assert result.usage == usage.summary()
    assert result.usage.tokens == 24 * 5
    assert scores.inception_score is None


def test_held_out_bits_are_those_of_the_tokens(pair, folder, result):
    source = open_source(folder, class_names=CLASSES)
    pictures = torch.from_numpy(np.stack([pair.tokenizer.prepare(each.image) for each in source])).permute(0, 3, 1, 2)
    indices = pair.tokenizer.tokenize(pictures)
    with torch.no_grad():
        inputs = pair.tokenizer.quantizer.inputs(indices)
        nats = -pair.generator.head.log_prob(pair.generator.features(inputs, torch.from_numpy(source.labels)), indices)
    assert result.bits_per_token == pytest.approx(float(nats.mean()) / math.log(2), rel=1e-5)
    assert result.bits_by_scale[1] == pytest.approx(float(nats[:, 0].mean()) / math.log(2), rel=1e-5)
    assert result.bits_by_scale[2] == pytest.approx(float(nats[:, 1:].mean()) / math.log(2), rel=1e-5)
    assert result.bits_knowing_nothing == pytest.approx(math.log2(196_560))


def test_the_probe_knows_real_pictures_and_copies_are_near(result):
    (scores,) = result.spaces
    assert scores.probe is not None
    assert scores.probe.real.value == 1
    assert scores.probe.trained_on == 30
    assert scores.probe.samples.value == pytest.approx(
        np.average([share for _, share in scores.probe.classes.values()], weights=[16, 8])
    )
    assert scores.probe.ratio == scores.probe.samples.value
    assert scores.nearest_to_train is not None
    assert scores.nearest_to_train["reference"] == pytest.approx(0, abs=1e-3)
    assert scores.nearest_to_train["samples"] > 0.01


def test_real_pictures_are_nearer_to_each_other_than_samples_of_an_untrained_model(result):
    (scores,) = result.spaces
    assert scores.floor.frechet.value < scores.equal.frechet.value
    assert scores.floor.precision.value > scores.equal.precision.value


def test_the_floor_compares_other_real_pictures_with_the_reference(pair, folder):
    reference = open_source(sorted((folder / "dark").iterdir()), class_names=CLASSES)
    other = open_source(folder, class_names=CLASSES)
    result = evaluate_generation(pair, reference, samples=16, spaces=[MEANS], floor=other, seed=2, repeats=5)
    real, others = (MEANS.embed(pair.tokenizer.prepare(each.image) for each in source) for source in (reference, other))
    (scores,) = result.spaces
    assert scores.floor == compare_sets(real, others, size=8, repeats=5, seed=2)
    assert scores.floor.precision != scores.floor.recall
    assert scores.nearest_to_train is None


def test_the_probe_is_asked_about_reference_and_samples_each_by_its_own_classes(pair, folder, result):
    source = open_source(folder, class_names=CLASSES)
    labels = np.repeat([0, 1], [16, 8])
    drawn = draw_pictures(pair, labels, 0, result.controls, UsageCounter(196_560))
    made = MEANS.embed(picture for batch in drawn for picture in batch)
    real = MEANS.embed(pair.tokenizer.prepare(each.image) for each in source)
    probe = LinearProbe.fit(real, source.labels, classes=2)
    (scores,) = result.spaces
    for place, (vectors, own) in enumerate(((real, source.labels), (made, labels))):
        right = probe.predict(vectors) == own
        assert [scores.probe.real, scores.probe.samples][place].value == pytest.approx(right.mean())
        for label, name in enumerate(CLASSES):
            assert scores.probe.classes[name][place] == pytest.approx(right[own == label].mean())


def test_seed_and_order_decide_everything(pair, folder, result):
    source = open_source(folder, class_names=CLASSES)
    told = []
    again = evaluate_generation(
        pair,
        source,
        samples=24,
        spaces=[MEANS],
        train=source,
        repeats=5,
        progress=lambda fraction, message: told.append(fraction),
    )
    assert again == result
    assert told == sorted(told)
    assert told[-1] == 1
    other = evaluate_generation(pair, source, samples=24, spaces=[MEANS], floor=source, seed=1, repeats=5)
    assert other.spaces[0].frechet_of_all != result.spaces[0].frechet_of_all
    assert other.spaces[0].probe is None
    assert other.spaces[0].floor.frechet.low >= 0


def test_pictures_without_classes_are_compared_but_not_probed(pair, folder):
    plain = open_source(sorted((folder / "dark").iterdir()), class_names=CLASSES)
    result = evaluate_generation(pair, plain, samples=8, spaces=[MEANS], repeats=2)
    assert "without class" in " ".join(result.protocol)
    assert result.spaces[0].equal.size == 4
    for settings in ({"train": plain}, {"train": open_source(folder, class_names=CLASSES)}):
        with pytest.raises(InputError, match=r"class"):
            evaluate_generation(pair, plain, samples=8, spaces=[MEANS], repeats=2, **settings)
    with pytest.raises(InputError, match="at least 8 samples"):
        evaluate_generation(pair, plain, samples=7, spaces=[MEANS])


def test_the_command_line_prints_one_object(pair, folder, tmp_path, capsys):
    pair.tokenizer.save_pretrained(tmp_path / "tokenizer")
    pair.generator.save_pretrained(tmp_path / "generator")
    models = ["--model", str(tmp_path / "generator"), "--tokenizer", str(tmp_path / "tokenizer")]
    start = ["evaluate", "generation", *models, "--data", str(folder), "--samples", "8", "--repeats", "2"]
    with pytest.raises(SystemExit) as end:
        main([*start, "--probe-train", str(folder), "--json"])
    assert end.value.code == 0
    content = json.loads(capsys.readouterr().out)
    (scores,) = content["spaces"]
    assert (content["preset"], scores["features"], scores["distance"]) == ("balanced", "leaf", "FD-leaf")
    assert 0 <= scores["probe"]["samples"]["value"] <= 1
    with pytest.raises(SystemExit) as end:
        main([*start, "--features", "inception=nowhere.pth"])
    assert end.value.code == 1
    assert "--download" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main([*start, "--preset", "ballanced"])
    assert end.value.code == 2
    assert "balanced" in capsys.readouterr().err
