"""Bodies of requests and answers -> arrays and back, as the inference toolkit's defaults read and write them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

JSON, CSV, NPY, NPZ, PARQUET = "application/json", "text/csv", "application/x-npy", "application/x-npz", "application/x-parquet"
TEXT = (JSON, CSV)
"""Content types whose bodies reach `input_fn` as text."""
ANY = "*/*"


class UnsupportedFormat(Exception):
    """A content type that nothing here reads, or an accept header of types that nothing here writes."""

    status = 415

    def __init__(self, content_type: str):
        super().__init__(
            f"Content type {content_type} is not supported by this framework. Implement input_fn to deserialize the request, "
            "or output_fn to serialize the response."
        )


def media_type(content_type: str) -> str:
    """`text/csv; charset=utf-8` -> `text/csv`."""
    return content_type.partition(";")[0].strip().lower()


def decode(body: Any, content_type: str) -> Any:
    """An array (of a data frame for Parquet, where pandas is installed), of JSON any value as an array.

    Raises `UnsupportedFormat`; whatever the reader raises for a bad body.
    """
    reader = _READERS.get(media_type(content_type))
    if reader is None:
        raise UnsupportedFormat(content_type)
    return reader(body)


def encode(value: Any, content_type: str) -> str | bytes:
    """`value`, array-like, as `content_type`. Raises `UnsupportedFormat`."""
    writer = _WRITERS.get(media_type(content_type))
    if writer is None:
        raise UnsupportedFormat(content_type)
    return writer(value)


def accepted(accept: str) -> str:
    """The first type of an accept header that can be written. Raises `UnsupportedFormat`."""
    for one in accept.split(","):
        name = media_type(one)
        if name in _WRITERS:
            return name
        if name == ANY:
            return JSON
    raise UnsupportedFormat(accept)


def as_json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON cannot write but an array library can turn into lists and numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON; implement output_fn")


def _text(body: str | bytes) -> str:
    return body if isinstance(body, str) else body.decode()


def _from_json(body: str | bytes) -> Any:
    import numpy as np

    return np.array(json.loads(_text(body)))


def _from_csv(body: str | bytes) -> Any:
    import numpy as np

    return np.genfromtxt(io.StringIO(_text(body)), delimiter=",")


def _from_npy(body: bytes) -> Any:
    import numpy as np

    return np.load(io.BytesIO(body), allow_pickle=False)  # a pickle in a request would be its sender's code


def _from_npz(body: bytes) -> Any:
    import scipy.sparse

    return scipy.sparse.load_npz(io.BytesIO(body))


def _from_parquet(body: bytes) -> Any:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(io.BytesIO(body))
    try:
        return table.to_pandas()
    except ImportError:
        import numpy as np

        return np.column_stack([column.to_numpy() for column in table.columns])


def _to_csv(value: Any) -> str:
    import numpy as np

    stream = io.StringIO()
    np.savetxt(stream, np.asarray(value), delimiter=",", fmt="%s")
    return stream.getvalue()


def _to_npy(value: Any) -> bytes:
    import numpy as np

    stream = io.BytesIO()
    np.save(stream, np.asarray(value), allow_pickle=False)
    return stream.getvalue()


def _to_parquet(value: Any) -> bytes:
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    table = np.asarray(value)
    columns = {f"c{at}": column for at, column in enumerate(table.reshape(len(table), -1).T)}
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), stream)
    return stream.getvalue()


_READERS: dict[str, Callable[[Any], Any]] = {
    JSON: _from_json,
    CSV: _from_csv,
    NPY: _from_npy,
    NPZ: _from_npz,
    PARQUET: _from_parquet,
}
_WRITERS: dict[str, Callable[[Any], str | bytes]] = {JSON: as_json, CSV: _to_csv, NPY: _to_npy, PARQUET: _to_parquet}
