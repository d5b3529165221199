"""Buckets: names are global and checked, regions follow the endpoint, owners are kept apart."""

from __future__ import annotations

import uuid
from urllib.parse import quote

import pytest


def fresh() -> str:
    return f"b-{uuid.uuid4().hex}"


def test_a_bucket_exists_until_it_is_deleted(s3, refused):
    name = fresh()
    assert s3.create_bucket(Bucket=name)["Location"] == f"/{name}"
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    assert name in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert s3.delete_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refused(s3.head_bucket, Bucket=name)["Code"] == "404"
    error = refused(s3.delete_bucket, Bucket=name)
    assert (error["Code"], error["status"], error["BucketName"]) == ("NoSuchBucket", 404, name)


def test_a_name_is_taken_for_every_account(server, s3, refused):
    name = fresh()
    s3.create_bucket(Bucket=name)
    error = refused(server.client("s3", account="111122223333").create_bucket, Bucket=name)
    assert (error["Code"], error["status"], error["BucketName"]) == ("BucketAlreadyExists", 409, name)


def test_creating_my_bucket_again_is_an_error_outside_us_east_1_only(server, s3, refused):
    name, other = fresh(), fresh()
    s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket=name)

    west = server.client("s3", region="eu-west-1")
    here = {"LocationConstraint": "eu-west-1"}
    west.create_bucket(Bucket=other, CreateBucketConfiguration=here)
    error = refused(west.create_bucket, Bucket=other, CreateBucketConfiguration=here)
    assert (error["Code"], error["status"]) == ("BucketAlreadyOwnedByYou", 409)


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "us-west-2", "IllegalLocationConstraintException"),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "the-moon", "InvalidLocationConstraint"),
    ],
)
def test_a_location_that_does_not_fit_the_endpoint_is_refused(server, refused, region, constraint, code):
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    error = refused(server.client("s3", region=region).create_bucket, Bucket=fresh(), **configuration)
    assert (error["Code"], error["status"]) == (code, 400)


@pytest.mark.parametrize(("constraint", "region"), [(None, "us-east-1"), ("eu-central-1", "eu-central-1"), ("EU", "eu-west-1")])
def test_the_location_is_the_constraint(s3, constraint, region):
    name = fresh()
    configuration = {"CreateBucketConfiguration": {"LocationConstraint": constraint}} if constraint else {}
    s3.create_bucket(Bucket=name, **configuration)
    assert s3.get_bucket_location(Bucket=name)["LocationConstraint"] == (None if region == "us-east-1" else region)
    head = s3.head_bucket(Bucket=name)
    assert head["BucketRegion"] == region
    assert head["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == region


@pytest.mark.parametrize(
    "name",
    ["Abc", "ab", "a" * 64, "a_b", "-abc", "abc-", "a..b", "192.168.0.1", "xn--abc", "abc-s3alias", "sthree-abc", "a b c"],
)
def test_a_bad_name_is_refused(raw, name):
    status, _, body = raw("PUT", f"/{quote(name)}")
    assert (status, b"<Code>InvalidBucketName</Code>" in body) == (400, True)


def test_another_accounts_bucket_is_closed(server, bucket, refused):
    stranger = server.client("s3", account="222233334444")
    assert refused(stranger.head_bucket, Bucket=bucket)["status"] == 403
    for call, arguments in [
        (stranger.put_object, {"Key": "k", "Body": b""}),
        (stranger.get_object, {"Key": "k"}),
        (stranger.list_objects_v2, {}),
        (stranger.delete_bucket, {}),
        (stranger.get_bucket_tagging, {}),
    ]:
        error = refused(call, Bucket=bucket, **arguments)
        assert (error["Code"], error["status"]) == ("AccessDenied", 403)
    assert bucket not in [found["Name"] for found in stranger.list_buckets()["Buckets"]]


def test_a_wrong_expected_owner_is_denied_everywhere(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    s3.head_bucket(Bucket=bucket, ExpectedBucketOwner="000000000000")
    for call, arguments in [
        (s3.get_object, {"Key": "k"}),
        (s3.put_object, {"Key": "k", "Body": b""}),
        (s3.delete_object, {"Key": "k"}),
        (s3.list_objects_v2, {}),
        (s3.get_bucket_location, {}),
        (s3.create_multipart_upload, {"Key": "k"}),
        (s3.delete_objects, {"Delete": {"Objects": [{"Key": "k"}]}}),
        (s3.delete_bucket, {}),
    ]:
        error = refused(call, Bucket=bucket, ExpectedBucketOwner="999999999999", **arguments)
        assert (error["Code"], error["status"]) == ("AccessDenied", 403), call
    assert refused(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner="999999999999")["status"] == 403


def test_a_bucket_with_objects_cannot_be_deleted(s3, bucket, refused):
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    error = refused(s3.delete_bucket, Bucket=bucket)
    assert (error["Code"], error["status"], error["BucketName"]) == ("BucketNotEmpty", 409, bucket)
    s3.delete_object(Bucket=bucket, Key="k")
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    s3.delete_bucket(Bucket=bucket)


def test_buckets_are_listed_by_page_prefix_and_region(server):
    s3 = server.client("s3", account="333344445555")
    names = [f"pages-{letter}-{uuid.uuid4().hex[:8]}" for letter in "abcde"]
    for name in names:
        s3.create_bucket(Bucket=name)
    s3.create_bucket(Bucket="other-" + names[0], CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    seen, token = [], {}
    while True:
        page = s3.list_buckets(MaxBuckets=2, Prefix="pages-", **token)
        assert len(page["Buckets"]) <= 2
        seen += [bucket["Name"] for bucket in page["Buckets"]]
        if "ContinuationToken" not in page:
            break
        token = {"ContinuationToken": page["ContinuationToken"]}
    assert seen == names
    assert [bucket["Name"] for bucket in s3.list_buckets(BucketRegion="eu-west-1")["Buckets"]] == ["other-" + names[0]]


def test_bucket_parameters_that_are_not_enforced_are_refused_by_name(s3, refused):
    for parameter, name in [
        ({"ACL": "public-read"}, "x-amz-acl"),
        ({"GrantRead": "id=1"}, "x-amz-grant-read"),
        ({"ObjectLockEnabledForBucket": True}, "x-amz-bucket-object-lock-enabled"),
        ({"ObjectOwnership": "ObjectWriter"}, "x-amz-object-ownership"),
    ]:
        error = refused(s3.create_bucket, Bucket=fresh(), **parameter)
        assert (error["Code"], error["status"]) == ("NotImplemented", 501)
        assert name in error["Message"]
    s3.create_bucket(Bucket=fresh(), ACL="private", ObjectOwnership="BucketOwnerEnforced")


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}}),
        ("put_bucket_policy", {"Policy": "{}"}),
        ("put_bucket_acl", {"ACL": "public-read"}),
        ("put_bucket_website", {"WebsiteConfiguration": {"IndexDocument": {"Suffix": "i"}}}),
        ("put_bucket_cors", {"CORSConfiguration": {"CORSRules": []}}),
        ("put_bucket_logging", {"BucketLoggingStatus": {}}),
        ("put_public_access_block", {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}),
    ],
)
def test_what_clary_does_not_do_says_so(s3, bucket, refused, operation, arguments):
    error = refused(getattr(s3, operation), Bucket=bucket, **arguments)
    assert (error["Code"], error["status"]) == ("NotImplemented", 501)


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ("get_bucket_policy", "NoSuchBucketPolicy"),
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_public_access_block", "NoSuchPublicAccessBlockConfiguration"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_tagging", "NoSuchTagSet"),
    ],
)
def test_probes_of_what_is_not_configured_answer_as_aws_does(s3, bucket, refused, operation, code):
    error = refused(getattr(s3, operation), Bucket=bucket)
    assert (error["Code"], error["status"], error["BucketName"]) == (code, 404, bucket)
    assert refused(getattr(s3, operation), Bucket="no-such-bucket-here")["Code"] == "NoSuchBucket"


def test_versioning_is_not_enabled_and_the_owner_has_full_control(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    grants = s3.get_bucket_acl(Bucket=bucket)["Grants"]
    assert [grant["Permission"] for grant in grants] == ["FULL_CONTROL"]
    assert grants[0]["Grantee"]["Type"] == "CanonicalUser"
    controls = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]
    assert controls["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
