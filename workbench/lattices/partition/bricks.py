"""The Leech codewords by shape, and their Golay words cut into three bricks of eight positions.

A codeword of Λ24's first shell has one of three shapes. (±4², 0²²): any *pair* of positions, any signs.
(±2⁸, 0¹⁶): an *octad*, a weight-8 word of a Golay code, with an even number of minus signs.
(∓3, ±1²³): a *word*, any of the 4,096 of a Golay code, whose bit says the sign, and -3 times that sign once.

Three disjoint octads, a *trio*, cut the 24 positions into *bricks* of eight. Restricted to a brick a Golay word is a
*pattern* of even weight, 128 of 256; so sums over 4,096 words become sums over products of three table entries, and
since a brick is itself a word, patterns of a brick that are complements of one another may be added up first: 512
products in place of 4,096, and 360 in place of 759 octads.

The published codebook takes its octads from another Golay code than its words; each then has bricks of its own.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 4, 10 and 11.
"""

__all__ = ["Bricks", "Shapes", "shapes_of"]

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.golay.code import NUM_OCTADS, NUM_PAIRS, NUM_WORDS
from workbench.lattices.golay.trio import brick_patterns, brick_places

_SIGNS = 128
_PLACES = 24


@dataclass(frozen=True, eq=False)
class Bricks:
    """Binary words of 24 bits, cut into three bricks.

    Attributes:
        places: Position held by each place; brick b has places 8b … 8b + 7. int64, shape (24,).
        patterns: For each word its pattern in each brick, bit r standing for place 8b + r. int64, shape (words, 3).
        entries: For each brick the folded table: one pattern, or two complementary ones, per entry (-1: no second).
            Three int64 arrays of shape (entries_b, 2).
        terms: The words again as triples of folded entries, each triple once. int64, shape (terms, 3).
    """

    places: np.ndarray
    patterns: np.ndarray
    entries: tuple[np.ndarray, np.ndarray, np.ndarray]
    terms: np.ndarray


@dataclass(frozen=True, eq=False)
class Shapes:
    """What a Leech codebook consists of, in the order of its rows.

    Attributes:
        octads: Positions of each octad, ascending. int64, shape (759, 8).
        words: Bits of each Golay word, 1 for a plus sign. int64, shape (4096, 24).
        pairs: The pairs of positions. int64, shape (276, 2).
        octad_bricks: The octads as bit words, cut into bricks.
        word_bricks: The Golay words, cut into bricks.
        group: For each codeword its octad (0 … 758), 759 + its word, or 4,855 + its pair. int64, shape (196560,).
        member: For each codeword its rank among those of its group, in the order of the codebook. int64, (196560,).
        rows: For each group its codewords in that order, -1 where there are no more. int64, shape (5131, 128).
    """

    octads: np.ndarray
    words: np.ndarray
    pairs: np.ndarray
    octad_bricks: Bricks
    word_bricks: Bricks
    group: np.ndarray
    member: np.ndarray
    rows: np.ndarray


@functools.cache
def shapes_of(code: Code) -> Shapes:
    """Read the shapes off the integers of a full Leech shell.

    Raises:
        InputError: if the code is not a shell of 196,560 words in the promised order (octads, words, pairs).
    """
    integers = code.integers.astype(np.int64)
    octad_rows, word_rows, pair_rows = _SIGNS * NUM_OCTADS, _PLACES * NUM_WORDS, 4 * NUM_PAIRS
    if integers.shape != (octad_rows + word_rows + pair_rows, _PLACES):
        raise InputError(
            f"exact sums need a full Leech shell, of 196,560 words in 24 dimensions; code {code.name!r} has "
            f"{code.size:,} in {code.dimension}: use 'leech' or 'leech-published'"
        )
    supports = integers[:NUM_OCTADS] != 0
    bits = (integers[octad_rows : octad_rows + NUM_WORDS] > 0).astype(np.int64)
    bits[:, 0] ^= 1  # the first block has its 3, of the opposite sign, at position 0
    pairs = np.array(list(itertools.combinations(range(_PLACES), 2)))
    index = np.arange(len(integers))
    group = np.concatenate(
        [
            index[:octad_rows] % NUM_OCTADS,
            NUM_OCTADS + index[:word_rows] % NUM_WORDS,
            NUM_OCTADS + NUM_WORDS + index[:pair_rows] // 4,
        ]
    )
    member = np.concatenate([index[:octad_rows] // NUM_OCTADS, index[:word_rows] // NUM_WORDS, index[:pair_rows] % 4])
    signs = 2 * np.tile(bits, (_PLACES, 1)) - 1
    threes = np.where(np.repeat(np.eye(_PLACES, dtype=np.int64), NUM_WORDS, 0) > 0, -3 * signs, signs)
    in_order = (
        np.array_equal(np.abs(integers[:octad_rows]), 2 * np.tile(supports, (_SIGNS, 1)))
        and np.array_equal(integers[octad_rows:-pair_rows], threes)
        and np.array_equal(np.nonzero(integers[-pair_rows:])[1].reshape(-1, 2), np.repeat(pairs, 4, 0))
    )
    if not in_order:
        raise InputError(f"code {code.name!r} has the size of a Leech shell but not its order (octads, words, pairs)")
    rows = np.full((NUM_OCTADS + NUM_WORDS + NUM_PAIRS, _SIGNS), -1)
    rows[group, member] = index
    return Shapes(
        octads=np.nonzero(supports)[1].reshape(NUM_OCTADS, 8),
        words=bits,
        pairs=pairs,
        octad_bricks=_cut(supports.astype(np.int64)),
        word_bricks=_cut(bits),
        group=group,
        member=member,
        rows=rows,
    )


def _cut(words: np.ndarray) -> Bricks:
    """Cut words (n, 24), which include the octads of one Golay code, along a trio of these octads."""
    places = brick_places(np.nonzero(words[words.sum(1) == 8])[1].reshape(NUM_OCTADS, 8))
    patterns = brick_patterns(words, places)
    # An entry stands for a pattern and its complement where exchanging them, in any word, gives a word again.
    names = patterns @ (256 ** np.arange(3))
    folded = np.zeros((3, 256), dtype=bool)
    for brick in range(3):
        swapped = np.isin(names + (255 - 2 * patterns[:, brick]) * 256**brick, names)
        folded[brick, patterns[swapped, brick]] = True
        folded[brick, patterns[~swapped, brick]] = False
    columns, entries = [], []
    for brick in range(3):
        head = np.where(folded[brick], np.minimum(np.arange(256), 255 - np.arange(256)), np.arange(256))
        heads, column = np.unique(head[patterns[:, brick]], return_inverse=True)
        entries.append(np.stack([heads, np.where(folded[brick, heads], 255 - heads, -1)], axis=1))
        columns.append(column)
    terms = np.unique(np.stack(columns, axis=1), axis=0)
    return Bricks(places=places, patterns=patterns, entries=(entries[0], entries[1], entries[2]), terms=terms)
