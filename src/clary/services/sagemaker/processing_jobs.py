"""Processing jobs: accept the request, record it, wake the loop that makes it true (`compute/control/job_loop.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from clary.catalog import frameworks
from clary.core.errors import ResourceInUse, ResourceLimitExceeded, ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker.channels import bucket_and_key
from clary.services.sagemaker.errors import require
from clary.storage.resources import Resource

PROCESSING_JOB = Declared(
    service="sagemaker",
    kind="processing-job",
    member="ProcessingJob",
    listed="ProcessingJobSummaries",
    summary=(
        "ProcessingJobName",
        "ProcessingJobArn",
        "CreationTime",
        "ProcessingEndTime",
        "LastModifiedTime",
        "ProcessingJobStatus",
        "FailureReason",
        "ExitMessage",
    ),
    status_member="ProcessingJobStatus",
    duplicate=(
        ResourceInUse,
        "Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})",
    ),
    missing=(ValidationException, "Could not find requested job with name: {name}"),
)
TOPIC = "processing"
UNENFORCED = (
    "NetworkConfig.EnableInterContainerTrafficEncryption",
    "NetworkConfig.VpcConfig",
    "ProcessingResources.ClusterConfig.InstancePreferences",
    "ProcessingResources.ClusterConfig.VolumeKmsKeyId",
)
"""Parameters with an effect on security, durability or cost, or on what runs, that Clary refuses by name."""
UNENFORCED_INPUT = (
    "ProcessingInputs.AppManaged",
    "ProcessingInputs.DatasetDefinition.AthenaDatasetDefinition",
    "ProcessingInputs.DatasetDefinition.RedshiftDatasetDefinition",
    "ProcessingInputs.DatasetDefinition",
)
UNENFORCED_OUTPUT = ("Outputs.AppManaged", "Outputs.FeatureStoreOutput")
DEFAULT_MAX_RUNTIME = 86400
FINISHED = ("Completed", "Failed", "Stopped")
MOST_HOSTS = 20
"""Of one job: every one of them is a process of this machine."""
LOCAL = "/opt/ml/processing/"


class ProcessingJobs:
    """What a client can do with processing jobs. Running them is `compute/`, not here."""

    def __init__(self, platform: Platform):
        self.platform = platform

    @operation("CreateProcessingJob")
    async def create_processing_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, *UNENFORCED)
        _check_program(request["AppSpecification"])
        _check_hosts(request["ProcessingResources"]["ClusterConfig"])
        _check_isolation(request)
        inputs, outputs = request.get("ProcessingInputs", []), request.get("ProcessingOutputConfig", {}).get("Outputs", [])
        _check_inputs(inputs)
        _check_outputs(outputs)
        _check_paths([*(one["S3Input"] for one in inputs), *(one["S3Output"] for one in outputs)])
        self.platform.extensions["authorizer"].pass_role(ctx, request["RoleArn"], "sagemaker.amazonaws.com")
        job = await PROCESSING_JOB.create(ctx, _complete(request), status="InProgress", state={}, wake=TOPIC)
        return {"ProcessingJobArn": job.arn}

    @operation("DescribeProcessingJob")
    def describe_processing_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return PROCESSING_JOB.describe(PROCESSING_JOB.find(ctx, request))

    @operation("ListProcessingJobs")
    def list_processing_jobs(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return PROCESSING_JOB.list_page(ctx, request)

    @operation("StopProcessingJob")
    async def stop_processing_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        def stop(job: Resource) -> dict[str, Any]:
            if job.status in FINISHED:
                raise ValidationException(f"The request was rejected because the processing job is in status {job.status}.")
            return {} if job.status == "Stopping" else {"status": "Stopping"}

        await PROCESSING_JOB.update(ctx, request, stop, wake=TOPIC)
        return {}

    @operation("DeleteProcessingJob")
    async def delete_processing_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        job = PROCESSING_JOB.find(ctx, request)
        if job.status not in FINISHED:
            raise ResourceInUse(f"The processing job {job.name} is in status {job.status}; stop it and wait before deleting it")
        await PROCESSING_JOB.delete(ctx, request)
        return {}


def _check_program(specification: dict[str, Any]) -> None:
    """Raise ValidationException that says why an image cannot run."""
    image = specification["ImageUri"]
    if frameworks.find(image) is None:
        known = "; ".join(", ".join(framework.repositories) for framework in frameworks.FRAMEWORKS)
        why = frameworks.refusal(image) or f"it has {known}"
        raise ValidationException(
            f"AppSpecification.ImageUri {image!r} is not an image that Clary can process data with: {why}"
        )
    if not specification.get("ContainerEntrypoint"):
        raise ValidationException(
            f"AppSpecification.ContainerEntrypoint is missing: {image!r} is the image of a framework, which has no program of "
            'its own for processing jobs; name yours, such as ["python3", "/opt/ml/processing/input/code/script.py"]'
        )


def _check_hosts(resources: dict[str, Any]) -> None:
    require(resources, ("InstanceType", "InstanceCount"), "processingResources.clusterConfig.")
    count = resources["InstanceCount"]
    if count > MOST_HOSTS:
        raise ResourceLimitExceeded(
            f"The account-level service limit '{resources['InstanceType']} for processing job usage' is {MOST_HOSTS} "
            f"Instances, with current utilization of 0 Instances and a request delta of {count} Instances. "
            "Clary runs every host of a job on this machine; set ClusterConfig.InstanceCount lower."
        )


def _check_isolation(request: dict[str, Any]) -> None:
    isolated = request.get("NetworkConfig", {}).get("EnableNetworkIsolation")
    if isolated and request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] > 1:
        raise ValidationException(
            "NetworkConfig.EnableNetworkIsolation with ClusterConfig.InstanceCount above 1 is not supported by Clary: hosts "
            "of a job talk to each other over the network that isolation takes away; set InstanceCount to 1"
        )


def _check_inputs(inputs: Sequence[dict[str, Any]]) -> None:
    _check_names("ProcessingInputs", "InputName", inputs)
    for one in inputs:
        refuse_unenforced({"ProcessingInputs": one}, *UNENFORCED_INPUT)
        name = one["InputName"]
        if "S3Input" not in one:
            raise ValidationException(f"ProcessingInputs: input {name!r} has no S3Input; give it one")
        s3 = one["S3Input"]
        if s3.get("S3CompressionType") == "Gzip" and s3.get("S3InputMode", "File") != "Pipe":
            raise ValidationException(
                f"ProcessingInputs: input {name!r} has S3CompressionType Gzip, which needs S3InputMode Pipe; "
                "in File mode decompress the files in your script"
            )
        bucket_and_key(s3["S3Uri"], f"S3Uri of input {name!r}")


def _check_outputs(outputs: Sequence[dict[str, Any]]) -> None:
    _check_names("ProcessingOutputConfig.Outputs", "OutputName", outputs)
    for one in outputs:
        refuse_unenforced({"Outputs": one}, *UNENFORCED_OUTPUT)
        if "S3Output" not in one:
            raise ValidationException(f"ProcessingOutputConfig: output {one['OutputName']!r} has no S3Output; give it one")
        bucket_and_key(one["S3Output"]["S3Uri"], f"S3Uri of output {one['OutputName']!r}")


def _check_names(where: str, member: str, entries: Iterable[dict[str, Any]]) -> None:
    names = [one[member] for one in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(f"{where}: the {member} {name!r} is used more than once; names must be unique")


def _check_paths(places: Sequence[dict[str, Any]]) -> None:
    """Every input and output has a directory of its own below `/opt/ml/processing`."""
    paths = [place.get("LocalPath", "") for place in places]
    for path in paths:
        below = path.removeprefix(LOCAL).rstrip("/").split("/")
        if not path.startswith(LOCAL) or not {"", ".", ".."}.isdisjoint(below):
            raise ValidationException(
                f"LocalPath must be a directory below {LOCAL}, such as {LOCAL}input/data; got {path or 'none'!r}"
            )
        if [other.rstrip("/") for other in paths].count(path.rstrip("/")) > 1:
            raise ValidationException(f"LocalPath {path!r} is used more than once; inputs and outputs need a path of their own")


def _complete(request: dict[str, Any]) -> dict[str, Any]:
    """The request with the default that Describe shows; what the client sent stays as it was."""
    return request | {"StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME} | request.get("StoppingCondition", {})}
