"""RecordIO-protobuf: one `aialgs.data.Record` message per row, dense or sparse.

    Record:  features (1) and label (2), maps of name -> Value; uid (3) and metadata (4), strings
    Value:   one of float32_tensor (2), float64_tensor (3), int32_tensor (7)
    tensor:  values (1, packed), keys (2, packed column numbers: the row is sparse), shape (3)

The features and the label are the tensors named `values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from scipy.sparse import csr_matrix, issparse

from clary.formats import protobuf, recordio
from clary.formats.batch import Batch
from clary.formats.channel import join
from clary.formats.errors import FormatError
from clary.formats.fixed_records import FixedRecords

BLOCK_BYTES = 8 << 20

_FEATURES, _LABEL = 1, 2
_VALUES, _KEYS, _SHAPE = 1, 2, 3
_FLOAT32, _FLOAT64, _INT32 = 2, 3, 7
_DTYPES: dict[int, np.dtype] = {_FLOAT32: np.dtype("<f4"), _FLOAT64: np.dtype("<f8")}


@dataclass(slots=True)
class Tensor:
    """values : (n,) numbers; keys : their columns, still packed, None when dense; width : columns of a row, None if not given.

    span : `(start, end)` of fixed-width values in the payload, None when they are varints.
    """

    values: np.ndarray
    keys: bytes | None = None
    given_width: int | None = None
    span: tuple[int, int] | None = None

    @property
    def is_sparse(self) -> bool:
        return self.keys is not None or (self.given_width is not None and not len(self.values))

    @property
    def width(self) -> int:
        return len(self.values) if self.given_width is None else self.given_width


@dataclass(slots=True)
class Record:
    """The tensors named `values` of one row."""

    features: Tensor
    label: Tensor | None = None


def read(stream: BinaryIO, source: str, *, block_bytes: int = BLOCK_BYTES) -> Iterator[Batch]:
    """Batches of a stream of records; dense rows as arrays, sparse rows as CSR. Raises `FormatError` with the byte."""
    rest = b""
    offset = 0
    while piece := stream.read(block_bytes):
        data = rest + piece if rest else piece
        consumed = 0
        for batch, end in _batches(data, source, offset):
            consumed = end
            yield batch
        offset += consumed
        rest = data[consumed:]
    if rest:
        raise recordio.cut_off(source, offset)


def parse(data: bytes, source: str = "") -> Batch:
    """All rows of `data` in one batch. Raises `FormatError`."""
    parts = list(_batches(data, source, 0))
    end = parts[-1][1] if parts else 0
    if end < len(data):
        raise recordio.cut_off(source, end)
    if not parts:
        return Batch(np.empty((0, 0), dtype=np.float32))
    return join([batch for batch, _ in parts], source)


def decode(payload: bytes) -> Record:
    """The row in one payload. Raises `FormatError` without a place: the caller knows it."""
    features = label = None
    for number, _, start, end in protobuf.fields(payload, 0, len(payload)):
        if number == _FEATURES:
            features = _entry(payload, start, end) or features
        elif number == _LABEL:
            label = _entry(payload, start, end) or label
    if features is None:
        raise FormatError('the record has no features["values"] tensor')
    return Record(features, label)


def write(features: np.ndarray | csr_matrix, labels: np.ndarray | None = None) -> bytes:
    """Records of `features` (rows, columns), dense or CSR, and `labels` (rows,), as float32."""
    rows = range(features.shape[0])
    tensors: Iterable[bytes]
    if issparse(features):
        matrix = csr_matrix(features)
        tensors = (_sparse_tensor(matrix[row].data, matrix[row].indices, matrix.shape[1]) for row in rows)
    else:
        tensors = (_dense_tensor(row) for row in np.asarray(features))
    ends = (b"" if labels is None else _map_entry(_LABEL, _dense_tensor(labels[row : row + 1])) for row in rows)
    return recordio.write(_map_entry(_FEATURES, tensor) + end for tensor, end in zip(tensors, ends, strict=True))


def _batches(data: bytes, source: str, offset: int) -> Iterator[tuple[Batch, int]]:
    """`(batch, end in data)` for the whole records in `data`: runs of one kind, equal frames decoded all at once."""
    run: list[Record] = []
    window = FixedRecords.FIRST_WINDOW
    start = 0
    while (found := recordio.record_at(data, start, source, offset)) is not None:
        payload, end = found
        record = _decode_at(payload, source, offset + start)
        if run and run[0].features.is_sparse != record.features.is_sparse:
            yield _batch(run, source, offset + start), start
            run = []
        run.append(record)
        fixed = FixedRecords.of(data, start, end, payload, record)
        rows = fixed.count(data, window) if fixed else 0
        if fixed and rows > 1:
            run.pop()
            if run:
                yield _batch(run, source, offset + start), start
                run = []
            yield fixed.batch(data, rows), fixed.end(rows)
            end = fixed.end(rows)
            window = window * 8 if rows == window else FixedRecords.FIRST_WINDOW
        start = end
    if run:
        yield _batch(run, source, offset + start), start


def _decode_at(payload: bytes, source: str, place: int) -> Record:
    try:
        return decode(payload)
    except FormatError as error:
        raise FormatError(f"{source}, byte {place}: {error}") from error


def _entry(data: bytes, start: int, end: int) -> Tensor | None:
    """The tensor of a map entry named `values`; None for any other name."""
    name, value = b"", None
    for number, _, field_start, field_end in protobuf.fields(data, start, end):
        if number == 1:
            name = data[field_start:field_end]
        elif number == 2:
            value = (field_start, field_end)
    if name != b"values" or value is None:
        return None
    for kind, wire_type, field_start, field_end in protobuf.fields(data, *value):
        if kind in (_FLOAT32, _FLOAT64, _INT32) and wire_type == protobuf.LENGTH_DELIMITED:
            return _tensor(data, kind, field_start, field_end)
    raise FormatError("a value is no float32, float64 or int32 tensor")


def _tensor(data: bytes, kind: int, start: int, end: int) -> Tensor:
    tensor = Tensor(np.empty(0, dtype=np.float32))
    for number, wire_type, field_start, field_end in protobuf.fields(data, start, end):
        if wire_type != protobuf.LENGTH_DELIMITED:
            raise FormatError("a tensor is not packed")
        packed = data[field_start:field_end]
        if number == _VALUES:
            tensor.values = _numbers(packed, kind)
            tensor.span = None if kind == _INT32 else (field_start, field_end)
        elif number == _KEYS:
            tensor.keys = packed
        elif number == _SHAPE:
            tensor.given_width = protobuf.last_varint(packed)
    if tensor.keys is not None and protobuf.count_varints(tensor.keys) != len(tensor.values):
        raise FormatError(f"a sparse tensor has {len(tensor.values)} values and another number of keys")
    return tensor


def _numbers(packed: bytes, kind: int) -> np.ndarray:
    if kind == _INT32:
        return protobuf.varints(packed).view(np.int64).astype(np.int32)
    if len(packed) % _DTYPES[kind].itemsize:
        raise FormatError("a tensor is cut off")
    return np.frombuffer(packed, dtype=_DTYPES[kind])


def _batch(run: list[Record], source: str, place: int) -> Batch:
    """One batch of records that are all sparse or all dense. `place` is where the run ends."""
    labelled = [record.label for record in run if record.label is not None]
    if labelled and len(labelled) != len(run):
        raise FormatError(f"{source}, before byte {place}: some records have a label and some have none")
    widths = {record.features.width for record in run}
    if len(widths) > 1 and not (run[0].features.is_sparse and any(record.features.given_width is None for record in run)):
        raise FormatError(f"{source}, before byte {place}: records have {_listed(widths)} features")
    if len({len(label.values) for label in labelled}) > 1:
        raise FormatError(f"{source}, before byte {place}: records have labels of several lengths")
    features = _sparse(run, source, place) if run[0].features.is_sparse else np.stack([r.features.values for r in run])
    labels = np.stack([label.values for label in labelled]).astype(np.float32) if labelled else None
    if labels is not None and labels.shape[1] == 1:
        labels = labels[:, 0]
    return Batch(features if issparse(features) else features.astype(np.float32), labels)


def _sparse(run: list[Record], source: str, place: int) -> csr_matrix:
    counts = [len(record.features.values) for record in run]
    keys = [record.features.keys for record in run if record.features.keys is not None]
    columns = protobuf.varints(b"".join(keys)).view(np.int64)
    given = max((record.features.given_width or 0 for record in run), default=0)
    width = given or (int(columns.max()) + 1 if len(columns) else 0)
    if len(columns) and not 0 <= int(columns.min()) <= int(columns.max()) < width:
        raise FormatError(f"{source}, before byte {place}: key {int(columns.max())} is outside of {width} features")
    data = np.concatenate([record.features.values for record in run]).astype(np.float32)
    return csr_matrix((data, columns, np.concatenate(([0], np.cumsum(counts)))), shape=(len(run), width))


def _listed(sizes: set[int]) -> str:
    return " and ".join(str(size) for size in sorted(sizes)[:3])


def _dense_tensor(values: np.ndarray) -> bytes:
    packed = protobuf.encode_field(_VALUES, np.asarray(values, dtype="<f4").tobytes())
    return protobuf.encode_field(_FLOAT32, packed)


def _sparse_tensor(values: np.ndarray, columns: np.ndarray, width: int) -> bytes:
    tensor = b""
    if len(values):
        tensor = protobuf.encode_field(_VALUES, np.asarray(values, dtype="<f4").tobytes())
        tensor += protobuf.encode_field(_KEYS, b"".join(protobuf.encode_varint(int(column)) for column in columns))
    tensor += protobuf.encode_field(_SHAPE, protobuf.encode_varint(width))
    return protobuf.encode_field(_FLOAT32, tensor)


def _map_entry(number: int, value: bytes) -> bytes:
    return protobuf.encode_field(number, protobuf.encode_field(1, b"values") + protobuf.encode_field(2, value))
