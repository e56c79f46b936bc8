"""Three heads, one interface: what they say of single codewords, of all of them, and what they draw, agree."""

import math

import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code
from workbench.lattices.partition.logs import digits_of
from workbench.models.heads.digits import DigitsHead, published_loss
from workbench.models.heads.full import FullHead
from workbench.models.heads.head import Sampling, draw
from workbench.models.heads.lattice import LatticeHead

CODE = "leech"
WIDTH = 8
MAKERS = {
    "full": lambda code: FullHead(WIDTH, code, chunk=2),
    "digits": lambda code: DigitsHead(WIDTH, code),
    "lattice": lambda code: LatticeHead(WIDTH, code, chunk=2),
    "lattice-3": lambda code: LatticeHead(WIDTH, code, components=3, word_logits=True, table=True, chunk=2),
    "full-table": lambda code: FullHead(WIDTH, code, table=True, chunk=2),
    "lattice-table": lambda code: LatticeHead(WIDTH, code, table=True, chunk=2),
}
NORMALISED = [name for name in MAKERS if name != "digits"]


def make(name, seed=0, spread=0.7):
    """A head with weights large enough that its law is far from uniform."""
    generator = torch.Generator().manual_seed(seed)
    head = MAKERS[name](make_code(CODE))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
        if getattr(head, "table", False):
            head.set_frequencies(torch.randint(0, 9, (head.size,), generator=generator))
    return head


def tokens(n, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, WIDTH, generator=generator), torch.randint(0, 196560, (n,), generator=generator)


@pytest.mark.parametrize("name", MAKERS)
def test_the_law_of_all_codewords_holds_that_of_each_and_sums_to_one(name):
    head = make(name)
    features, indices = tokens(5)
    every = head.log_probs(features)
    one = head.log_prob(features, indices)
    assert every.shape == (5, 196560)
    assert (every.gather(1, indices[:, None]).squeeze(1) - one).abs().max() < 2e-4
    total = every.double().logsumexp(-1)
    if name in NORMALISED:
        assert total.abs().max() < 1e-4
    else:
        assert (total < -1).all()  # most of what the digits predict is no codeword
    shaped = head.log_prob(features.reshape(5, 1, WIDTH), indices.reshape(5, 1))
    assert torch.equal(shaped, one.reshape(5, 1))


@pytest.mark.parametrize("name", MAKERS)
def test_the_loss_and_its_gradient_are_those_of_the_weighted_log_probabilities(name):
    head = make(name)
    features, indices = tokens(5)
    weights = torch.tensor([1.0, 0.0, 0.5, 2.0, 0.1])
    features.requires_grad_()
    leaves = [features, *head.parameters()]
    if isinstance(head, FullHead):
        head.z_loss = 0.01
    loss, nll = head.loss(features, indices, weights)
    grads = torch.autograd.grad(3 * loss, leaves)
    log_prob = head.log_prob(features, indices)
    expected = -(weights * log_prob).sum()
    if isinstance(head, FullHead):
        log_z = torch.nn.functional.linear(features, head.weight, head.bias).logsumexp(-1)
        expected = expected + 0.01 * (weights * log_z.square()).sum()
    assert (nll + log_prob).abs().max() < 1e-4
    assert not nll.requires_grad
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, reference in zip(grads, torch.autograd.grad(3 * expected, leaves), strict=True):
        assert (ours - reference).abs().max() <= 1e-4 * (1 + reference.abs().max())


@pytest.mark.parametrize("name", MAKERS)
def test_settings_of_sampling_mean_what_they_say(name):
    head = make(name)
    features, _ = tokens(3)
    draws = [head.sample(features, generator=torch.Generator().manual_seed(s)) for s in (3, 3)]
    assert torch.equal(*draws)
    assert draws[0].dtype == torch.int64
    assert draws[0].shape == (3,)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(InputError, match="temperature must be at least 0"):
        head.sample(features, generator=generator, sampling=Sampling(temperature=-1.0))
    with pytest.raises(InputError, match="top-k"):
        head.sample(features, generator=generator, sampling=Sampling(top_k=0))
    with pytest.raises(InputError, match="top-p must be above 0"):
        head.sample(features, generator=generator, sampling=Sampling(top_p=1.5))
    with pytest.raises(InputError, match=r"guidance 2\.0 needs features without the class"):
        head.sample(features, generator=generator, sampling=Sampling(guidance=2.0))
    if name.startswith(("lattice", "digits")):
        with pytest.raises(InputError, match="at most 256 codewords, got 257"):
            head.sample(features, generator=generator, sampling=Sampling(top_k=257))


@pytest.mark.parametrize("name", ["full", "digits", "lattice"])
def test_greedy_is_the_most_probable_and_top_k_and_top_p_keep_the_best(name):
    head = make(name)
    features, _ = tokens(2)
    law = head.log_probs(features)
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(head.sample(features, generator=generator, sampling=Sampling(temperature=0.0)), law.argmax(-1))
    many = features.repeat(150, 1)
    drawn = head.sample(many, generator=generator, sampling=Sampling(top_k=5)).reshape(150, 2)
    best = law.topk(5, dim=-1)
    for token in range(2):
        assert set(drawn[:, token].tolist()) <= set(best.indices[token].tolist())
        counts = (drawn[:, token, None] == best.indices[token]).sum(0)
        expected = 150 * best.values[token].softmax(-1)
        assert ((counts - expected).square() / expected).sum() < 25
    # half of what is kept
    drawn = head.sample(many, generator=generator, sampling=Sampling(top_k=5, top_p=0.5)).reshape(150, 2)
    for token in range(2):
        shares = best.values[token].softmax(-1)
        kept = int((shares.cumsum(-1) < 0.5).sum()) + 1
        assert set(drawn[:, token].tolist()) == set(best.indices[token, :kept].tolist())


@pytest.mark.parametrize("name", ["full", "digits", "lattice"])
def test_guidance_and_temperature_scale_the_natural_parameters(name):
    head = make(name, spread=0.3)
    features, _ = tokens(1)
    other, _ = tokens(1, seed=9)
    with torch.no_grad():
        mixed = other + 2.5 * (features - other)
        law = head.log_probs(mixed)
        law = (law / 0.5).softmax(-1)  # for one component a power of the law is the law of scaled logits
    drawn = head.sample(
        features.expand(1000, -1),
        generator=torch.Generator().manual_seed(1),
        sampling=Sampling(temperature=0.5, guidance=2.5),
        unconditional=other.expand(1000, -1),
    )
    digits = digits_of(head.code).long()
    for position in (0, 11):
        expected = 1000 * torch.zeros(9).index_add(0, digits[:, position], law[0])
        counts = torch.bincount(digits[drawn, position], minlength=9)
        large = expected > 1
        assert ((counts - expected).square() / expected)[large].sum() < 40


def test_a_mixture_is_drawn_by_component():
    head = make("lattice-3", spread=1.0)
    features, _ = tokens(1)
    drawn = head.sample(features.expand(2000, -1), generator=torch.Generator().manual_seed(1))
    law = head.log_probs(features)[0].exp()
    digits = digits_of(head.code).long()
    for position in (2, 20):
        expected = 2000 * torch.zeros(9).index_add(0, digits[:, position], law)
        counts = torch.bincount(digits[drawn, position], minlength=9)
        assert ((counts - expected).square() / expected)[expected > 1].sum() < 40
    # only the table left: its most frequent codeword
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        head.bias[3 * 216 + 3] = 50.0
    head.set_frequencies(torch.nn.functional.one_hot(torch.tensor(777), head.size) * 10**6)
    assert head.sample(features, generator=torch.Generator(), sampling=Sampling(temperature=0.0)).tolist() == [777]


def test_a_new_lattice_head_knows_nothing():
    head = LatticeHead(WIDTH, make_code(CODE))
    features, indices = tokens(4)
    assert head.log_prob(features, indices).mean().item() == pytest.approx(-math.log(196560), abs=0.2)


def test_the_published_loss_is_the_mean_over_digits():
    head = make("digits")
    features, indices = tokens(3)
    logits = head._logits(features)
    mean = torch.nn.functional.cross_entropy(logits.flatten(0, 1), digits_of(head.code).long()[indices].flatten())
    assert published_loss(logits, indices, head.code).mean().item() == pytest.approx(mean.item(), rel=1e-6)
    head.published = True
    loss, _ = head.loss(features, indices, torch.full((3,), 1 / 3))
    assert loss.item() == pytest.approx(mean.item(), rel=1e-6)


def test_draw_keeps_ties_and_at_least_one():
    logits = torch.tensor([[1.0, 1.0, 0.0, 1.0]]).expand(300, -1)
    generator = torch.Generator().manual_seed(0)
    assert set(draw(logits, 300, generator=generator, top_k=2).tolist()) == {0, 1, 3}
    assert set(draw(logits, 300, generator=generator, top_p=1e-9).tolist()) == {0}
    assert draw(logits, 300, generator=generator, greedy=True).tolist() == [0] * 300
    assert set(draw(logits[:1], 300, generator=generator, top_k=2).tolist()) == {0, 1, 3}
    assert draw(logits[:1], 3, generator=generator, greedy=True).tolist() == [0] * 3


def test_heads_refuse_what_they_cannot_do():
    with pytest.raises(InputError, match="1 to 16 components, got 17"):
        LatticeHead(WIDTH, make_code(CODE), components=17)
    with pytest.raises(InputError, match="full Leech shell"):
        LatticeHead(WIDTH, make_code("leech2"))
    with pytest.raises(InputError, match="no table"):
        make("lattice").set_frequencies(torch.ones(196560))
    with pytest.raises(InputError, match="expected 196560 counts"):
        make("lattice-3").set_frequencies(torch.ones(5))
    with pytest.raises(InputError, match="expected 196560 counts"):
        make("full-table").set_frequencies(torch.ones(5))
    with pytest.raises(InputError, match="none negative"):
        make("full-table").set_frequencies(torch.full((196560,), -1))


def test_frequencies_are_where_the_full_head_begins_and_half_of_what_the_lattice_head_may_say():
    counts = torch.zeros(196560)
    counts[[3, 70_000, 196_559]] = torch.tensor([1.0, 2.0, 7.0])
    law = (counts + 0.5) / (10 + 196560 / 2)
    nothing = torch.zeros(1, WIDTH)
    full, lattice = (MAKERS[name](make_code(CODE)) for name in ("full-table", "lattice-table"))
    for head in (full, lattice):
        head.set_frequencies(counts, prior=0.5)
    assert torch.allclose(full.log_probs(nothing)[0].exp(), law, rtol=1e-3)
    with torch.no_grad():
        lattice.bias[-1] = 30.0  # as much weight for the table as there is
    assert torch.allclose(lattice.log_probs(nothing)[0].exp(), (law + 1 / 196560) / 2, rtol=1e-3)
