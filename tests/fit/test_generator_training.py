"""Tokens are made once and never used stale; Dion and Lion are what they say; a generator learns its tokens."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from workbench.errors import InputError, TrainingError
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run
from workbench.fit.generator.launch import GeneratorPlan, launch_generator
from workbench.fit.generator.recipes import (
    GENERATOR_RECIPES,
    GeneratorOptimizer,
    GeneratorRecipe,
    generator_recipe,
)
from workbench.fit.generator.task import GeneratorTask, _optimizers
from workbench.fit.generator.tokens import TokenBatches, Tokens, tokenize_pictures
from workbench.fit.optim.dion import Dion, Lion
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer

CLASSES = ("a", "b")


def make_tokenizer(gain=1.5):
    torch.manual_seed(0)
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2], "gains": [gain, 1.0]}
    return PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="pyramid").eval()


@pytest.fixture
def pictures(tmp_path):
    luck = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            pixels = luck.integers(0, 255, (20, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    return tmp_path / "data"


def test_tokens_are_made_once_and_stale_ones_are_refused(pictures, tmp_path):
    tokenizer, file = make_tokenizer(), tmp_path / "run" / "tokens.safetensors"
    tokens = tokenize_pictures([str(pictures)], tokenizer, file, classes=CLASSES, views=3)
    assert tokens.indices.shape == (6, 3, 5)
    assert tokens.indices.dtype == torch.int32
    assert tokens.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert int(tokens.counts(196560).sum()) == 6 * 3 * 5
    with Image.open(pictures / "a" / "0.png") as image:
        plain = torch.from_numpy(tokenizer.prepare(image).copy()).permute(2, 0, 1)[None]
    assert torch.equal(tokenizer.tokenize(plain)[0].int(), tokens.indices[0, 0])
    assert torch.equal(tokenizer.tokenize(plain.flip(-1))[0].int(), tokens.indices[0, 1])
    written = file.stat().st_mtime_ns
    again = tokenize_pictures([str(pictures)], tokenizer, file, classes=CLASSES, views=3)
    assert torch.equal(again.indices, tokens.indices)
    assert file.stat().st_mtime_ns == written
    for settings, model in (({"views": 2}, tokenizer), ({"views": 3}, make_tokenizer(gain=1.4))):
        with pytest.raises(TrainingError, match=r"made otherwise \((views|gains)"):
            tokenize_pictures([str(pictures)], model, file, classes=CLASSES, **settings)
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(TrainingError, match="cannot be read"):
        tokenize_pictures([str(pictures)], tokenizer, file, classes=CLASSES, views=3)


def test_tokens_are_made_again_where_pictures_or_classes_have_changed(pictures, tmp_path, caplog):
    tokenizer, file = make_tokenizer(), tmp_path / "tokens.safetensors"

    def tokens():
        return tokenize_pictures([str(pictures)], tokenizer, file, classes=CLASSES)

    first = tokens()
    (pictures / ".DS_Store").write_bytes(b"")
    assert torch.equal(tokens().indices, first.indices)
    assert not caplog.text
    Image.new("RGB", (20, 24), (9, 200, 40)).save(pictures / "a" / "0.png")
    (pictures / "a" / "1.png").rename(pictures / "b" / "9.png")
    again = tokens()
    assert "the pictures have changed since" in caplog.text
    assert again.labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert not torch.equal(again.indices, first.indices)
    assert torch.equal(tokens().indices, again.indices)


def test_pictures_without_a_class_are_refused(pictures, tmp_path):
    single = next((pictures / "a").iterdir())
    with pytest.raises(InputError, match="has class None"):
        tokenize_pictures([str(single)], make_tokenizer(), tmp_path / "x.safetensors", classes=CLASSES)


def test_windows_of_the_finest_grid_weigh_on_average_as_all_of_it():
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2, 8]}
    tokenizer = PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer).eval()
    tokens = Tokens(torch.zeros(1, 1, 69, dtype=torch.int32), torch.zeros(1, dtype=torch.int64))
    recipe = GeneratorRecipe(name="w", run=Run(steps=1), classes=CLASSES, trunk="nano", weighting="area", window=4)
    task = GeneratorTask(recipe, tokenizer=tokenizer, tokens=tokens)
    found = {}
    for seed in range(200):
        cells, weights = task._cells(torch.Generator().manual_seed(seed))
        assert len(cells) == len(weights) == 5 + 16
        found[int(cells[5])] = torch.zeros(69).index_add_(0, cells, weights)
    assert len(found) == 9  # three places a side
    torch.testing.assert_close(torch.stack(list(found.values())).mean(0), task.weights)
    with pytest.raises(InputError, match="got 3"):
        GeneratorTask(replace(recipe, window=3), tokenizer=tokenizer, tokens=tokens)


def test_batches_are_passes_and_their_slices_agree():
    tokens = Tokens(torch.arange(7 * 2 * 5).reshape(7, 2, 5).int(), torch.arange(7))
    batches = TokenBatches(tokens, batch_size=4, seed=0)
    stream = batches.stream(0)
    first = [next(stream) for _ in range(7)]
    for turn in range(4):  # 28 places are four passes over 7 pictures
        seen = torch.cat([batch["labels"] for batch in first])[7 * turn : 7 * turn + 7]
        assert sorted(seen.tolist()) == list(range(7))
    assert torch.equal(next(batches.stream(5))["indices"], first[5]["indices"])
    halves = [next(batches.stream(5, part=part, parts=2))["indices"] for part in range(2)]
    assert torch.equal(torch.cat(halves), first[5]["indices"])
    views = torch.cat([batch["indices"][:, 0] // 5 % 2 for batch in first])
    assert 0 < int(views.sum()) < 28


def test_dion_of_full_rank_takes_the_orthonormal_step():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(6, 4))
    before, grad = weight.detach().clone(), torch.randn(6, 4)
    optimizer = Dion([weight], lr=0.1, momentum=0.9, weight_decay=0.5)
    weight.grad = grad.clone()
    optimizer.step()
    # one power iteration from the identity: P spans the columns of G, and P·Pᵀ·G = G
    change = (before * (1 - 0.05) - weight.detach()) / (0.1 * (6 / 4) ** 0.5)
    left, _ = torch.linalg.qr(grad)
    right = grad.mT @ left
    assert (change - left @ (right / right.norm(dim=0)).mT).abs().max() < 1e-5
    assert (optimizer.state[weight]["momentum"] - 0.9 * grad).abs().max() < 1e-5


def test_dion_keeps_what_its_low_rank_missed():
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.zeros(8, 8))
    optimizer = Dion([weight], lr=1.0, momentum=0.0, rank_fraction=0.25)
    grad = torch.randn(8, 8)
    weight.grad = grad.clone()
    optimizer.step()
    assert int(torch.linalg.matrix_rank(weight.detach())) == 2
    state = optimizer.state[weight]
    kept = state["momentum"]
    left, _ = torch.linalg.qr(grad[:, :2])
    assert (kept - (grad - left @ left.mT @ grad)).abs().max() < 1e-5
    # on a fixed quadratic it goes down all the same
    target, weight = torch.randn(8, 8), torch.nn.Parameter(torch.zeros(8, 8))
    optimizer = Dion([weight], lr=0.05, rank_fraction=0.25)
    for _ in range(200):
        loss = (weight - target).square().sum()
        weight.grad = torch.autograd.grad(loss, weight)[0]
        optimizer.step()
    assert loss < 0.2 * target.square().sum()
    with pytest.raises(InputError, match="takes matrices"):
        Dion([torch.nn.Parameter(torch.zeros(3))], lr=1.0)
    with pytest.raises(InputError, match="rank_fraction"):
        Dion([weight], lr=1.0, rank_fraction=0.0)


def test_lion_steps_by_the_sign_of_the_mixed_momentum():
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    optimizer = Lion([weight], lr=0.1, beta1=0.9, beta2=0.5, weight_decay=0.1)
    weight.grad = torch.tensor([2.0, -4.0, 0.0])
    optimizer.step()
    assert weight.tolist() == pytest.approx([0.99 - 0.1, -1.98 + 0.1, 2.97])
    assert optimizer.state[weight]["momentum"].tolist() == [1.0, -2.0, 0.0]
    weight.grad = torch.tensor([-20.0, 4.0, 0.0])
    before = weight.detach().clone()
    optimizer.step()  # 0.9·1 − 0.1·20 < 0: the sign turns; 0.9·(−2) + 0.1·4 < 0: it does not
    assert (weight.detach() - 0.99 * before).tolist() == pytest.approx([0.1, 0.1, 0.0])


def recipe(**settings):
    run = Run(steps=40, batch_size=4, warmup_steps=5, log_every=20, evaluate_every=None, average_decay=None)
    return GeneratorRecipe(
        **({"name": "test", "run": run, "classes": CLASSES, "trunk": "nano", "previews": 1} | settings)
    )


@pytest.mark.parametrize("kind", ["adamw", "muon", "dion"])
def test_every_weight_has_one_optimiser(kind):
    task = GeneratorTask(
        recipe(), tokenizer=make_tokenizer(), tokens=Tokens(torch.zeros(1, 1, 5).int(), torch.zeros(1))
    )
    made = _optimizers(task.generator, GeneratorOptimizer(kind=kind, head_factor=0.5))
    groups = [group for optimizer in made.values() for group in optimizer.param_groups]
    held = [id(p) for group in groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in task.generator.parameters())
    head = next(g for g in groups if any(p is task.generator.head.weight for p in g["params"]))
    assert head["lr"] == pytest.approx(0.5 * 1e-3)
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    assert id(task.generator.class_vectors.weight) not in decayed
    assert id(task.generator.trunk.blocks[0].qkv.weight) in decayed


@pytest.mark.parametrize("settings", [{}, {"self_correction": 0.2, "weighting": "area"}])
def test_a_generator_learns_its_tokens(settings, tmp_path):
    tokenizer = make_tokenizer()
    rows = torch.randint(0, 196560, (4, 1, 5), generator=torch.Generator().manual_seed(0)).int()
    tokens = Tokens(rows, torch.tensor([0, 0, 1, 1]))
    task = GeneratorTask(
        recipe(head={"kind": "lattice", "components": 2, "table": True}, **settings),
        tokenizer=tokenizer,
        tokens=tokens,
        held_out=tokens,
    )
    before = task.evaluate()
    assert task.weights.sum().item() == pytest.approx(1.0)
    batches = TokenBatches(tokens, 4, seed=0)
    outcome = fit(task, batches, task.recipe.run, out=tmp_path)
    assert outcome.scores["bits_per_token"] < before["bits_per_token"] - 3
    assert set(outcome.scores) == {"bits_per_token", "bits_1", "bits_2", "accuracy", "words_guessed"}
    picture = task.preview()
    assert picture.shape == (2 * 16, 16, 3)
    assert picture.dtype == np.uint8


def test_the_script_goes_from_pictures_to_a_model(pictures, tmp_path, monkeypatch):
    make_tokenizer().save_pretrained(tmp_path / "tokenizer")
    small = recipe(run=Run(steps=2, batch_size=2, warmup_steps=1, log_every=1, evaluate_every=None, save_minutes=None))
    monkeypatch.setitem(GENERATOR_RECIPES, "test", small)
    plan = GeneratorPlan(
        recipe="test",
        tokenizer=str(tmp_path / "tokenizer"),
        data=(str(pictures),),
        held_out=(str(pictures),),
        out=str(tmp_path / "run"),
        set=("views=2",),
    )
    outcome, model = launch_generator(plan)
    assert outcome.reason == "done"
    assert sorted(path.name for path in model.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    card = (model / "README.md").read_text()
    assert "bits_per_token" in card
    assert str(tmp_path) not in card.replace(str(tmp_path / "tokenizer"), "")
    further, second = launch_generator(
        replace(plan, init_from=str(model), out=str(tmp_path / "second"), set=("run.steps=1", "optimizer.rate=0"))
    )
    assert further.step == 1
    first, then = (load_file(path / "model.safetensors") for path in (model, second))
    assert torch.equal(first["head.weight"], then["head.weight"])  # begun from there, and a rate of 0 leaves it
    assert f"begun from {model}" in (second / "README.md").read_text()
    with pytest.raises(InputError, match="no data given"):
        launch_generator(GeneratorPlan(recipe="test", tokenizer="x", data=()))
    with pytest.raises(InputError, match="did you mean 'flowers-64'"):
        generator_recipe("flower-64")
