"""Errors in each protocol's form (client contract, section 1.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson

from clary.core.errors import InternalFailure, ServiceError
from clary.gateway.wire import models
from clary.gateway.wire.directory import ENTRIES
from clary.gateway.wire.request import Route
from clary.gateway.wire.scalars import epoch
from clary.gateway.wire.serialize import XML_DECLARATION, WireResponse, extended_request_id, header_value
from clary.gateway.wire.serialize_xml import element, namespace


def serialize_error(route: Route, error: BaseException, request_id: str) -> WireResponse:
    """The response to a request that went wrong; anything but a `ServiceError` answers 500 and says nothing of the inside."""
    if not isinstance(error, ServiceError):
        error = InternalFailure("We encountered an internal error. Please try again.")
    response = _FORMS.get(route.protocol, _json)(route, error, request_id)
    response.status = error.status
    for name, value in error.headers.items():
        response.headers[name.lower()] = header_value(name, value)
    if route.method == "HEAD":
        response.body = b""  # clients then read the code from the status line
    response.headers["content-length"] = str(len(response.body))  # type: ignore[arg-type]
    return response


def _members(error: ServiceError) -> dict[str, Any]:
    return {name: epoch(value) if isinstance(value, datetime) else value for name, value in error.members.items()}


def _document(code: str, error: ServiceError) -> dict[str, Any]:
    return {"__type": code, "message": error.message, **_members(error)}


def _metadata(route: Route) -> dict[str, Any]:
    """What the service's model says of its protocols; nothing for requests that reached no AWS service."""
    return models.load_service(route.service).metadata if route.service in ENTRIES else {}


def _names(route: Route, error: ServiceError) -> tuple[str, str]:
    """The names of the error's shape and of its code in query; a handler may raise either.

    CloudWatch's `InvalidParameterValueException` is `InvalidParameterValue` in query; an unmodelled error keeps its name.
    """
    shapes = models.load_service(route.service).error_shapes if route.service in ENTRIES else ()
    shape = next((shape for shape in shapes if error.code in (shape.name, shape.error_code)), None)
    return (shape.name, shape.error_code) if shape else (error.code, error.code)


def _codes(route: Route, error: ServiceError) -> tuple[str, dict[str, str]]:
    """The error's code, and the header with the query protocol's code where the service used to speak that."""
    if "awsQueryCompatible" not in _metadata(route):
        return error.code, {}
    name, query_code = _names(route, error)
    return name, {"x-amzn-query-error": f"{query_code};{_fault(error)}"}


def _fault(error: ServiceError) -> str:
    return "Sender" if error.status < 500 else "Receiver"


def _json(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    content_type = f"application/x-amz-json-{_metadata(route).get('jsonVersion', '1.1')}"
    code, query_code = _codes(route, error)
    headers = {"x-amzn-requestid": request_id, "content-type": content_type} | query_code
    return WireResponse(400, headers, orjson.dumps(_document(code, error)))


def _rest_json(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    headers = {
        "x-amzn-requestid": request_id,
        "x-amzn-errortype": header_value("x-amzn-errortype", error.code),
        "content-type": "application/json",
    }
    # The modelled errors of rest-json services spell it `Message`; clients read either.
    body = {"Message": error.message, "message": error.message, **_members(error)}
    return WireResponse(400, headers, orjson.dumps(body))


def _cbor(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    import cbor2

    code, query_code = _codes(route, error)
    headers = {"smithy-protocol": "rpc-v2-cbor", "content-type": "application/cbor", "x-amzn-requestid": request_id}
    return WireResponse(400, headers | query_code, cbor2.dumps(_document(code, error)))


def _query(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    xmlns = namespace(_metadata(route).get("xmlNamespace"))
    # query services spell the error that no model has so
    code = "ValidationError" if error.code == "ValidationException" else _names(route, error)[1]
    details = element("Type", _fault(error)) + element("Code", code) + element("Message", error.message)
    details += "".join(element(name, str(value)) for name, value in _members(error).items())
    body = f"{XML_DECLARATION}<ErrorResponse{xmlns}><Error>{details}</Error>{element('RequestId', request_id)}</ErrorResponse>"
    return WireResponse(400, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def _ec2(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    details = element("Code", error.code) + element("Message", error.message)
    body = f"{XML_DECLARATION}<Response><Errors><Error>{details}</Error></Errors>{element('RequestID', request_id)}</Response>"
    return WireResponse(400, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def _s3(route: Route, error: ServiceError, request_id: str) -> WireResponse:
    code = "InternalError" if error.code == "InternalFailure" else error.code
    host_id = extended_request_id(request_id)
    details = element("Code", code) + element("Message", error.message)
    details += "".join(element(name, str(value)) for name, value in _members(error).items())
    details += element("RequestId", request_id) + element("HostId", host_id)
    headers = {"content-type": "application/xml", "x-amz-request-id": request_id, "x-amz-id-2": host_id}
    return WireResponse(400, headers, f"{XML_DECLARATION}<Error>{details}</Error>".encode())


_FORMS: dict[str, Callable[[Route, ServiceError, str], WireResponse]] = {
    "json": _json,
    "rest-json": _rest_json,
    "smithy-rpc-v2-cbor": _cbor,
    "query": _query,
    "ec2": _ec2,
    "rest-xml": _s3,
}
