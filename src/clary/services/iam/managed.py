"""The AWS managed policies that SageMaker notebooks and tutorials attach by name.

Shortened from AWS's own documents: the same services and resources, actions as wildcards. A name that is not here does not
exist in Clary.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from clary.core.identifiers import derived_id


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A policy of the account `aws`; `path` begins and ends with a slash."""

    name: str
    path: str
    document: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::aws:policy{self.path}{self.name}"

    @property
    def policy_id(self) -> str:
        return derived_id("ANPA", self.arn)


def _allow(actions: str, *resources: str, **condition: object) -> dict:
    statement: dict = {"Effect": "Allow", "Action": actions.split(), "Resource": list(resources) or "*"}
    return statement | ({"Condition": condition} if condition else {})


def _policy(name: str, *statements: dict, path: str = "/") -> ManagedPolicy:
    return ManagedPolicy(name, path, json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


_LOGS = "logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents logs:DescribeLogStreams logs:GetLogEvents"
_SAGEMAKER_BUCKETS = [f"arn:aws:s3:::*{word}*" for word in ("SageMaker", "Sagemaker", "sagemaker", "aws-glue")]
_PASSED_BY_SAGEMAKER = ["sagemaker.amazonaws.com", "glue.amazonaws.com", "states.amazonaws.com", "events.amazonaws.com"]

_POLICIES = (
    _policy("AdministratorAccess", _allow("*")),
    _policy(
        "PowerUserAccess",
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        _allow("iam:CreateServiceLinkedRole iam:DeleteServiceLinkedRole iam:ListRoles account:GetAccountInformation"),
    ),
    _policy("IAMFullAccess", _allow("iam:*")),
    _policy("IAMReadOnlyAccess", _allow("iam:Generate* iam:Get* iam:List* iam:Simulate*")),
    _policy(
        "AmazonSageMakerFullAccess",
        _allow("sagemaker:* application-autoscaling:* cloudwatch:* ecr:* logs:* glue:* athena:* states:* tag:GetResources"),
        _allow("kms:DescribeKey kms:ListAliases iam:ListRoles iam:GetRole lambda:ListFunctions sns:ListTopics"),
        _allow("ec2:Describe* ec2:CreateNetworkInterface ec2:CreateNetworkInterfacePermission ec2:CreateVpcEndpoint"),
        _allow("ec2:DeleteNetworkInterface ec2:DeleteNetworkInterfacePermission"),
        _allow("s3:GetObject s3:PutObject s3:DeleteObject s3:AbortMultipartUpload", *_SAGEMAKER_BUCKETS),
        _allow("s3:CreateBucket s3:GetBucketLocation s3:ListBucket s3:ListAllMyBuckets s3:GetBucketCors s3:PutBucketCors"),
        _allow(
            "iam:PassRole", "arn:aws:iam::*:role/*", StringEquals={"iam:PassedToService": _PASSED_BY_SAGEMAKER}
        ),
    ),
    _policy("AmazonSageMakerReadOnly", _allow("sagemaker:Describe* sagemaker:List* sagemaker:Get* sagemaker:BatchGet*")),
    _policy("AmazonSageMakerFeatureStoreAccess", _allow("s3:PutObject s3:GetBucketAcl s3:PutObjectAcl", *_SAGEMAKER_BUCKETS)),
    _policy("AmazonS3FullAccess", _allow("s3:* s3-object-lambda:*")),
    _policy("AmazonS3ReadOnlyAccess", _allow("s3:Get* s3:List* s3:Describe* s3-object-lambda:Get* s3-object-lambda:List*")),
    _policy("CloudWatchFullAccess", _allow("autoscaling:Describe* cloudwatch:* logs:* sns:* iam:GetPolicy iam:GetRole")),
    _policy("CloudWatchReadOnlyAccess", _allow("cloudwatch:Describe* cloudwatch:Get* cloudwatch:List* logs:Get* logs:List*")),
    _policy("CloudWatchLogsFullAccess", _allow("logs:* cloudwatch:GenerateQuery")),
    _policy(
        "CloudWatchLogsReadOnlyAccess", _allow("logs:Describe* logs:Get* logs:List* logs:StartQuery logs:Filter*")
    ),
    _policy("AmazonEC2ContainerRegistryFullAccess", _allow("ecr:* cloudtrail:LookupEvents")),
    _policy(
        "AmazonEC2ContainerRegistryReadOnly",
        _allow("ecr:GetAuthorizationToken ecr:BatchCheckLayerAvailability ecr:BatchGetImage ecr:Describe* ecr:Get* ecr:List*"),
    ),
    _policy("AmazonAthenaFullAccess", _allow("athena:* glue:*"), _allow("s3:*", "arn:aws:s3:::aws-athena-query-results-*")),
    _policy("AWSGlueConsoleFullAccess", _allow("glue:* s3:ListBucket s3:GetBucketLocation s3:ListAllMyBuckets logs:Get*")),
    _policy(
        "AWSGlueServiceRole",
        _allow("glue:* iam:GetRole cloudwatch:PutMetricData"),
        _allow("s3:GetBucketLocation s3:ListBucket s3:ListAllMyBuckets s3:GetBucketAcl"),
        _allow("s3:CreateBucket s3:GetObject s3:PutObject s3:DeleteObject", "arn:aws:s3:::aws-glue-*"),
        _allow("s3:GetObject s3:PutObject s3:DeleteObject", "arn:aws:s3:::*/*aws-glue-*/*"),
        _allow(_LOGS, "arn:aws:logs:*:*:*:/aws-glue/*"),
        path="/service-role/",
    ),
    _policy("AWSStepFunctionsFullAccess", _allow("states:*")),
    _policy("AWSLambda_FullAccess", _allow("lambda:* logs:DescribeLogGroups cloudwatch:GetMetricData states:Describe*")),
    _policy("AWSLambdaBasicExecutionRole", _allow(_LOGS), path="/service-role/"),
    _policy("AmazonKinesisFullAccess", _allow("kinesis:*")),
    _policy("AmazonKinesisFirehoseFullAccess", _allow("firehose:*")),
    _policy("AmazonDynamoDBFullAccess", _allow("dynamodb:*")),
    _policy("SecretsManagerReadWrite", _allow("secretsmanager:*")),
    _policy("AmazonSNSFullAccess", _allow("sns:*")),
    _policy("AmazonSQSFullAccess", _allow("sqs:*")),
)  # fmt: skip

BY_ARN = {policy.arn: policy for policy in _POLICIES}
