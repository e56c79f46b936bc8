"""The sums of `sums.py` on a CPU: in the linear domain, sixteen tokens side by side, forward and backward.

For each shape the weights are scaled so that the best choice at every position weighs 1, and every later number is a
sum of products of numbers in [0, 1]. The scaling has one free number λ for the octads and one for the pairs: as each
of these codewords has exactly eight digits ±2 (two digits ±4), λ may be taken off all of their logits and given back
at the end. λ is chosen so that eight (two) positions prefer to be in, which keeps the sums far from underflow.

Whatever is lost to underflow is below exp(-686) in the scaled sums. A token is accepted only where that is less than
1e-12 of its whole sum; for the others, seldom any, the caller does the sums in logs. So the result is exact always.

The backward pass runs the same products in reverse: the gradient is the probability of each digit at each position,
again a sum of positive terms.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

__all__ = ["sum_tokens"]

import numpy as np

from workbench.lattices.golay.code import NUM_OCTADS
from workbench.lattices.lanes import LANES
from workbench.lattices.partition.products import exp, fused_kernel, inside, outside, sum_words, words_back

_FLOOR = -686.0  # log of a bound on what underflow can take from a scaled sum of at most 1e6 terms
_MARGIN = 28.0  # -log of the relative error allowed, 1e-12
_OCTAD_DIGITS = np.array([[4, -1], [6, 2]])  # digit of x and of y, for bit 0 and for bit 1
_WORD_DIGITS = np.array([[3, 7], [5, 1]])


@fused_kernel
def _middle(values, rank):
    """A finite number between the largest `rank` of the values and the others, as near the middle as may be."""
    top = np.full(rank + 1, -np.inf)
    for value in values:
        if value > top[rank]:
            place = rank
            while place > 0 and value > top[place - 1]:
                top[place] = top[place - 1]
                place -= 1
            top[place] = value
    above, below = top[rank - 1], top[rank]
    if np.isinf(above):
        return 0.0 if np.isinf(below) else below
    return above if np.isinf(below) else 0.5 * (above + below)


@fused_kernel
def _scale(x, octad_places, word_places, octads, words, fours, offset):
    """From logits x (24, 9, 16) to scaled elements, in place order, and what the scaling took off, (3, 16)."""
    gaps, tops = np.empty(24), np.empty(24)
    for v in range(LANES):
        for i in range(24):
            gaps[i] = max(x[i, 6, v], x[i, 2, v]) - x[i, 4, v]
        tilt = _middle(gaps, 8)
        offset[0, v] = 8 * tilt
        for place in range(24):
            i = octad_places[place]
            top = max(x[i, 4, v], max(x[i, 6, v], x[i, 2, v]) - tilt)
            top = 0.0 if top == -np.inf else top
            offset[0, v] += top
            octads[4 * place, v] = x[i, 4, v] - top
            octads[4 * place + 1, v] = -np.inf
            octads[4 * place + 2, v] = x[i, 6, v] - tilt - top
            octads[4 * place + 3, v] = x[i, 2, v] - tilt - top
        three = -np.inf
        for i in range(24):
            top = max(x[i, 3, v], x[i, 5, v])
            both = max(x[i, 1, v], x[i, 7, v])
            top = both if top == -np.inf else top
            tops[i] = 0.0 if top == -np.inf else top
            three = max(three, both - tops[i])
        three = 0.0 if three == -np.inf else three
        offset[1, v] = three
        for place in range(24):
            i = word_places[place]
            offset[1, v] += tops[i]
            words[4 * place, v] = x[i, 3, v] - tops[i]
            words[4 * place + 1, v] = x[i, 7, v] - tops[i] - three
            words[4 * place + 2, v] = x[i, 5, v] - tops[i]
            words[4 * place + 3, v] = x[i, 1, v] - tops[i] - three
        for i in range(24):
            gaps[i] = max(x[i, 8, v], x[i, 0, v]) - x[i, 4, v]
        tilt = _middle(gaps, 2)
        offset[2, v] = 2 * tilt
        for i in range(24):
            top = max(x[i, 4, v], max(x[i, 8, v], x[i, 0, v]) - tilt)
            top = 0.0 if top == -np.inf else top
            offset[2, v] += top
            fours[3 * i, v] = x[i, 4, v] - top
            fours[3 * i + 1, v] = x[i, 8, v] - tilt - top
            fours[3 * i + 2, v] = x[i, 0, v] - tilt - top
    exp(octads)
    exp(words)
    exp(fours)


@fused_kernel
def _sum_pairs(fours, before, total):
    """Coefficients of 1, ε, ε² of the product of the first i elements, for every i; the last ε² is the sum."""
    before[:] = 0.0
    before[0, 0] = 1.0
    for i in range(24):
        for v in range(LANES):
            x, y = fours[3 * i, v], fours[3 * i + 1, v] + fours[3 * i + 2, v]
            before[i + 1, 0, v] = before[i, 0, v] * x
            before[i + 1, 1, v] = before[i, 1, v] * x + before[i, 0, v] * y
            before[i + 1, 2, v] = before[i, 2, v] * x + before[i, 1, v] * y
    total[:] = before[24, 2]


@fused_kernel
def _pairs_back(fours, before, factor, grad):
    """Add the shares of the digits 0, 4 and -4 to the gradient (24, 9, 16)."""
    after = np.zeros((3, LANES))
    after[0] = 1.0
    for i in range(23, -1, -1):
        for v in range(LANES):
            x, plus, minus = fours[3 * i, v], fours[3 * i + 1, v], fours[3 * i + 2, v]
            b0, b1, b2 = before[i, 0, v], before[i, 1, v], before[i, 2, v]
            a0, a1, a2 = after[0, v], after[1, v], after[2, v]
            of_y = b0 * a1 + b1 * a0
            grad[i, 4, v] += x * (b0 * a2 + b1 * a1 + b2 * a0) * factor[v]
            grad[i, 8, v] += plus * of_y * factor[v]
            grad[i, 0, v] += minus * of_y * factor[v]
            after[2, v] = a2 * x + a1 * (plus + minus)
            after[1, v] = a1 * x + a0 * (plus + minus)
            after[0, v] = a0 * x


@fused_kernel
def _load_words(word_logits, base, width, weights, peaks):
    """Exponentials of the word logits of sixteen tokens, (4855, 16), each kind over its largest."""
    peaks[:] = -np.inf
    for w in range(weights.shape[0]):
        kind = 0 if w < NUM_OCTADS else 1
        for v in range(LANES):
            value = np.float64(word_logits[base + min(v, width - 1), w])
            weights[w, v] = value
            peaks[kind, v] = max(peaks[kind, v], value)
    for kind in range(2):
        for v in range(LANES):
            if peaks[kind, v] == -np.inf:
                peaks[kind, v] = 0.0
    for w in range(weights.shape[0]):
        kind = 0 if w < NUM_OCTADS else 1
        for v in range(LANES):
            weights[w, v] -= peaks[kind, v]
    exp(weights)


@fused_kernel
def _combine(offset, total, value, accepted):
    """Log of the whole sum from the scaled sums of the shapes, and whether underflow is negligible in it."""
    for v in range(LANES):
        top = -np.inf
        worst = -np.inf
        for shape in range(3):
            top = max(top, offset[shape, v] + np.log(total[shape, v]))
            worst = max(worst, offset[shape, v])
        rest = 0.0
        for shape in range(3):
            rest += np.exp(offset[shape, v] + np.log(total[shape, v]) - top)
        value[v] = top + np.log(rest)
        accepted[v] = worst + _FLOOR <= value[v] - _MARGIN


@fused_kernel
def _share(elements, g_elements, places, digits, factor, grad):
    """Add element times gradient, the unnormalised probability of a digit, to the gradient (24, 9, 16)."""
    for place in range(24):
        i = places[place]
        for bit in range(2):
            for part in range(2):
                digit = digits[bit, part]
                if digit >= 0:
                    for v in range(LANES):
                        row = 4 * place + 2 * bit + part
                        grad[i, digit, v] += elements[row, v] * g_elements[row, v] * factor[v]


@fused_kernel
def sum_tokens(
    start,
    stop,
    backward,
    logits,
    word_logits,
    outer,
    grad_logits,
    grad_words,
    values,
    accepted,
    octad_plan,
    word_plan,
):
    """Do tokens start … stop: fill `values` and `accepted` (n, m) and, if backward, the gradients.

    Args:
        start: First token.
        stop: One past the last token.
        backward: Whether gradients are wanted.
        logits: (n, m, 216), float32 or float64.
        word_logits: (n, 4855), shared by the m sets of a token, or (0, 0).
        outer: Gradient of the values, (n, m) float64.
        grad_logits: Overwritten, (n, m, 216); zero where a token was not accepted.
        grad_words: Overwritten, (n, 4855), or (0, 0).
        values: Overwritten, (n, m) float64.
        accepted: Overwritten, (n, m) bool.
        octad_plan: Places, entries, starts, runs and thirds of the octads, see `cpu.py`.
        word_plan: Those of the Golay words.
    """
    o_places, o_entries, o_starts, o_runs, o_thirds = octad_plan
    w_places, w_entries, w_starts, w_runs, w_thirds = word_plan
    x, grad = np.empty((24, 9, LANES)), np.empty((24, 9, LANES))
    octads, words, fours = np.empty((96, LANES)), np.empty((96, LANES)), np.empty((72, LANES))
    pairs, nibbles = np.empty((96, LANES)), np.empty((192, LANES))
    w_pairs, w_nibbles = np.empty_like(pairs), np.empty_like(nibbles)
    table, w_table = np.empty((2 * o_starts[3], LANES)), np.empty((2 * w_starts[3], LANES))
    g_elements, g_pairs, g_nibbles = np.empty_like(octads), np.empty_like(pairs), np.empty_like(nibbles)
    g_table, g_w_table, scratch = np.empty_like(table), np.empty_like(w_table), np.empty((5, LANES))
    before, offset, total = np.empty((25, 3, LANES)), np.empty((3, LANES)), np.empty((3, LANES))
    value, good = np.empty(LANES), np.empty(LANES, np.bool_)
    factor, peaks = np.empty((3, LANES)), np.zeros((2, LANES))
    weighted = word_logits.shape[0] > 0
    num_words = word_logits.shape[1]
    weights = np.ones((num_words, LANES)) if weighted else np.ones((1, LANES))
    o_weights, w_weights = (weights[:NUM_OCTADS], weights[NUM_OCTADS:]) if weighted else (weights, weights)
    g_weights = np.zeros((num_words if backward else 0, LANES))
    og_weights, wg_weights = g_weights[:NUM_OCTADS], g_weights[NUM_OCTADS:]
    for base in range(start, stop, LANES):
        width = min(LANES, stop - base)
        if weighted:
            _load_words(word_logits, base, width, weights, peaks)
            g_weights[:] = 0.0
        for m in range(logits.shape[1]):
            for i in range(24):
                for digit in range(9):
                    for v in range(LANES):
                        x[i, digit, v] = logits[base + min(v, width - 1), m, 9 * i + digit]
            _scale(x, o_places, w_places, octads, words, fours, offset)
            inside(octads, pairs, nibbles, table, scratch, o_entries, o_starts, 1)
            sum_words(table, o_runs, o_thirds, o_weights, 1, total[0:1], scratch)
            inside(words, w_pairs, w_nibbles, w_table, scratch, w_entries, w_starts, 0)
            sum_words(w_table, w_runs, w_thirds, w_weights, 0, total[1:2], scratch)
            _sum_pairs(fours, before, total[2])
            offset[:2] += peaks
            _combine(offset, total, value, good)
            for v in range(width):
                values[base + v, m] = value[v]
                accepted[base + v, m] = good[v]
            if not backward:
                continue
            for shape in range(3):
                for v in range(LANES):
                    use = good[v] and v < width
                    factor[shape, v] = outer[base + v, m] * np.exp(offset[shape, v] - value[v]) if use else 0.0
            grad[:] = 0.0
            words_back(table, o_runs, o_thirds, o_weights, 1, factor[0:1], g_table, og_weights, scratch)
            outside(octads, pairs, nibbles, o_entries, o_starts, 1, g_elements, g_pairs, g_nibbles, g_table)
            _share(octads, g_elements, o_places, _OCTAD_DIGITS, factor[0], grad)
            words_back(w_table, w_runs, w_thirds, w_weights, 0, factor[1:2], g_w_table, wg_weights, scratch)
            outside(words, w_pairs, w_nibbles, w_entries, w_starts, 0, g_elements, g_pairs, g_nibbles, g_w_table)
            _share(words, g_elements, w_places, _WORD_DIGITS, factor[1], grad)
            _pairs_back(fours, before, factor[2], grad)
            for v in range(width):
                for i in range(24):
                    for digit in range(9):
                        grad_logits[base + v, m, 9 * i + digit] = grad[i, digit, v] if good[v] else 0.0
        if weighted and backward:
            for w in range(num_words):
                for v in range(width):
                    grad_words[base + v, w] = g_weights[w, v]
