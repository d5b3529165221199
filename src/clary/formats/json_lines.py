"""Inference requests in JSON: `{"instances": [...]}` as one document, or one instance a line.

An instance is `{"features": [1.5, 2]}`, `{"data": {"features": {"values": [1.5, 2]}}}` or, sparse,
`{"data": {"features": {"keys": [3, 9], "shape": [20], "values": [1, 2]}}}`. Instances of both kinds are sparse rows together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from scipy.sparse import csr_matrix

from clary.formats.batch import Batch
from clary.formats.errors import FormatError


def parse_document(body: bytes, source: str = "the request") -> Batch:
    """The instances of `{"instances": [...]}`. Raises `FormatError`."""
    document = _loads(body, source)
    if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
        raise FormatError(f'{source} is not {{"instances": [...]}}')
    return _batch(document["instances"], source)


def parse_lines(body: bytes, source: str = "the request") -> Batch:
    """One instance a line; blank lines are skipped. Raises `FormatError` with the line."""
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    return _batch([_loads(line, f"{source}, line {number}") for number, line in lines], source)


def _loads(text: bytes, source: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"{source} is not JSON: {error}") from error


def _batch(instances: list[Any], source: str) -> Batch:
    tensors = [_tensor(instance, f"{source}, instance {number}") for number, instance in enumerate(instances, 1)]
    if not tensors:
        return Batch(np.empty((0, 0), dtype=np.float32))
    dense = [tensor for tensor in tensors if "keys" not in tensor]
    if len(dense) == len(tensors):
        return Batch(_dense(tensors, source))
    rows = _sparse([_keyed(tensor) for tensor in tensors], source)
    if any(len(tensor["values"]) != rows.shape[1] for tensor in dense):
        raise FormatError(f"{source} has a dense instance of other than {rows.shape[1]} features, the sparse ones' shape")
    return Batch(rows)


def _keyed(tensor: dict[str, Any]) -> dict[str, Any]:
    """A dense tensor as a sparse one that leaves nothing out; a sparse one as it is."""
    count = len(tensor["values"])
    return tensor if "keys" in tensor else {"keys": list(range(count)), "shape": [count], "values": tensor["values"]}


def _tensor(instance: Any, place: str) -> dict[str, Any]:
    features = instance.get("features") if isinstance(instance, dict) else None
    if features is None and isinstance(instance, dict) and isinstance(instance.get("data"), dict):
        features = instance["data"].get("features")
    tensor = {"values": features} if isinstance(features, list) else features
    if not isinstance(tensor, dict) or not isinstance(tensor.get("values"), list):
        raise FormatError(f'{place} has no features: write {{"features": [1.5, 2]}}')
    return tensor


def _dense(tensors: list[dict[str, Any]], source: str) -> np.ndarray:
    widths = {len(tensor["values"]) for tensor in tensors}
    if len(widths) > 1:
        raise FormatError(f"{source} has instances with {' and '.join(map(str, sorted(widths)[:3]))} features")
    return _floats([tensor["values"] for tensor in tensors], source).reshape(len(tensors), -1)


def _sparse(tensors: list[dict[str, Any]], source: str) -> csr_matrix:
    values = [value for tensor in tensors for value in tensor["values"]]
    keys = [key for tensor in tensors for key in tensor["keys"]]
    if any(len(tensor["keys"]) != len(tensor["values"]) for tensor in tensors) or not all(type(key) is int for key in keys):
        raise FormatError(f"{source} has a sparse instance whose keys and values do not belong together")
    width = max((int(tensor["shape"][-1]) for tensor in tensors if tensor.get("shape")), default=max(keys, default=-1) + 1)
    if keys and not 0 <= min(keys) <= max(keys) < width:
        raise FormatError(f"{source} has a key outside of its shape: {max(keys)} of {width} features")
    counts = [len(tensor["keys"]) for tensor in tensors]
    return csr_matrix((_floats(values, source), keys, np.concatenate(([0], np.cumsum(counts)))), shape=(len(tensors), width))


def _floats(values: list[Any], source: str) -> np.ndarray:
    try:
        return np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{source} has a feature that is not a number: {error}") from error
