"""The generator: no scale sees a finer one, step by step equals all at once, and sampling keeps its promises."""

import json

import pytest
import torch

from workbench.errors import InputError, ModelError
from workbench.models.generator import Generator, class_index
from workbench.models.generator_presets import TRUNKS, trunk_preset
from workbench.models.heads.digits import DigitsHead
from workbench.models.heads.head import Sampling
from workbench.models.sampling import Controls, Given, keep_coarse, keep_outside, sample
from workbench.models.transformer import Cache, Transformer, _flexible, attend, block_causal, levels_of
from workbench.quantizers.registry import make_quantizer

SCALES = (1, 2, 4)


@pytest.fixture(scope="module")
def quantizer():
    return make_quantizer("multiscale", base="leech", scales=list(SCALES), gains=[2.0, 1.5, 1.0]).eval()


def make(modulation="shared", head=None, **settings):
    torch.manual_seed(0)
    model = Generator(
        trunk=trunk_preset("nano") | {"modulation": modulation},
        head=head or {"kind": "digits"},
        scales=SCALES,
        classes=["daisy", "roses"],
        tokenizer={"name": "pyramid", "code": "leech"},
        **settings,
    ).eval()
    with torch.no_grad():  # away from the quiet start
        for parameter in model.trunk.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model


def tokens(n=3, seed=1):
    return torch.randint(0, 196560, (n, 21), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("modulation", ["shared", "unshared"])
@torch.no_grad()
def test_scale_by_scale_equals_all_at_once(quantizer, modulation):
    model = make(modulation)
    inputs, labels = quantizer.inputs(tokens()), torch.tensor([0, 1, -1])
    whole = model.features(inputs, labels)
    cache, condition = Cache(), model.condition(labels)
    parts = []
    for step, (start, stop) in enumerate(zip(model.starts, model.starts[1:], strict=False)):
        seen = None if step == 0 else inputs[:, start - 1 : stop - 1]
        parts.append(model.features_of_scale(step, seen, condition, cache))
    assert (torch.cat(parts, 1) - whole).abs().max() < 1e-4


@torch.no_grad()
def test_no_scale_sees_a_finer_one_or_itself(quantizer):
    model = make()
    rows = tokens(1)
    labels = torch.tensor([0])
    before = model.features(quantizer.inputs(rows), labels)
    for step, (start, stop) in enumerate(zip(model.starts, model.starts[1:], strict=False)):
        changed = rows.clone()
        changed[:, start:stop] = (changed[:, start:stop] + 5000) % 196560
        after = model.features(quantizer.inputs(changed), labels)
        assert torch.equal(after[:, :stop], before[:, :stop])
        if step < 2:
            assert (after[:, stop:] - before[:, stop:]).abs().max() > 1e-3


def test_the_mask_and_its_two_ways_agree():
    levels = levels_of(SCALES)
    mask = block_causal(levels)
    assert mask.shape == (21, 21)
    assert mask[0].tolist() == [True] + [False] * 20
    assert mask[1].tolist() == [True] * 5 + [False] * 16
    assert mask[20].all()
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 2, 21, 16).unbind(0)
    ours = attend(queries, keys, values, levels)
    with pytest.warns(UserWarning, match="flex_attention called without"):
        assert (_flexible(queries, keys, values, levels) - ours).abs().max() < 1e-5


@torch.no_grad()
def test_cells_that_are_left_out_are_as_if_their_scale_were_smaller(quantizer):
    """Coarser cells never see the finest ones; and a finest cell alone sees just the coarser ones and itself."""
    model, rows, labels = make(), tokens(2), torch.tensor([0, 1])
    inputs = quantizer.inputs(rows)
    whole = model.features(inputs, labels)
    some = torch.tensor([0, 1, 2, 3, 4, 9, 17])
    part = model.features(inputs, labels, some)
    assert torch.allclose(part[:, :5], whole[:, :5], atol=1e-6)
    assert (part[:, 5:] - whole[:, some[5:]]).abs().max() > 1e-5  # neighbours are missing
    assert torch.allclose(model.features(inputs, labels, torch.arange(21)), whole, atol=1e-6)
    changed = inputs.clone()
    changed[:, 9] += 1  # cell 10, which is left out
    assert torch.equal(model.features(changed, labels, some), part)


@torch.no_grad()
def test_positions_matter_and_classes_matter(quantizer):
    model = make()
    inputs = quantizer.inputs(tokens(1)).expand(2, -1, -1)
    features = model.features(inputs, torch.tensor([0, 1]))
    assert (features[0] - features[1]).abs().max() > 1e-3
    flat = model.features(torch.zeros(1, 20, 24), torch.tensor([0]))
    assert (flat[0, 5] - flat[0, 20]).abs().max() > 1e-4
    shares = model.condition(torch.tensor([[0.5, 0.5]]))
    assert (shares - model.condition(torch.tensor([0, 1])).mean(0)).abs().max() < 1e-6


def test_the_loss_is_the_weighted_negative_log_likelihood(quantizer):
    model = make()
    rows, labels = tokens(), torch.tensor([0, 1, 0])
    inputs = quantizer.inputs(rows)
    weights = torch.rand(3, 21)
    loss, nll = model(inputs, labels, rows, weights)
    log_prob = model.head.log_prob(model.features(inputs, labels), rows)
    assert loss.item() == pytest.approx(-(weights * log_prob).sum().item(), rel=1e-5)
    assert (nll + log_prob).abs().max() < 1e-4
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_class_is_withheld_now_and_then(quantizer):
    model = make(class_dropout=0.5)
    inputs = quantizer.inputs(tokens(1)).expand(200, -1, -1)
    labels = torch.zeros(200, dtype=torch.int64)
    model.train()
    torch.manual_seed(0)
    with torch.no_grad():
        features = model.features(inputs, labels)
        model.eval()
        none = model.features(inputs[:1], torch.tensor([-1]))
    without = ((features - none).abs().amax((1, 2)) < 1e-4).float().mean()
    assert 0.35 < float(without) < 0.65


def last(*args, **kwargs):
    *_, stage = sample(*args, **kwargs)
    return stage


def test_sampling_streams_scales_and_repeats_itself(quantizer):
    model = make(head={"kind": "lattice", "components": 2})
    labels = torch.tensor([0, 1])

    def draw(seed, **controls):
        return list(
            sample(
                model, quantizer, labels, generator=torch.Generator().manual_seed(seed), controls=Controls(**controls)
            )
        )

    stages = draw(0)
    assert [stage.scale for stage in stages] == [1, 2, 4]
    assert [stage.indices.shape[1] for stage in stages] == [1, 5, 21]
    assert torch.equal(stages[2].indices[:, :5], stages[1].indices)
    assert torch.equal(draw(0)[2].indices, stages[2].indices)
    assert not torch.equal(draw(1)[2].indices, stages[2].indices)
    greedy = draw(0, temperature=0.0, top_k=5)[2].indices
    assert torch.equal(draw(1, temperature=0.0)[2].indices, greedy)
    stopped = sample(model, quantizer, labels, generator=torch.Generator(), stop=lambda: True)
    assert list(stopped) == []


def test_controls_may_differ_by_scale():
    controls = Controls(temperature=(1.0, 0.5), top_k=(100, 60, 7), top_p=None, guidance=2.0)
    assert controls.at(0, 3) == Sampling(temperature=1.0, top_k=100, top_p=None, guidance=2.0)
    assert controls.at(1, 3) == Sampling(temperature=0.75, top_k=60, top_p=None, guidance=2.0)
    assert controls.at(2, 3).top_k == 7
    with pytest.raises(InputError, match=r"guidance takes one value, two \(first and last scale\) or 3, got 4"):
        Controls(guidance=(1.0, 2.0, 3.0, 4.0)).at(0, 3)


@torch.no_grad()
def test_guidance_of_one_needs_no_second_pass_and_more_changes_the_law(quantizer, monkeypatch):
    model = make()
    seen = []
    plain = DigitsHead.sample

    def spy(self, features, **settings):
        seen.append((len(features), settings["unconditional"] is None))
        return plain(self, features, **settings)

    monkeypatch.setattr(DigitsHead, "sample", spy)
    one = last(
        model, quantizer, torch.tensor([0]), generator=torch.Generator().manual_seed(0), controls=Controls(guidance=1.0)
    )
    assert seen == [(1, True)] * 3
    more = last(
        model, quantizer, torch.tensor([0]), generator=torch.Generator().manual_seed(0), controls=Controls(guidance=9.0)
    )
    assert seen[3:] == [(1, False)] * 3
    assert not torch.equal(one.indices, more.indices)


@torch.no_grad()
def test_kept_cells_take_the_given_picture(quantizer):
    model = make()
    latents = torch.randn(1, 24, 4, 4)
    own = quantizer(latents).indices
    generator = torch.Generator().manual_seed(0)
    nothing = torch.zeros(1, 32, 32, dtype=torch.bool)
    labels = torch.tensor([0, 1])
    kept = last(model, quantizer, labels, generator=generator, given=Given(latents, keep_outside(nothing, SCALES)))
    assert torch.equal(kept.indices, own.expand(2, -1))
    fine = last(model, quantizer, labels, generator=generator, given=Given(latents, keep_coarse(2, SCALES)))
    assert torch.equal(fine.indices[:, :5], own[:, :5].expand(2, -1))
    assert (fine.indices[:, 5:] != own[:, 5:]).float().mean() > 0.9
    # fill in the left half: the right half stays as near to the given picture as the codes allow
    left = nothing.clone()
    left[:, :, :16] = True
    keep = keep_outside(left, SCALES)
    assert [mask.tolist() for mask in keep[:2]] == [[[[False]]], [[[False, True], [False, True]]]]
    filled = last(model, quantizer, labels, generator=generator, given=Given(latents, keep))
    missing = latents - quantizer.indices_to_codes(filled.indices[:, :5])
    best = quantizer.base(missing).indices
    assert torch.equal(filled.indices[:, 5:].unflatten(1, (4, 4))[:, :, 2:], best[:, :, 2:])
    with pytest.raises(InputError, match="a mask for each scale"):
        last(model, quantizer, labels, generator=generator, given=Given(latents, keep[:2]))


def test_files_keep_the_law(quantizer, tmp_path):
    model = make(head={"kind": "lattice", "components": 2, "word_logits": True, "table": True}).half().float()
    model.head.set_frequencies(torch.arange(196560) % 7)
    model.save_pretrained(tmp_path)
    again = Generator.from_pretrained(tmp_path)
    rows, labels = tokens(1), torch.tensor([1])
    with torch.no_grad():
        ours, theirs = (each.features(quantizer.inputs(rows), labels) for each in (model, again))
        assert torch.equal(ours, theirs)
        assert (model.head.log_prob(ours, rows) - again.head.log_prob(theirs, rows)).abs().max() < 0.02
        assert again.head.log_probs(theirs[:, :1]).double().logsumexp(-1).abs().max() < 1e-4
    assert again.weights_hash
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"head": {"kind": "lattice", "componants": 2}}))
    with pytest.raises(ModelError, match="does not describe a generator"):
        Generator.from_pretrained(tmp_path)


def test_presets_have_the_published_sizes():
    with torch.device("meta"):
        for name, millions in (("layer12", 89.7), ("layer24", 1025.0)):
            trunk = Transformer(scales=(1, 2, 4), **TRUNKS[name])
            assert sum(p.numel() for p in trunk.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)


def test_classes_by_name_or_number():
    names = ["daisy", "Roses"]
    assert [class_index(names, label) for label in ("roses", "Daisy", 1, "0", "none")] == [1, 0, 1, 0, -1]
    with pytest.raises(InputError, match="did you mean 'Roses'"):
        class_index(names, "Rosses")
    with pytest.raises(InputError, match=r"\[0, 2\), got 2"):
        class_index(names, 2)


def test_what_does_not_fit_is_refused(quantizer):
    model = make()
    with pytest.raises(InputError, match=r"labels lie in \[0, 2\)"):
        model.condition(torch.tensor([2]))
    other = make_quantizer("multiscale", base="leech", scales=[1, 4])
    with pytest.raises(ModelError, match=r"draws scales \[1, 2, 4\], the tokenizer has \[1, 4\]"):
        last(model, other, torch.tensor([0]), generator=torch.Generator())
    with pytest.raises(InputError, match="did you mean 'digits'"):
        make(head={"kind": "digit"})
    with pytest.raises(InputError, match="must be a multiple of heads=3"):
        Transformer(width=64, depth=1, heads=3, scales=(1,))
    with pytest.raises(InputError, match="unknown trunk"):
        trunk_preset("huge")
