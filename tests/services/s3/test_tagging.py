"""Tags of objects and buckets."""

from __future__ import annotations

import pytest

TAGS = [{"Key": "team", "Value": "a b+c"}, {"Key": "ä", "Value": ""}]


def test_object_tags_round_trip(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", Tagging="team=a%20b%2Bc&%C3%A4=")
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == TAGS
    s3.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": TAGS[:1]})
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == TAGS[:1]
    assert s3.delete_object_tagging(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == []
    for call in (s3.get_object_tagging, s3.delete_object_tagging):
        assert refused(call, Bucket=bucket, Key="missing")["Code"] == "NoSuchKey"


def test_bucket_tags_round_trip(s3, bucket, refused):
    assert refused(s3.get_bucket_tagging, Bucket=bucket)["Code"] == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": TAGS})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == TAGS
    s3.delete_bucket_tagging(Bucket=bucket)
    assert refused(s3.get_bucket_tagging, Bucket=bucket)["Code"] == "NoSuchTagSet"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}], "InvalidTag"),
        ([{"Key": "k" * 129, "Value": ""}], "InvalidTag"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidTag"),
        ([{"Key": "aws:k", "Value": ""}], "InvalidTag"),
        ([{"Key": str(number), "Value": ""} for number in range(11)], "BadRequest"),
    ],
)
def test_bad_tags(s3, bucket, refused, tags, code):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    error = refused(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging={"TagSet": tags})
    assert (error["Code"], error["status"]) == (code, 400)
