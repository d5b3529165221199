"""Invalid input to every operation of every mounted service of a live server: whatever is sent, the server is not to blame.

No answer is a 5xx, but for 501 `NotImplemented` and those that the operation's own model has; every error has a code that
botocore reads; and the server's log shows no traceback.
"""

from __future__ import annotations

import copy
import http.client
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from tests.conftest import Server
from tests.gateway.model_values import Values
from tests.gateway.sending import as_sent
from tests.gateway.spoiling import spoiled
from tests.gateway.valid_requests import VALID, furnish

from clary.gateway.wire import RequestParts, load_service
from clary.services import MOUNTED


def protocols(service: str) -> list[str]:
    metadata = load_service(service).metadata
    return metadata.get("protocols", [metadata["protocol"]])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Iterator[Server]:
    """A server of its own. Some things are made to exist in it, so that not every request ends at "no such bucket"."""
    server = Server(tmp_path_factory.mktemp("fuzz") / "data").start()
    yield server
    assert server.stop() == 0


@pytest.mark.parametrize("attempts", [8, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("service", "protocol"), [(service, p) for service in MOUNTED for p in protocols(service)])
def test_no_request_is_the_servers_fault(fuzzed, service, protocol, attempts):
    model = load_service(service)
    sender, known, logged, blamed = Sender(fuzzed.port), furnish(fuzzed), len(fuzzed.log), []
    for name in model.operation_names:
        operation = model.operation_model(name)
        source = random.Random(f"{protocol} {name}")
        for attempt in range(attempts):
            request = as_sent(operation, protocol, parameters(operation, source, attempt, known))
            if attempt:
                request = spoiled(request, source)
            response = sender.send(request)
            if is_to_blame(operation, protocol, request, response):
                blamed.append((name, request, response["status_code"], response["body"][:500]))
            if response["status_code"] == 501 and attempt > 1:
                break  # an operation that is not there needs no further proof
        if name.startswith(("Delete", "Remove", "Detach", "Abort", "Complete")):
            known = furnish(fuzzed)
    assert not blamed, "\n".join(str(one)[:1500] for one in blamed[:20])
    assert "Traceback" not in fuzzed.log[logged:]
    assert fuzzed.get("/_clary/health")[0] == 200


def parameters(operation: Any, source: random.Random, attempt: int, known: dict[str, list[str]]) -> dict[str, Any]:
    """Mostly a request that would succeed, where there is one, under a name of its own; else generated ones."""
    if operation.name in VALID and attempt % 4 < 3:
        valid = copy.deepcopy(VALID[operation.name])
        return valid | {next(iter(valid)): f"made-{attempt}"} if operation.name.startswith("Create") else valid
    values = Values(source, required_only=attempt % 2 == 0, known=known)
    return values.of(operation.input_shape) if operation.input_shape else {}


def is_to_blame(operation: Any, protocol: str, request: RequestParts, response: dict[str, Any]) -> bool:
    """Whether the answer is a 5xx that the model does not have, or an error without a code."""
    status = response["status_code"]
    if status < 400 or request.method == "HEAD":
        return status >= 500
    parsed = create_parser(_protocol_of(response, protocol)).parse(response, operation.output_shape)
    code = parsed["Error"]["Code"]
    modelled = {shape.metadata.get("error", {}).get("httpStatusCode", 400) for shape in operation.error_shapes}
    return not code or (status >= 500 and status != 501 and (status not in modelled or code.startswith("Internal")))


def _protocol_of(response: dict[str, Any], protocol: str) -> str:
    """The protocol of an answer: a spoiled request may have become another service's."""
    kind = response["headers"].get("content-type", "")
    if "xml" in kind:
        return "query" if b"<ErrorResponse" in response["body"] else "rest-xml"
    return "smithy-rpc-v2-cbor" if "cbor" in kind else ("rest-json" if kind == "application/json" else "json")


class Sender:
    """One connection, opened again whenever the server or a bad request has closed it."""

    def __init__(self, port: int):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(self, request: RequestParts) -> dict[str, Any]:
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in request.query)
        target = f"{request.path}?{query}" if query else request.path
        headers = {
            name: value.encode("latin-1") for name, value in request.headers.items() if name not in ("expect", "content-length")
        }
        try:
            self._connection.request(request.method, target, body=request.body, headers=headers)
            response = self._connection.getresponse()
            body = response.read()
        except (http.client.HTTPException, OSError) as error:
            raise AssertionError(f"no answer to {request}"[:3000]) from error
        return {"status_code": response.status, "headers": HeadersDict(response.getheaders()), "body": body}
