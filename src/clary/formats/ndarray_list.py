"""MXNet's NDArray list file, which `mx.nd.save` writes and `mx.nd.load` reads: dense arrays, with or without names.

Little endian: uint64 magic 0x112, uint64 0, uint64 count, the arrays, uint64 count of names (0 or as many), and per name
uint64 length and UTF-8 text. An array: uint32 version, int32 storage type, int32 dimensions, int64 size of each, int32
device type and number, int32 type of its numbers, the numbers in C order. Source: `NDArray::Save` of MXNet 1.9,
src/ndarray/ndarray.cc; the two older versions that `NDArray::LegacyLoad` knows are read as well.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from clary.formats.errors import FormatError

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_DENSE = 0
_CPU = (1, 0)
_DTYPES = dict(enumerate(("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?")))
_FLAGS = {np.dtype(name): flag for flag, name in _DTYPES.items()}
_MOST_DIMENSIONS = 32


def write(arrays: Sequence[np.ndarray] | Mapping[str, np.ndarray]) -> bytes:
    """The file of `arrays`; a mapping gives them names.

    Raises `ValueError` for what the format cannot hold: arrays without a dimension or an element, and types other than
    float16/32/64, int8/32/64, uint8 and bool.
    """
    names = list(arrays) if isinstance(arrays, Mapping) else []
    values = list(arrays.values()) if isinstance(arrays, Mapping) else list(arrays)
    parts = [struct.pack("<QQQ", _LIST_MAGIC, 0, len(values)), *(_encoded(array) for array in values)]
    parts.append(struct.pack("<Q", len(names)))
    for name in names:
        text = name.encode()
        parts.append(struct.pack("<Q", len(text)) + text)
    return b"".join(parts)


def read(data: bytes, source: str = "the file") -> list[np.ndarray] | dict[str, np.ndarray]:
    """The arrays of a file, by name where it has names. Raises `FormatError` naming `source`, the byte and the mistake."""
    reader = _Reader(data, source)
    if reader.unpack("<Q")[0] != _LIST_MAGIC:
        raise FormatError(f"{source} is no list of MXNet arrays: it does not begin with 0x{_LIST_MAGIC:x}")
    _, count = reader.unpack("<QQ")
    arrays = [_array(reader) for _ in range(reader.plausible(count))]
    names = [_name(reader) for _ in range(reader.plausible(reader.unpack("<Q")[0]))]
    if reader.at != len(data):
        raise reader.error(f"{len(data) - reader.at} bytes follow the last name")
    if not names:
        return arrays
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise reader.error(f"{len(arrays)} arrays have {len(set(names))} different names")
    return dict(zip(names, arrays, strict=True))


class _Reader:
    """The place in the bytes, and what is wrong there."""

    def __init__(self, data: bytes, source: str):
        self.at = 0
        self._data = data
        self._source = source

    def error(self, mistake: str) -> FormatError:
        return FormatError(f"{self._source}, byte {self.at}: {mistake}")

    def take(self, length: int) -> bytes:
        if length > len(self._data) - self.at:
            raise self.error(f"{length} bytes are expected where {len(self._data) - self.at} are left; the file is cut off")
        taken = self._data[self.at : self.at + length]
        self.at += length
        return taken

    def unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))

    def plausible(self, count: int) -> int:
        """`count` items of at least eight bytes each, which must fit into what is left."""
        if count > (len(self._data) - self.at) // 8:
            raise self.error(f"{count} items cannot fit into {len(self._data) - self.at} bytes")
        return count


def _encoded(array: np.ndarray) -> bytes:
    array = np.asarray(array)
    flag = _FLAGS.get(array.dtype.newbyteorder("<"))
    if flag is None:
        raise ValueError(f"MXNet's file has no numbers of type {array.dtype}; use float32, float64, int32 or int64")
    if array.ndim == 0 or array.size == 0 or array.ndim > _MOST_DIMENSIONS:
        raise ValueError(f"MXNet's file holds arrays of 1 to {_MOST_DIMENSIONS} dimensions with elements; got {array.shape}")
    head = struct.pack(f"<Iii{array.ndim}q", _V2, _DENSE, array.ndim, *array.shape)
    return head + struct.pack("<iii", *_CPU, flag) + array.astype(_DTYPES[flag]).tobytes()


def _array(reader: _Reader) -> np.ndarray:
    shape = _shape(reader)
    _, _, flag = reader.unpack("<iii")
    if flag not in _DTYPES:
        raise reader.error(f"type {flag} of numbers is unknown")
    dtype = np.dtype(_DTYPES[flag])
    numbers = reader.take(math.prod(shape) * dtype.itemsize)
    return np.frombuffer(numbers, dtype=dtype).reshape(shape).copy()


def _shape(reader: _Reader) -> tuple[int, ...]:
    """The sizes of the array that begins here, whatever its version; the reader then stands at the device."""
    (version,) = reader.unpack("<I")
    if version in (_V2, _V3) and reader.unpack("<i")[0] != _DENSE:
        raise reader.error("the array is sparse; only dense ones are read")
    # before V1 the number of dimensions stood in the place of the version
    dimensions = reader.unpack("<i")[0] if version in (_V1, _V2, _V3) else version
    scalar = version == _V3 and dimensions == 0
    if not (scalar or 1 <= dimensions <= _MOST_DIMENSIONS):
        raise reader.error(f"an array of {dimensions} dimensions cannot be read")
    shape = reader.unpack(f"<{dimensions}{'q' if version in (_V1, _V2, _V3) else 'I'}")
    if min(shape, default=1) < 1:
        raise reader.error(f"an array of shape {shape} cannot be read")
    return shape


def _name(reader: _Reader) -> str:
    text = reader.take(reader.unpack("<Q")[0])
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise reader.error("a name is no UTF-8 text") from None
