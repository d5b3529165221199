"""Tuning where policies count: the caller passes a role, the server starts trials, the role reads the data."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.hosting import policy
from tests.services.sagemaker.test_tuning_jobs import BUCKET, ROWS, job, run

ROLE = "arn:aws:iam::000000000000:role/tuner"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from tests.conftest import Server

    server = Server(tmp_path_factory.mktemp("server") / "data", auth="strict").start()
    keys = dict(re.findall(r"^(AWS_\w+)=(.+)$", server.log, re.MULTILINE))
    secret = {"access_key": keys["AWS_ACCESS_KEY_ID"], "secret": keys["AWS_SECRET_ACCESS_KEY"]}
    s3, iam = server.client("s3", **secret), server.client("iam", **secret)
    s3.create_bucket(Bucket=BUCKET)
    for channel in ("train", "validation"):
        s3.put_object(Bucket=BUCKET, Key=f"{channel}/a.csv", Body=ROWS)
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="tuner", AssumeRolePolicyDocument=document)
    yield server, iam
    server.kill()


def caller(root: Any, name: str, *actions: str) -> Any:
    server, iam = root
    iam.create_user(UserName=name)
    for number, action in enumerate(actions):
        iam.put_user_policy(UserName=name, PolicyName=str(number), PolicyDocument=policy(action))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client("sagemaker", access_key=key["AccessKeyId"], secret=key["SecretAccessKey"])


def asked(name: str) -> dict[str, Any]:
    request = job(name, trials=2, parallel=1)
    return request | {"TrainingJobDefinition": request["TrainingJobDefinition"] | {"RoleArn": ROLE}}


def test_who_may_tune_needs_no_right_to_train(root: Any) -> None:
    sagemaker = caller(root, "tunes", "sagemaker:*HyperParameterTuningJob", "iam:PassRole")
    with pytest.raises(ClientError, match=r"No S3 objects found .* the role .*/tuner. has .s3:ListBucket. permissions"):
        sagemaker.create_hyper_parameter_tuning_job(**asked("poor"))  # the role may not read the data yet
    root[1].put_role_policy(RoleName="tuner", PolicyName="data", PolicyDocument=policy("s3:*"))
    ended = run(sagemaker, asked("allowed"))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["TrainingJobStatusCounters"]["Completed"] == 2


def test_a_role_must_be_passed(root: Any) -> None:
    sagemaker = caller(root, "passes-nothing", "sagemaker:*")
    with pytest.raises(ClientError, match="AccessDenied"):
        sagemaker.create_hyper_parameter_tuning_job(**asked("denied"))
