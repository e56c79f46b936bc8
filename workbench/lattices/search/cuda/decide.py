"""Within a cell on a GPU: the nearest codeword exactly, in fixed point (`fixed.py`), as `decide.py` finds it on a CPU.

Scores are sums of int64 entries, ties go to the lowest index, and each function returns an index of `leech`. Called by
`search.py`.
"""

# Triton compiles functions from their text: numbers become constants, options of a launch join its arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# ruff: noqa: ANN001, ANN201, ANN202 - Triton functions take what Triton passes

__all__ = ["decide_octads", "decide_pairs", "decide_words", "exact_scale"]

import triton
import triton.language as tl

from workbench.lattices.codes.leech import SHAPE_STARTS
from workbench.lattices.golay.code import NUM_OCTADS, NUM_WORDS
from workbench.lattices.search.cuda.screen import coordinate

_START3: tl.constexpr = tl.constexpr(SHAPE_STARTS[1])
_START4: tl.constexpr = tl.constexpr(SHAPE_STARTS[2])
_OCTADS: tl.constexpr = tl.constexpr(NUM_OCTADS)
_WORDS: tl.constexpr = tl.constexpr(NUM_WORDS)
_NONE: tl.constexpr = tl.constexpr(1 << 62)


@triton.jit
def exact_scale(x, n, there, count):
    """The power of two that brings the greatest entry to [2⁵², 2⁵³), as float64."""
    greatest = tl.zeros_like(n).to(tl.float64)
    for place in range(24):
        greatest = tl.maximum(greatest, tl.abs(coordinate(x, place, n, there, count).to(tl.float64)))
    exponent = (greatest.to(tl.int64, bitcast=True) >> 52) & 2047
    exponent = tl.minimum(tl.maximum(exponent, 256), 1791)  # far outside the range of float32: those were not sure
    return ((2098 - exponent) << 52).to(tl.float64, bitcast=True)


@triton.jit
def _fixed(value, exact):
    """Round to the nearest integer, halves to even."""
    scaled = value.to(tl.float64) * exact
    size = tl.abs(scaled)
    size = tl.where(size < 4503599627370496.0, (size + 4503599627370496.0) - 4503599627370496.0, size)
    integer = size.to(tl.int64)
    return tl.where(scaled < 0, -integer, integer)


@triton.jit
def decide_words(x, n, there, count, exact, triple, places, masks, messages):
    """The best of the 192 words of a triple."""
    mask = tl.load(masks + triple)
    s0, low0, high0 = _exact_brick(x, n, there, count, exact, places, mask, 0)
    s1, low1, high1 = _exact_brick(x, n, there, count, exact, places, mask, 8)
    s2, low2, high2 = _exact_brick(x, n, there, count, exact, places, mask, 16)
    best = tl.zeros_like(n) - _NONE
    row = tl.zeros_like(n)
    for signs in tl.static_range(8):
        total = (-s0 if signs & 1 else s0) + (-s1 if signs & 2 else s1) + (-s2 if signs & 4 else s2)
        least = tl.minimum(high0 if signs & 1 else low0, high1 if signs & 2 else low1)
        least = tl.minimum(least, high2 if signs & 4 else low2)
        score = total - 4 * (least >> 5)
        candidate = _START3 + _WORDS * (least & 31) + tl.load(messages + 8 * triple + signs)
        better = (score > best) | ((score == best) & (candidate < row))
        best = tl.where(better, score, best)
        row = tl.where(better, candidate, row)
    return row


@triton.jit
def _exact_brick(x, n, there, count, exact, places, mask, START: tl.constexpr):
    """Sum of a brick's signed entries, and the least of them and of their opposites, 32-fold plus their position."""
    total = tl.zeros_like(n)
    least = tl.zeros_like(n) + _NONE
    most = tl.zeros_like(n) + _NONE
    for place in range(8):
        position = tl.load(places + START + place).to(tl.int64)
        entry = _fixed(coordinate(x, position, n, there, count), exact)
        entry = tl.where(((mask >> (START + place)) & 1) == 1, entry, -entry)
        total += entry
        least = tl.minimum(least, 32 * entry + position)
        most = tl.minimum(most, position - 32 * entry)
    return total, least, most


@triton.jit
def decide_octads(x, n, there, count, exact, cell, cell_octads, octads):
    """The best of the words on up to eight octads."""
    best = tl.zeros_like(n) - _NONE
    row = tl.zeros_like(n)
    for member in range(8):
        octad = tl.load(cell_octads + 8 * cell + member)
        real = octad >= 0
        octad = tl.where(real, octad, 0)
        total = tl.zeros_like(n)
        least = tl.zeros_like(n) + _NONE
        signs = tl.zeros_like(n)
        for rank in range(8):
            position = tl.load(octads + 8 * octad + rank).to(tl.int64)
            entry = _fixed(coordinate(x, position, n, there, count), exact)
            plus = entry > 0
            size = tl.abs(entry)
            total += size
            # A zero counts as minus. An odd number of minus signs is made even at a least entry: the first plus
            # among these, to minus; or, if there is none, the last minus.
            least = tl.minimum(least, 32 * size + tl.where(plus, rank, 23 - rank))
            signs = 2 * signs + plus.to(tl.int64)
        parity = signs ^ (signs >> 4)
        parity = parity ^ (parity >> 2)
        odd = (parity ^ (parity >> 1)) & 1
        rank = least & 31
        flip = odd << (7 - tl.where(rank < 8, rank, 23 - rank))
        candidate = _OCTADS * ((signs ^ flip) >> 1) + octad
        score = 2 * total - 4 * odd * (least >> 5)
        better = real & ((score > best) | ((score == best) & (candidate < row)))
        best = tl.where(better, score, best)
        row = tl.where(better, candidate, row)
    return row


@triton.jit
def decide_pairs(x, n, there, count, exact):
    """The word on the two greatest entries, the first among equals."""
    one = tl.zeros_like(n)
    two = tl.zeros_like(n)
    at_one = tl.zeros_like(n)
    at_two = tl.zeros_like(n)
    for place in range(24):
        entry = _fixed(coordinate(x, place, n, there, count), exact)
        top = tl.abs(entry) > tl.abs(one)
        next_top = tl.abs(entry) > tl.abs(two)
        two = tl.where(top, one, tl.where(next_top, entry, two))
        at_two = tl.where(top, at_one, tl.where(next_top, place, at_two))
        one = tl.where(top, entry, one)
        at_one = tl.where(top, place, at_one)
    ascending = at_one < at_two
    first = tl.minimum(at_one, at_two)
    last = tl.maximum(at_one, at_two)
    pair = first * (47 - first) // 2 + last - first - 1
    sign1 = tl.where(ascending, one, two) > 0
    sign2 = tl.where(ascending, two, one) > 0
    return _START4 + 4 * pair + 2 * sign1.to(tl.int64) + sign2.to(tl.int64)
