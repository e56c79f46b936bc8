"""The structured search on a GPU: a point a thread, everything in registers, nothing larger than the points in memory.

A program takes the points of one block, coordinate by coordinate (so that neighbours read neighbours), and walks the
tables of `tables.py`. Codewords are screened in cells, in float32 (`screen.py`). Where the best cell
leads by more than all rounding the nearest codeword lies in it, and is found exactly, in int64 (`decide.py`).
The other points, a few in ten thousand, are searched in integers throughout (`structured.py`). So the indices are bit
for bit those of the exhaustive search, and do not depend on the device, the block, or the order of the points.

Rounding: as in `cpu/screen.py`; a score has at most ten roundings of numbers below 5·Σ|x|. Loops that need not be
unrolled are not: compiling takes time in proportion to reads times operations.
"""

# Triton compiles functions from their text: numbers become constants, options of a launch join its arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# ruff: noqa: ANN001, ANN202 - Triton functions take what Triton passes

__all__ = ["nearest_on_cuda"]

import functools

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.codes.leech import SHAPE_STARTS, LeechOrder
from workbench.lattices.codes.registry import LeechShapes
from workbench.lattices.search.cuda.decide import decide_octads, decide_pairs, decide_words, exact_scale
from workbench.lattices.search.cuda.screen import (
    PAIRS,
    WORDS,
    coordinate,
    screen_code,
    screen_cosets,
    screen_pairs,
    screen_words,
)
from workbench.lattices.search.cuda.tables import tables_of
from workbench.lattices.search.fixed import fixed_point
from workbench.lattices.search.structured import nearest_structured

_BLOCK = 128
_PIECE = 1 << 20  # points whose transpose is held at a time: 100 MB


def nearest_on_cuda(x: Float[Tensor, "n 24"], structure: LeechShapes, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword of a first shell of Λ24.

    Args:
        x: Rows, float32 or float64, on a CUDA device.
        structure: Of the code.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    order, shapes = structure
    tables = _tables_on(order, str(x.device))
    found = torch.empty(len(x), dtype=torch.int64, device=x.device)
    with torch.cuda.device_of(x):
        for start in range(0, len(x), _PIECE):
            part = x[start : start + _PIECE]
            _search[(triton.cdiv(len(part), _BLOCK),)](
                part.T.contiguous(),
                found[start:],
                len(part),
                *tables,
                SHAPE_STARTS[shapes[0] - 2],
                TWOS=2 in shapes,
                THREES=3 in shapes,
                FOURS=4 in shapes,
                BLOCK=_BLOCK,
                num_warps=_BLOCK // 32,
                enable_fp_fusion=True,
            )
    close = (found < 0).nonzero()[:, 0]
    if len(close):
        rows = x[close]
        bad = ~rows.isfinite().all(dim=1)
        if bool(bad.any()):
            row = int(close[bad][0])
            fixed_point(x[row : row + 1], first_row=first_row + row)
        found[close] = nearest_structured(rows, structure)
    return found


@functools.lru_cache(maxsize=16)
def _tables_on(order: LeechOrder, device: str) -> tuple[Tensor, ...]:
    tables = tables_of(order)
    signs = torch.from_numpy(tables.word_signs).float()
    others = [
        tables.word_places, tables.word_masks, tables.messages, tables.octad_places, tables.pair_places,
        tables.cell_octads, tables.octads,
    ]  # fmt: skip
    return tuple(table.contiguous().to(device) for table in (signs, *map(torch.from_numpy, others)))


@triton.jit
def _search(
    x,
    found,
    count,
    word_signs,
    word_places,
    word_masks,
    messages,
    octad_places,
    pair_places,
    cell_octads,
    octads,
    first,
    TWOS: tl.constexpr,
    THREES: tl.constexpr,
    FOURS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Write the index of the nearest codeword of each point, or -1 where rounding could decide.

    `x` holds coordinate by coordinate, shape (24, count).
    """
    n = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    there = n < count
    greatest = tl.zeros((BLOCK,), tl.float32)
    for place in range(24):
        greatest = tl.maximum(greatest, tl.abs(coordinate(x, place, n, there, count).to(tl.float32)))
    exponent = greatest.to(tl.int32, bitcast=True) >> 23
    plain = (exponent > 0) & (exponent < 254)
    scale = ((254 - tl.where(plain, exponent, 127)) << 23).to(tl.float32, bitcast=True)  # to [1, 2)
    total = tl.zeros((BLOCK,), tl.float32)
    for place in range(24):
        total += tl.abs(coordinate(x, place, n, there, count).to(tl.float32) * scale)

    best = tl.full((BLOCK,), -1e30, tl.float32)
    second = tl.full((BLOCK,), -1e30, tl.float32)
    cell = tl.zeros((BLOCK,), tl.int32)
    if THREES:
        best, second, cell = screen_words(x, n, there, count, scale, word_places, word_signs, best, second, cell)
    if TWOS:
        best, second, cell = screen_cosets(x, n, there, count, scale, pair_places, best, second, cell)
        best, second, cell = screen_code(x, n, there, count, scale, octad_places, best, second, cell)
    if FOURS:
        best, second, cell = screen_pairs(x, n, there, count, scale, best, second, cell)

    sure = plain & (best - second > total * 0.00000762939453125)  # 2⁻¹⁷, and false for what is not a number
    cell = tl.where(sure, cell, 0)
    exact = exact_scale(x, n, there, count)
    row = tl.zeros((BLOCK,), tl.int64)
    if THREES:
        row = decide_words(
            x, n, there, count, exact, tl.where(cell < WORDS, cell, 0), word_places, word_masks, messages
        )
    if TWOS:
        inside = (cell >= WORDS) & (cell < PAIRS)
        twos = decide_octads(x, n, there, count, exact, tl.where(inside, cell - WORDS, 0), cell_octads, octads)
        row = tl.where(inside, twos, row)
    if FOURS:
        row = tl.where(cell == PAIRS, decide_pairs(x, n, there, count, exact), row)
    tl.store(found + n, tl.where(sure, row - first, -1), mask=there)
