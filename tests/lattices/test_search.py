"""Nearest codeword of the Leech shells: the structured search is the exhaustive one, whatever it is asked."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import leech_shapes, make_code
from workbench.lattices.search.exhaustive import nearest_exhaustive
from workbench.lattices.search.nearest import nearest
from workbench.lattices.search.ranking import nearest_k
from workbench.lattices.search.structured import nearest_structured
from workbench.lattices.search.tiled import nearest_tiled
from workbench.tasks.bench.memory import peak_growth
from workbench.tasks.bench.search import hard_points

SHELLS = ["leech", "leech-published", "leech2", "leech3", "leech4"]


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def random_points(count, seed):
    return torch.randn(count, 24, generator=seeded(seed))


@pytest.fixture(scope="module")
def leech():
    return make_code("leech")


@pytest.mark.parametrize("name", SHELLS)
def test_equals_the_exhaustive_search_on_hard_points(name):
    code = make_code(name)
    x = hard_points(code, seeded(0))
    x = x[torch.randperm(len(x), generator=seeded(1))[:300]]
    expected = nearest_exhaustive(x, code)
    assert torch.equal(nearest(x, code), expected)
    assert torch.equal(nearest_structured(x, leech_shapes(code)), expected)


@pytest.mark.parametrize("name", SHELLS)
def test_plain_torch_and_kernels_agree(name):
    code = make_code(name)
    x = torch.cat([hard_points(code, seeded(2))[::5], random_points(300, 3)])
    assert torch.equal(nearest(x, code), nearest_structured(x, leech_shapes(code)))


@pytest.mark.slow
def test_no_codeword_is_nearer_on_100_000_random_points(leech):
    """Greatest inner product of all, in float32, tile by tile; half the codewords do, the others are opposite."""
    x = random_points(100_000, 4)
    reached = (x * leech.vectors_at(nearest(x, leech))).sum(1)
    words = leech.vectors()
    half = words[words[torch.arange(leech.size), words.abs().argmax(1)] > 0]
    assert len(half) == leech.size // 2
    greatest = torch.zeros(len(x))
    for start in range(0, len(x), 1024):
        rows = x[start : start + 1024]
        for tile in half.split(512):
            scores = rows @ tile.T
            best = torch.maximum(scores.amax(1), -scores.amin(1))
            greatest[start : start + 1024] = torch.maximum(greatest[start : start + 1024], best)
    assert (greatest - reached).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_points_a_rounding_away_from_a_tie(name):
    """Random points moved to where their two nearest codewords differ by about a rounding of float32, or less."""
    code = make_code(name)
    x = random_points(400, 21).double()
    first, second = code.vectors_at(nearest_k(x, code, 2)).double().unbind(1)
    across = first - second
    x -= across * ((x * across).sum(1) / across.square().sum(1))[:, None]
    x += across * 10.0 ** torch.linspace(-9, -5, 400)[:, None] * torch.randn(400, 1, generator=seeded(22))
    for points in (x.float(), x):
        assert torch.equal(nearest(points, code), nearest_exhaustive(points, code))


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_equals_the_tiled_search_on_a_million_random_points(name):
    code = make_code(name)
    for seed in range(10):
        x = random_points(100_000, seed)
        assert torch.equal(nearest(x, code), nearest_tiled(x, code))


@pytest.mark.heavy
@pytest.mark.parametrize("name", SHELLS)
def test_equals_the_exhaustive_search_on_all_hard_points(name):
    code = make_code(name)
    for seed in range(5):
        x = hard_points(code, seeded(seed))
        assert torch.equal(nearest(x, code), nearest_exhaustive(x, code))


@pytest.mark.parametrize("name", SHELLS)
def test_every_codeword_is_its_own_nearest(name):
    code = make_code(name)
    assert torch.equal(nearest(code.vectors(), code), torch.arange(code.size))


def test_midpoints_belong_to_the_lower_of_the_two(leech):
    words = torch.from_numpy(leech.integers.astype(np.float32))
    for row in (11, 100_003, 196_000):
        neighbours = (words @ words[row] == 16).nonzero()[:, 0]
        found = nearest(words[row] + words[neighbours], leech)
        assert (found <= torch.minimum(neighbours, torch.tensor(row))).all()
        products = (words[found] * (words[row] + words[neighbours])).sum(1)
        assert (products == 48).all()


@pytest.mark.parametrize("name", SHELLS)
def test_zero_and_one_hot_go_to_the_lowest_of_their_ties(name):
    code = make_code(name)
    assert nearest(torch.zeros(3, 24), code).tolist() == [0, 0, 0]
    for sign in (1, -1):
        products = sign * code.integers.astype(int)  # row k, column p: the product of codeword k and the p-th one-hot
        lowest = products.argmax(0)
        assert nearest(sign * torch.eye(24), code).tolist() == lowest.tolist()


def test_any_norm(leech):
    x = random_points(500, 5)
    expected = nearest(x, leech)
    for power in (-120, -60, -1, 40, 62, 120):
        assert torch.equal(nearest(x * 2.0**power, leech), expected)
    wide = x.double() * torch.logspace(-300, 300, 500, dtype=torch.float64)[:, None]
    assert torch.equal(nearest(wide, leech), nearest_structured(wide, leech_shapes(leech)))
    denormal = x[:100] * 2.0**-140
    assert torch.equal(nearest(denormal, leech), nearest_exhaustive(denormal, leech))


def test_entries_of_very_different_sizes(leech):
    x = random_points(100, 6).double() * 10.0 ** torch.randint(-20, 1, (100, 24), generator=seeded(7))
    assert torch.equal(nearest(x, leech), nearest_exhaustive(x, leech))
    assert torch.equal(nearest(x.float(), leech), nearest_exhaustive(x.float(), leech))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_dtypes(leech, dtype):
    x = random_points(100, 8).to(dtype)
    assert torch.equal(nearest(x, leech), nearest_exhaustive(x, leech))


def test_float64_is_not_rounded_to_float32(leech):
    """A tie in float32 that only the last bits of a float64 decide."""
    words = torch.from_numpy(leech.integers.astype(np.float64))
    one, other = words[0], words[(words @ words[0] == 16).nonzero()[-1, 0]]
    tie = one + other
    for wanted in (one, other):
        point = tie + 1e-12 * wanted
        found = nearest(point, leech)
        assert torch.equal(words[found], wanted)
    assert torch.equal(nearest(tie.float(), leech), nearest(tie, leech))


def test_layouts(leech):
    images = torch.randn(2, 24, 7, 9, generator=seeded(9))
    x = images.permute(0, 2, 3, 1)
    expected = nearest(x.contiguous(), leech)
    assert expected.shape == (2, 7, 9)
    assert expected.dtype == torch.int64
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(nearest(x.to(dtype), leech), expected)
    wide = torch.randn(5, 48, generator=seeded(10))
    assert torch.equal(nearest(wide[:, ::2], leech), nearest(wide[:, ::2].contiguous(), leech))
    assert torch.equal(nearest(wide[:1, :24].expand(4, 24), leech), nearest(wide[:1, :24], leech).expand(4))
    assert torch.equal(nearest(wide[1, :24], leech), nearest(wide[1:2, :24], leech)[0])
    assert nearest(wide[:, :24].requires_grad_(), leech).requires_grad is False


def test_no_points(leech):
    assert nearest(torch.empty(0, 24), leech).shape == (0,)
    assert nearest(torch.empty(3, 0, 24, dtype=torch.float16), leech).shape == (3, 0)


def test_batch_order_and_threads_do_not_matter(leech):
    x = torch.cat([random_points(700, 11), hard_points(leech, seeded(12))[::7]])
    expected = nearest(x, leech)
    order = torch.randperm(len(x), generator=seeded(13))
    assert torch.equal(nearest(x[order], leech), expected[order])
    for size in (1, 3, 16, 333):
        assert torch.equal(torch.cat([nearest(part, leech) for part in x[:400].split(size)]), expected[:400])
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            assert torch.equal(nearest(x, leech), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_the_first_row_that_is_not_finite_is_named(leech, bad, dtype):
    x = random_points(600, 14).to(dtype).view(20, 30, 24)
    x[11, 7, 23] = x[13, 1, 0] = x[19, 29, 5] = bad
    with pytest.raises(InputError, match="row 337 has an entry that is not finite"):
        nearest(x, leech)
    with pytest.raises(ValueError, match="row 33 has"):
        nearest(x.transpose(0, 1), leech)  # rows are counted in the order of the argument: (1, 13) comes first
    with pytest.raises(InputError, match="row 5 has"):
        nearest_structured(x[11, 2:12], leech_shapes(leech))


def test_what_is_no_set_of_points(leech):
    for x in (torch.zeros(3, 23), torch.zeros(24, dtype=torch.int64), torch.tensor(1.0)):
        with pytest.raises(InputError, match=r"expected floats of shape \(\.\.\., 24\)"):
            nearest(x, leech)


def test_a_table_in_another_order_is_not_searched_by_structure(leech):
    """The name alone is not believed."""
    backwards = Code("leech", leech.integers[::-1].copy(), leech.scale)
    assert leech_shapes(leech)
    assert not leech_shapes(backwards)
    x = random_points(20, 15)
    assert torch.equal(nearest(x, backwards), leech.size - 1 - nearest(x, leech))


@pytest.mark.parametrize(("dtype", "channel_first"), [(torch.float32, False), (torch.float64, True)])
def test_memory(leech, dtype, channel_first):
    count = 1 << 19
    x = torch.randn((24, count) if channel_first else (count, 24), generator=seeded(16), dtype=dtype)
    x = x.T if channel_first else x
    nearest(x[:64], leech)
    peak = peak_growth(lambda: nearest(x, leech))
    if peak is None:
        pytest.skip("this system does not tell the peak of memory")
    assert peak < 128 * count


class Doubled(torch.nn.Module):
    def __init__(self, code):
        super().__init__()
        self.code = code

    def forward(self, x):
        return nearest(2 * x, self.code) + 1


def test_compiles_without_a_break():
    torch.compiler.reset()
    module = Doubled(make_code("leech"))
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    x = random_points(33, 17)
    assert torch.equal(compiled(x), module(x))
    module.code = make_code("leech-published")
    assert torch.equal(compiled(x), module(x))
    batch = random_points(40, 18).view(5, 8, 24)
    assert torch.equal(compiled(batch), module(batch))


def test_operator_keeps_the_rules_of_torch(leech):
    nearest(torch.zeros(24), leech)
    key = f"{leech.name}/{leech.fingerprint}"
    for x in (random_points(5, 19), random_points(6, 20).view(2, 3, 24).double()):
        torch.library.opcheck(torch.ops.workbench.nearest.default, (x, key))


def test_nothing_is_registered_or_compiled_at_import():
    script = (
        "import sys, torch, workbench.lattices.search.nearest, workbench.lattices.search.backends;"
        "assert 'numba' not in sys.modules and not hasattr(torch.ops.workbench, 'nearest')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_several_threads_may_be_the_first_to_search():
    script = """
import threading
from concurrent.futures import ThreadPoolExecutor
import torch
from workbench.lattices.codes.registry import leech_shapes, make_code
from workbench.lattices.search.nearest import nearest
together = threading.Barrier(6)
def search(name):
    together.wait()
    return nearest(torch.ones(3, 24), make_code(name)).tolist()
with ThreadPoolExecutor(6) as pool:
    found = list(pool.map(search, ["leech", "leech-published"] * 3))
assert found[0] == found[2] == found[4] and found[1] == found[3] == found[5], found
"""
    subprocess.run([sys.executable, "-c", script], check=True)
