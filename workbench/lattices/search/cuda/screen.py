"""The screening of cells on a GPU: for each point the best cell, and the best score of any other.

Codewords are screened in *cells*: 512 triples of words (∓3, ±1²³), 108 groups of octads (±2⁸), and all pairs (±4²) as
one. A score is the greatest inner product with a codeword of the cell, in float32; all of a block's points walk the
same tables, in registers. Called by `search.py`.
"""

# Triton compiles functions from their text: numbers become constants, options of a launch join its arguments.
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportOperatorIssue=false
# ruff: noqa: ANN001, ANN201, ANN202, RUF005 - Triton functions take what Triton passes; its tuples are joined by +

__all__ = ["PAIRS", "WORDS", "coordinate", "screen_code", "screen_cosets", "screen_pairs", "screen_words"]

import triton
import triton.language as tl

WORDS: tl.constexpr = tl.constexpr(512)  # cells below are triples
PAIRS: tl.constexpr = tl.constexpr(512 + 108)  # the cell of all pairs; those between are groups of octads


# ---- reading


@triton.jit
def coordinate(x, position, n, there, count):
    """The coordinate of all points at a position, one number or one a point."""
    return tl.load(x + position * count.to(tl.int64) + n, mask=there, other=0.0)


@triton.jit
def _brick(x, n, there, count, scale, places, start):
    """Eight coordinates at places[start …], scaled, as a tuple."""
    y = ()
    for place in tl.static_range(8):
        position = tl.load(places + start + place).to(tl.int64)
        y = y + (coordinate(x, position, n, there, count).to(tl.float32) * scale,)
    return y


# ---- keeping the best cell, and the best of all others


@triton.jit
def _keep(best, second, cell, score, number):
    second = tl.maximum(second, tl.minimum(best, score))
    cell = tl.where(score > best, number, cell)
    return tl.maximum(best, score), second, cell


# ---- words (∓3, ±1²³)


@triton.jit
def screen_words(x, n, there, count, scale, places, signs, best, second, cell):
    """Triples of words: tables of the three bricks, joined."""
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
def screen_cosets(x, n, there, count, scale, places, best, second, cell):
    """Octads of (4, 2, 2) places: a quad of one brick and a duo of each other."""
    for c in range(7):
        y0 = _brick(x, n, there, count, scale, places, 24 * c)
        y1 = _brick(x, n, there, count, scale, places, 24 * c + 8)
        y2 = _brick(x, n, there, count, scale, places, 24 * c + 16)
        e0, o0 = _duos(y0)
        e1, o1 = _duos(y1)
        e2, o2 = _duos(y2)
        best, second, cell = _join_quads(y0, e1, o1, e2, o2, best, second, cell, WORDS + 12 * c)
        best, second, cell = _join_quads(y1, e2, o2, e0, o0, best, second, cell, WORDS + 12 * c + 4)
        best, second, cell = _join_quads(y2, e0, o0, e1, o1, best, second, cell, WORDS + 12 * c + 8)
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
def screen_code(x, n, there, count, scale, places, best, second, cell):
    """Octads of (4, 4, 0) and of (8, 0, 0) places: quads of class 0."""
    y0 = _brick(x, n, there, count, scale, places, 0)
    y1 = _brick(x, n, there, count, scale, places, 8)
    y2 = _brick(x, n, there, count, scale, places, 16)
    best, second, cell = _join_fours(y0, y1, y2, 2, 4, 1, best, second, cell, WORDS + 84)
    best, second, cell = _join_fours(y0, y1, y2, 1, 4, 2, best, second, cell, WORDS + 85)
    best, second, cell = _join_fours(y0, y1, y2, 3, 4, 1, best, second, cell, WORDS + 86)
    best, second, cell = _join_fours(y0, y1, y2, 1, 2, 4, best, second, cell, WORDS + 87)
    best, second, cell = _join_fours(y0, y1, y2, 2, 5, 1, best, second, cell, WORDS + 88)
    best, second, cell = _join_fours(y0, y1, y2, 1, 6, 2, best, second, cell, WORDS + 89)
    best, second, cell = _join_fours(y0, y1, y2, 3, 5, 1, best, second, cell, WORDS + 90)
    best, second, cell = _keep(best, second, cell, _whole(y0), WORDS + 105)
    best, second, cell = _keep(best, second, cell, _whole(y1), WORDS + 106)
    return _keep(best, second, cell, _whole(y2), WORDS + 107)


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
def screen_pairs(x, n, there, count, scale, best, second, cell):
    """All pairs as one cell: the two greatest entries."""
    most = tl.zeros_like(best)
    next_most = tl.zeros_like(best)
    for place in range(24):
        size = tl.abs(coordinate(x, place, n, there, count).to(tl.float32) * scale)
        next_most = tl.maximum(next_most, tl.minimum(most, size))
        most = tl.maximum(most, size)
    return _keep(best, second, cell, 4.0 * (most + next_most), PAIRS)
