"""The matched comparison: what is shared is shared, and what belongs to the code starts anew."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError, TrainingError
from workbench.fit.engine.loop import Outcome
from workbench.fit.engine.settings import override
from workbench.fit.studies import quantizers as compare
from workbench.fit.studies.quantizers import CONTESTANTS, CompareRecipe, Contestant, contest, paired
from workbench.fit.tokenizer.task import take_over
from workbench.images.crops import Pictures
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.quantizers.registry import make_quantizer

RECIPE = override(
    CompareRecipe(),
    [
        "body=conv-tiny-8", "crops.side=16", "optimizer.kind=adamw",
        "base.steps=2", "base.batch_size=2", "base.precision=float32",
        "run.steps=1", "run.batch_size=2", "run.precision=float32",
    ],
)  # fmt: skip


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (24, 24, 3), dtype=np.uint8) for _ in range(3)]
    return Pictures(images, np.full(3, -1), ["a", "b", "c"], ())


def test_every_contestant_and_seed_gives_a_model_and_none_is_trained_twice(pictures, tmp_path):
    levels = Contestant({"name": "fsq", "levels": [4, 4]})
    chosen = {"leech": Contestant({"name": "leech4"}, seeds=(0, 1)), "fsq": levels}
    models = contest(RECIPE, pictures, out=tmp_path, contestants=chosen)
    assert {name: len(found) for name, found in models.items()} == {"leech": 2, "fsq": 1}
    assert models["fsq"][0].quantizer.size == 16
    a, b = models["leech"]
    assert not torch.equal(a.encoder.head.weight, b.encoder.head.weight)

    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    again = contest(RECIPE, pictures, out=tmp_path, contestants=chosen)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")} == before
    assert torch.equal(again["fsq"][0].encoder.head.weight, models["fsq"][0].encoder.head.weight)


def test_nobody_begins_from_half_a_base(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(compare, "fit", lambda *_, **__: Outcome(1, 1.0, "SIGTERM", tmp_path))
    with pytest.raises(TrainingError, match="base was interrupted at step 1"):
        contest(RECIPE, pictures, out=tmp_path, contestants={"leech": Contestant({"name": "leech4"})})


def test_the_base_trains_without_a_quantizer(pictures, tmp_path):
    seen = []
    chosen = {"leech": Contestant({"name": "leech4"})}
    contest(RECIPE, pictures, out=tmp_path, contestants=chosen, progress=lambda done, what: seen.append((done, what)))
    assert any(what.startswith("base") for _, what in seen)
    assert seen[-1][0] == pytest.approx(1.0, abs=0.51)


def test_what_meets_the_code_is_not_taken_over():
    torch.manual_seed(0)
    base = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"})
    ours = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"})
    head = ours.encoder.head.weight.clone()
    anew = take_over(base, ours, apart_from=("encoder.head.", "decoder.words.0."))
    assert sorted(anew) == [
        "decoder.words.0.bias", "decoder.words.0.weight", "encoder.head.bias", "encoder.head.weight",
    ]  # fmt: skip
    assert torch.equal(ours.encoder.head.weight, head)
    assert torch.equal(ours.encoder.stem.weight, base.encoder.stem.weight)


def test_paired_differences_are_by_seed():
    ours, theirs = [1.0, 5.0, 9.0], [0.5, 4.5, 8.5]
    interval = paired(ours, theirs)
    assert interval.value == pytest.approx(0.5)
    assert interval.low == pytest.approx(interval.high)
    with pytest.raises(InputError, match="paired"):
        paired([1.0, 2.0], [1.0])


def test_the_contestants_carry_about_the_same_bits():
    for name in ("leech", "bsq", "lfq", "fsq"):
        assert make_quantizer(**CONTESTANTS[name].quantizer).bits_per_index == pytest.approx(17.8, abs=0.3)
    assert CONTESTANTS["random"].quantizer["size"] == CONTESTANTS["fibonacci"].quantizer["size"] == 196_560
