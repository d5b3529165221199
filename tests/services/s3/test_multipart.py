"""Multipart uploads: parts become one object without copying; everything that can be wrong with them has its error."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import zlib
from datetime import datetime

import pytest
from boto3.s3.transfer import TransferConfig

MIB = 1024 * 1024
PART = 5 * MIB


@pytest.fixture(scope="module")
def body() -> bytes:
    return os.urandom(2 * PART + 12_345)


@pytest.fixture
def upload(s3, bucket) -> dict[str, str]:
    created = s3.create_multipart_upload(Bucket=bucket, Key="big/key")
    return {"Bucket": bucket, "Key": "big/key", "UploadId": created["UploadId"]}


def put_parts(s3, upload, body, size=PART) -> list[dict]:
    parts = []
    for number, start in enumerate(range(0, len(body), size), start=1):
        answer = s3.upload_part(**upload, PartNumber=number, Body=body[start : start + size])
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    return parts


def complete(s3, upload, parts, **more):
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **more)


def test_parts_become_an_object(s3, upload, body):
    parts = put_parts(s3, upload, body)
    answer = complete(s3, upload, parts)
    digests = b"".join(hashlib.md5(body[start : start + PART]).digest() for start in range(0, len(body), PART))
    assert answer["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-3"'
    got = s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"])
    assert got["Body"].read() == body
    assert got["ETag"] == answer["ETag"]
    across = s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"], Range=f"bytes={PART - 10}-{2 * PART + 10}")
    assert across["Body"].read() == body[PART - 10 : 2 * PART + 11]


def test_completing_copies_no_bytes(server, s3, upload, body):
    def inodes() -> set[int]:
        return {path.stat().st_ino for path in (server.data / "blobs").glob("??/*")}

    before = inodes()
    parts = put_parts(s3, upload, body)
    of_parts = inodes() - before
    complete(s3, upload, parts)
    assert inodes() - before == of_parts


def test_a_part_of_the_object_by_number(s3, upload, body, refused):
    complete(s3, upload, put_parts(s3, upload, body))
    place = {"Bucket": upload["Bucket"], "Key": upload["Key"]}
    got = s3.get_object(**place, PartNumber=2)
    assert got["Body"].read() == body[PART : 2 * PART]
    assert (got["PartsCount"], got["ContentRange"]) == (3, f"bytes {PART}-{2 * PART - 1}/{len(body)}")
    assert s3.head_object(**place, PartNumber=3)["ContentLength"] == 12_345
    assert refused(s3.get_object, **place, PartNumber=4)["Code"] == "InvalidPartNumber"


def test_parts_in_any_order_with_gaps_and_replacements(s3, upload, body):
    s3.upload_part(**upload, PartNumber=9, Body=b"the end")
    s3.upload_part(**upload, PartNumber=5, Body=b"replaced")
    s3.upload_part(**upload, PartNumber=7, Body=b"left out")
    middle = s3.upload_part(**upload, PartNumber=5, Body=body[:PART])
    end = s3.list_parts(**upload)["Parts"][-1]
    complete(s3, upload, [{"PartNumber": 5, "ETag": middle["ETag"]}, {"PartNumber": 9, "ETag": end["ETag"]}])
    got = s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"])
    assert got["Body"].read() == body[:PART] + b"the end"
    assert s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"], PartNumber=2)["Body"].read() == b"the end"


def test_what_is_wrong_with_the_parts(s3, upload, body, refused):
    small = s3.upload_part(**upload, PartNumber=1, Body=b"too small")
    last = s3.upload_part(**upload, PartNumber=2, Body=b"fine, it is the last")
    first, second = {"PartNumber": 1, "ETag": small["ETag"]}, {"PartNumber": 2, "ETag": last["ETag"]}
    for parts, code in (
        ([first, second], "EntityTooSmall"),
        ([second, first], "InvalidPartOrder"),
        ([second, second], "InvalidPartOrder"),
        ([{"PartNumber": 3, "ETag": last["ETag"]}], "InvalidPart"),
        ([{"PartNumber": 2, "ETag": '"0123"'}], "InvalidPart"),
        ([second | {"ChecksumCRC64NVME": "AAAAAAAAAAA="}], "InvalidPart"),
        ([], "MalformedXML"),
    ):
        error = refused(complete, s3=s3, upload=upload, parts=parts)
        assert (error["Code"], error["status"]) == (code, 400)
    assert refused(complete, s3=s3, upload=upload, parts=[second], MpuObjectSize=7)["Code"] == "InvalidRequest"
    assert refused(s3.head_object, Bucket=upload["Bucket"], Key=upload["Key"])["status"] == 404
    complete(s3, upload, [second], MpuObjectSize=20)
    assert refused(complete, s3=s3, upload=upload, parts=[second])["Code"] == "NoSuchUpload"


def test_part_numbers_are_1_to_10000(s3, upload, refused):
    for number in (0, 10_001):
        assert refused(s3.upload_part, **upload, PartNumber=number, Body=b"")["Code"] == "InvalidArgument"
    s3.upload_part(**upload, PartNumber=10_000, Body=b"")


def test_a_condition_on_an_abort_is_refused_by_name(s3, upload, refused):
    error = refused(s3.abort_multipart_upload, **upload, IfMatchInitiatedTime=datetime(2030, 1, 1))
    assert (error["Code"], error["status"]) == ("NotImplemented", 501)
    assert "x-amz-if-match-initiated-time" in error["Message"]
    assert "Parts" not in s3.list_parts(**upload)  # it is there still


def test_an_aborted_upload_is_gone(server, s3, upload, body, refused):
    before = set((server.data / "blobs").glob("??/*"))
    put_parts(s3, upload, body)
    assert s3.abort_multipart_upload(**upload)["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call, arguments in (
        (s3.abort_multipart_upload, {}),
        (s3.list_parts, {}),
        (s3.upload_part, {"PartNumber": 1, "Body": b""}),
    ):
        error = refused(call, **upload, **arguments)
        assert (error["Code"], error["status"], error["UploadId"]) == ("NoSuchUpload", 404, upload["UploadId"])
    s3.put_object(Bucket=upload["Bucket"], Key="flush", Body=b"")  # deletes follow the commit in the background
    for _ in range(1000):
        if set((server.data / "blobs").glob("??/*")) <= before:
            break
        s3.head_bucket(Bucket=upload["Bucket"])
    assert set((server.data / "blobs").glob("??/*")) <= before


def test_an_upload_belongs_to_its_key(s3, upload, refused):
    other = upload | {"Key": "another"}
    assert refused(s3.upload_part, **other, PartNumber=1, Body=b"")["Code"] == "NoSuchUpload"


def test_listing_parts_by_page(s3, upload):
    for number in (1, 2, 4, 8):
        s3.upload_part(**upload, PartNumber=number, Body=b"x" * number)
    first = s3.list_parts(**upload, MaxParts=3)
    assert [(part["PartNumber"], part["Size"]) for part in first["Parts"]] == [(1, 1), (2, 2), (4, 4)]
    assert (first["IsTruncated"], first["NextPartNumberMarker"]) == (True, 4)
    second = s3.list_parts(**upload, PartNumberMarker=first["NextPartNumberMarker"])
    assert [part["PartNumber"] for part in second["Parts"]] == [8]
    assert second["IsTruncated"] is False
    assert second["Parts"][0]["ETag"] == f'"{hashlib.md5(b"x" * 8).hexdigest()}"'


def test_listing_uploads(s3, bucket):
    keys = ["a", "dir/1", "dir/1", "dir/2", "z"]
    ids = {}
    for key in keys:
        ids.setdefault(key, []).append(s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
    listed = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [entry["Key"] for entry in listed] == keys
    assert {entry["UploadId"] for entry in listed} == {upload for group in ids.values() for upload in group}
    grouped = s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [entry["Key"] for entry in grouped["Uploads"]] == ["a", "z"]
    assert [entry["Prefix"] for entry in grouped["CommonPrefixes"]] == ["dir/"]
    seen, markers = [], {}
    while True:
        page = s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **markers)
        seen += [(entry["Key"], entry["UploadId"]) for entry in page["Uploads"]]
        if not page["IsTruncated"]:
            break
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert seen == [(entry["Key"], entry["UploadId"]) for entry in listed]
    assert [entry["Key"] for entry in s3.list_multipart_uploads(Bucket=bucket, Prefix="dir/")["Uploads"]] == keys[1:4]


def test_description_and_tags_are_those_of_the_creation(s3, bucket):
    created = s3.create_multipart_upload(
        Bucket=bucket, Key="k", ContentType="text/csv", Metadata={"a": "b"}, Tagging="x=1&y=2", StorageClass="STANDARD_IA"
    )
    upload = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
    complete(s3, upload, put_parts(s3, upload, b"small"))
    head = s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["Metadata"], head["StorageClass"]) == ("text/csv", {"a": "b"}, "STANDARD_IA")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "x", "Value": "1"}, {"Key": "y", "Value": "2"}]


class TestChecksums:
    """Of the parts (composite) and of the whole."""

    def test_composite(self, s3, bucket, body):
        created = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="SHA256")
        assert (created["ChecksumAlgorithm"], created["ChecksumType"]) == ("SHA256", "COMPOSITE")
        upload = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
        parts, digests = [], b""
        for number, start in enumerate(range(0, len(body), PART), start=1):
            part = body[start : start + PART]
            answer = s3.upload_part(**upload, PartNumber=number, Body=part, ChecksumAlgorithm="SHA256")
            digests += hashlib.sha256(part).digest()
            parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": answer["ChecksumSHA256"]})
        answer = complete(s3, upload, parts)
        expected = base64.b64encode(hashlib.sha256(digests).digest()).decode() + "-3"
        assert (answer["ChecksumSHA256"], answer["ChecksumType"]) == (expected, "COMPOSITE")
        asked = ["Checksum", "ObjectParts"]
        found = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=asked, MaxParts=2)
        assert found["Checksum"] == {"ChecksumSHA256": expected, "ChecksumType": "COMPOSITE"}
        assert (found["ObjectParts"]["TotalPartsCount"], found["ObjectParts"]["IsTruncated"]) == (3, True)
        assert [part["Size"] for part in found["ObjectParts"]["Parts"]] == [PART, PART]
        assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == body

    def test_full_object(self, s3, bucket, body):
        created = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        upload = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
        parts = put_parts(s3, upload, body)
        expected = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        answer = complete(s3, upload, parts, ChecksumCRC32=expected, ChecksumType="FULL_OBJECT")
        assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == (expected, "FULL_OBJECT")

    def test_a_wrong_one_is_refused(self, s3, bucket, refused):
        created = s3.create_multipart_upload(Bucket=bucket, Key="k", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        upload = {"Bucket": bucket, "Key": "k", "UploadId": created["UploadId"]}
        parts = put_parts(s3, upload, b"content")
        assert refused(complete, s3=s3, upload=upload, parts=parts, ChecksumCRC32="AAAAAA==")["Code"] == "BadDigest"
        error = refused(s3.upload_part, **upload, PartNumber=2, Body=b"x", ChecksumAlgorithm="SHA1")
        assert (error["Code"], "crc32" in error["Message"]) == ("InvalidRequest", True)
        error = refused(s3.upload_part, **upload, PartNumber=2, Body=b"x", ChecksumCRC32="AAAAAA==")
        assert error["Code"] == "BadDigest"
        for algorithm, kind in (("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE")):
            error = refused(s3.create_multipart_upload, Bucket=bucket, Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind)
            assert error["Code"] == "InvalidRequest"


class TestCopiedParts:
    """UploadPartCopy."""

    def test_whole_objects_and_ranges(self, s3, upload, body):
        s3.put_object(Bucket=upload["Bucket"], Key="source", Body=body)
        source = {"Bucket": upload["Bucket"], "Key": "source"}
        first = s3.upload_part_copy(**upload, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=10-{PART + 9}")
        second = s3.upload_part_copy(**upload, PartNumber=2, CopySource=source)
        etags = [answer["CopyPartResult"]["ETag"] for answer in (first, second)]
        assert etags[1] == f'"{hashlib.md5(body).hexdigest()}"'
        complete(s3, upload, [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)])
        assert s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"])["Body"].read() == body[10 : PART + 10] + body

    def test_what_is_wrong(self, s3, upload, refused):
        s3.put_object(Bucket=upload["Bucket"], Key="source", Body=b"0123456789")
        source = {"Bucket": upload["Bucket"], "Key": "source"}
        for asked in ("bytes=0-10", "bytes=5-", "bytes=9-0", "0-5"):
            error = refused(s3.upload_part_copy, **upload, PartNumber=1, CopySource=source, CopySourceRange=asked)
            assert error["Code"] == "InvalidArgument"
        missing = source | {"Key": "missing"}
        assert refused(s3.upload_part_copy, **upload, PartNumber=1, CopySource=missing)["Code"] == "NoSuchKey"


def test_the_transfer_manager_both_ways(s3, bucket):
    body = os.urandom(33 * MIB + 17)
    settings = TransferConfig(multipart_chunksize=5 * MIB, max_concurrency=8)
    s3.upload_fileobj(io.BytesIO(body), bucket, "k", Config=settings, ExtraArgs={"ContentType": "text/csv"})
    received = io.BytesIO()
    s3.download_fileobj(bucket, "k", received, Config=settings)
    assert received.getvalue() == body
    s3.copy({"Bucket": bucket, "Key": "k"}, bucket, "copy", Config=settings)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    assert s3.head_object(Bucket=bucket, Key="copy")["ContentType"] == "text/csv"


def test_conditions_hold_at_completion(s3, upload, refused):
    parts = put_parts(s3, upload, b"content")
    s3.put_object(Bucket=upload["Bucket"], Key=upload["Key"], Body=b"first")
    assert refused(complete, s3=s3, upload=upload, parts=parts, IfNoneMatch="*")["Code"] == "PreconditionFailed"
    assert s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"])["Body"].read() == b"first"
    complete(s3, upload, parts)
