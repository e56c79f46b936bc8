"""Nearest codeword: one call for every code, dtype, shape and device, exact everywhere.

The answer is that of the exhaustive search (`exhaustive.py`): the least index among the codewords of greatest inner
product, decided in integers (`fixed.py`). It does not depend on how many points are asked about at once, on their
order, or on the number of threads. `backends.py` has the search that serves a code on a device.

The search is a torch operator, `workbench::nearest`, opaque to `torch.compile` but for the shape of its result; it is
registered when it is first used.
"""

__all__ = ["nearest"]

import functools
import threading

import torch
from jaxtyping import Float, Int
from torch import Tensor

from workbench.errors import InputError
from workbench.lattices.code import Code

_CODES: dict[str, Code] = {}  # what the operator's second argument names
_FIRST = threading.Lock()  # several threads may be the first to search, and an operator is registered once


def nearest(x: Float[Tensor, "*batch D"], code: Code) -> Int[Tensor, "*batch"]:
    """Return the index, in [0, K), of the codeword nearest to each point, int64; a tie goes to the lowest.

    Args:
        x: Points of any floating dtype, any norm and any layout.
        code: Which codewords.

    Raises:
        InputError: if x is not floating, its dimension is not that of the code, or a row is not finite: rows are
            counted over the batch in C order, and the first is named.
    """
    if not x.is_floating_point() or x.ndim == 0 or x.shape[-1] != code.dimension:
        raise InputError(
            f"expected floats of shape (..., {code.dimension}) for code {code.name!r}, "
            f"got {x.dtype} of shape {tuple(x.shape)}"
        )
    key = _key(code)  # before the operator is looked up: this registers it
    return torch.ops.workbench.nearest(x.detach(), key)


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
    from workbench.lattices.search.backends import nearest_rows

    library = torch.library.Library("workbench", "FRAGMENT")
    library.define("nearest(Tensor x, str code) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    library.impl("nearest", lambda x, code: nearest_rows(x, _CODES[code]), "CompositeExplicitAutograd")

    @torch.library.register_fake("workbench::nearest", lib=library)
    def shape_of(x: Tensor, code: str) -> Tensor:  # noqa: ARG001
        return x.new_empty(x.shape[:-1], dtype=torch.int64)

    return library
