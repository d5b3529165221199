"""Training jobs: accept the request, record it, wake the loop that makes it true (`compute/control/job_loop.py`).

The tuning loop creates training jobs with members that no client can send (`storage/tuning_trials.py`); they are kept in
the document with the rest, and DescribeTrainingJob shows those that it knows (`TuningJobArn`).
"""

from __future__ import annotations

import re
from typing import Any

from clary.catalog import algorithms, frameworks, training_status
from clary.catalog.algorithms import Algorithm
from clary.catalog.frameworks import Framework
from clary.core.errors import ResourceInUse, ResourceLimitExceeded, ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker import channels
from clary.services.sagemaker.errors import require
from clary.storage.resources import Resource

TRAINING_JOB = Declared(
    service="sagemaker",
    kind="training-job",
    member="TrainingJob",
    listed="TrainingJobSummaries",
    summary=(
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    ),
    status_member="TrainingJobStatus",
    duplicate=(
        ResourceInUse,
        "Training job names must be unique within an AWS account and region, "
        "and a training job with this name already exists ({arn})",
    ),
    missing=(ValidationException, "Requested resource not found."),
)

REQUIRED = ("AlgorithmSpecification", "OutputDataConfig", "ResourceConfig", "RoleArn", "StoppingCondition", "TrainingJobName")
UNENFORCED = (
    "AlgorithmSpecification.AlgorithmName",
    "AlgorithmSpecification.TrainingImageConfig",
    "DebugRuleConfigurations",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "MlflowConfig",
    "ModelPackageConfig",
    "ProfilerRuleConfigurations",
    "RemoteDebugConfig.EnableRemoteDebug",
    "ResourceConfig.InstanceGroups",
    "ResourceConfig.InstancePlacementConfig",
    "ResourceConfig.InstancePreferences",
    "ResourceConfig.KeepAlivePeriodInSeconds",
    "ResourceConfig.TrainingPlanArn",
    "ResourceConfig.VolumeKmsKeyId",
    "ServerlessJobConfig",
    "SessionChainingConfig.EnableSessionTagChaining",
    "StoppingCondition.MaxPendingTimeInSeconds",
    "StoppingCondition.MaxWaitTimeInSeconds",
    "TensorBoardOutputConfig",
    "VpcConfig",
)
"""Parameters with an effect on security, durability or cost, or on what runs, that Clary refuses by name."""

DEFAULT_MAX_RUNTIME, LONGEST_MAX_RUNTIME = 86400, 28 * 86400
FINISHED = ("Completed", "Failed", "Stopped")
MOST_HOSTS = 20
"""Of one job: every one of them is a process of this machine."""
_TAKEN = ("input", "model", "output", "code")
"""Directories of `/opt/ml` that have a meaning of their own."""


class TrainingJobs:
    """What a client can do with training jobs. Running them is `compute/`, not here."""

    def __init__(self, platform: Platform):
        self.platform = platform

    @operation("CreateTrainingJob")
    async def create_training_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        algorithm = await check(ctx, request)
        state = training_status.enter({}, "Starting", ctx.platform.clock.now())
        document = _complete(request, algorithm)
        job = await TRAINING_JOB.create(ctx, document, status="InProgress", state=state, wake="training")
        return {"TrainingJobArn": job.arn}

    @operation("DescribeTrainingJob")
    def describe_training_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return TRAINING_JOB.describe(TRAINING_JOB.find(ctx, request))

    @operation("ListTrainingJobs")
    def list_training_jobs(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request.keys() & {"WarmPoolStatusEquals", "TrainingPlanArnEquals"}:
            return {"TrainingJobSummaries": []}  # Clary has neither warm pools nor training plans, so no job has one
        return TRAINING_JOB.list_page(ctx, request)

    @operation("StopTrainingJob")
    async def stop_training_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        now = ctx.platform.clock.now()

        def stop(job: Resource) -> dict[str, Any]:
            if job.status in FINISHED:
                raise ValidationException(f"The request was rejected because the training job is in status {job.status}.")
            if job.status == "Stopping":
                return {}
            return {"status": "Stopping", "state": training_status.enter(job.state, "Stopping", now)}

        await TRAINING_JOB.update(ctx, request, stop, wake="training")
        return {}

    @operation("DeleteTrainingJob")
    async def delete_training_job(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        job = TRAINING_JOB.find(ctx, request)
        if job.status not in FINISHED:
            raise ResourceInUse(f"The training job {job.name} is in status {job.status}; stop it and wait before deleting it")
        parent = job.document.get("TuningJobArn")
        tuning = ctx.platform.resources.by_arn(parent) if parent else None
        if tuning is not None and tuning.status not in FINISHED:
            raise ResourceInUse(
                f"The training job {job.name} belongs to the hyperparameter tuning job {tuning.name}, which still needs it "
                f"(status {tuning.status}); stop that and wait before deleting the training job"
            )
        await TRAINING_JOB.delete(ctx, request)
        return {}


async def check(ctx: Context, request: dict[str, Any]) -> Algorithm | Framework:
    """What trains, of a CreateTrainingJob request that can be run. Raises what the caller should see of another one."""
    require(request, REQUIRED)
    refuse_unenforced(request, *UNENFORCED)
    algorithm = _algorithm(request)
    _check_hosts(request["ResourceConfig"], algorithm)
    _check_isolation(request)
    _check_checkpoints(request.get("CheckpointConfig"))
    _check_max_runtime(request["StoppingCondition"])
    _check_metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    channels.check(request.get("InputDataConfig", []))
    channels.bucket_and_key(request["OutputDataConfig"]["S3OutputPath"], "OutputDataConfig.S3OutputPath")
    ctx.platform.extensions["authorizer"].pass_role(ctx, request["RoleArn"], "sagemaker.amazonaws.com")
    await channels.check_objects(ctx, request.get("InputDataConfig", []), request["RoleArn"])
    return algorithm


def _algorithm(request: dict[str, Any]) -> Algorithm | Framework:
    """What trains. Raises ValidationException that says why another image cannot run."""
    specification = request["AlgorithmSpecification"]
    require(specification, ("TrainingImage",), "algorithmSpecification.")
    image = specification["TrainingImage"]
    if framework := frameworks.for_training(request):
        if why := frameworks.distribution_refused(request):
            raise ValidationException(why)
        return framework[0]
    found = algorithms.find(image)
    if found is None:
        why = frameworks.refusal(image) or f"it has {'; '.join(_images())}"
        raise ValidationException(f"AlgorithmSpecification.TrainingImage {image!r} is not an image that Clary can run: {why}")
    if frameworks.brings_script(request):
        raise ValidationException(
            f"AlgorithmSpecification.TrainingImage {image!r} is a built-in algorithm, which runs no script: leave out "
            "sagemaker_program, sagemaker_submit_directory, ContainerEntrypoint and ContainerArguments, or use the image of a "
            f"framework ({', '.join(framework.name for framework in frameworks.FRAMEWORKS)})"
        )
    return found[0]


def _images() -> list[str]:
    """`repository:tag, repository:tag, …` of each built-in algorithm, and the repositories of the frameworks."""
    built_in = [
        ", ".join(f"{repository}:{tag}" for repository, tags in algorithm.repositories.items() for tag in tags)
        for algorithm in algorithms.every()
    ]
    return [*built_in, *(", ".join(framework.repositories) for framework in frameworks.FRAMEWORKS)]


def _check_hosts(resources: dict[str, Any], algorithm: Algorithm | Framework) -> None:
    require(resources, ("InstanceType", "InstanceCount"), "resourceConfig.")
    count = resources["InstanceCount"]
    if count < 1:
        raise ValidationException(f"ResourceConfig.InstanceCount must be at least 1; got {count}")
    if count > 1 and not algorithm.distributed:
        raise ValidationException(
            f"ResourceConfig.InstanceCount is {count}, but {algorithm.name} trains on one host; set it to 1"
        )
    if count > MOST_HOSTS:
        raise ResourceLimitExceeded(
            f"The account-level service limit '{resources['InstanceType']} for training job usage' is {MOST_HOSTS} Instances, "
            f"with current utilization of 0 Instances and a request delta of {count} Instances. "
            "Clary runs every host of a job on this machine; set ResourceConfig.InstanceCount lower."
        )


def _check_isolation(request: dict[str, Any]) -> None:
    if request.get("EnableNetworkIsolation") and request["ResourceConfig"]["InstanceCount"] > 1:
        raise ValidationException(
            "EnableNetworkIsolation with ResourceConfig.InstanceCount above 1 is not supported by Clary: the hosts of a job "
            "talk to each other over the network that isolation takes away; set InstanceCount to 1"
        )


def _check_checkpoints(config: dict[str, Any] | None) -> None:
    if not config:
        return
    channels.bucket_and_key(config["S3Uri"], "CheckpointConfig.S3Uri")
    path = config.get("LocalPath", "/opt/ml/checkpoints")
    below = path.removeprefix("/opt/ml/").rstrip("/").split("/")
    if not path.startswith("/opt/ml/") or below[0] in _TAKEN or not {"", ".", ".."}.isdisjoint(below):
        raise ValidationException(
            f"CheckpointConfig.LocalPath must be a directory of its own below /opt/ml (say /opt/ml/checkpoints); got {path!r}"
        )


def _check_max_runtime(condition: dict[str, Any]) -> None:
    seconds = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    if seconds > LONGEST_MAX_RUNTIME:
        raise ValidationException(
            f"StoppingCondition.MaxRuntimeInSeconds must be at most {LONGEST_MAX_RUNTIME} (28 days); got {seconds}"
        )


def _check_metrics(definitions: list[dict[str, str]]) -> None:
    for definition in definitions:
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            raise ValidationException(
                f"AlgorithmSpecification.MetricDefinitions: the Regex of {definition['Name']!r} "
                f"is not a regular expression: {error}"
            ) from None


def metric_definitions(request: dict[str, Any]) -> list[dict[str, str]]:
    """MetricDefinitions as Describe shows them of a request that was accepted: those asked for, then the algorithm's own."""
    return _metrics(request["AlgorithmSpecification"], _algorithm(request))


def _metrics(specification: dict[str, Any], algorithm: Algorithm | Framework) -> list[dict[str, str]]:
    asked = specification.get("MetricDefinitions", [])
    names = {metric["Name"] for metric in asked}
    return asked + [{"Name": one.name, "Regex": one.regex} for one in algorithm.metrics if one.name not in names]


def _complete(request: dict[str, Any], algorithm: Algorithm | Framework) -> dict[str, Any]:
    """The request with the defaults that Describe shows; what the client sent stays as it was."""
    specification = {"EnableSageMakerMetricsTimeSeries": False} | request["AlgorithmSpecification"]
    return request | {
        "AlgorithmSpecification": specification | {"MetricDefinitions": _metrics(specification, algorithm)},
        # clients index KmsKeyId, set or not
        "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP"} | request["OutputDataConfig"],
        "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_MAX_RUNTIME} | request["StoppingCondition"],
        "EnableNetworkIsolation": request.get("EnableNetworkIsolation", False),
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
    }
