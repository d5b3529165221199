"""Requests to parameters: the values of an operation's input in botocore's own shape.

What cannot be read raises the error AWS has for it (`SerializationException`, `MalformedXML`, `InvalidArgument`, ...), never
anything else. Constraints (required, length, pattern) are `validate`'s business.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import orjson

from clary.core.errors import ServiceError
from clary.gateway.wire import parse_query, parse_rest
from clary.gateway.wire.parse_structured import CborReader, JsonReader
from clary.gateway.wire.plans import compiler
from clary.gateway.wire.request import RequestParts, Route
from clary.gateway.wire.scalars import Mismatch

if TYPE_CHECKING:
    from botocore.model import OperationModel

Body = bytes | AsyncIterator[bytes]
_Reader = Callable[[RequestParts, Route], dict[str, Any]]


def parse(operation: OperationModel, route: Route, request: RequestParts) -> dict[str, Any]:
    """The parameters of `request`. Raises `ServiceError` for anything malformed."""
    if operation.input_shape is None:
        return {}
    try:
        return _reader(operation, route.protocol)(request, route)
    except Mismatch as problem:
        raise _malformed(operation, route.protocol, _placed(problem)) from None
    except (ParseError, parse_rest.Doctype):
        raise _malformed(operation, route.protocol, "") from None
    except ValueError as problem:  # orjson's and the codecs' errors are ValueErrors
        raise _malformed(operation, route.protocol, str(problem)) from None
    except RecursionError:
        raise _malformed(operation, route.protocol, "the body is nested too deeply") from None


def _placed(problem: Mismatch) -> str:
    return f"{problem.message} at {'.'.join(problem.path)}" if problem.path else problem.message


def _malformed(operation: OperationModel, protocol: str, detail: str) -> ServiceError:
    if operation.service_model.service_name == "s3":
        if detail:
            return ServiceError(detail, code="InvalidArgument", status=400)
        message = "The XML you provided was not well-formed or did not validate against our published schema"
        return ServiceError(message, code="MalformedXML", status=400)
    if protocol in ("query", "ec2"):
        return ServiceError(detail, code="MalformedInput", status=400)
    return ServiceError(detail or "the body is not well-formed", code="SerializationException", status=400)


@functools.cache
def _reader(operation: OperationModel, protocol: str) -> _Reader:
    return _READERS[protocol](operation)


def _json(operation: OperationModel) -> _Reader:
    convert = compiler(JsonReader, operation.service_model).plan(operation.input_shape)
    return lambda request, route: convert(orjson.loads(request.body or b"{}"))  # type: ignore[arg-type]


def _cbor(operation: OperationModel) -> _Reader:
    import cbor2

    convert = compiler(CborReader, operation.service_model).plan(operation.input_shape)

    def read(request: RequestParts, route: Route) -> dict[str, Any]:
        try:
            return convert(cbor2.loads(request.body) if request.body else {})  # type: ignore[arg-type]
        except cbor2.CBORDecodeError as problem:
            raise ValueError(str(problem)) from None

    return read


_READERS: dict[str, Callable[[OperationModel], _Reader]] = {
    "json": _json,
    "smithy-rpc-v2-cbor": _cbor,
    "query": parse_query.reader,
    "rest-json": parse_rest.json_reader,
    "rest-xml": parse_rest.xml_reader,
}
