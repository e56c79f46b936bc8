"""Refinement: the objective falls, the result depends on the picture alone, and every quantizer can be searched."""

import itertools

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.models import refine as module
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.refine import EFFORTS, refine
from workbench.models.tokenizer import Tokenizer

LEECH = {"name": "leech"}
QUANTIZERS = (
    LEECH,
    {"name": "bsq", "dimension": 18},
    {"name": "fsq", "levels": [8, 8, 8, 6, 8, 8]},
    {"name": "random", "size": 500, "dimension": 24},
    {"name": "product", "parts": ["e8", "e8", "e8"]},
    {"name": "residual", "depths": ["leech", "leech"]},
)


def make(quantizer: dict) -> Tokenizer:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer).eval()
        for block in [*model.encoder.blocks, *model.decoder.blocks]:  # else the identity, which reads no neighbours
            torch.nn.init.normal_(block.proj.weight, std=0.05)
    return model


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """Rounds in float32, so that what they compare is what is measured afterwards."""
    monkeypatch.setattr(module, "_has_bfloat16", lambda device: False)


@pytest.fixture
def picture() -> torch.Tensor:
    rows, columns = np.mgrid[:60, :76] / 24
    waves = [np.sin(3 * rows + phase) * np.cos(2 * columns * (1 + phase)) for phase in (0.0, 0.7, 1.9)]
    return torch.from_numpy(np.stack(waves) * 0.4 + 0.5).float()


def squared_error(model: Tokenizer, picture: torch.Tensor, indices: torch.Tensor) -> float:
    """Of the padded picture before it is clamped, which is what the search sees."""
    with torch.no_grad():
        codes = model.quantizer.indices_to_codes(indices[None], channel_first=True)
        return float((model.decode(codes) - model.padded(picture[None])).double().square().sum())


class Prices:
    """A rate that knows one price for each codeword and counts neighbours' tokens too where the place is on an edge."""

    def __init__(self, size: int) -> None:
        self.bits = np.random.default_rng(0).uniform(5, 20, size)

    def token_bits(self, indices, places, candidates):
        return self.bits[candidates].sum(-1)

    def grid_bits(self, indices, places, candidates):
        return self.token_bits(indices, places, candidates) + (places[:, :1] == 0)


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda q: q["name"])
def test_the_error_never_rises_and_is_that_of_the_indices(quantizer, picture):
    model = make(quantizer)
    result = refine(model, picture, effort=4)
    assert result.rounds == EFFORTS[4]
    assert len(result.squared_error) == result.rounds + 1
    assert all(after <= before for before, after in itertools.pairwise(result.squared_error))
    assert result.squared_error[-1] < result.squared_error[0]
    assert result.squared_error[0] == pytest.approx(squared_error(model, picture, model.tokenize(picture[None])[0]))
    assert result.squared_error[-1] == pytest.approx(squared_error(model, picture, result.indices))
    assert result.gain == pytest.approx(10 * np.log10(result.squared_error[0] / result.squared_error[-1]))


def test_with_a_rate_the_sum_never_rises_and_bits_are_counted(picture):
    model, trade = make(LEECH), 0.05
    rate = Prices(model.quantizer.size)
    begin = model.tokenize(picture[None])[0]
    free, paid = refine(model, picture, effort=4), refine(model, picture, effort=4, rate=rate, trade=trade)
    totals = [error + trade * bits for error, bits in zip(paid.squared_error, paid.bits, strict=True)]
    assert all(after <= before + 1e-9 for before, after in itertools.pairwise(totals))
    change = rate.bits[paid.indices].sum() - rate.bits[begin].sum()
    assert paid.bits[-1] == pytest.approx(change, abs=1e-2)
    assert change < 0 < rate.bits[free.indices].sum() - rate.bits[begin].sum() - change
    assert paid.squared_error[-1] > free.squared_error[-1]


def test_tiles_threads_and_batches_do_not_matter(picture, monkeypatch):
    model = make(LEECH)
    whole = refine(model, picture, effort=3)
    monkeypatch.setattr(module, "_TILE", 4)
    tiled = refine(model, picture, effort=3)
    assert torch.equal(whole.indices, tiled.indices)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(whole.indices, refine(model, picture, effort=3).indices)
    finally:
        torch.set_num_threads(threads)
    both = model.tokenize(torch.stack([picture, picture.flip(2)]), effort=3)
    assert torch.equal(both[0], whole.indices)
    assert not torch.equal(both[1], whole.indices)


def test_more_effort_is_no_worse_and_none_is_the_encoders_choice(picture):
    model = make(LEECH)
    errors = [refine(model, picture, effort=effort).squared_error[-1] for effort in (0, 1, 4, 6)]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4
    nothing = refine(model, picture, effort=0)
    assert torch.equal(nothing.indices, model.tokenize(picture[None])[0])
    assert (nothing.rounds, nothing.gain) == (0, 0.0)


def test_bfloat16_rounds_are_checked_in_float32(picture, monkeypatch):
    monkeypatch.setattr(module, "_has_bfloat16", lambda device: True)
    model = make(LEECH)
    result = refine(model, picture, effort=4)
    assert result.squared_error[-1] < result.squared_error[0]
    assert result.squared_error[-1] == pytest.approx(squared_error(model, picture, result.indices))


def test_a_worse_end_in_float32_gives_the_beginning_back(picture, monkeypatch):
    model = make(LEECH)
    measured = module._Search.squared_error
    seen = []

    def pessimist(self, planes):
        seen.append(measured(self, planes))
        return seen[-1] + 1e6 * (len(seen) - 1)

    monkeypatch.setattr(module._Search, "squared_error", pessimist)
    result = refine(model, picture, effort=3)
    assert torch.equal(result.indices, model.tokenize(picture[None])[0])
    assert result.squared_error[-1] == result.squared_error[0]


def test_stopping_returns_the_best_so_far_and_progress_tells_the_gain(picture):
    model, told = make(LEECH), []
    result = refine(
        model, picture, effort=9, progress=lambda share, text: told.append((share, text)), stop=lambda: len(told) == 5
    )
    assert result.rounds == 5
    assert result.squared_error[-1] < result.squared_error[0]
    assert [share for share, _ in told] == [(n + 1) / EFFORTS[9] for n in range(5)]
    assert told[-1][1].endswith(" dB")


def test_pictures_of_one_patch_and_of_odd_sizes(picture):
    model = make(LEECH)
    for height, width in ((1, 1), (8, 8), (9, 30)):
        result = refine(model, picture[:, :height, :width], effort=4)
        assert tuple(result.indices.shape) == model.grid(height, width)
        assert result.squared_error[-1] <= result.squared_error[0]


def test_what_does_not_fit_is_refused(picture):
    model = make(LEECH)
    for effort in (-1, 10, True, 2.0):
        with pytest.raises(InputError, match="from 0"):
            model.tokenize(picture[None], effort=effort)
    with pytest.raises(InputError, match="λ ≥ 0"):
        refine(model, picture, trade=-0.1)
    with pytest.raises(InputError, match="a rate where it is above 0"):
        refine(model, picture, trade=0.1)
    with pytest.raises(InputError, match="expected indices of shape"):
        refine(model, picture, torch.zeros(3, 3, dtype=torch.int64))
    vit = GridTokenizer(body=body_preset("vit-tiny-8"), quantizer=LEECH)
    with pytest.raises(InputError, match="convolutional body"):
        vit.tokenize(torch.rand(1, 3, 64, 64), effort=1)
    learned = make({"name": "lfq", "dimension": 12})
    assert learned.tokenize(picture[None], effort=1).shape == (1, *learned.grid(60, 76))
