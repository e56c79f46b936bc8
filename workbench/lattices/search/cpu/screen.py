"""The structured search on a CPU: sixteen points side by side, screened in float32, decided in integers.

For a block of points the workspace is filled with the tables of `plan.py`, and every cell of codewords gives its best
score. A point keeps its best cell and the best score of any other; if these are further apart than all rounding, the
nearest codeword lies in the best cell, where `decide.py` finds it exactly. Otherwise, one point in ten thousand, the
whole shell is searched in integers. So the answer never depends on rounding, nor on how points are put into blocks.

Rounding: a score is a sum of at most ten roundings of numbers below 5·Σ|x|, so two scores that differ by more than
2⁻¹⁷·Σ|x| stand in the right order.
"""

# pyright: reportReturnType=false - to numba every integer has 64 bits
# ruff: noqa: ANN001 - numba infers the types

__all__ = ["search_rows"]

import numpy as np

from workbench.lattices.jit import kernel
from workbench.lattices.lanes import (
    LANES,
    choose,
    larger,
    load,
    magnitude,
    smaller,
    spread,
    store,
    times_plus,
)
from workbench.lattices.search.cpu.decide import (
    best_of_all,
    best_of_octad,
    best_of_pairs,
    best_of_triple,
    to_fixed_point,
)
from workbench.lattices.search.cpu.walk import HALVES, OCTAD_ENTRIES, OCTAD_TABLE, RESULTS, ROWS, WORD_TABLE

_BEST, _SECOND, _CELL, _SUM = RESULTS, RESULTS + 1, RESULTS + 2, RESULTS + 3
_MIXED_CELLS, _EVEN_CELLS, _BRICK_CELLS, _PAIR_CELL = 64, 148, 169, 172
_TOLERANCE = np.float32(2.0**-17)
_MINUS_INFINITY = np.float32(-np.inf)
_RANK_OF_BIT = np.zeros(129, np.int64)
_RANK_OF_BIT[1 << np.arange(8)] = np.arange(8)
_SAFE = np.float32(2.0**60)  # a sum of |x| between this and its inverse leaves float32 sums far from their limits


@kernel
def search_rows(x, start, stop, found, plan) -> int:
    """Write the nearest codeword of rows start … stop of x, float32 or float64 (n, 24), into `found`.

    Returns:
        The first row that is not finite, or -1; from that row on nothing is promised.
    """
    work = np.zeros(ROWS * LANES, np.float32)
    row = np.empty(24, np.float64)
    y = np.empty(24, np.int64)
    same = True
    for p in range(24):
        same &= plan.word_places[p] == plan.octad_places[p]
    for block in range(start, stop, LANES):
        count = min(LANES, stop - block)
        bad = _fill(x, block, count, work, plan, row, same)
        if bad >= 0:
            return bad
        _clear(work)
        if plan.shapes[1]:
            for b in range(3):
                _tabulate_words(work, b, plan.folded)
            _search_words(work)
        if plan.shapes[0]:
            for b in range(3):
                _tabulate_octads(work, (0 if same else OCTAD_ENTRIES) + 8 * b, OCTAD_TABLE + 126 * b, plan)
            _search_octads(work, plan)
        if plan.shapes[2]:
            _search_pairs(work)
        for v in range(count):
            to_fixed_point(x[block + v], y)
            found[block + v] = _decide(work, v, y, plan) - plan.first[0]
    return -1


@kernel
def _fill(x, block, count, work, plan, row, same) -> int:
    """Bring a block of rows into the workspace, scaled where needed; returns a row that is not finite, or -1."""
    for v in range(count):
        for p in range(24):
            work[p * LANES + v] = np.float32(x[block + v, plan.word_places[p]])
        if not same:
            for p in range(24):
                work[(OCTAD_ENTRIES + p) * LANES + v] = np.float32(x[block + v, plan.octad_places[p]])
    for v in range(count, LANES):
        for p in range(2 * 24):
            work[p * LANES + v] = 0.0
    total = magnitude(load(work, 0))
    for p in range(1, 24):
        total = total + magnitude(load(work, p))
    store(work, _SUM, total)
    for v in range(count):
        size = work[_SUM * LANES + v]
        if not (size < _SAFE and size > 1 / _SAFE):
            greatest = 0.0
            for p in range(24):
                row[p] = x[block + v, p]
                if not np.isfinite(row[p]):
                    return block + v
                greatest = max(greatest, abs(row[p]))
            # Dividing is exact enough: this only has to find the cell.
            size = np.float32(0.0)
            for p in range(24):
                one = np.float32(row[plan.word_places[p]] / greatest) if greatest > 0.0 else np.float32(0.0)
                other = np.float32(row[plan.octad_places[p]] / greatest) if greatest > 0.0 else np.float32(0.0)
                work[p * LANES + v] = one
                work[(OCTAD_ENTRIES + p) * LANES + v] = other
                size += abs(one)
            work[_SUM * LANES + v] = size
    return -1


@kernel
def _clear(work) -> None:
    store(work, _BEST, spread(_MINUS_INFINITY))
    store(work, _SECOND, spread(_MINUS_INFINITY))
    store(work, _CELL, spread(np.float32(-1.0)))


@kernel
def _tabulate_half(work, start, row, patterns) -> None:
    """Sum, least and greatest of four signed entries, for every pattern of signs."""
    for pattern in range(patterns):
        a, b, c, d = load(work, start), load(work, start + 1), load(work, start + 2), load(work, start + 3)
        a = a if pattern & 1 else -a
        b = b if pattern & 2 else -b
        c = c if pattern & 4 else -c
        d = d if pattern & 8 else -d
        store(work, row + 3 * pattern, (a + b) + (c + d))
        store(work, row + 3 * pattern + 1, smaller(smaller(a, b), smaller(c, d)))
        store(work, row + 3 * pattern + 2, larger(larger(a, b), larger(c, d)))


@kernel
def _tabulate_words(work, b, folded) -> None:
    """T and D of a brick's folded patterns."""
    _tabulate_half(work, 8 * b, HALVES, 16)
    _tabulate_half(work, 8 * b + 4, HALVES + 48, 8)
    four = np.float32(4.0)
    for slot in range(64):
        pattern = folded[b, slot]
        low, high = HALVES + 3 * (pattern & 15), HALVES + 48 + 3 * (pattern >> 4)
        total = load(work, low) + load(work, high)
        least = smaller(load(work, low + 1), load(work, high + 1))
        most = larger(load(work, low + 2), load(work, high + 2))
        plain = magnitude(total)
        out = WORD_TABLE + 128 * b + 2 * slot
        store(work, out, plain)
        store(work, out + 1, larger(times_plus(least, -four, total), times_plus(most, four, -total)) - plain)


@kernel
def _search_words(work) -> None:
    """All words (∓3, ±1²³): a cell is a class and a rank of the first brick, over the ranks of the second."""
    best, second, cell = load(work, _BEST), load(work, _SECOND), load(work, _CELL)
    for c in range(8):
        for i in range(8):
            one = WORD_TABLE + 16 * c + 2 * i
            plain, extra = load(work, one), load(work, one + 1)
            top = spread(_MINUS_INFINITY)
            for j in range(8):
                two = WORD_TABLE + 128 + 16 * c + 2 * j
                three = WORD_TABLE + 256 + 16 * c + 2 * (i ^ j)
                most = larger(extra, larger(load(work, two + 1), load(work, three + 1)))
                top = larger(top, (plain + load(work, two)) + load(work, three) + most)
            second = larger(second, smaller(best, top))
            cell = choose(top, best, spread(np.float32(8 * c + i)), cell)
            best = larger(best, top)
    store(work, _BEST, best)
    store(work, _SECOND, second)
    store(work, _CELL, cell)


@kernel
def _tabulate_octads(work, start, table, plan) -> None:
    """Best sums with an even and with an odd number of minus signs: 28 duos and 35 quads of a brick."""
    for duo in range(28):
        a, b = load(work, start + plan.duos[duo, 0]), load(work, start + plan.duos[duo, 1])
        store(work, table + 2 * duo, magnitude(a + b))
        store(work, table + 2 * duo + 1, magnitude(a - b))
    for quad in range(35):
        one, two = table + 2 * plan.quads[quad, 0, 0], table + 2 * plan.quads[quad, 0, 1]
        three, four = table + 2 * plan.quads[quad, 1, 0], table + 2 * plan.quads[quad, 1, 1]
        e1, o1, e2, o2 = load(work, one), load(work, one + 1), load(work, two), load(work, two + 1)
        e3, o3, e4, o4 = load(work, three), load(work, three + 1), load(work, four), load(work, four + 1)
        even = larger(larger(e1 + e2, o1 + o2), larger(e3 + e4, o3 + o4))
        odd = larger(larger(e1 + o2, o1 + e2), larger(e3 + o4, o3 + e4))
        store(work, table + 56 + 2 * quad, even)
        store(work, table + 56 + 2 * quad + 1, odd)


@kernel
def _search_octads(work, plan) -> None:
    """All words (±2⁸): cells of four pairs of duos with a quad, of two quads, and of a whole brick."""
    best, second, cell = load(work, _BEST), load(work, _SECOND), load(work, _CELL)
    for m in range(84):
        even, odd = spread(_MINUS_INFINITY), spread(_MINUS_INFINITY)
        for pair in range(4):
            one, two = plan.mixed[m, 1 + 2 * pair], plan.mixed[m, 2 + 2 * pair]
            e1, o1, e2, o2 = load(work, one), load(work, one + 1), load(work, two), load(work, two + 1)
            even = larger(even, larger(e1 + e2, o1 + o2))
            odd = larger(odd, larger(e1 + o2, o1 + e2))
        quad = plan.mixed[m, 0]
        top = larger(load(work, quad) + even, load(work, quad + 1) + odd)
        top = top + top
        second = larger(second, smaller(best, top))
        cell = choose(top, best, spread(np.float32(_MIXED_CELLS + m)), cell)
        best = larger(best, top)
    for m in range(21):
        one, two = plan.even[m, 0], plan.even[m, 1]
        top = larger(load(work, one) + load(work, two), load(work, one + 1) + load(work, two + 1))
        top = top + top
        second = larger(second, smaller(best, top))
        cell = choose(top, best, spread(np.float32(_EVEN_CELLS + m)), cell)
        best = larger(best, top)
    for b in range(3):
        table = OCTAD_TABLE + 126 * b
        quads = plan.quads
        e1, o1 = load(work, table + 2 * quads[0, 0, 0]), load(work, table + 2 * quads[0, 0, 0] + 1)
        e2, o2 = load(work, table + 2 * quads[0, 0, 1]), load(work, table + 2 * quads[0, 0, 1] + 1)
        e3, o3 = load(work, table + 2 * quads[0, 1, 0]), load(work, table + 2 * quads[0, 1, 0] + 1)
        e4, o4 = load(work, table + 2 * quads[0, 1, 1]), load(work, table + 2 * quads[0, 1, 1] + 1)
        top = larger(
            larger(e1 + e2, o1 + o2) + larger(e3 + e4, o3 + o4), larger(e1 + o2, o1 + e2) + larger(e3 + o4, o3 + e4)
        )
        top = top + top
        second = larger(second, smaller(best, top))
        cell = choose(top, best, spread(np.float32(_BRICK_CELLS + b)), cell)
        best = larger(best, top)
    store(work, _BEST, best)
    store(work, _SECOND, second)
    store(work, _CELL, cell)


@kernel
def _search_pairs(work) -> None:
    """All words (±4²): four times the two greatest entries; one cell."""
    most = magnitude(load(work, 0))
    next_most = spread(_MINUS_INFINITY)
    for p in range(1, 24):
        a = magnitude(load(work, p))
        next_most = larger(next_most, smaller(most, a))
        most = larger(most, a)
    top = most + next_most
    top = (top + top) + (top + top)
    best = load(work, _BEST)
    store(work, _SECOND, larger(load(work, _SECOND), smaller(best, top)))
    store(work, _CELL, choose(top, best, spread(np.float32(_PAIR_CELL)), load(work, _CELL)))
    store(work, _BEST, larger(best, top))


@kernel(inline=True)
def _decide(work, v, y, plan) -> int:
    """The nearest codeword of the point in lane v, exactly."""
    margin = _TOLERANCE * work[_SUM * LANES + v]
    if not work[_BEST * LANES + v] - work[_SECOND * LANES + v] > margin:
        return best_of_all(y, plan)
    cell = int(work[_CELL * LANES + v])
    if cell < _MIXED_CELLS:
        return _decide_words(work, v, y, plan, cell, margin)
    if cell == _PAIR_CELL:
        return best_of_pairs(y)[1]
    return _decide_octads(work, v, y, plan, cell - _MIXED_CELLS, margin)


@kernel(inline=True)
def _decide_words(work, v, y, plan, cell, margin) -> int:
    """The same within a cell of words: its triples are screened once more."""
    c, i = cell >> 3, cell & 7
    one = (WORD_TABLE + 2 * cell) * LANES + v
    threshold = work[_BEST * LANES + v] - margin
    plain, extra = work[one], work[one + LANES]
    open_triples = 0
    for j in range(8):
        two = (WORD_TABLE + 128 + 16 * c + 2 * j) * LANES + v
        three = (WORD_TABLE + 256 + 16 * c + 2 * (i ^ j)) * LANES + v
        gain2, gain3 = work[two + LANES], work[three + LANES]
        most = gain2 if gain2 > gain3 else gain3
        most = extra if extra > most else most
        open_triples |= (plain + work[two] + work[three] + most >= threshold) << j
    best, row = np.int64(-1), np.int64(-1)
    while open_triples:
        j = _RANK_OF_BIT[open_triples & -open_triples]
        open_triples &= open_triples - 1
        score, candidate = best_of_triple(y, plan, c, i, j)
        if score > best or (score == best and candidate < row):
            best, row = score, candidate
    return row


@kernel(inline=True)
def _decide_octads(work, v, y, plan, cell, margin) -> int:
    """The same within a cell of octads: of four pairs of duos most are ruled out once more."""
    threshold = np.float32(0.5) * (work[_BEST * LANES + v] - margin)
    open_pairs = 15
    if cell < 84:
        open_pairs = 0
        quad = plan.mixed[cell, 0] * LANES + v
        for pair in range(4):
            one, two = plan.mixed[cell, 1 + 2 * pair] * LANES + v, plan.mixed[cell, 2 + 2 * pair] * LANES + v
            e1, o1, e2, o2 = work[one], work[one + LANES], work[two], work[two + LANES]
            even = e1 + e2 if e1 + e2 > o1 + o2 else o1 + o2
            odd = e1 + o2 if e1 + o2 > o1 + e2 else o1 + e2
            even, odd = even + work[quad], odd + work[quad + LANES]
            open_pairs |= ((even if even > odd else odd) >= threshold) << pair
    best, row = np.int64(-1), np.int64(-1)
    while open_pairs:
        pair = _RANK_OF_BIT[open_pairs & -open_pairs]
        open_pairs &= open_pairs - 1
        for side in range(2):
            o = plan.cell_octads[cell, 2 * pair + side]
            if o >= 0:
                score, candidate = best_of_octad(y, plan.octads, o)
                better = (score > best) | ((score == best) & (candidate < row))
                best, row = (score, candidate) if better else (best, row)
    return row
