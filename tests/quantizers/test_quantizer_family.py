"""What holds for every quantizer: nearest, inverse, differentiable, frozen, and the same under every precision."""

import copy

import numpy as np
import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.quantizers.quantizer import QuantizeResult
from workbench.quantizers.registry import make_quantizer, quantizer_names

OWN = Code("own", np.array([[1, 0, 0], [0, 2, 0], [0, 0, -3], [-1, -1, 1]], dtype=np.int8), 1.0)
FAMILY = {
    "leech": {"name": "leech"},
    "leech4": {"name": "leech4"},
    "leech-shell3": {"name": "leech-shell3"},
    "bsq": {"name": "bsq", "dimension": 10},
    "lfq": {"name": "lfq", "dimension": 7},
    "fsq": {"name": "fsq", "levels": [5, 4, 2, 7]},
    "random": {"name": "random", "size": 700, "dimension": 8, "seed": 1},
    "fibonacci": {"name": "fibonacci", "size": 300, "dimension": 4},
    "e8": {"name": "e8"},
    "bw16": {"name": "bw16"},
    "k12": {"name": "k12"},
    "own": {"name": OWN},
    "vq": {"name": "vq", "size": 32, "dimension": 5},
    "product": {"name": "product", "parts": ["e8", {"name": "bsq", "dimension": 3}]},
    "residual": {"name": "residual", "depths": ["e8", "e8"]},
}


def build(name, **settings):
    quantizer = make_quantizer(**FAMILY[name], **settings)
    if name == "vq":
        quantizer(torch.randn(200, 5, generator=torch.Generator().manual_seed(9)))
    return quantizer.eval()


@pytest.fixture(params=sorted(FAMILY))
def name(request):
    return request.param


def rows_of(quantizer, count=40, seed=0):
    return torch.randn(count, quantizer.dimension, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "which", ["bsq", "lfq", "fsq", "random", "fibonacci", "e8", "bw16", "k12", "own", "vq", "product"]
)
def test_search_is_exhaustive_search(which):
    quantizer = build(which)
    codes = quantizer.lookup(torch.arange(quantizer.size)).double()
    assert len(torch.unique(codes, dim=0)) == quantizer.size
    points = quantizer.project(rows_of(quantizer, 300).double())
    distances = torch.cdist(points, codes, compute_mode="donot_use_mm_for_euclid_dist")
    two, nearest = distances.topk(2, dim=1, largest=False)
    found = quantizer.search(points)
    clear = two[:, 1] - two[:, 0] > 1e-9
    assert clear.float().mean() > 0.99
    assert torch.equal(found[clear], nearest[clear, 0])


def test_indices_and_codes_are_inverse(name):
    quantizer = build(name)
    generator = torch.Generator().manual_seed(0)
    if name == "residual":
        indices = quantizer(rows_of(quantizer)).indices
    else:
        last = min(quantizer.size, 1 << 40)
        indices = torch.cat([torch.tensor([0, quantizer.size - 1]), torch.randint(last, (40,), generator=generator)])
    codes = quantizer.indices_to_codes(indices)
    assert codes.dtype == torch.float32
    assert torch.equal(quantizer.codes_to_indices(codes), indices)
    assert torch.equal(quantizer.indices_to_codes(quantizer.codes_to_indices(codes)), codes)


def test_forward_gives_codewords_indices_and_a_gradient(name):
    quantizer = build(name)
    z = rows_of(quantizer).requires_grad_()
    result = quantizer(z)
    quantized, indices, aux_loss = result
    assert indices.dtype == torch.int64
    assert aux_loss.shape == ()
    assert aux_loss == 0
    assert torch.equal(quantized, quantizer.indices_to_codes(indices))
    (quantized * torch.randn(quantized.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    assert z.grad.isfinite().all()
    assert (z.grad.abs().sum(1) > 0).all()


def test_nothing_trains_that_should_not(name):
    quantizer = build(name)
    assert list(quantizer.parameters()) == []
    learned = {"vq": {"codebook", "counts", "updates"}}
    assert set(quantizer.state_dict()) == learned.get(name, set())
    before = copy.deepcopy(quantizer)
    quantizer(rows_of(quantizer))
    after = dict(quantizer.named_buffers())
    assert all(torch.equal(tensor, after[key]) for key, tensor in before.named_buffers())


def test_training_moves_learned_codebooks_only(name):
    quantizer = build(name).train()
    z = rows_of(quantizer, seed=1)
    first, book = quantizer(z).indices, {key: buffer.clone() for key, buffer in quantizer.named_buffers()}
    assert torch.equal(quantizer(z).indices, first) or name == "vq"
    moved = any(not torch.equal(book[key], buffer) for key, buffer in quantizer.named_buffers())
    assert moved == (name == "vq")


def test_zero_has_an_answer_and_a_finite_gradient(name):
    quantizer = build(name)
    z = torch.zeros(3, quantizer.dimension, requires_grad=True)
    result = quantizer(z)
    result.quantized.sum().backward()
    assert z.grad.isfinite().all()
    assert (result.indices == result.indices[:1]).all()
    if name in {"leech", "leech-shell3", "e8", "bw16", "k12", "bsq", "lfq", "leech4"}:
        assert (result.indices == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_precision_gives_the_indices_of_float32(name, dtype):
    quantizer = build(name)
    z = rows_of(quantizer, 200).to(torch.bfloat16)  # values that every type holds exactly
    low, full = quantizer(z.to(dtype)), quantizer(z.float())
    assert torch.equal(low.indices, full.indices)
    assert low.quantized.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = quantizer(z.float())
    assert torch.equal(cast.indices, full.indices)
    assert torch.equal(cast.quantized, full.quantized)


def test_a_halved_module_keeps_its_codewords(name):
    quantizer = build(name)
    if name == "vq":
        pytest.skip("a learned codebook is weights and is rounded with them")
    z = rows_of(quantizer)
    indices = quantizer(z).indices
    codes = quantizer.indices_to_codes(indices)
    assert torch.equal(quantizer.half().indices_to_codes(indices), codes)


def test_layouts_agree(name):
    quantizer = build(name)
    z = torch.randn(2, quantizer.dimension, 3, 4, generator=torch.Generator().manual_seed(0))
    first = quantizer(z)
    last = quantizer(z.movedim(1, -1), channel_first=False)
    assert torch.equal(first.indices, last.indices)
    assert first.indices.shape[:3] == (2, 3, 4)
    assert torch.equal(first.quantized, last.quantized.movedim(-1, 1))
    assert torch.equal(quantizer.indices_to_codes(first.indices), first.quantized)
    assert torch.equal(quantizer.codes_to_indices(first.quantized), first.indices)
    assert torch.equal(quantizer.indices_to_codes(first.indices, channel_first=False), last.quantized)
    sequence = quantizer(z.flatten(2), channel_first=True)
    assert torch.equal(sequence.indices.flatten(1), first.indices.flatten(1))
    assert quantizer(z[:0]).indices.shape[0] == 0


def test_scale_multiplies_codewords_and_nothing_else(name):
    plain, scaled = build(name), build(name, scale=3.0)
    z = rows_of(plain)
    one, three = plain(z), scaled(z)
    assert torch.equal(one.indices, three.indices)
    torch.testing.assert_close(three.quantized, 3 * one.quantized)
    assert torch.equal(scaled.codes_to_indices(three.quantized), three.indices)


def test_result_is_a_pytree():
    result = build("e8")(torch.randn(3, 8))
    leaves, tree = tree_flatten(result)
    again = tree_unflatten(leaves, tree)
    assert isinstance(again, QuantizeResult)
    assert torch.equal(again.indices, result.indices)
    assert again.info.keys() == result.info.keys() == {"squared_error", "norm"}


def test_info_is_what_it_says():
    quantizer = build("leech")
    z = rows_of(quantizer)
    result = quantizer(z)
    unit = z / z.norm(dim=1, keepdim=True)
    torch.testing.assert_close(result.info["squared_error"], (unit - result.quantized).square().sum(1).mean())
    torch.testing.assert_close(result.info["norm"], z.norm(dim=1).mean())


def test_bits_are_not_rounded_up():
    assert make_quantizer("leech").bits_per_index == pytest.approx(17.585, abs=5e-4)
    assert make_quantizer("bsq", dimension=18).bits_per_index == 18
    assert make_quantizer("fsq", levels=[8, 8, 8, 6, 8, 8]).size == 196_608


def test_fingerprints_tell_quantizers_apart():
    prints = [build(which).fingerprint for which in sorted(FAMILY)]
    assert len(set(prints)) == len(prints)
    assert build("leech").fingerprint.startswith("c1a07712983c")
    assert make_quantizer("fsq", levels=[4, 6]).fingerprint != make_quantizer("fsq", levels=[6, 4]).fingerprint


@pytest.mark.slow
def test_leech_compiles_whole():
    quantizer = build("leech")
    compiled = torch.compile(quantizer, fullgraph=True, backend="aot_eager")
    z = rows_of(quantizer).requires_grad_()
    result = compiled(z)
    assert torch.equal(result.indices, quantizer(z).indices)
    result.quantized.square().sum().backward()
    assert z.grad.isfinite().all()


def test_names_are_known_and_unknown_ones_get_a_hint():
    assert {*FAMILY} - {"own"} <= {*quantizer_names()}
    with pytest.raises(InputError, match="did you mean 'leech'"):
        make_quantizer("leach")
    with pytest.raises(InputError, match="did you mean 'rotation'"):
        make_quantizer("e8", estimator="rotate")
    with pytest.raises(InputError, match=r"takes dimension, estimator, scale; got .*levels"):
        make_quantizer("bsq", levels=[3])
    with pytest.raises(InputError, match="'e8' has dimension 8, got 24"):
        make_quantizer("e8", dimension=24)


def test_wrong_dimension_names_both(name):
    quantizer = build(name)
    with pytest.raises(InputError, match=rf"expected {quantizer.dimension} channels on axis -1, got 99"):
        quantizer(torch.zeros(2, 99))
    with pytest.raises(InputError, match=r"expected a floating tensor, got torch\.int64"):
        quantizer(torch.zeros(2, quantizer.dimension, dtype=torch.int64))


def test_indices_out_of_range_name_both(name):
    quantizer = build(name)
    tail = (len(quantizer.depths),) if name == "residual" else ()
    size = 240 if name == "residual" else quantizer.size
    for wrong in (size, -1):
        with pytest.raises(InputError, match=rf"lie in \[0, {size}\), got {wrong}"):
            quantizer.indices_to_codes(torch.full((2, *tail), wrong))
    with pytest.raises(InputError, match="expected integer indices"):
        quantizer.indices_to_codes(torch.zeros(2, *tail))


def test_rows_that_are_not_finite_are_named(name):
    quantizer = build(name)
    z = rows_of(quantizer)
    z[7, 1] = torch.nan
    with pytest.raises(InputError, match="row 7"):
        quantizer(z)


def test_codes_with_zero_or_repeated_points_are_refused():
    with pytest.raises(InputError, match="row 1 is zero"):
        make_quantizer(Code("x", np.array([[1, 0], [0, 0]], dtype=np.int8), 1.0))
    with pytest.raises(InputError, match="3 points of which only 2 differ"):
        make_quantizer(Code("x", np.array([[1, 0], [0, 1], [1, 0]], dtype=np.int8), 1.0))
