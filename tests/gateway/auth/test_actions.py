"""Operation -> IAM actions and resources, as the service authorization reference has them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from clary.core.service import Context, Identity
from clary.gateway.auth.actions import needs_of
from clary.services.iam.rows import home
from clary.storage.resources import ResourceStore

SAGEMAKER = "arn:aws:sagemaker:eu-west-1:111122223333"
IAM = "arn:aws:iam::111122223333"
LOGS = "arn:aws:logs:eu-west-1:111122223333:log-group"


@pytest.fixture
def needs(tmp_path):
    """What an operation needs in an account that has the user `/team/bert`."""
    store = ResourceStore.open(tmp_path / "resources.db")
    arn = f"{IAM}:user/team/bert"
    asyncio.run(store.write(lambda tx: tx.insert("iam-user", home("111122223333"), "bert", arn=arn, document={}, created=0)))
    identity = Identity("111122223333", f"{IAM}:user/anna", "user")

    def ask(service: str, operation: str, request: dict[str, Any]):
        platform: Any = SimpleNamespace(resources=store)
        return needs_of(Context(platform, service, operation, identity, "eu-west-1", "id"), request)

    yield ask
    asyncio.run(store.close())


@pytest.mark.parametrize(
    ("service", "operation", "request_", "expected"),
    [
        ("logs", "GetLogEvents", {"logGroupIdentifier": f"{LOGS}:/g"}, [("logs:GetLogEvents", f"{LOGS}:/g:*")]),
        ("logs", "FilterLogEvents", {"logGroupIdentifier": f"{LOGS}:/g:*"}, [("logs:FilterLogEvents", f"{LOGS}:/g:*")]),
        ("s3", "ListBuckets", {}, [("s3:ListAllMyBuckets", "*")]),
        ("s3", "CreateBucket", {"Bucket": "b"}, [("s3:CreateBucket", "arn:aws:s3:::b")]),
        ("s3", "HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "p"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "k/l"}, [("s3:GetObject", "arn:aws:s3:::b/k/l")]),
        ("s3", "UploadPart", {"Bucket": "b", "Key": "k", "PartNumber": 1}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
        (
            "s3",
            "CopyObject",
            {"Bucket": "b", "Key": "k", "CopySource": "/from/a%20b?versionId=1"},
            [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::from/a b")],
        ),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "k"}, {"Key": "l"}]}},
            [("s3:DeleteObject", "arn:aws:s3:::b/k"), ("s3:DeleteObject", "arn:aws:s3:::b/l")],
        ),
        (
            "sagemaker",
            "CreateTrainingJob",
            {"TrainingJobName": "j", "RoleArn": "r"},
            [("sagemaker:CreateTrainingJob", f"{SAGEMAKER}:training-job/j")],
        ),
        (
            "sagemaker",
            "CreateEndpoint",
            {"EndpointConfigName": "c", "EndpointName": "e"},
            [("sagemaker:CreateEndpoint", f"{SAGEMAKER}:endpoint/e")],
        ),
        (
            "sagemaker",
            "CreateTransformJob",
            {"ModelName": "m", "TransformJobName": "t"},
            [("sagemaker:CreateTransformJob", f"{SAGEMAKER}:transform-job/t")],
        ),
        ("sagemaker", "ListTrainingJobs", {}, [("sagemaker:ListTrainingJobs", "*")]),
        ("sagemaker", "AddTags", {"ResourceArn": f"{SAGEMAKER}:model/m"}, [("sagemaker:AddTags", f"{SAGEMAKER}:model/m")]),
        (
            "sagemaker-runtime",
            "InvokeEndpoint",
            {"EndpointName": "e"},
            [("sagemaker:InvokeEndpoint", f"{SAGEMAKER}:endpoint/e")],
        ),
        ("iam", "CreateUser", {"UserName": "u", "Path": "/p/"}, [("iam:CreateUser", f"{IAM}:user/p/u")]),
        ("iam", "DeleteUser", {"UserName": "bert"}, [("iam:DeleteUser", f"{IAM}:user/team/bert")]),
        ("iam", "GetPolicy", {"PolicyArn": f"{IAM}:policy/p"}, [("iam:GetPolicy", f"{IAM}:policy/p")]),
        (
            "iam",
            "AttachRolePolicy",
            {"RoleName": "r", "PolicyArn": f"{IAM}:policy/p"},
            [("iam:AttachRolePolicy", f"{IAM}:role/r")],
        ),
        ("iam", "ListUsers", {}, [("iam:ListUsers", "*")]),
        (
            "logs",
            "GetLogEvents",
            {"logGroupName": "/g", "logStreamName": "s"},
            [("logs:GetLogEvents", f"{LOGS}:/g:log-stream:s")],
        ),
        ("logs", "DescribeLogStreams", {"logGroupName": "/g"}, [("logs:DescribeLogStreams", f"{LOGS}:/g:*")]),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", "*")]),
        ("sts", "GetCallerIdentity", {}, []),
        ("sts", "GetAccessKeyInfo", {"AccessKeyId": "k"}, [("sts:GetAccessKeyInfo", "*")]),
    ],
)
def test_what_an_operation_needs(needs, service, operation, request_, expected):
    assert needs(service, operation, request_) == expected
