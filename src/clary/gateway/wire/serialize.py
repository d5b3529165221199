"""A handler's result to an HTTP response, in the protocol of the request.

A result may carry `ResponseMetadata: {"HTTPStatusCode": ..., "HTTPHeaders": {...}}`, which overrides status and adds headers.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from clary.core.errors import ServiceError
from clary.gateway.wire.plans import compiler
from clary.gateway.wire.request import Route
from clary.gateway.wire.scalars import to_text
from clary.gateway.wire.serialize_structured import CborWriter, JsonWriter
from clary.gateway.wire.serialize_xml import XmlWriter, namespace, write_members

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

Body = bytes | AsyncIterator[bytes]
XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class WireResponse:
    """What goes out: header names are lower-case and values latin-1; a `content-length` is there where it is known."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Body = b""


_Writer = Callable[[dict[str, Any], str], WireResponse]
"""`write(result, request_id)`."""


def serialize(operation: OperationModel, route: Route, result: dict[str, Any] | None, request_id: str) -> WireResponse:
    """The response to a request that went well. Raises `ServiceError` for a header value that HTTP cannot carry."""
    result = result or {}
    response = _writer(operation, route.protocol)(result, request_id)
    override = result.get("ResponseMetadata")
    if override:
        response.status = override.get("HTTPStatusCode", response.status)
        for name, value in override.get("HTTPHeaders", {}).items():
            response.headers[name.lower()] = header_value(name, value)
    if route.protocol == "rest-xml":
        response.headers["x-amz-request-id"] = request_id
        response.headers["x-amz-id-2"] = extended_request_id(request_id)
    else:
        response.headers["x-amzn-requestid"] = request_id
    if isinstance(response.body, bytes):
        response.headers.setdefault("content-length", str(len(response.body)))
    return response


def extended_request_id(request_id: str) -> str:
    """S3's second request id (`x-amz-id-2`): opaque, and the same for the same request."""
    return base64.b64encode(hashlib.sha384(request_id.encode()).digest()).decode()


def header_value(name: str, value: Any) -> str:
    """`value` as a header's latin-1 text; text outside it goes out as UTF-8 bytes. Raises `ServiceError` for line breaks."""
    text = str(value)
    if _CONTROL.search(text):
        raise ServiceError(f"{name} holds a character that no header can carry", code="InvalidArgument", status=400)
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode("latin-1")
    return text


@functools.cache
def _writer(operation: OperationModel, protocol: str) -> _Writer:
    return _WRITERS[protocol](operation)


def _json(operation: OperationModel) -> _Writer:
    content_type = f"application/x-amz-json-{operation.metadata.get('jsonVersion', '1.1')}"
    shape = operation.output_shape
    plan = compiler(JsonWriter, operation.service_model).plan(shape) if shape else None

    def write(result: dict[str, Any], request_id: str) -> WireResponse:
        # An operation without an output answers an empty body.
        body = orjson.dumps(plan(result), option=orjson.OPT_NON_STR_KEYS) if plan else b""
        return WireResponse(200, {"content-type": content_type}, body)

    return write


def _cbor(operation: OperationModel) -> _Writer:
    import cbor2

    shape = operation.output_shape
    plan = compiler(CborWriter, operation.service_model).plan(shape) if shape else None
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor"}

    def write(result: dict[str, Any], request_id: str) -> WireResponse:
        body = cbor2.dumps(plan(result), datetime_as_timestamp=True) if plan else b""
        return WireResponse(200, dict(headers), body)

    return write


def _query(operation: OperationModel) -> _Writer:
    shape, name = operation.output_shape, operation.name
    members = compiler(XmlWriter, operation.service_model).members(shape) if shape else []
    wrapper = shape.serialization.get("resultWrapper") if shape else None
    xmlns = namespace(operation.metadata.get("xmlNamespace"))

    def write(result: dict[str, Any], request_id: str) -> WireResponse:
        out = [f"{XML_DECLARATION}<{name}Response{xmlns}>", f"<{wrapper}>" if wrapper else ""]
        write_members(members, result, out)
        out.append(f"</{wrapper}>" if wrapper else "")
        out.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{name}Response>")
        return WireResponse(200, {"content-type": "text/xml"}, "".join(out).encode())

    return write


def _rest_json(operation: OperationModel) -> _Writer:
    plans = compiler(JsonWriter, operation.service_model)

    def compile_body(shape: Shape) -> Callable[[Any], bytes]:
        plan = plans.plan(shape)
        return lambda value: orjson.dumps(plan(value) if plan else value, option=orjson.OPT_NON_STR_KEYS)

    return _rest(operation, compile_body, "application/json")


def _rest_xml(operation: OperationModel) -> _Writer:
    plans = compiler(XmlWriter, operation.service_model)
    default = namespace(operation.metadata.get("xmlNamespace")) or ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

    def compile_body(shape: Shape) -> Callable[[Any], bytes]:
        tag = _root(shape)
        members = plans.members(shape)
        xmlns = namespace(shape.serialization.get("xmlNamespace")) or default

        def write(value: dict[str, Any]) -> bytes:
            out = [f"{XML_DECLARATION}<{tag}{xmlns}>"]
            write_members(members, value, out)
            out.append(f"</{tag}>")
            return "".join(out).encode()

        return write

    if operation.name == "GetBucketLocation":
        return lambda result, request_id: WireResponse(200, {"content-type": "application/xml"}, _location(result, default))
    return _rest(operation, compile_body, "application/xml")


# What S3 calls its documents where the model's name for the shape is another. Some clients look at it; botocore does not.
_ROOTS = {
    "ListBucketsOutput": "ListAllMyBucketsResult",
    "ListObjectsOutput": "ListBucketResult",
    "ListObjectsV2Output": "ListBucketResult",
    "ListObjectVersionsOutput": "ListVersionsResult",
    "CreateMultipartUploadOutput": "InitiateMultipartUploadResult",
    "DeleteObjectsOutput": "DeleteResult",
    "GetObjectTaggingOutput": "Tagging",
    "GetBucketTaggingOutput": "Tagging",
    "GetBucketAclOutput": "AccessControlPolicy",
    "GetObjectAclOutput": "AccessControlPolicy",
    "GetObjectAttributesOutput": "GetObjectAttributesResponse",
    "GetBucketVersioningOutput": "VersioningConfiguration",
}


def _root(shape: Shape) -> str:
    default = shape.name[: -len("Output")] + "Result" if shape.name.endswith("Output") else shape.name
    return shape.serialization.get("name") or _ROOTS.get(shape.name, default)


def _location(result: dict[str, Any], xmlns: str) -> bytes:
    """GetBucketLocation's one member is the document itself, which the model does not say."""
    region = result.get("LocationConstraint") or ""
    return f"{XML_DECLARATION}<LocationConstraint{xmlns}>{region}</LocationConstraint>".encode()


def _rest(operation: OperationModel, compile_body: Callable[[Shape], Callable[[Any], bytes]], content_type: str) -> _Writer:
    """Status, headers and body of a REST answer, each from the members that live there."""
    status = operation.http.get("responseCode", 200)
    shape = operation.output_shape
    if shape is None:
        return lambda result, request_id: WireResponse(status)
    headers = {n: _header_writer(n, m) for n, m in shape.members.items() if m.serialization.get("location") == "header"}
    maps = {
        n: m.serialization.get("name", "") for n, m in shape.members.items() if m.serialization.get("location") == "headers"
    }
    status_member = next((n for n, m in shape.members.items() if m.serialization.get("location") == "statusCode"), None)
    write_body = _body_writer(shape, compile_body, content_type)

    def write(result: dict[str, Any], request_id: str) -> WireResponse:
        response = WireResponse(status)
        if status_member in result:
            response.status = result[status_member]
        write_body(result, response)
        for name, value in result.items():  # a few of the dozens that an answer of S3 may have
            if value is not None and name in headers:
                headers[name](value, response.headers)
        for name, prefix in maps.items():
            for key, value in result.get(name, {}).items():
                response.headers[(prefix + key).lower()] = header_value(prefix + key, value)
        return response

    return write


def _header_writer(name: str, member: Shape) -> Callable[[Any, dict[str, str]], None]:
    wire_name = member.serialization.get("name", name).lower()
    is_list = member.type_name == "list"
    scalar = member.member if is_list else member
    convert = to_text(scalar.type_name, scalar.serialization.get("timestampFormat", "rfc822"))

    def write(value: Any, headers: dict[str, str]) -> None:
        text = ",".join(map(convert, value)) if is_list else convert(value)
        headers[wire_name] = header_value(wire_name, text)

    return write


def _body_writer(
    shape: Shape, compile_body: Callable[[Shape], Callable[[Any], bytes]], content_type: str
) -> Callable[[dict[str, Any], WireResponse], None]:
    payload = shape.serialization.get("payload")
    if payload is None:
        if all("location" in member.serialization for member in shape.members.values()):
            return lambda result, response: None
        to_bytes = compile_body(shape)

        def write_members_of(result: dict[str, Any], response: WireResponse) -> None:
            response.body = to_bytes(result)
            response.headers["content-type"] = content_type

        return write_members_of
    member = shape.members[payload]
    if member.type_name in ("blob", "string"):

        def write_raw(result: dict[str, Any], response: WireResponse) -> None:
            value = result.get(payload, b"")
            response.body = value.encode() if isinstance(value, str) else value

        return write_raw
    to_payload = compile_body(member)

    def write_payload(result: dict[str, Any], response: WireResponse) -> None:
        if result.get(payload) is not None:
            response.body = to_payload(result[payload])
            response.headers["content-type"] = content_type

    return write_payload


_WRITERS: dict[str, Callable[[OperationModel], _Writer]] = {
    "json": _json,
    "smithy-rpc-v2-cbor": _cbor,
    "query": _query,
    "rest-json": _rest_json,
    "rest-xml": _rest_xml,
}
