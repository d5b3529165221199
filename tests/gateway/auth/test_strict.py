"""Strict mode end to end: the root key, keys made through IAM, signatures, policies."""

from __future__ import annotations

import datetime
import json
import re
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from tests.gateway.auth.raw import send, signed

TRUST_SAGEMAKER = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "sagemaker.amazonaws.com"}}],
    }
)


def statement(action, resource="*", effect="Allow", **more):
    one = {"Effect": effect, "Action": action, "Resource": resource} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


def root_key(server):
    found = dict(re.findall(r"^(AWS_\w+)=(.+)$", server.log, re.MULTILINE))
    return found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A strict server; `root(service)` and `as_user(name, service, policy)` are clients of it."""
    from tests.conftest import Server

    server = Server(tmp_path_factory.mktemp("strict") / "data", auth="strict").start()
    key = root_key(server)

    def root(service, **more):
        return server.client(service, access_key=key[0], secret=key[1], **more)

    def key_of(name, *policies):
        iam = root("iam")
        iam.create_user(UserName=name)
        for number, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return made["AccessKeyId"], made["SecretAccessKey"]

    def as_user(name, service, *policies):
        access_key, secret = key_of(name, *policies)
        return server.client(service, access_key=access_key, secret=secret)

    yield SimpleNamespace(server=server, root=root, key_of=key_of, as_user=as_user, root_key=key)
    server.stop()


def code_of(call, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    return error.value.response["Error"]["Code"]


def test_the_root_key_is_shown_once_and_stays(start_server):
    server = start_server(auth="strict")
    access_key, secret = root_key(server)
    server.restart()
    assert server.log.count("AWS_SECRET_ACCESS_KEY") == 1
    identity = server.client("sts", access_key=access_key, secret=secret).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::000000000000:root"


@pytest.mark.parametrize(
    ("service", "call", "unknown", "mismatch"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        ("iam", "list_users", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
        ("sagemaker", "list_models", "UnrecognizedClientException", "InvalidSignatureException"),
    ],
)
def test_wrong_keys_in_each_service_s_words(strict, service, call, unknown, mismatch):
    stranger = strict.server.client(service, access_key="AKIAIOSFODNN7EXAMPLE")
    assert code_of(getattr(stranger, call)) == unknown
    forger = strict.server.client(service, access_key=strict.root_key[0], secret="wrong")
    assert code_of(getattr(forger, call)) == mismatch
    getattr(strict.root(service), call)()


def test_a_user_may_what_its_policies_allow_and_nothing_else(strict):
    strict.root("s3").create_bucket(Bucket="strict-data")
    s3 = strict.as_user("reader", "s3", statement(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::strict-data*"]))
    strict.root("s3").put_object(Bucket="strict-data", Key="a", Body=b"1")
    assert s3.get_object(Bucket="strict-data", Key="a")["Body"].read() == b"1"
    assert s3.list_objects_v2(Bucket="strict-data")["KeyCount"] == 1
    assert code_of(s3.put_object, Bucket="strict-data", Key="b", Body=b"2") == "AccessDenied"
    assert code_of(s3.delete_objects, Bucket="strict-data", Delete={"Objects": [{"Key": "a"}]}) == "AccessDenied"
    assert code_of(s3.list_buckets) == "AccessDenied"


def test_denied_in_json_services_names_caller_action_and_resource(strict):
    sagemaker = strict.as_user("modeller", "sagemaker", statement("sagemaker:List*"))
    sagemaker.list_models()
    with pytest.raises(ClientError) as error:
        sagemaker.delete_model(ModelName="m")
    found = error.value.response["Error"]
    assert found["Code"] == "AccessDeniedException"
    assert found["Message"].startswith(
        "User: arn:aws:iam::000000000000:user/modeller is not authorized to perform: sagemaker:DeleteModel "
        "on resource: arn:aws:sagemaker:us-east-1:000000000000:model/m"
    )


def test_an_explicit_deny_wins_and_group_policies_count(strict):
    iam = strict.root("iam")
    iam.create_group(GroupName="everything")
    iam.attach_group_policy(GroupName="everything", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    user = strict.as_user("grouped", "iam", statement("iam:DeleteUser", effect="Deny"))
    assert code_of(user.list_users) == "AccessDenied"
    iam.add_user_to_group(GroupName="everything", UserName="grouped")
    user.list_users()
    assert code_of(user.delete_user, UserName="grouped") == "AccessDenied"


def test_conditions_see_the_request(strict):
    policy = statement("s3:ListBucket", Condition={"StringLike": {"s3:prefix": "home/${aws:username}/*"}})
    strict.root("s3").create_bucket(Bucket="strict-homes")
    s3 = strict.as_user("carla", "s3", policy)
    s3.list_objects_v2(Bucket="strict-homes", Prefix="home/carla/")
    assert code_of(s3.list_objects_v2, Bucket="strict-homes", Prefix="home/anna/") == "AccessDenied"
    assert code_of(s3.list_objects_v2, Bucket="strict-homes") == "AccessDenied"


def test_an_inactive_or_deleted_key_is_unknown(strict):
    access_key, secret = strict.key_of("leaver", statement("*"))
    client = strict.server.client("iam", access_key=access_key, secret=secret)
    client.list_users()
    strict.root("iam").update_access_key(UserName="leaver", AccessKeyId=access_key, Status="Inactive")
    assert code_of(client.list_users) == "InvalidClientTokenId"
    strict.root("iam").update_access_key(UserName="leaver", AccessKeyId=access_key, Status="Active")
    client.list_users()
    strict.root("iam").delete_access_key(UserName="leaver", AccessKeyId=access_key)
    assert code_of(client.list_users) == "InvalidClientTokenId"


def trust(principal, **more):
    one = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal} | more
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})


def test_a_role_is_assumed_by_those_it_trusts(strict):
    iam = strict.root("iam")
    access_key, secret = strict.key_of("actor")
    sts = strict.server.client("sts", access_key=access_key, secret=secret)
    role = iam.create_role(RoleName="stage", AssumeRolePolicyDocument=TRUST_SAGEMAKER)["Role"]["Arn"]
    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="s1") == "AccessDenied"
    me = {"AWS": "arn:aws:iam::000000000000:user/actor"}
    iam.update_assume_role_policy(RoleName="stage", PolicyDocument=trust(me))
    answer = sts.assume_role(RoleArn=role, RoleSessionName="s1", DurationSeconds=900)
    assert answer["AssumedRoleUser"]["Arn"] == "arn:aws:sts::000000000000:assumed-role/stage/s1"
    session = answer["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], secret=session["SecretAccessKey"], session_token=session["SessionToken"])
    assert strict.server.client("sts", **keys).get_caller_identity()["Arn"].endswith("assumed-role/stage/s1")
    assert code_of(strict.server.client("s3", **keys).list_buckets) == "AccessDenied"
    iam.put_role_policy(RoleName="stage", PolicyName="p", PolicyDocument=statement("s3:ListAllMyBuckets"))
    strict.server.client("s3", **keys).list_buckets()
    assert code_of(sts.assume_role, RoleArn=role, RoleSessionName="s1", DurationSeconds=7200) == "ValidationError"


def test_trust_in_an_account_leaves_the_rest_to_the_caller_s_policies(strict):
    iam = strict.root("iam")
    condition = {"StringEquals": {"sts:ExternalId": "42"}}
    document = trust({"AWS": "000000000000"}, Condition=condition)
    role = iam.create_role(RoleName="shared", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    without = strict.as_user("plain", "sts")
    assert code_of(without.assume_role, RoleArn=role, RoleSessionName="session", ExternalId="42") == "AccessDenied"
    allowed = strict.as_user("permitted", "sts", statement("sts:AssumeRole", role))
    assert code_of(allowed.assume_role, RoleArn=role, RoleSessionName="session", ExternalId="43") == "AccessDenied"
    assert code_of(allowed.assume_role, RoleArn=role, RoleSessionName="session") == "AccessDenied"
    allowed.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="42")


def test_forged_and_expired_session_tokens_are_refused(strict):
    session = strict.root("sts").get_session_token(DurationSeconds=900)["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], secret=session["SecretAccessKey"])
    good = session["SessionToken"]
    strict.server.client("sts", session_token=good, **keys).get_caller_identity()
    for forged in (good[:-4] + "0000", good.replace("clary.", "clary.e30"), "nonsense"):
        assert code_of(strict.server.client("sts", session_token=forged, **keys).get_caller_identity) == "InvalidClientTokenId"
    assert code_of(strict.server.client("sts", **keys).get_caller_identity) == "InvalidClientTokenId"


def test_a_users_session_cannot_be_renewed_and_ends_with_the_user(strict):
    iam = strict.root("iam")
    session = strict.as_user("passing", "sts").get_session_token()["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], secret=session["SecretAccessKey"], session_token=session["SessionToken"])
    client = strict.server.client("sts", **keys)
    assert client.get_caller_identity()["Arn"].endswith("user/passing")
    assert code_of(client.get_session_token) == "AccessDenied"
    for key in iam.list_access_keys(UserName="passing")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="passing", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="passing")
    assert code_of(client.get_caller_identity) == "InvalidClientTokenId"
    iam.create_user(UserName="passing")
    assert code_of(client.get_caller_identity) == "InvalidClientTokenId"


def test_a_role_that_is_made_again_does_not_revive_sessions_of_the_one_before(strict):
    iam = strict.root("iam")
    access_key, secret = strict.key_of("reviver")
    sts = strict.server.client("sts", access_key=access_key, secret=secret)
    trusting = trust({"AWS": "arn:aws:iam::000000000000:user/reviver"})
    role = iam.create_role(RoleName="brief", AssumeRolePolicyDocument=trusting)["Role"]["Arn"]
    session = sts.assume_role(RoleArn=role, RoleSessionName="s1")["Credentials"]
    keys = dict(access_key=session["AccessKeyId"], secret=session["SecretAccessKey"], session_token=session["SessionToken"])
    client = strict.server.client("sts", **keys)
    client.get_caller_identity()
    iam.delete_role(RoleName="brief")
    assert code_of(client.get_caller_identity) == "InvalidClientTokenId"
    iam.create_role(RoleName="brief", AssumeRolePolicyDocument=trusting)
    assert code_of(client.get_caller_identity) == "InvalidClientTokenId"
    again = sts.assume_role(RoleArn=role, RoleSessionName="s1")["Credentials"]
    keys = dict(access_key=again["AccessKeyId"], secret=again["SecretAccessKey"], session_token=again["SessionToken"])
    strict.server.client("sts", **keys).get_caller_identity()


def test_sessions_survive_a_restart(start_server):
    server = start_server(auth="strict")
    access_key, secret = root_key(server)
    session = server.client("sts", access_key=access_key, secret=secret).get_session_token()["Credentials"]
    server.kill()
    server.restart()
    client = server.client(
        "sts",
        access_key=session["AccessKeyId"],
        secret=session["SecretAccessKey"],
        session_token=session["SessionToken"],
    )
    assert client.get_caller_identity()["Arn"].endswith(":root")


def test_passing_a_role_needs_a_role_that_trusts_the_service_and_the_right_to_pass_it(strict):
    iam = strict.root("iam")
    iam.create_role(RoleName="untrusting", AssumeRolePolicyDocument=trust({"Service": "glue.amazonaws.com"}))
    trusting = iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=TRUST_SAGEMAKER)["Role"]["Arn"]
    sagemaker = strict.as_user("deployer", "sagemaker", statement("sagemaker:*"))
    container = {"Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"}

    def create(name, role):
        return code_of(sagemaker.create_model, ModelName=name, ExecutionRoleArn=role, PrimaryContainer=container)

    account = "arn:aws:iam::000000000000:role"
    assert create("m1", f"{account}/absent-role") == "ValidationException"
    assert create("m1", f"{account}/untrusting") == "ValidationException"
    assert create("m1", trusting) == "AccessDeniedException"
    only_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    policy = statement("iam:PassRole", trusting, Condition=only_sagemaker)
    iam.put_user_policy(UserName="deployer", PolicyName="pass", PolicyDocument=policy)
    sagemaker.create_model(ModelName="m1", ExecutionRoleArn=trusting, PrimaryContainer=container)
    elsewhere = "arn:aws:iam::111122223333:role/ClaryExecutionRole"
    root = strict.root("sagemaker")
    assert (
        code_of(root.create_model, ModelName="m2", ExecutionRoleArn=elsewhere, PrimaryContainer=container)
        == "AccessDeniedException"
    )


def test_a_changed_request_does_not_match_its_signature(strict):
    headers = signed(strict.server, "GET", "/?list-type=2", key=strict.root_key)
    assert send(strict.server, "GET", "/", headers)[1] == "SignatureDoesNotMatch"
    assert send(strict.server, "PUT", "/?list-type=2", headers)[1] == "SignatureDoesNotMatch"
    other_host = headers | {"Host": "localhost"}
    assert send(strict.server, "GET", "/?list-type=2", other_host)[1] == "SignatureDoesNotMatch"


def test_a_changed_body_is_noticed(strict):
    strict.root("s3").create_bucket(Bucket="strict-bodies")
    headers = signed(strict.server, "PUT", "/strict-bodies/k", b"right", key=strict.root_key)
    assert send(strict.server, "PUT", "/strict-bodies/k", headers, b"wrong")[:2] == (400, "XAmzContentSHA256Mismatch")
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = signed(strict.server, "POST", "/", form, service="sts", key=strict.root_key, headers=content)
    assert send(strict.server, "POST", "/", headers, form)[0] == 200
    changed = form.replace(b"GetCallerIdentity", b"GetSessionTokennn")
    assert send(strict.server, "POST", "/", headers, changed)[1] == "SignatureDoesNotMatch"


def test_a_signature_is_good_for_one_service(strict):
    form = b"Action=ListUsers&Version=2010-05-08"
    content = {"Content-Type": "application/x-www-form-urlencoded"}
    headers = signed(strict.server, "POST", "/", form, service="sts", key=strict.root_key, headers=content)
    status, code, message = send(strict.server, "POST", "/", headers, form)
    assert (status, code) == (403, "SignatureDoesNotMatch")
    assert "'iam'" in message


def test_an_old_signature_is_refused(strict, monkeypatch):
    import botocore.auth

    old = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=16)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda remove_tzinfo=True: old.replace(tzinfo=None))
    headers = signed(strict.server, "GET", "/", key=strict.root_key)
    assert old.strftime("%Y%m%dT%H") in headers["X-Amz-Date"]
    assert send(strict.server, "GET", "/", headers)[:2] == (403, "RequestTimeTooSkewed")


def test_unsigned_requests_are_refused(strict):
    assert send(strict.server, "GET", "/", {})[:2] == (403, "AccessDenied")
    target = {"X-Amz-Target": "SageMaker.ListModels", "Content-Type": "application/x-amz-json-1.1"}
    assert send(strict.server, "POST", "/", target, b"{}")[1] == "MissingAuthenticationTokenException"
    assert send(strict.server, "POST", "/endpoints/e/invocations", {}, b"1")[0] == 403


def test_a_payload_that_nobody_can_verify_is_refused(strict):
    for kind in ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "anything"):
        headers = signed(strict.server, "GET", "/", key=strict.root_key, headers={"x-amz-content-sha256": kind})
        assert send(strict.server, "GET", "/", headers)[:2] == (400, "AuthorizationHeaderMalformed")


def test_a_job_may_what_its_role_may(strict):
    """The person may train and pass the role; the role may read but not write, so the job fails at its upload, and says so."""
    iam, s3 = strict.root("iam"), strict.root("s3")
    role = iam.create_role(RoleName="read-only", AssumeRolePolicyDocument=TRUST_SAGEMAKER)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="read-only", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    iam.create_user(UserName="scientist")
    iam.attach_user_policy(UserName="scientist", PolicyArn="arn:aws:iam::aws:policy/AmazonSageMakerFullAccess")
    key = iam.create_access_key(UserName="scientist")["AccessKey"]
    sagemaker = strict.server.client("sagemaker", access_key=key["AccessKeyId"], secret=key["SecretAccessKey"])
    s3.create_bucket(Bucket="strict-training")
    s3.put_object(Bucket="strict-training", Key="train/data.csv", Body=b"0,1,2\n1,3,4\n" * 50)

    def train(name, role):
        source = {"S3DataType": "S3Prefix", "S3Uri": "s3://strict-training/train"}
        sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=role,
            AlgorithmSpecification={
                "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                "TrainingInputMode": "File",
            },
            HyperParameters={"num_round": "2", "objective": "binary:logistic"},
            InputDataConfig=[{"ChannelName": "train", "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": "s3://strict-training/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )
        while (job := sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
            pass
        return job

    job = train("may-not-write", role)
    assert job["TrainingJobStatus"] == "Failed"
    assert "assumed-role/read-only/" in job["FailureReason"]
    assert "not authorized to perform: s3:PutObject" in job["FailureReason"]
    assert train("may", "arn:aws:iam::000000000000:role/ClaryExecutionRole")["TrainingJobStatus"] == "Completed"
