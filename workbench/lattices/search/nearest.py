"""Nearest codeword: one call for every code, dtype, shape and device, exact everywhere.

The answer is that of the exhaustive search (`exhaustive.py`): the least index among the codewords of greatest inner
product, decided in integers (`fixed.py`). It does not depend on how many points are asked about at once, on their
order, or on the number of threads. `backends.py` has the search that serves a code on a device.

For tensors the search is a torch operator, `workbench::nearest`, opaque to `torch.compile` but for the shape of its
result; it is registered when it is first used. Arrays are searched without torch where the code has a structure
(`registry.py`): the lattices of Leech, Barnes and Wall, Coxeter and Todd, and E8.
"""

from __future__ import annotations

__all__ = ["nearest"]

import functools
import threading
from typing import TYPE_CHECKING, overload

import numpy as np

from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import structure_of

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int
    from torch import Tensor

_CODES: dict[str, Code] = {}  # what the operator's second argument names
_FIRST = threading.Lock()  # several threads may be the first to search, and an operator is registered once


@overload
def nearest(x: Float[Tensor, "*batch D"], code: Code) -> Int[Tensor, "*batch"]: ...
@overload
def nearest(x: Float[np.ndarray, "*batch D"], code: Code) -> Int[np.ndarray, "*batch"]: ...
def nearest(x: Tensor | np.ndarray, code: Code) -> Tensor | np.ndarray:
    """Return the index, in [0, K), of the codeword nearest to each point, int64; a tie goes to the lowest.

    Args:
        x: Points, a tensor or an array of any floating dtype, any norm and any layout; shape (..., D).
        code: Which codewords.

    Raises:
        InputError: if x is not floating, its dimension is not that of the code, or a row is not finite: rows are
            counted over the batch in C order, and the first is named.
    """
    array = isinstance(x, np.ndarray)
    floating = x.dtype.kind == "f" if array else x.is_floating_point()
    if not floating or x.ndim == 0 or x.shape[-1] != code.dimension:
        raise InputError(
            f"expected floats of shape (..., {code.dimension}) for code {code.name!r}, "
            f"got {x.dtype} of shape {tuple(x.shape)}"
        )
    return _nearest_of_array(x, code) if array else _nearest_of_tensor(x, code)


def _nearest_of_tensor(x: Tensor, code: Code) -> Tensor:
    import torch

    key = _key(code)  # before the operator is looked up: this registers it
    return torch.ops.workbench.nearest(x.detach(), key)


def _nearest_of_array(x: np.ndarray, code: Code) -> np.ndarray:
    rows = np.ascontiguousarray(x.reshape(-1, code.dimension), dtype=np.float32 if x.dtype.itemsize < 8 else np.float64)
    structure = structure_of(code)
    if structure is None:
        import torch

        found = _nearest_of_tensor(torch.from_numpy(rows), code).numpy()
    else:
        from workbench.lattices.search.cpu.rows import nearest_on_cpu

        found = nearest_on_cpu(rows, structure)
    return found.reshape(x.shape[:-1])


def _key(code: Code) -> str:
    """Name the code for the operator, which knows no Python objects; at first use, register the operator."""
    with _FIRST:
        _register()
    key = f"{code.name}/{code.fingerprint}"
    _CODES.setdefault(key, code)
    return key


# This is all that torch.compiler.assume_constant_result does, but that imports the compiler, seconds of work, for
# everybody who only wants to search.
_key._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.cache
def _register() -> torch.library.Library:
    """Define the operator; it lives as long as the library that is returned.

    By its parts and not by `torch.library.custom_op`, whose operators import the compiler when they are first called.
    """
    import torch

    from workbench.lattices.search.backends import nearest_rows

    library = torch.library.Library("workbench", "FRAGMENT")
    library.define("nearest(Tensor x, str code) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    library.impl("nearest", lambda x, code: nearest_rows(x, _CODES[code]), "CompositeExplicitAutograd")

    @torch.library.register_fake("workbench::nearest", lib=library)
    def shape_of(x: Tensor, code: str) -> Tensor:  # noqa: ARG001
        return x.new_empty(x.shape[:-1], dtype=torch.int64)

    return library
