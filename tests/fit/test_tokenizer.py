"""Training a tokenizer, from a plan to a model that loads."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from workbench.cli.fit import app
from workbench.errors import InputError
from workbench.fit.engine.journal import read_log
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run, from_mapping, override, to_mapping
from workbench.fit.plan import read_plan
from workbench.fit.tokenizer.launch import TokenizerPlan, estimate_tokenizer, launch_tokenizer
from workbench.fit.tokenizer.pictures import make_batches
from workbench.fit.tokenizer.recipe import Crops, Judge, Losses, TokenizerRecipe
from workbench.fit.tokenizer.recipes import RECIPES, tokenizer_recipe
from workbench.fit.tokenizer.task import TokenizerTask
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer

TINY = {"width": 40, "encoder_blocks": 1, "decoder_blocks": 1}
RECIPE = TokenizerRecipe(
    name="tiny",
    body="conv-tiny-8",
    body_changes=TINY,
    run=Run(steps=12, batch_size=4, warmup_steps=2, log_every=1, evaluate_every=None, save_minutes=None),
    crops=Crops(side=32),
    losses=Losses(perceptual=0.1, adversarial=0.05, adversarial_from=0.2),
    judge=Judge(width=8, stages=2, penalty=1.0, penalty_every=2),
)
RECIPE = override(RECIPE, ["optimizer.kind=muon"])


def blur_distance(x, y):
    """A stand-in for a perceptual distance, one number a picture."""
    return (torch.nn.functional.avg_pool2d(x - y, 4) ** 2).mean(dim=(1, 2, 3))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Smooth pictures with an edge in each."""
    folder, luck = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(6):
        y, x = np.mgrid[:48, :64] / 64
        waves = [0.5 + 0.4 * np.sin(luck.uniform(2, 9) * x + luck.uniform(2, 9) * y) for _ in range(3)]
        picture = np.stack(waves, axis=-1)
        picture[:, luck.integers(10, 50) :] *= 0.5
        Image.fromarray((255 * picture).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def train(folder, out, recipe=RECIPE, stop=lambda: False, **settings):
    task = TokenizerTask(recipe, perceptual=blur_distance, **settings)
    outcome = fit(task, make_batches([str(folder)], recipe.crops, recipe.run), recipe.run, out=out, stop=stop)
    return task, outcome


def test_a_run_in_pieces_is_the_whole_run_with_judge_muon_and_average(photos, tmp_path):
    whole, _ = train(photos, tmp_path / "whole")
    calls = iter(range(100))
    _, outcome = train(photos, tmp_path / "pieces", stop=lambda: next(calls) == 5)
    assert (outcome.reason, outcome.step) == ("stopped", 5)
    pieces, _ = train(photos, tmp_path / "pieces")
    for name in ("tokenizer", "judge"):
        for a, b in zip(whole.modules[name].parameters(), pieces.modules[name].parameters(), strict=True):
            assert torch.equal(a, b)
    lines = read_log(tmp_path / "whole")[1:]
    assert {"distortion", "perceptual", "judge", "tokenizer_gradient"} <= lines[0].keys()
    assert "adversarial" not in lines[0]  # not let in yet
    assert "adversarial" in lines[-1]


def test_training_lowers_the_error(photos, tmp_path):
    recipe = override(RECIPE, ["losses.adversarial=0", "losses.perceptual=0", "run.steps=60", "run.batch_size=8"])
    _, outcome = train(photos, tmp_path, recipe, held_out=[np.array(Image.open(photos / "0.png"))])
    losses = [line["loss"] for line in read_log(tmp_path) if "loss" in line]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:3])
    assert outcome.scores["psnr"] > 13
    assert 1 <= outcome.scores["words"] <= 48
    assert list((tmp_path / "previews").iterdir())


def test_each_player_updates_itself_alone(photos):
    task = TokenizerTask(RECIPE, perceptual=blur_distance)

    class Engine:
        fraction, index, seen = 1.0, 1, {}

        def network(self, name):
            return task.modules[name]

        def arithmetic(self):
            return torch.autograd.set_grad_enabled(True)

        def update(self, name, loss):
            for module in task.modules.values():
                module.zero_grad()
            loss.backward()
            self.seen[name] = {key: _has_gradient(module) for key, module in task.modules.items()}

    batch = next(make_batches([str(photos)], RECIPE.crops, RECIPE.run).stream(0))
    task.step(batch, Engine())
    assert Engine.seen == {
        "tokenizer": {"tokenizer": True, "judge": False},
        "judge": {"tokenizer": False, "judge": True},
    }


def _has_gradient(module):
    return any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())


def test_a_plan_gives_a_model_that_loads_with_a_card(photos, tmp_path):
    plan = TokenizerPlan(
        data=(str(photos),),
        held_out=(str(photos),),
        recipe=to_mapping(override(RECIPE, ["losses.perceptual=0", "run.evaluate_every=4"])),
        set=("run.steps=6",),
        out=str(tmp_path / "run"),
        command="train it",
    )
    outcome, folder = launch_tokenizer(plan)
    assert (outcome.reason, outcome.step) == ("done", 6)
    model = Tokenizer.from_pretrained(folder)
    assert model.tokenize(torch.rand(1, 3, 16, 24)).shape == (1, 2, 3)
    card = (folder / "README.md").read_text()
    for fact in (photos.name, "train it", "tiny", "seed 0", "psnr", "17.585 bits", "run.steps = 6", "Limits"):
        assert fact in card
    assert str(tmp_path) not in card

    again = read_plan(tmp_path / "run" / "run.json")
    assert again.data == plan.data
    assert from_mapping(TokenizerRecipe, again.recipe).run.steps == 6

    started = TokenizerTask(from_mapping(TokenizerRecipe, again.recipe), start=model)
    for a, b in zip(started.tokenizer.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(InputError, match="another shape"):
        TokenizerTask(override(RECIPE, ["losses.perceptual=0", "body_changes.width=48"]), start=model)


def test_a_dry_run_measures_and_writes_nothing(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = TokenizerPlan(
        data=(str(photos),), recipe=to_mapping(override(RECIPE, ["losses.perceptual=0", "run.steps=1000"]))
    )
    cost, unit = estimate_tokenizer(plan)
    task = TokenizerTask(override(RECIPE, ["losses.perceptual=0"]))
    assert cost.parameters == {name: sum(p.numel() for p in m.parameters()) for name, m in task.modules.items()}
    assert cost.tokens_per_second == pytest.approx(16 * cost.samples_per_second)
    assert cost.steps == 1000
    assert cost.days == pytest.approx(1000 * cost.seconds_per_step / 86400)
    assert cost.activation_bytes > 4 * 16 * 40 * 4
    assert cost.part == 4
    assert cost.part % cost.measured_part == 0
    text = "\n".join(cost.lines(unit))
    assert "images/s" in text
    assert "days" in text
    assert not list(tmp_path.iterdir())


def test_gradient_checkpointing_keeps_less_and_learns_the_same(photos, tmp_path):
    body = ["body_changes.decoder_blocks=6", "losses.adversarial=0", "losses.perceptual=0", "run.steps=3"]
    recipe = override(RECIPE, body)
    saving = override(recipe, ["run.gradient_checkpointing=true"])
    cost = [
        estimate_tokenizer(TokenizerPlan(data=(str(photos),), recipe=to_mapping(r)))[0].activation_bytes
        for r in (recipe, saving)
    ]
    assert cost[1] < 0.6 * cost[0]
    a, b = train(photos, tmp_path / "a", recipe)[0], train(photos, tmp_path / "b", saving)[0]
    assert all(map(torch.equal, a.tokenizer.parameters(), b.tokenizer.parameters()))


def test_the_verb_trains_a_plan(photos, tmp_path):
    plan = {"data": [str(photos)], "recipe": to_mapping(override(RECIPE, ["losses.perceptual=0"]))}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    arguments = [str(tmp_path / "plan.json"), "--set", "run.steps=2", "--out", str(tmp_path / "run"), "--device", "cpu"]
    result = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    said = json.loads(result.stdout)
    assert (result.exit_code, said["reason"], said["steps"]) == (0, "done", 2)
    assert Tokenizer.from_pretrained(said["model"]).name == "tiny"
    result = CliRunner().invoke(app, [*arguments, "--dry-run", "--json"], catch_exceptions=False)
    assert json.loads(result.stdout)["parameters"]["judge"] > 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1]", "one JSON object"),
        ("{", "is not JSON"),
        ('{"data": ["x"], "recipes": "smoke"}', "did you mean 'recipe'"),
        ('{"recipe": "smoke"}', "data"),
        (None, "cannot read the plan"),
    ],
)
def test_a_plan_that_does_not_fit_is_named(tmp_path, content, message):
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_plan(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("crops.side=20", "no multiple of the patch side 8"),
        ("body=conv-tinny-8", "did you mean 'conv-tiny-8'"),
        ("quantizer=leach", "leech"),
        ("losses.perceptual=1", "needs a perceptual distance"),
    ],
)
def test_a_recipe_that_does_not_fit_together_is_named(change, message):
    with pytest.raises(InputError, match=message):
        TokenizerTask(override(RECIPE, ["losses.perceptual=0", change]))


def test_a_body_with_a_window_wants_crops_of_it():
    recipe = override(RECIPE, ["body=vit-tiny-8", "losses.perceptual=0"])
    from dataclasses import replace

    with pytest.raises(InputError, match=r"takes crops\.side=64, got 32"):
        TokenizerTask(replace(recipe, body_changes={}))


def test_recipes_are_named_and_survive_json():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert from_mapping(TokenizerRecipe, to_mapping(recipe)) == recipe
    with pytest.raises(InputError, match="did you mean 'photo-leech'"):
        tokenizer_recipe("photo-leach")


def test_a_model_of_several_scales_is_a_beginning_too(photos, tmp_path):
    settings = {"base": "leech4", "scales": [1, 2], "gains": [1.0, 0.5]}
    first = override(RECIPE, ["losses.perceptual=0", "crops.side=16", "quantizer=multiscale", "run.steps=2"])
    plan = TokenizerPlan(
        data=(str(photos),), recipe=to_mapping(first) | {"quantizer_settings": settings}, out=str(tmp_path / "a")
    )
    _, start = launch_tokenizer(plan)
    rates = ("run.steps=1", "optimizer.rate=0", "optimizer.muon_rate=0")
    _, then = launch_tokenizer(replace(plan, init_from=str(start), set=rates, out=str(tmp_path / "b")))
    one, other = (PyramidTokenizer.from_pretrained(folder) for folder in (start, then))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
