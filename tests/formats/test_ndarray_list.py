"""MXNet's NDArray list file: bytes that MXNet 1.9.1 wrote, and what is refused."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from clary.formats import ndarray_list
from clary.formats.errors import FormatError

# mx.nd.save(path, [mx.nd.array(np.arange(6).reshape(2, 3))])
UNNAMED = bytes.fromhex(
    "120100000000000000000000000000000100000000000000c9fa93f9000000000200000002000000000000000300000000000000"
    "010000000000000000000000000000000000803f0000004000004040000080400000a0400000000000000000"
)
# mx.nd.save(path, {"mean": mx.nd.array([1, 2, 3], dtype="int64"), "v": mx.nd.array([[1.5]], dtype="float64")})
NAMED = bytes.fromhex(
    "120100000000000000000000000000000200000000000000c9fa93f90000000001000000030000000000000001000000000000000600000001"
    "0000000000000002000000000000000300000000000000c9fa93f9000000000200000001000000000000000100000000000000010000000000"
    "000001000000000000000000f83f020000000000000004000000000000006d65616e010000000000000076"
)
TYPES = st.sampled_from([np.float16, np.float32, np.float64, np.uint8, np.int8, np.int32, np.int64, np.bool_])
ARRAYS = TYPES.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=4, max_side=4)))


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def header(count: int, *rest: bytes) -> bytes:
    return struct.pack("<QQQ", 0x112, 0, count) + b"".join(rest)


def test_the_bytes_are_those_of_mxnet():
    assert ndarray_list.write([np.arange(6, dtype=np.float32).reshape(2, 3)]) == UNNAMED
    assert ndarray_list.write({"mean": np.array([1, 2, 3]), "v": np.array([[1.5]])}) == NAMED


def test_what_mxnet_wrote_is_read():
    (only,) = ndarray_list.read(UNNAMED)
    assert same(only, np.arange(6, dtype=np.float32).reshape(2, 3))
    named = ndarray_list.read(NAMED)
    assert list(named) == ["mean", "v"]
    assert same(named["mean"], np.array([1, 2, 3]))
    assert same(named["v"], np.array([[1.5]]))


@given(st.one_of(st.lists(ARRAYS, max_size=3), st.dictionaries(st.text(max_size=5), ARRAYS, min_size=1, max_size=3)))
def test_what_was_written_is_read(written):
    found = ndarray_list.read(ndarray_list.write(written))
    assert isinstance(found, type(written))
    pairs = zip(written.items(), found.items(), strict=True) if isinstance(written, dict) else None
    if pairs is None:
        assert all(same(one, other) for one, other in zip(written, found, strict=True))
    else:
        assert all(name == again and same(one, other) for (name, one), (again, other) in pairs)


def test_other_memory_orders_are_written_in_c_order():
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    for view in (table.T, table[:, ::2], table.astype(">f4")):
        np.testing.assert_array_equal(ndarray_list.read(ndarray_list.write([view]))[0], view)


@pytest.mark.parametrize(
    "array",
    [
        struct.pack("<Ii2qiiif", 0xF993FAC8, 2, 1, 1, 1, 0, 0, 7.0),
        struct.pack("<I2Iiiif", 2, 1, 1, 1, 0, 0, 7.0),
        struct.pack("<Iii2qiiif", 0xF993FACA, 0, 2, 1, 1, 1, 0, 0, 7.0),
    ],
    ids=["version 1", "before versions", "version 3"],
)
def test_other_versions_are_read(array):
    (only,) = ndarray_list.read(header(1, array, bytes(8)))
    assert same(only, np.array([[7]], dtype=np.float32))


def test_a_scalar_of_the_last_version_is_read():
    (only,) = ndarray_list.read(header(1, struct.pack("<Iiiiiif", 0xF993FACA, 0, 0, 1, 0, 0, 7.0), bytes(8)))
    assert only.shape == ()
    assert only == 7


@pytest.mark.parametrize("whole", [UNNAMED, NAMED], ids=["unnamed", "named"])
def test_every_cut_is_refused(whole):
    for length in range(len(whole)):
        with pytest.raises(FormatError, match="model_algo-1"):
            ndarray_list.read(whole[:length], "model_algo-1")


@given(st.integers(0, len(NAMED) - 1), st.integers(0, 255))
def test_a_damaged_byte_is_read_or_refused_in_words(place, value):
    damaged = bytearray(NAMED)
    damaged[place] = value
    with contextlib.suppress(FormatError):
        ndarray_list.read(bytes(damaged))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\3\4" + bytes(40), "no list of MXNet arrays"),
        (UNNAMED + b"!", "1 bytes follow the last name"),
        (header(1 << 60), "cannot fit"),
        (header(1, struct.pack("<Ii", 0xF993FAC9, 2)), "sparse"),
        (header(1, struct.pack("<Iii", 0xF993FAC9, 0, 99)), "99 dimensions"),
        (header(1, struct.pack("<Iii2q", 0xF993FAC9, 0, 2, -1, 4)), "shape"),
        (header(1, struct.pack("<Iii2qiii", 0xF993FAC9, 0, 2, 0, 1 << 62, 1, 0, 0)), "shape"),
        (header(1, struct.pack("<Iii2qiii", 0xF993FAC9, 0, 2, 1 << 40, 1 << 40, 1, 0, 0)), "cut off"),
        (header(1, struct.pack("<Iiiqiiif", 0xF993FAC9, 0, 1, 1, 1, 0, 12, 1.0)), "type 12"),
        (UNNAMED[:-8] + struct.pack("<QQ", 1, 1) + b"\xff", "UTF-8"),
        (NAMED[:-29] + struct.pack("<QQ", 1, 1) + b"v", "2 arrays have 1 different names"),
    ],
)
def test_other_data_are_refused(data, words):
    with pytest.raises(FormatError, match=words):
        ndarray_list.read(data)


@pytest.mark.parametrize("array", [np.float32(1), np.zeros((0, 3)), np.zeros(2, np.complex64), np.array(["a"])])
def test_what_the_format_cannot_hold_is_not_written(array):
    with pytest.raises(ValueError, match="MXNet's file"):
        ndarray_list.write([array])
