"""Eight float32 at once, as values that numba's kernels compute with.

A compiler that is given a loop over a handful of factors takes them value by value, since it cannot know that two rows of a
matrix do not overlap. So the kernels here work on vectors of `LANES` values: one register of AVX2, two of NEON. Rows and places
are those of `clary.algorithms.vectors`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from clary.algorithms.vectors import address, typed

LANES = 8

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_FREELY = ("reassoc", "nsz", "arcp", "contract", "afn")
"""Sums in any order, fused products, reciprocals by Newton's method; NaN and infinity keep their meaning."""


class Vector(types.Type):
    """The type of eight float32."""

    def __init__(self) -> None:
        super().__init__(name="Float32x8")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, front_end_type: Any):
        super().__init__(manager, front_end_type, _VECTOR)


@typed
def load(typing: Any, array: Any, place: Any) -> Any:
    """The eight values of `array` from `place` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature, arguments), align=4)

    return vector(array, types.intp), generate


@typed
def store(typing: Any, array: Any, place: Any, values: Any) -> Any:
    """Write eight values into `array` from `place` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@typed
def splat(typing: Any, value: Any) -> Any:
    """One value in all lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.Constant(ir.IntType(32), 0))
        return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), lanes)

    return vector(types.float32), generate


def _arithmetic(name: str, meaning: str) -> Any:
    def operation(typing: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return getattr(builder, name)(*arguments, flags=_FREELY)

        return vector(vector, vector), generate

    operation.__name__, operation.__doc__ = name, meaning
    return typed(operation)


add = _arithmetic("fadd", "Sum of each lane.")
subtract = _arithmetic("fsub", "Difference of each lane.")
multiply = _arithmetic("fmul", "Product of each lane.")
divide = _arithmetic("fdiv", "Quotient of each lane.")


@typed
def clip(typing: Any, values: Any, limit: Any) -> Any:
    """Each lane, no further from zero than `limit`'s; NaN stays."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, high = arguments
        low = builder.fneg(high)
        value = builder.select(builder.fcmp_ordered(">", value, high), high, value)
        return builder.select(builder.fcmp_ordered("<", value, low), low, value)

    return vector(vector, vector), generate


@typed
def square_root(typing: Any, values: Any) -> Any:
    """Square root of each lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(_VECTOR, [_VECTOR])
        root = cgutils.get_or_insert_function(builder.module, function, f"llvm.sqrt.v{LANES}f32")
        return builder.call(root, arguments, fastmath=_FREELY)

    return vector(vector), generate


@typed
def total(typing: Any, values: Any) -> Any:
    """Sum of the lanes."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        reduce = cgutils.get_or_insert_function(builder.module, function, f"llvm.vector.reduce.fadd.v{LANES}f32")
        return builder.call(reduce, [ir.Constant(_FLOAT, -0.0), arguments[0]], fastmath=("reassoc",))

    return types.float32(vector), generate


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.bitcast(address(context, builder, signature, arguments, 0, 1), _VECTOR.as_pointer())
