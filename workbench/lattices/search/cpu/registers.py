"""Sixteen float32 side by side as one value, for numba kernels: what a vector register holds.

In a kernel, `load` and `store` move sixteen neighbours of a flat float32 array, and `+`, `-`, `larger`, `smaller`,
`magnitude`, `times_plus`, `spread` and `choose` act on all lanes at once. The compiler turns each into one instruction
where registers are wide enough and into several where they are not, so a kernel states what it means and never hopes
that a loop will be vectorised. All lanes do the same arithmetic: a result does not depend on the lane.

Importing this module registers the type with numba; kernels import it at first use.
"""

__all__ = ["LANES", "choose", "larger", "load", "magnitude", "smaller", "spread", "store", "times_plus"]

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

LANES = 16
_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)


class _LanesType(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"lanes_float32x{LANES}")


_lanes = _LanesType()
_array = types.Array(types.float32, 1, "C")


@register_model(_LanesType)  # pyright: ignore[reportOptionalCall]
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type) -> None:  # noqa: ANN001
        super().__init__(dmm, fe_type, _VECTOR)


def _operator(function, arguments, emit):  # noqa: ANN001, ANN202
    @infer_global(function)  # pyright: ignore[reportOptionalCall] - numba makes it when it loads
    class _Typing(ConcreteTemplate):
        cases = (signature(_lanes, *arguments),)

    @lower_builtin(function, *arguments)
    def _lower(context, builder, sig, args):  # noqa: ANN001, ANN202, ARG001
        return emit(builder, *args)


_operator(operator.add, (_lanes, _lanes), lambda builder, a, b: builder.fadd(a, b))
_operator(operator.sub, (_lanes, _lanes), lambda builder, a, b: builder.fsub(a, b))
_operator(operator.neg, (_lanes,), lambda builder, a: builder.fneg(a))


def _choice(builder, relation, a, b, x, y):  # noqa: ANN001, ANN202
    return builder.select(builder.fcmp_ordered(relation, a, b, flags=("nnan", "nsz")), x, y)


@intrinsic
def larger(typing, a, b):  # noqa: ANN001, ANN201, ARG001
    """The larger of two, lane by lane."""
    return _lanes(_lanes, _lanes), lambda context, builder, sig, args: _choice(builder, ">", *args, *args)  # noqa: ARG005


@intrinsic
def smaller(typing, a, b):  # noqa: ANN001, ANN201, ARG001
    """The smaller of two, lane by lane."""
    return _lanes(_lanes, _lanes), lambda context, builder, sig, args: _choice(builder, "<", *args, *args)  # noqa: ARG005


@intrinsic
def choose(typing, a, b, x, y):  # noqa: ANN001, ANN201, ARG001
    """`x` where a > b, else `y`, lane by lane."""
    return _lanes(*[_lanes] * 4), lambda context, builder, sig, args: _choice(builder, ">", *args)  # noqa: ARG005


@intrinsic
def magnitude(typing, a):  # noqa: ANN001, ANN201, ARG001
    """Absolute values."""

    def emit(context, builder, sig, args):  # noqa: ANN001, ANN202, ARG001
        return _call(builder, "llvm.fabs", args)

    return _lanes(_lanes), emit


@intrinsic
def times_plus(typing, a, factor, b):  # noqa: ANN001, ANN201, ARG001
    """`a * factor + b` for a number `factor`, rounded once or twice."""

    def emit(context, builder, sig, args):  # noqa: ANN001, ANN202, ARG001
        return _call(builder, "llvm.fmuladd", (args[0], _broadcast(builder, args[1]), args[2]))

    return _lanes(_lanes, types.float32, _lanes), emit


@intrinsic
def spread(typing, number):  # noqa: ANN001, ANN201, ARG001
    """The same number in all lanes."""
    return _lanes(types.float32), lambda context, builder, sig, args: _broadcast(builder, args[0])  # noqa: ARG005


@intrinsic
def load(typing, array, row):  # noqa: ANN001, ANN201, ARG001
    """Sixteen neighbours from a flat float32 array, from 16 · row on. Bounds are not checked."""

    def emit(context, builder, sig, args):  # noqa: ANN001, ANN202
        return builder.load(_pointer(context, builder, sig, args), align=4)

    return _lanes(_array, types.int64), emit


@intrinsic
def store(typing, array, row, a):  # noqa: ANN001, ANN201, ARG001
    """Write sixteen neighbours into a flat float32 array, from 16 · row on. Bounds are not checked."""

    def emit(context, builder, sig, args):  # noqa: ANN001, ANN202
        builder.store(args[2], _pointer(context, builder, sig, args), align=4)
        return context.get_dummy_value()

    return types.none(_array, types.int64, _lanes), emit


def _call(builder, name, args):  # noqa: ANN001, ANN202
    function = ir.FunctionType(_VECTOR, [_VECTOR] * len(args))
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"{name}.v{LANES}f32"), args)


def _broadcast(builder, number):  # noqa: ANN001, ANN202
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), number, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _pointer(context, builder, sig, args):  # noqa: ANN001, ANN202
    data = context.make_array(sig.args[0])(context, builder, args[0]).data
    start = builder.mul(args[1], ir.Constant(args[1].type, LANES))
    return builder.bitcast(builder.gep(data, [start]), _VECTOR.as_pointer())
