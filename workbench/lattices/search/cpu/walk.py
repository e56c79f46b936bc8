"""What the kernels walk: the trio of a Leech shell as flat tables of rows in a workspace.

The workspace holds, for one block of points side by side, one row per number: the 24 entries by place, then T and D of
every folded pattern (D = F - T, see `structured.py`), then for every duo and quad its best signed sum with an even and
with an odd number of minus signs. A *cell* is a group of codewords among which the kernels keep only the best score:
64 of words (a class and a rank of the first brick), 84 + 21 + 3 of octads, and one of pairs.
"""

__all__ = ["HALVES", "OCTAD_ENTRIES", "OCTAD_TABLE", "RESULTS", "ROWS", "WORD_TABLE", "Plan", "plan_of"]

import functools
from typing import NamedTuple

import numpy as np

from workbench.lattices.codes.leech import SHAPE_STARTS, LeechOrder
from workbench.lattices.golay.code import golay_code
from workbench.lattices.golay.trio import trio_of

# Rows of the workspace, 16 floats each.
OCTAD_ENTRIES = 24
WORD_TABLE = 48
OCTAD_TABLE = WORD_TABLE + 3 * 64 * 2
HALVES = OCTAD_TABLE + 3 * 63 * 2
RESULTS = HALVES + (16 + 8) * 3
ROWS = RESULTS + 4


class Plan(NamedTuple):
    """A Leech shell as tables; all arrays are int64 and rows are rows of the workspace.

    Attributes:
        shapes: Whether shapes (±2⁸), (∓3, ±1²³) and (±4²) take part, shape (3,).
        first: Index of the first codeword that takes part, in the whole shell, shape (1,).
        word_places: Position of each place of the words' trio, shape (24,).
        octad_places: The same of the octads' trio, shape (24,).
        folded: Folded patterns by brick and slot (8 · class + rank), shape (3, 64).
        signs: The same as signs, -1 and 1, by brick, slot and place, shape (3, 64, 8).
        messages: Words by class, ranks and complements, shape (8, 8, 8, 8).
        quads: For each quad the duos of its two fours, shape (35, 2, 2).
        duos: The two places of each duo, shape (28, 2).
        mixed: Row of a quad, then four times the rows of two duos, shape (84, 9).
        even: Rows of two quads, shape (21, 2).
        cell_octads: The octads of every octad cell, -1 where there are no more, shape (108, 8).
        octads: The positions of every octad, shape (759, 8).
    """

    shapes: np.ndarray
    first: np.ndarray
    word_places: np.ndarray
    octad_places: np.ndarray
    folded: np.ndarray
    signs: np.ndarray
    messages: np.ndarray
    quads: np.ndarray
    duos: np.ndarray
    mixed: np.ndarray
    even: np.ndarray
    cell_octads: np.ndarray
    octads: np.ndarray


@functools.cache
def plan_of(order: LeechOrder, shapes: tuple[int, ...]) -> Plan:
    """Lay out the search for the shapes, some of (2, 3, 4), of a Leech shell."""
    words, octads = trio_of(order.word_code), trio_of(order.octad_code)
    duo_rank = {(a, b): rank for rank, (a, b) in enumerate(octads.duos.tolist())}
    quads = [[[duo_rank[a, b], duo_rank[c, d]] for a, b, c, d in quad] for quad in octads.quads.tolist()]
    cell_octads = np.full((108, 8), -1)
    cell_octads[:84] = octads.mixed_octads.reshape(84, 8)
    cell_octads[84:105, :4] = octads.even_octads.reshape(21, 4)
    cell_octads[105:, 0] = octads.brick_octads
    return Plan(
        shapes=np.array([shape in shapes for shape in (2, 3, 4)], dtype=np.int64),
        first=np.array([SHAPE_STARTS[shapes[0] - 2]]),
        word_places=words.places,
        octad_places=octads.places,
        folded=words.folded.reshape(3, 64),
        signs=2 * (words.folded.reshape(3, 64, 1) >> np.arange(8) & 1) - 1,
        messages=words.messages,
        quads=np.array(quads),
        duos=octads.duos,
        mixed=np.array([_mixed_rows(cell) for cell in octads.mixed.tolist()]),
        even=np.array([[_quad_row(b, one), _quad_row((b + 1) % 3, two)] for b, one, two in octads.even.tolist()]),
        cell_octads=cell_octads,
        octads=golay_code(order.octad_code).octads.astype(np.int64),
    )


def _mixed_rows(cell: list[int]) -> list[int]:
    brick, quad, *duos = cell
    rows = [_duo_row((brick + 1 + rank % 2) % 3, duo) for rank, duo in enumerate(duos)]
    return [_quad_row(brick, quad), *rows]


def _duo_row(brick: int, duo: int) -> int:
    return OCTAD_TABLE + 2 * (63 * brick + duo)


def _quad_row(brick: int, quad: int) -> int:
    return OCTAD_TABLE + 2 * (63 * brick + 28 + quad)
