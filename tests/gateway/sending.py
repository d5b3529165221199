"""Requests as botocore puts them on the wire, without a client: for tests that look at them or spoil them on the way."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.serialize import create_serializer

from clary.gateway.wire import RequestParts, parse_query


@functools.cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol, include_validation=False)


def as_sent(operation: Any, protocol: str, parameters: dict[str, Any]) -> RequestParts:
    """The request for `parameters`, with the credential scope that botocore would sign and a signature of zeros."""
    document = _serializer(protocol).serialize_to_request(parameters, operation)
    prepare_request_dict(document, endpoint_url="http://127.0.0.1:4566", user_agent="test")
    request = create_request_object(document).prepare()
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    url, body = urlsplit(request.url), request.body or b""
    return RequestParts(
        request.method,
        url.path,
        parse_query(url.query),
        headers | signature(operation.service_model.metadata),
        body.encode() if isinstance(body, str) else body,
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def signature(metadata: dict[str, Any]) -> dict[str, str]:
    """Headers of a well-formed signature of a key that no server issued: good enough in open mode."""
    now = datetime.now(UTC)
    signing = metadata.get("signingName", metadata["endpointPrefix"])
    credential = f"test/{now:%Y%m%d}/us-east-1/{signing}/aws4_request"
    return {
        "host": "127.0.0.1:4566",
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
        "authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={'0' * 64}",
    }
