"""Checksums: published check values, agreement of combined and direct CRCs, and every way a client sends one."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.services.s3 import checksums

CHECK = b"123456789"
VALUES = {
    "CRC32": "cbf43926",  # the check values of the CRC catalogue (Cook)
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": hashlib.sha1(CHECK).hexdigest(),
    "SHA256": hashlib.sha256(CHECK).hexdigest(),
    "SHA512": hashlib.sha512(CHECK).hexdigest(),
    "MD5": hashlib.md5(CHECK).hexdigest(),
    "XXHASH64": "8cb841db40e6ae83",
}


@pytest.mark.parametrize("algorithm", VALUES)
def test_check_values(algorithm):
    digest = checksums.new(algorithm)
    digest.update(CHECK[:4])
    digest.update(CHECK[4:])
    assert digest.digest().hex() == VALUES[algorithm]


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
@given(parts=st.lists(st.binary(max_size=2000), min_size=1, max_size=5))
@settings(max_examples=50)
def test_crcs_of_parts_combine_to_the_crc_of_the_whole(algorithm, parts):
    def value(data: bytes) -> str:
        digests = checksums.Digests(algorithm)
        digests.update(data)
        return digests.value(algorithm)

    assert checksums.full_object(algorithm, [(value(part), len(part)) for part in parts]) == value(b"".join(parts))


BODY = b"hello world" * 4000
ALGORITHMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]


@pytest.mark.parametrize("size", [5, len(BODY)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_checksum_is_verified_kept_and_returned(s3, bucket, algorithm, size):
    put = s3.put_object(Bucket=bucket, Key="k", Body=BODY[:size], ChecksumAlgorithm=algorithm)
    name = f"Checksum{algorithm}"
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert put[name] == head[name]
    assert (put["ChecksumType"], head["ChecksumType"]) == ("FULL_OBJECT", "FULL_OBJECT")
    assert name not in s3.head_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY[:size]  # botocore verifies it


@pytest.mark.parametrize("size", [5, len(BODY)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_wrong_checksum_stores_nothing(s3, bucket, refused, algorithm, size):
    wrong = base64.b64encode(bytes(len(checksums.new(algorithm).digest()))).decode()
    error = refused(s3.put_object, Bucket=bucket, Key="k", Body=BODY[:size], **{f"Checksum{algorithm}": wrong})
    assert (error["Code"], error["status"]) == ("BadDigest", 400)
    assert refused(s3.head_object, Bucket=bucket, Key="k")["status"] == 404


def test_without_one_s3_keeps_crc64nvme(server, bucket):
    s3 = server.client("s3", request_checksum_calculation="when_required")
    assert s3.put_object(Bucket=bucket, Key="k", Body=CHECK)["ChecksumCRC64NVME"] == "rosUhgp5mIg="


def test_malformed_ones(raw, bucket):
    for headers, code in (
        ({"x-amz-checksum-crc32": "nonsense"}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": "AAAA"}, "InvalidRequest"),
        ({"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-sha1": "AAAA"}, "InvalidRequest"),
        ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
        ({"x-amz-trailer": "x-amz-checksum-crc99"}, "InvalidRequest"),
    ):
        status, _, body = raw("PUT", f"/{bucket}/k", b"content", **headers)
        assert (status, f"<Code>{code}</Code>".encode() in body) == (400, True), body


def framed(data: bytes, *trailers: str) -> bytes:
    chunks = [data[start : start + 8192] for start in range(0, len(data), 8192)]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + "".join(
        f"{trailer}\r\n" for trailer in trailers
    ).encode() + b"\r\n"  # fmt: skip


@pytest.mark.parametrize("data", [b"small", BODY], ids=["small", "large"])
def test_a_checksum_in_the_trailer(raw, s3, bucket, data):
    value = base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(data)),
    }
    status, _, answer = raw("PUT", f"/{bucket}/k", framed(data, f"x-amz-checksum-crc32:{value}"), **headers)
    assert status == 200, answer
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ChecksumCRC32"]) == (data, value)
    assert "ContentEncoding" not in got

    for trailers, code in ((["x-amz-checksum-crc32:AAAAAA=="], b"BadDigest"), ([], b"MalformedTrailerError")):
        status, _, answer = raw("PUT", f"/{bucket}/wrong", framed(data, *trailers), **headers)
        assert (status, code in answer) == (400, True), answer
    assert "wrong" not in [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]


def test_content_md5_of_a_large_body(s3, bucket, refused):
    right = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    s3.put_object(Bucket=bucket, Key="k", Body=BODY, ContentMD5=right)
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=BODY + b"!", ContentMD5=right)["Code"] == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_a_body_that_is_not_the_signed_one(raw, s3, bucket, refused):
    wrong = {"x-amz-content-sha256": hashlib.sha256(b"other").hexdigest()}
    status, _, body = raw("PUT", f"/{bucket}/k", BODY, **wrong)
    assert (status, b"<Code>XAmzContentSHA256Mismatch</Code>" in body) == (400, True)
    assert refused(s3.head_object, Bucket=bucket, Key="k")["status"] == 404
