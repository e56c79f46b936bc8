"""Searches for all codes but the first shell of Λ24: by shape where a code has shapes, else tiled.

The kernels of `row_kernels.py` and `shell3_kernel.py` take rows as exact integers, on our own threads. They run on the
CPU; on other devices the small codes are compared with every codeword, which such devices are made for, and only the
second shell, too large for that, comes back to the CPU.
"""

__all__ = ["nearest_other"]

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.codes.barnes_wall import bw16, words_bw16
from workbench.lattices.codes.coxeter_todd import k12
from workbench.lattices.codes.e8 import e8
from workbench.lattices.codes.leech_shell3 import SecondShell, search_tables
from workbench.lattices.pool import run_split
from workbench.lattices.search.fixed import fixed_point
from workbench.lattices.search.tiled import nearest_tiled

_CHUNK = 1 << 16  # rows at a time, so that their integers stay small beside them


def nearest_other(x: Float[Tensor, "n D"], code: Code, *, first_row: int = 0) -> Int[Tensor, " n"]:
    """Return the index of the nearest codeword for each row, int64; a tie goes to the lowest.

    Args:
        x: Finite rows of any floating dtype.
        code: Which codewords.
        first_row: What to call row 0 in the error.

    Raises:
        InputError: if a row has an entry that is not finite, naming the first such row.
    """
    if isinstance(code, SecondShell):
        return _run(x, _search_shell3, first_row).to(x.device)
    if x.device.type == "cpu":
        for known, search in ((e8, _search_e8), (bw16, _search_bw16), (k12, _search_k12)):
            if code is known():
                return _run(x, search, first_row)
    return nearest_tiled(x, code, first_row=first_row)


def _run(x: Tensor, search: Callable[[Tensor, int], Tensor], first_row: int) -> Tensor:
    parts = [search(part.cpu(), first_row + i * _CHUNK) for i, part in enumerate(x.split(_CHUNK))]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _search_e8(x: Tensor, first_row: int) -> Tensor:
    from workbench.lattices.search.cpu.row_kernels import nearest_e8

    rows, out = _integers(x, first_row)
    run_split(lambda start, stop: nearest_e8(rows, out, start, stop), len(rows), block=1024)
    return torch.from_numpy(out)


def _search_bw16(x: Tensor, first_row: int) -> Tensor:
    from workbench.lattices.search.cpu.row_kernels import nearest_bw16

    rows, out = _integers(x, first_row)
    words = words_bw16()
    run_split(lambda start, stop: nearest_bw16(rows, out, start, stop, words), len(rows), block=256)
    return torch.from_numpy(out)


def _search_k12(x: Tensor, first_row: int) -> Tensor:
    from workbench.lattices.search.cpu.row_kernels import nearest_k12

    rows, out = _integers(x.double() * torch.tensor(k12().axes, dtype=torch.float64), first_row)
    run_split(lambda start, stop: nearest_k12(rows, out, start, stop), len(rows), block=256)
    return torch.from_numpy(out)


def _search_shell3(x: Tensor, first_row: int) -> Tensor:
    from workbench.lattices.search.cpu.shell3 import nearest_shell3

    rows, out = _integers(x, first_row)
    tables = search_tables()
    run_split(lambda start, stop: nearest_shell3(rows, out, start, stop, *tables), len(rows), block=16)
    return torch.from_numpy(out)


def _integers(x: Tensor, first_row: int) -> tuple[np.ndarray, np.ndarray]:
    rows = fixed_point(x.detach(), first_row=first_row).contiguous().numpy()
    return rows, np.empty(len(rows), dtype=np.int64)
