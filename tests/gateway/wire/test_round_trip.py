"""Every operation of every mounted service, both ways, against botocore itself.

Request: generated input -> botocore's serializer -> `detect`, `parse`: the same operation and values, and `validate` accepts
them. Response: generated output -> `serialize` -> botocore's parser: the same values.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from tests.gateway.model_values import Values
from tests.gateway.sending import as_sent

from clary.gateway.wire import (
    Route,
    detect,
    load_service,
    parse,
    serialize,
    validate,
)
from clary.services import MOUNTED

# Further REST services whose models use traits that the mounted ones do not.
BESIDES = ("sagemaker-featurestore-runtime", "sagemaker-a2i-runtime", "sagemaker-metrics", "scheduler", "batch")

# Two names for one request; the newer name is the one that is meant.
SAME_REQUEST = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
    "ListDirectoryBuckets": "ListBuckets",  # told apart by its endpoint alone
}

# Deprecated shapes with two members that share one tag: nobody can tell them apart.
TWICE_ONE_NAME = ("GetBucketNotification", "PutBucketNotification")


def pairs() -> list[tuple[str, str]]:
    """(service, protocol) for every protocol that a service speaks and Clary reads."""
    found = []
    for service in (*MOUNTED, *BESIDES):
        metadata = load_service(service).metadata
        found += [(service, protocol) for protocol in metadata.get("protocols", [metadata["protocol"]])]
    return found


def operations(service: str) -> list[Any]:
    model = load_service(service)
    return [model.operation_model(name) for name in model.operation_names]


@pytest.mark.parametrize("required_only", [False, True], ids=["every member", "required members"])
@pytest.mark.parametrize(("service", "protocol"), pairs())
def test_requests_arrive_as_botocore_sent_them(service, protocol, required_only):
    for operation in operations(service):
        if operation.has_event_stream_input or operation.name in TWICE_ONE_NAME:
            continue
        values = Values(random.Random(operation.name), required_only=required_only)
        sent = values.of(operation.input_shape) if operation.input_shape else {}
        request = as_sent(operation, protocol, sent)
        route = detect(request)
        assert route.operation == SAME_REQUEST.get(operation.name, operation.name), (operation.name, request)
        assert (route.service, route.protocol) == (service, protocol)
        received = parse(operation, route, request)
        if not request.body:  # an upload of nothing has a body and a length
            received = {name: value for name, value in received.items() if name in sent}
        assert received == carried(sent, operation.input_shape, protocol), operation.name


@pytest.mark.parametrize("service", MOUNTED)
def test_valid_requests_are_valid(service):
    for operation in operations(service):
        if operation.input_shape:
            validate(operation, Values(random.Random(operation.name)).of(operation.input_shape))


@pytest.mark.parametrize(("service", "protocol"), pairs())
def test_responses_are_read_by_botocore_as_they_were_meant(service, protocol):
    for operation in operations(service):
        if operation.has_event_stream_output or operation.name in (*TWICE_ONE_NAME, "GetBucketLocation"):
            # GetBucketLocation: its document is read by a handler of boto3, not by the parser
            continue
        shape = operation.output_shape
        meant = Values(random.Random(operation.name)).of(shape) if shape else {}
        meant = {name: value for name, value in meant.items() if not is_status(shape, name)}
        response = serialize(operation, Route(service, operation.name, protocol), meant, "the-request-id")
        read = as_read(operation, protocol, response)
        metadata = read.pop("ResponseMetadata")
        assert read == carried(meant, shape) | status_members(shape, response.status), operation.name
        assert metadata["HTTPStatusCode"] == operation.http.get("responseCode", 200)
        # botocore reads the id of an rpc-v2-cbor answer only where the operation has an output
        assert metadata.get("RequestId") == "the-request-id" or (protocol == "smithy-rpc-v2-cbor" and shape is None)


def as_read(operation: Any, protocol: str, response: Any) -> dict[str, Any]:
    shape = operation.output_shape
    document = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    payload = shape.serialization.get("payload") if shape else None
    if payload and shape.members[payload].type_name == "blob" and response.status < 300:
        document["body"] = _Raw(response.body)  # bytes would be decoded; a live response is a stream here
    read = create_parser(protocol).parse(document, shape)
    return {name: bytes(value.data) if isinstance(value, _Raw) else value for name, value in read.items()}


class _Raw:
    def __init__(self, data: bytes):
        self.data = data


def is_status(shape: Any, name: str) -> bool:
    return shape.members[name].serialization.get("location") == "statusCode"


def status_members(shape: Any, status: int) -> dict[str, int]:
    return {name: status for name in shape.members if is_status(shape, name)} if shape else {}


def carried(value: Any, shape: Any, protocol: str = "") -> Any:
    """What a protocol can carry of `value`: header names are lower-case, and a form has no word for an empty structure."""
    if shape is None:
        return value
    result = _without_empty(value) if protocol == "query" else dict(value)
    for name, item in result.items():
        if shape.members[name].serialization.get("location") == "headers":
            result[name] = {key.lower(): text for key, text in item.items()}
    return result


def _without_empty(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_empty(item) for name, item in value.items()}
    return {name: item for name, item in kept.items() if item != {}}
