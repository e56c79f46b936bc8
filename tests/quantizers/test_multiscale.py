"""A pyramid of code grids: what is decoded is what was quantized, prefixes are truncations, gains make it converge."""

import itertools

import pytest
import torch
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.quantizers.multiscale import SCHEDULES, MultiScaleResidualQuantizer
from workbench.quantizers.registry import make_quantizer


def make(**settings):
    return make_quantizer("multiscale", base="leech", **({"scales": [1, 2, 4]} | settings)).eval()


def maps(n=4, side=4, seed=0):
    """Smooth maps with some detail, as latents are."""
    generator = torch.Generator().manual_seed(seed)
    coarse = F.interpolate(torch.randn(n, 24, 2, 2, generator=generator), size=(side, side), mode="bicubic")
    return coarse + 0.3 * torch.randn(n, 24, side, side, generator=generator)


@pytest.mark.parametrize("settings", [{}, {"up": "bilinear", "refine": 0.5, "gains": [3.0, 2.0, 0.7]}])
def test_decoding_the_indices_gives_what_the_forward_pass_gave(settings):
    quantizer = make(**settings)
    result = quantizer(maps())
    assert result.indices.shape == (4, 21)
    assert result.indices.dtype == torch.int64
    decoded = quantizer.indices_to_codes(result.indices)
    assert (decoded - result.quantized).abs().max() < 1e-5


def test_a_prefix_of_the_scales_is_the_sum_so_far():
    quantizer = make(gains=[2.0, 1.5, 1.0])
    indices = quantizer(maps()).indices
    grids = quantizer.split(indices)
    assert [tuple(grid.shape) for grid in grids] == [(4, 1, 1), (4, 2, 2), (4, 4, 4)]
    assert torch.equal(torch.cat([grid.flatten(1) for grid in grids], 1), indices)
    total = torch.zeros(4, 24, 4, 4)
    for step, grid in enumerate(grids):
        total = quantizer.add(total, grid, step)
        assert torch.equal(quantizer.indices_to_codes(indices[:, : quantizer.starts[step + 1]]), total)
    by_hand = sum(
        gain * F.interpolate(quantizer.base.indices_to_codes(grid), size=(4, 4), mode="bicubic")
        for gain, grid in zip([2.0, 1.5, 1.0], grids, strict=True)
    )
    assert (total - by_hand).abs().max() < 1e-5


def test_dropout_ends_a_share_of_the_batch_after_a_scale_and_its_gradient_there():
    quantizer = make(gains=[2.0, 1.5, 1.0], dropout=0.5).train()
    ends = set()
    for seed in range(12):
        torch.manual_seed(seed)
        z = maps().requires_grad_()
        result = quantizer(z)
        prefixes = [quantizer.indices_to_codes(result.indices[:, :end]) for end in quantizer.starts[1:]]
        assert torch.allclose(result.quantized[2:], prefixes[-1][2:], atol=1e-5)
        [found] = [
            step for step, codes in enumerate(prefixes) if torch.allclose(codes[:2], result.quantized[:2], atol=1e-5)
        ]
        ends.add(found)
        (slope,) = torch.autograd.grad(result.quantized[:, :, 0, 0].sum(), z)
        side = quantizer.side // quantizer.scales[found]  # one cell of that scale: its mean is all that is felt
        corner = slope[:2, :, :side, :side]
        assert torch.allclose(corner, corner[:, :, :1, :1].expand_as(corner), atol=1e-6)
        assert slope[2:, :, 0, 0].eq(1).all()
        assert slope[2:].sum() == 2 * 24
    assert ends == {0, 1, 2}
    assert torch.equal(quantizer.eval()(maps()).quantized, make(gains=[2.0, 1.5, 1.0])(maps()).quantized)


def test_inputs_are_the_sums_so_far_at_each_grid():
    quantizer = make()
    indices = quantizer(maps()).indices
    inputs = quantizer.inputs(indices)
    assert inputs.shape == (4, 20, 24)
    for step, (first, last) in enumerate([(0, 4), (4, 20)], start=1):
        scale = quantizer.scales[step]
        so_far = quantizer.indices_to_codes(indices[:, : quantizer.starts[step]])
        expected = F.adaptive_avg_pool2d(so_far, scale).flatten(2).mT
        assert (inputs[:, first:last] - expected).abs().max() < 1e-6


def test_unit_codes_do_not_converge_and_gains_do():
    torch.manual_seed(0)
    points = F.normalize(torch.randn(2000, 24), dim=1)
    base = make_quantizer("leech")
    for gains, expected in (([1.0] * 4, [0.447, 0.406, 0.423]), ([0.776, 0.489, 0.308, 0.194], [0.397, 0.158, 0.063])):
        rest, errors = points.clone(), []
        for gain in gains:
            rest = rest - gain * base(rest).quantized
            errors.append(rest.square().sum(1).mean().item())
        assert errors[:3] == pytest.approx(expected, abs=0.01)


def test_gains_that_follow_the_data_lower_the_error_at_every_scale():
    quantizer = make(adapt=0.5)
    quantizer.train()
    z = maps(32)
    for _ in range(12):
        result = quantizer(z)
    followed = quantizer.gains.clone()
    with torch.no_grad():
        quantizer(z)
    quantizer.eval()(z)
    assert torch.equal(quantizer.gains, followed)  # looking changes nothing
    fresh = maps(32, seed=1)
    indices = quantizer(fresh).indices
    errors = [fresh.square().sum(1).mean().item()]
    for stop in quantizer.starts[1:]:
        errors.append((fresh - quantizer.indices_to_codes(indices[:, :stop])).square().sum(1).mean().item())
    assert all(after < before for before, after in itertools.pairwise(errors))
    assert float(result.info["error_4"]) < float(result.info["error_2"])


def test_the_gradient_goes_straight_through_and_reaches_the_convolutions():
    quantizer = make(refine=0.5, adapt=0.1, commitment=0.25)
    quantizer.train()
    z = maps().requires_grad_()
    result = quantizer(z)
    weights = torch.randn(result.quantized.shape)
    grad_z, grad_conv = torch.autograd.grad(
        (result.quantized * weights).sum(), [z, quantizer.convolutions[2].weight], retain_graph=True
    )
    assert torch.equal(grad_z, weights)
    assert grad_conv.abs().max() > 0
    slope = torch.autograd.grad(result.aux_loss, z)[0]
    expected = (z - result.quantized).detach()
    assert F.cosine_similarity(slope.flatten(), expected.flatten(), dim=0) > 0.999


def test_corrected_rows_answer_to_the_mistakes():
    quantizer = make(gains=[2.0, 1.5, 1.0])
    rows = quantizer(maps()).indices
    generator = torch.Generator().manual_seed(0)
    inputs, targets = quantizer.corrected(rows, share=0.0, generator=generator)
    assert torch.equal(targets[:, :1], rows[:, :1])
    assert (inputs[:, :4] - quantizer.inputs(rows)[:, :4]).abs().max() < 1e-6
    wrong_inputs, wrong_targets = quantizer.corrected(rows, share=1.0, generator=generator, until=1)
    assert torch.equal(wrong_targets[:, :1], rows[:, :1])
    assert (wrong_inputs[:, :4] - inputs[:, :4]).abs().max() > 0.1
    assert (wrong_targets[:, 1:] != targets[:, 1:]).float().mean() > 0.5


def test_schedules_and_wrong_arguments():
    assert make(scales="small").length == 130
    assert sum(side**2 for side in SCHEDULES["dynamic"]) == 521
    assert sum(side**2 for side in SCHEDULES["original"]) == 680
    assert make(gains="published").gains.tolist() == [1.0, 1.0, 1.0]
    quantizer = make()
    with pytest.raises(InputError, match="ascending"):
        make(scales=[2, 2, 4])
    with pytest.raises(InputError, match="expected 3 gains"):
        make(gains=[1.0])
    with pytest.raises(InputError, match="known: small"):
        make(scales="smal")
    with pytest.raises(InputError, match=r"maps of shape \(B, 24, 4, 4\)"):
        quantizer(torch.zeros(1, 24, 8, 8))
    with pytest.raises(InputError, match="end with a scale, of length 1, 5, 21"):
        quantizer.indices_to_codes(torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(InputError, match=r"lie in \[0, 196560\)"):
        quantizer.indices_to_codes(torch.full((1, 5), 196560))
    assert isinstance(quantizer, MultiScaleResidualQuantizer)
