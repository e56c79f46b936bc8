"""Which search serves a code on a device, and how points reach it.

The first shell of Λ24 has kernels for the CPU (`kernel.py`) and, where Triton and `search_triton.py` are there, for
CUDA; elsewhere plain torch does the same in integers (`structured.py`). All other codes go to `row_search.py`.
Points are handed over in pieces wherever they have to be copied, so memory does not grow with their number.
"""

__all__ = ["leech_structure", "nearest_rows"]

import functools
import importlib.util
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.pool import run_split
from workbench.lattices.search.cpu.rows import nearest_other
from workbench.lattices.search.fixed import fixed_point
from workbench.lattices.search.structured import SHAPES_OF, nearest_structured

_PIECE = 1 << 13  # rows that are copied at a time
_TRITON = "workbench.lattices.search.cuda.search"


def nearest_rows(x: Tensor, code: Code) -> Tensor:
    """`search.nearest` for an argument that has been checked."""
    search = _search_for(code, x.device.type)
    if x.is_contiguous() and _is_plain(x) and x.numel():
        return search(x.view(-1, x.shape[-1]), 0).view(x.shape[:-1])
    found = torch.empty(x.shape[:-1], dtype=torch.int64, device=x.device)
    indices = found.view(-1)
    for first, rows in _pieces(x):
        indices[first : first + len(rows)] = search(rows, first)
    return found


def _search_for(code: Code, device: str):  # noqa: ANN202
    """A function from rows, and what to call the first of them in an error, to their nearest codewords."""
    if not leech_structure(code):
        return lambda rows, first: nearest_other(rows, code, first_row=first)
    if device == "cpu":
        return lambda rows, first: _nearest_on_cpu(rows, code.name, first)
    if device == "cuda" and _triton_is_there():
        module = importlib.import_module(_TRITON)
        return lambda rows, first: module.nearest_on_cuda(rows, code.name, first_row=first)
    return lambda rows, first: nearest_structured(rows, code.name, first_row=first)


@functools.lru_cache(maxsize=64)
def leech_structure(code: Code) -> bool:
    """Whether a code is a first shell of Λ24, whole or in part, in the promised order, so that its search applies."""
    return code.name in SHAPES_OF and code.fingerprint == make_code(code.name).fingerprint


@functools.cache
def _triton_is_there() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("triton", _TRITON))


def _is_plain(x: Tensor) -> bool:
    return x.dtype in (torch.float32, torch.float64)


def _pieces(x: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Points as contiguous rows (n, D), float32 or float64, in pieces, each with the number of its first row."""
    count = x.shape[:-1].numel()
    flat = x.view(-1, x.shape[-1]) if x.is_contiguous() else None
    for first in range(0, count, _PIECE):
        numbers = torch.arange(first, min(first + _PIECE, count), device=x.device)
        rows = x[torch.unravel_index(numbers, x.shape[:-1])] if flat is None else flat[first : first + _PIECE]
        yield first, (rows if _is_plain(x) else rows.float()).contiguous()


def _nearest_on_cpu(rows: Tensor, name: str, first: int) -> Tensor:
    from workbench.lattices.search.cpu.screen import search_rows
    from workbench.lattices.search.cpu.walk import plan_of

    plan = plan_of(*SHAPES_OF[name])
    points, found = rows.numpy(), np.empty(len(rows), np.int64)
    bad: list[int] = []

    def search(start: int, stop: int) -> None:
        row = search_rows(points, start, stop, found, plan)
        if row >= 0:
            bad.append(row)

    run_split(search, len(points), block=16)
    if bad:
        fixed_point(rows[min(bad) : min(bad) + 1], first_row=first + min(bad))
    return torch.from_numpy(found)
