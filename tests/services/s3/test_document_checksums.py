"""Requests that carry a document are compared with its checksum before anything is done."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    "header", [{"x-amz-checksum-crc32": "AAAAAA=="}, {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}], ids=["crc32", "md5"]
)
def test_a_damaged_list_of_keys_deletes_nothing(server, header):
    s3 = server.client("s3")
    s3.create_bucket(Bucket="damaged-lists")
    s3.put_object(Bucket="damaged-lists", Key="kept", Body=b"x")
    s3.meta.events.register("before-sign.s3.DeleteObjects", lambda request, **_: _replace_headers(request, header))

    with pytest.raises(ClientError) as error:
        s3.delete_objects(Bucket="damaged-lists", Delete={"Objects": [{"Key": "kept"}]})

    assert error.value.response["Error"]["Code"] == "BadDigest"
    assert s3.head_object(Bucket="damaged-lists", Key="kept")["ContentLength"] == 1
    s3.delete_object(Bucket="damaged-lists", Key="kept")
    s3.delete_bucket(Bucket="damaged-lists")


def _replace_headers(request, header):
    for name in ("x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm", *header):
        del request.headers[name]
    for name, value in header.items():
        request.headers[name] = value


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_algorithm_of_a_document(server, algorithm):
    s3 = server.client("s3")
    s3.create_bucket(Bucket=f"lists-{algorithm.lower()}")

    answer = s3.delete_objects(
        Bucket=f"lists-{algorithm.lower()}", Delete={"Objects": [{"Key": "a"}]}, ChecksumAlgorithm=algorithm
    )

    assert answer["Deleted"] == [{"Key": "a"}]
