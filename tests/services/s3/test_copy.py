"""CopyObject: bytes, description and tags follow the directives; a copy onto itself has to change something."""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import UTC, datetime, timedelta

import pytest


@pytest.fixture(params=[100, 300_000], ids=["small", "large"])
def source(request, s3, bucket):
    body = os.urandom(request.param)
    s3.put_object(Bucket=bucket, Key="dir/source +ä", Body=body, ContentType="text/csv", Metadata={"a": "1"}, Tagging="t=1")
    return {"Bucket": bucket, "Key": "dir/source +ä"}, body


def test_a_copy_is_the_source(s3, bucket, source):
    place, body = source
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=place)
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/csv", {"a": "1"}, 1)
    assert answer["CopyObjectResult"]["ETag"] == got["ETag"]
    assert answer["CopyObjectResult"]["ChecksumCRC32"]


def test_the_checksum_is_of_the_algorithm_that_is_asked_for(s3, bucket, source, refused):
    place, body = source
    result = s3.copy_object(Bucket=bucket, Key="copy", CopySource=place, ChecksumAlgorithm="SHA256")["CopyObjectResult"]
    assert base64.b64decode(result["ChecksumSHA256"]) == hashlib.sha256(body).digest()
    error = refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=place, ChecksumAlgorithm="CRC99")
    assert error["Code"] == "InvalidRequest"


def test_directives_replace(s3, bucket, source):
    place, body = source
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=place,
        MetadataDirective="REPLACE",
        ContentType="text/plain",
        Metadata={"b": "2"},
        TaggingDirective="REPLACE",
        Tagging="u=2&v=3",
    )
    got = s3.get_object(Bucket=bucket, Key="copy")
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/plain", {"b": "2"}, 2)
    assert got["Body"].read() == body


@pytest.mark.parametrize(
    "spelling",
    [
        "{bucket}/dir/source%20%2B%C3%A4",
        "/{bucket}/dir/source%20%2B%C3%A4",
        "{bucket}/dir%2Fsource%20%2B%C3%A4",
        "{bucket}/dir/source%20%2B%C3%A4?versionId=null",
    ],
)
def test_spellings_of_the_source(raw, s3, bucket, source, spelling):
    status, _, _ = raw("PUT", f"/{bucket}/copy", **{"x-amz-copy-source": spelling.format(bucket=bucket)})
    assert status == 200
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == source[1]


def test_a_copy_onto_itself_has_to_change_something(s3, bucket, source, refused):
    place, body = source
    error = refused(s3.copy_object, **place, CopySource=place)
    assert (error["Code"], error["status"]) == ("InvalidRequest", 400)
    s3.copy_object(**place, CopySource=place, MetadataDirective="REPLACE", Metadata={"new": "1"})
    s3.copy_object(**place, CopySource=place, StorageClass="STANDARD_IA")
    got = s3.get_object(**place)
    assert (got["Body"].read(), got["Metadata"], got["StorageClass"]) == (body, {"new": "1"}, "STANDARD_IA")


def test_conditions_on_the_source(s3, bucket, source, refused):
    place, _ = source
    etag = s3.head_object(**place)["ETag"]
    past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)
    for holds in ({"CopySourceIfMatch": etag}, {"CopySourceIfNoneMatch": '"x"'}, {"CopySourceIfModifiedSince": past}):
        s3.copy_object(Bucket=bucket, Key="copy", CopySource=place, **holds)
    for fails in (
        {"CopySourceIfMatch": '"x"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": future},
        {"CopySourceIfUnmodifiedSince": past},
    ):
        error = refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=place, **fails)
        assert (error["Code"], error["status"]) == ("PreconditionFailed", 412)


def test_what_is_wrong_with_a_source(server, s3, bucket, source, refused):
    place, _ = source
    for spelling, code in (
        (f"{bucket}/missing", "NoSuchKey"),
        ("no-such-bucket-at-all/key", "NoSuchBucket"),
        ("justabucket", "InvalidArgument"),
        (place | {"VersionId": "7"}, "NoSuchVersion"),
    ):
        assert refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=spelling)["Code"] == code
    stranger = server.client("s3", account="444455556666")
    stranger.create_bucket(Bucket=f"s-{bucket}")
    error = refused(stranger.copy_object, Bucket=f"s-{bucket}", Key="loot", CopySource=place)
    assert (error["Code"], error["status"]) == ("AccessDenied", 403)
    error = refused(s3.copy_object, Bucket=bucket, Key="copy", CopySource=place, ExpectedSourceBucketOwner="999999999999")
    assert error["Code"] == "AccessDenied"


def test_copying_a_multipart_object_makes_a_plain_one(s3, bucket):
    body = os.urandom(6 * 1024 * 1024)
    created = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="parts", UploadId=created, PartNumber=1, Body=body)
    s3.complete_multipart_upload(
        Bucket=bucket, Key="parts", UploadId=created, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    s3.copy_object(Bucket=bucket, Key="plain", CopySource={"Bucket": bucket, "Key": "parts"})
    head = s3.head_object(Bucket=bucket, Key="plain", ChecksumMode="ENABLED")
    assert "-" not in head["ETag"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert s3.get_object(Bucket=bucket, Key="plain")["Body"].read() == body
