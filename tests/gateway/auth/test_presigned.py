"""Presigned URLs and forms made by boto3, in both signature versions, with keys the server can verify."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import urllib3
from tests.gateway.auth.raw import error_of

HTTP = urllib3.PoolManager(retries=False)


@pytest.fixture(scope="module")
def keys(server):
    iam = server.client("iam", account="333344445555")
    iam.create_user(UserName="signer")
    key = iam.create_access_key(UserName="signer")["AccessKey"]
    server.client("s3", account="333344445555").create_bucket(Bucket="presigned")
    return {"access_key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


@pytest.fixture(scope="module", params=["s3", "s3v4"])
def signer(request, server, keys):
    """S3 clients that presign in one version: with the right secret and with a wrong one. `plain` makes ordinary requests."""
    right = server.client("s3", signature_version=request.param, **keys)
    wrong = server.client("s3", signature_version=request.param, **keys | {"secret": "wrong"})
    return SimpleNamespace(right=right, wrong=wrong, plain=server.client("s3", **keys), version=request.param)


def test_get_with_response_headers_and_strange_keys(signer):
    key = "a b/ü+&?=%41~.txt"
    signer.plain.put_object(Bucket="presigned", Key=key, Body=b"content")
    wanted = {"Bucket": "presigned", "Key": key, "ResponseContentType": "text/x; charset=ü", "ResponseCacheControl": "no-cache"}
    answer = HTTP.request("GET", signer.right.generate_presigned_url("get_object", Params=wanted))
    assert (answer.status, answer.data, answer.headers["cache-control"]) == (200, b"content", "no-cache")
    refused = HTTP.request("GET", signer.wrong.generate_presigned_url("get_object", Params=wanted))
    assert (refused.status, error_of(refused.data)[0]) == (403, "SignatureDoesNotMatch")


def test_the_url_version_is_what_was_asked_for(signer):
    query = urlsplit(signer.right.generate_presigned_url("list_buckets")).query
    assert ("X-Amz-Signature" in query) == (signer.version == "s3v4")


def test_put_with_signed_headers(signer):
    wanted = {"Bucket": "presigned", "Key": "put", "ContentType": "text/plain", "Metadata": {"colour": "blue"}}
    url = signer.right.generate_presigned_url("put_object", Params=wanted)
    headers = {"Content-Type": "text/plain", "x-amz-meta-colour": "blue"}
    assert HTTP.request("PUT", url, body=b"data", headers=headers).status == 200
    assert signer.plain.head_object(Bucket="presigned", Key="put")["Metadata"] == {"colour": "blue"}
    changed = headers | {"x-amz-meta-colour": "red"}
    assert HTTP.request("PUT", url, body=b"data", headers=changed).status == 403
    assert HTTP.request("PUT", url, body=b"data", headers=headers | {"x-amz-storage-class": "GLACIER"}).status == 403
    assert HTTP.request("GET", url).status == 403


def test_a_part_of_a_multipart_upload(signer):
    upload = signer.plain.create_multipart_upload(Bucket="presigned", Key="parts")["UploadId"]
    part = {"Bucket": "presigned", "Key": "parts", "UploadId": upload, "PartNumber": 1}
    url = signer.right.generate_presigned_url("upload_part", Params=part)
    etag = HTTP.request("PUT", url, body=b"part").headers["etag"]
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    signer.plain.complete_multipart_upload(Bucket="presigned", Key="parts", UploadId=upload, MultipartUpload=parts)


def test_an_expired_url_is_refused_whatever_the_key(signer, server):
    """Also with a key that the server does not know."""
    any_key = server.client("s3", account="333344445555", signature_version=signer.version)
    for client in (signer.right, any_key):
        url = client.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "k"}, ExpiresIn=1)
        while (answer := HTTP.request("GET", url)).status == 404:  # there is no such key
            pass
        assert (answer.status, *error_of(answer.data)) == (403, "AccessDenied", "Request has expired")


@pytest.mark.parametrize("signer", ["s3"], indirect=True)
def test_what_a_version_2_signature_does_not_cover_does_not_choose_another_operation(signer):
    url = signer.right.generate_presigned_url("list_objects", Params={"Bucket": "presigned"})
    assert HTTP.request("GET", url).status == 200
    assert HTTP.request("GET", f"{url}&list-type=2").status == 200
    for added in ("encryption", "publicAccessBlock", "intelligent-tiering", "tagging", "uploads"):
        answer = HTTP.request("GET", f"{url}&{added}")
        assert (answer.status, error_of(answer.data)[0]) == (403, "SignatureDoesNotMatch"), added


def test_incomplete_urls_are_refused(server):
    for query in (
        "AWSAccessKeyId=test",
        "AWSAccessKeyId=test&Signature=x&Expires=soon",
        "X-Amz-Credential=test",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20260101/us-east-1/s3/aws4_request&X-Amz-Date=20260101T000000Z"
        "&X-Amz-Expires=0&X-Amz-SignedHeaders=host&X-Amz-Signature=0",
    ):
        assert HTTP.request("GET", f"{server.endpoint}/presigned/k?{query}").status in (400, 403)


def test_a_browser_form(signer):
    conditions = [["content-length-range", 1, 100], {"x-amz-meta-colour": "blue"}]
    made = signer.right.generate_presigned_post(
        "presigned", "forms/${filename}", Fields={"x-amz-meta-colour": "blue"}, Conditions=conditions
    )
    form = made["fields"] | {"file": ("name.txt", b"from a form", "text/plain")}
    assert HTTP.request("POST", made["url"], fields=form).status == 204
    stored = signer.plain.get_object(Bucket="presigned", Key="forms/name.txt")
    assert (stored["Body"].read(), stored["Metadata"]) == (b"from a form", {"colour": "blue"})


def test_a_form_with_a_wrong_signature_or_another_policy_is_refused(signer):
    made = signer.wrong.generate_presigned_post("presigned", "forms/refused")
    other = signer.right.generate_presigned_post("presigned", "forms/other")
    spliced = signer.right.generate_presigned_post("presigned", "forms/refused")["fields"] | {
        "policy": other["fields"]["policy"]
    }
    unsigned = {"key": "forms/refused"}
    for fields in (made["fields"], spliced, unsigned):
        answer = HTTP.request("POST", made["url"], fields=fields | {"file": ("n", b"x")})
        assert answer.status == 403
    assert "Contents" not in signer.plain.list_objects_v2(Bucket="presigned", Prefix="forms/refused")


def test_get_caller_identity_can_be_presigned(server, keys):
    """As EKS and Vault use it to prove who they are."""
    url = server.client("sts", **keys).generate_presigned_url("get_caller_identity", HttpMethod="GET")
    answer = HTTP.request("GET", url)
    assert answer.status == 200
    assert b"user/signer" in answer.data
    assert HTTP.request("GET", url.replace("Version", "Versio")).status == 403


def test_a_version_2_url_is_for_s3_alone(server, keys):
    """It signs neither host nor query, in which other services' requests could stand."""
    url = server.client("s3", signature_version="s3", **keys).generate_presigned_url("list_buckets")
    assert HTTP.request("GET", url).status == 200
    answer = HTTP.request("GET", f"{url}&Action=ListUsers&Version=2010-05-08")
    assert (answer.status, error_of(answer.data)[0]) == (403, "SignatureDoesNotMatch")
