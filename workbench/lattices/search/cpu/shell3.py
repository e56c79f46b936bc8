"""Nearest vector of the second shell of Λ24 by shape, one at a time; exact, in tens of microseconds.

For each Golay word the best codeword on it is known in closed form from the word's sum, and the sum is three look-ups
in tables over bytes of positions. A bound that needs the sum alone rejects nearly all words:

    dodecad  2·Σ|y| − 4·min|y|·[odd]               at most 2·Σ|y|
    word     Σεy − 4·(the three least of εy)       at most Σεy + 4·(the three largest |y|), and for one 5 alike
    octad    2·Σ|y| − 4·min|y|·[even] + 4·max off  at most 2·Σ|y| + 4·max|y|

Words that pass are tried with the three largest |y| that are against their signs; the word of greatest bound of each
shape is tried first, so that the best score is nearly known when the others come.
Rows are the integers of `fixed.py`: every sum is exact, and of equals the lowest index answers.
"""

# pyright: reportArgumentType=false, reportReturnType=false - to numba every integer has 64 bits

__all__ = ["nearest_shell3"]

import numpy as np

from workbench.lattices.golay.code import NUM_DODECADS, NUM_OCTADS, NUM_WORDS
from workbench.lattices.jit import kernel
from workbench.lattices.search.cpu.row_kernels import sign_rank

_NONE = np.int64(-(1 << 62))


@kernel
def _byte_sums(y: np.ndarray, table: np.ndarray) -> None:
    """For each byte of eight positions the sums of y over its subsets, position 0 of the byte in its highest bit."""
    for byte in range(3):
        table[byte, 0] = 0
        for bit in range(8):
            value = y[8 * byte + 7 - bit]
            for subset in range(1 << bit):
                table[byte, subset + (1 << bit)] = table[byte, subset] + value


@kernel
def _triple(values: np.ndarray) -> tuple[int, int]:
    """Sum of the three least values and the rank of their positions among triples, of equals the lowest."""
    first, second, third = -1, -1, -1
    for i in range(24):
        if first < 0 or values[i] < values[first]:
            first, second, third = i, first, second
        elif second < 0 or values[i] < values[second]:
            second, third = i, second
        elif third < 0 or values[i] < values[third]:
            third = i
    total = values[first] + values[second] + values[third]
    i, k = min(first, second, third), max(first, second, third)
    j = first + second + third - i - k
    before = 2024 - (24 - i) * (23 - i) * (22 - i) // 6  # triples that begin lower than i
    before += (23 - i) * (22 - i) // 2 - (24 - j) * (23 - j) // 2  # that begin with i and go on lower than j
    return total, before + k - j - 1


@kernel
def _order_by_size(y: np.ndarray, size: np.ndarray, order: np.ndarray) -> int:
    """Write the positions in descending order of |y|; returns the bits of the positive ones, position 0 highest."""
    pluses = 0
    for i in range(24):
        pluses = 2 * pluses + int(y[i] > 0)
        k = i
        while k > 0 and size[order[k - 1]] < size[i]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = i
    return pluses


@kernel
def _three_against(size: np.ndarray, order: np.ndarray, against: int) -> int:
    """Sum of the three largest |y| whose sign is not the word's: at least minus the three least of εy."""
    total, found = np.int64(0), 0
    for k in range(24):
        if against >> (23 - order[k]) & 1:
            total += size[order[k]]
            found += 1
            if found == 3:
                break
    return total


@kernel
def _try_word(y: np.ndarray, signs: np.ndarray, m: int, total: int, starts: np.ndarray) -> tuple[int, int]:
    """Best score and row of the codewords on word m of shapes (∓3³, ±1²¹) and (±5, ±1²³); total is Σεy."""
    values = np.empty(24, dtype=np.int64)
    five = 0
    for i in range(24):
        values[i] = signs[m, i] * y[i]
        if values[i] > values[five]:
            five = i
    least, triple = _triple(values)
    if values[five] > -least:
        return total + 4 * values[five], starts[3] + NUM_WORDS * five + m
    return total - 4 * least, starts[1] + NUM_WORDS * triple + m


@kernel
def _try_dodecad(y: np.ndarray, dodecads: np.ndarray, d: int, sizes: int) -> tuple[int, int]:
    """Best score and row of the codewords on dodecad d; sizes is Σ|y| on it."""
    least, minus = abs(y[dodecads[d, 0]]), 0
    for k in range(12):
        least = min(least, abs(y[dodecads[d, k]]))
        minus += int(y[dodecads[d, k]] <= 0)
    wrong = minus % 2 == 1
    return 2 * sizes - 4 * least * wrong, sign_rank(y, dodecads[d], wrong, least) * NUM_DODECADS + d


@kernel
def _try_octad(
    y: np.ndarray, octads: np.ndarray, off_octads: np.ndarray, o: int, sizes: int, starts: np.ndarray
) -> tuple[int, int]:
    """Best score and row of the codewords on octad o; sizes is Σ|y| on it."""
    least, minus = abs(y[octads[o, 0]]), 0
    for k in range(8):
        least = min(least, abs(y[octads[o, k]]))
        minus += int(y[octads[o, k]] <= 0)
    place = 0
    for p in range(1, 16):
        here, there = y[off_octads[o, p]], y[off_octads[o, place]]
        # Of equals a minus comes first, then the lower position.
        if abs(here) > abs(there) or (abs(here) == abs(there) and here <= 0 < there):
            place = p
    four = y[off_octads[o, place]]
    wrong = minus % 2 == 0
    rank = 2 * sign_rank(y, octads[o], wrong, least) + int(four > 0)
    return 2 * sizes - 4 * least * wrong + 4 * abs(four), starts[2] + (16 * rank + place) * NUM_OCTADS + o


@kernel
def nearest_shell3(
    rows: np.ndarray,
    out: np.ndarray,
    start: int,
    stop: int,
    signs: np.ndarray,
    dodecads: np.ndarray,
    octads: np.ndarray,
    off_octads: np.ndarray,
    masks: np.ndarray,
    starts: np.ndarray,
) -> None:
    """Write the index in `leech-shell3` of rows start … stop.

    Args:
        rows: int64, shape (N, 24).
        out: The indices, int64.
        start: First row.
        stop: One past the last row.
        signs: Signs of the Golay words, int8, shape (4096, 24).
        dodecads: Their positions, int64, shape (2576, 12).
        octads: Their positions, int64, shape (759, 8).
        off_octads: The other positions, int64, shape (759, 16).
        masks: Bytes of the 4,096 words, 2,576 dodecads and 759 octads, int64, shape (7431, 3).
        starts: First row of each shape, int64.
    """
    size, order = np.empty(24, dtype=np.int64), np.empty(24, dtype=np.int64)
    sums, sizes = np.empty((3, 256), dtype=np.int64), np.empty((3, 256), dtype=np.int64)
    sum_on, bounds = np.empty(len(masks), dtype=np.int64), np.empty(len(masks), dtype=np.int64)
    for n in range(start, stop):
        y = rows[n]
        total, all_sizes, top, second, third = np.int64(0), np.int64(0), np.int64(0), np.int64(0), np.int64(0)
        for i in range(24):
            size[i] = abs(y[i])
            total += y[i]
            all_sizes += size[i]
            if size[i] > top:
                top, second, third = size[i], top, second
            elif size[i] > second:
                second, third = size[i], second
            elif size[i] > third:
                third = size[i]
        pluses = _order_by_size(y, size, order)
        _byte_sums(y, sums)
        _byte_sums(size, sizes)
        reach = 4 * (top + second + third)
        for m in range(NUM_WORDS):
            on = sums[0, masks[m, 0]] + sums[1, masks[m, 1]] + sums[2, masks[m, 2]]
            sum_on[m] = 2 * on - total
            # The entries against the signs add up to half of what is missing from Σ|y|.
            bounds[m] = sum_on[m] + max(min(reach, 2 * (all_sizes - sum_on[m])), 4 * top)
        for word in range(NUM_WORDS, len(masks)):
            on = sizes[0, masks[word, 0]] + sizes[1, masks[word, 1]] + sizes[2, masks[word, 2]]
            sum_on[word] = on
            bounds[word] = 2 * on
        for word in range(NUM_WORDS + NUM_DODECADS, len(masks)):
            bounds[word] += 4 * top
        best, index = _NONE, np.int64(0)
        first_word = np.argmax(bounds[:NUM_WORDS])
        first_dodecad = NUM_WORDS + np.argmax(bounds[NUM_WORDS : NUM_WORDS + NUM_DODECADS])
        first_octad = NUM_WORDS + NUM_DODECADS + np.argmax(bounds[NUM_WORDS + NUM_DODECADS :])
        for trial in range(-3, len(masks)):
            word = trial
            if trial < 0:
                word = first_word if trial == -3 else first_dodecad if trial == -2 else first_octad
            if bounds[word] < best:
                continue
            if word < NUM_WORDS:
                against = pluses ^ (masks[word, 0] << 16 | masks[word, 1] << 8 | masks[word, 2])
                if sum_on[word] + 4 * max(_three_against(size, order, against), top) < best:
                    continue
                score, candidate = _try_word(y, signs, word, sum_on[word], starts)
            elif word < NUM_WORDS + NUM_DODECADS:
                score, candidate = _try_dodecad(y, dodecads, word - NUM_WORDS, sum_on[word])
            else:
                score, candidate = _try_octad(
                    y, octads, off_octads, word - NUM_WORDS - NUM_DODECADS, sum_on[word], starts
                )
            if score > best or (score == best and candidate < index):
                best, index = score, candidate
        out[n] = index
