"""Requests signed by botocore's own signers and changed afterwards, for what clients never send."""

from __future__ import annotations

import http.client
import json
from typing import Any
from xml.etree import ElementTree

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed(
    server: Any,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    service: str = "s3",
    key: tuple[str, str] = ("test", "secret"),
    token: str | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a request to `server`, signed."""
    request = AWSRequest(method, f"{server.endpoint}{path}", headers=headers or {}, data=body)
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(Credentials(*key, token), service, "us-east-1")
    if announced := request.headers.get("x-amz-content-sha256"):
        signer.payload = lambda request: announced
    signer.add_auth(request)
    return {name: value for name, value in request.prepare().headers.items() if name != "Content-Length"}


def send(server: Any, method: str, path: str, headers: dict[str, str], body: Any = b"") -> tuple[int, str, str]:
    """Status, error code and message of the answer; the code is empty when it is no error."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body=body, headers=headers, encode_chunked="Transfer-Encoding" in headers)
        response = connection.getresponse()
        return response.status, *error_of(response.read())
    finally:
        connection.close()


def error_of(body: bytes) -> tuple[str, str]:
    if body.startswith(b"{"):
        content = json.loads(body)
        return content.get("__type", ""), content.get("message", "")
    if b"<Error" not in body:
        return "", body.decode(errors="replace")
    root = ElementTree.fromstring(body)
    found = {element.tag.rpartition("}")[2]: element.text or "" for element in root.iter()}
    return found["Code"], found["Message"]
