"""Operation -> the IAM actions it needs, and on which resources.

Most services authorize `service:Operation` on the ARN of the resource that the request names; S3 has actions of its own.
Where a request names no resource that this table knows, the resource is `*`, which only policies for `*` cover.
Source: the service authorization reference.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from clary.core.identifiers import partition
from clary.core.service import Context
from clary.services.iam.rows import home

Needs = list[tuple[str, str]]
"""(action, resource ARN) pairs; all of them must be allowed."""

FREE = frozenset(
    [("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "AssumeRole")]  # AssumeRole asks the trust policy
)
"""Operations that need no permission of the caller's own policies."""

_PREFIX = {
    "sagemaker-runtime": "sagemaker",
    "sagemaker-featurestore-runtime": "sagemaker",
    "sagemaker-metrics": "sagemaker",
    "sagemaker-a2i-runtime": "sagemaker",
    "stepfunctions": "states",
    "emr": "elasticmapreduce",
}

_SAGEMAKER_NAMES = {
    "TrainingJobName": "training-job",
    "ProcessingJobName": "processing-job",
    "TransformJobName": "transform-job",
    "HyperParameterTuningJobName": "hyper-parameter-tuning-job",
    "AutoMLJobName": "automl-job",
    "ModelName": "model",
    "EndpointName": "endpoint",
    "EndpointConfigName": "endpoint-config",
    "NotebookInstanceName": "notebook-instance",
    "PipelineName": "pipeline",
    "FeatureGroupName": "feature-group",
    "ExperimentName": "experiment",
    "TrialName": "experiment-trial",
    "ModelPackageGroupName": "model-package-group",
    "MonitoringScheduleName": "monitoring-schedule",
}
_IAM_NAMES = {
    "UserName": "user",
    "RoleName": "role",
    "GroupName": "group",
    "InstanceProfileName": "instance-profile",
    "PolicyName": "policy",
}


def needs_of(ctx: Context, request: dict[str, Any]) -> Needs:
    """What the operation of `ctx` needs for `request`."""
    if (ctx.service, ctx.operation) in FREE:
        return []
    if ctx.service == "s3":
        return _s3(ctx.operation, request)
    action = f"{_PREFIX.get(ctx.service, ctx.service)}:{ctx.operation}"
    return [(action, _resource(ctx, request))]


def _resource(ctx: Context, request: dict[str, Any]) -> str:
    if ctx.service in ("sagemaker", "sagemaker-runtime"):
        return _first_named(ctx, request, "sagemaker", _SAGEMAKER_NAMES)
    if ctx.service == "iam":
        if arn := request.get("PolicyArn") if "Policy" in ctx.operation and not _names_holder(request) else None:
            return arn
        return _first_named(ctx, request, "iam", _IAM_NAMES)
    if ctx.service == "logs":
        return _log_group(ctx, request)
    if ctx.service == "ecr" and "repositoryName" in request:
        return f"{_start(ctx, 'ecr')}:repository/{request['repositoryName']}"
    return str(request.get("ResourceArn") or request.get("resourceArn") or "*")


def _names_holder(request: dict[str, Any]) -> bool:
    return any(name in request for name in ("UserName", "RoleName", "GroupName"))


def _start(ctx: Context, service: str) -> str:
    region = "" if service == "iam" else ctx.region
    return f"arn:{partition(ctx.region)}:{service}:{region}:{ctx.account}"


def _first_named(ctx: Context, request: dict[str, Any], service: str, names: dict[str, str]) -> str:
    """The ARN of the first member that names a resource; the resource an operation is about comes first in `names`."""
    own = [name for name in names if name.removesuffix("Name") in ctx.operation]
    for name in (*own, *names):
        value = request.get(name)
        if isinstance(value, str):
            return _existing(ctx, names[name], value) or f"{_start(ctx, service)}:{names[name]}{_path(service, request)}{value}"
    return str(request.get("ResourceArn") or request.get("PolicySourceArn") or "*")


def _existing(ctx: Context, noun: str, name: str) -> str | None:
    """The ARN of something in IAM, whose path a request does not repeat; None for what is about to be created."""
    row = ctx.platform.resources.get(f"iam-{noun}", home(ctx.account), name) if ctx.service == "iam" else None
    return row.arn if row else None


def _path(service: str, request: dict[str, Any]) -> str:
    return str(request.get("Path", "/")) if service == "iam" else "/"


def _log_group(ctx: Context, request: dict[str, Any]) -> str:
    group = request.get("logGroupName") or request.get("logGroupIdentifier") or request.get("logGroupNamePrefix")
    if not group:
        return str(request.get("resourceArn", "*"))
    stream = request.get("logStreamName")
    tail = f":log-stream:{stream}" if stream else ":*"
    if group.startswith("arn:"):  # an identifier may be the group's ARN
        return f"{group.removesuffix(':*')}{tail}"
    return f"{_start(ctx, 'logs')}:log-group:{group}{tail}"


_S3_ACTIONS = {
    "HeadObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "ListBuckets": "s3:ListAllMyBuckets",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListParts": "s3:ListMultipartUploadParts",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "UploadPartCopy": "s3:PutObject",
    "CopyObject": "s3:PutObject",
    "GetObjectAttributes": "s3:GetObject",
    "DeleteBucketTagging": "s3:PutBucketTagging",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "GetBucketCors": "s3:GetBucketCORS",
    "PutBucketCors": "s3:PutBucketCORS",
    "GetBucketNotificationConfiguration": "s3:GetBucketNotification",
    "PutBucketNotificationConfiguration": "s3:PutBucketNotification",
}


def _s3(operation: str, request: dict[str, Any]) -> Needs:
    bucket = request.get("Bucket", "")
    if operation == "DeleteObjects":
        keys = [entry["Key"] for entry in request.get("Delete", {}).get("Objects", [])]
        return [("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{key}") for key in keys]
    action = _S3_ACTIONS.get(operation, f"s3:{operation}")
    if not bucket:
        return [(action, "*")]
    target = f"arn:aws:s3:::{bucket}/{request['Key']}" if "Key" in request else f"arn:aws:s3:::{bucket}"
    return [(action, target), *_copy_source(request)]


def _copy_source(request: dict[str, Any]) -> Needs:
    source = request.get("CopySource")
    if isinstance(source, dict):
        return [("s3:GetObject", f"arn:aws:s3:::{source['Bucket']}/{source['Key']}")]
    if isinstance(source, str):
        return [("s3:GetObject", f"arn:aws:s3:::{unquote(source.partition('?')[0]).lstrip('/')}")]
    return []
