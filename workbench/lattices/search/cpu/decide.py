"""Exact scores of a few codewords, in integers: the last word on one point.

`y` is the point in fixed point (`fixed.py`): 24 integers below 2⁵³, all sums exact in int64. A row is an index into the
whole Leech shell (`leech.py`), and of equal scores the lowest row counts. Kernels for numba: one point, one thread.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

__all__ = ["best_of_all", "best_of_octad", "best_of_pairs", "best_of_triple", "score_triples", "to_fixed_point"]

import math

import numpy as np

from workbench.lattices.codes.leech import SHAPE_STARTS
from workbench.lattices.golay.code import NUM_OCTADS, NUM_WORDS
from workbench.lattices.jit import kernel

_THREES, _FOURS = SHAPE_STARTS[1:3]
_NONE, _ALL = -(1 << 62), 1 << 62
_POWERS = 2.0 ** np.arange(-600, 601)


@kernel(fastmath={"nnan", "nsz"})
def to_fixed_point(x, y) -> None:
    """Write the finite row x, shape (24,), into y as `fixed_point` does."""
    greatest = 0.0
    for p in range(len(x)):
        size = abs(np.float64(x[p]))
        greatest = size if size > greatest else greatest
    exponent = 53 - math.frexp(greatest)[1]
    half = exponent >> 1
    one, other = _POWERS[600 + half], _POWERS[600 + exponent - half]
    for p in range(len(x)):
        y[p] = np.int64(np.rint(np.float64(x[p]) * one * other))


@kernel(inline=True)
def best_of_triple(y, plan, c, i, j):
    """Score and row of the best of the 192 words (∓3, ±1²³) of class c, ranks i and j."""
    s0, least0, most0 = _brick(y, plan, 0, 8 * c + i)
    s1, least1, most1 = _brick(y, plan, 1, 8 * c + j)
    s2, least2, most2 = _brick(y, plan, 2, 8 * c + (i ^ j))
    # With signs s, the 3 at an entry e gives Σ s - 4e. In each brick by itself: gain by a 3, for either sign.
    plus0, minus0 = s0 - 4 * (least0 >> 5), -s0 - 4 * (most0 >> 5)
    plus1, minus1 = s1 - 4 * (least1 >> 5), -s1 - 4 * (most1 >> 5)
    plus2, minus2 = s2 - 4 * (least2 >> 5), -s2 - 4 * (most2 >> 5)
    gain0 = (minus0 if minus0 > plus0 else plus0) - abs(s0)
    gain1 = (minus1 if minus1 > plus1 else plus1) - abs(s1)
    gain2 = (minus2 if minus2 > plus2 else plus2) - abs(s2)
    tie = (s0 == 0) | (s1 == 0) | (s2 == 0) | (plus0 == minus0) | (plus1 == minus1) | (plus2 == minus2)
    if tie | (gain0 == gain1) | (gain0 == gain2) | (gain1 == gain2):
        return _best_of_signs(s0, least0, most0, s1, least1, most1, s2, least2, most2, plan.messages[c, i, j])
    at0, at1 = (gain0 > gain1) & (gain0 > gain2), (gain1 > gain0) & (gain1 > gain2)
    at2 = not (at0 | at1)
    flip0, flip1, flip2 = minus0 > plus0, minus1 > plus1, minus2 > plus2
    entry = (most0 if flip0 else least0) if at0 else (most2 if flip2 else least2)
    entry = (most1 if flip1 else least1) if at1 else entry
    gain = gain0 if at0 else gain2
    gain = gain1 if at1 else gain
    signs = (flip0 if at0 else s0 < 0) + 2 * (flip1 if at1 else s1 < 0) + 4 * (flip2 if at2 else s2 < 0)
    row = _THREES + NUM_WORDS * (entry & 31) + plan.messages[c, i, j, signs]
    return abs(s0) + abs(s1) + abs(s2) + gain, row


@kernel(inline=True)
def _best_of_signs(s0, least0, most0, s1, least1, most1, s2, least2, most2, messages):
    """The same where some are equal: all eight choices of signs in turn."""
    best, row = _NONE, 0
    for signs in range(8):
        total, least = (-s0, most0) if signs & 1 else (s0, least0)
        s, entry = (-s1, most1) if signs & 2 else (s1, least1)
        total, least = total + s, min(least, entry)
        s, entry = (-s2, most2) if signs & 4 else (s2, least2)
        total, least = total + s, min(least, entry)
        score = total - 4 * (least >> 5)
        if score >= best:
            candidate = _THREES + NUM_WORDS * (least & 31) + messages[signs]
            if score > best or candidate < row:
                best, row = score, candidate
    return best, row


@kernel(inline=True)
def _brick(y, plan, b, slot):
    """Sum of a brick's signed entries, and the least of them, and of their opposites.

    Entries come 32-fold plus their position: of equal ones the first position is the least.
    """
    total, least, most = 0, np.int64(_ALL), np.int64(_ALL)
    for r in range(8):
        place = plan.word_places[8 * b + r]
        entry = y[place] * plan.signs[b, slot, r]
        total += entry
        least = min(least, 32 * entry + place)
        most = min(most, place - 32 * entry)
    return total, least, most


@kernel(inline=True)
def best_of_octad(y, octads, o):
    """Score and row of the best word (±2⁸) on octad o.

    A zero counts as minus, which stands first in the order. An odd number of minus signs is made even at a least
    entry: the first plus among these, to minus; or, if there is none, the last minus.
    """
    total, least, signs = 0, np.int64(_ALL), 0
    for r in range(8):
        entry = y[octads[o, r]]
        plus = entry > 0
        size = abs(entry)
        total += size
        least = min(least, 32 * size + (r if plus else 23 - r))
        signs = 2 * signs + plus
    parity = signs ^ signs >> 4
    parity ^= parity >> 2
    odd = (parity ^ parity >> 1) & 1
    rank = least & 31
    signs ^= odd * (128 >> (rank if rank < 8 else 23 - rank))
    return 2 * total - 4 * odd * (least >> 5), NUM_OCTADS * (signs >> 1) + o


@kernel(inline=True)
def best_of_pairs(y):
    """Score and row of the best word (±4²)."""
    one, two = 0, -1
    for p in range(1, 24):
        if abs(y[p]) > abs(y[one]):
            one, two = p, one
        elif two < 0 or abs(y[p]) > abs(y[two]):
            two = p
    first, second = min(one, two), max(one, two)
    pair = first * (47 - first) // 2 + second - first - 1
    return 4 * (abs(y[one]) + abs(y[two])), _FOURS + 4 * pair + 2 * (y[first] > 0) + (y[second] > 0)


@kernel
def score_triples(y, plan, scores) -> None:
    """Write the best score of every triple (64 · class + 8 · i + j) into `scores`, shape (512,)."""
    plain, threes = np.empty((3, 64), np.int64), np.empty((3, 64), np.int64)
    for b in range(3):
        for slot in range(64):
            s, least, most = _brick(y, plan, b, slot)
            plain[b, slot] = abs(s)
            threes[b, slot] = max(s - 4 * (least >> 5), -s - 4 * (most >> 5))
    for triple in range(512):
        c, i, j = triple >> 6, triple >> 3 & 7, triple & 7
        one, two, three = 8 * c + i, 8 * c + j, 8 * c + (i ^ j)
        first = max(threes[0, one] + plain[1, two], plain[0, one] + threes[1, two])
        scores[triple] = max(first + plain[2, three], plain[0, one] + plain[1, two] + threes[2, three])


@kernel(inline=True)
def best_of_all(y, plan):
    """Row of the best word of all shapes that take part; some ten microseconds."""
    best, row = _NONE, 0
    if plan.shapes[0]:
        for o in range(NUM_OCTADS):
            score, candidate = best_of_octad(y, plan.octads, o)
            if score > best or (score == best and candidate < row):
                best, row = score, candidate
    if plan.shapes[1]:
        scores = np.empty(512, np.int64)
        score_triples(y, plan, scores)
        for triple in range(512):
            if scores[triple] >= best:
                score, candidate = best_of_triple(y, plan, triple >> 6, triple >> 3 & 7, triple & 7)
                if score > best or candidate < row:
                    best, row = score, candidate
    if plan.shapes[2]:
        score, candidate = best_of_pairs(y)
        if score > best:
            best, row = score, candidate
    return row
