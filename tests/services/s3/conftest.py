"""An S3 client and a fresh bucket for every test, on the session's server."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
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
