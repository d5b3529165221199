"""Requests and answers of the first-party algorithms: rows in CSV, JSON, JSON Lines or RecordIO, results by name out.

An algorithm gives one function from rows to named results; `RecordModel` does the rest, for all waiting requests at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from scipy.sparse import csr_matrix, issparse, vstack

from clary.core.inference import InferenceRequest, InferenceResponse
from clary.formats import csv, json_lines, record_answers, records
from clary.formats.channel import widen
from clary.formats.errors import FormatError
from clary.formats.record_answers import Identity

CSV, JSON, JSON_LINES, RECORDS = "text/csv", "application/json", "application/jsonlines", "application/x-recordio-protobuf"
READABLE = (CSV, JSON, JSON_LINES, RECORDS)
LIMIT_BYTES = 6 << 20

Results = Mapping[str, np.ndarray]
"""Name -> (rows,) or (rows, n) numbers, in the order of the answer."""
Answer = Callable[[Any], Results]
"""(rows, columns) float32, dense or CSR -> results."""


class Refusal(Exception):
    """A request that is answered with an error status."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Accept:
    """How a request wants to be answered: the media type, and whether with everything the model knows."""

    media_type: str
    verbose: bool = False


@dataclass(slots=True)
class Waiting:
    """A request that can be answered: where it stands, its rows, how to answer it."""

    position: int
    rows: Any
    accept: Accept
    identities: list[Identity]


class RecordModel:
    """Serves `answer`.

    key : the member of a JSON answer that holds the results
    columns : features of a row
    sparse : whether `answer` takes CSR rows; otherwise it gets dense ones only
    integers : results that are written as whole numbers in text; all are float32 in RecordIO
    verbose_only : results that are left out unless the request's Accept says `verbose=true`
    accepts : media types that can be answered; content types that can be read
    """

    def __init__(
        self,
        answer: Answer,
        *,
        columns: int,
        key: str = "predictions",
        sparse: bool = False,
        integers: Collection[str] = (),
        verbose_only: Collection[str] = (),
        readable: Sequence[str] = READABLE,
        accepts: Sequence[str] = READABLE,
    ):
        self._answer = answer
        self._columns = columns
        self._key = key
        self._sparse = sparse
        self._integers = frozenset(integers)
        self._verbose_only = frozenset(verbose_only)
        self._readable = readable
        self._accepts = accepts

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        """One response per request, in order; the dense rows of all are answered in one call, and the sparse ones."""
        responses: dict[int, InferenceResponse] = {}
        waiting: list[Waiting] = []
        for position, request in enumerate(requests):
            try:
                waiting.append(self._understand(position, request))
            except Refusal as refusal:
                responses[position] = refused(refusal)
        for sparse in (False, True):
            self._respond([each for each in waiting if issparse(each.rows) == sparse], responses)
        return [responses[position] for position in range(len(requests))]

    def execution_parameters(self) -> dict[str, Any]:
        """What batch transform uses where the job does not say."""
        return execution_parameters()

    def _understand(self, position: int, request: InferenceRequest) -> Waiting:
        media_type = media_type_of(request.content_type) or CSV
        accept = accepted(request.accept, media_type, self._accepts)
        if media_type not in self._readable:
            raise Refusal(415, f"Content-type {request.content_type} not supported. Supported: {', '.join(self._readable)}")
        try:
            rows = self._fitting(decode(request.body, media_type))
            identities = record_answers.identities(request.body) if media_type == RECORDS else []
        except FormatError as error:
            raise Refusal(400, f"unable to evaluate payload provided: {error}") from error
        return Waiting(position, rows, accept, identities)

    def _fitting(self, rows: Any) -> Any:
        if not rows.shape[0]:
            raise FormatError("the request holds no rows")
        if issparse(rows) and rows.shape[1] < self._columns:
            rows = widen(rows, self._columns)
        if rows.shape[1] != self._columns:
            raise FormatError(f"the rows have {rows.shape[1]} features where the model has {self._columns}")
        values = rows.data if issparse(rows) else rows
        if not np.isfinite(values).all():
            raise FormatError("a feature is missing or not a finite number")
        return rows if self._sparse or not issparse(rows) else rows.toarray()

    def _respond(self, waiting: list[Waiting], responses: dict[int, InferenceResponse]) -> None:
        if not waiting:
            return
        results = self._answer(_stacked([each.rows for each in waiting]))
        start = 0
        for each in waiting:
            end = start + each.rows.shape[0]
            own = {name: values[start:end] for name, values in results.items() if self._shown(name, each.accept)}
            responses[each.position] = encode(own, each.accept.media_type, self._key, self._integers, each.identities)
            start = end

    def _shown(self, name: str, accept: Accept) -> bool:
        return accept.verbose or name not in self._verbose_only


def media_type_of(header: str) -> str:
    """The media type of a Content-Type or Accept header, lower case; `""` when there is none."""
    return header.partition(";")[0].strip().lower()


def accepted(accept: str, content_type: str, answers: Sequence[str]) -> Accept:
    """How to answer. Without a wish, RecordIO for RecordIO, JSON Lines for JSON Lines, else JSON. Raises `Refusal` 406."""
    verbose = "verbose=true" in accept.lower().replace(" ", "").split(";")
    media_type = media_type_of(accept.partition(",")[0])
    if media_type in ("", "*/*", "application/*"):
        media_type = content_type if content_type in (RECORDS, JSON_LINES) and content_type in answers else JSON
    if media_type not in answers:
        raise Refusal(406, f"Accept type {accept} not supported. Supported: {', '.join(answers)}")
    return Accept(media_type, verbose)


def decode(body: bytes, media_type: str) -> np.ndarray | csr_matrix:
    """(rows, columns) float32, dense or CSR, of a request's body. Raises `FormatError`."""
    if media_type == CSV:
        text = body.strip()
        return csv.parse(text, csv.sniff_delimiter(text.split(b"\n", 1)[0].decode("utf-8", "replace")), source="the request")
    if media_type == RECORDS:
        return records.parse(body, "the request").features
    parse = json_lines.parse_lines if media_type == JSON_LINES else json_lines.parse_document
    return parse(body).features


def encode(
    results: Results, media_type: str, key: str, integers: Collection[str] = (), identities: list[Identity] | None = None
) -> InferenceResponse:
    """The answer of one request."""
    if media_type == RECORDS:
        return InferenceResponse(record_answers.write(results, identities), RECORDS)
    columns = {name: _listed(values, name in integers) for name, values in results.items()}
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    if media_type == JSON:
        return InferenceResponse(orjson.dumps({key: rows}), JSON)
    if media_type == JSON_LINES:
        return InferenceResponse(b"".join(orjson.dumps(row) + b"\n" for row in rows), JSON_LINES)
    return InferenceResponse(_csv(rows), "text/csv; charset=utf-8")


def execution_parameters() -> dict[str, Any]:
    """The answer of `GET /execution-parameters`, the same for all algorithms of the family."""
    return {
        "MaxConcurrentTransforms": os.cpu_count() or 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": LIMIT_BYTES >> 20,
    }


def refused(refusal: Refusal) -> InferenceResponse:
    return InferenceResponse(refusal.message.encode(), "text/plain; charset=utf-8", refusal.status)


def _listed(values: np.ndarray, integer: bool) -> list[Any]:
    return (values.astype(np.int64) if integer else values).tolist()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    lines = (",".join(_cell(value) for value in row.values()) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _cell(value: Any) -> str:
    return ",".join(map(repr, value)) if isinstance(value, list) else repr(value)


def _stacked(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)
