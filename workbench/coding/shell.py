"""A Leech codeword as two symbols, group and member, with frequencies from scores of its digits.

Let the score of a codeword be the sum over its coordinates of `scores[i, digit_i]`. Its *group* is its octad, its Golay
word or its pair of positions, 759 + 4,096 + 276 = 5,131 in all; a *member* of a group is told by its signs (octads,
pairs) or by the position of its 3 (words). The weight of a group is 2^bias times the sum of 2^score over its members.
Summed over signs and positions these are products over coordinates, so the shares of all groups come from a few
thousand additions and table look-ups:

- octad: Π (a_i + b_i) · (1 + Π t_i) / 2 over its positions, where a and b are the weights of +2 and -2,
  t = (a - b) / (a + b); the second factor keeps the even numbers of minus signs;
- word: Π of the weights of ±1 · Σ of the ratios of the weight of ∓3 to that of ±1;
- pair: the product of (a_i + b_i), with the weights of ±4, at its two positions.

Given its group, the share of a member is 2^(score + its own bias). Every number is an integer
(:mod:`workbench.coding.fixedpoint`), and none of the frequencies is zero.
"""

__all__ = [
    "GROUPS",
    "MEMBER_STEPS",
    "SUM_BITS",
    "ShellCoder",
    "code_token",
    "group_sizes",
    "member_sizes",
    "shell_coder",
    "token_bits",
]

import functools
from typing import NamedTuple

import numpy as np

from workbench.coding import rangecoder
from workbench.coding.fixedpoint import ONE, SCORE, exp2_down, exp2_table, log2_up
from workbench.coding.rangecoder import Int
from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.golay.code import NUM_OCTADS, NUM_PAIRS, NUM_WORDS
from workbench.lattices.jit import kernel
from workbench.lattices.partition.bricks import shapes_of

GROUPS = NUM_OCTADS + NUM_WORDS + NUM_PAIRS
SUM_BITS = 24
MEMBER_BITS = 16
MEMBER_STEPS = 8  # steps of a member's bias to a bit

_UNIT_BITS = 15
_UNIT = 1 << _UNIT_BITS
_FIRST_PAIR = NUM_OCTADS + NUM_WORDS


class ShellCoder(NamedTuple):
    """The tables that the kernels of this module read.

    Attributes:
        octads: Positions of each octad, int64, shape (759, 8).
        words: Bits of each Golay word in three bytes, position 8b + r in bit r of byte b; int64, shape (4096, 3).
        pairs: Positions of each pair, int64, shape (276, 2).
        group: Group of each codeword, int64, shape (K,).
        digits: The codewords, int8, shape (K, 24).
        octad_rows: Codeword of each octad and each pattern of its first seven signs, bit k set where the k-th is plus;
            int64, shape (759, 128).
        word_rows: Codeword of each word and each position of its 3; int64, shape (4096, 24).
        pair_rows: Codeword of each pair and each pattern of its two signs; int64, shape (276, 4).
        table: See :func:`workbench.coding.fixedpoint.exp2_table`.
    """

    octads: np.ndarray
    words: np.ndarray
    pairs: np.ndarray
    group: np.ndarray
    digits: np.ndarray
    octad_rows: np.ndarray
    word_rows: np.ndarray
    pair_rows: np.ndarray
    table: np.ndarray


@functools.lru_cache(maxsize=2)
def shell_coder(code: Code) -> ShellCoder:
    """Build the tables for a full Leech shell.

    Raises:
        InputError: if the code is another.
    """
    shapes = shapes_of(code)
    digits = np.ascontiguousarray(code.integers, np.int8)
    index = np.arange(code.size)
    octad_rows = np.empty((NUM_OCTADS, 128), np.int64)
    rows = index[shapes.group < NUM_OCTADS]
    octad = shapes.group[rows]
    signs = np.take_along_axis(digits[rows], shapes.octads[octad], axis=1) > 0
    octad_rows[octad, signs[:, :7] @ (1 << np.arange(7))] = rows
    word_rows = np.empty((NUM_WORDS, 24), np.int64)
    rows = index[(shapes.group >= NUM_OCTADS) & (shapes.group < _FIRST_PAIR)]
    word_rows[shapes.group[rows] - NUM_OCTADS, (np.abs(digits[rows]) == 3).argmax(1)] = rows
    pair_rows = np.empty((NUM_PAIRS, 4), np.int64)
    rows = index[shapes.group >= _FIRST_PAIR]
    pair = shapes.group[rows] - _FIRST_PAIR
    signs = np.take_along_axis(digits[rows], shapes.pairs[pair], axis=1) > 0
    pair_rows[pair, signs @ np.array([1, 2])] = rows
    coder = ShellCoder(
        octads=np.ascontiguousarray(shapes.octads, np.int64),
        words=np.ascontiguousarray((shapes.words.reshape(-1, 3, 8) << np.arange(8)).sum(2), np.int64),
        pairs=np.ascontiguousarray(shapes.pairs, np.int64),
        group=np.ascontiguousarray(shapes.group, np.int64),
        digits=digits,
        octad_rows=octad_rows,
        word_rows=word_rows,
        pair_rows=pair_rows,
        table=exp2_table(),
    )
    found = np.sort(np.concatenate([octad_rows.ravel(), word_rows.ravel(), pair_rows.ravel()]))
    if not np.array_equal(found, index):
        raise InputError(f"the codewords of {code.name!r} are not told apart by octad, word, pair and their signs")
    return coder


@kernel
def _signed_sum(coder: ShellCoder, plus: int, minus: int) -> tuple[Int, Int]:
    """The score of 2^plus + 2^minus, and (2^plus - 2^minus) over it in units of 2⁻¹⁵."""
    high, low = max(plus, minus), min(plus, minus)
    small = exp2_down(coder.table, high - low)
    total = ONE + small
    tilt = ((ONE - small) << _UNIT_BITS) // total
    score = high + (SCORE if total == 2 * ONE else log2_up(total))
    return score, tilt if plus >= minus else -tilt


@kernel
def _byte_sums(ones: np.ndarray, zeros: np.ndarray, sums: np.ndarray) -> None:
    """For each byte b of three and each pattern, the sum of ones[8b + r] where bit r is set, else of zeros[8b + r]."""
    for byte in range(3):
        total = 0
        for bit in range(8):
            total += zeros[8 * byte + bit]
        sums[byte, 0] = total
        for bit in range(8):
            change = ones[8 * byte + bit] - zeros[8 * byte + bit]
            for pattern in range(1 << bit):
                sums[byte, pattern + (1 << bit)] = sums[byte, pattern] + change


@kernel
def group_sizes(coder: ShellCoder, scores: np.ndarray, bias: np.ndarray, sizes: np.ndarray) -> None:
    """Write the frequency of each group, of sum 2²⁴ and at least 1, into `sizes`, int64, shape (5131,)."""
    exponents = np.empty(GROUPS, np.int64)
    factors = np.empty(GROUPS, np.int64)
    zeros = 0
    for place in range(24):
        zeros += scores[place, 4]
    gain, tilt = np.empty(24, np.int64), np.empty(24, np.int64)

    for place in range(24):
        gain[place], tilt[place] = _signed_sum(coder, scores[place, 6], scores[place, 2])
        gain[place] -= scores[place, 4]
    for octad in range(NUM_OCTADS):
        exponent, product = zeros, _UNIT
        for k in range(8):
            place = coder.octads[octad, k]
            exponent += gain[place]
            product = (product * tilt[place]) >> _UNIT_BITS
        exponents[octad] = exponent
        factors[octad] = max((_UNIT + product) >> 1, 1)

    for place in range(24):
        gain[place], _ = _signed_sum(coder, scores[place, 8], scores[place, 0])
        gain[place] -= scores[place, 4]
    for pair in range(NUM_PAIRS):
        exponents[_FIRST_PAIR + pair] = zeros + gain[coder.pairs[pair, 0]] + gain[coder.pairs[pair, 1]]
        factors[_FIRST_PAIR + pair] = _UNIT

    ratios = np.empty((2, 24), np.int64)
    most = _ratios(coder, scores, ratios)
    sums, threes = np.empty((3, 256), np.int64), np.empty((3, 256), np.int64)
    _byte_sums(scores[:, 5], scores[:, 3], sums)
    _byte_sums(ratios[1], ratios[0], threes)
    for word in range(NUM_WORDS):
        a, b, c = coder.words[word, 0], coder.words[word, 1], coder.words[word, 2]
        exponents[NUM_OCTADS + word] = most + sums[0, a] + sums[1, b] + sums[2, c]
        factors[NUM_OCTADS + word] = max(threes[0, a] + threes[1, b] + threes[2, c], 1)

    best = 0
    for group in range(GROUPS):
        exponents[group] += bias[group]
        if exponents[group] > exponents[best]:
            best = group
    # Masses are at most 2^30 · 24 · 2^15 each and 2^63 together; that of the best group is at least 2^30.
    total = 0
    for group in range(GROUPS):
        sizes[group] = exp2_down(coder.table, exponents[best] - exponents[group]) * factors[group]
        total += sizes[group]
    shift = 0
    while total >> shift >= 1 << 31:
        shift += 1
    inverse = (((1 << SUM_BITS) - GROUPS) << 31) // ((total >> shift) + 1)
    spare = 1 << SUM_BITS
    for group in range(GROUPS):
        sizes[group] = 1 + (((sizes[group] >> shift) * inverse) >> 31)
        spare -= sizes[group]
    sizes[best] += spare


@kernel
def _ratios(coder: ShellCoder, scores: np.ndarray, ratios: np.ndarray) -> int:
    """Weight of ∓3 over that of ±1 at each place where the word's bit is 0 or 1, over 2^most, in units of 2⁻¹⁵."""
    most = scores[0, 7] - scores[0, 3]
    for place in range(24):
        most = max(most, scores[place, 7] - scores[place, 3], scores[place, 1] - scores[place, 5])
    for place in range(24):
        ratios[0, place] = exp2_down(coder.table, most - scores[place, 7] + scores[place, 3]) >> _UNIT_BITS
        ratios[1, place] = exp2_down(coder.table, most - scores[place, 1] + scores[place, 5]) >> _UNIT_BITS
    return most


@kernel
def _member_scores(coder: ShellCoder, scores: np.ndarray, group: Int, members: np.ndarray) -> int:
    """Write the scores of a group's members, in the order of its rows, into int64 `members`; returns their number."""
    if group < NUM_OCTADS:
        halves = np.zeros((2, 16), np.int64)
        for half in range(2):
            for k in range(4):
                place = coder.octads[group, 4 * half + k]
                for pattern in range(16):
                    halves[half, pattern] += scores[place, 6] if (pattern >> k) & 1 else scores[place, 2]
        for pattern in range(128):
            minuses = 7
            for k in range(7):
                minuses -= (pattern >> k) & 1
            # An odd number of minus signs among the first seven makes the eighth a minus too.
            last = 8 if minuses % 2 == 0 else 0
            members[pattern] = halves[0, pattern & 15] + halves[1, (pattern >> 4) | last]
        return 128
    if group < _FIRST_PAIR:
        for place in range(24):
            bit = (coder.words[group - NUM_OCTADS, place >> 3] >> (place & 7)) & 1
            members[place] = scores[place, 1] - scores[place, 5] if bit else scores[place, 7] - scores[place, 3]
        return 24
    first, second = coder.pairs[group - _FIRST_PAIR]
    for pattern in range(4):
        members[pattern] = scores[first, 8 if pattern & 1 else 0] + scores[second, 8 if pattern & 2 else 0]
    return 4


@kernel
def _row(coder: ShellCoder, group: Int, member: Int) -> Int:
    """The codeword of a member of a group."""
    if group < NUM_OCTADS:
        return coder.octad_rows[group, member]
    if group < _FIRST_PAIR:
        return coder.word_rows[group - NUM_OCTADS, member]
    return coder.pair_rows[group - _FIRST_PAIR, member]


@kernel
def member_sizes(
    coder: ShellCoder, scores: np.ndarray, bias: np.ndarray, group: Int, sizes: np.ndarray, members: np.ndarray
) -> int:
    """Write the frequency of each member of a group, of sum 2¹⁶ and at least 1, into `sizes`; returns their number.

    Args:
        coder: The tables.
        scores: int32, shape (24, 9).
        bias: For each codeword, in eighths of a bit, int8, shape (K,).
        group: Which group.
        sizes: int64, at least (128,).
        members: Room for scores, int64, at least (128,).
    """
    count = _member_scores(coder, scores, group, members)
    best = 0
    for member in range(count):
        members[member] += np.int64(bias[_row(coder, group, member)]) * (SCORE // MEMBER_STEPS)
        if members[member] > members[best]:
            best = member
    total = 0
    for member in range(count):
        sizes[member] = exp2_down(coder.table, members[best] - members[member])
        total += sizes[member]
    spare = 1 << MEMBER_BITS
    for member in range(count):
        sizes[member] = 1 + sizes[member] * ((1 << MEMBER_BITS) - count) // total
        spare -= sizes[member]
    sizes[best] += spare
    return count


@kernel
def _symbol(state: np.ndarray, data: np.ndarray, sizes: np.ndarray, bits: int, wanted: Int, cost: np.ndarray) -> Int:
    """Encode the symbol `wanted` of frequencies `sizes`; decode one where it is negative. Returns the symbol."""
    symbol, start = 0, 0
    if wanted < 0:
        point = rangecoder.locate(state, bits)
        while start + sizes[symbol] <= point:
            start += sizes[symbol]
            symbol += 1
        rangecoder.take(state, data, start, sizes[symbol], bits)
    else:
        while symbol < wanted:
            start += sizes[symbol]
            symbol += 1
        rangecoder.put(state, data, start, sizes[symbol], bits)
    cost[0] += bits - np.log2(sizes[symbol])
    return symbol


@kernel
def _member(coder: ShellCoder, index: Int) -> int:
    """Which member of its group a codeword is."""
    group, digits = coder.group[index], coder.digits[index]
    member = 0
    if group < NUM_OCTADS:
        for k in range(7):
            member |= np.int64(digits[coder.octads[group, k]] > 0) << k
    elif group < _FIRST_PAIR:
        while abs(digits[member]) != 3:
            member += 1
    else:
        for k in range(2):
            member |= np.int64(digits[coder.pairs[group - _FIRST_PAIR, k]] > 0) << k
    return member  # pyright: ignore[reportReturnType] - numba's 64 bits


@kernel
def token_bits(
    coder: ShellCoder,
    scores: np.ndarray,
    group_bias: np.ndarray,
    member_bias: np.ndarray,
    wanted: np.ndarray,
    bits: np.ndarray,
) -> None:
    """Write the ideal code length, in bits, of each of several codewords into `bits`; arguments as of `code_token`.

    Args:
        coder: The tables.
        scores: int32, shape (24, 9).
        group_bias: int16, shape (5131,).
        member_bias: int8, shape (K,).
        wanted: Indices of codewords, int64, shape (n,).
        bits: float64, shape (n,).
    """
    sizes, members, groups = np.empty(128, np.int64), np.empty(128, np.int64), np.empty(GROUPS, np.int64)
    group_sizes(coder, scores, group_bias, groups)
    for n in range(wanted.size):
        group = int(coder.group[wanted[n]])
        member_sizes(coder, scores, member_bias, group, sizes, members)
        bits[n] = SUM_BITS + MEMBER_BITS - np.log2(groups[group]) - np.log2(sizes[_member(coder, wanted[n])])


@kernel
def code_token(
    coder: ShellCoder,
    scores: np.ndarray,
    group_bias: np.ndarray,
    member_bias: np.ndarray,
    wanted: Int,
    state: np.ndarray,
    data: np.ndarray,
    cost: np.ndarray,
) -> Int:
    """Encode the codeword `wanted`, or decode one where it is negative: two symbols, at most 40 bits.

    Args:
        coder: The tables.
        scores: int32, shape (24, 9): digit d of coordinate i at [i, d + 4].
        group_bias: Score added to each group, int16, shape (5131,).
        member_bias: For each codeword within its group, in eighths of a bit, int8, shape (K,).
        wanted: Index of the codeword, or -1.
        state: Of the range coder.
        data: Its buffer or its payload.
        cost: float64, shape (1,); the ideal code length in bits is added.

    Returns:
        The index of the codeword.
    """
    sizes, members = np.empty(GROUPS, np.int64), np.empty(128, np.int64)
    group_sizes(coder, scores, group_bias, sizes)
    group = _symbol(state, data, sizes, SUM_BITS, coder.group[wanted] if wanted >= 0 else -1, cost)
    member_sizes(coder, scores, member_bias, group, sizes, members)
    member = _symbol(state, data, sizes, MEMBER_BITS, _member(coder, wanted) if wanted >= 0 else -1, cost)
    return _row(coder, group, member)
