"""Sixteen numbers side by side: what kernels load into vector registers, for float32 and for float64.

In a kernel, `load` and `store` move sixteen neighbours of a flat float32 array, and `+`, `-`, `larger`, `smaller`,
`magnitude`, `times_plus`, `spread` and `choose` act on all lanes at once. For float64, `set_product` and `add_product`
multiply rows of arrays of shape (rows, 16) in place. The compiler turns each into one instruction where registers are
wide enough and into several where they are not, so a kernel states what it means: a loop is vectorised only where the
compiler can prove that rows do not overlap. All lanes do the same arithmetic: a result does not depend on the lane.

Importing this module registers the type with numba; kernels import it at first use.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ARG001, ARG005 - numba asks for these forms and infers the types

__all__ = [
    "LANES",
    "add_product",
    "choose",
    "larger",
    "load",
    "magnitude",
    "set_product",
    "smaller",
    "spread",
    "store",
    "times_plus",
]

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import lower_builtin, models, register_model

LANES = 16
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FUSED = ("contract",)  # the compiler may round a product and a sum once


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"lanes_float32x{LANES}")


_lanes = _LanesType()
_array = types.Array(types.float32, 1, "C")


@register_model(_LanesType)  # pyright: ignore[reportOptionalCall]
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:
        super().__init__(dmm, fe_type, _VECTOR)


def _operator(function, arguments, emit):
    @infer_global(function)  # pyright: ignore[reportOptionalCall] - numba makes it when it loads
    class _Typing(ConcreteTemplate):
        cases = (signature(_lanes, *arguments),)

    @lower_builtin(function, *arguments)
    def _lower(context, builder, sig, args):
        return emit(builder, *args)


_operator(operator.add, (_lanes, _lanes), lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, (_lanes, _lanes), lambda builder, a, b: builder.fsub(a, b))
_operator(operator.neg, (_lanes,), lambda builder, a: builder.fneg(a))


def _intrinsic(emitter: Callable[..., Any]) -> Any:  # noqa: ANN401 - what kernels call has other arguments
    return numba_intrinsic(emitter)


def _choice(builder, relation, a, b, x, y):
    return builder.select(builder.fcmp_ordered(relation, a, b, flags=("nnan", "nsz")), x, y)


@_intrinsic
def larger(typing, a, b):
    """The larger of two, lane by lane."""
    return _lanes(_lanes, _lanes), lambda context, builder, sig, args: _choice(builder, ">", *args, *args)


@_intrinsic
def smaller(typing, a, b):
    """The smaller of two, lane by lane."""
    return _lanes(_lanes, _lanes), lambda context, builder, sig, args: _choice(builder, "<", *args, *args)


@_intrinsic
def choose(typing, a, b, x, y):
    """`x` where a > b, else `y`, lane by lane."""
    return _lanes(*[_lanes] * 4), lambda context, builder, sig, args: _choice(builder, ">", *args)


@_intrinsic
def magnitude(typing, a):
    """Absolute values."""

    def emit(context, builder, sig, args):
        return _call(builder, "llvm.fabs", args)

    return _lanes(_lanes), emit


@_intrinsic
def times_plus(typing, a, factor, b):
    """`a * factor + b` for a number `factor`, rounded once or twice."""

    def emit(context, builder, sig, args):
        return _call(builder, "llvm.fmuladd", (args[0], _broadcast(builder, args[1]), args[2]))

    return _lanes(_lanes, types.float32, _lanes), emit


@_intrinsic
def spread(typing, number):
    """The same number in all lanes."""
    return _lanes(types.float32), lambda context, builder, sig, args: _broadcast(builder, args[0])


@_intrinsic
def load(typing, array, row):
    """Sixteen neighbours from a flat float32 array, from 16 · row on. Bounds are not checked."""

    def emit(context, builder, sig, args):
        return builder.load(_row(context, builder, sig, args, 0), align=4)

    return _lanes(_array, types.int64), emit


@_intrinsic
def store(typing, array, row, a):
    """Write sixteen neighbours into a flat float32 array, from 16 · row on. Bounds are not checked."""

    def emit(context, builder, sig, args):
        builder.store(args[2], _row(context, builder, sig, args, 0), align=4)
        return context.get_dummy_value()

    return types.none(_array, types.int64, _lanes), emit


@_intrinsic
def set_product(typing, out, i, x, j, y, k):
    """out[i] = x[j] · y[k], for float64 arrays of shape (rows, 16), C-contiguous; indices at least 0."""

    def emit(context, builder, sig, args):
        to, left, right = (_row(context, builder, sig, args, at) for at in (0, 2, 4))
        builder.store(builder.fmul(builder.load(left, align=8), builder.load(right, align=8)), to, align=8)
        return context.get_dummy_value()

    return types.void(out, i, x, j, y, k), emit


@_intrinsic
def add_product(typing, out, i, x, j, y, k):
    """out[i] += x[j] · y[k], likewise."""

    def emit(context, builder, sig, args):
        to, left, right = (_row(context, builder, sig, args, at) for at in (0, 2, 4))
        product = builder.fmul(builder.load(left, align=8), builder.load(right, align=8), flags=_FUSED)
        builder.store(builder.fadd(builder.load(to, align=8), product, flags=_FUSED), to, align=8)
        return context.get_dummy_value()

    return types.void(out, i, x, j, y, k), emit


def _call(builder, name, args):
    function = ir.FunctionType(_VECTOR, [_VECTOR] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"{name}.v{LANES}f32"), args)


def _broadcast(builder, number):
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _row(context, builder, sig, args, at):
    """Pointer to a row, as a vector, of the array that is argument `at`; the next argument is the row's number."""
    kind, number = sig.args[at], args[at + 1]
    data = context.make_array(kind)(context, builder, args[at]).data
    start = builder.mul(number, ir.Constant(number.type, LANES))
    vector = ir.VectorType(context.get_data_type(kind.dtype), LANES)
    return builder.bitcast(builder.gep(data, [start]), vector.as_pointer())
