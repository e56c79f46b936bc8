"""Learned vector quantization: a book that begins, follows, revives, resumes, and never has a gradient."""

import pytest
import torch

from workbench.errors import InputError
from workbench.quantizers.registry import make_quantizer
from workbench.quantizers.vq import VectorQuantizer


def clusters(count, seed, centres=None):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor([[4.0, 0], [0, 4], [-4, 0], [0, -4]]) if centres is None else centres
    pick = torch.randint(len(centres), (count,), generator=generator)
    return centres[pick] + 0.1 * torch.randn(count, 2, generator=generator)


def test_begins_with_points_of_the_first_training_batch():
    quantizer = VectorQuantizer(2, 16)
    batch = clusters(100, 0)
    assert not quantizer.ready
    quantizer.eval()(batch)
    assert not quantizer.ready
    quantizer.train().prepare(batch)
    assert quantizer.ready
    assert all((batch == word).all(1).any() for word in quantizer.codebook)
    assert len(quantizer.codebook.unique(dim=0)) == 16


def test_rounds_of_kmeans_reach_the_centres():
    quantizer = VectorQuantizer(2, 8, rounds=8)
    quantizer.train()(clusters(400, 0))
    assert (torch.cdist(clusters(50, 1), quantizer.codebook).amin(1) < 0.5).all()


def test_follows_its_points():
    quantizer = VectorQuantizer(2, 4, decay=0.5, revive_below=0.0).train()
    quantizer.prepare(torch.tensor([[4.0, 0], [0, 4], [-4, 0], [0, -4]]))
    moved = torch.tensor([[5.0, 1], [1, 5], [-5, 1], [1, -5]])
    for step in range(30):
        quantizer(clusters(200, step, moved))
    assert torch.cdist(moved, quantizer.codebook).amin(1).max() < 0.1


def test_one_step_is_the_running_mean():
    quantizer = VectorQuantizer(2, 4, decay=0.75, revive_below=0.0)
    batch = clusters(64, 0)
    quantizer.train()(batch)
    counts = quantizer.counts.clone()
    sums = quantizer.codebook * counts[:, None]
    indices = quantizer(batch).indices
    tally = torch.bincount(indices, minlength=4).float()
    own = torch.stack([batch[indices == word].sum(0) for word in range(4)])
    torch.testing.assert_close(quantizer.counts, 0.75 * counts + 0.25 * tally)
    torch.testing.assert_close(
        quantizer.codebook * quantizer.counts[:, None], 0.75 * sums + 0.25 * own, rtol=1e-4, atol=1e-3
    )


def test_dead_words_are_put_on_points():
    quantizer = VectorQuantizer(2, 6, decay=0.5, revive_below=0.2).train()
    quantizer(clusters(64, 0))
    quantizer.codebook[3] = torch.tensor([1000.0, 1000.0])
    for step in range(6):
        quantizer(clusters(64, step))
    assert quantizer.codebook.norm(dim=1).max() < 10


def test_a_dead_word_begins_again_with_the_even_count_and_a_living_one_keeps_its_own():
    quantizer = VectorQuantizer(2, 4, decay=0.5, revive_below=0.2).train()
    words = torch.tensor([[4.0, 0], [0, 4], [-4, 0], [50, 50]])
    quantizer.prepare(words)
    quantizer.codebook.copy_(words)
    quantizer.counts.copy_(torch.tensor([8.0, 8.0, 6.0, 2.0]))
    batch = torch.cat([words[:1].expand(12, 2), words[1:2].expand(8, 2), words[2:3].expand(4, 2)])
    quantizer.observe(batch, quantizer.search(batch))
    # Running counts (8 + 12)/2, (8 + 8)/2, (6 + 4)/2 and 2/2 of 24: the last is below a fifth of 6.
    torch.testing.assert_close(quantizer.counts, torch.tensor([10.0, 8.0, 5.0, 6.0]))
    assert (batch == quantizer.codebook[3]).all(1).any()
    torch.testing.assert_close(quantizer.codebook[:3], words[:3], rtol=0, atol=1e-4)
    # So it stays where it was put, and is moved by its points no faster than the others.
    put = quantizer.codebook[3].clone()
    quantizer.observe(batch, torch.arange(3).repeat_interleave(torch.tensor([12, 8, 4])))
    torch.testing.assert_close(quantizer.codebook[3], put, rtol=0, atol=1e-4)
    assert int(quantizer.updates) == 3


def test_a_word_at_the_limit_lives():
    quantizer = VectorQuantizer(1, 2, decay=0.0, revive_below=0.5).train()
    quantizer.prepare(torch.tensor([[0.0], [8.0]]))
    quantizer.codebook.copy_(torch.tensor([[0.0], [8.0]]))
    batch = torch.tensor([[0.0], [0.0], [0.0], [8.0]])
    quantizer.observe(batch, torch.tensor([0, 0, 0, 1]))
    torch.testing.assert_close(quantizer.counts, torch.tensor([3.0, 1.0]))  # 1 is half of the even 2, and not below
    quantizer.observe(torch.zeros(8, 1), torch.tensor([0] * 8))
    assert quantizer.codebook.abs().max() < 1e-3
    assert quantizer.counts.tolist() == [8, 4]


def test_resumes_exactly():
    def run(quantizer, steps):
        for step in steps:
            quantizer.train()(clusters(32, step))
        return quantizer

    whole = run(VectorQuantizer(2, 24, seed=3), range(8))
    half = run(VectorQuantizer(2, 24, seed=3), range(4))
    again = VectorQuantizer(2, 24, seed=3)
    again.load_state_dict(half.state_dict())
    assert torch.equal(run(again, range(4, 8)).codebook, whole.codebook)


def test_more_words_than_points_of_the_first_batch():
    quantizer = VectorQuantizer(2, 50)
    assert quantizer.train()(clusters(8, 0)).indices.max() < 50
    assert quantizer.codebook.isfinite().all()


def test_learned_depths_and_parts_learn():
    part = {"name": "vq", "dimension": 2, "size": 8}
    batch = torch.cat([clusters(64, 0), clusters(64, 1)], 1)
    product = make_quantizer("product", parts=[part, part]).train()
    product(batch)
    assert product.ready
    assert not torch.equal(product.parts[0].codebook, product.parts[1].codebook)
    residual = make_quantizer("residual", depths=[part, part], gains=[1.0, 1.0]).train()
    errors = [float(residual(clusters(128, step)).info["squared_error"]) for step in range(10)]
    single = make_quantizer(**part).train()
    alone = [float(single(clusters(128, step)).info["squared_error"]) for step in range(10)]
    assert errors[-1] < alone[-1]


@pytest.mark.parametrize("settings", [{"decay": 1.0}, {"rounds": -1}, {"revive_below": 1.5}])
def test_settings_out_of_range(settings):
    with pytest.raises(InputError, match=f"got .*{next(iter(settings.values()))}"):
        VectorQuantizer(2, 4, **settings)
