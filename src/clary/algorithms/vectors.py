"""What the kernels with vector instructions of their own share: where rows lie in memory, and how they are fetched.

Rows are padded to whole vectors with zeros. Their places are offsets, in values, from the begin of an array in C order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line."""


def typed(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose callers in kernels do not pass the typing context that checkers of types ask for."""
    return intrinsic(function)


def padded(columns: int, lanes: int) -> int:
    """The width of a row that holds `columns` values."""
    return -(-columns // lanes) * lanes


def zeros(*shape: int) -> np.ndarray:
    """Float32 zeros that begin at a cache line: vectors then lie in one line each, which NumPy's own arrays do not promise."""
    count = int(np.prod(shape))
    memory = np.zeros(4 * count + LINE, np.uint8)
    begin = -memory.ctypes.data % LINE
    return memory[begin : begin + 4 * count].view(np.float32).reshape(shape)


def address(context: Any, builder: Any, signature: Any, arguments: Any, array: int, place: int) -> Any:
    """A pointer to the value at argument `place` in argument `array`."""
    begin = context.make_array(signature.args[array])(context, builder, arguments[array]).data
    return builder.gep(begin, [arguments[place]])


@typed
def prefetch(typing: Any, array: Any, place: Any) -> Any:
    """Have the memory around `place` of `array` fetched, without waiting for it; any place is allowed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, function, "llvm.prefetch.p0i8")
        place = builder.bitcast(address(context, builder, signature, arguments, 0, 1), pointer)
        builder.call(fetch, [place, word(1), word(3), word(1)])  # to write, keep close, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
