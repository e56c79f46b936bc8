"""Products of elements x + yε and their gradients, `LANES` tokens side by side: the inner loops of the fast sums.

Arrays have shape (rows, LANES), and element e holds rows 2e, its x, and 2e + 1, its y. ε² is `square`: 1 for octads, 0
for Golay words (`logs.py`). All numbers are in [0, 1] and only ever multiplied and added, forward as well as
backward, where the gradient of a product is again a product with the other factor.
"""

# ruff: noqa: ANN001, ANN201, ANN202 - numba infers the types

__all__ = ["exp", "fused_kernel", "inside", "outside", "sum_words", "words_back"]

import numpy as np

from workbench.lattices.jit import kernel
from workbench.lattices.lanes import LANES, add_product, set_product

fused_kernel = kernel(fastmath={"contract"})
_POWERS = 2.0 ** np.arange(-1022, 1)


@fused_kernel
def exp(x):
    """Replace x, shape (n, 16) and at most 0, by its exponential, to about 1 ulp; below -708 it is 0."""
    for i in range(x.shape[0]):
        for v in range(LANES):
            y = max(x[i, v], -708.0)
            k = np.floor(y * 1.4426950408889634 + 0.5)
            r = (y - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10
            p = 1.0 / 479001600.0
            p = p * r + 1.0 / 39916800.0
            p = p * r + 1.0 / 3628800.0
            p = p * r + 1.0 / 362880.0
            p = p * r + 1.0 / 40320.0
            p = p * r + 1.0 / 5040.0
            p = p * r + 1.0 / 720.0
            p = p * r + 1.0 / 120.0
            p = p * r + 1.0 / 24.0
            p = p * r + 1.0 / 6.0
            p = p * r + 0.5
            p = p * r + 1.0
            p = p * r + 1.0
            x[i, v] = 0.0 if x[i, v] < -708.0 else p * _POWERS[int(k) + 1022]


@fused_kernel
def _multiply(out, o, a, i, b, j, square):
    """out[o] = a[i] · b[j]."""
    set_product(out, 2 * o, a, 2 * i, b, 2 * j)
    set_product(out, 2 * o + 1, a, 2 * i, b, 2 * j + 1)
    add_product(out, 2 * o + 1, a, 2 * i + 1, b, 2 * j)
    if square:
        add_product(out, 2 * o, a, 2 * i + 1, b, 2 * j + 1)


@fused_kernel
def _multiply_back(grad, o, a, i, b, j, grad_a, grad_b, square):
    """Add to the gradients of a[i] and b[j] what their product owes them, whose own gradient is grad[o]."""
    add_product(grad_a, 2 * i, grad, 2 * o, b, 2 * j)
    add_product(grad_a, 2 * i, grad, 2 * o + 1, b, 2 * j + 1)
    add_product(grad_a, 2 * i + 1, grad, 2 * o + 1, b, 2 * j)
    add_product(grad_b, 2 * j, grad, 2 * o, a, 2 * i)
    add_product(grad_b, 2 * j, grad, 2 * o + 1, a, 2 * i + 1)
    add_product(grad_b, 2 * j + 1, grad, 2 * o + 1, a, 2 * i)
    if square:
        add_product(grad_a, 2 * i + 1, grad, 2 * o, b, 2 * j + 1)
        add_product(grad_b, 2 * j + 1, grad, 2 * o, a, 2 * i + 1)


@fused_kernel
def _join(parts, count, size, out, square):
    """Products of neighbours: of each element of one part with each of the next; the first has the low bits."""
    for part in range(count // 2):
        for high in range(size):
            for low in range(size):
                o = (part * size + high) * size + low
                _multiply(out, o, parts, 2 * part * size + low, parts, (2 * part + 1) * size + high, square)


@fused_kernel
def _join_back(grad, parts, count, size, grad_parts, square):
    for part in range(count // 2):
        for high in range(size):
            for low in range(size):
                o = (part * size + high) * size + low
                i, j = 2 * part * size + low, (2 * part + 1) * size + high
                _multiply_back(grad, o, parts, i, parts, j, grad_parts, grad_parts, square)


@fused_kernel
def inside(elements, pairs, fours, table, scratch, entries, starts, square):
    """From the elements of 24 places to the tables of the three bricks.

    Args:
        elements: (96, LANES): for each place that of bit 0 and that of bit 1.
        pairs: (96, LANES), overwritten: four for each of 12 pairs of places.
        fours: (192, LANES), overwritten: 16 for each of six fours.
        table: Overwritten: an element for each entry.
        scratch: (2, LANES), overwritten.
        entries: One or two patterns each.
        starts: First entry of each brick, and the number of all.
        square: ε².
    """
    _join(elements, 24, 2, pairs, square)
    _join(pairs, 12, 4, fours, square)
    for brick in range(3):
        for e in range(starts[brick], starts[brick + 1]):
            first, second = entries[e, 0], entries[e, 1]
            low, high = 32 * brick, 32 * brick + 16
            _multiply(table, e, fours, low + (first & 15), fours, high + (first >> 4), square)
            if second >= 0:
                _multiply(scratch, 0, fours, low + (second & 15), fours, high + (second >> 4), square)
                for v in range(LANES):
                    table[2 * e, v] += scratch[0, v]
                    table[2 * e + 1, v] += scratch[1, v]


@fused_kernel
def outside(elements, pairs, fours, entries, starts, square, g_elements, g_pairs, g_fours, g_table):
    """The gradient of the tables, brought down to the elements."""
    g_elements[:] = 0.0
    g_pairs[:] = 0.0
    g_fours[:] = 0.0
    for brick in range(3):
        for e in range(starts[brick], starts[brick + 1]):
            for side in range(2):
                pattern = entries[e, side]
                if pattern >= 0:
                    i, j = 32 * brick + (pattern & 15), 32 * brick + 16 + (pattern >> 4)
                    _multiply_back(g_table, e, fours, i, fours, j, g_fours, g_fours, square)
    _join_back(g_fours, pairs, 12, 4, g_pairs, square)
    _join_back(g_pairs, elements, 24, 2, g_elements, square)


@fused_kernel
def sum_words(table, runs, thirds, weights, square, total, scratch):
    """Sum over the words: weight times the wanted coefficient, of ε^(1 - square), of three table entries.

    Words with the same entries in bricks 0 and 1 stand together and share that product: `runs` holds the two entries
    and where in `thirds`, entries of brick 2 and words, their run stops.

    Args:
        table: An element for each entry.
        runs: Shape (runs, 3).
        thirds: Shape (words, 2).
        weights: A row for each word.
        square: ε².
        total: (1, LANES), overwritten.
        scratch: (5, LANES), overwritten.
    """
    want, other = 1 - square, square
    total[:] = 0.0
    start = 0
    for p in range(runs.shape[0]):
        stop = runs[p, 2]
        _multiply(scratch, 0, table, runs[p, 0], table, runs[p, 1], square)
        for t in range(start, stop):
            k, n = 2 * thirds[t, 0], thirds[t, 1]
            set_product(scratch, 2, scratch, 0, table, k + want)
            add_product(scratch, 2, scratch, 1, table, k + other)
            add_product(total, 0, weights, n, scratch, 2)
        start = stop


@fused_kernel
def words_back(table, runs, thirds, weights, square, factor, g_table, g_weights, scratch):
    """The gradients of `sum_words`: of the table, and, times `factor` and the weight, added to those of the weights."""
    want, other = 1 - square, square
    weighted = g_weights.shape[0] > 0
    g_table[:] = 0.0
    start = 0
    for p in range(runs.shape[0]):
        i, j, stop = runs[p, 0], runs[p, 1], runs[p, 2]
        _multiply(scratch, 0, table, i, table, j, square)
        scratch[2:4] = 0.0
        for t in range(start, stop):
            k, n = 2 * thirds[t, 0], thirds[t, 1]
            add_product(scratch, 2, weights, n, table, k + want)
            add_product(scratch, 3, weights, n, table, k + other)
            add_product(g_table, k + want, weights, n, scratch, 0)
            add_product(g_table, k + other, weights, n, scratch, 1)
            if weighted:
                set_product(scratch, 4, scratch, 0, table, k + want)
                add_product(scratch, 4, scratch, 1, table, k + other)
                set_product(scratch, 4, scratch, 4, factor, 0)
                add_product(g_weights, n, weights, n, scratch, 4)
        start = stop
        _multiply_back(scratch, 1, table, i, table, j, g_table, g_table, square)
