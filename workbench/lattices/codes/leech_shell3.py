"""The second shell of Λ24: 16,773,120 vectors of norm² 48, 24.000 bits for twenty-four numbers.

With the first shell at norm² 32 (type 2) the next lattice vectors are those of type 3, at norm² 48. Four shapes, on the
Golay code of `leech`, so that both shells lie in the same lattice; a codeword is the integers over √48:

| shape | rows from | rule |
| --- | --- | --- |
| (±2¹², 0¹²) | 0 | ±2 on a dodecad, an even number of minus signs: row 2576·a + d |
| (∓3³, ±1²¹) | 5,275,648 | +1 on the ones of a word and -1 elsewhere, three entries times -3: 4096·t + m |
| (±4, ±2⁸, 0¹⁵) | 13,565,952 | ±2 on an octad, an odd number of minus signs, ±4 off it: 759·(16·(2·b + s) + p) + o |
| (±5, ±1²³) | 16,674,816 | +1 on the ones of a word and -1 elsewhere, one entry times 5: 4096·i + m |

Here d counts the dodecads and o the octads, both by ascending positions, m the words by message; a and b the sign
patterns, least position first and minus before plus; t the triples of positions in lexicographic order; s the sign of
the 4, minus before plus, p its rank among the 16 positions off the octad; i the position of the 5. The table of all
rows takes 402 MB, so vectors are made by rule and the search lists none. This order, version 1, is a promise.
Least distance: inner products of integers are at most 32 of 48, so `√(2 − 4/3) = √(2/3) ≈ 0.816`.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 4, section 11, table 4.13.
"""

__all__ = ["search_tables", "second_shell"]

import functools
import itertools
import math

import numpy as np
from jaxtyping import Int

from workbench.lattices.code import Code, Rule
from workbench.lattices.codes.signs import sign_table
from workbench.lattices.golay.code import NUM_DODECADS, NUM_OCTADS, NUM_WORDS, GolayCode, golay_code

_STARTS = np.cumsum([0, NUM_DODECADS << 11, math.comb(24, 3) * NUM_WORDS, NUM_OCTADS * 128 * 2 * 16, 24 * NUM_WORDS])


def second_shell() -> Code:
    """The code `leech-shell3`: 16,773,120 points, whose table would take 402 MB."""
    fingerprint = "1548f5b0fdf7ce0d59e8d98816d4d753e8837fbf2a467180571e59aa02eba163"  # a test compares with the table
    return Code("leech-shell3", Rule(int(_STARTS[-1]), 24, fingerprint, _rows), math.sqrt(48))


def _rows(indices: np.ndarray) -> np.ndarray:
    rows = np.zeros((indices.size, 24), dtype=np.int8)
    shapes = np.searchsorted(_STARTS, indices, side="right") - 1
    for shape, fill in enumerate((_fill_dodecads, _fill_threes, _fill_octads, _fill_fives)):
        chosen = np.flatnonzero(shapes == shape)
        if chosen.size:
            rows[chosen] = fill(indices[chosen] - _STARTS[shape])
    return rows


@functools.cache
def search_tables() -> tuple[np.ndarray, ...]:
    """What the kernel reads: signs of words, places of dodecads and octads, places off octads, bytes, first rows."""
    octads, supports = golay().octads.astype(np.int64), [golay().words.astype(np.int64)]
    for places in (dodecads(), octads):
        supports.append(np.zeros((len(places), 24), dtype=np.int64))
        np.put_along_axis(supports[-1], places, 1, axis=1)
    masks = np.concatenate(supports).reshape(-1, 3, 8) @ (1 << np.arange(7, -1, -1))
    return (2 * golay().words.astype(np.int8) - 1, dodecads(), octads, _off_octads(), masks, _STARTS)


@functools.cache
def golay() -> GolayCode:
    """The Golay code that `leech` is built on too."""
    return golay_code("systematic")


@functools.cache
def dodecads() -> Int[np.ndarray, "2576 12"]:
    """Positions of the words of weight 12, each row and the list ascending, int64."""
    words = golay().words
    rows = np.nonzero(words[words.sum(1, dtype=np.int64) == 12])[1].reshape(-1, 12)
    return rows[np.lexsort(rows.T[::-1])]


@functools.cache
def _triples() -> np.ndarray:
    return np.array(list(itertools.combinations(range(24), 3)))


@functools.cache
def _off_octads() -> np.ndarray:
    """The 16 positions off each octad, ascending, int64, shape (759, 16)."""
    held = np.zeros((NUM_OCTADS, 24), dtype=bool)
    np.put_along_axis(held, golay().octads.astype(np.int64), True, axis=1)
    return np.nonzero(~held)[1].reshape(NUM_OCTADS, 16)


def _fill_dodecads(rank: np.ndarray) -> np.ndarray:
    signs, word = np.divmod(rank, NUM_DODECADS)
    rows = np.zeros((rank.size, 24), dtype=np.int8)
    np.put_along_axis(rows, dodecads()[word], 2 * sign_table(12)[signs], axis=1)
    return rows


def _fill_threes(rank: np.ndarray) -> np.ndarray:
    triple, word = np.divmod(rank, NUM_WORDS)
    rows = 2 * golay().words[word].astype(np.int8) - 1
    places = _triples()[triple]
    np.put_along_axis(rows, places, -3 * np.take_along_axis(rows, places, axis=1), axis=1)
    return rows


def _fill_octads(rank: np.ndarray) -> np.ndarray:
    rest, octad = np.divmod(rank, NUM_OCTADS)
    rest, place = np.divmod(rest, 16)
    signs, sign = np.divmod(rest, 2)
    rows = np.zeros((rank.size, 24), dtype=np.int8)
    np.put_along_axis(rows, golay().octads[octad].astype(np.int64), 2 * sign_table(8, odd=True)[signs], axis=1)
    rows[np.arange(rank.size), _off_octads()[octad, place]] = 8 * sign - 4
    return rows


def _fill_fives(rank: np.ndarray) -> np.ndarray:
    place, word = np.divmod(rank, NUM_WORDS)
    rows = 2 * golay().words[word].astype(np.int8) - 1
    rows[np.arange(rank.size), place] *= 5
    return rows
