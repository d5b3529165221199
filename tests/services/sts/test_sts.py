"""STS through boto3 in open mode. (Strict mode: tests/gateway/auth/test_strict.py.)"""

from __future__ import annotations

import datetime

import pytest
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::555566667777:role/service-role/AmazonSageMaker-ExecutionRole-20260101T000000"


@pytest.fixture(scope="module")
def sts(server):
    return server.client("sts", account="555566667777")


def error_of(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    response = error.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_the_sdk_s_way_to_an_execution_role(server, sts):
    """What `sagemaker.get_execution_role` does with GetCallerIdentity's answer."""
    arn = sts.get_caller_identity()["Arn"]
    name = arn.split("/")[1]
    role = server.client("iam", account="555566667777").get_role(RoleName=name)["Role"]["Arn"]
    assert role == "arn:aws:iam::555566667777:role/ClaryExecutionRole"


def test_assume_role_answers_keys_that_work_until_they_expire(server, sts):
    before = datetime.datetime.now(datetime.UTC)
    answer = sts.assume_role(RoleArn=ROLE, RoleSessionName="a@b=c,d.e-f", DurationSeconds=900)
    keys = answer["Credentials"]
    assert datetime.timedelta(seconds=890) < keys["Expiration"] - before < datetime.timedelta(seconds=910)
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":a@b=c,d.e-f")
    session = server.client(
        "sts",
        access_key=keys["AccessKeyId"],
        secret=keys["SecretAccessKey"],
        session_token=keys["SessionToken"],
    )
    identity = session.get_caller_identity()
    name = "AmazonSageMaker-ExecutionRole-20260101T000000"
    assert identity["Arn"] == f"arn:aws:sts::555566667777:assumed-role/{name}/a@b=c,d.e-f"
    assert identity["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    assert identity["Account"] == "555566667777"


def test_the_id_of_a_role_that_exists_is_in_the_session(server, sts):
    iam = server.client("iam", account="555566667777")
    trust = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}}'
    role = iam.create_role(RoleName="with-id", AssumeRolePolicyDocument=trust)["Role"]
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    assert answer["AssumedRoleUser"]["AssumedRoleId"] == f"{role['RoleId']}:session"
    too_long = error_of(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="session", DurationSeconds=7200)
    assert too_long[:2] == (400, "ValidationError")
    assert "MaxSessionDuration" in too_long[2]


@pytest.mark.parametrize("arn", ["arn:aws:iam::1:role/short", "arn:aws:iam::555566667777:user/anna", "x" * 20])
def test_what_is_no_role_cannot_be_assumed(sts, arn):
    status, code, message = error_of(sts.assume_role, RoleArn=arn, RoleSessionName="session")
    assert (status, code) == (400, "ValidationError")
    assert arn in message


@pytest.mark.parametrize(
    "parameters",
    [
        {"Policy": "{}"},
        {"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]},
        {"Tags": [{"Key": "a", "Value": "b"}]},
        {"SourceIdentity": "anna"},
        {"ProvidedContexts": [{"ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter", "ContextAssertion": "eyJh"}]},
        {"SerialNumber": "arn:aws:iam::1:mfa/a", "TokenCode": "123456"},
    ],
)
def test_parameters_that_restrict_a_session_are_refused_by_name(sts, parameters):
    message = error_of(sts.assume_role, RoleArn=ROLE, RoleSessionName="session", **parameters)[2]
    assert next(iter(parameters)) in message


def test_a_session_of_the_caller(server, sts):
    keys = sts.get_session_token(DurationSeconds=900)["Credentials"]
    session = server.client(
        "sts",
        access_key=keys["AccessKeyId"],
        secret=keys["SecretAccessKey"],
        session_token=keys["SessionToken"],
    )
    assert session.get_caller_identity()["Arn"] == sts.get_caller_identity()["Arn"]
    assert sts.get_access_key_info(AccessKeyId=keys["AccessKeyId"])["Account"] == "555566667777"


def test_what_is_not_there_says_so(sts):
    assert error_of(sts.decode_authorization_message, EncodedMessage="x")[:2] == (501, "NotImplemented")
    assert error_of(sts.get_federation_token, Name="fed")[:2] == (501, "NotImplemented")
