"""Fitting entropy models: the loss is the code length of the integers that run, and what is learned shortens files."""

import numpy as np
import pytest
import torch

from workbench.coding.context import Context
from workbench.coding.shell import GROUPS, shell_coder
from workbench.coding.static import Static, fit_static
from workbench.coding.tables import Tables, load_tables, make_entropy_model, save_tables
from workbench.errors import TrainingError
from workbench.fit.entropy.loss import code_length
from workbench.fit.entropy.network import EntropySettings, fit_stage
from workbench.fit.entropy.tables import fit_tables, tokens_of, with_mirrored
from workbench.lattices.codes.registry import make_code
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.tokenizer import Tokenizer

CODE = make_code("leech")


def by_definition(scores, group_bias, member_bias, indices, phases):
    """Code lengths in nats through all 196,560 codewords, in float64 and plain torch."""
    groups = torch.from_numpy(shell_coder(CODE).group)
    digits = torch.from_numpy(CODE.integers.astype(np.int64)) + 4
    words = scores[:, torch.arange(24), digits].sum(-1)
    top = words.amax(1, keepdim=True).detach()
    sums = torch.zeros(len(indices), GROUPS, dtype=torch.float64).index_add(1, groups, (words - top).exp())
    group = (sums.log() + top + group_bias[phases]).log_softmax(-1).gather(1, groups[indices][:, None])[:, 0]
    member = []
    for token, index in enumerate(indices):
        own = (groups == groups[index]).nonzero()[:, 0]
        within = (words[token, own] + member_bias[phases[token], own]).log_softmax(0)
        member.append(within[(own == index).nonzero()[0, 0]])
    return -group - torch.stack(member)


def test_the_loss_and_its_gradients_are_those_of_the_definition():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 24, 9, generator=generator)
    group_bias = torch.randn(4, GROUPS, generator=generator) / 2
    member_bias = torch.randn(4, CODE.size, generator=generator) / 3
    indices = torch.tensor([5, 97_151, 97_152, 195_455, 195_456, CODE.size - 1])
    phases = torch.arange(6) % 4
    fast = [tensor.clone().requires_grad_() for tensor in (scores, group_bias)]
    length = code_length(*fast, member_bias, indices, phases, shell_coder(CODE))
    length.mean().backward()
    slow = [tensor.double().requires_grad_() for tensor in (scores, group_bias)]
    exact = by_definition(*slow, member_bias.double(), indices, phases)
    exact.mean().backward()
    assert torch.allclose(length.double(), exact, atol=1e-3)
    for one, other in zip(fast, slow, strict=True):
        assert torch.allclose(one.grad.double(), other.grad, atol=2e-5)


@pytest.fixture(scope="module")
def grids():
    """Tokens that mostly repeat their left or upper neighbour, of sixty codewords of every shape."""
    rng = np.random.default_rng(0)
    words = np.concatenate(
        [rng.integers(low, high, 20) for low, high in ((0, 97_152), (97_152, 195_456), (195_456, CODE.size))]
    )
    made = []
    for _ in range(12):
        grid = rng.choice(words, (1, 16, 16))
        for row in range(16):
            for column in range(1, 16):
                if rng.random() < 0.8:
                    grid[0, row, column] = grid[0, row, column - 1]
        made.append(grid)
    return made


def test_the_context_model_learns_what_neighbours_tell(grids):
    settings = EntropySettings(hidden=32, steps=120, batch=256, rate=5e-3)
    said = []
    stage = fit_stage(grids[:-2], CODE, settings=settings, progress=lambda *progress: said.append(progress))
    tokens = sum(grid.size for grid in grids[-2:])
    context = sum(Context(CODE, [stage]).bits(grid) for grid in grids[-2:]) / tokens
    static = sum(Static(fit_static(grids[:-2], CODE.size)).bits(grid) for grid in grids[-2:]) / tokens
    assert static < 7
    assert context < 0.9 * static
    assert said[-1][0] == 1.0
    # What runs in integers is what was trained in floats, whose last loss is a mean over the steps before, with a prior
    # that was counted on other pictures.
    trained = sum(Context(CODE, [stage]).bits(grid) for grid in grids[:-2]) / sum(grid.size for grid in grids[:-2])
    assert 0.6 * trained < float(said[-1][1].split()[0]) < 1.7 * trained
    again = fit_stage(grids[:-2], CODE, settings=settings)
    assert Context(CODE, [again]).digest == Context(CODE, [stage]).digest


def test_without_a_network_it_is_the_static_model(grids):
    stage = fit_stage(grids, CODE, period=2, settings=EntropySettings(hidden=4, steps=0))
    assert not stage.score_weights.any() or np.abs(stage.score_weights).max() < 200
    muted = stage._replace(score_weights=np.zeros_like(stage.score_weights))
    tokens = sum(grid.size for grid in grids)
    context = sum(Context(CODE, [muted]).bits(grid) for grid in grids) / tokens
    static = sum(Static(fit_static(grids, CODE.size, period=2)).bits(grid) for grid in grids) / tokens
    assert context == pytest.approx(static, abs=0.35)


def test_later_stages_see_the_earlier_ones(grids, tmp_path):
    # The second stage is the first again: only a network that sees the first one can know.
    doubled = [np.concatenate([grid, grid]) for grid in grids]
    settings = EntropySettings(hidden=32, steps=120, batch=256, rate=5e-3)
    alone = fit_stage(grids, CODE, settings=settings)
    seeing = fit_stage(doubled, CODE, number=1, settings=settings)
    model = Context(CODE, [alone, seeing])
    first = sum(model.bits(grid) for grid in grids)
    both = sum(model.bits(grid) for grid in doubled)
    assert both - first < 0.8 * first
    save_tables(Tables("0" * 64, "1" * 64, None, (alone, seeing)), tmp_path)
    read = load_tables(tmp_path)
    assert (read.pictures, read.tokens) == (None, None)
    assert read.names == ("fixed", "context")
    assert read.stages[1].member_bias.shape == (0, CODE.size)  # the later stages do without
    assert Context(CODE, read.stages).digest == model.digest


def test_tables_are_fitted_saved_and_used(tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}, name="tiny").eval()
    model.save_pretrained(tmp_path)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    pictures = [np.random.default_rng(seed).integers(0, 256, (40, 56, 3), dtype=np.uint8) for seed in range(2)]
    grids = list(tokens_of(tokenizer, pictures))
    assert [grid.shape for grid in grids] == [(1, 5, 7)] * 2
    settings = EntropySettings(hidden=4, steps=2, batch=8)
    tables = fit_tables(tokenizer, grids, pictures="three pictures", settings=settings)
    save_tables(tables, tmp_path)
    read = load_tables(tmp_path)
    assert (read.pictures, read.tokens) == ("three pictures", sum(grid.size for grid in grids))
    assert read.names == ("fixed", "static", "context")
    assert (read.codebook, read.weights) == (tokenizer.fingerprint, tokenizer.weights_hash)
    for name in read.names:
        model = make_entropy_model(name, size=CODE.size, code=CODE, tables=read)
        assert np.array_equal(model.decode(model.encode(grids[0]), (1, 5, 7)), grids[0])
        assert model.digest == make_entropy_model(name, size=CODE.size, code=CODE, tables=tables).digest


def test_one_model_alone_is_what_it_is_beside_the_other(tmp_path):
    GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}).save_pretrained(tmp_path)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    grids = [np.random.default_rng(seed).integers(0, CODE.size, (1, 4, 5)) for seed in range(4)]
    settings = EntropySettings(hidden=4, steps=2, batch=8)
    both = fit_tables(tokenizer, grids, settings=settings)
    for name in ("static", "context"):
        alone = fit_tables(tokenizer, grids, models=(name,), settings=settings)
        assert alone.names == ("fixed", name)
        of_both, of_one = (make_entropy_model(name, size=CODE.size, code=CODE, tables=each) for each in (both, alone))
        assert of_one.digest == of_both.digest


def test_a_codebook_without_a_context_model_is_refused(tmp_path):
    GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "e8"}).save_pretrained(tmp_path)
    tokenizer = Tokenizer.from_pretrained(tmp_path)
    with pytest.raises(TrainingError, match="'e8' allows none of context"):
        fit_tables(tokenizer, [np.zeros((1, 2, 2), np.int64)], models=("context",))


def test_tokens_and_a_saved_model_are_needed(tmp_path):
    with pytest.raises(TrainingError, match="at least one grid"):
        fit_stage([], CODE)
    unsaved = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "e8"})
    with pytest.raises(TrainingError, match="a saved tokenizer: got 0 grids and weights that were never saved"):
        fit_tables(unsaved, [])


def test_a_mirrored_picture_is_the_picture_but_for_its_edges():
    pictures = [np.random.default_rng(seed).integers(0, 256, (1 + 20 * seed, 30, 3), dtype=np.uint8) for seed in (0, 1)]
    twice = list(with_mirrored(pictures))
    assert len(twice) == 4
    for picture, again, mirrored in zip(pictures, twice[::2], twice[1::2], strict=True):
        assert again is picture
        height, width = mirrored.shape[:2]
        assert len(picture) - 15 <= height <= len(picture)
        assert 15 <= width <= 30
        assert np.array_equal(mirrored[:, ::-1], picture[len(picture) - height :, 30 - width :])
    assert [picture.shape for picture in with_mirrored(pictures)] == [picture.shape for picture in twice]


def test_closed_forms_find_a_linear_law_before_any_step():
    """Every token is the negative of its left neighbour: a linear prediction knows it, plain frequencies do not."""
    rng = np.random.default_rng(5)
    negative = np.lexsort(-CODE.integers.T[::-1])[np.argsort(np.lexsort(CODE.integers.T[::-1]))]
    assert np.array_equal(CODE.integers[negative], -CODE.integers)
    grids = []
    for _ in range(40):
        grid = np.empty((1, 12, 12), np.int64)
        grid[0, :, 0] = rng.integers(0, CODE.size, 12)
        for column in range(1, 12):
            grid[0, :, column] = negative[grid[0, :, column - 1]]
        grids.append(grid)
    stage = fit_stage(grids[:-1], CODE, settings=EntropySettings(hidden=48, steps=0))
    context = Context(CODE, [stage]).bits(grids[-1])
    assert context < 0.6 * Static(fit_static(grids[:-1], CODE.size)).bits(grids[-1])
