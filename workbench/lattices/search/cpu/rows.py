"""Searches on the CPU for codes with a structure: arrays in, arrays out, on our own threads; torch is not needed.

The first shell of Λ24 is searched in floats, and decided in integers where rounding could matter (`screen.py`). The
others take rows as exact integers (`row_kernels.py`, `shell3.py`).
"""

__all__ = ["nearest_on_cpu"]

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, Int

from workbench.lattices.codes.barnes_wall import words_bw16
from workbench.lattices.codes.coxeter_todd import k12
from workbench.lattices.codes.leech_shell3 import search_tables
from workbench.lattices.codes.registry import LeechShapes, Structure
from workbench.lattices.pool import run_split
from workbench.lattices.search.fixed import fixed_point_array

_CHUNK = 1 << 16  # rows at a time, so that their integers stay small beside them


def nearest_on_cpu(
    x: Float[np.ndarray, "n D"], structure: LeechShapes | Structure, *, first_row: int = 0
) -> Int[np.ndarray, " n"]:
    """Return the index of the nearest codeword for each row, int64; a tie goes to the lowest.

    Args:
        x: Rows, float32 or float64, C-contiguous.
        structure: Of the code.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    found = np.empty(len(x), np.int64)
    if isinstance(structure, LeechShapes):
        _search_leech(x, found, structure, first_row)
        return found
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK]
        if structure is Structure.COXETER_TODD:
            part = part.astype(np.float64) * np.array(k12().axes)
        rows = fixed_point_array(part, first_row=first_row + start)
        _SEARCHES[structure](rows, found[start : start + _CHUNK])
    return found


def _search_leech(x: np.ndarray, found: np.ndarray, structure: LeechShapes, first_row: int) -> None:
    from workbench.lattices.search.cpu.screen import search_rows
    from workbench.lattices.search.cpu.walk import plan_of

    plan = plan_of(*structure)
    bad: list[int] = []

    def search(start: int, stop: int) -> None:
        row = search_rows(x, start, stop, found, plan)
        if row >= 0:
            bad.append(row)

    run_split(search, len(x), block=16)
    if bad:
        fixed_point_array(x[min(bad) : min(bad) + 1], first_row=first_row + min(bad))


def _search_e8(rows: np.ndarray, found: np.ndarray) -> None:
    from workbench.lattices.search.cpu.row_kernels import nearest_e8

    run_split(lambda start, stop: nearest_e8(rows, found, start, stop), len(rows), block=1024)


def _search_bw16(rows: np.ndarray, found: np.ndarray) -> None:
    from workbench.lattices.search.cpu.row_kernels import nearest_bw16

    words = words_bw16()
    run_split(lambda start, stop: nearest_bw16(rows, found, start, stop, words), len(rows), block=256)


def _search_k12(rows: np.ndarray, found: np.ndarray) -> None:
    from workbench.lattices.search.cpu.row_kernels import nearest_k12

    run_split(lambda start, stop: nearest_k12(rows, found, start, stop), len(rows), block=256)


def _search_shell3(rows: np.ndarray, found: np.ndarray) -> None:
    from workbench.lattices.search.cpu.shell3 import nearest_shell3

    tables = search_tables()
    run_split(lambda start, stop: nearest_shell3(rows, found, start, stop, *tables), len(rows), block=16)


_SEARCHES: Mapping[Structure, Callable[[np.ndarray, np.ndarray], None]] = MappingProxyType(
    {
        Structure.E8: _search_e8,
        Structure.BARNES_WALL: _search_bw16,
        Structure.COXETER_TODD: _search_k12,
        Structure.SECOND_SHELL: _search_shell3,
    }
)
