"""Requests that no client library sends: each has its answer, stores nothing, and leaves the connection in a known state."""

from __future__ import annotations

import http.client
import socket

import pytest


@pytest.fixture
def put_path(s3, server, bucket):
    """A signed path for `PUT /bucket/k`."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    return url.removeprefix(server.endpoint)


def exchange(server, request: bytes, shut: bool = False) -> bytes:
    """Send bytes, and return everything that comes back until the server closes or falls silent for a second."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request)
        if shut:
            connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65536)
        connection.settimeout(1)
        try:
            while more := connection.recv(65536):
                answer += more
        except TimeoutError:
            pass
        return answer


def keys(s3, bucket) -> list[str]:
    return [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_a_chunked_body_without_a_length(server, s3, bucket, put_path):
    request = f"PUT {put_path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    answer = exchange(server, request.encode())
    assert answer.startswith(b"HTTP/1.1 411")
    assert b"<Code>MissingContentLength</Code>" in answer
    assert keys(s3, bucket) == []


def test_a_body_that_ends_early(server, s3, bucket, put_path):
    for size in (100, 5_000_000):
        request = f"PUT {put_path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size // 2)
        exchange(server, request, shut=True) if size == 100 else socket_closed(server, request)
    assert keys(s3, bucket) == []


def socket_closed(server, request: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request)


def test_a_refused_upload_is_not_asked_for(server, s3, refused):
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "no-such-bucket-here", "Key": "k"})
    path = url.removeprefix(server.endpoint)
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n"
    answer = exchange(server, head.encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert b"100 Continue" not in answer
    assert b"connection: close" in answer.lower()


def test_a_connection_goes_on_after_a_refused_upload(server, s3, bucket, put_path):
    missing = s3.generate_presigned_url("put_object", Params={"Bucket": "no-such-bucket-here", "Key": "k"})
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("PUT", missing.removeprefix(server.endpoint), bytes(100_000))
    response = connection.getresponse()
    assert (response.status, b"NoSuchBucket" in response.read()) == (404, True)
    connection.request("PUT", put_path, b"content")
    assert connection.getresponse().status == 200
    assert keys(s3, bucket) == ["k"]


@pytest.mark.parametrize(
    "path", ["%ff%fe", "a%00b", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "../../etc/passwd", "./x", "a//b", "%", "%zz"]
)
def test_strange_paths_are_keys_or_client_errors(raw, bucket, path):
    status, _, _ = raw("PUT", f"/{bucket}/{path}", b"x")
    assert status in (200, 400)
    status, _, body = raw("GET", f"/{bucket}/{path}")
    assert status in (200, 400)
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "?delete", b"<Delete><Object>", "MalformedXML"),
        ("POST", "?delete", b"<Delete></Delete>", "MalformedXML"),
        ("POST", "?delete", b"not xml", "MalformedXML"),
        ("PUT", "?tagging", b"<Tagging><TagSet><Tag></Tag></TagSet></Tagging>", "MalformedXML"),
        ("POST", "/k?uploadId=nope", b"<CompleteMultipartUpload/>", "NoSuchUpload"),
        ("PUT", "/k?partNumber=x&uploadId=nope", b"", "InvalidArgument"),
        ("GET", "?list-type=2&max-keys=many", b"", "InvalidArgument"),
        ("GET", "/k?partNumber=0", b"", "NoSuchKey"),
    ],
)
def test_malformed_requests(raw, bucket, method, path, body, code):
    status, headers, answer = raw(method, f"/{bucket}{path}", body)
    assert (400 <= status < 500, f"<Code>{code}</Code>" in answer.decode()) == (True, True), answer
    assert headers["content-type"] == "application/xml"


def test_documents_are_compared_with_their_digests(raw, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    document = b"<Delete><Object><Key>k</Key></Object></Delete>"
    for headers in ({"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, {"x-amz-checksum-crc32": "AAAAAA=="}):
        status, _, answer = raw("POST", f"/{bucket}?delete", document, **headers)
        assert (status, b"<Code>BadDigest</Code>" in answer) == (400, True), answer
    assert keys(s3, bucket) == ["k"]
