"""What the GPU kernel walks: a Leech shell as flat tables, in labels under which every class looks the same.

Folded words of a trio (`trio.py`) fall into 8 classes; class 0 is a linear code of 8 folded patterns a brick, and the
others are its cosets. With basis patterns h₀, h₁, h₂ of class 0, the *label* of a place is the three bits of whether
each holds it: then the signed sums over all 8 patterns are the Walsh-Hadamard transform of a brick in label order, and
those of a coset are the transform after the signs of one pattern of it, its *head*. Ranks i and j go with i xor j.

For octads the cosets are used through *pairs*: a coset other than class 0 has 4 duos, which cut the brick into pairs,
and 4 quads. With pairs and their elements in the right order, quad r holds element 1 of pair r and element 0 of the
others (or the reverse), and a duo r₁, a duo r₂ and a quad r₃ of the three bricks belong together if r₁ ⊕ r₂ ⊕ r₃ = 0.
"""

__all__ = ["Tables", "tables_of"]

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from workbench.lattices.codes.leech import LeechOrder
from workbench.lattices.golay.code import golay_code
from workbench.lattices.golay.trio import Trio, trio_of

CELL_OCTADS = 8  # at most


@dataclass(frozen=True, eq=False)
class Tables:
    """A Leech shell for the GPU kernel; all arrays are int32, positions are those of the code.

    Attributes:
        word_places: Position of each label of each brick of the words' trio, shape (24,).
        word_signs: Signs, ±1, of the head of each class, in label order, shape (8, 24).
        word_masks: For each triple (class, i, j) its folded pattern in label order, bit 8b + label, shape (512,).
        messages: For each triple its words by complements (bit b: brick b), shape (512, 8).
        octad_places: Position of each label of each brick of the octads' trio, shape (24,).
        pair_places: For each class but 0 the positions of each brick's pairs, shape (7, 24): 8b + 2r + e is element e
            of pair r.
        cell_octads: The octads that share a cell, -1 where there are no more, shape (108, 8). Cells: for class c > 0,
            brick b and quad r, number 12 (c - 1) + 4b + r; for brick b and quad i > 0 of class 0, 84 + 7b + i - 1;
            for brick b as a whole 105 + b.
        octads: Positions of every octad, ascending, shape (759, 8).
    """

    word_places: np.ndarray
    word_signs: np.ndarray
    word_masks: np.ndarray
    messages: np.ndarray
    octad_places: np.ndarray
    pair_places: np.ndarray
    cell_octads: np.ndarray
    octads: np.ndarray


@functools.cache
def tables_of(order: LeechOrder) -> Tables:
    """Lay out the tables of a Leech shell."""
    words, octads = trio_of(order.word_code), trio_of(order.octad_code)
    word_order, octad_order = _label_order(words), _label_order(octads)
    code = golay_code(order.octad_code)
    pairs = np.array([_pairs(octads, c) for c in range(1, 8)])  # places of each brick, shape (7, 3, 4, 2)
    arrays = {
        "word_places": words.places[word_order],
        "word_signs": _head_signs(words, word_order),
        "word_masks": _masks(words, word_order),
        "messages": words.messages.reshape(512, 8),
        "octad_places": octads.places[octad_order],
        "pair_places": octads.places[pairs + 8 * np.arange(3)[:, None, None]].reshape(7, 24),
        "cell_octads": _cells(octads, pairs, code.octads),
        "octads": code.octads,
    }
    return Tables(**{name: np.ascontiguousarray(array, dtype=np.int32) for name, array in arrays.items()})


def _label_order(trio: Trio) -> np.ndarray:
    """The place, 0 … 23, of each label of each brick, shape (24,)."""
    basis = trio.folded[:, 0, [1, 2, 4]]
    labels = ((basis[..., None] >> np.arange(8) & 1) * np.array([1, 2, 4])[:, None]).sum(1)  # by brick and place
    return (labels.argsort(1) + 8 * np.arange(3)[:, None]).ravel()


def _head_signs(trio: Trio, order: np.ndarray) -> np.ndarray:
    bits = trio.folded[:, :, 0, None] >> np.arange(8) & 1  # shape: (brick, class, place)
    return 2 * bits.transpose(1, 0, 2).reshape(8, 24)[:, order] - 1


def _masks(trio: Trio, order: np.ndarray) -> np.ndarray:
    """The folded patterns of all triples as one number each, in label order."""
    masks = np.zeros(512, dtype=np.int64)
    for triple, (c, i, j) in enumerate(itertools.product(range(8), repeat=3)):
        patterns = trio.folded[[0, 1, 2], c, [i, j, i ^ j]]
        bits = (patterns[:, None] >> np.arange(8) & 1).ravel()
        masks[triple] = (bits[order] << np.arange(24)).sum()
    return masks


def _pairs(trio: Trio, c: int) -> np.ndarray:
    """Places of the pairs of each brick in class c > 0, in the order the module's text asks for: shape (3, 4, 2)."""
    weights = [[int(trio.folded[b, c, i]).bit_count() for i in range(8)] for b in range(3)]
    duos = [[i for i in range(8) if weights[b][i] in (2, 6)] for b in range(3)]
    one, two = (duos[0][0] ^ duos[0][1]), (duos[0][0] ^ duos[0][2])
    step = [0, one, two, one ^ two]  # ranks of duo r, up to the first; the same in every brick
    other = next(g for g in range(1, 8) if g not in step)  # leads from duo r to quad r
    first = [duos[0][0], duos[1][0], duos[0][0] ^ duos[1][0] ^ other]
    found = np.zeros((3, 4, 2), dtype=np.int64)
    for b, r in itertools.product(range(3), range(4)):
        pattern = int(trio.folded[b, c, first[b] ^ step[r]])
        pattern = pattern ^ 255 if pattern.bit_count() == 6 else pattern
        places = [place for place in range(8) if pattern >> place & 1]
        zero = int(trio.folded[b, 0, other])
        found[b, r] = sorted(places, key=lambda place: not zero >> place & 1)  # element 0 lies in that quad
    return found


def _cells(trio: Trio, pairs: np.ndarray, octads: np.ndarray) -> np.ndarray:
    number = {frozenset(octad): index for index, octad in enumerate(octads.tolist())}

    def find(*parts: tuple[int, list[int]]) -> int:
        return number[frozenset(int(trio.places[8 * brick + place]) for brick, part in parts for place in part)]

    cells = np.full((108, CELL_OCTADS), -1)
    for c, b, r in itertools.product(range(7), range(3), range(4)):
        one, two = (b + 1) % 3, (b + 2) % 3
        quad = [int(pairs[c, b, s, int(s == r)]) for s in range(4)]
        sides = [quad, [place for place in range(8) if place not in quad]]
        cells[12 * c + 4 * b + r] = [
            find((b, side), (one, pairs[c, one, s].tolist()), (two, pairs[c, two, s ^ r].tolist()))
            for s, side in itertools.product(range(4), sides)
        ]
    for b, i in itertools.product(range(3), range(1, 8)):
        fours = [_fours(int(trio.folded[brick, 0, i])) for brick in (b, (b + 1) % 3)]
        cells[84 + 7 * b + i - 1, :4] = [
            find((b, side), ((b + 1) % 3, other)) for side, other in itertools.product(*fours)
        ]
    for b in range(3):
        cells[105 + b, 0] = find((b, list(range(8))))
    return cells


def _fours(pattern: int) -> tuple[list[int], list[int]]:
    inside = [place for place in range(8) if pattern >> place & 1]
    return inside, [place for place in range(8) if place not in inside]
