"""Rows of numbers of several tokens side by side, multiplied and added by the processor's widest instructions.

A kernel that treats tokens as lanes does nothing but `out += x · y` on rows of `LANES` numbers. Written as loops, the
compiler must prove at run time that the rows do not overlap, and gives up where there are many; these two functions
say what is meant: load both rows, multiply, add, store.
"""

__all__ = ["LANES", "add_product", "set_product"]

# ruff: noqa: ANN001, ANN201, ANN202  (numba infers the types, and shape checking must not wrap what it compiles)

from typing import Any, no_type_check

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 16
_FUSED = ("contract",)


@no_type_check
def _row(context, builder, kind, array, index) -> Any:  # noqa: ANN401 - a value of the compiler
    """Where a row of an array (rows, LANES) lies, as a pointer to a vector."""
    data = context.make_array(kind)(context, builder, array).data
    first = builder.gep(data, [builder.mul(index, ir.Constant(index.type, LANES))])
    return builder.bitcast(first, ir.VectorType(ir.DoubleType(), LANES).as_pointer())


@no_type_check
def _rows(context, builder, signature, args) -> tuple[Any, Any, Any]:
    kinds = signature.args
    return tuple(_row(context, builder, kinds[n], args[n], args[n + 1]) for n in (0, 2, 4))


@intrinsic
@no_type_check
def set_product(typing, out, i, x, j, y, k):  # noqa: ARG001 - the form that numba asks for
    """out[i] = x[j] · y[k], for float64 arrays of shape (rows, LANES), C-contiguous; indices at least 0."""

    @no_type_check
    def generate(context, builder, signature, args):
        to, left, right = _rows(context, builder, signature, args)
        product = builder.fmul(builder.load(left, align=8), builder.load(right, align=8))
        builder.store(product, to, align=8)
        return context.get_dummy_value()

    return types.void(out, i, x, j, y, k), generate


@intrinsic
@no_type_check
def add_product(typing, out, i, x, j, y, k):  # noqa: ARG001 - the form that numba asks for
    """out[i] += x[j] · y[k], likewise."""

    @no_type_check
    def generate(context, builder, signature, args):
        to, left, right = _rows(context, builder, signature, args)
        product = builder.fmul(builder.load(left, align=8), builder.load(right, align=8), flags=_FUSED)
        builder.store(builder.fadd(builder.load(to, align=8), product, flags=_FUSED), to, align=8)
        return context.get_dummy_value()

    return types.void(out, i, x, j, y, k), generate
