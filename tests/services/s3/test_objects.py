"""Objects: bytes and their description come back as they went in; keys are opaque; conditions hold."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

KIB = 1024
SIZES = (0, 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, 1_000_003)


@pytest.mark.parametrize("size", SIZES)
def test_bytes_come_back(s3, bucket, size):
    body = os.urandom(size)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body)
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == body
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert (got["ContentLength"], got["ContentType"], got["AcceptRanges"]) == (size, "binary/octet-stream", "bytes")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size


def test_description_comes_back(s3, bucket):
    expires = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    given = {
        "ContentType": "text/csv; charset=utf-8",
        "ContentEncoding": "gzip",
        "ContentDisposition": 'attachment; filename="a.csv"',
        "ContentLanguage": "de",
        "CacheControl": "max-age=60",
        "Metadata": {"one": "1", "with-dash": "two words"},
        "StorageClass": "STANDARD_IA",
    }
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=expires, **given)
    for answer in (s3.get_object(Bucket=bucket, Key="k"), s3.head_object(Bucket=bucket, Key="k")):
        assert {name: answer[name] for name in given} == given
        assert answer["Expires"] == expires
        assert datetime.now(UTC) - answer["LastModified"] < timedelta(minutes=1)
    overridden = s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/plain", ResponseCacheControl="no-store")
    assert (overridden["ContentType"], overridden["CacheControl"]) == ("text/plain", "no-store")


KEYS = [
    "a",
    "a/b",
    "a/b/",
    "../../etc/passwd",
    "..",
    ".",
    "//",
    "/leading",
    "trailing/",
    "double//slash",
    "🦜/päth with spaces",
    "100%",
    "%2e%2e/%2fetc",
    "a+b&c=d?e#f;g",
    "quote\"and'apostrophe",
    "back\\slash",
    "x" * 1024,
    "é" * 512,
    "line\nbreak\ttab",
    "<xml>&amp;</xml>",
    "~tilde*star(paren)",
]


def test_any_utf8_key_is_its_own_object(server, s3, bucket):
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    for key in KEYS:
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert listed == sorted(KEYS, key=str.encode)
    blobs = {path.name for path in (server.data / "blobs").rglob("*") if path.is_file()}
    assert all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in blobs)
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in KEYS]})
    assert {entry["Key"] for entry in answer["Deleted"]} == set(KEYS)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_key_longer_than_1024_bytes_is_refused(s3, bucket, refused):
    for call, arguments in [(s3.put_object, {"Body": b""}), (s3.get_object, {}), (s3.create_multipart_upload, {})]:
        error = refused(call, Bucket=bucket, Key="é" * 513, **arguments)
        assert (error["Code"], error["status"]) == ("KeyTooLongError", 400)


def test_a_missing_object_is_named(s3, bucket, refused):
    error = refused(s3.get_object, Bucket=bucket, Key="nope")
    assert (error["Code"], error["status"], error["Key"]) == ("NoSuchKey", 404, "nope")
    assert refused(s3.head_object, Bucket=bucket, Key="nope")["Code"] == "404"
    assert refused(s3.get_object, Bucket="no-such-bucket-at-all", Key="nope")["Code"] == "NoSuchBucket"


def test_an_object_is_replaced_as_a_whole(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=os.urandom(100_000), Metadata={"old": "1"}, Tagging="a=b")
    s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["Metadata"], got.get("TagCount")) == (b"new", {}, None)


def test_a_reader_keeps_the_object_it_began_to_read(s3, bucket):
    first, second = os.urandom(20_000_000), os.urandom(20_000_000)
    s3.put_object(Bucket=bucket, Key="k", Body=first)
    body = s3.get_object(Bucket=bucket, Key="k")["Body"]
    start = body.read(1000)
    s3.put_object(Bucket=bucket, Key="k", Body=second)
    s3.delete_object(Bucket=bucket, Key="k")
    assert start + body.read() == first


def test_deleting_is_idempotent_and_removes_the_bytes(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for _ in range(2):
        assert s3.delete_object(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.get_object, Bucket=bucket, Key="k")["Code"] == "NoSuchKey"


def test_deleting_many_reports_each_key(s3, bucket, refused):
    for key in ("a", "b", "c"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    wanted = [{"Key": "a"}, {"Key": "never-there"}, {"Key": "b", "VersionId": "17"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [entry["Key"] for entry in answer["Deleted"]] == ["a", "never-there"]
    assert [(entry["Key"], entry["Code"]) for entry in answer["Errors"]] == [("b", "NoSuchVersion")]
    quiet = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["c"]
    error = refused(s3.delete_objects, Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})
    assert error["Code"] == "MalformedXML"


class TestConditions:
    """If-Match and its family."""

    @pytest.fixture
    def etag(self, s3, bucket):
        return s3.put_object(Bucket=bucket, Key="k", Body=b"content")["ETag"]

    @pytest.mark.parametrize("read", ["get_object", "head_object"])
    def test_of_reads(self, s3, bucket, etag, refused, read):
        call, past, future = getattr(s3, read), datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(hours=1)
        for holds in (
            {"IfMatch": etag},
            {"IfMatch": "*"},
            {"IfMatch": f'"other", {etag}'},
            {"IfNoneMatch": '"other"'},
            {"IfModifiedSince": past},
            {"IfUnmodifiedSince": future},
            {"IfMatch": etag, "IfUnmodifiedSince": past},
            {"IfNoneMatch": '"other"', "IfModifiedSince": future},
        ):
            call(Bucket=bucket, Key="k", **holds)
        for fails, status in (
            ({"IfMatch": '"other"'}, 412),
            ({"IfUnmodifiedSince": past}, 412),
            ({"IfNoneMatch": etag}, 304),
            ({"IfNoneMatch": etag, "IfModifiedSince": past}, 304),
            ({"IfModifiedSince": future}, 304),
        ):
            assert refused(call, Bucket=bucket, Key="k", **fails)["status"] == status, fails

    def test_of_writes(self, s3, bucket, etag, refused):
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch="*")["Code"] == "PreconditionFailed"
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", IfMatch='"other"')["status"] == 412
        assert refused(s3.put_object, Bucket=bucket, Key="new", Body=b"", IfMatch=etag)["Code"] == "NoSuchKey"
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"", IfNoneMatch=etag)["Code"] == "NotImplemented"
        s3.put_object(Bucket=bucket, Key="new", Body=b"", IfNoneMatch="*")
        s3.put_object(Bucket=bucket, Key="k", Body=b"newer", IfMatch=etag)
        assert refused(s3.delete_object, Bucket=bucket, Key="k", IfMatch=etag)["status"] == 412
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"newer"

    def test_exactly_one_of_many_writers_creates_an_object(self, s3, bucket):
        def create(number: int) -> int:
            try:
                s3.put_object(Bucket=bucket, Key="leader", Body=b"%d" % number * 20_000, IfNoneMatch="*")
            except s3.exceptions.ClientError as error:
                return error.response["ResponseMetadata"]["HTTPStatusCode"]
            return 200

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(create, range(16)))
        assert sorted(statuses) == [200] + [412] * 15
        winner = b"%d" % statuses.index(200)
        assert s3.get_object(Bucket=bucket, Key="leader")["Body"].read() == winner * 20_000


class TestRanges:
    """Every form of Range, over content in a row and content in a blob."""

    @pytest.fixture(params=[1000, 200_000])
    def body(self, request, s3, bucket):
        body = os.urandom(request.param)
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        return body

    def test_a_part_is_206_with_its_place(self, s3, bucket, body):
        size = len(body)
        for asked, start, end in (
            ("bytes=0-0", 0, 1),
            ("bytes=10-19", 10, 20),
            ("bytes=990-", 990, size),
            ("bytes=-7", size - 7, size),
            (f"bytes=5-{size * 2}", 5, size),
            (f"bytes=-{size * 2}", 0, size),
            (f"bytes={size // 2}-{size // 2 + 99}", size // 2, size // 2 + 100),
        ):
            got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
            assert got["Body"].read() == body[start:end], asked
            assert got["ContentRange"] == f"bytes {start}-{end - 1}/{size}"
            assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
            if end - start < size:
                assert "ChecksumCRC32" not in got
            head = s3.head_object(Bucket=bucket, Key="k", Range=asked)
            assert (head["ContentLength"], head["ResponseMetadata"]["HTTPStatusCode"]) == (end - start, 206)

    def test_what_is_no_range_is_ignored(self, s3, bucket, body):
        for asked in ("bytes=9-5", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "garbage"):
            got = s3.get_object(Bucket=bucket, Key="k", Range=asked)
            assert (got["ResponseMetadata"]["HTTPStatusCode"], got["ContentLength"]) == (200, len(body)), asked

    def test_outside_is_416(self, s3, bucket, body, refused):
        for asked in (f"bytes={len(body)}-", f"bytes={len(body)}-{len(body) + 5}", "bytes=-0"):
            error = refused(s3.get_object, Bucket=bucket, Key="k", Range=asked)
            assert (error["Code"], error["status"]) == ("InvalidRange", 416)
            assert (error["ActualObjectSize"], error["RangeRequested"]) == (str(len(body)), asked)

    def test_part_number_one_is_all_of_a_plain_object(self, s3, bucket, body, refused):
        got = s3.get_object(Bucket=bucket, Key="k", PartNumber=1)
        assert got["Body"].read() == body
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert refused(s3.get_object, Bucket=bucket, Key="k", PartNumber=2)["status"] == 416
        assert refused(s3.get_object, Bucket=bucket, Key="k", PartNumber=1, Range="bytes=0-1")["Code"] == "InvalidRequest"


def test_an_empty_object_has_no_satisfiable_range(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    assert refused(s3.get_object, Bucket=bucket, Key="empty", Range="bytes=0-0")["status"] == 416
    assert s3.get_object(Bucket=bucket, Key="empty", PartNumber=1)["ContentLength"] == 0


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ({"ACL": "public-read"}, "x-amz-acl"),
        ({"GrantFullControl": "id=1"}, "x-amz-grant-full-control"),
        ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": datetime(2030, 1, 1)}, "x-amz-object-lock-mode"),
        ({"ObjectLockEventHoldDurationDays": 3}, "x-amz-object-lock-event-hold-duration-days"),
        ({"WebsiteRedirectLocation": "/elsewhere"}, "x-amz-website-redirect-location"),
        ({"StorageClass": "GLACIER"}, "x-amz-storage-class"),
        ({"StorageClass": "DEEP_ARCHIVE"}, "x-amz-storage-class"),
        ({"ServerSideEncryption": "aws:kms:dsse"}, "x-amz-server-side-encryption"),
        ({"SSEKMSEncryptionContext": "e30=", "ServerSideEncryption": "aws:kms"}, "x-amz-server-side-encryption-context"),
    ],
)
def test_object_parameters_that_are_not_enforced_are_refused_by_name(s3, bucket, refused, parameter, name):
    error = refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **parameter)
    assert (error["Code"], error["status"]) == ("NotImplemented", 501)
    assert name in error["Message"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_other_bad_parameters(s3, bucket, refused):
    for parameter, code in (
        ({"StorageClass": "CARDBOARD"}, "InvalidStorageClass"),
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument"),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "k"}, "InvalidArgument"),
        ({"Metadata": {"k": "v" * 3000}}, "MetadataTooLarge"),
        ({"Tagging": "a=1&a=2"}, "InvalidTag"),
        ({"ContentMD5": "not base64!"}, "InvalidDigest"),
        ({"ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
    ):
        assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x", **parameter)["Code"] == code
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="7")["Code"] == "NoSuchVersion"


def test_without_versioning_the_version_is_null(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"x"
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for entry in versions] == [("k", "null", True)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_attributes(s3, bucket):
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm="SHA256")
    asked = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    found = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=asked)
    assert (found["ETag"], found["ObjectSize"], found["StorageClass"]) == (put["ETag"].strip('"'), 5, "STANDARD")
    assert found["Checksum"]["ChecksumSHA256"] == put["ChecksumSHA256"]
    assert "ObjectParts" not in found
    assert "ETag" not in s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize"])


def test_the_resource_interface_empties_a_bucket(server, bucket):
    import boto3

    resource = boto3.resource(
        "s3", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="x"
    )
    mine = resource.Bucket(bucket)
    for number in range(25):
        mine.put_object(Key=f"dir/{number:02}", Body=b"x")
    assert [summary.key for summary in mine.objects.filter(Prefix="dir/1")] == [f"dir/{number}" for number in range(10, 20)]
    mine.object_versions.delete()
    assert list(mine.objects.all()) == []
    mine.delete()
