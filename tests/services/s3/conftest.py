"""An S3 client and a fresh bucket for every test, on the session's server."""

from __future__ import annotations

import http.client
import uuid
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


@pytest.fixture(scope="session")
def s3(server) -> Any:
    return server.client("s3")


@pytest.fixture
def bucket(s3) -> str:
    name = f"test-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def refused():
    """`refused(call, **arguments)` is the `Error` of a call that must fail, with its `status`."""

    def call(method, **arguments) -> dict[str, Any]:
        with pytest.raises(ClientError) as error:
            method(**arguments)
        return error.value.response["Error"] | {"status": error.value.response["ResponseMetadata"]["HTTPStatusCode"]}

    return call


@pytest.fixture(scope="session")
def raw(server):
    """`raw(method, path, body, **headers)`: a request signed as S3 wants it, sent byte for byte; its status, headers and body.

    The path is sent as it is given, and so are the headers, also where the signature would have others.
    """

    def send(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        request = AWSRequest(method, server.endpoint + path, headers, body)
        S3SigV4Auth(Credentials("test", "secret"), "s3", "us-east-1").add_auth(request)
        for name, value in headers.items():
            request.headers.replace_header(name, value)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            connection.request(method, path, body, dict(request.headers.items()))
            response = connection.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        finally:
            connection.close()

    return send
