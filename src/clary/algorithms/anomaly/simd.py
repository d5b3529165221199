"""Sixteen float32 at once: the four operations on coordinates that a random cut forest spends its time in.

A compiler that is given these loops in Python's words vectorises them for rows of at least 64 values and takes shorter ones
value by value. So they are written as vectors of 16 lanes: one register of AVX-512, two of AVX2, four of NEON. Rows and places
are those of `clary.algorithms.vectors`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from clary.algorithms.vectors import typed

LANES = 16

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ZERO = ir.Constant(_VECTOR, [0.0] * LANES)


@typed
def outside(typing: Any, array: Any, low: Any, high: Any, rows: Any, row: Any, width: Any) -> Any:
    """How far a row lies outside of a box, in L1: the sum over columns of max(low - x, x - high, 0), float32.

    The box's corners start at `array[low]` and `array[high]`, the row at `rows[row]`. Zero exactly when the box holds the row.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lows, highs, points = _addresses(context, builder, signature, arguments, ((0, 1), (0, 2), (3, 4)))
        total = _accumulator(builder)
        with cgutils.for_range_slice(builder, *_range(context, arguments[5])) as (i, _):
            low, high, x = (_load(builder, address, i) for address in (lows, highs, points))
            nearest = _smaller(builder, _larger(builder, x, low), high)
            _add(builder, total, _absolute(builder, builder.fsub(x, nearest)))
        return _sums(builder, [builder.load(total)])[0]

    return types.float32(array, low, high, rows, row, width), generate


@typed
def outside_4(typing: Any, array: Any, low: Any, high: Any, rows: Any, four: Any, width: Any) -> Any:
    """`outside` for the rows at the four places `four` at once, with the same bits: the box is read once for all."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lows, highs = _addresses(context, builder, signature, arguments, ((0, 1), (0, 2)))
        base = context.make_array(signature.args[3])(context, builder, arguments[3]).data
        points = [builder.gep(base, [builder.extract_value(arguments[4], i)]) for i in range(4)]
        totals = [_accumulator(builder) for _ in points]
        with cgutils.for_range_slice(builder, *_range(context, arguments[5])) as (i, _):
            low, high = _load(builder, lows, i), _load(builder, highs, i)
            for point, total in zip(points, totals, strict=True):
                x = _load(builder, point, i)
                nearest = _smaller(builder, _larger(builder, x, low), high)
                _add(builder, total, _absolute(builder, builder.fsub(x, nearest)))
        return context.make_tuple(builder, signature.return_type, _sums(builder, [builder.load(total) for total in totals]))

    return types.UniTuple(types.float32, 4)(array, low, high, rows, four, width), generate


@typed
def enclose(typing: Any, array: Any, low: Any, high: Any, rows: Any, row: Any, width: Any) -> Any:
    """Let a box also hold a row; returns the sum of its sides, float32. Arguments as those of `outside`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lows, highs, points = _addresses(context, builder, signature, arguments, ((0, 1), (0, 2), (3, 4)))
        total = _accumulator(builder)
        with cgutils.for_range_slice(builder, *_range(context, arguments[5])) as (i, _):
            low, high, x = (_load(builder, address, i) for address in (lows, highs, points))
            low, high = _smaller(builder, low, x), _larger(builder, high, x)
            _store(builder, low, lows, i)
            _store(builder, high, highs, i)
            _add(builder, total, builder.fsub(high, low))
        return _sums(builder, [builder.load(total)])[0]

    return types.float32(array, low, high, rows, row, width), generate


@typed
def unite(typing: Any, array: Any, box: Any, first: Any, second: Any, width: Any) -> Any:
    """Write the union of two boxes as a third; returns the sum of its sides, float32.

    Each box is a pair of offsets into `array`, those of its low and its high corner; a point is a box of equal corners.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pairs = [builder.extract_value(arguments[pair], corner) for pair in (1, 2, 3) for corner in (0, 1)]
        base = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lows, highs, low_1, high_1, low_2, high_2 = (builder.gep(base, [pair]) for pair in pairs)
        total = _accumulator(builder)
        with cgutils.for_range_slice(builder, *_range(context, arguments[4])) as (i, _):
            low = _smaller(builder, _load(builder, low_1, i), _load(builder, low_2, i))
            high = _larger(builder, _load(builder, high_1, i), _load(builder, high_2, i))
            _store(builder, low, lows, i)
            _store(builder, high, highs, i)
            _add(builder, total, builder.fsub(high, low))
        return _sums(builder, [builder.load(total)])[0]

    return types.float32(array, box, first, second, width), generate


def _addresses(context: Any, builder: Any, signature: Any, arguments: Any, places: tuple[tuple[int, int], ...]) -> list[Any]:
    """Pointers to (array argument, offset argument) pairs."""
    arrays = {a: context.make_array(signature.args[a])(context, builder, arguments[a]).data for a, _ in places}
    return [builder.gep(arrays[array], [arguments[offset]]) for array, offset in places]


def _range(context: Any, width: Any) -> tuple[Any, Any, Any, Any]:
    """Start, stop, step and type of a loop over the blocks of a row."""
    return width.type(0), width, width.type(LANES), width.type


def _accumulator(builder: Any) -> Any:
    total = cgutils.alloca_once(builder, _VECTOR)
    builder.store(_ZERO, total)
    return total


def _add(builder: Any, total: Any, vector: Any) -> None:
    builder.store(builder.fadd(builder.load(total), vector), total)


def _load(builder: Any, address: Any, i: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(address, [i]), _VECTOR.as_pointer()), align=4)


def _store(builder: Any, vector: Any, address: Any, i: Any) -> None:
    builder.store(vector, builder.bitcast(builder.gep(address, [i]), _VECTOR.as_pointer()), align=4)


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def _smaller(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def _absolute(builder: Any, a: Any) -> Any:
    function = ir.FunctionType(_VECTOR, [_VECTOR])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, f"llvm.fabs.v{LANES}f32"), [a])


def _sums(builder: Any, vectors: list[Any]) -> list[Any]:
    """The sum of the lanes of each vector, one or four of them: halves are added until one lane is left.

    The vectors share the additions: two half empty ones are put together.
    """
    count, size = len(vectors), LANES
    while size > 1:
        half = size // 2
        if len(vectors) == 1:
            swapped = _shuffle(builder, vectors[0], vectors[0], [lane ^ half for lane in range(LANES)])
            vectors = [builder.fadd(vectors[0], swapped)]
        else:
            lower = [lane for lane in range(2 * LANES) if not lane & half]
            upper = [lane + half for lane in lower]
            vectors = [
                builder.fadd(_shuffle(builder, a, b, lower), _shuffle(builder, a, b, upper))
                for a, b in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        size = half
    return [builder.extract_element(vectors[0], _INT(i * LANES // count)) for i in range(count)]


def _shuffle(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_INT, LANES), lanes))
