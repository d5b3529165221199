"""Batch transform jobs: accept the request, record it, wake the loop that makes it true (`compute/control/transform.py`)."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ResourceInUse, ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker.channels import bucket_and_key, check_objects
from clary.services.sagemaker.models import MODEL, container_of, model_data
from clary.storage.resources import Resource

TRANSFORM_JOB = Declared(
    service="sagemaker",
    kind="transform-job",
    member="TransformJob",
    listed="TransformJobSummaries",
    summary=(
        "TransformJobName",
        "TransformJobArn",
        "CreationTime",
        "TransformEndTime",
        "LastModifiedTime",
        "TransformJobStatus",
        "FailureReason",
    ),
    status_member="TransformJobStatus",
    duplicate=(
        ResourceInUse,
        "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
    ),
    missing=(ValidationException, "Could not find requested job with name: {name}"),
)
TOPIC = "transform"
FINISHED = ("Completed", "Failed", "Stopped")
MAX_MEGABYTES_AT_A_TIME = 100
_UNENFORCED = ("DataCaptureConfig", "TransformResources.VolumeKmsKeyId")


class TransformJobs:
    """CreateTransformJob, DescribeTransformJob, ListTransformJobs, StopTransformJob."""

    def __init__(self, platform: Platform) -> None:
        pass

    @operation("CreateTransformJob")
    async def create_transform_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, *_UNENFORCED)
        _check_input(request["TransformInput"])
        _check_processing(request.get("DataProcessing", {}))
        _check_sizes(request)
        bucket_and_key(request["TransformOutput"]["S3OutputPath"], "TransformOutput.S3OutputPath")
        model = _model(ctx, request["ModelName"])
        source = request["TransformInput"]["DataSource"]
        await check_objects(ctx, [{"DataSource": source}], model["role"])
        job = await TRANSFORM_JOB.create(ctx, _complete(request), status="InProgress", state={"_model": model}, wake=TOPIC)
        return {"TransformJobArn": job.arn}

    @operation("DescribeTransformJob")
    def describe_transform_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        described = TRANSFORM_JOB.describe(TRANSFORM_JOB.find(ctx, request))
        described.pop("LastModifiedTime")
        return described

    @operation("ListTransformJobs")
    def list_transform_jobs(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return TRANSFORM_JOB.list_page(ctx, request)

    @operation("StopTransformJob")
    async def stop_transform_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        def stop(job: Resource) -> dict[str, Any]:
            if job.status in FINISHED:
                raise ValidationException(f"The request was rejected because the transform job is in status {job.status}.")
            return {"status": "Stopping"}

        await TRANSFORM_JOB.update(ctx, request, stop, wake=TOPIC)
        return {}


def _model(ctx: Context, name: str) -> dict[str, Any]:
    """A copy of what the job needs of its model: the job outlives it."""
    document = MODEL.find(ctx, {"ModelName": name}).document
    if not document.get("ExecutionRoleArn"):
        raise ValidationException(f"Model {name} has no ExecutionRoleArn, with whose rights a transform job reads and writes")
    container = container_of(document)
    return {
        "image": container["Image"],
        "environment": container.get("Environment", {}),
        "model_data": model_data(container),
        "role": document["ExecutionRoleArn"],
    }


def _check_input(source: dict[str, Any]) -> None:
    s3 = source["DataSource"]["S3DataSource"]
    if s3["S3DataType"] != "S3Prefix":
        raise ValidationException(f"TransformInput: S3DataType {s3['S3DataType']} is not supported by Clary yet; use S3Prefix")
    bucket_and_key(s3["S3Uri"], "TransformInput.DataSource.S3DataSource.S3Uri")
    if source.get("SplitType", "None") not in ("None", "Line"):
        raise ValidationException(
            f"TransformInput.SplitType {source['SplitType']} is not supported by Clary yet; use None or Line"
        )


def _check_processing(processing: dict[str, str]) -> None:
    """The values that change nothing are accepted: SDKs send them."""
    plain = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}
    for member, value in processing.items():
        if value != plain.get(member):
            raise ValidationException(f"DataProcessing.{member} {value} is not supported by Clary yet; leave it out")


def _check_sizes(request: dict[str, Any]) -> None:
    if request["TransformResources"]["InstanceCount"] != 1:
        raise ValidationException("TransformResources.InstanceCount: Clary runs a transform job on one host; set it to 1")
    concurrent, megabytes = request.get("MaxConcurrentTransforms", 0), request.get("MaxPayloadInMB", 6)
    if concurrent * megabytes > MAX_MEGABYTES_AT_A_TIME:
        raise ValidationException(
            "MaxConcurrentTransforms * MaxPayloadInMB must be at most "
            f"{MAX_MEGABYTES_AT_A_TIME}; got {concurrent} * {megabytes}"
        )


def _complete(request: dict[str, Any]) -> dict[str, Any]:
    """The request with the defaults that Describe shows."""
    return request | {
        "TransformInput": {"CompressionType": "None", "SplitType": "None"} | request["TransformInput"],
        "TransformOutput": {"AssembleWith": "None", "KmsKeyId": ""} | request["TransformOutput"],
        "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
    }
