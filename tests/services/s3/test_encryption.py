"""Encryption at rest: headers say how, bytes on disk are never the plain ones, customer keys are needed and never kept."""

from __future__ import annotations

import base64
import os

import pytest

SECRET = b"the quick brown fox " * 2000
SMALL = SECRET[:2000]


def stored_bytes(server) -> bytes:
    """Everything in the data directory: blobs, the database and its log."""
    return b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())


@pytest.mark.parametrize("body", [SMALL, SECRET], ids=["in the row", "in a blob"])
@pytest.mark.parametrize("asked", [{}, {"ServerSideEncryption": "AES256"}, {"ServerSideEncryption": "aws:kms"}])
def test_bytes_at_rest_are_not_the_plain_bytes(server, s3, bucket, body, asked):
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, **asked)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert put["ServerSideEncryption"] == got["ServerSideEncryption"] == asked.get("ServerSideEncryption", "AES256")
    assert got["Body"].read() == body
    assert body[:100] not in stored_bytes(server)


def test_a_kms_key_is_recorded_and_a_key_of_its_own(s3, bucket):
    for key_id, shown in (
        ("arn:aws:kms:us-east-1:000000000000:key/abc", "arn:aws:kms:us-east-1:000000000000:key/abc"),
        ("abc", "arn:aws:kms:us-east-1:000000000000:key/abc"),
        ("alias/mine", "arn:aws:kms:us-east-1:000000000000:alias/mine"),
    ):
        put = s3.put_object(Bucket=bucket, Key="k", Body=SMALL, ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
        head = s3.head_object(Bucket=bucket, Key="k")
        assert put["SSEKMSKeyId"] == head["SSEKMSKeyId"] == shown
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == SMALL
    default = s3.put_object(Bucket=bucket, Key="k", Body=SMALL, ServerSideEncryption="aws:kms", BucketKeyEnabled=True)
    assert default["SSEKMSKeyId"].startswith("arn:aws:kms:us-east-1:000000000000:key/")
    assert default["BucketKeyEnabled"] is True


def test_keys_survive_a_restart(start_server):
    server = start_server()
    s3 = server.client("s3")
    s3.create_bucket(Bucket="b-restart")
    for number, asked in enumerate(
        ({}, {"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "x"})
    ):
        for body in (SMALL, SECRET):
            s3.put_object(Bucket="b-restart", Key=f"{number}-{len(body)}", Body=body, **asked)
    server.restart()
    for entry in s3.list_objects_v2(Bucket="b-restart")["Contents"]:
        assert s3.get_object(Bucket="b-restart", Key=entry["Key"])["Body"].read() == SECRET[: entry["Size"]]


def test_a_buckets_default(s3, bucket, refused):
    def configured() -> dict:
        return s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]

    assert configured()["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/mine"}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert configured() == rule
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert (put["ServerSideEncryption"], put["BucketKeyEnabled"]) == ("aws:kms", True)
    assert put["SSEKMSKeyId"].endswith("alias/mine")
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")["ServerSideEncryption"] == "AES256"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ServerSideEncryption"] == "AES256"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms:dsse"}}
    error = refused(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert error["Code"] == "NotImplemented"


class TestCustomerKeys:
    """SSE-C."""

    KEY = os.urandom(32)
    MINE = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": KEY}  # noqa: RUF012
    OTHER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}  # noqa: RUF012

    @pytest.mark.parametrize("body", [SMALL, SECRET], ids=["in the row", "in a blob"])
    def test_reading_needs_the_key(self, server, s3, bucket, refused, body):
        put = s3.put_object(Bucket=bucket, Key="k", Body=body, **self.MINE)
        assert put["SSECustomerAlgorithm"] == "AES256"
        assert "ServerSideEncryption" not in put
        got = s3.get_object(Bucket=bucket, Key="k", **self.MINE)
        assert (got["Body"].read(), got["SSECustomerKeyMD5"]) == (body, put["SSECustomerKeyMD5"])
        for call in (s3.get_object, s3.head_object):
            assert refused(call, Bucket=bucket, Key="k")["status"] == 400
            assert refused(call, Bucket=bucket, Key="k", **self.OTHER)["status"] == 403
        on_disk = stored_bytes(server)
        assert self.KEY not in on_disk
        assert body[:100] not in on_disk

    def test_a_key_that_is_not_needed_or_not_right(self, s3, bucket, refused):
        s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
        assert refused(s3.get_object, Bucket=bucket, Key="plain", **self.MINE)["Code"] == "InvalidRequest"
        for bad in (
            {"SSECustomerAlgorithm": "ROT13", "SSECustomerKey": self.KEY},
            {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": b"short"},
            {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": base64.b64encode(self.KEY).decode(), "SSECustomerKeyMD5": "A"},
            self.MINE | {"ServerSideEncryption": "AES256"},
        ):
            assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **bad)["Code"] == "InvalidArgument"

    def test_multipart_and_copies(self, s3, bucket, refused):
        created = s3.create_multipart_upload(Bucket=bucket, Key="k", **self.MINE)
        upload = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
        assert refused(s3.upload_part, **upload, PartNumber=1, Body=SECRET)["Code"] == "InvalidRequest"
        part = s3.upload_part(**upload, PartNumber=1, Body=SECRET, **self.MINE)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(**upload, MultipartUpload=parts)
        assert s3.get_object(Bucket=bucket, Key="k", **self.MINE)["Body"].read() == SECRET

        source = {"Bucket": bucket, "Key": "k"}
        assert refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source)["Code"] == "InvalidRequest"
        of_source = {f"CopySource{name}": value for name, value in self.MINE.items()}
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **of_source)
        assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == SECRET
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, **of_source, **self.OTHER)
        assert s3.get_object(Bucket=bucket, Key="copy", **self.OTHER)["Body"].read() == SECRET
