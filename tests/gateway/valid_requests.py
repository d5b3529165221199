"""Requests that succeed, to be spoiled in one place: generated values alone rarely get past the first check of a handler."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta
from typing import Any

ROLE = "arn:aws:iam::000000000000:role/fuzz"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
MODEL = "arn:aws:sagemaker:us-east-1:000000000000:model/fuzz"
POLICY = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "sagemaker.amazonaws.com"}}]}'
)
PERMISSIONS = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
NOW = datetime.now(UTC).replace(microsecond=0)
THEN = NOW - timedelta(hours=1)

KNOWN: dict[str, list[str]] = {
    "Bucket": ["fuzz"],
    "Key": ["an/object"],
    "CopySource": ["fuzz/an/object"],
    "ExpectedBucketOwner": ["000000000000"],
    "ExpectedSourceBucketOwner": ["000000000000"],
    "RoleName": ["fuzz"],
    "UserName": ["fuzz"],
    "GroupName": ["fuzz"],
    "PolicyName": ["fuzz"],
    "PolicyArn": ["arn:aws:iam::000000000000:policy/fuzz", "arn:aws:iam::aws:policy/AmazonS3FullAccess"],
    "VersionId": ["v1"],
    "InstanceProfileName": ["fuzz"],
    "PolicyDocument": [PERMISSIONS],
    "AssumeRolePolicyDocument": [POLICY],
    "RoleArn": [ROLE],
    "ExecutionRoleArn": [ROLE],
    "ModelName": ["fuzz"],
    "EndpointConfigName": ["fuzz"],
    "TrainingJobName": ["fuzz"],
    "ResourceArn": [MODEL],
    "logGroupName": ["/fuzz"],
    "logStreamName": ["fuzz"],
    "resourceArn": ["arn:aws:logs:us-east-1:000000000000:log-group:/fuzz"],
    "repositoryName": ["sagemaker-xgboost", "fuzz"],
    "registryId": ["683313688378", "000000000000"],
    "Namespace": ["fuzz"],
}
"""Values that mean something to a furnished server, by member name."""

_CHANNEL = {
    "ChannelName": "train",
    "ContentType": "text/csv",
    "DataSource": {
        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://fuzz/an/", "S3DataDistributionType": "FullyReplicated"}
    },
}
_POINT = {
    "MetricName": "m",
    "Timestamp": NOW,
    "Value": 1.0,
    "Unit": "Count",
    "Dimensions": [{"Name": "d", "Value": "v"}],
}
_STATISTIC = {
    "Metric": {"Namespace": "fuzz", "MetricName": "m", "Dimensions": [{"Name": "d", "Value": "v"}]},
    "Period": 60,
    "Stat": "Average",
}

VALID: dict[str, dict[str, Any]] = {
    "CreateTrainingJob": {
        "TrainingJobName": "fuzz",
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "HyperParameters": {"num_round": "1", "objective": "reg:squarederror"},
        "InputDataConfig": [_CHANNEL, _CHANNEL | {"ChannelName": "validation"}],
        "OutputDataConfig": {"S3OutputPath": "s3://fuzz/out", "KmsKeyId": ""},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Tags": [{"Key": "k", "Value": "v"}],
        "Environment": {"A": "b"},
    },
    "CreateModel": {
        "ModelName": "fuzz",
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": "s3://fuzz/an/object", "Environment": {"A": "b"}},
        "ExecutionRoleArn": ROLE,
    },
    "CreateEndpointConfig": {
        "EndpointConfigName": "fuzz",
        "ProductionVariants": [
            {
                "VariantName": "all",
                "ModelName": "fuzz",
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "InitialVariantWeight": 1.0,
            }
        ],
    },
    "CreateEndpoint": {"EndpointName": "fuzz", "EndpointConfigName": "fuzz"},
    "UpdateEndpoint": {"EndpointName": "fuzz", "EndpointConfigName": "fuzz"},
    "UpdateEndpointWeightsAndCapacities": {
        "EndpointName": "fuzz",
        "DesiredWeightsAndCapacities": [{"VariantName": "all", "DesiredWeight": 1.0, "DesiredInstanceCount": 1}],
    },
    "InvokeEndpoint": {"EndpointName": "fuzz", "Body": b"1,2", "ContentType": "text/csv"},
    "CreateTransformJob": {
        "TransformJobName": "fuzz",
        "ModelName": "fuzz",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://fuzz/an/"}},
            "ContentType": "text/csv",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://fuzz/out", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    },
    "ListTrainingJobs": {
        "NameContains": "f",
        "CreationTimeAfter": THEN,
        "SortBy": "Name",
        "SortOrder": "Ascending",
        "MaxResults": 1,
    },
    "PutLogEvents": {
        "logGroupName": "/fuzz",
        "logStreamName": "fuzz",
        "logEvents": [{"timestamp": 1_700_000_000_000, "message": "a"}, {"timestamp": 1_700_000_000_001, "message": "b"}],
    },
    "GetLogEvents": {"logGroupName": "/fuzz", "logStreamName": "fuzz", "startFromHead": True, "limit": 1, "startTime": 1},
    "FilterLogEvents": {"logGroupName": "/fuzz", "filterPattern": "?a -b", "limit": 1, "startTime": 1, "endTime": 2},
    "DescribeLogStreams": {"logGroupName": "/fuzz", "orderBy": "LastEventTime", "descending": True, "limit": 1},
    "PutRetentionPolicy": {"logGroupName": "/fuzz", "retentionInDays": 7},
    "PutMetricData": {"Namespace": "fuzz", "MetricData": [_POINT, _POINT | {"Values": [1.0, 2.0], "Counts": [1.0, 2.0]}]},
    "GetMetricData": {
        "MetricDataQueries": [{"Id": "a", "MetricStat": _STATISTIC, "ReturnData": True}],
        "StartTime": THEN,
        "EndTime": NOW,
        "ScanBy": "TimestampAscending",
        "MaxDatapoints": 10,
    },
    "GetMetricStatistics": {
        "Namespace": "fuzz",
        "MetricName": "m",
        "StartTime": THEN,
        "EndTime": NOW,
        "Period": 3600,
        "Statistics": ["Average", "Sum"],
    },
    "AssumeRole": {"RoleArn": ROLE, "RoleSessionName": "fuzz", "DurationSeconds": 900, "Policy": PERMISSIONS},
    "SimulatePrincipalPolicy": {"PolicySourceArn": ROLE, "ActionNames": ["s3:GetObject"], "ResourceArns": ["*"]},
    "CompleteMultipartUpload": {
        "Bucket": "fuzz",
        "Key": "a/part",
        "UploadId": "none",
        "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]},
    },
    "DeleteObjects": {"Bucket": "fuzz", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y"}], "Quiet": False}},
    "PutObject": {"Bucket": "fuzz", "Key": "a/b", "Body": b"abc", "Metadata": {"a": "b"}, "ContentType": "text/csv"},
    "CopyObject": {"Bucket": "fuzz", "Key": "copy", "CopySource": "fuzz/an/object", "MetadataDirective": "REPLACE"},
    "GetObject": {"Bucket": "fuzz", "Key": "an/object", "Range": "bytes=0-1", "IfModifiedSince": THEN},
    "HeadObject": {"Bucket": "fuzz", "Key": "an/object", "PartNumber": 1},
    "ListObjectsV2": {
        "Bucket": "fuzz",
        "Prefix": "a",
        "Delimiter": "/",
        "MaxKeys": 1,
        "StartAfter": "a",
        "EncodingType": "url",
    },
    "ListObjects": {"Bucket": "fuzz", "Prefix": "a", "Delimiter": "/", "MaxKeys": 1, "Marker": "a", "EncodingType": "url"},
    "PutObjectTagging": {"Bucket": "fuzz", "Key": "an/object", "Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}},
    "PutBucketEncryption": {
        "Bucket": "fuzz",
        "ServerSideEncryptionConfiguration": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]
        },
    },
}
"""By operation; the rest is generated with `KNOWN`."""


def furnish(server: Any) -> dict[str, list[str]]:
    """Make the things that `KNOWN` and `VALID` name; those that exist already stay. `KNOWN`, and what got its name here."""
    s3, iam, logs, sagemaker = _clients(server)
    s3.create_bucket(Bucket="fuzz")
    s3.put_object(Bucket="fuzz", Key="an/object", Body=b"1,2\n3,4\n")
    for make in (
        lambda: iam.create_role(RoleName="fuzz", AssumeRolePolicyDocument=POLICY),
        lambda: iam.create_user(UserName="fuzz"),
        lambda: iam.create_group(GroupName="fuzz"),
        lambda: iam.create_policy(PolicyName="fuzz", PolicyDocument=PERMISSIONS),
        lambda: iam.create_instance_profile(InstanceProfileName="fuzz"),
        lambda: logs.create_log_group(logGroupName="/fuzz"),
        lambda: logs.create_log_stream(logGroupName="/fuzz", logStreamName="fuzz"),
        lambda: sagemaker.create_model(**VALID["CreateModel"]),
        lambda: sagemaker.create_endpoint_config(**VALID["CreateEndpointConfig"]),
    ):
        _unless_there(make)
    upload = s3.create_multipart_upload(Bucket="fuzz", Key="an/object")
    return KNOWN | {"UploadId": [upload["UploadId"]]}


@functools.cache
def _clients(server: Any) -> list[Any]:
    return [server.client(name) for name in ("s3", "iam", "logs", "sagemaker")]


def _unless_there(make: Any) -> None:
    from botocore.exceptions import ClientError

    try:
        make()
    except ClientError as error:
        if "exist" not in str(error):
            raise
