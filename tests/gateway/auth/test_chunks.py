"""aws-chunked bodies with signed chunks, as Java, JavaScript and Go SDKs send them, signed here by the letter."""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib

import pytest
from tests.gateway.auth.raw import send, signed

PAYLOAD = b"The quick brown fox jumps over the lazy dog. " * 5000
EMPTY = hashlib.sha256(b"").hexdigest()


class Signer:
    """The chain of chunk signatures, by the letter of the S3 API reference."""

    def __init__(self, secret, headers):
        authorization = headers["Authorization"]
        date, region, service = authorization.split("Credential=")[1].split(",")[0].split("/")[1:4]
        self.scope = f"{date}/{region}/{service}/aws4_request"
        self.time = headers["X-Amz-Date"]
        self.previous = authorization.rpartition("Signature=")[2]
        self.key = ("AWS4" + secret).encode()
        for part in self.scope.split("/"):
            self.key = hmac.new(self.key, part.encode(), hashlib.sha256).digest()

    def sign(self, algorithm, *digests):
        text = "\n".join([algorithm, self.time, self.scope, self.previous, *digests])
        self.previous = hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()
        return self.previous

    def chunk(self, data):
        signature = self.sign("AWS4-HMAC-SHA256-PAYLOAD", EMPTY, hashlib.sha256(data).hexdigest())
        return f"{len(data):x};chunk-signature={signature}\r\n".encode() + data + (b"\r\n" if data else b"")

    def trailers(self, lines):
        signature = self.sign("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(lines.encode()).hexdigest())
        text = lines.replace("\n", "\r\n") + f"x-amz-trailer-signature:{signature}\r\n\r\n"
        return text.encode()


@pytest.fixture(scope="module")
def key(server):
    iam = server.client("iam", account="444455556666")
    iam.create_user(UserName="chunks")
    made = iam.create_access_key(UserName="chunks")["AccessKey"]
    server.client("s3", account="444455556666").create_bucket(Bucket="chunked")
    return made["AccessKeyId"], made["SecretAccessKey"]


def upload(server, key, name, kind, change=lambda body: body, **more):
    """Status, code and message of a PUT whose body `change` may have spoilt."""
    headers = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": str(len(PAYLOAD)),
        "Content-Encoding": "aws-chunked",
    } | more
    path = f"/chunked/{name}"
    headers = signed(server, "PUT", path, PAYLOAD, key=key, headers=headers)
    signer = Signer(key[1], headers)
    body = b"".join(signer.chunk(PAYLOAD[start : start + 65536]) for start in range(0, len(PAYLOAD), 65536))
    body += signer.chunk(b"")
    if kind.endswith("TRAILER"):
        crc = base64.b64encode(zlib.crc32(PAYLOAD).to_bytes(4, "big")).decode()
        body += signer.trailers(f"x-amz-checksum-crc32:{crc}\n")
    else:
        body += b"\r\n"
    return send(server, "PUT", path, headers, change(body))


@pytest.mark.parametrize("kind", ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])
def test_signed_chunks_are_taken_apart_and_verified(server, key, kind):
    trailer = {"x-amz-trailer": "x-amz-checksum-crc32"} if kind.endswith("TRAILER") else {}
    assert upload(server, key, "good", kind, **trailer)[0] == 200
    stored = server.client("s3", account="444455556666").get_object(Bucket="chunked", Key="good")
    assert stored["Body"].read() == PAYLOAD
    assert "aws-chunked" not in stored.get("ContentEncoding", "")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body.replace(b"quick", b"quack", 1), "SignatureDoesNotMatch"),
        (lambda body: body[: body.rindex(b"0;chunk")] + b"0\r\n\r\n", "SignatureDoesNotMatch"),
        (lambda body: body.replace(b"chunk-signature=", b"chunk-signature=0", 1), "SignatureDoesNotMatch"),
        (lambda body: body[:70000], "InvalidChunkSizeError"),
        (lambda body: b"zz" + body, "InvalidChunkSizeError"),
        (lambda body: b"-5;x\r\n" + body, "InvalidChunkSizeError"),
        (lambda body: b"9" * 100000 + body, "InvalidChunkSizeError"),
        (lambda body: b"ffffffffffffffff;chunk-signature=0\r\n" + body, "IncompleteBody"),
    ],
)
def test_spoilt_chunks_are_refused_and_nothing_is_stored(server, key, change, code):
    status, found, _ = upload(server, key, "spoilt", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", change)
    assert (status // 100, found) == (4, code)
    assert "Contents" not in server.client("s3", account="444455556666").list_objects_v2(Bucket="chunked", Prefix="spoilt")


def test_a_spoilt_trailer_is_refused(server, key):
    def change(body):
        return body.replace(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32:A", 1)

    found = upload(
        server,
        key,
        "spoilt",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        change,
        **{"x-amz-trailer": "x-amz-checksum-crc32"},
    )
    assert found[:2] == (403, "SignatureDoesNotMatch")


def test_the_announced_length_must_be_right(server, key):
    wrong = {"x-amz-decoded-content-length": str(len(PAYLOAD) - 1)}
    assert upload(server, key, "spoilt", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", **wrong)[1] == "IncompleteBody"
    wrong = {"x-amz-decoded-content-length": str(len(PAYLOAD) + 1)}
    assert upload(server, key, "spoilt", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", **wrong)[1] == "IncompleteBody"


def test_unsigned_chunks_with_a_trailing_checksum(server):
    """What boto3 sends over TLS."""
    crc = base64.b64encode(zlib.crc32(PAYLOAD).to_bytes(4, "big")).decode()
    for checksum, status in ((crc, 200), ("AAAAAA==", 400)):
        headers = {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": str(len(PAYLOAD)),
            "Content-Encoding": "aws-chunked",
            "x-amz-trailer": "x-amz-checksum-crc32",
        }
        headers = signed(server, "PUT", "/chunked/trailer", PAYLOAD, key=("444455556666", "s"), headers=headers)
        body = f"{len(PAYLOAD):x}\r\n".encode() + PAYLOAD + b"\r\n0\r\nx-amz-checksum-crc32:" + checksum.encode() + b"\r\n\r\n"
        assert send(server, "PUT", "/chunked/trailer", headers, body)[0] == status
