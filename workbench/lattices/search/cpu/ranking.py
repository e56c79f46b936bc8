"""The k nearest words of a Leech shell, one point at a time, in integers; see `ranking.py`."""

# ruff: noqa: ANN001, ANN202 - numba infers the types

__all__ = ["rank_rows"]

import numpy as np

from workbench.lattices.codes.leech import SHAPE_STARTS
from workbench.lattices.golay.code import NUM_OCTADS, NUM_PAIRS, NUM_WORDS
from workbench.lattices.jit import kernel
from workbench.lattices.search.cpu.decide import best_of_octad, score_triples

_THREES, _FOURS = SHAPE_STARTS[1:3]
_NONE = -(1 << 62)
_TRIPLES = 512
_FIRST_PAIR = NUM_OCTADS + _TRIPLES


@kernel
def rank_rows(points, start, stop, found, plan) -> None:
    """Write the nearest words of points start … stop, fixed-point int64 (n, 24), into `found` (n, k)."""
    k = found.shape[1]
    bests = np.empty(_FIRST_PAIR + NUM_PAIRS, np.int64)
    scores = np.empty(k, np.int64)
    for n in range(start, stop):
        y, rows = points[n], found[n]
        _best_of_groups(y, plan, bests)
        bound = np.sort(bests)[len(bests) - k]
        scores[:] = _NONE
        rows[:] = 1 << 40
        for group in range(len(bests)):
            if bests[group] >= bound and bests[group] > _NONE:
                if group < NUM_OCTADS:
                    _open_octad(y, plan, group, bound, scores, rows)
                elif group < _FIRST_PAIR:
                    _open_triple(y, plan, group - NUM_OCTADS, bound, scores, rows)
                else:
                    _open_pair(y, group - _FIRST_PAIR, bound, scores, rows)
        rows -= plan.first[0]


@kernel
def _best_of_groups(y, plan, bests) -> None:
    bests[:] = _NONE
    if plan.shapes[0]:
        for o in range(NUM_OCTADS):
            bests[o] = best_of_octad(y, plan.octads, o)[0]
    if plan.shapes[1]:
        score_triples(y, plan, bests[NUM_OCTADS:_FIRST_PAIR])
    if plan.shapes[2]:
        group = _FIRST_PAIR
        for i in range(24):
            for j in range(i + 1, 24):
                bests[group] = 4 * (abs(y[i]) + abs(y[j]))
                group += 1


@kernel
def _insert(score, row, bound, scores, rows) -> None:
    """Put a word where it belongs, if it does: greatest score first, equal ones by row."""
    place = len(scores) - 1
    if score < bound or score < scores[place] or (score == scores[place] and row > rows[place]):
        return
    while place > 0 and (score > scores[place - 1] or (score == scores[place - 1] and row < rows[place - 1])):
        scores[place], rows[place] = scores[place - 1], rows[place - 1]
        place -= 1
    scores[place], rows[place] = score, row


@kernel
def _open_octad(y, plan, o, bound, scores, rows) -> None:
    for signs in range(128):
        total, minus = 0, 0
        for r in range(7):
            plus = signs >> (6 - r) & 1
            minus ^= 1 - plus
            total += y[plan.octads[o, r]] * (2 * plus - 1)
        total += y[plan.octads[o, 7]] * (1 - 2 * minus)  # the last sign makes the number of minus signs even
        _insert(2 * total, NUM_OCTADS * signs + o, bound, scores, rows)


@kernel
def _open_triple(y, plan, triple, bound, scores, rows) -> None:
    c, i, j = triple >> 6, triple >> 3 & 7, triple & 7
    slots = (8 * c + i, 8 * c + j, 8 * c + (i ^ j))
    for flips in range(8):
        total = 0
        for p in range(24):
            total += _entry(y, plan, p, slots, flips)
        for p in range(24):
            row = _THREES + NUM_WORDS * plan.word_places[p] + plan.messages[c, i, j, flips]
            _insert(total - 4 * _entry(y, plan, p, slots, flips), row, bound, scores, rows)


@kernel
def _entry(y, plan, p, slots, flips):
    b = p >> 3
    return y[plan.word_places[p]] * plan.signs[b, slots[b], p & 7] * (1 - 2 * (flips >> b & 1))


@kernel
def _open_pair(y, pair, bound, scores, rows) -> None:
    i, rest = 0, pair
    while rest >= 23 - i:
        rest -= 23 - i
        i += 1
    j = i + 1 + rest
    for signs in range(4):
        score = 4 * (y[i] * (2 * (signs >> 1) - 1) + y[j] * (2 * (signs & 1) - 1))
        _insert(score, _FOURS + 4 * pair + signs, bound, scores, rows)
