"""RecordIO-protobuf answers: one record per row, its results in the label map; what a request's records call themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clary.formats import protobuf, recordio

_LABEL, _UID, _METADATA = 2, 3, 4
_FLOAT32, _VALUES = 2, 1


@dataclass(frozen=True, slots=True)
class Identity:
    """What a record calls itself; an answer repeats it. `b""` is not given."""

    uid: bytes = b""
    metadata: bytes = b""


def identities(body: bytes, source: str = "") -> list[Identity]:
    """The identity of each record of `body`; empty when the first record has none, as in nearly all requests."""
    first = recordio.record_at(body, 0, source)
    if first is None or _identity(first[0]) == Identity():
        return []
    return [_identity(payload) for payload in recordio.payloads(body, source)]


def write(results: Mapping[str, np.ndarray], identities: list[Identity] | None = None) -> bytes:
    """Records of `results` (name -> (rows,) or (rows, n) numbers) as float32 tensors of the label map."""
    columns = {name: np.asarray(values, dtype="<f4") for name, values in results.items()}
    rows = len(next(iter(columns.values())))
    ends = [_identity_fields(identity) for identity in identities] if identities else [b""] * rows
    return recordio.write(_payload(columns, row) + ends[row] for row in range(rows))


def _payload(columns: Mapping[str, np.ndarray], row: int) -> bytes:
    return b"".join(_label(name, values[row].tobytes()) for name, values in columns.items())


def _label(name: str, packed: bytes) -> bytes:
    tensor = protobuf.encode_field(_FLOAT32, protobuf.encode_field(_VALUES, packed))
    return protobuf.encode_field(_LABEL, protobuf.encode_field(1, name.encode()) + protobuf.encode_field(2, tensor))


def _identity(payload: bytes) -> Identity:
    found = {number: payload[start:end] for number, _, start, end in protobuf.fields(payload, 0, len(payload))}
    return Identity(found.get(_UID, b""), found.get(_METADATA, b""))


def _identity_fields(identity: Identity) -> bytes:
    uid = protobuf.encode_field(_UID, identity.uid) if identity.uid else b""
    return uid + (protobuf.encode_field(_METADATA, identity.metadata) if identity.metadata else b"")
