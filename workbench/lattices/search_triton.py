"""The structured search on a GPU: a point a thread, everything in registers, nothing larger than the points in memory.

A program takes the points of one block, coordinate by coordinate (so that neighbours read neighbours), and walks the
tables of `search_tables.py` in float32. Codewords are screened in *cells*: 512 triples of words (∓3, ±1²³), 108 groups
of octads (±2⁸) and the pairs (±4²). A point keeps its best cell and the best score of any other. If these are further
apart than all rounding the nearest codeword lies in that cell, where it is found exactly, in int64. The other points,
a few in ten thousand, are searched in integers throughout (`structured.py`). So the indices are bit for bit those of
the exhaustive search, and do not depend on the device, the block, or the order of the points.

Rounding: as in `kernel.py`; a score has at most ten roundings of numbers below 5·Σ|x|. Loops that need not be unrolled
are not: compiling takes time in proportion to reads times operations.
"""

# Triton compiles functions from their text: numbers become constants, options of a launch join its arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# ruff: noqa: ANN001, ANN202, RUF005 - Triton functions take what Triton passes, and its tuples are only joined by +

__all__ = ["nearest_on_cuda"]

import functools

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.fixed import fixed_point
from workbench.lattices.leech import SHAPE_STARTS
from workbench.lattices.search_tables import tables_of
from workbench.lattices.structured import SHAPES_OF, nearest_structured

_BLOCK = 128
_PIECE = 1 << 20  # points whose transpose is held at a time: 100 MB
_WORDS: tl.constexpr = tl.constexpr(512)  # cells below are triples
_PAIRS: tl.constexpr = tl.constexpr(512 + 108)
_START3: tl.constexpr = tl.constexpr(SHAPE_STARTS[1])
_START4: tl.constexpr = tl.constexpr(SHAPE_STARTS[2])
_NONE: tl.constexpr = tl.constexpr(1 << 62)


def nearest_on_cuda(x: Float[Tensor, "n 24"], name: str, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword of `leech`, `leech-published`, `leech2`, `leech3` or `leech4`.

    Args:
        x: Rows, float32 or float64, on a CUDA device.
        name: Name of the code.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    _, shapes = SHAPES_OF[name]
    tables = _tables_on(name, str(x.device))
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
        found[close] = nearest_structured(rows, name)
    return found


@functools.lru_cache(maxsize=16)
def _tables_on(name: str, device: str) -> tuple[Tensor, ...]:
    tables = tables_of(SHAPES_OF[name][0])
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
        greatest = tl.maximum(greatest, tl.abs(_coordinate(x, place, n, there, count).to(tl.float32)))
    exponent = greatest.to(tl.int32, bitcast=True) >> 23
    plain = (exponent > 0) & (exponent < 254)
    scale = ((254 - tl.where(plain, exponent, 127)) << 23).to(tl.float32, bitcast=True)  # to [1, 2)
    total = tl.zeros((BLOCK,), tl.float32)
    for place in range(24):
        total += tl.abs(_coordinate(x, place, n, there, count).to(tl.float32) * scale)

    best = tl.full((BLOCK,), -1e30, tl.float32)
    second = tl.full((BLOCK,), -1e30, tl.float32)
    cell = tl.zeros((BLOCK,), tl.int32)
    if THREES:
        best, second, cell = _screen_words(x, n, there, count, scale, word_places, word_signs, best, second, cell)
    if TWOS:
        best, second, cell = _screen_cosets(x, n, there, count, scale, pair_places, best, second, cell)
        best, second, cell = _screen_code(x, n, there, count, scale, octad_places, best, second, cell)
    if FOURS:
        best, second, cell = _screen_pairs(x, n, there, count, scale, best, second, cell)

    sure = plain & (best - second > total * 0.00000762939453125)  # 2⁻¹⁷, and false for what is not a number
    cell = tl.where(sure, cell, 0)
    exact = _exact_scale(x, n, there, count)
    row = tl.zeros((BLOCK,), tl.int64)
    if THREES:
        row = _decide_words(
            x, n, there, count, exact, tl.where(cell < _WORDS, cell, 0), word_places, word_masks, messages
        )
    if TWOS:
        inside = (cell >= _WORDS) & (cell < _PAIRS)
        twos = _decide_octads(x, n, there, count, exact, tl.where(inside, cell - _WORDS, 0), cell_octads, octads)
        row = tl.where(inside, twos, row)
    if FOURS:
        row = tl.where(cell == _PAIRS, _decide_pairs(x, n, there, count, exact), row)
    tl.store(found + n, tl.where(sure, row - first, -1), mask=there)


# ---- reading


@triton.jit
def _coordinate(x, position, n, there, count):
    """The coordinate of all points at a position, one number or one a point."""
    return tl.load(x + position * count.to(tl.int64) + n, mask=there, other=0.0)


@triton.jit
def _brick(x, n, there, count, scale, places, start):
    """Eight coordinates at places[start …], scaled, as a tuple."""
    y = ()
    for place in tl.static_range(8):
        position = tl.load(places + start + place).to(tl.int64)
        y = y + (_coordinate(x, position, n, there, count).to(tl.float32) * scale,)
    return y


# ---- keeping the best cell, and the best of all others


@triton.jit
def _keep(best, second, cell, score, number):
    second = tl.maximum(second, tl.minimum(best, score))
    cell = tl.where(score > best, number, cell)
    return tl.maximum(best, score), second, cell


# ---- words (∓3, ±1²³)


@triton.jit
def _screen_words(x, n, there, count, scale, places, signs, best, second, cell):
    x0 = _brick(x, n, there, count, scale, places, 0)
    x1 = _brick(x, n, there, count, scale, places, 8)
    x2 = _brick(x, n, there, count, scale, places, 16)
    for c in range(8):
        t0, d0 = _tabulate(_signed(x0, signs + 24 * c))
        t1, d1 = _tabulate(_signed(x1, signs + 24 * c + 8))
        t2, d2 = _tabulate(_signed(x2, signs + 24 * c + 16))
        for i in tl.static_range(8):
            for j in tl.static_range(8):
                score = t0[i] + t1[j] + t2[i ^ j] + tl.maximum(tl.maximum(d0[i], d1[j]), d2[i ^ j])
                best, second, cell = _keep(best, second, cell, score, 64 * c + 8 * i + j)
    return best, second, cell


@triton.jit
def _signed(y, signs):
    z = ()
    for place in tl.static_range(8):
        z = z + (y[place] * tl.load(signs + place),)
    return z


@triton.jit
def _tabulate(y):
    """T = |s| and D = F - T of eight patterns of signs, s their sums, F the best sum with a 3 in this brick."""
    sums, lows, highs = y, y, y
    for level in tl.static_range(3):
        sums, lows, highs = _double(sums, lows, highs, 1 << level)
    t = ()
    d = ()
    for i in tl.static_range(8):
        plain = tl.abs(sums[i])
        t = t + (plain,)
        d = d + (tl.maximum(sums[i] - 4.0 * lows[i], 4.0 * highs[i] - sums[i]) - plain,)
    return t, d


@triton.jit
def _double(sums, lows, highs, PATTERNS: tl.constexpr):
    """Join neighbouring groups of labels: every pattern of signs, with the second group as it is, then turned."""
    s = ()
    low = ()
    high = ()
    for group in tl.static_range(0, 8, 2 * PATTERNS):
        for i in tl.static_range(group, group + PATTERNS):
            s = s + (sums[i] + sums[i + PATTERNS],)
            low = low + (tl.minimum(lows[i], lows[i + PATTERNS]),)
            high = high + (tl.maximum(highs[i], highs[i + PATTERNS]),)
        for i in tl.static_range(group, group + PATTERNS):
            s = s + (sums[i] - sums[i + PATTERNS],)
            low = low + (tl.minimum(lows[i], -highs[i + PATTERNS]),)
            high = high + (tl.maximum(highs[i], -lows[i + PATTERNS]),)
    return s, low, high


# ---- octads (±2⁸)


@triton.jit
def _screen_cosets(x, n, there, count, scale, places, best, second, cell):
    """Octads of (4, 2, 2) places: a quad of one brick and a duo of each other."""
    for c in range(7):
        y0 = _brick(x, n, there, count, scale, places, 24 * c)
        y1 = _brick(x, n, there, count, scale, places, 24 * c + 8)
        y2 = _brick(x, n, there, count, scale, places, 24 * c + 16)
        e0, o0 = _duos(y0)
        e1, o1 = _duos(y1)
        e2, o2 = _duos(y2)
        best, second, cell = _join_quads(y0, e1, o1, e2, o2, best, second, cell, _WORDS + 12 * c)
        best, second, cell = _join_quads(y1, e2, o2, e0, o0, best, second, cell, _WORDS + 12 * c + 4)
        best, second, cell = _join_quads(y2, e0, o0, e1, o1, best, second, cell, _WORDS + 12 * c + 8)
    return best, second, cell


@triton.jit
def _duos(y):
    """Best sums of each pair with an even and with an odd number of minus signs."""
    even = ()
    odd = ()
    for r in tl.static_range(4):
        even = even + (tl.abs(y[2 * r] + y[2 * r + 1]),)
        odd = odd + (tl.abs(y[2 * r] - y[2 * r + 1]),)
    return even, odd


@triton.jit
def _join_quads(y, e1, o1, e2, o2, best, second, cell, number):
    # Of two pairs, an element each: sums for elements (0, 0), (0, 1), (1, 0), (1, 1).
    left_e, left_o = _crossed(y[0], y[1], y[2], y[3])
    right_e, right_o = _crossed(y[4], y[5], y[6], y[7])
    # The quad with element 1 of pair r and element 0 of the others: which sum to take on the left and on the right.
    for r in tl.static_range(4):
        even, odd = _quad(left_e, left_o, right_e, right_o, (2, 1, 0, 0)[r], (0, 0, 2, 1)[r])
        rest_e = _even(e1[0], o1[0], e2[r], o2[r])
        rest_o = _even(e1[0], o1[0], o2[r], e2[r])
        for s in tl.static_range(1, 4):
            rest_e = tl.maximum(rest_e, _even(e1[s], o1[s], e2[s ^ r], o2[s ^ r]))
            rest_o = tl.maximum(rest_o, _even(e1[s], o1[s], o2[s ^ r], e2[s ^ r]))
        score = 2.0 * _even(even, odd, rest_e, rest_o)
        best, second, cell = _keep(best, second, cell, score, number + r)
    return best, second, cell


@triton.jit
def _quad(left_e, left_o, right_e, right_o, L: tl.constexpr, R: tl.constexpr):
    """Best even and odd sums of a quad, of either of its fours."""
    even = tl.maximum(
        _even(left_e[L], left_o[L], right_e[R], right_o[R]),
        _even(left_e[3 - L], left_o[3 - L], right_e[3 - R], right_o[3 - R]),
    )
    odd = tl.maximum(
        _even(left_e[L], left_o[L], right_o[R], right_e[R]),
        _even(left_e[3 - L], left_o[3 - L], right_o[3 - R], right_e[3 - R]),
    )
    return even, odd


@triton.jit
def _crossed(a0, a1, b0, b1):
    even = (tl.abs(a0 + b0), tl.abs(a0 + b1), tl.abs(a1 + b0), tl.abs(a1 + b1))
    odd = (tl.abs(a0 - b0), tl.abs(a0 - b1), tl.abs(a1 - b0), tl.abs(a1 - b1))
    return even, odd


@triton.jit
def _even(e1, o1, e2, o2):
    """Best sum of two parts with an even number of minus signs in all; for an odd one exchange the last two."""
    return tl.maximum(e1 + e2, o1 + o2)


@triton.jit
def _screen_code(x, n, there, count, scale, places, best, second, cell):
    """Octads of (4, 4, 0) and of (8, 0, 0) places: quads of class 0."""
    y0 = _brick(x, n, there, count, scale, places, 0)
    y1 = _brick(x, n, there, count, scale, places, 8)
    y2 = _brick(x, n, there, count, scale, places, 16)
    best, second, cell = _join_fours(y0, y1, y2, 2, 4, 1, best, second, cell, _WORDS + 84)
    best, second, cell = _join_fours(y0, y1, y2, 1, 4, 2, best, second, cell, _WORDS + 85)
    best, second, cell = _join_fours(y0, y1, y2, 3, 4, 1, best, second, cell, _WORDS + 86)
    best, second, cell = _join_fours(y0, y1, y2, 1, 2, 4, best, second, cell, _WORDS + 87)
    best, second, cell = _join_fours(y0, y1, y2, 2, 5, 1, best, second, cell, _WORDS + 88)
    best, second, cell = _join_fours(y0, y1, y2, 1, 6, 2, best, second, cell, _WORDS + 89)
    best, second, cell = _join_fours(y0, y1, y2, 3, 5, 1, best, second, cell, _WORDS + 90)
    best, second, cell = _keep(best, second, cell, _whole(y0), _WORDS + 105)
    best, second, cell = _keep(best, second, cell, _whole(y1), _WORDS + 106)
    return _keep(best, second, cell, _whole(y2), _WORDS + 107)


@triton.jit
def _join_fours(y0, y1, y2, A: tl.constexpr, B: tl.constexpr, OUT: tl.constexpr, best, second, cell, number):
    """One quad of class 0, in two bricks of three: a four spanned by labels A and B, and that moved by OUT."""
    e0, o0 = _fold(y0, A, B, OUT)
    e1, o1 = _fold(y1, A, B, OUT)
    e2, o2 = _fold(y2, A, B, OUT)
    best, second, cell = _keep(best, second, cell, 2.0 * _even(e0, o0, e1, o1), number)
    best, second, cell = _keep(best, second, cell, 2.0 * _even(e1, o1, e2, o2), number + 7)
    return _keep(best, second, cell, 2.0 * _even(e2, o2, e0, o0), number + 14)


@triton.jit
def _fold(y, A: tl.constexpr, B: tl.constexpr, OUT: tl.constexpr):
    """Best even and odd sums of a quad, of either of its fours."""
    e0, o0 = _four(y[0], y[A], y[B], y[A ^ B])
    e1, o1 = _four(y[OUT], y[OUT ^ A], y[OUT ^ B], y[OUT ^ A ^ B])
    return tl.maximum(e0, e1), tl.maximum(o0, o1)


@triton.jit
def _whole(y):
    """Score of the brick as an octad."""
    e0, o0 = _four(y[0], y[1], y[2], y[3])
    e1, o1 = _four(y[4], y[5], y[6], y[7])
    return 2.0 * _even(e0, o0, e1, o1)


@triton.jit
def _four(a, b, c, d):
    e1, o1 = tl.abs(a + b), tl.abs(a - b)
    e2, o2 = tl.abs(c + d), tl.abs(c - d)
    return _even(e1, o1, e2, o2), _even(e1, o1, o2, e2)


# ---- pairs (±4²)


@triton.jit
def _screen_pairs(x, n, there, count, scale, best, second, cell):
    most = tl.zeros_like(best)
    next_most = tl.zeros_like(best)
    for place in range(24):
        size = tl.abs(_coordinate(x, place, n, there, count).to(tl.float32) * scale)
        next_most = tl.maximum(next_most, tl.minimum(most, size))
        most = tl.maximum(most, size)
    return _keep(best, second, cell, 4.0 * (most + next_most), _PAIRS)


# ---- within a cell: exact, in fixed point (`fixed.py`), as in `decide.py`


@triton.jit
def _exact_scale(x, n, there, count):
    """The power of two that brings the greatest entry to [2⁵², 2⁵³), as float64."""
    greatest = tl.zeros_like(n).to(tl.float64)
    for place in range(24):
        greatest = tl.maximum(greatest, tl.abs(_coordinate(x, place, n, there, count).to(tl.float64)))
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
def _decide_words(x, n, there, count, exact, triple, places, masks, messages):
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
        candidate = _START3 + 4096 * (least & 31) + tl.load(messages + 8 * triple + signs)
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
        entry = _fixed(_coordinate(x, position, n, there, count), exact)
        entry = tl.where(((mask >> (START + place)) & 1) == 1, entry, -entry)
        total += entry
        least = tl.minimum(least, 32 * entry + position)
        most = tl.minimum(most, position - 32 * entry)
    return total, least, most


@triton.jit
def _decide_octads(x, n, there, count, exact, cell, cell_octads, octads):
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
            entry = _fixed(_coordinate(x, position, n, there, count), exact)
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
        candidate = 759 * ((signs ^ flip) >> 1) + octad
        score = 2 * total - 4 * odd * (least >> 5)
        better = real & ((score > best) | ((score == best) & (candidate < row)))
        best = tl.where(better, score, best)
        row = tl.where(better, candidate, row)
    return row


@triton.jit
def _decide_pairs(x, n, there, count, exact):
    """The word on the two greatest entries, the first among equals."""
    one = tl.zeros_like(n)
    two = tl.zeros_like(n)
    at_one = tl.zeros_like(n)
    at_two = tl.zeros_like(n)
    for place in range(24):
        entry = _fixed(_coordinate(x, place, n, there, count), exact)
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
