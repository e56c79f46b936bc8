"""Alignment of latents with features: closed forms, balance, and a few steps of training with it."""

import pytest
import torch
from torch import nn

from workbench.errors import InputError, ModelError
from workbench.fit.engine.batches import Batches
from workbench.fit.engine.journal import read_log
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run
from workbench.fit.generator.recipes import generator_recipe
from workbench.fit.tokenizer.alignment import Alignment, alignment_loss, balance, make_foundation
from workbench.fit.tokenizer.recipe import Crops, Judge, Losses, TokenizerRecipe
from workbench.fit.tokenizer.recipes import tokenizer_recipe
from workbench.fit.tokenizer.task import TokenizerTask
from workbench.models.features import FeatureNetwork
from workbench.models.generator_presets import TRUNKS
from workbench.models.presets import body_preset, make_body
from workbench.models.style_discriminator import StyleDiscriminator

RECIPE = TokenizerRecipe(
    name="aligned",
    body="conv-tiny-8",
    body_changes={"width": 40, "encoder_blocks": 1, "decoder_blocks": 1},
    run=Run(steps=6, batch_size=4, warmup_steps=1, log_every=1, evaluate_every=None, save_minutes=None),
    crops=Crops(side=32),
    losses=Losses(alignment=0.5, alignment_features="leaf", adversarial=0.1, adversarial_kind="softplus"),
    judge=Judge(kind="style", width=8, penalty=1.0, penalty_every=2),
)


def test_features_that_agree_cost_nothing_whatever_their_length():
    f = torch.randn(2, 6, 3, 3, generator=torch.Generator().manual_seed(0))
    assert alignment_loss(3 * f, f) == 0


def test_the_loss_has_the_value_of_its_formula():
    z = torch.zeros(1, 2, 1, 2)
    f = torch.zeros(1, 2, 1, 2)
    z[0, 0], f[0, 0, 0, 0], f[0, 1, 0, 1] = 1, 1, 1  # z: twice the same direction; f: two at right angles
    by_place = (0 + 0.5) / 2
    by_pair = 2 * 0.75 / 4
    assert alignment_loss(z, f) == pytest.approx(by_place + by_pair)
    assert alignment_loss(z, f, margin1=1.0, margin2=1.0) == 0


def test_latents_and_features_of_two_grids_are_refused():
    with pytest.raises(InputError, match="differ in shape"):
        alignment_loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 4, 4))


def test_balance_makes_both_gradients_equally_long():
    x = torch.randn(5, requires_grad=True, generator=torch.Generator().manual_seed(0))
    main, other = (3 * x).square().sum(), x.sum()
    factor = balance(main, other, x)
    (one,), (two,) = torch.autograd.grad(main, x), torch.autograd.grad(factor * other, x)
    assert float(two.norm()) == pytest.approx(float(one.norm()), rel=1e-5)
    assert not factor.requires_grad


class Corner:
    """Features that say where in a crop it is light."""

    width = 5

    def __call__(self, images, grid):
        small = nn.functional.adaptive_avg_pool2d(images, grid)
        return torch.cat([small, 1 - small], dim=1)[:, :5]


class Stripes(Batches):
    """Batches of random stripes, a function of the step alone."""

    def __init__(self):
        self.samples = 4

    def stream(self, start, *, part=0, parts=1):
        step = start
        while True:
            luck = torch.Generator().manual_seed(step)
            rows = torch.randint(0, 256, (4, 3, 32, 1), generator=luck, dtype=torch.uint8)
            yield {"images": rows.expand(-1, -1, -1, 32).contiguous()}
            step += 1


def test_training_with_alignment_and_a_style_judge_moves_everything(tmp_path):
    task = TokenizerTask(RECIPE, foundation=Corner())
    before = {name: [p.detach().clone() for p in m.parameters()] for name, m in task.modules.items()}
    fit(task, Stripes(), RECIPE.run, out=tmp_path)
    assert set(before) == {"tokenizer", "judge", "alignment"}
    for name, module in task.modules.items():
        assert any(not torch.equal(a, b) for a, b in zip(before[name], module.parameters(), strict=True)), name
    lines = [line for line in read_log(tmp_path) if "alignment" in line]
    assert len(lines) == 6
    assert all(line["alignment"] > 0 for line in lines)


def test_alignment_needs_features_and_a_network_that_is_not_compiled():
    with pytest.raises(InputError, match=r"losses\.alignment=0\.5 needs features"):
        TokenizerTask(RECIPE)


def test_a_projection_has_no_bias():
    assert [name for name, _ in Alignment(24, 8).named_parameters()] == ["project.weight"]


def test_the_bundled_network_serves_offline():
    images = torch.rand(2, 3, 64, 64)
    foundation = make_foundation("leaf", torch.device("cpu"))
    features = foundation(images, (8, 8))
    assert features.shape == (2, foundation.width, 8, 8)
    assert not features.requires_grad
    assert isinstance(foundation.network, FeatureNetwork)


@pytest.mark.slow
def test_dinov2_gives_one_feature_a_place(tmp_path):
    timm = pytest.importorskip("timm")
    from workbench.models.weights import save_weights

    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch14_dinov2.lvd142m", num_classes=0, dynamic_img_size=True)
    save_weights(tmp_path / "model.safetensors", network.state_dict(), dtype=None)
    foundation = make_foundation(f"dinov2-small:{tmp_path / 'model.safetensors'}", torch.device("cpu"))
    images = torch.rand(2, 3, 64, 48)
    features = foundation(images, (4, 3))
    assert features.shape == (2, foundation.width, 4, 3) == (2, 384, 4, 3)
    turned = foundation(images.flip(0), (4, 3)).flip(0)
    assert torch.allclose(features, turned, atol=1e-4)


def test_weights_that_cannot_be_fetched_say_what_to_do(monkeypatch):
    pytest.importorskip("timm")

    def fail(repository, file):
        raise ModelError(f"cannot fetch {file} of {repository!r}")

    monkeypatch.setattr("workbench.hub.download", fail)
    with pytest.raises(ModelError, match="timm/vit_small_patch14_dinov2"):
        make_foundation("dinov2-small", torch.device("cpu"))
    with pytest.raises(InputError, match="did you mean 'dinov2-base'"):
        make_foundation("dinov2-bas", torch.device("cpu"))


@pytest.mark.parametrize("name", ["imagenet256-vit-leech", "imagenet256-tokenizer-f16-leech-vf"])
def test_the_large_recipes_have_the_published_sizes(name):
    recipe = tokenizer_recipe(name)
    with torch.device("meta"):
        body = make_body(body_preset(recipe.body), dimension=24)
        judge = StyleDiscriminator(width=recipe.judge.width, side=recipe.crops.side)
    parameters = sum(p.numel() for part in (body.encoder, body.decoder) for p in part.parameters())
    assert parameters == pytest.approx({"vit-base-8": 174.83e6, "f16-base": 110.04e6}[recipe.body], rel=1e-4)
    assert judge.blocks[0].conv1.weight.shape[0] == 16_384 // 256
    assert (recipe.losses.alignment > 0) == name.endswith("-vf")
    assert name.split("-")[1] == "vit" or recipe.quantizer_settings["scales"] == "dynamic"


@pytest.mark.parametrize(("layers", "width"), [(12, 768), (24, 1536), (32, 2048)])
def test_the_generator_recipes_scale_the_rate_of_the_head(layers, width):
    recipe = generator_recipe(f"imagenet256-infinitycc-{layers}-leech")
    assert TRUNKS[recipe.trunk]["width"] == width
    assert TRUNKS[recipe.trunk]["depth"] == layers
    assert recipe.optimizer.head_factor == pytest.approx(width**-0.5)
    assert recipe.run.batch_size % recipe.run.accumulate == 0
