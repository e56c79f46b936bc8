"""Which search serves a code on a device, and how points reach it.

On a CPU codes with a structure have kernels (`cpu/rows.py`). On other devices the first shell of Λ24 has one where
Triton and `cuda/search.py` are there, and is searched by plain torch in integers (`structured.py`) elsewhere; small
codes are compared with every codeword (`tiled.py`), which such devices are made for, and only the second shell, too
large for that, comes back to the CPU. Codes without a structure are compared with every codeword everywhere.
Points are handed over in pieces wherever they have to be copied, so memory does not grow with their number.
"""

__all__ = ["nearest_rows"]

import functools
import importlib.util
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from workbench.lattices.code import Code
from workbench.lattices.codes.registry import LeechShapes, Structure, structure_of
from workbench.lattices.search.cpu.rows import nearest_on_cpu
from workbench.lattices.search.structured import nearest_structured
from workbench.lattices.search.tiled import nearest_tiled

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


def _search_for(code: Code, device: str) -> Callable[[Tensor, int], Tensor]:
    """A function from rows, and what to call the first of them in an error, to their nearest codewords."""
    structure = structure_of(code)
    if structure is not None and (device == "cpu" or structure is Structure.SECOND_SHELL):
        return lambda rows, first: _nearest_on_cpu(rows, structure, first)
    if not isinstance(structure, LeechShapes):
        return lambda rows, first: nearest_tiled(rows, code, first_row=first)
    if device == "cuda" and _triton_is_there():
        module = importlib.import_module(_TRITON)
        return lambda rows, first: module.nearest_on_cuda(rows, structure, first_row=first)
    return lambda rows, first: nearest_structured(rows, structure, first_row=first)


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


def _nearest_on_cpu(rows: Tensor, structure: LeechShapes | Structure, first: int) -> Tensor:
    return torch.from_numpy(nearest_on_cpu(rows.cpu().numpy(), structure, first_row=first)).to(rows.device)
