"""Structured search against exhaustive search: time, memory and agreement, on this machine, in one run.

Three ways to the nearest of 196,560 codewords. *Structured*: `nearest`. *Naive*: a chunk of rows times all codewords,
then argmax. *Tiled*: cut along both axes so that products stay in cache, only the greatest of each tile kept, and the
winning tile looked at again. The two exhaustive ones are plain float32 torch, and may err on ties.
Beside each stands its limit: the time for its bytes and operations at what the device can do at most.
Methods take turns, several rounds, and the best round of each counts: what else runs on the machine hurts all alike.
"""

__all__ = ["SearchCost", "hard_points", "measure_search"]

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.fit.engine.inputs import hardware
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.exhaustive import nearest_exhaustive
from workbench.lattices.search.nearest import nearest
from workbench.progress import Progress, no_progress
from workbench.tasks.bench.ceilings import finish, measure_ceilings
from workbench.tasks.bench.memory import peak_growth

_ROUNDS = 5
_NAIVE_CHUNKS = (64, 256)
_TILES = ((1024, 512), (2048, 512))
_WINNERS = 64  # rows whose winning tiles are looked at together: they fit the cache
_OPERATIONS = 16_000  # of the structured search at a point, about: additions, comparisons and choices alike


@dataclass(frozen=True)
class SearchCost:
    """What the three searches cost here.

    Attributes:
        code: Name of the code.
        device: What they ran on.
        threads: Threads that each of them had.
        vectors: How many points the structured search was timed on.
        structured_us_per_vector: Microseconds a point, all threads together working.
        naive_us_per_vector: The same of the exhaustive search in chunks of rows, the best chunk.
        tiled_us_per_vector: The same of the exhaustive search in tiles, the best tile.
        structured_limit_us: Microseconds a point that no structured search here goes below: its bytes and operations
            over the measured ceilings.
        exhaustive_limit_us: The same of an exhaustive search.
        bytes_per_second: Ceiling of the device.
        operations_per_second: Likewise, in float32.
        ratio_naive: How many times faster the structured search is than the naive one.
        ratio_tiled: The same for the tiled one.
        peak_bytes_per_vector: Growth of the peak of memory during the structured search, its result included; None
            where the system does not tell.
        checked: How many points, random and hard ones, were compared with the exact exhaustive search.
        disagreements: At how many the answers differed.
    """

    code: str
    device: str
    threads: int
    vectors: int
    structured_us_per_vector: float
    naive_us_per_vector: float
    tiled_us_per_vector: float
    structured_limit_us: float
    exhaustive_limit_us: float
    bytes_per_second: float
    operations_per_second: float
    ratio_naive: float
    ratio_tiled: float
    peak_bytes_per_vector: float | None
    checked: int
    disagreements: int


def measure_search(
    code: str = "leech",
    *,
    vectors: int = 200_000,
    checked: int = 2_000,
    threads: int | None = None,
    device: str = "cpu",
    seed: int = 0,
    progress: Progress = no_progress,
) -> SearchCost:
    """Measure and compare; about half a minute with the usual numbers.

    Args:
        code: Name of a code without settings.
        vectors: Points for the structured search; the exhaustive ones get at most 1,024 and 4,096 of them.
        checked: Random points for the comparison with the exact search; hard ones come on top.
        threads: For all three; None for torch's own number.
        device: Where the points lie: `cpu`, or `cuda`, where the structured search is a kernel of its own.
        seed: Of the points.
        progress: Told the share done and a line of text.

    Raises:
        InputError: if a number is too small.
    """
    if vectors < 1 or checked < 0 or (threads is not None and threads < 1):
        raise InputError(f"expected vectors ≥ 1, checked ≥ 0, threads ≥ 1; got {vectors}, {checked}, {threads}")
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        generator = torch.Generator().manual_seed(seed)
        return _measure(make_code(code), vectors, checked, torch.device(device), generator, progress)
    finally:
        torch.set_num_threads(before)


def _measure(
    code: Code, vectors: int, checked: int, device: torch.device, generator: torch.Generator, progress: Progress
) -> SearchCost:
    points = torch.randn(vectors, code.dimension, generator=generator).to(device)
    table = code.vectors().to(device)
    progress(0.0, "loading the kernels")
    nearest(points[:64], code)
    few, some = points[:1024], points[:4096]
    contenders = {
        "naive": [(len(few), partial(_naive, few, table, chunk)) for chunk in _NAIVE_CHUNKS],
        "tiled": [(len(some), partial(_Tiles(table, *size).search, some)) for size in _TILES],
        "structured": [(vectors, partial(nearest, points, code))],
    }
    micros = dict.fromkeys(contenders, float("inf"))
    for turn in range(_ROUNDS):
        for number, (name, variants) in enumerate(contenders.items()):
            progress(0.05 + 0.65 * (turn + number / 3) / _ROUNDS, f"{name}, round {turn + 1} of {_ROUNDS}")
            micros[name] = min(micros[name], *(1e6 * _seconds(work, device) / count for count, work in variants))
    progress(0.7, "memory")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        peak = pool.submit(_peak, code.name, vectors, torch.get_num_threads(), str(device)).result()
    progress(0.73, "ceilings")
    ceilings = measure_ceilings(device)
    progress(0.75, "comparing with the exact exhaustive search")
    sample = torch.cat([torch.randn(checked, code.dimension, generator=generator), hard_points(code, generator)])
    wrong = sum(
        int((nearest(part.to(device), code).cpu() != nearest_exhaustive(part, code)).sum())
        for part in _told(sample.split(256), lambda share: progress(0.75 + 0.25 * share, "comparing"))
    )
    return SearchCost(
        code=code.name,
        device=hardware(device),
        threads=torch.get_num_threads(),
        vectors=vectors,
        structured_us_per_vector=micros["structured"],
        naive_us_per_vector=micros["naive"],
        tiled_us_per_vector=micros["tiled"],
        structured_limit_us=1e6 * ceilings.seconds(4 * code.dimension + 8, _OPERATIONS),
        exhaustive_limit_us=1e6 * ceilings.seconds(4 * code.dimension + 8, 2 * code.dimension * code.size),
        bytes_per_second=ceilings.bytes_per_second,
        operations_per_second=ceilings.operations_per_second,
        ratio_naive=micros["naive"] / micros["structured"],
        ratio_tiled=micros["tiled"] / micros["structured"],
        peak_bytes_per_vector=None if peak is None else peak / vectors,
        checked=len(sample),
        disagreements=wrong,
    )


def _peak(code: str, vectors: int, threads: int, device: str) -> int | None:
    """Growth of the peak by one search, in a process that has kept nothing from earlier ones."""
    torch.set_num_threads(threads)
    chosen = make_code(code)
    points = torch.randn(vectors, chosen.dimension, generator=torch.Generator().manual_seed(0)).to(device)
    nearest(points[: 64 * threads], chosen)
    if device == "cpu":
        return peak_growth(partial(nearest, points, chosen))
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    nearest(points, chosen)
    return torch.cuda.max_memory_allocated(device) - before


def _told(parts: tuple[Tensor, ...], tell: Callable[[float], object]) -> Iterator[Tensor]:
    for number, part in enumerate(parts):
        tell(number / len(parts))
        yield part


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    finish(device)
    start = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - start


def _naive(x: Float[Tensor, "n D"], table: Float[Tensor, "K D"], chunk: int) -> Int[Tensor, " n"]:
    """Exhaustive search in chunks of rows."""
    return torch.cat([(part @ table.T).argmax(1) for part in x.split(chunk)])


class _Tiles:
    """Exhaustive search in tiles of rows × words."""

    def __init__(self, table: Float[Tensor, "K D"], rows: int, words: int) -> None:
        count = -(-len(table) // words)
        padded = table.new_zeros(count * words, table.shape[1])
        padded[: len(table)] = table
        self.rows = rows
        self.words = padded.view(count, words, -1)
        self.columns = self.words.transpose(1, 2).contiguous()

    def search(self, x: Float[Tensor, "n D"]) -> Int[Tensor, " n"]:
        return torch.cat([self._search(part) for part in x.split(self.rows)])

    def _search(self, x: Tensor) -> Tensor:
        count, width, _ = self.words.shape
        greatest, scores = x.new_empty(count, len(x)), x.new_empty(len(x), width)
        for tile in range(count):
            torch.mm(x, self.columns[tile], out=scores)
            torch.amax(scores, dim=1, out=greatest[tile])
        winner = greatest.argmax(0)
        place = [
            torch.einsum("nd,nwd->nw", rows, self.words[tiles]).argmax(1)
            for rows, tiles in zip(x.split(_WINNERS), winner.split(_WINNERS), strict=True)
        ]
        return winner * width + torch.cat(place)


def hard_points(code: Code, generator: torch.Generator) -> Float[Tensor, "n D"]:
    """Points that are hard to search: zeros, one-hot, codewords, midpoints, deep holes and ties, at all sizes.

    Small integer points tie among hundreds of codewords; sums of a few codewords lie midway between them. Some come
    as they are, some a rounding away from it, some tiny and some huge.
    """
    dimension, words = code.dimension, torch.from_numpy(code.integers.astype("float32"))

    def draw(count: int) -> Tensor:
        return words[torch.randint(code.size, (count,), generator=generator)]

    eye = torch.eye(dimension)
    small = [torch.randint(-size, size + 1, (60, dimension), generator=generator).float() for size in (1, 2, 4)]
    sums = [torch.stack([draw(60) for _ in range(count)]).sum(0) for count in (1, 2, 3, 4, 8)]
    # The nearest neighbours of a codeword, and the points between them and it.
    first = draw(8)
    near = torch.cat([one + words[(words @ one).topk(13).indices] for one in first])
    exact = torch.cat([torch.zeros(1, dimension), torch.ones(1, dimension), eye, -eye, *small, *sums, near])
    nudged = exact * (1 + 2.0**-22 * torch.randn(exact.shape, generator=generator))
    return torch.cat([exact, nudged, exact * 1e-42, exact * 1e36, exact / 3, exact / code.scale])
