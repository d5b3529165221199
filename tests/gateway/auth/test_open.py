"""Open mode: any key pair, but a well-formed one; keys that the server issued are verified all the same."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from tests.gateway.auth.raw import send, signed


def test_a_12_digit_key_names_the_account(server):
    assert server.client("sts", account="111122223333").get_caller_identity()["Account"] == "111122223333"
    assert server.client("sts", access_key="whatever").get_caller_identity()["Account"] == "000000000000"


def test_the_caller_is_a_role_that_exists(server):
    arn = server.client("sts", account="111122223333").get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::111122223333:assumed-role/ClaryExecutionRole/clary"
    role = server.client("iam", account="111122223333").get_role(RoleName="ClaryExecutionRole")["Role"]
    assert role["Arn"] == "arn:aws:iam::111122223333:role/ClaryExecutionRole"


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=test, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/today/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=te<st/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/20260101/../s3/aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=date, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=00",
        "Basic dGVzdDp0ZXN0",
        "AWS test:signature",
        "",
    ],
)
def test_a_malformed_credential_is_refused(server, authorization):
    headers = {"Authorization": authorization, "X-Amz-Date": "20260101T000000Z"}
    status, code, message = send(server, "GET", "/", headers)
    assert (status, code) == (400, "AuthorizationHeaderMalformed")
    assert message


def test_a_well_formed_credential_is_enough(server):
    headers = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20200101/us-east-1/s3/aws4_request,SignedHeaders=host,Signature="
        + "0" * 64,
        "X-Amz-Date": "20200101T000000Z",
    }
    assert send(server, "GET", "/", headers)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/", {}, "AccessDenied"),
        ("PUT", "/a-bucket", {}, "AccessDenied"),
        ("GET", "/private-bucket/key", {}, "AccessDenied"),
        ("POST", "/", {"X-Amz-Target": "SageMaker.ListModels"}, "MissingAuthenticationTokenException"),
        ("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, "MissingAuthenticationToken"),
        ("POST", "/service/GraniteServiceVersion20100801/operation/ListMetrics", {}, None),
        ("POST", "/endpoints/e/invocations", {}, None),
    ],
)
def test_an_unsigned_request_is_refused(server, method, path, headers, code):
    server.client("s3").create_bucket(Bucket="private-bucket")
    body = b"Action=ListUsers&Version=2010-05-08" if "Content-Type" in headers else b""
    found = send(server, method, path, headers, body)
    assert found[0] in (400, 403)
    if code is not None:
        assert found[1] == code


def test_issued_keys_are_verified(server):
    iam = server.client("iam", account="222233334444")
    iam.create_user(UserName="anna")
    key = iam.create_access_key(UserName="anna")["AccessKey"]
    anna = server.client("sts", access_key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    assert anna.get_caller_identity()["Arn"] == "arn:aws:iam::222233334444:user/anna"
    forger = server.client("sts", access_key=key["AccessKeyId"], secret="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forger.get_caller_identity()


def test_session_keys_are_verified_and_mean_their_role(server):
    role = "arn:aws:iam::222233334444:role/some/path/of-mine"
    session = server.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], session_token=session["SessionToken"])
    caller = server.client("sts", secret=session["SecretAccessKey"], **keys).get_caller_identity()
    assert caller["Arn"] == "arn:aws:sts::222233334444:assumed-role/of-mine/session"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        server.client("sts", secret="wrong", **keys).get_caller_identity()


def test_a_foreign_session_token_is_any_key(server):
    """Somebody's real session keys in the environment must not stop them."""
    client = server.client("sts", access_key="ASIAIOSFODNN7EXAMPLE", session_token="FwoGZXIvYXdzEBY")
    assert client.get_caller_identity()["Account"] == "000000000000"


def test_unknown_and_unimplemented_operations_are_named(server):
    headers = signed(server, "POST", "/", b"{}", service="sagemaker", headers={"X-Amz-Target": "SageMaker.CreateCastle"})
    status, code, message = send(server, "POST", "/", headers, b"{}")
    assert (status, code) == (400, "UnknownOperationException")
    assert "CreateCastle" in message
    with pytest.raises(ClientError) as error:
        server.client("sagemaker").list_hubs()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert error.value.response["Error"]["Code"] == "NotImplemented"
    assert "ListHubs" in error.value.response["Error"]["Message"]


def test_request_ids_are_in_every_answer(server):
    s3 = server.client("s3")
    first, second = (s3.list_buckets()["ResponseMetadata"] for _ in range(2))
    assert first["RequestId"] != second["RequestId"]
    with pytest.raises(ClientError) as error:
        server.client("iam").get_user(UserName="nobody-of-this-name")
    request_id = error.value.response["ResponseMetadata"]["RequestId"]
    assert f"request {request_id}: iam.GetUser: 404 NoSuchEntity" in server.log


def test_a_session_token_of_any_bytes_is_refused(server):
    headers = signed(server, "GET", "/", token="clary.x.\xe9")
    assert send(server, "GET", "/", headers)[:2] == (400, "InvalidToken")
