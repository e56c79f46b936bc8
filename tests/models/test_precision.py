"""Models in other floating types: `.half()`, `.bfloat16()`, `.double()` and a GPU give what float32 gives, nearly.

Tolerance: of the tokens of a picture, 98 % (half), 95 % (bfloat16) and all but one in a thousand (double) are those of
float32; pixels made of the same tokens differ by at most 0.004, 0.03 and 10⁻⁵, in [0, 1].
"""

import copy

import pytest
import torch

from workbench.models.generator import Generator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import Pair
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.sampling import Controls, Given, keep_coarse, sample
from workbench.quantizers.registry import make_quantizer
from workbench.tasks.generate import Order, finished, generate

WAYS = {"half": (0.98, 0.004), "bfloat16": (0.95, 0.03), "double": (0.999, 1e-5)}
PYRAMID = {"name": "multiscale", "base": "leech", "scales": [1, 2, 4, 8], "gains": [1.5, 1.2, 1.0, 0.8], "refine": 0.5}
KINDS = {
    "conv": lambda: GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}),
    "vit": lambda: GridTokenizer(body=body_preset("vit-tiny-8"), quantizer={"name": "leech"}),
    "residual": lambda: GridTokenizer(
        body=body_preset("conv-tiny-8"), quantizer={"name": "residual", "depths": ["leech", "leech"]}
    ),
    "vq": lambda: GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "vq", "dimension": 24, "size": 64}),
    "pyramid": lambda: PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=PYRAMID),
}


def make(kind):
    torch.manual_seed(0)
    tokenizer = KINDS[kind]().eval()
    if kind == "vq":
        tokenizer.quantizer.codebook.normal_()
    return tokenizer


def smooth(*shape):
    """Pictures with something in every patch, neither flat nor noise."""
    return torch.nn.functional.interpolate(torch.rand(*shape[:2], 16, 16), shape[2:], mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_pixels_are_those_of_float32(kind, way):
    tokenizer = make(kind)
    images = smooth(4, 3, 64, 64)
    tokens = tokenizer.tokenize(images)
    pixels = tokenizer.detokenize(tokens)
    changed = getattr(copy.deepcopy(tokenizer), way)()
    assert changed.dtype == getattr(torch, "float16" if way == "half" else "float64" if way == "double" else way)
    share, most = WAYS[way]
    assert (changed.tokenize(images) == tokens).float().mean() >= share
    assert (changed.tokenize(getattr(images, way)()) == tokens).float().mean() >= share - 0.05  # pictures rounded too
    again = changed.detokenize(tokens)
    assert again.dtype == torch.float32
    assert (again - pixels).abs().max() <= most
    assert changed.reconstruct(images[0]).image.shape == (64, 64, 3)
    assert changed.code_map(tokens).equal(tokenizer.code_map(tokens))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["conv", "residual"])
def test_refinement_gains_what_it_gains_in_float32(kind, way):
    tokenizer = make(kind)
    picture = smooth(1, 3, 48, 48)[0]

    def error(model, effort):
        tokens = model.tokenize(picture[None], effort=effort)
        return float((tokenizer.detokenize(tokens)[0] - picture).square().mean())

    changed = getattr(copy.deepcopy(tokenizer), way)()
    gain = error(tokenizer, 0) - error(tokenizer, 2)
    assert gain > 0
    assert error(changed, 0) - error(changed, 2) > 0.8 * gain


@pytest.mark.parametrize("way", WAYS)
def test_a_quantizer_keeps_its_type(way):
    for settings in (PYRAMID, {"name": "vq", "dimension": 24, "size": 8}):
        quantizer = make_quantizer(**settings)
        before = {key: value.clone() for key, value in quantizer.state_dict().items()}
        getattr(quantizer, way)()
        assert all(torch.equal(value, before[key]) for key, value in quantizer.state_dict().items())
    assert quantizer.to("meta").codebook.device.type == "meta"


def pair(head):
    torch.manual_seed(0)
    tokenizer = make("pyramid")
    generator = Generator(
        trunk={"width": 32, "depth": 2, "heads": 2},
        head=head,
        scales=PYRAMID["scales"],
        classes=["a", "b"],
        tokenizer={"name": "pyramid", "code": "leech"},
    ).eval()
    for parameter in generator.parameters():  # as if trained: nothing is zero
        parameter.data += 0.05 * torch.randn_like(parameter)
    return Pair(generator, tokenizer)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("head", ["lattice", "digits", "full"])
def test_a_generator_gives_the_probabilities_of_float32(head, way):
    models = pair({"kind": head} | ({"components": 2, "table": True} if head == "lattice" else {}))
    generator, quantizer = models.generator, models.tokenizer.quantizer
    rows = models.tokenizer.tokenize(smooth(2, 3, 64, 64))
    labels, weights = torch.tensor([0, 1]), torch.ones(rows.shape)
    with torch.no_grad():
        _, nats = generator(quantizer.inputs(rows), labels, rows, weights)
        changed = getattr(copy.deepcopy(generator), way)()
        _, again = changed(quantizer.inputs(rows), labels, rows, weights)
        changed(quantizer.inputs(rows), torch.tensor([[0.5, 0.5], [0.0, 1.0]]), rows, weights)
    assert again.dtype == torch.float32
    assert (again - nats).abs().max() < {"half": 0.02, "bfloat16": 0.2, "double": 1e-3}[way]


@pytest.mark.parametrize("way", WAYS)
def test_pictures_are_drawn_and_held(way):
    models = pair({"kind": "lattice"})
    changed = Pair(*(getattr(copy.deepcopy(each), way)() for each in (models.generator, models.tokenizer)))
    controls = Controls(temperature=0.0, guidance=1.5)
    order = Order(["a", "b"], seed=1, controls=controls)
    drawn, again = finished(generate(models, order)), finished(generate(changed, order))
    assert again.images.shape == (2, 64, 64, 3)
    assert (again.indices[:, :1] == drawn.indices[:, :1]).all()  # the first scale; later ones build on it
    latents = changed.tokenizer.encode(smooth(1, 3, 64, 64))
    quantizer = changed.tokenizer.quantizer
    given = Given(latents, keep_coarse(2, quantizer.scales))
    *_, last = sample(
        changed.generator, quantizer, torch.tensor([0]), generator=torch.Generator(), controls=controls, given=given
    )
    assert torch.equal(last.indices[:, :5], quantizer(latents).indices[:, :5])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_gpu_gives_the_tokens_and_pixels_of_the_processor(kind, dtype):
    tokenizer = make(kind)
    images = smooth(4, 3, 64, 64)
    tokens = tokenizer.tokenize(images)
    moved = copy.deepcopy(tokenizer).to("cuda", dtype)
    found = moved.tokenize(images)
    assert found.device.type == "cuda"
    share, most = WAYS["bfloat16"]
    assert (found.cpu() == tokens).float().mean() >= share
    assert (moved.detokenize(tokens).cpu() - tokenizer.detokenize(tokens)).abs().max() <= most
    effort = 1 if kind in ("conv", "residual") else 0
    assert moved.reconstruct(images[0], effort=effort).image.shape == (64, 64, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_gpu_draws_pictures(dtype):
    models = pair({"kind": "lattice"})
    moved = Pair(*(copy.deepcopy(each).to("cuda", dtype) for each in (models.generator, models.tokenizer)))
    assert finished(generate(moved, Order(["a"], seed=1))).images.shape == (1, 64, 64, 3)
