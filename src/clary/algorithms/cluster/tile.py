"""The inner loop of k-means: a few rows against a panel of centres, in vector registers.

A row x is nearest to the centre c with the largest score x·c − |c|²/2. `score_wide` and `score_narrow` compute the scores of
some rows against a panel of centres and keep, in each of `LANES` lanes of a row, the best centre so far; `winner` then picks
the best lane. Nothing of size rows × centres is ever written.

They are numba intrinsics that write LLVM's vector instructions themselves: compilers do not find this shape (Goto and van de
Geijn 2008, "Anatomy of high-performance matrix multiplication", with the arg-max in place of the store) in plain loops. A
tile's rows × vectors are the accumulators, which fill the register file of the processor.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


def _has_wide_vectors() -> bool:
    try:
        return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # a processor that LLVM does not know
        return False


LANES, _VECTORS = (16, 4) if _has_wide_vectors() else (8, 2)
WIDTH = LANES * _VECTORS
"""Centres of a panel, unless one vector holds them all."""
WIDE_ROWS, NARROW_ROWS = 6, 12

_FLOAT, _INT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_FLOATS, _INTS = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT, LANES)
_FARTHER = ir.Constant(_INTS, [2**31 - 1] * LANES)


def panels(centers: np.ndarray) -> np.ndarray:
    """`centers` (k, columns) as (panels, 1 + columns, width) float32: per panel −|c|²/2, then a line per column.

    The width is LANES for so few centres, else WIDTH; the last panel is filled up with centres that win nothing.
    """
    k, columns = centers.shape
    width = LANES if k <= LANES else WIDTH
    count = -(-k // width)
    padded = np.zeros((count * width, 1 + columns), np.float32)
    padded[:, 0] = -np.inf
    padded[:k, 0] = np.square(centers, dtype=np.float64).sum(axis=1) / -2
    padded[:k, 1:] = centers
    return np.ascontiguousarray(padded.reshape(count, width, 1 + columns).transpose(0, 2, 1))


@intrinsic
def winner(typing: Any, best: Any, place: Any, row: Any) -> Any:
    """`(best, place, row)` -> (number of the nearest centre, its score): the best lane, the lower number of equal ones."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        best, place, row = _arrays(context, builder, signature, arguments)
        offset = builder.mul(row, _LONG(LANES))
        scores, numbers = _load(builder, best.data, offset, _FLOATS), _load(builder, place.data, offset, _INTS)
        top = _call(builder, f"llvm.vector.reduce.fmax.v{LANES}f32", _FLOAT, [scores], fastmath=("nnan",))
        equal = builder.fcmp_ordered("==", scores, _everywhere(builder, top, _FLOATS))
        candidates = builder.select(equal, numbers, _FARTHER)
        number = _call(builder, f"llvm.vector.reduce.umin.v{LANES}i32", _INT, [candidates])
        return context.make_tuple(builder, signature.return_type, [number, top])

    return types.Tuple((types.int32, types.float32))(best, place, row), generate


def _dot_products(builder: Any, lines: list[Any], centers: Any, columns: Any, vectors: int) -> list[list[Any]]:
    """scores[row][vector] = −|c|²/2 + Σ x·c over `columns`, as a loop whose state stays in registers."""
    start = [_load(builder, centers, _LONG(LANES * v), _FLOATS) for v in range(vectors)]
    before = builder.block
    loop, after = builder.append_basic_block("columns"), builder.append_basic_block("scored")
    builder.branch(loop)
    builder.position_at_end(loop)
    column = builder.phi(_LONG)
    sums = [[builder.phi(_FLOATS) for _ in range(vectors)] for _ in lines]
    following = builder.add(column, _LONG(1))
    line = builder.mul(following, _LONG(LANES * vectors))
    factors = [_load(builder, centers, builder.add(line, _LONG(LANES * v)), _FLOATS) for v in range(vectors)]
    for x, of_row in zip(lines, sums, strict=True):
        value = _everywhere(builder, builder.load(builder.gep(x, [column])), _FLOATS)
        for v, total in enumerate(of_row):
            of_row[v] = _call(builder, f"llvm.fma.v{LANES}f32", _FLOATS, [value, factors[v], total])
            total.add_incoming(start[v], before)
            total.add_incoming(of_row[v], loop)
    column.add_incoming(_LONG(0), before)
    column.add_incoming(following, loop)
    builder.cbranch(builder.icmp_signed("<", following, columns), loop, after)
    builder.position_at_end(after)
    return sums


def _keep_better(builder: Any, scores: list[Any], number: Any, best: Any, place: Any, offset: Any) -> None:
    """Raise one row's `best` and `place` to `scores`, whose first centre is `number`."""
    top, numbers = _load(builder, best, offset, _FLOATS), _load(builder, place, offset, _INTS)
    for vector, values in enumerate(scores):
        lanes = ir.Constant(_INTS, [vector * LANES + lane for lane in range(LANES)])
        better = builder.fcmp_ordered(">", values, top)
        top = builder.select(better, values, top)
        numbers = builder.select(better, builder.add(_everywhere(builder, number, _INTS), lanes), numbers)
    _store(builder, best, offset, top)
    _store(builder, place, offset, numbers)


def _scorer(height: int, vectors: int) -> Any:
    """The intrinsic for tiles of `height` rows and panels of `vectors` vectors."""
    width = LANES * vectors

    @intrinsic
    def score(typing: Any, rows: Any, first: Any, panels: Any, panel: Any, best: Any, place: Any) -> Any:
        """`(rows, first, panels, panel, best, place)`: rows from `first` on, (n, columns) float32, against one panel.

        best, place : (n, LANES) float32 and int32, raised to the better centre of each lane
        """

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            rows, first, panels, panel, best, place = _arrays(context, builder, signature, arguments)
            columns = builder.extract_value(rows.shape, 1)
            size = builder.mul(builder.add(columns, _LONG(1)), _LONG(width))
            centers = builder.gep(panels.data, [builder.mul(panel, size)])
            lines = [builder.gep(rows.data, [builder.mul(builder.add(first, _LONG(r)), columns)]) for r in range(height)]
            number = builder.trunc(builder.mul(panel, _LONG(width)), _INT)
            for row, scores in enumerate(_dot_products(builder, lines, centers, columns, vectors)):
                offset = builder.mul(builder.add(first, _LONG(row)), _LONG(LANES))
                _keep_better(builder, scores, number, best.data, place.data, offset)
            return context.get_dummy_value()

        return types.void(rows, first, panels, panel, best, place), generate

    return score


def _arrays(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The arguments, arrays among them with their `data` and `shape`."""
    return [
        context.make_array(kind)(context, builder, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def _load(builder: Any, pointer: Any, offset: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer()), align=4)


def _store(builder: Any, pointer: Any, offset: Any, value: Any) -> None:
    builder.store(value, builder.bitcast(builder.gep(pointer, [offset]), value.type.as_pointer()), align=4)


def _everywhere(builder: Any, scalar: Any, kind: Any) -> Any:
    """A vector with `scalar` in every lane."""
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, scalar, _INT(0))
    return builder.shuffle_vector(first, empty, ir.Constant(_INTS, [0] * LANES))


def _call(builder: Any, name: str, result: Any, arguments: list[Any], **flags: Any) -> Any:
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments, **flags)


score_wide = _scorer(WIDE_ROWS, _VECTORS)
score_narrow = _scorer(NARROW_ROWS, 1)
