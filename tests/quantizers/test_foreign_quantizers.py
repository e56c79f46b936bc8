"""A quantizer from elsewhere goes through training, files, evaluation and comparison like one of the family."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from workbench import make_quantizer
from workbench.errors import InputError
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run
from workbench.fit.optim.factory import OptimizerSettings
from workbench.fit.tokenizer.recipe import Crops, Losses, TokenizerRecipe
from workbench.fit.tokenizer.task import TokenizerTask
from workbench.images.crops import CropSampler
from workbench.images.files import write_png
from workbench.images.sources import open_source
from workbench.images.synthetic import synthetic_pictures
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer
from workbench.quantizers import ForeignQuantizer, Quantizer, quantizer_names, register_quantizer, registry
from workbench.tasks.compare import compare_codes
from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction


class Plain(nn.Module):
    """Nearest of learned vectors with a straight-through gradient, as a hundred repositories have it."""

    def __init__(self, dimension, size):
        super().__init__()
        self.codebook = nn.Embedding(size, dimension)
        self.calls = []

    def forward(self, x):
        assert x.ndim == 3
        self.calls.append(self.training)
        indices = torch.cdist(x, self.codebook.weight[None].expand(len(x), -1, -1)).argmin(-1)
        codes = self.codebook(indices)
        loss = (codes - x.detach()).square().mean() + 0.25 * (codes.detach() - x).square().mean()
        return x + (codes - x).detach(), indices, loss


class Own(Quantizer):
    """A quantizer by rule, derived from the base: the sign of the first number."""

    def __init__(self, dimension=24):
        super().__init__(name="own-signs", dimension=dimension, size=2)

    def search(self, point):
        return (point[..., 0] > 0).long()

    def lookup(self, indices):
        return (2.0 * indices - 1)[..., None].expand(*indices.shape, self.dimension) / self.dimension**0.5


def plain(dimension=24, size=32):
    return ForeignQuantizer(Plain(dimension, size), name="plain", dimension=dimension, size=size)


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(registry, "_RULES", dict(registry._RULES))
    register_quantizer("plain", plain)
    register_quantizer("own-signs", Own)


def test_layouts_gradient_and_loss_are_the_module_s(registered):
    quantizer = make_quantizer("plain", dimension=8, size=16)
    z = torch.randn(2, 8, 3, 5, requires_grad=True)
    result = quantizer(z)
    assert result.quantized.shape == z.shape
    assert result.indices.shape == (2, 3, 5)
    assert torch.allclose(result.quantized, quantizer.indices_to_codes(result.indices), atol=1e-6)
    assert torch.equal(quantizer.codes_to_indices(quantizer.indices_to_codes(result.indices)), result.indices)
    result.quantized.sum().backward(retain_graph=True)
    assert torch.equal(z.grad, torch.ones_like(z))
    _, _, loss = quantizer.module(z.detach().movedim(1, -1).reshape(2, 15, 8))
    assert torch.allclose(result.aux_loss, loss)
    result.aux_loss.backward()
    assert quantizer.module.codebook.weight.grad.abs().sum() > 0
    assert quantizer.eval()(z).aux_loss == 0
    flat = torch.randn(7, 8)
    assert quantizer(flat).indices.shape == (7,)
    assert quantizer(z.half()).quantized.dtype == torch.float16
    assert quantizer.half().module.codebook.weight.dtype == torch.float32
    quantizer.train().codes_to_indices(flat)
    assert quantizer.module.calls[-1] is False  # a search is no training step
    assert quantizer.module.training


def test_it_is_trained_saved_loaded_evaluated_and_compared(registered, tmp_path):
    pictures = synthetic_pictures(8, size=32, seed=1)
    recipe = TokenizerRecipe(
        name="with-plain",
        run=Run(steps=3, batch_size=4, precision="float32", warmup_steps=1, evaluate_every=None),
        body="conv-tiny-8",
        quantizer="plain",
        quantizer_settings={"size": 32},
        crops=Crops(side=32),
        optimizer=OptimizerSettings(),
        losses=Losses(perceptual=0.0),
    )
    task = TokenizerTask(recipe)
    before = task.tokenizer.quantizer.module.codebook.weight.detach().clone()
    outcome = fit(task, CropSampler(pictures.images, 32, 4, 0), recipe.run, out=tmp_path / "run", config={})
    assert outcome.reason == "done"
    assert not torch.equal(task.tokenizer.quantizer.module.codebook.weight, before)
    task.tokenizer.save_pretrained(tmp_path / "model")
    assert json.loads((tmp_path / "model" / "config.json").read_text())["quantizer"] == {"name": "plain", "size": 32}
    model = Tokenizer.from_pretrained(tmp_path / "model")
    image = pictures.images[0]
    assert model.reconstruct(image).indices.shape == (4, 4)
    write_png(np.asarray(image), tmp_path / "a.png")
    found = evaluate_reconstruction(model, open_source(tmp_path / "a.png"))
    assert found.pictures == 1
    assert found.usage.tokens == 16
    answers = compare_codes(np.asarray(image), model, ["plain", "own-signs", "leech"])
    assert [answer.name for answer in answers] == ["none", "plain", "own-signs", "leech"]
    assert answers[2].figures["words"] <= 2


def test_names_are_checked(registered):
    assert {"plain", "own-signs"} <= {*quantizer_names()}
    for name in ("leech", "bsq", "plain"):
        with pytest.raises(InputError, match=f"the name '{name}' is taken"):
            register_quantizer(name, plain)
    with pytest.raises(InputError, match="is taken"):
        register_quantizer("bsq", plain, replace=True)
    register_quantizer("plain", lambda **settings: plain(**settings), replace=True)
    assert make_quantizer("plain", size=4).size == 4
    with pytest.raises(InputError, match="expected a name of letters"):
        register_quantizer("a name", plain)
    with pytest.raises(InputError, match="quantizer 'own-signs' takes dimension; got size"):
        make_quantizer("own-signs", size=3)
    with pytest.raises(InputError, match="takes dimension; got scale"):
        make_quantizer("own-signs", scale=2.0)


def test_what_is_no_quantizer_is_refused_with_the_fix(registered):
    register_quantizer("bare", lambda: Plain(4, 4))
    with pytest.raises(InputError, match=r"gave a Plain, expected a Quantizer: .*in a ForeignQuantizer"):
        make_quantizer("bare")
    with pytest.raises(InputError, match=r"Linear has no `codebook`.*pass `lookup`"):
        ForeignQuantizer(nn.Linear(4, 4), name="x", dimension=4, size=4)
    with pytest.raises(InputError, match=r"expected a codebook of shape \(5, 4\) in Plain, got \(4, 4\)"):
        ForeignQuantizer(Plain(4, 4), name="x", dimension=4, size=5)
    wrapped = ForeignQuantizer(nn.Identity(), name="x", dimension=4, size=4, lookup=lambda module, indices: indices)
    with pytest.raises(InputError, match=r"expected \(quantized, indices, loss\)"):
        wrapped(torch.rand(3, 4))
    with pytest.raises(InputError, match="expected 4 numbers on a last axis"):
        wrapped.indices_to_codes(torch.tensor([1]))


def test_a_body_is_built_for_its_dimension(registered):
    model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "plain", "dimension": 6, "size": 8})
    assert model.eval().tokenize(torch.rand(1, 3, 16, 16)).shape == (1, 2, 2)
