"""Golay words cut into three bricks, so that a search over thousands of words becomes one over short tables.

A *trio* is three disjoint octads; it cuts the 24 positions into three *bricks* of 8 *places*. Restricted to a brick a
Golay word is a *pattern* of even weight. As each brick is a word itself, a pattern may be exchanged for its complement
freely in each brick; a *folded* pattern is the pair of both, named by the one without place 7: 64 of them a brick.
Folded words are a group of order 512 and fall into 8 *classes*: within a class, any of 8 folded patterns of the first
brick goes with any of 8 of the second and settles the third. In a good order i and j settle i xor j.

The 759 octads meet the bricks in (8, 0, 0), (4, 4, 0) or (4, 2, 2) places, in any order: 3 + 84 + 672. A folded
pattern of weight 4 is a *quad* (35 a brick), a pattern of weight 2 a *duo* (28 a brick).
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 10 and 11; the classes are Turyn's
construction.
"""

__all__ = ["Trio", "brick_patterns", "brick_places", "trio_of"]

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from workbench.lattices.golay.code import GolayCode, golay_code

_FULL = 255


@dataclass(frozen=True, eq=False)
class Trio:
    """A Golay code along a trio of its octads. All arrays are int64.

    Attributes:
        places: The position that each place holds, shape (24,); brick b has places 8b … 8b + 7, ascending.
        folded: Folded patterns by brick, class and rank, shape (3, 8, 8); bit r stands for place r of the brick.
        messages: The word of class c with ranks i and j and complements s (bit b: brick b), shape (8, 8, 8, 8).
        duos: The two places of a brick's 28 duos, shape (28, 2); the same for every brick.
        quads: The four places of a quad and the other four, shape (35, 2, 4); the same for every brick.
        mixed: Octads of (4, 2, 2) places: brick of the quad, quad, and four times the duos of the next brick and of
            the one after it, shape (84, 10).
        mixed_octads: Which octads these are, with the quad's first and second four, shape (84, 4, 2).
        even: Octads of (4, 4, 0) places: a brick, its quad, the next brick's quad, shape (21, 3).
        even_octads: Which octads these are, by side of both quads, shape (21, 2, 2).
        brick_octads: Which octads the bricks are, shape (3,).
    """

    places: np.ndarray
    folded: np.ndarray
    messages: np.ndarray
    duos: np.ndarray
    quads: np.ndarray
    mixed: np.ndarray
    mixed_octads: np.ndarray
    even: np.ndarray
    even_octads: np.ndarray
    brick_octads: np.ndarray


@functools.cache
def trio_of(name: str) -> Trio:
    """Cut the Golay code of this name along the first trio in the order of its octads."""
    code = golay_code(name)
    places = brick_places(code.octads)
    folded, messages = _classes(brick_patterns(code.words, places))
    duos = np.array(list(itertools.combinations(range(8), 2)))
    fours = [four for four in itertools.combinations(range(8), 4) if 7 not in four]
    quads = np.array([(four, tuple(sorted(set(range(8)) - set(four)))) for four in fours])
    return Trio(places, folded, messages, duos, quads, *_octads(code, places, duos, quads))


def brick_places(octads: np.ndarray) -> np.ndarray:
    """The positions of a trio's bricks, int64, shape (24,).

    The first octad, the first one disjoint from it, and the rest, which is an octad too.

    Args:
        octads: Positions of all octads of a Golay code, shape (759, 8), in any order.
    """
    first = octads[0]
    second = next(octad for octad in octads if not np.isin(octad, first).any())
    rest = np.setdiff1d(np.arange(24), np.concatenate([first, second]))
    return np.concatenate([first, second, rest]).astype(np.int64)


def brick_patterns(words: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Binary words (n, 24) as patterns of their bricks, bit r for place r of a brick: int64, shape (n, 3)."""
    return (words[:, places].reshape(-1, 3, 8).astype(np.int64) << np.arange(8)).sum(2)


def _classes(patterns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order the folded words (patterns of all words, shape (4096, 3)) by class and ranks; and the words they fold."""
    signs = patterns >> 7
    words = {
        (*map(int, word), int(sign)): message
        for message, (word, sign) in enumerate(zip(patterns ^ (_FULL * signs), signs @ (1, 2, 4), strict=True))
    }
    group = sorted({key[:3] for key in words})
    left = _basis([word for word in group if word[1] == 0])
    right = [next(word for word in group if word[0] == 0 and word[2] == step[2]) for step in left]
    heads = _basis(group, known=[*left, *right])
    folded = np.zeros((3, 8, 8), dtype=np.int64)
    messages = np.zeros((8, 8, 8, 8), dtype=np.int64)
    for c, i, j in itertools.product(range(8), repeat=3):
        word = _combine([(heads, c), (left, i), (right, j)])
        folded[0, c, i], folded[1, c, j], folded[2, c, i ^ j] = word
        messages[c, i, j] = [words[(*word, sign)] for sign in range(8)]
    return folded, messages


def _combine(parts: list[tuple[list[tuple[int, ...]], int]]) -> tuple[int, ...]:
    """Sum, modulo 2, of the basis words that the bits of each number choose."""
    total = (0, 0, 0)
    for basis, number in parts:
        for bit, step in enumerate(basis):
            if number >> bit & 1:
                total = tuple(a ^ b for a, b in zip(total, step, strict=True))
    return total


def _basis(group: list[tuple[int, ...]], known: list[tuple[int, ...]] | None = None) -> list[tuple[int, ...]]:
    """Words that, with the known ones, span the group; in its order."""
    chosen = list(known or [])
    span = {_combine([(chosen, number)]) for number in range(1 << len(chosen))}
    for word in group:
        if word not in span:
            chosen.append(word)
            span |= {tuple(a ^ b for a, b in zip(word, other, strict=True)) for other in span}
    return chosen[len(known or []) :]


def _octads(
    code: GolayCode, places: np.ndarray, duos: np.ndarray, quads: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sort the octads by how they meet the bricks: the fields `mixed` … `brick_octads`."""
    duo_of = {frozenset(duo): rank for rank, duo in enumerate(duos.tolist())}
    quad_of = {
        frozenset(four): (rank, side) for rank, quad in enumerate(quads.tolist()) for side, four in enumerate(quad)
    }
    place_of = places.argsort()
    mixed: dict[tuple[int, int], dict[tuple[int, int], dict[int, int]]] = {}
    even: dict[tuple[int, int, int], np.ndarray] = {}
    brick_octads = np.zeros(3, dtype=np.int64)
    for octad, positions in enumerate(code.octads):
        met = [frozenset((place_of[positions][place_of[positions] // 8 == b] % 8).tolist()) for b in range(3)]
        sizes = [len(part) for part in met]
        if 8 in sizes:
            brick_octads[sizes.index(8)] = octad
        elif 2 in sizes:
            brick = sizes.index(4)
            quad, side = quad_of[met[brick]]
            pair = duo_of[met[(brick + 1) % 3]], duo_of[met[(brick + 2) % 3]]
            mixed.setdefault((brick, quad), {}).setdefault(pair, {})[side] = octad
        else:
            brick = (sizes.index(0) + 1) % 3
            (first, side), (second, other) = quad_of[met[brick]], quad_of[met[(brick + 1) % 3]]
            even.setdefault((brick, first, second), np.zeros((2, 2), dtype=np.int64))[side, other] = octad
    return (
        np.array([[*cell, *itertools.chain(*sorted(pairs))] for cell, pairs in sorted(mixed.items())]),
        np.array([[[sides[0], sides[1]] for _, sides in sorted(pairs.items())] for _, pairs in sorted(mixed.items())]),
        np.array(sorted(even)),
        np.array([octads for _, octads in sorted(even.items(), key=lambda item: item[0])]),
        brick_octads,
    )
